//! Payload streams over bodies that are whole, short, long, slow and broken.

use super::*;
use bytes::Bytes;
use http_body::Frame;
use sha2::{Digest, Sha256};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// A body that delivers these steps.
struct Script(VecDeque<Step>);

#[derive(Clone)]
enum Step {
    Data(&'static str),
    Broken,
    Silence,
}

impl http_body::Body for Script {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        match self.0.front().cloned() {
            None => Poll::Ready(None),
            Some(Step::Silence) => Poll::Pending,
            Some(Step::Data(data)) => {
                self.0.pop_front();
                Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(data.as_bytes())))))
            }
            Some(Step::Broken) => {
                Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into())))
            }
        }
    }
}

fn wire(steps: &[Step]) -> WireBody {
    WireBody::new(
        Script(steps.iter().cloned().collect()),
        Duration::from_millis(30),
    )
}

async fn read(spec: PayloadSpec, wire: WireBody) -> Result<(String, Trailers), PayloadError> {
    let mut stream = PayloadStream::open(spec, wire, None)?;
    let mut payload = Vec::new();
    loop {
        match stream.next().await {
            Ok(Some(bytes)) => payload.extend_from_slice(&bytes),
            Ok(None) => break,
            Err(error) => {
                let again = stream.next().await;
                assert_eq!(
                    again,
                    Err(PayloadError::AlreadyFailed),
                    "an error is the end"
                );
                return Err(error);
            }
        }
    }
    assert_eq!(stream.next().await, Ok(None), "the end stays the end");
    Ok((
        String::from_utf8(payload).unwrap(),
        stream.trailers().clone(),
    ))
}

fn plain(len: u64, sha256_of: Option<&str>) -> PayloadSpec {
    let sha256 = sha256_of.map(|text| Sha256::digest(text).into());
    PayloadSpec::Plain {
        len: Some(len),
        sha256,
    }
}

fn chunked(decoded_len: u64) -> PayloadSpec {
    let trailers = Some(vec!["x-amz-checksum-crc32".to_owned()]);
    PayloadSpec::Chunked(ChunkedSpec {
        decoded_len,
        seed: None,
        trailers,
    })
}

#[tokio::test]
async fn a_plain_body_is_counted_and_hashed() {
    use Step::Data;
    let steps = [Data("hello"), Data(""), Data(" world")];
    let whole = read(plain(11, Some("hello world")), wire(&steps))
        .await
        .unwrap();
    assert_eq!(whole.0, "hello world");
    assert_eq!(
        read(plain(11, None), wire(&steps)).await.unwrap().0,
        "hello world"
    );
    let short = read(plain(12, None), wire(&steps)).await.unwrap_err();
    assert_eq!(
        short,
        PayloadError::Truncated {
            declared: 12,
            received: 11
        }
    );
    let long = read(plain(10, None), wire(&steps)).await.unwrap_err();
    assert_eq!(long, PayloadError::TooLong { declared: 10 });
    let other = read(plain(11, Some("hello_world")), wire(&steps))
        .await
        .unwrap_err();
    assert_eq!(other.code(), "XAmzContentSHA256Mismatch");
    let empty = read(plain(0, Some("")), wire(&[])).await.unwrap();
    assert_eq!(empty.0, "");
}

#[tokio::test]
async fn a_chunked_body_gives_its_trailers() {
    use Step::Data;
    let steps = [
        Data("5\r"),
        Data("\nhel"),
        Data("lo\r\n0\r\nx-amz-checksum-"),
        Data("crc32:AA==\r\n\r\n"),
    ];
    let (payload, trailers) = read(chunked(5), wire(&steps)).await.unwrap();
    assert_eq!(payload, "hello");
    assert_eq!(trailers.get("x-amz-checksum-crc32"), Some("AA=="));
    for cut in 1..steps.len() {
        let error = read(chunked(5), wire(&steps[..cut])).await.unwrap_err();
        assert_eq!(error.status(), 400, "{error}");
    }
}

#[tokio::test]
async fn a_broken_or_silent_connection_is_never_an_end() {
    use Step::{Broken, Data, Silence};
    for spec in [plain(5, None), plain(9, Some("hello")), chunked(5)] {
        let broken = read(spec.clone(), wire(&[Data("5\r\nhe"), Broken]))
            .await
            .unwrap_err();
        assert_eq!(broken.code(), "IncompleteBody", "{broken}");
        let silent = read(spec, wire(&[Data("5\r\nhe"), Silence]))
            .await
            .unwrap_err();
        assert_eq!(silent.code(), "RequestTimeout", "{silent}");
    }
}

#[tokio::test]
async fn the_wire_knows_whether_it_was_read() {
    use Step::Data;
    let body = wire(&[Data("hello"), Data("!")]);
    let state = body.state();
    let mut stream = PayloadStream::open(plain(5, None), body, None).unwrap();
    assert!(stream.next().await.is_ok());
    assert!(!state.is_whole());
    let error = stream.next().await.unwrap_err();
    assert_eq!(state.failure(), Some(&error));
    let full = http_body_util::Full::<Bytes>::from("x");
    let state = WireBody::new(full, Duration::from_secs(1)).state();
    assert!(!state.is_whole());
    let empty = http_body_util::Empty::<Bytes>::new();
    assert!(
        WireBody::new(empty, Duration::from_secs(1))
            .state()
            .is_whole()
    );
}

#[tokio::test]
async fn memory_stays_bounded_whatever_is_announced() {
    let endless = http_body_util::StreamBody::new(Endless);
    let body = WireBody::new(endless, Duration::from_secs(1));
    let mut stream = PayloadStream::open(chunked(u64::MAX), body, None).unwrap();
    let mut total = 0;
    while total < 64 << 20 {
        let bytes = stream.next().await.unwrap().unwrap();
        assert!(
            bytes.len() <= 1 << 20,
            "a piece is never larger than what arrived at once"
        );
        total += bytes.len();
    }
}

/// `ffffffffffffffff CR LF`, then zeros for ever.
struct Endless;

impl futures::Stream for Endless {
    type Item = Result<Frame<Bytes>, Infallible>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        static PIECE: [u8; 1 << 20] = {
            let mut piece = [b'f'; 1 << 20];
            piece[16] = b'\r';
            piece[17] = b'\n';
            piece
        };
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(&PIECE)))))
    }
}

#[test]
fn signed_chunks_need_a_signer() {
    let scope = crate::sigv4::CredentialScope {
        date: "20130524".into(),
        region: "us-east-1".into(),
        service: "s3".into(),
    };
    let seed = crate::sigv4::Seed {
        signature: [0; 32],
        timestamp: String::new(),
        scope,
    };
    let spec = ChunkedSpec {
        decoded_len: 0,
        seed: Some(seed),
        trailers: None,
    };
    let opened = PayloadStream::open(PayloadSpec::Chunked(spec), wire(&[]), None);
    assert_eq!(opened.map(|_| ()), Err(PayloadError::Unauthenticated));
}

#[test]
fn a_body_is_taken_once() {
    let taken = TakenBody::new(plain(0, None), wire(&[]));
    assert!(taken.clone().take().is_some());
    assert!(taken.take().is_none());
}

#[test]
fn the_stored_content_encoding_is_that_of_the_object() {
    let table = [
        ("aws-chunked", None),
        ("", None),
        ("gzip", Some("gzip")),
        ("gzip,aws-chunked", Some("gzip")),
        ("AWS-Chunked, gzip , br", Some("gzip,br")),
    ];
    for (header, stored) in table {
        assert_eq!(
            stored_content_encoding(header).as_deref(),
            stored,
            "{header}"
        );
    }
}
