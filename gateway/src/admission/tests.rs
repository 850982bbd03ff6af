use super::pace::{PACE_BYTES_MIN, PACE_TIME};
use super::*;
use chunkstore::ReadMemory;
use types::clock::{Clock, ManualClock};

const MIB: u64 = 1024 * 1024;
/// A stripe of 4+2 with its parity.
const STRIPE: u64 = 6 * 256 * 1024;

fn budget(limit_bytes: u64) -> MemoryBudget {
    MemoryBudget::new(limit_bytes, Duration::from_millis(20))
}

/// An upload of an endless body that has buffers for one stripe.
async fn running(budget: &MemoryBudget) -> UploadLease {
    let mut upload = budget.upload(u64::MAX).await.unwrap();
    upload.first(STRIPE, u64::MAX / 4, 0).await.unwrap();
    upload
}

#[tokio::test]
async fn a_lease_is_given_back() {
    let budget = budget(48 * MIB);
    let lease = budget.upload(100).await.unwrap();
    assert_eq!(budget.free_bytes(), 48 * MIB - UNIT_BYTES);
    drop(lease);
    assert_eq!(budget.free_bytes(), 48 * MIB);
}

#[tokio::test]
async fn a_slow_body_takes_its_entry_only_however_large_it_is() {
    let budget = budget(48 * MIB);
    let _up = budget.upload(5 << 30).await.unwrap();
    let _down = budget.download(5 << 30).await.unwrap();
    assert_eq!(
        budget.free_bytes(),
        48 * MIB - ENTRY_BYTES - SENDING_BYTES_MAX
    );
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_holds_nothing() {
    let budget = budget(BUDGET_BYTES_MIN);
    let free = budget.free_bytes();
    let held = budget.everything();
    assert_eq!(budget.free_bytes(), 0);
    assert_eq!(budget.upload(1).await.unwrap_err(), Exhausted);
    assert_eq!(budget.download(1).await.unwrap_err(), Exhausted);
    assert_eq!(budget.collected(1 << 20).await.unwrap_err(), Exhausted);
    drop(held);
    assert_eq!(budget.free_bytes(), free);
    budget.download(1).await.unwrap();
}

#[tokio::test]
async fn a_request_that_waits_is_served_when_there_is_room() {
    let budget = MemoryBudget::new(BUDGET_BYTES_MIN, Duration::from_secs(30));
    let held = budget.everything();
    let waiting = tokio::spawn({
        let budget = budget.clone();
        async move { budget.upload(1).await.is_ok() }
    });
    tokio::task::yield_now().await;
    drop(held);
    assert!(waiting.await.unwrap());
}

#[tokio::test]
async fn further_stripes_are_taken_only_when_nobody_waits() {
    let budget = budget(BUDGET_BYTES_MIN);
    let mut quick = running(&budget).await;
    while quick.try_one_more(STRIPE) {}
    assert!(quick.stripes() > 4 && !quick.is_wanted());
    let waiting = tokio::spawn({
        let budget = budget.clone();
        async move { running(&budget).await }
    });
    while !quick.is_wanted() {
        tokio::task::yield_now().await;
    }
    quick.keep(2);
    let other = waiting.await.unwrap();
    assert_eq!((quick.stripes(), other.stripes()), (2, 1));
    assert!(!quick.is_wanted());
}

/// What a reader of 4+2 takes.
const MEMORY: ReadMemory = ReadMemory {
    ahead_bytes: 4 * 1024 * 1024,
    stripe_bytes: 1536 * 1024,
};

/// A download that nobody reads, and how often it was looked at.
#[derive(Debug, Default)]
struct Download {
    looked: AtomicUsize,
    lease: Mutex<Option<DownloadLease>>,
}

impl Idle for Download {
    fn look(&self, is_entry_wanted: bool) {
        self.looked.fetch_add(1, Ordering::Relaxed);
        let mut lease = self.lease.lock();
        lease.as_mut().unwrap().give_back();
        if is_entry_wanted {
            *lease = None;
        }
    }
}

async fn unread(budget: &MemoryBudget) -> Arc<Download> {
    let lease = budget.download(1 << 30).await.unwrap();
    let download = Arc::new(Download {
        lease: Mutex::new(Some(lease)),
        ..Download::default()
    });
    let watched: Weak<Download> = Arc::downgrade(&download);
    budget.watch(watched);
    download
}

/// Downloads that read ahead, as many as do so at once.
async fn reading(budget: &MemoryBudget) -> Vec<DownloadLease> {
    let mut downloads = Vec::new();
    loop {
        let mut lease = budget.download(1 << 30).await.unwrap();
        let free = budget.inner.buffers.permits.available_permits() as u64;
        if free * UNIT_BYTES < MEMORY.ahead_bytes {
            return downloads;
        }
        lease.buffers(1 << 30, MEMORY).await.unwrap();
        assert!(!lease.takes_turns());
        downloads.push(lease);
    }
}

#[tokio::test]
async fn idle_downloads_make_room_when_others_wait() {
    let budget = budget(BUDGET_BYTES_MIN);
    let mut downloads = Vec::new();
    for lease in reading(&budget).await {
        let download = unread(&budget).await;
        *download.lease.lock() = Some(lease);
        downloads.push(download);
    }
    let looked = |download: &Arc<Download>| download.looked.load(Ordering::Relaxed);
    assert!(downloads.iter().all(|download| looked(download) == 0));
    running(&budget).await;
    assert!(downloads.iter().all(|download| looked(download) == 1));
}

#[tokio::test]
async fn downloads_that_read_ahead_take_turns_when_others_wait() {
    let budget = budget(BUDGET_BYTES_MIN);
    let mut downloads = reading(&budget).await;
    let _rest = budget.everything();
    let quick = downloads.first_mut().unwrap();
    assert!(!quick.is_wanted());
    let waiting = tokio::spawn({
        let budget = budget.clone();
        // It has been let in before.
        let mut lease =
            DownloadLease::new(budget.clone(), budget.inner.downloads.try_take(0).unwrap());
        async move {
            lease.buffers(1 << 30, MEMORY).await.unwrap();
            lease
        }
    });
    while !quick.is_wanted() {
        tokio::task::yield_now().await;
    }
    quick.give_back();
    let other = waiting.await.unwrap();
    assert!(other.takes_turns(), "it has buffers for a stripe");
    quick.buffers(1 << 30, MEMORY).await.unwrap();
    assert!(quick.takes_turns() && !quick.is_wanted());
}

#[tokio::test]
async fn downloads_that_nobody_reads_make_room_for_those_that_wait_for_an_entry() {
    let budget = MemoryBudget::new(BUDGET_BYTES_MIN, Duration::from_secs(5));
    let unread = unread(&budget).await;
    let _all = budget.everything();
    budget.download(1 << 30).await.unwrap();
    assert!(unread.lease.lock().is_none());
}

#[tokio::test]
async fn downloads_are_looked_at_now_and_then_however_many_wait() {
    let budget = budget(BUDGET_BYTES_MIN);
    let unread = unread(&budget).await;
    let _all = budget.everything();
    let buffers = &budget.inner.buffers;
    for _ in 0..20 {
        let wait = Duration::from_millis(5);
        let taken = budget.inner.take(buffers, 1, wait).await;
        assert_eq!(taken.unwrap_err(), Exhausted);
    }
    let looked = unread.looked.load(Ordering::Relaxed);
    assert!(
        (1..=3).contains(&looked),
        "{looked} times in a tenth of a second"
    );
}

#[tokio::test]
async fn an_answer_holds_what_it_is_long_until_the_last_piece_is_gone() {
    let budget = budget(BUDGET_BYTES_MIN);
    let free = budget.free_bytes();
    let lease = budget.answer(4 * MIB).await.unwrap();
    assert_eq!(free - budget.free_bytes(), 4 * MIB);
    let answer = lease.keep("x".repeat(100_000));
    let held = 100_000_u64.next_multiple_of(UNIT_BYTES);
    assert_eq!(free - budget.free_bytes(), held);
    let last = answer.slice(99_000..);
    drop(answer);
    assert_eq!(free - budget.free_bytes(), held);
    drop(last);
    assert_eq!(budget.free_bytes(), free);
}

#[tokio::test]
async fn a_body_that_is_collected_takes_what_has_come_of_it() {
    let budget = budget(BUDGET_BYTES_MIN);
    let free = budget.free_bytes();
    let mut body = budget.collected(COLLECTED_BYTES_MAX).await.unwrap();
    for bytes in (0..=COLLECTED_BYTES_MAX).step_by(10_000) {
        body.make_room(bytes).await.unwrap();
        let held = free - budget.free_bytes();
        assert!(body.room_bytes() >= bytes);
        assert!(
            held <= ENTRY_BYTES + 2 * bytes.max(ENTRY_BYTES),
            "{held} for {bytes}"
        );
    }
    assert!(free - budget.free_bytes() <= ENTRY_BYTES + COLLECTED_BYTES_MAX);
    drop(body);
    assert_eq!(budget.free_bytes(), free);
}

/// Together they need several times what there is, and each holds some while it waits for more.
#[tokio::test]
async fn bodies_that_are_collected_do_not_wait_for_each_other_for_ever() {
    let budget = MemoryBudget::new(BUDGET_BYTES_MIN, Duration::from_secs(30));
    let bodies = (0..60).map(|_| {
        let budget = budget.clone();
        tokio::spawn(async move {
            let mut body = budget.collected(2 * MIB).await.unwrap();
            for bytes in (0..=2 * MIB).step_by(ENTRY_BYTES as usize) {
                body.make_room(bytes).await.unwrap();
                tokio::task::yield_now().await;
            }
        })
    });
    let bodies = futures::future::join_all(bodies.collect::<Vec<_>>());
    let ended = tokio::time::timeout(Duration::from_secs(10), bodies).await;
    for body in ended.expect("each comes to its end") {
        body.unwrap();
    }
}

#[test]
fn a_pace_is_judged_by_the_time_spent_waiting_for_bytes() {
    let mut pace = Pace::default();
    pace.waited(PACE_TIME / 2, 10);
    assert!(!pace.is_too_slow());
    pace.waited(PACE_TIME / 2, PACE_BYTES_MIN);
    assert!(!pace.is_too_slow(), "enough came");
    pace.waited(PACE_TIME, 10);
    assert!(pace.is_too_slow());
}

#[tokio::test]
async fn a_pace_counts_pauses_and_pieces() {
    let clock = ManualClock::at(0);
    let mut pace = Pace::default();
    let pause = pace.wait(&clock, std::future::pending::<usize>(), |_| 0);
    assert_eq!(pause.await, None);
    let piece = async {
        clock.advance(PACE_TIME);
        10
    };
    assert_eq!(pace.wait(&clock, piece, |bytes| *bytes).await, Some(10));
    assert!(pace.is_too_slow() && clock.monotonic() == PACE_TIME);
}
