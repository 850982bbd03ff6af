//! Random faults under load: every key stays a register.
//!
//! Each client writes to keys of its own rising numbers, one after the other, and reads all keys. A read must
//! see no less than the last number that was acknowledged before it began, or that another read had seen
//! before it began, and no more than what was tried before it ended.

use crate::cluster::{Cluster, get, put, runtime};
use index::engine::raft::RaftEngine;
use index::store::StoreError;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use types::Entropy;
use types::NodeId;
use types::entropy::SeededEntropy;

const CLIENTS: u64 = 4;

/// What is known of one key.
#[derive(Debug, Default, Clone, Copy)]
struct Register {
    /// The highest number that was acknowledged or read.
    certain: u64,
    /// The highest number that was tried.
    tried: u64,
}

type Registers = Arc<Mutex<BTreeMap<u64, Register>>>;
type Engines = Arc<Mutex<BTreeMap<NodeId, Arc<RaftEngine>>>>;

struct Clients {
    engines: Engines,
    registers: Registers,
    ends: Arc<AtomicBool>,
}

impl Clients {
    fn engine(&self, random: &SeededEntropy) -> Option<Arc<RaftEngine>> {
        let engines = self.engines.lock();
        let at = random.next_u64() as usize % engines.len().max(1);
        engines.values().nth(at).cloned()
    }

    async fn write(&self, client: u64, random: &SeededEntropy) -> bool {
        let number = {
            let mut registers = self.registers.lock();
            let register = registers.entry(client).or_default();
            register.tried += 1;
            register.tried
        };
        loop {
            let Some(engine) = self.engine(random) else {
                tokio::time::sleep(Duration::from_millis(5)).await;
                continue;
            };
            let name = format!("key {client}");
            match put(engine.as_ref(), &name, &number.to_string()).await {
                Ok(_) => {
                    let mut registers = self.registers.lock();
                    let register = registers.entry(client).or_default();
                    register.certain = register.certain.max(number);
                    return true;
                }
                Err(StoreError::Indeterminate(_)) => return false,
                Err(StoreError::NotLeader { .. } | StoreError::Unavailable(_)) => {
                    if self.ends.load(Ordering::Relaxed) {
                        return false;
                    }
                    drop(engine);
                    tokio::time::sleep(Duration::from_millis(3)).await;
                }
                Err(error) => panic!("{error}"),
            }
        }
    }

    async fn read(&self, key: u64, random: &SeededEntropy) -> bool {
        let Some(engine) = self.engine(random) else {
            return false;
        };
        let before = self.registers.lock().get(&key).copied().unwrap_or_default();
        let Ok(found) = get(engine.as_ref(), &format!("key {key}")).await else {
            return false;
        };
        let found = found.map_or(0, |text| text.parse::<u64>().expect("a number"));
        let mut registers = self.registers.lock();
        let register = registers.entry(key).or_default();
        assert!(
            found >= before.certain,
            "key {key}: {found} after {before:?}"
        );
        assert!(
            found <= register.tried,
            "key {key}: {found} was never tried: {register:?}"
        );
        register.certain = register.certain.max(found);
        true
    }

    async fn run(self: Arc<Self>, client: u64, seed: u64) -> (u64, u64) {
        let random = SeededEntropy::new(seed ^ (client << 32));
        let (mut writes, mut reads) = (0, 0);
        while !self.ends.load(Ordering::Relaxed) {
            if random.next_u64().is_multiple_of(2) {
                writes += u64::from(self.write(client, &random).await);
            } else {
                let key = random.next_u64() % CLIENTS;
                reads += u64::from(self.read(key, &random).await);
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        (writes, reads)
    }
}

/// One of the things that go wrong.
async fn fault(cluster: &mut Cluster, engines: &Engines, random: &SeededEntropy) {
    let ids = cluster.ids();
    let any = || ids[random.next_u64() as usize % ids.len()];
    match random.next_u64() % 5 {
        0 => cluster.net.isolate(any(), ids.clone()),
        1 => cluster.net.cut(any(), any()),
        2 => cluster.net.disturb(100, 40),
        3 => {
            let id = any();
            engines.lock().remove(&id);
            // It needs another that it reaches.
            cluster.net.heal();
            cluster.crash(id, |_| {}).await;
            cluster.start_all().await;
            let engine = Arc::clone(cluster.engine(id));
            engines.lock().insert(id, engine);
        }
        _ => cluster.net.heal(),
    }
}

fn run(seed: u64, faults: u32) {
    runtime().block_on(async {
        let mut cluster = Cluster::with(3, |options| options.flush_entries = 200).await;
        cluster.leader().await;
        let engines: BTreeMap<_, _> = cluster
            .ids()
            .into_iter()
            .map(|id| (id, Arc::clone(cluster.engine(id))))
            .collect();
        let clients = Arc::new(Clients {
            engines: Arc::new(Mutex::new(engines)),
            registers: Registers::default(),
            ends: Arc::default(),
        });
        let running: Vec<_> = (0..CLIENTS)
            .map(|client| tokio::spawn(Arc::clone(&clients).run(client, seed)))
            .collect();
        let random = SeededEntropy::new(seed);
        for _ in 0..faults {
            let pause_ms = 100 + random.next_u64() % 500;
            tokio::time::sleep(Duration::from_millis(pause_ms)).await;
            if random.next_u64().is_multiple_of(2) {
                cluster.net.heal();
            }
            fault_or_heal(&mut cluster, &clients.engines, &random).await;
        }
        cluster.net.heal();
        cluster.leader().await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        clients.ends.store(true, Ordering::Relaxed);
        let (mut writes, mut reads) = (0, 0);
        for running in running {
            let (wrote, read) = running.await.expect("every key is a register");
            (writes, reads) = (writes + wrote, reads + read);
        }
        println!("seed {seed}: {writes} writes, {reads} reads");
        assert!(
            writes > 20 && reads > 20,
            "{writes} writes and {reads} reads"
        );
        clients.engines.lock().clear();
        let registers = clients.registers.lock().clone();
        for (key, register) in registers {
            let found = cluster.get(&format!("key {key}")).await;
            let found = found.map_or(0, |text| text.parse::<u64>().expect("a number"));
            assert!(
                found >= register.certain,
                "key {key}: {found}, {register:?}"
            );
        }
        cluster.end().await;
    });
}

async fn fault_or_heal(cluster: &mut Cluster, engines: &Engines, random: &SeededEntropy) {
    let limit = Duration::from_secs(20);
    let done = tokio::time::timeout(limit, fault(cluster, engines, random)).await;
    assert!(done.is_ok(), "a node did not come back");
}

#[test]
fn every_key_stays_a_register_whatever_fails() {
    run(1, 14);
}

#[test]
#[ignore = "minutes: make soak runs it"]
fn every_key_stays_a_register_for_long() {
    for seed in 100..120 {
        run(seed, 40);
    }
}
