//! Schedules are what they are said to be.

use super::*;

const MINUTE: Duration = Duration::from_secs(60);

const ALL: [Kind; 11] = [
    Kind::Kill,
    Kind::Freeze,
    Kind::PowerLoss,
    Kind::Cut,
    Kind::Isolate,
    Kind::Delay,
    Kind::DeleteDisk,
    Kind::FillDisk,
    Kind::SlowDisk,
    Kind::FlipBits,
    Kind::Skew,
];

fn region() -> Shape {
    Shape {
        zones: 3,
        disks: 3,
        kinds: ALL.to_vec(),
    }
}

#[test]
fn a_schedule_follows_from_its_seed() {
    let of = |seed| schedule(seed, MINUTE, &region());
    assert_eq!(of(7), of(7));
    assert_ne!(of(7), of(8));
}

#[test]
fn every_kind_happens_and_all_end_in_time() {
    let mut seen = Vec::new();
    for seed in 0..200 {
        let steps = schedule(seed, MINUTE, &region());
        assert!(steps.len() >= 5, "seed {seed}: {steps:?}");
        for step in &steps {
            assert!(step.at >= QUIET && step.at + step.lasts <= MINUTE - QUIET);
            seen.push(step.fault.kind());
        }
    }
    for kind in ALL {
        assert!(seen.contains(&kind), "{kind:?}");
    }
}

#[test]
fn bytes_are_destroyed_on_one_disk_at_most() {
    for seed in 0..500 {
        let steps = schedule(seed, MINUTE * 5, &region());
        let destroyed = steps.iter().filter(|step| step.fault.kind().destroys());
        assert!(destroyed.count() <= 1, "seed {seed}");
    }
}

#[test]
fn what_cannot_be_done_does_not_happen() {
    let shape = Shape {
        zones: 1,
        disks: 6,
        kinds: vec![Kind::Kill, Kind::Freeze],
    };
    for step in schedule(3, MINUTE, &shape) {
        assert!(matches!(
            step.fault,
            Fault::Kill { zone: 0 } | Fault::Freeze { zone: 0 }
        ));
    }
}

#[test]
fn a_cut_is_between_different_zones() {
    for seed in 0..200 {
        for step in schedule(seed, MINUTE, &region()) {
            if let Fault::Cut { from, to, .. } = step.fault {
                assert!(!from.is_empty() && !to.is_empty());
                assert!(from.iter().all(|zone| !to.contains(zone)));
            }
        }
    }
}
