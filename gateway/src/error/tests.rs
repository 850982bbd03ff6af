use super::*;
use index::store::StoreError;

fn answer(error: impl Into<ApiError>) -> (u16, String) {
    let error = error.into();
    (error.status().as_u16(), error.code().to_owned())
}

#[test]
fn what_a_client_should_do_follows_from_the_status() {
    let of = |error: StoreError| answer(error);
    assert_eq!(
        of(StoreError::Throttled(Duration::ZERO)),
        (503, "SlowDown".into())
    );
    assert_eq!(
        of(StoreError::Unavailable("x".into())),
        (503, "ServiceUnavailable".into())
    );
    assert_eq!(
        of(StoreError::Indeterminate("x".into())),
        (503, "ServiceUnavailable".into())
    );
    assert_eq!(of(StoreError::Full), (507, "InsufficientStorage".into()));
    assert_eq!(
        of(StoreError::TooLarge("x".into())),
        (500, "InternalError".into())
    );
    assert_eq!(
        answer(chunkstore::ReadChunkError::NoSuchGroup {
            chunk: types::ChunkId(1),
            pg: types::PgId(2),
        }),
        (503, "ServiceUnavailable".into())
    );
    assert_eq!(
        answer(crate::admission::Exhausted),
        (503, "SlowDown".into())
    );
    assert_eq!(
        answer(crate::policy::AccessDenied),
        (403, "AccessDenied".into())
    );
}

#[test]
fn retry_after_is_whole_seconds_and_never_zero() {
    for (after_ms, header) in [(0, "1"), (1, "1"), (1000, "1"), (1001, "2")] {
        let error = ApiError::slow_down(Duration::from_millis(after_ms));
        assert_eq!(error.headers[0].0, "retry-after");
        assert_eq!(error.headers[0].1, header);
    }
}

#[test]
fn the_reason_stays_inside() {
    let error = ApiError::internal("disk 7 is on fire");
    assert!(!error.message().contains("disk"));
    let answer: S3Error = error.into();
    assert_eq!(
        answer.status_code(),
        Some(StatusCode::INTERNAL_SERVER_ERROR)
    );
    assert!(!format!("{answer}").contains("fire"));
}

#[test]
fn headers_of_an_answer_keep_it_xml() {
    let answer: S3Error = ApiError::slow_down(Duration::ZERO).into();
    let headers = answer.headers().unwrap();
    assert_eq!(headers["content-type"], "application/xml");
    assert_eq!(headers["retry-after"], "1");
}

#[test]
fn codes_that_s3s_does_not_know_are_written_as_they_are() {
    let error = ApiError::new(
        StatusCode::NOT_FOUND,
        "NoSuchPublicAccessBlockConfiguration",
        "x",
    );
    let answer: S3Error = error.into();
    assert_eq!(
        answer.code().as_str(),
        "NoSuchPublicAccessBlockConfiguration"
    );
    assert_eq!(answer.status_code(), Some(StatusCode::NOT_FOUND));
}
