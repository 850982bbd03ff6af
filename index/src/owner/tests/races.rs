//! Changes of bucket states against the reads and the PUTs that rest on them, all at once on several threads: no
//! read may find what was replaced before it began, also while the owner remembers, forgets and reads anew.

use super::*;
use std::sync::atomic::AtomicBool;
use tokio::task::JoinSet;

/// Buckets, each changed by a task of its own, so that changes of one meet reads of the other.
const BUCKETS: usize = 2;
/// Changes of each bucket. Every [`DELETED_EVERY`]th deletes the state.
const CHANGES: u64 = 150;
const DELETED_EVERY: u64 = 8;
/// Reads of the bucket between two changes, so that its state is remembered in between.
const READS_BETWEEN: u64 = 12;
const TASKS_PER_BUCKET: usize = 3;
const DEADLINE: Duration = Duration::from_secs(120);

/// A memory engine that takes its time: what a read found may be old when it arrives, and a commit may be seen long
/// before it is answered.
#[derive(Debug, Default)]
struct Hesitant {
    engine: MemoryEngine,
    turns: AtomicU64,
    reads: AtomicU64,
}

impl Hesitant {
    /// Nothing, a turn of the others, or a millisecond.
    async fn hesitate(&self) {
        match self.turns.fetch_add(1, Ordering::Relaxed) % 5 {
            0 | 1 => {}
            2 | 3 => tokio::task::yield_now().await,
            _ => tokio::time::sleep(Duration::from_millis(1)).await,
        }
    }
}

#[async_trait]
impl IndexStore for Hesitant {
    async fn commit_many(
        &self,
        partition: PartitionId,
        batches: Vec<Batch>,
    ) -> Result<Vec<Outcome>, StoreError> {
        self.hesitate().await;
        let outcomes = self.engine.commit_many(partition, batches).await;
        self.hesitate().await;
        outcomes
    }
    async fn get(
        &self,
        partition: PartitionId,
        key: &[u8],
    ) -> Result<Option<Versioned>, StoreError> {
        self.reads.fetch_add(1, Ordering::Relaxed);
        self.hesitate().await;
        let found = self.engine.get(partition, key).await;
        self.hesitate().await;
        found
    }
    async fn scan(
        &self,
        partition: PartitionId,
        request: ScanRequest,
    ) -> Result<ScanPage, StoreError> {
        self.engine.scan(partition, request).await
    }
    async fn changes(
        &self,
        partition: PartitionId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        self.engine.changes(partition, after, limit).await
    }
    async fn trim(&self, partition: PartitionId, up_to: Seq) -> Result<(), StoreError> {
        self.engine.trim(partition, up_to).await
    }
    async fn last_seq(&self, partition: PartitionId) -> Result<Seq, StoreError> {
        self.engine.last_seq(partition).await
    }
}

/// A bucket whose state is the number of its last change.
struct Bucket {
    owner: Arc<PartitionOwner>,
    id: BucketId,
    /// The last change that was sent, and the last that was acknowledged.
    sent: AtomicU64,
    acknowledged: AtomicU64,
    reads: AtomicU64,
    puts: AtomicU64,
    is_over: AtomicBool,
}

impl Bucket {
    fn state_key(&self) -> Bytes {
        Key::BucketState { bucket: self.id }.encode()
    }

    async fn change(&self, number: u64) {
        let operation = if number.is_multiple_of(DELETED_EVERY) {
            Operation::Delete(self.state_key())
        } else {
            Operation::Put(self.state_key(), number.to_be_bytes().to_vec().into())
        };
        self.sent.store(number, Ordering::SeqCst);
        let batch = Batch {
            operations: vec![operation],
            ..Batch::default()
        };
        let outcome = self.owner.commit(batch).await;
        assert!(matches!(outcome, Ok(Outcome::Committed(_))), "{outcome:?}");
        self.acknowledged.store(number, Ordering::SeqCst);
    }

    /// Reads the state. Whatever is found must be the work of the last change that was acknowledged before, or of one
    /// that was sent since.
    async fn read(&self) -> Option<Versioned> {
        let floor = self.acknowledged.load(Ordering::SeqCst);
        let found = self.owner.get(&self.state_key()).await.expect("a read");
        let possible = floor..=self.sent.load(Ordering::SeqCst);
        self.reads.fetch_add(1, Ordering::Relaxed);
        match &found {
            Some(state) => {
                let number: [u8; 8] = state.value[..].try_into().expect("a number");
                let number = u64::from_be_bytes(number);
                assert!(
                    possible.contains(&number),
                    "{number} is not in {possible:?}"
                );
            }
            None => {
                let mut deletions = possible.clone().filter(|n| n.is_multiple_of(DELETED_EVERY));
                assert!(deletions.next().is_some(), "none in {possible:?} deletes");
            }
        }
        found
    }

    /// Puts an object on condition of the state that was read, as every PUT does. Where the condition fails the state
    /// has changed, and the next read must show it.
    async fn put(&self, name: &str) {
        let Some(state) = self.read().await else {
            return;
        };
        let batch = Batch {
            conditions: vec![Condition::SeqIs(self.state_key(), state.seq)],
            ..put(name)
        };
        let acknowledged = self.acknowledged.load(Ordering::SeqCst);
        match self.owner.commit(batch).await.expect("a commit") {
            Outcome::Committed(seq) => {
                self.puts.fetch_add(1, Ordering::Relaxed);
                assert!(seq > state.seq);
                // The change that was acknowledged before the PUT was sent is no later than the state it rests on.
                let number: [u8; 8] = state.value[..].try_into().expect("a number");
                assert!(
                    u64::from_be_bytes(number) >= acknowledged,
                    "a PUT on an old state"
                );
            }
            Outcome::ConditionFailed(_) => {
                if let Some(now) = self.read().await {
                    assert!(now.seq > state.seq, "the state that failed is read again");
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_read_is_older_than_a_change_that_was_acknowledged() {
    let store = Arc::new(Hesitant::default());
    let clock = Arc::new(ManualClock::at(NOW_MS));
    let owner = PartitionOwner::start(
        Arc::clone(&store) as _,
        PARTITION,
        1,
        clock as _,
        RunOn::Threads,
    );
    let owner = owner.expect("a thread");
    let (mut tasks, mut buckets) = (JoinSet::new(), Vec::new());
    for number in 0..BUCKETS {
        let bucket = Arc::new(Bucket {
            owner: Arc::clone(&owner),
            id: BucketId(number as u64 + 1),
            sent: AtomicU64::new(0),
            acknowledged: AtomicU64::new(0),
            reads: AtomicU64::new(0),
            puts: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        });
        tasks.spawn(change_again_and_again(Arc::clone(&bucket)));
        for task in 0..TASKS_PER_BUCKET {
            let bucket = Arc::clone(&bucket);
            tasks.spawn(async move {
                while !bucket.is_over.load(Ordering::SeqCst) {
                    bucket.read().await;
                    bucket.put(&format!("{number}-{task}")).await;
                }
            });
        }
        buckets.push(bucket);
    }
    let all = async {
        while let Some(task) = tasks.join_next().await {
            task.expect("no panic");
        }
    };
    let done = tokio::time::timeout(DEADLINE, all).await;
    done.expect("nobody waits for ever");
    let sum = |count: fn(&Bucket) -> &AtomicU64| -> u64 {
        let counts = buckets.iter().map(|bucket| count(bucket));
        counts.map(|count| count.load(Ordering::Relaxed)).sum()
    };
    let (reads, puts) = (sum(|bucket| &bucket.reads), sum(|bucket| &bucket.puts));
    assert!(puts > 0, "no PUT met its condition");
    let from_store = store.reads.load(Ordering::Relaxed);
    assert!(
        from_store < reads,
        "nothing was remembered: {from_store} of {reads} reads went to the store"
    );
    owner.close().await;
}

async fn change_again_and_again(bucket: Arc<Bucket>) {
    for number in 1..=CHANGES {
        bucket.change(number).await;
        let reads = bucket.reads.load(Ordering::Relaxed);
        while bucket.reads.load(Ordering::Relaxed) < reads + READS_BETWEEN {
            tokio::task::yield_now().await;
        }
    }
    bucket.is_over.store(true, Ordering::SeqCst);
}
