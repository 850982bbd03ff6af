//! Random histories with losses of power, against a model. After every crash: what was acknowledged and not
//! deleted is there and identical; everything else is there identical, or absent.

use crate::disk_fixtures::{COMPACT_ALL, Machine, body, key, record, run};
use crate::shard::{ReadShardError, ShardKey, ShardStore};
use crate::store::DiskStore;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::Arc;
use types::{ChunkId, PgId};

#[derive(Debug, Clone)]
enum Step {
    /// Puts stripes of a chunk at once.
    Put {
        chunk: u8,
        stripes: u8,
    },
    Delete {
        chunk: u8,
    },
    Flush,
    Compact,
    /// The process ends and starts again.
    Restart,
    /// The power goes, and what comes back is decided by the seed; it may go again during opening.
    Crash {
        seed: u64,
        again_after: Option<u8>,
    },
    /// The power will go in the midst of what follows.
    EndPower {
        changes: u8,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0..6_u8, 1..6_u8).prop_map(|(chunk, stripes)| Step::Put { chunk, stripes }),
        2 => (0..6_u8).prop_map(|chunk| Step::Delete { chunk }),
        1 => Just(Step::Flush),
        1 => Just(Step::Compact),
        1 => Just(Step::Restart),
        2 => (any::<u64>(), proptest::option::of(0..12_u8))
            .prop_map(|(seed, again_after)| Step::Crash { seed, again_after }),
        2 => (0..20_u8).prop_map(|changes| Step::EndPower { changes }),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Must {
    BeThere,
    /// It may be there or not.
    Either,
    BeGone,
}

/// Bodies of one block and of two, whole blocks and not.
fn len(key: &ShardKey) -> usize {
    [10, 5000, 65_536, 70_000][(key.chunk.0 as usize + key.stripe as usize) % 4]
}

struct World {
    machine: Machine,
    store: Arc<DiskStore>,
    model: BTreeMap<ShardKey, Must>,
}

impl World {
    /// Small volumes, so that there are many.
    fn new() -> Self {
        let machine = Machine::new(200_000);
        let store = machine.open().unwrap();
        Self {
            machine,
            store,
            model: BTreeMap::new(),
        }
    }

    fn apply(&mut self, step: Step) {
        match step {
            Step::Put { chunk, stripes } => self.put(chunk, stripes),
            Step::Delete { chunk } => self.delete(chunk),
            Step::Flush => drop(run(self.store.flush())),
            Step::Compact => {
                if let Ok(report) = run(self.store.compact(COMPACT_ALL)) {
                    assert_eq!(report.findings, []);
                }
            }
            Step::Restart => self.restart(),
            Step::Crash { seed, again_after } => self.crash(seed, again_after),
            Step::EndPower { changes } => self.machine.power.ends_after(u32::from(changes)),
        }
        self.check();
    }

    fn restart(&mut self) {
        let _ = run(self.store.close());
        if self.store.read_only().is_some() {
            // A put that failed may come to light, though its chunk was deleted after it.
            self.forget_deletes();
        }
        match self.machine.open() {
            Ok(store) => self.store = store,
            // Without power it does not open; what is next is a crash.
            Err(_) => self.crash(7, None),
        }
    }

    fn put(&mut self, chunk: u8, stripes: u8) {
        let keys: Vec<_> = (0..stripes)
            .map(|s| key(u128::from(chunk), u32::from(s)))
            .collect();
        let puts = keys
            .iter()
            .map(|key| self.store.put(record(*key, len(key))));
        let results = run(futures::future::join_all(puts));
        for (key, result) in keys.into_iter().zip(results) {
            let must = self.model.entry(key).or_insert(Must::Either);
            *must = match (result, *must) {
                (Ok(()), _) | (Err(_), Must::BeThere) => Must::BeThere,
                (Err(_), _) => Must::Either,
            };
        }
    }

    fn delete(&mut self, chunk: u8) {
        let chunk = ChunkId(u128::from(chunk));
        let result = run(self.store.delete(PgId(7), chunk));
        let after = if result.is_ok() {
            Must::BeGone
        } else {
            Must::Either
        };
        for (_, must) in self.model.iter_mut().filter(|(key, _)| key.chunk == chunk) {
            *must = after;
        }
    }

    fn crash(&mut self, seed: u64, again_after: Option<u8>) {
        // The process is gone, and with it what it would still have written.
        self.machine.power.ends_after(0);
        let _ = run(self.store.close());
        self.machine = self.machine.after_crash(seed);
        if let Some(changes) = again_after {
            self.machine.power.ends_after(u32::from(changes));
            drop(self.machine.open());
            self.machine = self.machine.after_crash(seed.rotate_left(17));
        }
        self.store = self.machine.open().expect("with power, a disk opens");
        self.forget_deletes();
    }

    /// What was deleted may come back.
    fn forget_deletes(&mut self) {
        for must in self
            .model
            .values_mut()
            .filter(|must| **must == Must::BeGone)
        {
            *must = Must::Either;
        }
    }

    fn check(&self) {
        let mut there = 0;
        for (key, must) in &self.model {
            match run(body(&self.store, *key)) {
                Ok(bytes) => {
                    assert_ne!(*must, Must::BeGone, "{key:?} was deleted");
                    assert_eq!(bytes, record(*key, len(key)).body, "{key:?}");
                    there += 1;
                }
                Err(ReadShardError::Missing { .. }) => {
                    assert_ne!(*must, Must::BeThere, "{key:?} was acknowledged");
                }
                Err(error) => panic!("{key:?}: {error}"),
            }
        }
        let listed = run(self.store.list(PgId(7), None, 1000)).unwrap();
        assert_eq!(listed.len(), there);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, max_shrink_iters: 300, ..ProptestConfig::default() })]

    #[test]
    fn acknowledged_shards_survive_every_history(
        steps in proptest::collection::vec(step(), 1..25),
        seed: u64,
    ) {
        let mut world = World::new();
        for step in steps {
            world.apply(step);
        }
        world.apply(Step::Crash { seed, again_after: None });
        let usage = world.store.usage();
        let listed = run(world.store.list(PgId(7), None, 1000)).unwrap();
        prop_assert_eq!(usage.shards, listed.len() as u64, "the counts are exact");
        // The catalogue may be lost besides: deleted shards may come back, nothing else changes.
        let _ = run(world.store.close());
        world.machine = world.machine.without_catalog();
        world.store = world.machine.open().unwrap();
        world.forget_deletes();
        world.check();
    }

    #[test]
    fn flipped_bits_never_give_wrong_bytes(
        flips in proptest::collection::vec((any::<proptest::sample::Index>(), 0..8_u8), 1..6),
        is_rebuilt: bool,
    ) {
        let mut world = World::new();
        for chunk in 0..3 {
            world.put(chunk, 5);
        }
        let _ = run(world.store.close());
        for (place, bit) in flips {
            let volumes = world.store.volumes();
            let name = crate::volume::format::volume_name(volumes[place.index(volumes.len())]);
            world.machine.disk.corrupt(&name, |bytes| {
                if !bytes.is_empty() {
                    let at = place.index(bytes.len());
                    bytes[at] ^= 1 << bit;
                }
            });
        }
        if is_rebuilt {
            world.machine = world.machine.without_catalog();
        }
        let store = world.machine.open().unwrap();
        for key in world.model.keys() {
            if let Ok(bytes) = run(body(&store, *key)) {
                prop_assert_eq!(bytes, record(*key, len(key)).body);
            }
        }
        // Whatever is damaged can be put again.
        for key in world.model.keys() {
            run(store.put(record(*key, len(key)))).unwrap();
            prop_assert!(run(body(&store, *key)).is_ok());
        }
    }
}
