//! How the process shares out its memory: `memory_limit` is a promise about all of it, so what is not for
//! the bodies of requests is counted first.

use super::units::Size;

const MIB: u64 = 1024 * 1024;
/// The least limit.
const LIMIT_MIN: u64 = 256 * MIB;
const CACHE_BYTES_MIN: u64 = gateway::cache::MEMORY_BYTES_MIN;
/// The program itself, its threads, its metrics and log, and buffers that are kept to be used again.
const PROCESS_BYTES: u64 = 72 * MIB;
/// What a connection takes between two requests: its socket, and the task that waits for it.
const IDLE_BYTES: u64 = 4 * 1024;
/// Connections, where their share of memory allows as many: 10,000 idle ones leave some for others.
const CONNECTIONS_MAX: u64 = 12_000;
/// What one takes beside that while it has a request, or had one just now: two buffers of hyper, the headers, and
/// the state of both. What is read or written of a body counts with the bodies.
const AWAKE_BYTES: u64 = 32 * 1024;
/// The sixteenth of the limit that the allocator may waste and small things take.
const SLACK_SHARE: u64 = 16;
/// The part of what bodies have that other nodes' calls take in a region.
const CALLS_SHARE: u64 = 4;

/// The shares of memory, in bytes where nothing else is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryPlan {
    /// Bodies in flight.
    pub bodies: u64,
    /// The cache of what is read again and again; 0 for none.
    pub cache: u64,
    /// The index's block cache.
    pub index_cache: u64,
    /// The index's writes that are not in files yet.
    pub index_writes: u64,
    /// The catalogues of all disks, with their writes.
    pub catalogs: u64,
    /// Connections at once, in number.
    pub connections: usize,
    /// Those of them that may be awake at once, in number.
    pub awake: usize,
    /// What other nodes' calls bring; nothing on a single machine.
    pub calls: u64,
}

impl MemoryPlan {
    /// Shares out `limit` bytes. `index_cache` and `cache` are what the operator gave to the index's cache and
    /// to that of objects, if he did.
    ///
    /// # Errors
    /// Too little is left for bodies; the text says what would suffice.
    pub fn new(limit: u64, index_cache: Option<u64>, cache: Option<u64>) -> Result<Self, String> {
        let index_cache = index_cache.unwrap_or(limit / 12);
        let cache = match cache {
            Some(given) if given > 0 && given < CACHE_BYTES_MIN => {
                return Err(format!(
                    "`cache_memory` is 0 or at least {}",
                    Size(CACHE_BYTES_MIN)
                ));
            }
            Some(given) => given,
            None => cache_share(limit),
        };
        let index_writes = (limit / 16).clamp(8 * MIB, 64 * MIB);
        let catalogs = (limit / 16).clamp(8 * MIB, 128 * MIB);
        let connections = (limit / 10 / IDLE_BYTES).min(CONNECTIONS_MAX);
        let awake = limit / 8 / AWAKE_BYTES;
        let spoken_for = PROCESS_BYTES
            + connections * IDLE_BYTES
            + awake * AWAKE_BYTES
            + index_cache
            + index_writes * 3 / 2
            + catalogs
            + cache
            + limit / SLACK_SHARE;
        let bodies = limit.saturating_sub(spoken_for);
        if bodies < gateway::admission::BUDGET_BYTES_MIN {
            return Err(format!(
                "{} of {} are spoken for before the first request, and bodies need {}: give at least \
                 256MiB, and as much more as `index_cache` and `cache_memory` were raised",
                Size(spoken_for),
                Size(limit),
                Size(gateway::admission::BUDGET_BYTES_MIN)
            ));
        }
        Ok(Self {
            bodies,
            cache,
            index_cache,
            index_writes,
            catalogs,
            connections: connections as usize,
            awake: awake as usize,
            calls: 0,
        })
    }

    /// The same for a node of a region: what other nodes' calls bring takes a part of what bodies have.
    ///
    /// # Errors
    /// Too little is left for bodies.
    pub fn in_region(self) -> Result<Self, String> {
        let calls = self.bodies / CALLS_SHARE;
        let bodies = self.bodies - calls;
        if bodies < gateway::admission::BUDGET_BYTES_MIN {
            return Err(format!(
                "of {} for bodies other nodes' calls take {}, and {} must be left: give more",
                Size(self.bodies),
                Size(calls),
                Size(gateway::admission::BUDGET_BYTES_MIN)
            ));
        }
        Ok(Self {
            bodies,
            calls,
            ..self
        })
    }
}

/// What the cache of objects gets of `limit` bytes: nothing where all are needed for bodies.
fn cache_share(limit: u64) -> u64 {
    let share = limit.saturating_sub(LIMIT_MIN) / 12;
    if share < CACHE_BYTES_MIN { 0 } else { share }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_are_the_limit() {
        for mib in [256, 300, 512, 1024, 1 << 20] {
            let limit = mib * MIB;
            let plan = MemoryPlan::new(limit, None, None).unwrap();
            let shares = plan.bodies
                + plan.cache
                + plan.index_cache
                + plan.index_writes * 3 / 2
                + plan.catalogs
                + plan.connections as u64 * IDLE_BYTES
                + plan.awake as u64 * AWAKE_BYTES
                + PROCESS_BYTES
                + limit / SLACK_SHARE;
            assert_eq!(shares, limit, "{plan:?}");
        }
    }

    #[test]
    fn what_leaves_no_room_for_bodies_is_refused() {
        assert!(MemoryPlan::new(128 * MIB, None, None).is_err());
        let error = MemoryPlan::new(512 * MIB, Some(400 * MIB), None).unwrap_err();
        assert!(
            error.contains("512MiB") && error.contains("index_cache"),
            "{error}"
        );
        assert!(MemoryPlan::new(512 * MIB, None, Some(400 * MIB)).is_err());
    }

    #[test]
    fn the_cache_gets_what_bodies_can_spare() {
        let cache = |mib: u64, given| MemoryPlan::new(mib * MIB, None, given).unwrap().cache;
        assert_eq!(cache(256, None), 0);
        assert_eq!(cache(1024, None), 64 * MIB);
        assert_eq!(cache(1024, Some(0)), 0);
        assert_eq!(cache(1024, Some(100 * MIB)), 100 * MIB);
        assert!(MemoryPlan::new(1024 * MIB, None, Some(MIB)).is_err());
    }
}
