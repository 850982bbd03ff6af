use super::*;

fn set(positions: impl IntoIterator<Item = usize>) -> ShardSet {
    let mut set = ShardSet::default();
    for position in positions {
        set.insert(position);
    }
    set
}

/// Positions durable, pending and failed of a profile with one disk a domain.
fn quorum(
    (data, parity): (u8, u8),
    durable: std::ops::Range<usize>,
    pending: std::ops::Range<usize>,
    failed: std::ops::Range<usize>,
) -> Quorum {
    let profile = ErasureProfile::new(data, parity).unwrap();
    let domains = (0..profile.shards() as u128).collect();
    let mut quorum = Quorum::new(profile, domains, set(pending));
    quorum.durable = set(durable);
    quorum.failed = set(failed);
    quorum
}

fn marks(
    down: impl IntoIterator<Item = usize>,
    unreadable: impl IntoIterator<Item = usize>,
) -> Marks {
    let down = set(down);
    // Each position is a domain of its own.
    Marks {
        down,
        lost: down,
        readable: ShardSet::first(32).minus(set(unreadable)),
    }
}

#[test]
fn verdicts_while_the_whole_group_is_up() {
    let up = marks([], []);
    assert_eq!(
        quorum((4, 2), 0..0, 0..6, 0..0).verdict(up),
        Verdict::Pending
    );
    assert_eq!(
        quorum((4, 2), 0..4, 4..6, 0..0).verdict(up),
        Verdict::Pending
    );
    assert_eq!(
        quorum((4, 2), 0..5, 5..6, 0..0).verdict(up),
        Verdict::Durable
    );
    assert_eq!(
        quorum((4, 2), 0..5, 0..0, 5..6).verdict(up),
        Verdict::Durable
    );
    assert_eq!(
        quorum((4, 2), 0..4, 0..0, 4..6).verdict(up),
        Verdict::Failed
    );
    assert_eq!(
        quorum((1, 0), 0..0, 0..1, 0..0).verdict(up),
        Verdict::Pending
    );
    assert_eq!(
        quorum((1, 0), 0..1, 0..0, 0..0).verdict(up),
        Verdict::Durable
    );
    assert_eq!(
        quorum((1, 0), 0..0, 0..0, 0..1).verdict(up),
        Verdict::Failed
    );
}

#[test]
fn failed_disks_suffice_only_once_the_map_says_so() {
    // Zones of three: losing one whole zone leaves k + 1, but by itself that is not enough.
    let mut zones = quorum((5, 4), 0..6, 0..0, 6..9);
    zones.domains = vec![0, 0, 0, 1, 1, 1, 2, 2, 2];
    assert_eq!(zones.verdict(marks([], [])), Verdict::AwaitsMap);
    assert_eq!(zones.verdict(marks([6, 7, 8], [])), Verdict::Durable);
    // A disk that is merely full is not among the failed ones.
    zones.failed = ShardSet::default();
    assert_eq!(zones.verdict(marks([], [])), Verdict::Failed);
}

#[test]
fn a_shard_on_a_disk_that_was_given_up_does_not_count() {
    let quorum = quorum((4, 2), 0..5, 0..0, 5..6);
    assert_eq!(quorum.verdict(marks([5], [])), Verdict::Durable);
    assert_eq!(quorum.verdict(marks([4, 5], [4])), Verdict::Failed);
    assert_eq!(quorum.verdict(marks([4, 5], [])), Verdict::Durable);
}

#[test]
fn what_is_missing_is_what_is_not_durable() {
    let quorum = quorum((4, 2), 0..4, 4..5, 5..6);
    assert_eq!(quorum.missing(), set([4, 5]));
}

/// The disk of a zone that dies is late first, and is not asked any more; then the others of the zone fail.
#[test]
fn a_disk_that_was_not_asked_is_out_with_its_zone() {
    let profile = ErasureProfile::new(5, 4).unwrap();
    let zones = (0..9).map(|n| n % 3).collect();
    let mut quorum = Quorum::new(profile, zones, set([]));
    // Positions 0, 3 and 6 are of the zone; 0 was late.
    quorum.failed = set([3, 6]);
    quorum.durable = set([1, 2, 4, 5, 7, 8]);
    assert_eq!(quorum.verdict(marks([], [])), Verdict::Failed);
    quorum.late = set([0]);
    assert_eq!(quorum.verdict(marks([], [])), Verdict::AwaitsMap);
    assert_eq!(quorum.verdict(marks([0, 3, 6], [])), Verdict::Durable);
    quorum.durable = set([1, 2, 4, 5, 7]);
    quorum.failed = set([3, 6, 8]);
    assert_eq!(quorum.verdict(marks([], [])), Verdict::Failed);
}
