//! A simulation of a whole site in one thread: gateways, an index in memory, disks in memory that lose power, and
//! the background work, with everything going wrong that may, by choices that follow from a seed.
//!
//! - Index, chunkstore and scheduler are the product's own. What stands between them is here: the ways to the
//!   engine ([`store`]) and to the disks ([`disk`]), who keeps the cluster map ([`keeper`]), what a gateway does
//!   for a request ([`gateway`]), what clients ask ([`client`]), what goes wrong ([`faults`]).
//! - One runtime of one thread, whose clock goes to the next timer when nothing else is to be done: hours take
//!   moments, and the same seed gives the same log, byte for byte.
//! - What clients saw is judged as histories ([`record`]), and the site once all is well again ([`check`]).

mod background;
mod bug;
mod check;
mod client;
mod commit;
mod dice;
mod disk;
mod faults;
mod gateway;
mod keeper;
mod log;
mod machine;
mod network;
mod panics;
mod record;
mod store;
mod time;
mod world;

pub use bug::Bug;

use background::Background;
use client::Client;
use dice::Dice;
use log::Log;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use world::World;

/// Clients, each of which makes one request after the other.
const CLIENTS: usize = 5;
/// Requests of each, at the most.
const REQUESTS_MAX: u64 = 30;
/// Time for what is under way to come to its end.
const QUIET: Duration = Duration::from_secs(60);

/// What came of one seed.
#[derive(Debug)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// What happened, one line each.
    pub log: String,
    /// What must never happen, and did.
    pub violations: Vec<String>,
    /// Histories that were judged.
    pub histories: usize,
    /// Of those, how many could not be decided in reasonable time.
    pub undecided: usize,
}

impl Report {
    /// BLAKE3 of the log, in hexadecimal.
    #[must_use]
    pub fn hash(&self) -> String {
        blake3::hash(self.log.as_bytes()).to_hex().to_string()
    }
}

/// Runs the world of a seed, with a bug in it if one is given.
///
/// # Panics
/// When the operating system gives no runtime. (A panic of anything that runs in it is a violation.)
#[must_use]
pub fn run(seed: u64, bug: Option<Bug>) -> Report {
    run_with(seed, bug, false)
}

/// As [`run`]; the log is also printed line by line.
///
/// # Panics
/// As [`run`].
#[must_use]
pub fn run_shown(seed: u64, bug: Option<Bug>) -> Report {
    run_with(seed, bug, true)
}

fn run_with(seed: u64, bug: Option<Bug>, is_shown: bool) -> Report {
    panics::watch();
    drop(panics::take());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime of one thread without devices needs nothing");
    let log = Arc::new(runtime.block_on(async { Log::new(is_shown) }));
    let lived = AssertUnwindSafe(|| runtime.block_on(live(seed, bug, &log)));
    // What panicked is among the panics that were noted.
    let (histories, undecided) = catch_unwind(lived).unwrap_or_default();
    for panic in panics::take() {
        log.violation(format_args!("{panic}"));
    }
    let (log, violations) = log.take();
    Report {
        seed,
        log,
        violations,
        histories,
        undecided,
    }
}

/// The histories that were judged, and how many of them could not be decided.
async fn live(seed: u64, bug: Option<Bug>, log: &Arc<Log>) -> (usize, usize) {
    let world = World::new(seed, bug, Arc::clone(log));
    let dice = Dice::new(seed ^ 0x0051_AB1E_C0FF_EE00);
    if let Err(error) = world.make_buckets().await {
        log.violation(format_args!("the buckets cannot be made: {error}"));
    }
    act(&world, &dice).await;
    judge(&world, &dice).await;
    let (histories, undecided) = world.record.judge(log);
    log.line(format_args!("{histories} histories, {undecided} undecided"));
    (histories, undecided)
}

/// Clients ask while things go wrong.
async fn act(world: &Arc<World>, dice: &Dice) {
    let beside = [
        tokio::spawn(faults::run(Arc::clone(world), dice.fork())),
        tokio::spawn(faults::mend(Arc::clone(world), dice.fork())),
        tokio::spawn(background::run(Arc::clone(world), dice.fork())),
    ];
    let requests = dice.between(6, REQUESTS_MAX) as usize;
    let mood = dice.seed();
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let client = Client::new(Arc::clone(world), number, dice.fork(), mood);
            tokio::spawn(client.run(requests))
        })
        .collect();
    for client in clients {
        client.await.expect("a client does not panic");
    }
    beside.iter().for_each(tokio::task::JoinHandle::abort);
}

/// All is well again: everything that was promised must be there, and nothing else.
async fn judge(world: &Arc<World>, dice: &Dice) {
    world.site.log.line(format_args!("all is well again"));
    // Until what was going on has ended, and once more for what that has left.
    for _ in 0..2 {
        tokio::time::sleep(QUIET).await;
        faults::heal(world, dice).await;
    }
    tokio::time::sleep(QUIET).await;
    let gateway = world.gateway_on(world.start_machine("judge"));
    let worker = world.start_machine("worker");
    let mut background = match Background::start(world, worker).await {
        Ok(background) => background,
        Err(error) => {
            let log = &world.site.log;
            return log.violation(format_args!("the background work cannot begin: {error}"));
        }
    };
    check::observe(world, &gateway).await;
    check::read_all(world, &gateway, &[], "before repair").await;
    check::settle(world, &mut background, false).await;
    for _ in 0..2 {
        let first = dice.index(world::DISKS);
        let second = (first + 1 + dice.index(world::DISKS - 1)) % world::DISKS;
        let gone = [first, second].map(|number| world.site.disks[number].id);
        check::read_without(world, &gateway, gone).await;
        faults::heal(world, dice).await;
    }
    check::observe(world, &gateway).await;
    check::delete_all(world, &gateway).await;
    check::settle(world, &mut background, true).await;
}
