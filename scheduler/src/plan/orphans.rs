//! Which chunks that no record names may be freed, and when.
//!
//! A chunk is an orphan when its writer died between storing it and committing its version. It is freed
//! in two rounds. The first that finds it old enough and unnamed puts it into quarantine; it is freed
//! only by a later round, after it has lain there for a whole grace of observed time, and only if it is
//! still named by nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use types::{ChunkId, PgId};

/// Chunks in quarantine, with the observed time at which each entered it.
pub type Quarantine = BTreeMap<(PgId, ChunkId), Duration>;

/// What is known when a round over one placement group is planned.
#[derive(Debug)]
pub struct Findings<'a> {
    /// The group.
    pub pg: PgId,
    /// Every chunk of which some disk of the group holds a shard, listed *before* `named` was read.
    pub stored: &'a BTreeSet<ChunkId>,
    /// Every chunk of the group that some record names.
    pub named: &'a BTreeSet<ChunkId>,
    /// Wall-clock time in milliseconds; only for the age that chunk ids state.
    pub now_ms: u64,
    /// Observed time.
    pub observed: Duration,
}

/// Plans a round: moves chunks into and out of `quarantine`, and returns those to free.
///
/// `age` is twice the write deadline: a younger chunk may belong to a commit still to come. `grace` is
/// what a chunk lies in quarantine at least.
pub fn plan(
    quarantine: &mut Quarantine,
    findings: &Findings<'_>,
    age: Duration,
    grace: Duration,
) -> Vec<ChunkId> {
    let pg = findings.pg;
    let age_ms = u64::try_from(age.as_millis()).unwrap_or(u64::MAX);
    let is_orphan = |chunk: &ChunkId| {
        findings.now_ms.saturating_sub(chunk.time_ms()) > age_ms && !findings.named.contains(chunk)
    };
    quarantine.retain(|(group, chunk), _| {
        *group != pg || (findings.stored.contains(chunk) && is_orphan(chunk))
    });
    let mut free = Vec::new();
    for chunk in findings.stored.iter().copied().filter(is_orphan) {
        let since = *quarantine.entry((pg, chunk)).or_insert(findings.observed);
        if findings.observed > since && findings.observed - since >= grace {
            free.push(chunk);
        }
    }
    free
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE: Duration = Duration::from_secs(48);
    const GRACE: Duration = Duration::from_secs(10);

    fn chunk(second: u64) -> ChunkId {
        ChunkId(u128::from(second * 1000) << 80)
    }

    fn round(
        quarantine: &mut Quarantine,
        (stored, named): (&[ChunkId], &[ChunkId]),
        now: u64,
        observed: u64,
    ) -> Vec<ChunkId> {
        let (stored, named) = (
            stored.iter().copied().collect(),
            named.iter().copied().collect(),
        );
        let findings = Findings {
            pg: PgId(1),
            stored: &stored,
            named: &named,
            now_ms: now * 1000,
            observed: Duration::from_secs(observed),
        };
        plan(quarantine, &findings, AGE, GRACE)
    }

    #[test]
    fn an_orphan_is_freed_after_age_and_grace_and_not_before() {
        let mut quarantine = Quarantine::new();
        let stored = [chunk(100)];
        assert!(round(&mut quarantine, (&stored, &[]), 148, 0).is_empty());
        assert!(quarantine.is_empty(), "too young for quarantine");
        assert!(round(&mut quarantine, (&stored, &[]), 149, 1).is_empty());
        assert_eq!(quarantine.len(), 1);
        assert!(
            round(&mut quarantine, (&stored, &[]), 9999, 10).is_empty(),
            "the wall clock frees nothing"
        );
        assert_eq!(round(&mut quarantine, (&stored, &[]), 160, 11), stored);
    }

    #[test]
    fn a_chunk_that_is_named_again_leaves_quarantine() {
        let mut quarantine = Quarantine::new();
        let stored = [chunk(100)];
        round(&mut quarantine, (&stored, &[]), 149, 1);
        assert!(round(&mut quarantine, (&stored, &stored), 170, 20).is_empty());
        assert!(quarantine.is_empty());
        assert!(
            round(&mut quarantine, (&stored, &[]), 180, 30).is_empty(),
            "its grace begins anew"
        );
    }

    #[test]
    fn one_round_never_both_finds_and_frees() {
        let mut quarantine = Quarantine::new();
        let findings = [chunk(1)];
        let (stored, named) = (findings.iter().copied().collect(), BTreeSet::new());
        let findings = Findings {
            pg: PgId(1),
            stored: &stored,
            named: &named,
            now_ms: 1 << 40,
            observed: Duration::ZERO,
        };
        assert!(plan(&mut quarantine, &findings, AGE, Duration::ZERO).is_empty());
    }

    #[test]
    fn other_groups_are_left_alone() {
        let mut quarantine = Quarantine::from([((PgId(2), chunk(1)), Duration::ZERO)]);
        round(&mut quarantine, (&[], &[]), 999, 999);
        assert_eq!(quarantine.len(), 1);
    }
}
