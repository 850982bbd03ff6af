use super::*;

fn budget(limit_bytes: u64) -> MemoryBudget {
    MemoryBudget::new(limit_bytes, Duration::from_millis(20))
}

#[tokio::test]
async fn a_lease_is_given_back() {
    let budget = budget(16 * 1024 * 1024);
    let lease = budget.upload(100).await.unwrap();
    assert_eq!(budget.free_bytes(), 16 * 1024 * 1024 - UNIT_BYTES);
    drop(lease);
    assert_eq!(budget.free_bytes(), 16 * 1024 * 1024);
}

#[tokio::test]
async fn a_large_body_takes_no_more_than_its_buffers() {
    let budget = budget(16 * 1024 * 1024);
    let _lease = budget.upload(5 << 30).await.unwrap();
    assert_eq!(budget.free_bytes(), 16 * 1024 * 1024 - UPLOAD_BYTES_MAX);
}

#[tokio::test]
async fn what_does_not_fit_is_refused_and_holds_nothing() {
    let budget = budget(UPLOAD_BYTES_MAX);
    let lease = budget.upload(UPLOAD_BYTES_MAX).await.unwrap();
    assert_eq!(budget.download(1).await.unwrap_err(), Exhausted);
    drop(lease);
    assert_eq!(budget.free_bytes(), UPLOAD_BYTES_MAX);
    budget.download(1).await.unwrap();
}

#[tokio::test]
async fn a_request_that_waits_is_served_when_there_is_room() {
    let budget = MemoryBudget::new(UPLOAD_BYTES_MAX, Duration::from_secs(30));
    let lease = budget.upload(UPLOAD_BYTES_MAX).await.unwrap();
    let waiting = tokio::spawn({
        let budget = budget.clone();
        async move { budget.upload(1).await.is_ok() }
    });
    tokio::task::yield_now().await;
    drop(lease);
    assert!(waiting.await.unwrap());
}
