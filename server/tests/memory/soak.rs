//! A mixed load, every answer of it checked, on a server that the kernel holds to a limit of memory.

use crate::cage::Cage;
use crate::clients;
use crate::common::s3::S3;
use crate::common::server::{Installation, Server};
use crate::common::workload::Dice;
use crate::process::{memory, mib};
use crate::wire::multipart;
use crate::{BUCKET, MIB, soak};
use bytes::Bytes;
use http::Method;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

const CLIENTS: u64 = 16;
const KEYS: u64 = 16;
/// Bytes a second that one client stores: what is replaced stays on disk until its grace is over.
const BYTES_A_SECOND: u64 = 2 * MIB;

/// What a run is made of.
#[derive(Clone, Copy)]
struct Form {
    time: Duration,
    memory_limit: u64,
    cage: u64,
    object_max: u64,
}

fn form() -> Form {
    if !soak() {
        return Form {
            time: Duration::from_secs(20),
            memory_limit: 256 * MIB,
            cage: 384 * MIB,
            object_max: 8 * MIB,
        };
    }
    let minutes = std::env::var("CAIRN_SOAK_MINUTES").map_or(60, |text| text.parse().unwrap());
    Form {
        time: Duration::from_secs(60 * minutes),
        memory_limit: 768 * MIB,
        cage: 1024 * MIB,
        object_max: 64 * MIB,
    }
}

/// What all clients did.
#[derive(Default)]
struct Done {
    requests: AtomicU64,
    bytes: AtomicU64,
    refused: AtomicU64,
}

/// One client with keys of its own, and what must be under them: seed and length.
struct Client {
    s3: S3,
    number: u64,
    dice: Dice,
    objects: BTreeMap<String, (u64, u64)>,
    object_max: u64,
    done: Arc<Done>,
}

impl Client {
    fn path(&self, key: &str) -> String {
        format!("/{BUCKET}/{key}")
    }

    fn length(&mut self) -> u64 {
        let most = [
            1,
            4 << 10,
            4 << 10,
            16 << 10,
            128 << 10,
            1 << 20,
            1 << 20,
            8 << 20,
            64 << 20,
        ];
        let most = most[self.dice.roll(9) as usize];
        self.dice.roll(self.object_max.min(most) + 1)
    }

    fn any_key(&mut self) -> String {
        format!("{:02}/{}", self.number, self.dice.roll(KEYS))
    }

    /// The answer to a request without a body.
    async fn ask(
        &self,
        method: Method,
        key: &str,
        headers: &[(&str, &str)],
    ) -> crate::common::s3::Answer {
        loop {
            let path = self.path(key);
            let answer = self
                .s3
                .send(method.clone(), &path, &[], headers, Bytes::new());
            let answer = answer.await.unwrap();
            if answer.status != 503 {
                return answer;
            }
            self.done.refused.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Stores an object; in parts where that was rolled and it is large enough.
    async fn store(&mut self) -> u64 {
        let (key, length, seed) = (self.any_key(), self.length(), self.dice.roll(1 << 40));
        let path = self.path(&key);
        if length > 5 * MIB && self.dice.roll(2) == 0 {
            multipart(&self.s3, &path, seed, length, 5 * MIB + self.dice.roll(MIB)).await;
        } else {
            let refused = clients::put(&self.s3, &path, seed, length).await;
            self.done.refused.fetch_add(refused, Ordering::Relaxed);
        }
        self.objects.insert(key, (seed, length));
        length
    }

    async fn fetch(&mut self) -> u64 {
        let key = self.any_key();
        let Some((seed, length)) = self.objects.get(&key).copied() else {
            assert_eq!(self.ask(Method::GET, &key, &[]).await.status, 404);
            return 0;
        };
        let refused = clients::get(&self.s3, &self.path(&key), seed, length).await;
        self.done.refused.fetch_add(refused, Ordering::Relaxed);
        length
    }

    async fn look(&mut self) {
        let key = self.any_key();
        let answer = self.ask(Method::HEAD, &key, &[]).await;
        match self.objects.get(&key) {
            Some((_, length)) => {
                assert_eq!(
                    answer.ok().header("content-length").unwrap(),
                    length.to_string()
                );
            }
            None => assert_eq!(answer.status, 404),
        }
    }

    async fn list(&self) {
        let prefix = format!("{:02}/", self.number);
        let query = [("list-type", "2"), ("prefix", prefix.as_str())];
        let path = format!("/{BUCKET}");
        let page = self.s3.send(Method::GET, &path, &query, &[], Bytes::new());
        let page = page.await.unwrap().ok();
        let sizes = page
            .all("Size")
            .into_iter()
            .map(|size| size.parse().unwrap());
        let listed: BTreeMap<String, u64> = page.all("Key").into_iter().zip(sizes).collect();
        let expected = self
            .objects
            .iter()
            .map(|(key, (_, length))| (key.clone(), *length));
        assert_eq!(listed, expected.collect());
    }

    async fn remove(&mut self) {
        let key = self.any_key();
        self.ask(Method::DELETE, &key, &[]).await.ok();
        self.objects.remove(&key);
    }

    async fn copy(&mut self) {
        let (from, to) = (self.any_key(), self.any_key());
        let Some(object) = self.objects.get(&from).copied().filter(|_| from != to) else {
            return;
        };
        let source = self.path(&from);
        self.ask(Method::PUT, &to, &[("x-amz-copy-source", &source)])
            .await
            .ok();
        self.objects.insert(to, object);
    }

    async fn work(mut self, until: Instant) -> Self {
        while Instant::now() < until {
            let bytes = match self.dice.roll(20) {
                0..6 => {
                    let stored = self.store().await;
                    let pause = stored * 1000 / BYTES_A_SECOND;
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                    stored
                }
                6..13 => self.fetch().await,
                13..15 => {
                    self.look().await;
                    0
                }
                15..17 => {
                    self.list().await;
                    0
                }
                17..19 => {
                    self.copy().await;
                    0
                }
                _ => {
                    self.remove().await;
                    0
                }
            };
            self.done.requests.fetch_add(1, Ordering::Relaxed);
            self.done.bytes.fetch_add(bytes, Ordering::Relaxed);
        }
        self
    }

    /// Reads everything once more.
    async fn verify(self) {
        self.list().await;
        for (key, (seed, length)) in &self.objects {
            clients::get(&self.s3, &self.path(key), *seed, *length).await;
        }
    }
}

/// Says once a minute how it goes.
async fn report(pid: u32, done: Arc<Done>) {
    let started = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_secs(60)).await;
        println!(
            "{} min: {} requests, {}, {} refused; memory {}, peak {}",
            started.elapsed().as_secs() / 60,
            done.requests.load(Ordering::Relaxed),
            mib(done.bytes.load(Ordering::Relaxed)),
            done.refused.load(Ordering::Relaxed),
            mib(memory(pid).now),
            mib(memory(pid).peak)
        );
    }
}

fn start(form: Form, root: &std::path::Path) -> Server {
    let mut installation = Installation::new(root, 6);
    installation.set("memory-limit", &format!("{}B", form.memory_limit));
    installation.set("volume-size", "64MiB");
    installation.set("read-deadline", "60s");
    installation.set("reclaim-grace", "61s");
    installation.set("write-deadline", "120s");
    if let Some(binary) = std::env::var_os("CAIRN_BINARY") {
        installation.binary = binary.into();
    }
    installation.start()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mixed_load_fits_its_cage() {
    run(form(), Cage::around).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mixed_load_fits_where_no_group_can_be_made() {
    let form = Form {
        time: Duration::from_secs(5),
        ..form()
    };
    run(form, Cage::data_segment).await;
}

async fn run(form: Form, cage: impl Fn(u32, u64) -> Cage) {
    let dir = crate::common::server::directory();
    let mut server = start(form, dir.path());
    let cage = cage(server.pid(), form.cage);
    server.s3.create_bucket(BUCKET).await.unwrap().ok();
    let done = Arc::new(Done::default());
    let reporter = tokio::spawn(report(server.pid(), Arc::clone(&done)));
    let until = Instant::now() + form.time;
    let worked = clients::each(CLIENTS, |number| {
        let client = Client {
            s3: server.s3.clone(),
            number,
            dice: Dice::new(number + 1),
            objects: BTreeMap::new(),
            object_max: form.object_max,
            done: Arc::clone(&done),
        };
        client.work(until)
    });
    for client in worked.await {
        client.verify().await;
    }
    reporter.abort();
    assert!(server.alive());
    let memory = memory(server.pid());
    println!(
        "{} s in a {} of {} with memory_limit {}: {} requests, {}, {} refused; memory {}, peak {}; the \
         kernel freed pages {:?} times",
        form.time.as_secs(),
        cage.name(),
        mib(form.cage),
        mib(form.memory_limit),
        done.requests.load(Ordering::Relaxed),
        mib(done.bytes.load(Ordering::Relaxed)),
        done.refused.load(Ordering::Relaxed),
        mib(memory.now),
        mib(memory.peak),
        cage.failures(),
    );
    assert!(memory.peak <= form.memory_limit, "{}", mib(memory.peak));
    assert_eq!(server.stop(), Some(0));
}
