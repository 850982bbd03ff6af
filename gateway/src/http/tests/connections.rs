//! Connections: continue, keep-alive, silence, lost answers, shutting down.

use super::harness::{Answer, Call, Server};
use crate::http::ServeLimits;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use types::Clock;
use types::clock::SystemClock;

/// Reads until `end` has come.
async fn read_until(stream: &mut TcpStream, end: &str) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    while !text.contains(end) {
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read(&mut buffer));
        let len = read.await.expect("the server hangs").unwrap();
        assert_ne!(len, 0, "the connection ended after {text:?}");
        text += std::str::from_utf8(&buffer[..len]).unwrap();
    }
    text
}

fn keep_alive(call: Call) -> Call {
    call.unsigned_header("connection", "keep-alive")
}

#[tokio::test]
async fn continue_is_said_only_to_whom_may_go_on() {
    let server = Server::start().await;
    let mut call = Call::put("/bucket/key", b"").unsigned_header("expect", "100-continue");
    call = call.unsigned_header("content-length", "5");
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(&call.wire()).await.unwrap();
    let text = read_until(&mut stream, "\r\n\r\n").await;
    assert!(text.starts_with("HTTP/1.1 100 Continue"), "{text}");
    stream.write_all(b"hello").await.unwrap();
    Answer::read(&mut stream).await.expect(200, "");

    call.region = "mars-1".into();
    let call = keep_alive(call);
    let answer = server.send(&call).await;
    answer.expect(400, "AuthorizationHeaderMalformed");
    assert!(answer.head.contains("connection: close"), "{}", answer.head);
    let mut refused = Call::put("/bucket/refused", b"").unsigned_header("expect", "100-continue");
    refused = keep_alive(refused.unsigned_header("content-length", "5"));
    let answer = server.send(&refused).await;
    answer.expect(404, "NoSuchBucket");
    assert!(answer.head.contains("connection: close"), "{}", answer.head);

    let empty = Call::put("/bucket/key", b"").unsigned_header("expect", "100-continue");
    let empty = keep_alive(empty.unsigned_header("content-length", "0"));
    let answer = server.send(&empty).await;
    answer.expect(200, "");
    assert!(answer.head.contains("connection: close"), "{}", answer.head);
}

#[tokio::test]
async fn a_connection_is_kept_when_its_body_was_read() {
    let server = Server::start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for _ in 0..3 {
        stream
            .write_all(&keep_alive(Call::put("/bucket/key", b"hello")).wire())
            .await
            .unwrap();
        let text = read_until(&mut stream, "\r\n\r\n").await;
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        assert!(
            !text.to_ascii_lowercase().contains("connection: close"),
            "{text}"
        );
    }
}

/// A connection that sleeps between requests goes on where it was: after large bodies, which it goes to sleep
/// after at once, and with the beginning of the next request read already.
#[tokio::test]
async fn requests_go_on_after_sleep() {
    let server = Server::start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    for (length, pause_ms) in [(5, 0), (3 << 20, 0), (3 << 20, 0), (5, 500), (300_000, 500)] {
        let body = vec![b'x'; length];
        let both = [
            keep_alive(Call::put("/bucket/key", &body)).wire(),
            keep_alive(Call::new("GET", "/")).wire(),
        ];
        let both = both.concat();
        let (first, last) = both.split_at(both.len() - 7);
        stream.write_all(first).await.unwrap();
        let text = read_until(&mut stream, "\r\n\r\n").await;
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        assert_eq!(server.seen.lock().payload.len(), length);
        tokio::time::sleep(Duration::from_millis(pause_ms)).await;
        stream.write_all(last).await.unwrap();
        let text = read_until(&mut stream, "</ListAllMyBucketsResult>").await;
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    }
}

/// One connection may be awake at a time, in effect: those that are asleep do not keep it from working.
#[tokio::test]
async fn idle_connections_make_way() {
    let limits = ServeLimits {
        max_awake: 1,
        ..ServeLimits::default()
    };
    let server = Server::start_with(Duration::from_secs(20), limits).await;
    let mut streams = Vec::new();
    for _ in 0..100 {
        streams.push(TcpStream::connect(server.address).await.unwrap());
    }
    for _ in 0..2 {
        for stream in &mut streams {
            let call = keep_alive(Call::put("/bucket/key", b"hello"));
            stream.write_all(&call.wire()).await.unwrap();
        }
        for stream in &mut streams {
            let text = read_until(stream, "\r\n\r\n").await;
            assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        }
    }
}

/// Every place is taken by requests whose bodies do not come.
#[tokio::test]
async fn a_request_without_a_place_is_told_to_slow_down() {
    let limits = ServeLimits {
        max_awake: 1,
        header_read: Duration::from_millis(300),
        ..ServeLimits::default()
    };
    let server = Server::start_with(Duration::from_secs(20), limits).await;
    let mut silent = Vec::new();
    for _ in 0..32 {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let call = Call::put("/bucket/key", b"").unsigned_header("content-length", "5");
        stream.write_all(&call.wire()).await.unwrap();
        silent.push(stream);
    }
    // Until each has its place.
    tokio::time::sleep(Duration::from_millis(200)).await;
    let answer = server
        .send(&Call::put("/bucket/other", &vec![b'x'; 200_000]))
        .await;
    answer.expect(503, "SlowDown");
    let head = answer.head.to_ascii_lowercase();
    assert!(
        head.contains("retry-after: 1") && head.contains("connection: close"),
        "{head}"
    );
}

/// Its client lets the server send nothing on any stream: nothing on the socket tells that it does not read.
#[tokio::test]
async fn a_connection_of_http2_that_reads_no_answer_is_ended() {
    let limits = ServeLimits {
        header_read: Duration::from_millis(100),
        write_stall: Duration::from_millis(500),
        ..ServeLimits::default()
    };
    let server = Server::start_with(Duration::from_secs(20), limits).await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let mut sent = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // SETTINGS: SETTINGS_INITIAL_WINDOW_SIZE 0; HEADERS of stream 1: GET / without a body.
    sent.extend_from_slice(&[0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
    sent.extend_from_slice(&[0, 0, 6, 1, 5, 0, 0, 0, 1, 0x82, 0x86, 0x84, 0x41, 1, b'a']);
    stream.write_all(&sent).await.unwrap();
    let mut heard = Vec::new();
    let clock = SystemClock::new();
    let began = clock.monotonic();
    let ended = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut heard)).await;
    ended.expect("the connection is kept").ok();
    assert!(
        clock.monotonic() - began >= Duration::from_millis(400),
        "it is given time"
    );
    let has_frame = |kind: u8| {
        let mut rest = heard.as_slice();
        while let [a, b, c, found, ..] = rest {
            if *found == kind {
                return true;
            }
            let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
            rest = rest.get(9 + length..).unwrap_or_default();
        }
        false
    };
    assert!(
        has_frame(1) && !has_frame(0),
        "the head of an answer, and nothing of its body"
    );
}

#[tokio::test]
async fn the_answer_to_a_refused_upload_is_not_lost() {
    let server = Server::start().await;
    let mut call = Call::put("/bucket/refused", &vec![b'x'; 8 << 20]);
    call = keep_alive(call);
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    // This client sends all before it reads: had the server reset the connection, this would fail.
    stream.write_all(&call.wire()).await.unwrap();
    stream.shutdown().await.unwrap();
    Answer::read(&mut stream).await.expect(404, "NoSuchBucket");
}

#[tokio::test]
async fn a_silent_body_is_timed_out() {
    let idle = Duration::from_millis(200);
    let server = Server::start_with(idle, ServeLimits::default()).await;
    for method in ["PUT", "POST"] {
        let (path, name) = if method == "PUT" {
            ("/bucket/key", "x-id")
        } else {
            ("/bucket", "delete")
        };
        let call =
            Call::new(method, path).query(name, if method == "PUT" { "PutObject" } else { "" });
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        let wire = keep_alive(call.unsigned_header("content-length", "10")).wire();
        stream.write_all(&wire).await.unwrap();
        stream.write_all(b"<De").await.unwrap();
        Answer::read(&mut stream)
            .await
            .expect(400, "RequestTimeout");
    }
}

#[tokio::test]
async fn a_client_that_leaves_is_never_a_success() {
    let server = Server::start().await;
    let call = Call::put("/bucket/key", b"hello").unsigned_header("content-length", "10");
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(&call.wire()).await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(!answer.contains(" 200 "), "{answer}");
    assert!(server.seen.lock().payload.is_empty());
    assert_eq!(server.seen.lock().calls, ["PutObject"]);
}

#[tokio::test]
async fn a_fault_within_an_answer_cuts_the_connection() {
    let server = Server::start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream
        .write_all(&keep_alive(Call::new("GET", "/bucket/broken")).wire())
        .await
        .unwrap();
    let mut bytes = Vec::new();
    let _ = stream.read_to_end(&mut bytes).await;
    let text = String::from_utf8(bytes).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("headers");
    assert!(head.contains("content-length: 8"), "{head}");
    assert_eq!(body, "half");
}

#[tokio::test]
async fn slow_headers_and_silent_connections_are_closed() {
    let limits = ServeLimits {
        header_read: Duration::from_millis(200),
        ..ServeLimits::default()
    };
    let server = Server::start_with(Duration::from_secs(20), limits).await;
    for begin in ["", "P", "PUT /bucket/key HTTP/1.1\r\nhost: h\r\n"] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(begin.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let read = stream.read_to_end(&mut rest);
        let _ = tokio::time::timeout(Duration::from_secs(10), read)
            .await
            .expect("still open");
    }
}

#[tokio::test]
async fn too_many_or_too_long_headers_are_refused() {
    let server = Server::start().await;
    let mut call = Call::new("GET", "/");
    for n in 0..300 {
        call = call.unsigned_header(&format!("h{n}"), "v");
    }
    assert_eq!(server.send(&call).await.status, 431);
    let call = Call::new("GET", "/").unsigned_header("long", &"v".repeat(200 * 1024));
    assert_eq!(server.send(&call).await.status, 431);
}

#[tokio::test]
async fn shutting_down_finishes_what_has_begun() {
    let mut server = Server::start().await;
    let mut idle = TcpStream::connect(server.address).await.unwrap();
    idle.write_all(&keep_alive(Call::new("GET", "/")).wire())
        .await
        .unwrap();
    read_until(&mut idle, "</ListAllMyBucketsResult>").await;
    let mut busy = TcpStream::connect(server.address).await.unwrap();
    let call = Call::put("/bucket/key", b"hel").unsigned_header("content-length", "5");
    busy.write_all(&call.wire()).await.unwrap();
    for _ in 0..200 {
        if !server.seen.lock().calls.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    server.shutdown.cancel();
    assert_eq!(
        idle.read(&mut [0; 16]).await.unwrap(),
        0,
        "an idle connection is closed at once"
    );
    assert!(
        TcpStream::connect(server.address).await.is_err(),
        "none is accepted any more"
    );
    busy.write_all(b"lo").await.unwrap();
    Answer::read(&mut busy).await.expect(200, "");
    assert_eq!(server.seen.lock().payload, b"hello");
    tokio::time::timeout(Duration::from_secs(5), &mut server.task)
        .await
        .unwrap()
        .unwrap();
}
