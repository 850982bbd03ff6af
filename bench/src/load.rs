//! The load generator: what it needs is stored first, then clients make requests until the time is over.

mod bucket;
mod pages;
mod stored;
mod worker;

pub use stored::Stored;

use crate::client::{Client, Fault, Target};
use crate::content::{Content, scatter};
use crate::keys::{Keys, Layout};
use crate::mix::{Mix, Operation};
use crate::options::{Payload, RunOptions, size_text};
use crate::process::Process;
use crate::report::{Meter, Report, What, write_json};
use crate::sign::Credentials;
use crate::tally::Tally;
use anyhow::{Context, Result, ensure};
use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;
use tokio::sync::Barrier;
use types::clock::{Clock, SystemClock};
use types::entropy::{Entropy, OsEntropy};
use worker::Worker;

/// How long an answer 503 without Retry-After is taken to ask for, and the longest that is waited.
const RETRY_AFTER: Duration = Duration::from_secs(1);
const RETRY_AFTER_MAX: Duration = Duration::from_secs(10);
/// Objects that runs store anew have numbers from here on.
const FIRST_NEW: u64 = 1 << 40;

/// A service, a bucket, and the objects that are or will be in it.
#[derive(Debug, Clone)]
pub struct Load {
    target: Arc<Target>,
    bucket: String,
    keys: Keys,
    content: Content,
    sizes: Vec<u64>,
    connections: usize,
    threads: usize,
    seed: u64,
    server: Option<Process>,
    clock: Arc<dyn Clock>,
    /// The number of the next object that is stored anew; runs go on where earlier ones ended.
    next_new: Arc<AtomicU64>,
}

/// One stretch of a run.
#[derive(Debug, Clone)]
pub struct Phase {
    /// Which operations.
    pub mix: Mix,
    /// No operation begins after this time.
    pub duration: Duration,
    /// No more operations than this are made.
    pub operations: u64,
    /// The numbers of objects that are there to be read.
    pub readable: Range<u64>,
    /// The numbers of objects that may be deleted.
    pub deletable: Range<u64>,
}

/// What the workers of a phase share.
#[derive(Debug)]
struct Shared {
    load: Load,
    phase: Phase,
    /// Objects that each client remembers, to be read back.
    sample_of_each: u64,
    /// Operations that may still begin.
    budget: AtomicU64,
    next_put: Arc<AtomicU64>,
    next_delete: AtomicU64,
    connected: Barrier,
    measured: Barrier,
}

/// What a [`Load`] is made from.
#[derive(Debug, Clone)]
pub struct Settings {
    /// `http://HOST:PORT`
    pub endpoint: String,
    /// Who signs.
    pub credentials: Credentials,
    /// Whether the hash of the body is signed.
    pub signs_payload: bool,
    /// The bucket of every object.
    pub bucket: String,
    /// What every key begins with.
    pub prefix: String,
    /// How keys are spread.
    pub layout: Layout,
    /// The sizes of objects, in bytes; each object has one of them.
    pub sizes: Vec<u64>,
    /// Connections.
    pub connections: usize,
    /// Threads of the client.
    pub threads: usize,
    /// Decides contents and choices.
    pub seed: u64,
    /// The server's process, if it is on this machine.
    pub server: Option<Process>,
}

impl Settings {
    fn of(options: &RunOptions) -> Result<Self> {
        Ok(Self {
            endpoint: options.service.endpoint.clone(),
            credentials: options.service.credentials()?,
            signs_payload: options.payload == Payload::Signed,
            bucket: options.bucket.clone(),
            prefix: options.prefix.clone().unwrap_or_else(own_prefix),
            layout: options.layout,
            sizes: options.size.clone(),
            connections: options.connections.into(),
            threads: options.threads.into(),
            seed: options.seed,
            server: options.server_pid.map(Process::new),
        })
    }
}

impl Load {
    /// A load generator; nothing is connected yet.
    pub fn new(settings: Settings) -> Result<Self> {
        let Settings {
            endpoint,
            credentials,
            signs_payload,
            ..
        } = settings;
        Ok(Self {
            target: Arc::new(Target::new(&endpoint, credentials, signs_payload)?),
            bucket: settings.bucket,
            keys: Keys::new(&settings.prefix, settings.layout),
            content: Content::new(settings.seed),
            sizes: settings.sizes,
            connections: settings.connections,
            threads: settings.threads.min(settings.connections),
            seed: settings.seed,
            server: settings.server,
            clock: Arc::new(SystemClock::new()),
            next_new: Arc::new(AtomicU64::new(FIRST_NEW)),
        })
    }

    /// Makes the bucket unless it is there; whether it was made.
    pub fn make_bucket(&self) -> Result<bool> {
        block_on(bucket::make(&mut self.client(), &self.bucket))?
    }

    /// Refuses a prefix with objects that others may have put there.
    fn refuse_used_prefix(&self) -> Result<()> {
        let prefix = self.keys.prefix();
        let found = block_on(bucket::first(&mut self.client(), &self.bucket, prefix))??;
        ensure!(
            found.is_none(),
            "there are objects under {prefix} already, which the end of the run would delete: choose another \
             --prefix, or --keep them all"
        );
        Ok(())
    }

    /// Deletes what is under the prefix, and the bucket too if it was made for the run.
    pub fn clear(&self, with_bucket: bool) -> Result<()> {
        let prefix = self.keys.prefix();
        block_on(bucket::clear(
            &mut self.client(),
            &self.bucket,
            prefix,
            with_bucket,
        ))?
    }

    /// Stores the objects with these numbers, and measures that; every one must succeed.
    pub fn fill(&self, numbers: Range<u64>) -> Result<Report> {
        let phase = Phase {
            mix: Mix::only(Operation::Put),
            duration: Duration::MAX,
            operations: numbers.end - numbers.start,
            readable: 0..0,
            deletable: 0..0,
        };
        let report = self.phase(phase, Arc::new(AtomicU64::new(numbers.start)))?;
        let why = report.errors.keys().next();
        ensure!(
            report.failed == 0,
            "{} of {} objects could not be stored: {}",
            report.failed,
            numbers.end - numbers.start,
            why.map_or("", String::as_str)
        );
        Ok(report)
    }

    /// Runs a phase and measures it; objects that it stores have numbers of their own.
    pub fn measure(&self, phase: Phase) -> Result<Report> {
        self.phase(phase, self.next_new.clone())
    }

    /// Runs the clients of a phase in threads of their own, each with a runtime of its own: a client's work
    /// then never moves between cores.
    fn phase(&self, phase: Phase, next_put: Arc<AtomicU64>) -> Result<Report> {
        let sizes: Vec<String> = self.sizes.iter().copied().map(size_text).collect();
        let what = What {
            work: format!("{} {}", phase.mix, sizes.join(",")),
            connections: self.connections,
        };
        let largest = self.sizes.iter().copied().max().unwrap_or(0);
        let sample = stored::sample_limit(largest);
        let shared = Arc::new(Shared {
            load: self.clone(),
            sample_of_each: sample.div_ceil(self.connections as u64),
            budget: AtomicU64::new(phase.operations),
            next_put,
            next_delete: AtomicU64::new(phase.deletable.start),
            connected: Barrier::new(self.connections + 1),
            measured: Barrier::new(self.connections + 1),
            phase,
        });
        let threads: Vec<_> = (0..self.threads)
            .map(|index| {
                let shared = shared.clone();
                thread::Builder::new()
                    .name(format!("bench-{index}"))
                    .spawn(move || run_thread(&shared, index))
            })
            .collect::<Result<_, _>>()
            .context("cannot start a thread")?;
        block_on(shared.connected.wait())?;
        let meter = Meter::start(self.server)?;
        let began = self.clock.monotonic();
        block_on(shared.measured.wait())?;
        let mut tally = Tally::default();
        for thread in threads {
            tally.add(thread.join().expect("a client does not panic")?);
        }
        let took = self.clock.monotonic() - began;
        tally.stored = stored::thin(&tally.stored, sample);
        meter.stop(what, took, tally)
    }

    /// Reads the sample of what the run put back, byte for byte; what is wrong counts as failed in the report.
    pub fn read_back(&self, report: &mut Report) -> Result<()> {
        let sample = std::mem::take(&mut report.stored);
        let (read, wrong) = block_on(stored::read_back(self, &sample))?;
        report.read_back += read;
        for label in wrong {
            report.count_failed(label, 1);
        }
        Ok(())
    }

    fn client(&self) -> Client {
        Client::new(self.target.clone(), self.clock.clone())
    }

    /// The path of the object with this number.
    fn path(&self, number: u64) -> String {
        format!("/{}/{}", self.bucket, self.keys.key(number))
    }

    /// The size of the object with this number.
    fn size(&self, number: u64) -> u64 {
        self.sizes[scatter(number) as usize % self.sizes.len()]
    }
}

impl Shared {
    /// Whether one more operation may begin.
    fn take(&self) -> bool {
        let fewer = |left: u64| left.checked_sub(1);
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        self.budget.fetch_update(set, fetch, fewer).is_ok()
    }
}

/// Runs every `threads`th worker, from the one with this index on.
fn run_thread(shared: &Arc<Shared>, index: usize) -> Result<Tally> {
    block_on(async {
        let workers: Vec<_> = (index..shared.load.connections)
            .step_by(shared.load.threads)
            .map(|index| tokio::spawn(Worker::new(shared.clone(), index).run()))
            .collect();
        let mut tally = Tally::default();
        for worker in workers {
            tally.add(worker.await.expect("a client does not panic"));
        }
        tally
    })
}

fn block_on<T>(future: impl Future<Output = T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    Ok(runtime.block_on(future))
}

/// `cairn bench run`: prepares, warms up, measures, reads back, prints, and deletes what it made.
pub fn run(options: &RunOptions) -> Result<()> {
    options.check()?;
    let load = Load::new(Settings::of(options)?)?;
    let result = prepare_and_measure(&load, options);
    if let Some(file) = &options.json {
        match &result {
            Ok(report) => write_json(file, report)?,
            Err(error) => write_json(file, &serde_json::json!({ "error": format!("{error:#}") }))?,
        }
    }
    let report = result?;
    print!("{}", report.table());
    ensure!(report.failed == 0, "{} operations failed", report.failed);
    ensure!(report.operations > 0, "no operation succeeded");
    Ok(())
}

/// A prefix that no other run has.
fn own_prefix() -> String {
    format!("bench-{:016x}", OsEntropy.next_u64())
}

fn prepare_and_measure(load: &Load, options: &RunOptions) -> Result<Report> {
    let made_bucket = load.make_bucket()?;
    if !made_bucket && !options.keep {
        load.refuse_used_prefix()?;
    }
    let mut result = measure(load, options);
    if !options.keep
        && let Err(error) = load.clear(made_bucket)
    {
        let left = format!("what was stored could not be deleted: {error:#}");
        match &mut result {
            Ok(report) => report.count_failed(left, 1),
            Err(_) => eprintln!("{left}"),
        }
    }
    result
}

fn measure(load: &Load, options: &RunOptions) -> Result<Report> {
    let mix = &options.mix;
    let objects = options.objects();
    let reads = [Operation::Get, Operation::Head, Operation::List];
    let count = |needed: bool| if needed { objects } else { 0 };
    let readable = 0..count(reads.iter().any(|read| mix.has(*read)));
    let deletable = readable.end..readable.end + count(mix.has(Operation::Delete));
    load.fill(readable.start..deletable.end)?;
    let mut phase = Phase {
        mix: mix.clone(),
        duration: options.warm_up,
        operations: u64::MAX,
        readable,
        deletable,
    };
    let warm_up = if options.warm_up.is_zero() || mix.has(Operation::Delete) {
        None
    } else {
        Some(load.measure(phase.clone())?)
    };
    phase.duration = options.duration;
    phase.operations = options.operations.unwrap_or(u64::MAX);
    let mut report = load.measure(phase)?;
    load.read_back(&mut report)?;
    if let Some(warm_up) = warm_up {
        report.count_failures_of(&warm_up);
    }
    Ok(report)
}

/// How long the service asks to wait.
fn patience(fault: &Fault) -> Duration {
    match fault {
        Fault::Refused {
            retry_after: Some(time),
            ..
        } => (*time).min(RETRY_AFTER_MAX),
        _ => RETRY_AFTER,
    }
}

/// A fault, with advice where there is some.
fn explain(fault: Fault, what: &str) -> anyhow::Error {
    let advice = match &fault {
        Fault::Refused { status: 403, .. } => {
            "; check --access-key, --secret-key and --region, and this machine's clock"
        }
        Fault::Connection(_) => "; is the service running, and is --endpoint right?",
        _ => "",
    };
    anyhow::anyhow!("{what}: {fault}{advice}")
}
