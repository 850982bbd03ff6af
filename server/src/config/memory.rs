//! How the process shares out its memory: `memory_limit` is a promise about all of it, so what is not for
//! the bodies of requests is counted first.

use super::units::Size;

const MIB: u64 = 1024 * 1024;
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
    /// Shares out `limit` bytes. `index_cache` is what the operator gave to the index, if he did.
    ///
    /// # Errors
    /// Too little is left for bodies; the text says what would suffice.
    pub fn new(limit: u64, index_cache: Option<u64>) -> Result<Self, String> {
        let index_cache = index_cache.unwrap_or(limit / 12);
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
            + limit / SLACK_SHARE;
        let bodies = limit.saturating_sub(spoken_for);
        if bodies < gateway::admission::BUDGET_BYTES_MIN {
            return Err(format!(
                "{} of {} are spoken for before the first request, and bodies need {}: give at least \
                 256MiB, and as much more as `index_cache` was raised",
                Size(spoken_for),
                Size(limit),
                Size(gateway::admission::BUDGET_BYTES_MIN)
            ));
        }
        Ok(Self {
            bodies,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shares_are_the_limit() {
        for mib in [256, 300, 512, 1024, 1 << 20] {
            let limit = mib * MIB;
            let plan = MemoryPlan::new(limit, None).unwrap();
            let shares = plan.bodies
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
        assert!(MemoryPlan::new(128 * MIB, None).is_err());
        let error = MemoryPlan::new(512 * MIB, Some(400 * MIB)).unwrap_err();
        assert!(
            error.contains("512MiB") && error.contains("index_cache"),
            "{error}"
        );
    }
}
