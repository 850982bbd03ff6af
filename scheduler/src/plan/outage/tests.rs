//! Links of every kind are cut; few nodes are given up, and none without need.

mod dying;

use super::*;
use proptest::prelude::*;

const LIMIT: Duration = Duration::from_secs(1);
const FRESH: Duration = Duration::from_millis(100);

/// `per_zone` nodes in each of three zones with three disks each; node 11 is the first of zone 1.
fn nodes(per_zone: u32) -> Vec<Witness> {
    let node = |zone: u16, number| Witness {
        id: NodeId(u32::from(zone) * 10 + number),
        zone: ZoneId(zone),
        disks: 3,
    };
    (1..=3)
        .flat_map(|zone| (1..=per_zone).map(move |number| node(zone, number)))
        .collect()
}

/// Everybody hears everybody, but for the pairs that `cut` names (in that direction).
fn heard(all: &[Witness], cut: impl Fn(&Witness, &Witness) -> bool) -> Heard {
    let pairs = all
        .iter()
        .flat_map(|one| all.iter().map(move |other| (one, other)));
    pairs
        .filter(|(one, other)| !cut(one, other))
        .map(|(one, other)| ((one.id, other.id), FRESH))
        .collect()
}

fn out(all: &[Witness], me: u32, heard: &Heard) -> Vec<u32> {
    let kept = connected(all, NodeId(me), heard, (&BTreeSet::new(), LIMIT));
    let gone = all.iter().filter(|node| !kept.contains(&node.id));
    gone.map(|node| node.id.0).collect()
}

#[test]
fn nobody_is_given_up_while_all_hear_each_other() {
    let all = nodes(3);
    assert_eq!(out(&all, 11, &heard(&all, |_, _| false)), []);
}

#[test]
fn a_silent_node_and_a_silent_zone_are_given_up() {
    let all = nodes(2);
    let silent = heard(&all, |one, other| {
        one.id != other.id && (one.id.0 == 22 || other.id.0 == 22)
    });
    assert_eq!(out(&all, 11, &silent), [22]);
    let zone = heard(&all, |one, other| {
        one.zone != other.zone && (one.zone.0 == 3 || other.zone.0 == 3)
    });
    assert_eq!(out(&all, 11, &zone), [31, 32]);
}

#[test]
fn what_is_not_heard_lately_is_not_heard() {
    let all = nodes(1);
    let mut old = heard(&all, |_, _| false);
    old.insert((NodeId(11), NodeId(21)), LIMIT);
    assert_eq!(out(&all, 11, &old), [21]);
}

#[test]
fn a_link_that_is_cut_one_way_counts_as_cut() {
    let all = nodes(1);
    let one_way = heard(&all, |one, other| (one.id.0, other.id.0) == (21, 31));
    assert_eq!(out(&all, 11, &one_way).len(), 1);
    let from_me = heard(&all, |one, other| (one.id.0, other.id.0) == (11, 31));
    assert_eq!(out(&all, 11, &from_me), [31]);
}

/// 21 is dying; the keeper still hears it, but beats are missing, and its last one said that it did not hear 31.
#[test]
fn who_has_lost_a_dying_node_before_the_keeper_stays() {
    let mut all = nodes(1);
    all[1].disks = 9;
    let mut heard = heard(&all, |_, _| false);
    for (one, other, age_ms) in [(11, 21, 800), (21, 11, 900), (31, 21, 800), (21, 31, 1100)] {
        heard.insert((NodeId(one), NodeId(other)), Duration::from_millis(age_ms));
    }
    assert_eq!(out(&all, 11, &heard), [21]);
}

/// Zones 1 and 2 do not hear each other, and both hear zone 3: one of the two goes, not both, and never mine.
#[test]
fn of_two_zones_with_a_cut_link_one_stays() {
    let all = nodes(2);
    let between =
        |one: &Witness, other: &Witness| one.zone.0 + other.zone.0 == 3 && one.zone != other.zone;
    let cut = heard(&all, between);
    assert_eq!(out(&all, 11, &cut), [21, 22]);
    assert_eq!(out(&all, 21, &cut), [11, 12]);
    let seen_from_third = out(&all, 31, &cut);
    assert!(
        seen_from_third == [11, 12] || seen_from_third == [21, 22],
        "{seen_from_third:?}"
    );
}

#[test]
fn a_node_without_disks_is_given_up_rather_than_one_with() {
    let mut all = nodes(1);
    all.push(Witness {
        id: NodeId(19),
        zone: ZoneId(1),
        disks: 0,
    });
    let cut = heard(&all, |one, other| one.id.0 + other.id.0 == 19 + 31);
    assert_eq!(out(&all, 21, &cut), [19]);
}

#[test]
fn a_node_that_comes_back_is_trusted_after_a_while_without_a_break() {
    let all = nodes(1);
    let (well, gone) = (
        heard(&all, |_, _| false),
        heard(&all, |one, other| one.id.0 == 31 || other.id.0 == 31),
    );
    let limits = OutageLimits::default();
    let mut watch = OutageWatch::new(Duration::ZERO);
    let mut down = BTreeSet::new();
    let mut at = |second: u64, heard: &Heard| {
        down = watch.decide(
            &all,
            NodeId(11),
            heard,
            (&down, Duration::from_secs(second)),
            limits,
        );
        down.len()
    };
    assert_eq!(at(0, &gone), 0, "too new to tell");
    assert_eq!(at(1, &gone), 0, "it may be about to look different");
    assert_eq!(at(1, &gone), 1, "at the second decision");
    assert_eq!(at(2, &well), 1);
    assert_eq!(at(6, &well), 1, "four seconds are not five");
    assert_eq!(at(7, &gone), 1);
    assert_eq!(at(8, &well), 1, "it is counted anew");
    assert_eq!(at(12, &well), 1);
    assert_eq!(at(13, &well), 0);
}

/// Whoever keeps the map has just come to do so, and the one before it had marked it down.
#[test]
fn the_keeper_is_never_out() {
    let all = nodes(1);
    let down = BTreeSet::from([NodeId(11)]);
    let well = heard(&all, |_, _| false);
    let mut watch = OutageWatch::new(Duration::ZERO);
    let now = Duration::from_secs(1);
    let out = watch.decide(
        &all,
        NodeId(11),
        &well,
        (&down, now),
        OutageLimits::default(),
    );
    assert_eq!(out, BTreeSet::new());
}

#[test]
fn a_keeper_that_hears_hardly_anybody_changes_nothing() {
    let all = nodes(2);
    let alone = heard(&all, |one, other| {
        one.id != other.id && (one.id.0 == 11 || other.id.0 == 11)
    });
    let mut watch = OutageWatch::new(Duration::ZERO);
    let down = BTreeSet::from([NodeId(32)]);
    let now = Duration::from_secs(9);
    let out = watch.decide(
        &all,
        NodeId(11),
        &alone,
        (&down, now),
        OutageLimits::default(),
    );
    assert_eq!(out, down);
}

/// 32 is not heard by two who do not stay; that is no reason to give it up too.
#[test]
fn who_hears_all_who_stay_comes_back() {
    let all = nodes(3);
    let cut = [(23, 32), (31, 32), (12, 31), (13, 23)];
    let is_cut = |one: &Witness, other: &Witness| {
        cut.contains(&(one.id.0, other.id.0)) || cut.contains(&(other.id.0, one.id.0))
    };
    let out = out(&all, 11, &heard(&all, is_cut));
    assert!(!out.contains(&32), "{out:?}");
}

proptest! {
    #[test]
    fn those_who_stay_hear_each_other(
        per_zone in 1_u32..4,
        cut in prop::collection::btree_set((0_usize..9, 0_usize..9), 0..12),
    ) {
        let all = nodes(per_zone);
        let at = |node: &Witness| all.iter().position(|other| other.id == node.id).unwrap();
        let heard = heard(&all, |one, other| cut.contains(&(at(one), at(other))));
        let me = all[0].id;
        let kept = connected(&all, me, &heard, (&BTreeSet::new(), LIMIT));
        prop_assert!(kept.contains(&me));
        let cuts = |one: &Witness, other: &Witness| {
            one.id != other.id && !(heard.contains_key(&(one.id, other.id)) && heard.contains_key(&(other.id, one.id)))
        };
        let stays = |node: &&Witness| kept.contains(&node.id);
        for one in all.iter().filter(stays) {
            prop_assert!(all.iter().filter(stays).all(|other| !cuts(one, other)));
        }
        for out in all.iter().filter(|node| !stays(node)) {
            prop_assert!(all.iter().filter(stays).any(|other| cuts(out, other)), "{} is out without need", out.id);
        }
        // No more leave than there are cut links.
        let links = all.iter().enumerate().flat_map(|(n, one)| all[n + 1..].iter().map(move |other| (one, other)));
        let broken = links.filter(|(one, other)| cuts(one, other)).count();
        prop_assert!(all.len() - kept.len() <= broken);
    }
}
