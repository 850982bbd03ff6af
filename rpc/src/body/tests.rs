//! Tests of bodies that need no connection.

use super::*;

fn pieces(lengths: &[usize]) -> Body {
    let pieces: Vec<_> = lengths
        .iter()
        .map(|length| Ok(Bytes::from(vec![7; *length])))
        .collect();
    Body::stream(futures::stream::iter(pieces))
}

#[tokio::test]
async fn collecting_keeps_the_limit_exactly() {
    assert_eq!(pieces(&[]).collect(0).await.unwrap().len(), 0);
    assert_eq!(pieces(&[5, 0, 5]).collect(10).await.unwrap().len(), 10);
    for lengths in [&[11][..], &[10, 1], &[5, 5, 1], &[0, 11]] {
        let error = pieces(lengths).collect(10).await.unwrap_err();
        assert_eq!(error, BodyError::TooLong { max: 10 }, "{lengths:?}");
    }
    let whole = Body::from(Bytes::from_static(b"eleven byte"));
    assert_eq!(whole.collect(10).await, Err(BodyError::TooLong { max: 10 }));
}

#[tokio::test]
async fn one_piece_is_not_copied() {
    let bytes = Bytes::from(vec![1; 100]);
    let collected = Body::from(bytes.clone()).collect(100).await.unwrap();
    assert_eq!(collected.as_ptr(), bytes.as_ptr());
}

#[tokio::test]
async fn nothing_follows_an_error() {
    let error = BodyError::Source("no".into());
    let mut body = Body::stream(futures::stream::iter([
        Ok(Bytes::from_static(b"a")),
        Err(error.clone()),
        Ok(Bytes::from_static(b"b")),
    ]));
    assert!(body.next().await.unwrap().is_ok());
    assert_eq!(body.next().await.unwrap(), Err(error));
    assert!(body.next().await.is_none());
}
