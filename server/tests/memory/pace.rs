//! Clients that go on steadily, or hardly at all: all that read finish, and those that keep others out are
//! ended.

use crate::clients::{self, Onlooker};
use crate::common::s3::S3;
use crate::common::workload::value;
use crate::process::{memory, mib};
use crate::wire::Wire;
use crate::{BUCKET, MIB, start};
use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

const LIMIT: u64 = 256 * MIB;

/// Reads `body` at `bytes_a_second`, with little room for what it has not read; how long the answer took.
async fn read_steadily(s3: S3, path: String, body: Bytes, bytes_a_second: usize) -> Duration {
    let started = Instant::now();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(64 * 1024).unwrap();
    let mut stream = socket.connect(s3.address()).await.unwrap();
    let head = s3.head(Method::GET, &path, &[]);
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    let head = String::from_utf8(head).unwrap();
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    let answered = started.elapsed();
    let reading = Instant::now();
    let mut piece = vec![0; 64 * 1024];
    let mut read = 0;
    while read < body.len() {
        let count = stream.read(&mut piece).await.unwrap();
        assert!(count > 0, "cut off after {read} bytes");
        assert!(piece[..count] == body[read..read + count], "from {read} on");
        read += count;
        let due = Duration::from_secs_f64(read as f64 / bytes_a_second as f64);
        tokio::time::sleep(due.saturating_sub(reading.elapsed())).await;
    }
    answered
}

/// Were they served one after the other, the last would be refused: it would wait for half a minute.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_steady_readers_than_fit_all_go_on() {
    let (_dir, _installation, server) = start(LIMIT).await;
    let (s3, pid) = (&server.s3, server.pid());
    let body = value(5, 12 * MIB as usize);
    s3.put(BUCKET, "steady", body.clone()).await.unwrap().ok();
    let started = Instant::now();
    let readers = clients::each(32, |_| {
        let path = format!("/{BUCKET}/steady");
        read_steadily(s3.clone(), path, body.clone(), 3 * MIB as usize / 2)
    });
    let longest = readers.await.into_iter().max().unwrap();
    println!(
        "32 readers of 12 MiB at 1.5 MiB a second: the last is answered after {longest:?}, and all are done \
         after {:?}; peak {}",
        started.elapsed(),
        mib(memory(pid).peak)
    );
    assert!(longest < Duration::from_secs(5), "{longest:?}");
    assert!(memory(pid).peak <= LIMIT);
}

/// Lets each connection send a byte a second, for as long as the handle lives.
fn dribble(mut wires: Vec<Wire>) -> tokio::task::JoinHandle<()> {
    tokio::spawn(async move {
        loop {
            for wire in &mut wires {
                // The server may have ended it.
                let _ = tokio::time::timeout(Duration::from_millis(1), wire.send(b" ")).await;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_xml_bodies_leave_room_for_others() {
    let (_dir, _installation, server) = start(2 * LIMIT).await;
    let (s3, pid) = (&server.s3, server.pid());
    let wires = clients::each(300, |client| {
        let s3 = s3.clone();
        async move {
            let length = (8 * MIB).to_string();
            let target = format!("/{BUCKET}?delete");
            let head = s3.head(Method::POST, &target, &[("content-length", &length)]);
            let mut wire = Wire::connect(&s3).await;
            wire.send(head.as_bytes()).await.unwrap();
            // Half of them are quick at first.
            let first = if client % 2 == 0 { 100 } else { 100 * 1024 };
            wire.send(&vec![b' '; first]).await.unwrap();
            wire
        }
    });
    let dribbling = dribble(wires.await);
    let started = Instant::now();
    let onlooker = Onlooker::start(s3, BUCKET).await;
    for _ in 0..3 {
        let quick = clients::each(4, |client| {
            let (s3, path) = (s3.clone(), format!("/{BUCKET}/quick-{client}"));
            async move {
                clients::put(&s3, &path, client, 5 * MIB).await
                    + clients::get(&s3, &path, client, 5 * MIB).await
            }
        });
        assert_eq!(
            quick.await.iter().sum::<u64>(),
            0,
            "a quick client is refused"
        );
    }
    let (median, longest) = onlooker.stop().await;
    println!(
        "300 XML bodies of 8 MiB, a byte a second: 12 PUTs and GETs of 5 MiB in {:?}, small requests in \
         {median:?}, at the most {longest:?}; peak {}",
        started.elapsed(),
        mib(memory(pid).peak)
    );
    assert!(started.elapsed() < Duration::from_secs(20));
    assert!(memory(pid).peak <= 2 * LIMIT);
    dribbling.abort();
}

/// Begins an upload of 16 KiB; whether it is let in.
async fn begin_small(s3: &S3, key: u64) -> Option<Wire> {
    let headers = [("content-length", "16384"), ("expect", "100-continue")];
    let mut wire = Wire::connect(s3).await;
    let head = s3.head(Method::PUT, &format!("/{BUCKET}/small-{key}"), &headers);
    wire.send(head.as_bytes()).await.unwrap();
    match wire.head().await.unwrap().status {
        100 => Some(wire),
        503 => None,
        status => panic!("{status}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_bodies_that_hardly_come_are_ended_when_others_wait() {
    let (_dir, _installation, server) = start(LIMIT).await;
    let s3 = &server.s3;
    let started = Instant::now();
    let mut held = Vec::new();
    while let Some(wire) = begin_small(s3, held.len() as u64).await {
        held.push(wire);
        assert!(held.len() < 5000, "there is no end to the budget");
    }
    let count = held.len();
    let dribbling = dribble(held);
    let refused = clients::put(s3, &format!("/{BUCKET}/other"), 1, 16 * 1024).await;
    println!(
        "{count} bodies of 16 KiB, a byte a second: another is refused {refused} times, and stored after {:?}",
        started.elapsed()
    );
    assert!(count > 100);
    assert!(started.elapsed() < Duration::from_secs(25));
    dribbling.abort();
}

/// A connection of HTTP/2 with little room for what is not read of a stream.
async fn multiplexed(s3: &S3) -> http2::SendRequest<Empty<Bytes>> {
    let stream = TcpStream::connect(s3.address()).await.unwrap();
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .initial_stream_window_size(64 * 1024)
        .initial_connection_window_size(16 * 1024 * 1024);
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

/// A signed GET, as HTTP/2 has it.
fn get_request(s3: &S3, path: &str) -> Request<Empty<Bytes>> {
    let head = s3.head(Method::GET, path, &[]);
    let mut request = Request::get(format!("http://{}{path}", s3.address()));
    for line in head.lines().skip(1).take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ").unwrap();
        if name != "host" {
            request = request.header(name, value);
        }
    }
    request.body(Empty::new()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_nobody_reads_do_not_keep_others_out() {
    let (_dir, _installation, server) = start(LIMIT).await;
    let (s3, pid) = (&server.s3, server.pid());
    let body = value(6, 2 * MIB as usize);
    s3.put(BUCKET, "streamed", body.clone()).await.unwrap().ok();
    let path = format!("/{BUCKET}/streamed");
    // Each connection may have sixteen streams.
    let mut senders = Vec::new();
    for _ in 0..6 {
        senders.push(multiplexed(s3).await);
    }
    let started = Instant::now();
    let answers = clients::each(80, |stream| {
        let mut sender = senders[stream as usize % senders.len()].clone();
        let request = get_request(s3, &path);
        async move { sender.send_request(request).await.unwrap() }
    });
    let mut unread: Vec<http::Response<Incoming>> = answers.await;
    let answered = started.elapsed();
    assert!(
        unread
            .iter()
            .all(|answer| answer.status() == StatusCode::OK)
    );
    // There is not room for as many: the last were let in because the first were ended.
    assert!(answered > Duration::from_secs(4), "{answered:?}");
    let got = s3.get(BUCKET, "streamed").await.unwrap().ok();
    assert!(got.body == body);
    let mut ended = 0;
    for answer in unread.drain(..) {
        match answer.into_body().collect().await {
            Ok(read) => assert!(read.to_bytes() == body),
            Err(_) => ended += 1,
        }
    }
    println!(
        "80 streams that nobody reads: {ended} are ended, the last is answered after {answered:?}; peak {}",
        mib(memory(pid).peak)
    );
    assert!((1..80).contains(&ended), "{ended}");
    assert!(memory(pid).peak <= LIMIT);
}
