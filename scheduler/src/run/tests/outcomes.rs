//! Outcomes are forgotten once the process that forgets them has seen them grow old, whatever clocks say.

use super::*;
use index::store::StoreError;
use index::{CommittedVersion, PutObjectError};
use types::OpId;
use types::limits::OUTCOME_TTL;

async fn put_as(bench: &Bench, op_id: OpId) -> Result<CommittedVersion, PutObjectError> {
    let put = PutObject {
        bucket: &bench.bucket,
        key: "key",
        body: NewBody::Inline(Bytes::new()),
        etag: "etag".to_owned(),
        checksum: None,
        meta: ObjectMeta::default(),
        condition: WriteCondition::None,
        op_id,
    };
    bench.index.put_object(put).await
}

#[tokio::test]
async fn outcomes_are_kept_by_the_time_that_has_passed_and_not_by_the_clock() {
    let bench = Bench::new().await;
    let clock = &bench.cluster.clock;
    let began_ms = clock.now_ms();
    let op_id = bench.index.new_op_id();
    let first = put_as(&bench, op_id).await.unwrap();
    let mut housekeeping = Housekeeping::new(
        bench.index.clone(),
        bench.config.clone(),
        Arc::default(),
        bench.clock(),
    );
    round(&mut housekeeping).await;
    clock.set_wall_ms(began_ms + 24 * 3_600_000);
    round(&mut housekeeping).await;
    clock.set_wall_ms(began_ms);
    assert_eq!(put_as(&bench, op_id).await, Ok(first), "no time has passed");
    clock.advance(OUTCOME_TTL);
    round(&mut housekeeping).await;
    clock.advance(Duration::from_millis(1));
    round(&mut housekeeping).await;
    clock.set_wall_ms(began_ms);
    assert!(matches!(
        put_as(&bench, op_id).await,
        Err(PutObjectError::Store(StoreError::Expired { .. }))
    ));
}
