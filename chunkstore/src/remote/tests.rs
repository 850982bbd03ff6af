//! A disk behind a caller is like the disk itself; and whatever the network does, no byte is wrong and no put is
//! counted that was not stored.

use super::message::{Failure, PutRequest, kind};
use super::*;
use crate::shard::{
    DiskUsage, PutShardError, ReadShardError, ShardInfo, ShardKey, ShardRecord, ShardStore,
};
use crate::testing::{BUCKET, ClusterShape, MANIFEST, MemoryCluster, MemoryShards, Puts, Reads};
use crate::{ChunkStore, block};
use parking_lot::Mutex;
use proptest::prelude::*;
use std::sync::Arc;
use tokio::sync::watch;
use types::entropy::{Entropy, SeededEntropy};
use types::{ChunkId, ClusterView, DiskId, ErasureProfile, PgId};

const DEADLINE: Duration = Duration::from_millis(200);

/// What the network does with calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    Works,
    /// Refuses before anything is sent.
    Refuses,
    /// Delivers the request and loses the answer.
    LosesAnswers,
    /// Flips a bit in the body of each answer.
    FlipsAnswers,
    /// Flips a bit in the body of each request.
    FlipsRequests,
    /// Gives each caller the answer to the call before.
    MixesUp,
    /// Answers failures that nobody understands.
    Babbles,
}

#[derive(Debug)]
struct LoopCaller {
    service: Arc<ShardService>,
    line: Mutex<Line>,
    earlier: Mutex<Message>,
}

fn flipped(body: &Bytes) -> Bytes {
    let mut body = body.to_vec();
    if let Some(byte) = body.last_mut() {
        *byte ^= 1;
    }
    body.into()
}

#[async_trait]
impl NodeCaller for LoopCaller {
    async fn call(
        &self,
        method: ShardMethod,
        mut request: Message,
        _deadline: Duration,
    ) -> Result<Message, CallError> {
        let line = *self.line.lock();
        match line {
            Line::Refuses => return Err(CallError::NotSent("cut".to_owned())),
            Line::Babbles => return Err(CallError::Failed(Bytes::from_static(b"\xff\xff\xff"))),
            Line::FlipsRequests => request.body = flipped(&request.body),
            _ => {}
        }
        let mut answer = self
            .service
            .handle(method, request)
            .await
            .map_err(CallError::Failed)?;
        let earlier = std::mem::replace(&mut *self.earlier.lock(), answer.clone());
        match line {
            Line::LosesAnswers => return Err(CallError::Unknown("reset".to_owned())),
            Line::FlipsAnswers => answer.body = flipped(&answer.body),
            Line::MixesUp => return Ok(earlier),
            _ => {}
        }
        Ok(answer)
    }
}

/// A disk in memory, the same behind a caller, and the caller.
struct Pair {
    direct: Arc<MemoryShards>,
    remote: Arc<RemoteDisk>,
    node: Arc<RemoteNode>,
    caller: Arc<LoopCaller>,
    view: watch::Sender<Arc<ClusterView>>,
}

fn behind_a_caller(direct: Arc<MemoryShards>, view: ClusterView) -> Pair {
    let (view, receiver) = watch::channel(Arc::new(view));
    let service = ShardService::new([Arc::clone(&direct) as Arc<dyn ShardStore>], receiver);
    let caller = Arc::new(LoopCaller {
        service: Arc::new(service),
        line: Mutex::new(Line::Works),
        earlier: Mutex::default(),
    });
    let node = RemoteNode::new(Arc::clone(&caller) as _, DEADLINE);
    let remote = node.disk(direct.disk());
    Pair {
        direct,
        remote,
        node,
        caller,
        view,
    }
}

fn pair() -> Pair {
    behind_a_caller(
        Arc::new(MemoryShards::new(DiskId(3), 1 << 30)),
        ClusterView::default(),
    )
}

fn record(stripe: u32, length: usize) -> ShardRecord {
    let key = ShardKey {
        pg: PgId(4),
        chunk: ChunkId(5),
        stripe,
        shard: 1,
    };
    let profile = ErasureProfile::new(1, 2).unwrap();
    let mut body = vec![0; length];
    SeededEntropy::new(stripe.into()).fill(&mut body);
    ShardRecord {
        key,
        pg_version: 2,
        profile,
        bucket: BUCKET,
        manifest: MANIFEST,
        stripe_bytes: u32::try_from(length).unwrap(),
        block_checksums: block::checksums(&key, profile, &body),
        body: body.into(),
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().build().unwrap().block_on(future)
}

#[test]
fn a_remote_disk_does_what_the_disk_does() {
    run(async {
        let Pair {
            direct,
            remote,
            node,
            ..
        } = pair();
        assert_eq!(
            remote.usage(),
            DiskUsage::default(),
            "nothing was heard yet"
        );
        for (stripe, length) in [(0, 1), (1, 65_536), (2, 200_000)] {
            remote.put(record(stripe, length)).await.unwrap();
        }
        assert_eq!(direct.shards().len(), 3);
        assert_eq!(direct.shards()[2], record(2, 200_000));
        let key = record(2, 0).key;
        for (first, count) in [(0, 4), (1, 2), (3, 9)] {
            let (there, here) = (
                direct.read(key, first, count).await,
                remote.read(key, first, count).await,
            );
            assert_eq!(here, there);
            assert!(here.is_ok());
        }
        let page: Vec<ShardInfo> = direct.list(key.pg, None, 2).await.unwrap();
        assert_eq!(remote.list(key.pg, None, 2).await.unwrap(), page);
        let rest = remote.list(key.pg, Some(page[1].key), 2).await.unwrap();
        assert_eq!(rest.len(), 1);
        node.refresh_usage().await.unwrap();
        assert_eq!(remote.usage(), direct.usage());
        remote.delete(key.pg, key.chunk).await.unwrap();
        assert_eq!(direct.shards(), []);
        let missing = ReadShardError::Missing { disk: DiskId(3) };
        assert_eq!(remote.read(key, 0, 1).await, Err(missing));
    });
}

#[test]
fn a_list_is_as_long_as_was_asked_for() {
    run(async {
        let Pair { direct, remote, .. } = pair();
        for stripe in 0..LIST_MAX + 10 {
            direct.plant(record(stripe, 1).key, record(stripe, 1));
        }
        for limit in [0, 1, LIST_MAX as usize + 5, LIST_MAX as usize + 10, 1 << 20] {
            let there = direct.list(PgId(4), None, limit).await.unwrap();
            assert_eq!(remote.list(PgId(4), None, limit).await.unwrap(), there);
        }
    });
}

/// What a newer node says in words that this one does not know is no evidence against a disk.
#[test]
fn an_unknown_failure_says_nothing_of_the_disk() {
    let unknown = || Failure::of(200, "something new");
    let put = unknown().of_put(DiskId(3));
    assert!(matches!(put, PutShardError::Unreachable { .. }), "{put}");
    let read = unknown().of_read(DiskId(3));
    assert!(matches!(read, ReadShardError::Unreachable { .. }), "{read}");
}

#[test]
fn faults_of_the_disk_keep_their_meaning() {
    run(async {
        let Pair { direct, remote, .. } = pair();
        for puts in [Puts::Fail, Puts::ReadOnly, Puts::Full] {
            direct.set_puts(puts);
            let there = direct
                .put(record(0, 9))
                .await
                .expect_err("the disk refuses");
            assert_eq!(remote.put(record(0, 9)).await, Err(there));
        }
        direct.set_reads(Reads::Fail);
        let key = record(0, 9).key;
        let there = direct.read(key, 0, 1).await;
        assert!(there.is_err());
        assert_eq!(remote.read(key, 0, 1).await, there);
        assert!(remote.list(key.pg, None, 1).await.is_err());
        assert!(remote.delete(key.pg, key.chunk).await.is_err());
    });
}

#[test]
fn a_disk_that_the_node_does_not_have_cannot_be_reached() {
    run(async {
        let Pair { node, .. } = pair();
        let other = node.disk(DiskId(99));
        let put = other.put(record(0, 9)).await;
        assert!(
            matches!(
                put,
                Err(PutShardError::Unreachable {
                    disk: DiskId(99),
                    ..
                })
            ),
            "{put:?}"
        );
        let read = other.read(record(0, 9).key, 0, 1).await;
        assert!(
            matches!(read, Err(ReadShardError::Unreachable { .. })),
            "{read:?}"
        );
    });
}

#[test]
fn a_put_counts_only_when_the_answer_came() {
    run(async {
        let Pair {
            direct,
            remote,
            caller,
            ..
        } = pair();
        for (line, stored) in [
            (Line::Refuses, 0),
            (Line::Babbles, 0),
            (Line::LosesAnswers, 1),
        ] {
            *caller.line.lock() = line;
            let put = remote.put(record(0, 9)).await;
            assert!(
                matches!(put, Err(PutShardError::Unreachable { .. })),
                "{line:?}: {put:?}"
            );
            assert_eq!(direct.shards().len(), stored, "{line:?}");
        }
    });
}

#[test]
fn what_is_damaged_on_the_way_is_found() {
    run(async {
        let Pair {
            direct,
            remote,
            caller,
            ..
        } = pair();
        *caller.line.lock() = Line::FlipsRequests;
        let put = remote.put(record(0, 100_000)).await;
        assert_eq!(put, Err(PutShardError::Damaged { disk: DiskId(3) }));
        assert_eq!(direct.shards(), []);
        *caller.line.lock() = Line::Works;
        for stripe in 0..2 {
            remote.put(record(stripe, 100_000)).await.unwrap();
        }
        for line in [Line::FlipsAnswers, Line::MixesUp] {
            *caller.line.lock() = line;
            // The first answer is mixed up with that of the put, the second with that of another read.
            for stripe in 0..2 {
                let read = remote.read(record(stripe, 0).key, 0, 2).await;
                let faulty = matches!(
                    read,
                    Err(ReadShardError::Damaged { .. } | ReadShardError::Unreachable { .. })
                );
                assert!(faulty, "{line:?}: {read:?}");
            }
        }
    });
}

/// A write on its way from a gateway that has not heard of a change of the group: the disk may have lost its place.
#[test]
fn a_node_refuses_writers_with_an_older_group() {
    run(async {
        let Pair {
            direct,
            remote,
            view,
            ..
        } = pair();
        let know = |version| {
            let group = types::PlacementGroup {
                id: PgId(4),
                version,
                ..Default::default()
            };
            let groups = [(PgId(4), group)].into();
            view.send_replace(Arc::new(ClusterView {
                groups,
                ..Default::default()
            }));
        };
        know(3);
        let refused = remote.put(record(0, 9)).await;
        let expected = PutShardError::OldGroup {
            disk: DiskId(3),
            pg: PgId(4),
            current: 3,
        };
        assert_eq!(refused, Err(expected));
        assert_eq!(direct.shards(), []);
        for same_or_newer_than_mine in [2, 1] {
            know(same_or_newer_than_mine);
            assert_eq!(remote.put(record(0, 9)).await, Ok(()));
        }
    });
}

/// The chunk store over remote disks, one of them behind a line with each fault in turn.
#[test]
fn objects_are_written_and_read_over_faulty_lines() {
    run(async {
        for line in [
            Line::Works,
            Line::Refuses,
            Line::LosesAnswers,
            Line::FlipsAnswers,
            Line::FlipsRequests,
            Line::Babbles,
        ] {
            let cluster = MemoryCluster::new(ClusterShape::of_disks(6));
            let pairs: Vec<Pair> = cluster
                .disks
                .iter()
                .map(|disk| behind_a_caller(Arc::clone(disk), ClusterView::default()))
                .collect();
            for pair in &pairs {
                cluster.store.add_disk(Arc::clone(&pair.remote) as _);
            }
            let mut body = vec![0; 3_000_000];
            SeededEntropy::new(9).fill(&mut body);
            let body = Bytes::from(body);
            let before = cluster.write(&body, 300_000).await.unwrap();
            *pairs[2].caller.line.lock() = line;
            let during = cluster.write(&body, 300_000).await.unwrap();
            for written in [&before, &during] {
                let read = cluster.read(written, 0..body.len() as u64).await.unwrap();
                assert_eq!(read, body, "{line:?}");
            }
            assert_is_stored(&cluster.store, &during).await;
        }
    });
}

/// What was acknowledged is on enough disks to bear the loss of one.
async fn assert_is_stored(store: &ChunkStore, written: &crate::Written) {
    let view = store.view();
    for chunk in &written.chunks {
        let group = &view.groups[&chunk.pg];
        let mut stored = 0;
        for disk in store.disks() {
            let shards = disk.list(chunk.pg, None, 4096).await.unwrap_or_default();
            stored += usize::from(shards.iter().any(|shard| shard.key.chunk == chunk.id));
        }
        assert!(
            stored > group.profile.data(),
            "{stored} shards with {}",
            group.profile
        );
    }
}

#[test]
fn requests_that_make_no_sense_are_refused() {
    run(async {
        let Pair { caller, .. } = pair();
        let garbage = Message {
            header: Bytes::from_static(b"\x01\x05abc"),
            body: Bytes::new(),
        };
        for method in [
            ShardMethod::Put,
            ShardMethod::Read,
            ShardMethod::Delete,
            ShardMethod::List,
        ] {
            let refused = caller
                .service
                .handle(method, garbage.clone())
                .await
                .expect_err("garbage");
            let failure = Failure::decode(refused).unwrap();
            assert_eq!(failure.kind, kind::BAD_REQUEST, "{method:?}: {failure:?}");
        }
        let mut short = PutRequest::of(DiskId(3), &record(0, 100));
        short.info.body_bytes = 101;
        let request = Message {
            header: short.encode().into(),
            body: record(0, 100).body,
        };
        caller
            .service
            .handle(ShardMethod::Put, request)
            .await
            .expect_err("another length");
    });
}

/// The bytes are a protocol between versions: they never change.
#[test]
fn the_bytes_of_a_put_are_pinned() {
    let header = PutRequest::of(DiskId(3), &record(7, 5)).encode();
    let hex: String = header.iter().map(|byte| format!("{byte:02x}")).collect();
    let pinned = "011000000000000000000000000000000003023f011b0101040210000000000000000000000000000000050301\
                  07040101020102030201020401070510000000000000000000000000000000090601050701050308db706c865269f27e";
    assert_eq!(hex, pinned);
}

proptest! {
    #[test]
    fn no_header_makes_the_service_panic(
        header in prop::collection::vec(any::<u8>(), 0..200),
        body in prop::collection::vec(any::<u8>(), 0..50),
        method in prop::sample::select(ShardMethod::ALL.to_vec()),
    ) {
        let Pair { caller, .. } = pair();
        let request = Message { header: header.into(), body: body.into() };
        let _ = run(caller.service.handle(method, request));
    }
}
