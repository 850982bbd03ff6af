use super::*;
use std::sync::atomic::AtomicBool;

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

#[derive(Debug)]
struct Download(AtomicBool, Mutex<Option<DownloadLease>>);

impl GiveBack for Download {
    fn give_back_if_idle(&self) {
        self.0.store(true, Ordering::Relaxed);
        self.1.lock().as_mut().unwrap().give_back();
    }
}

#[tokio::test]
async fn idle_downloads_make_room_when_others_wait() {
    let budget = budget(BUDGET_BYTES_MIN);
    let mut downloads = Vec::new();
    while budget.inner.buffers.permits.available_permits() as u64 * UNIT_BYTES
        >= READ_AHEAD_BYTES_MAX
    {
        let mut lease = budget.download(1 << 30).await.unwrap();
        lease.buffers(1 << 30).await.unwrap();
        let download = Arc::new(Download(AtomicBool::new(false), Mutex::new(Some(lease))));
        let watched: Weak<Download> = Arc::downgrade(&download);
        budget.watch(watched);
        downloads.push(download);
    }
    assert!(
        downloads
            .iter()
            .all(|download| !download.0.load(Ordering::Relaxed))
    );
    running(&budget).await;
    assert!(
        downloads
            .iter()
            .all(|download| download.0.load(Ordering::Relaxed))
    );
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
