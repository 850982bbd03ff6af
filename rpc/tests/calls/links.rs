//! Connections that end, hang, and come back; and what is known of a call then.

use crate::support::{
    LONG, Pair, Region, SECOND, addresses, bytes, echo, network, pair_with, serve, until,
};
use bytes::Bytes;
use parking_lot::Mutex;
use rpc::Limits;
use rpc::client::Call;
use rpc::error::CallError;
use rpc::server::{RefuseCopies, Response, Server, Service};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use types::clock::{Clock, SystemClock};
use types::ids::NodeId;

/// Which direction a proxy cuts, and after how many bytes.
#[derive(Debug, Clone, Copy)]
enum Cut {
    Requests(usize),
    Answers(usize),
}

/// Passes bytes on until it has passed so many in one direction; then both sides see the end.
/// Answers how many it passed each way.
async fn cutting(to: SocketAddr, cut: Cut) -> (SocketAddr, Arc<[AtomicUsize; 2]>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let passed: Arc<[AtomicUsize; 2]> = Arc::default();
    let counted = passed.clone();
    tokio::spawn(async move {
        let (from, _) = listener.accept().await.unwrap();
        drop(listener);
        let to = TcpStream::connect(to).await.unwrap();
        let ((from_read, from_write), (to_read, to_write)) = (from.into_split(), to.into_split());
        let (requests, answers) = match cut {
            Cut::Requests(count) => (count, usize::MAX),
            Cut::Answers(count) => (usize::MAX, count),
        };
        tokio::select! {
            () = pass(from_read, to_write, requests, &counted[0]) => {}
            () = pass(to_read, from_write, answers, &counted[1]) => {}
        }
    });
    (address, passed)
}

async fn pass(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    max: usize,
    passed: &AtomicUsize,
) {
    let mut buffer = vec![0; 16_384];
    loop {
        let left = max - passed.load(Ordering::SeqCst);
        let Ok(got @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        let part = got.min(left);
        if to.write_all(&buffer[..part]).await.is_err() {
            return;
        }
        passed.fetch_add(part, Ordering::SeqCst);
        if part == left {
            return;
        }
    }
}

/// Counts how often each call was executed.
fn counting(executed: &Arc<Mutex<HashMap<Bytes, usize>>>) -> Service {
    let executed = executed.clone();
    Service::new().unary("count", 1 << 20, move |_, request| {
        *executed.lock().entry(request.message.clone()).or_default() += 1;
        async move { Ok(Response::of(request.message)) }
    })
}

#[tokio::test]
async fn a_cut_at_any_byte_is_told_truly() {
    let executed = Arc::default();
    let region = Region::new();
    let server = serve(&region.node(1), counting(&executed)).await;
    let caller = region.node(2);
    let attempt = |cut: Cut, name: String| {
        let (server, caller) = (server.address(), caller.clone());
        async move {
            let (proxy, passed) = cutting(server, cut).await;
            let network = network(&caller, &[(1, proxy)]);
            let peer = network.peer(NodeId(1)).unwrap();
            let call = Call::new("count", name, LONG).with_body(bytes(2000));
            let outcome = peer.call(call).await;
            drop(network);
            (outcome, passed)
        }
    };
    let (outcome, passed) = attempt(Cut::Requests(usize::MAX), "whole".into()).await;
    outcome.unwrap();
    let total = |way: usize| passed[way].load(Ordering::SeqCst);
    // Every byte of the exchange itself, and some of the handshake before it.
    let points = |total: usize| {
        (1..total)
            .filter(move |at| at % 61 == 0 || at + 2400 > total && at % 7 == 0 || at + 60 > total)
    };
    let requests = points(total(0)).map(Cut::Requests);
    let answers = points(total(1)).map(Cut::Answers);
    let mut seen: HashMap<&str, usize> = HashMap::new();
    for (number, cut) in requests.chain(answers).enumerate() {
        let name = format!("call {number}");
        let (outcome, _) = attempt(cut, name.clone()).await;
        let count = executed.lock().get(name.as_bytes()).copied().unwrap_or(0);
        let word = match outcome {
            Ok(_) => {
                assert_eq!(count, 1, "{cut:?}");
                "done"
            }
            Err(error) => {
                let is_proof = error.is_certainly_not_executed();
                assert!(!is_proof || count == 0, "{cut:?}: {error}");
                assert!(
                    !matches!(error, CallError::Failed { .. }),
                    "{cut:?}: {error}"
                );
                if count == 1 {
                    "executed, unknown"
                } else {
                    error.word()
                }
            }
        };
        *seen.entry(word).or_default() += 1;
    }
    // Each of these happens, or the cuts were not where they should have been.
    for word in ["not-sent", "unknown", "executed, unknown"] {
        assert!(
            seen.get(word).is_some_and(|count| *count > 3),
            "{word}: {seen:?}"
        );
    }
}

#[tokio::test]
async fn a_peer_that_falls_silent_is_noticed_within_about_two_seconds() {
    let began = Arc::new(AtomicBool::new(false));
    let ended = Arc::new(AtomicBool::new(false));
    let (begins, ends) = (began.clone(), ended.clone());
    let service = Service::new().unary("hang", 0, move |context, _| {
        begins.store(true, Ordering::SeqCst);
        let (ends, cancelled) = (ends.clone(), context.cancelled());
        tokio::spawn(async move {
            cancelled.cancelled().await;
            ends.store(true, Ordering::SeqCst);
        });
        std::future::pending()
    });
    let region = Region::new();
    let server = serve(&region.node(1), service).await;
    // A proxy that stops passing bytes and closes nothing.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = listener.local_addr().unwrap();
    let to = server.address();
    let silent = tokio_util::sync::CancellationToken::new();
    let falls_silent = silent.clone();
    tokio::spawn(async move {
        let (mut from, _) = listener.accept().await.unwrap();
        let mut to = TcpStream::connect(to).await.unwrap();
        tokio::select! {
            _ = tokio::io::copy_bidirectional(&mut from, &mut to) => {}
            () = falls_silent.cancelled() => {}
        }
        tokio::time::sleep(LONG).await;
    });
    let network = network(&region.node(2), &[(1, proxy)]);
    let peer = network.peer(NodeId(1)).unwrap();
    let clock = SystemClock::new();
    let call = tokio::spawn(async move { peer.call(Call::new("hang", "", LONG)).await });
    until("the handler runs", || began.load(Ordering::SeqCst)).await;
    // Longer than two pings: as long as they are answered, nothing happens.
    tokio::time::sleep(SECOND * 3).await;
    assert!(!call.is_finished() && !ended.load(Ordering::SeqCst));
    let from = clock.monotonic();
    silent.cancel();
    let error = call.await.unwrap().unwrap_err();
    assert!(matches!(error, CallError::Unknown { .. }), "{error}");
    until("the handler is dropped", || ended.load(Ordering::SeqCst)).await;
    let took = clock.monotonic() - from;
    assert!(took < SECOND * 4, "{took:?}");
    assert!(server.callers().is_empty());
}

#[tokio::test]
async fn calls_to_a_node_that_is_gone_fail_at_once_and_find_it_when_it_is_back() {
    let region = Region::new();
    let node = region.node(1);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let network = network(&region.node(2), &[(1, address)]);
    let peer = network.peer(NodeId(1)).unwrap();
    let clock = SystemClock::new();
    let from = clock.monotonic();
    for _ in 0..2000 {
        let error = peer.call(Call::new("echo", "", LONG)).await.unwrap_err();
        assert!(matches!(error, CallError::NotSent { .. }), "{error}");
    }
    assert!(clock.monotonic() - from < SECOND * 3);
    let listener = TcpListener::bind(address).await.unwrap();
    let _server = Server::start(node, listener, echo(), RefuseCopies).unwrap();
    for _ in 0..100 {
        if peer.call(Call::new("echo", "", LONG)).await.is_ok() {
            return;
        }
        tokio::time::sleep(SECOND / 20).await;
    }
    panic!("not found again");
}

#[tokio::test]
async fn a_node_that_is_known_not_to_answer_holds_up_nobody() {
    let region = Region::new();
    // It takes connections and says nothing.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let limits = Limits {
        connect: SECOND / 2,
        waiting: 10,
        ..Limits::default()
    };
    let address = listener.local_addr().unwrap();
    let network = network(&region.node_with(2, limits), &[(1, address)]);
    let peer = network.peer(NodeId(1)).unwrap();
    let clock = SystemClock::new();
    // The first attempt is waited for, by so many.
    let calls = (0..30).map(|_| peer.call(Call::new("echo", "", LONG)));
    let errors = futures::future::join_all(calls).await;
    let full = errors.iter().filter(|error| {
        let error = error.as_ref().unwrap_err();
        assert!(matches!(error, CallError::NotSent { .. }), "{error}");
        error.to_string().contains("wait for it already")
    });
    assert_eq!(full.count(), 20);
    // The next ones wait a little.
    tokio::time::sleep(SECOND / 5).await;
    let from = clock.monotonic();
    peer.call(Call::new("echo", "", LONG)).await.unwrap_err();
    let took = clock.monotonic() - from;
    assert!(took < Duration::from_millis(400), "{took:?}");
}

#[tokio::test]
async fn a_deadline_without_a_connection_means_not_sent() {
    let region = Region::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let network = network(&region.node(2), &[(1, listener.local_addr().unwrap())]);
    let peer = network.peer(NodeId(1)).unwrap();
    let error = peer
        .call(Call::new("echo", "", SECOND / 5))
        .await
        .unwrap_err();
    assert!(matches!(error, CallError::NotSent { .. }), "{error}");
}

#[tokio::test]
async fn stopping_finishes_what_is_under_way_and_refuses_the_rest() {
    let executed = Arc::new(AtomicUsize::new(0));
    let counted = executed.clone();
    let service = Service::new().unary("slow", 0, move |_, _| {
        let counted = counted.clone();
        async move {
            tokio::time::sleep(SECOND / 2).await;
            counted.fetch_add(1, Ordering::SeqCst);
            Ok(Response::default())
        }
    });
    let Pair {
        peer,
        server,
        network: _network,
    } = pair_with(service, Limits::default()).await;
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let peer = peer.clone();
            tokio::spawn(async move { peer.call(Call::new("slow", "", LONG)).await })
        })
        .collect();
    tokio::time::sleep(SECOND / 4).await;
    let clock = SystemClock::new();
    let from = clock.monotonic();
    // Calls go on coming while it stops.
    let late = tokio::spawn(async move {
        let mut outcomes = Vec::new();
        for _ in 0..100 {
            outcomes.push(peer.call(Call::new("slow", "", LONG)).await);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        outcomes
    });
    server.shutdown().await;
    assert!(clock.monotonic() - from < SECOND * 3);
    for call in calls {
        call.await.unwrap().unwrap();
    }
    let mut done = 20;
    for outcome in late.await.unwrap() {
        match outcome {
            Ok(_) => done += 1,
            Err(error) => assert!(error.is_certainly_not_executed(), "{error}"),
        }
    }
    assert_eq!(executed.load(Ordering::SeqCst), done);
}

#[tokio::test]
async fn a_node_that_moves_is_followed_and_one_that_leaves_is_not_called() {
    let region = Region::new();
    let node = region.node(1);
    let first = serve(&node, echo()).await;
    let network = network(&region.node(2), &[(1, first.address())]);
    let peer = network.peer(NodeId(1)).unwrap();
    peer.call(Call::new("echo", "", LONG)).await.unwrap();
    let second = serve(&node, echo()).await;
    network.update(addresses(&[(1, second.address())]));
    peer.call(Call::new("echo", "", LONG)).await.unwrap();
    assert_eq!(second.callers().len(), 1);
    until("the old connection ends", || first.callers().is_empty()).await;
    network.update(addresses(&[]));
    assert!(network.peer(NodeId(1)).is_none());
    let error = peer.call(Call::new("echo", "", LONG)).await.unwrap_err();
    assert!(matches!(error, CallError::NotSent { .. }), "{error}");
    assert!(
        error.to_string().contains("not in the cluster map"),
        "{error}"
    );
    until("the connection ends", || second.callers().is_empty()).await;
}

#[tokio::test]
async fn connections_are_counted_and_bounded() {
    let region = Region::new();
    let limits = Limits {
        connections: 2,
        ..Limits::default()
    };
    let server = serve(&region.node_with(1, limits), echo()).await;
    let mut networks = Vec::new();
    for id in 2..5 {
        let network = network(&region.node(id), &[(1, server.address())]);
        let peer = network.peer(NodeId(1)).unwrap();
        let outcome = peer.call(Call::new("echo", "", LONG)).await;
        assert_eq!(outcome.is_ok(), id < 4, "{id}");
        if let Err(error) = outcome {
            assert!(error.is_certainly_not_executed(), "{error}");
        }
        networks.push(network);
    }
    assert_eq!(server.callers().len(), 2);
}

#[tokio::test]
async fn small_calls_do_not_share_a_connection_with_bodies() {
    let Pair {
        peer,
        server,
        network: _network,
    } = pair_with(echo(), Limits::default()).await;
    peer.call(Call::new("echo", "", LONG)).await.unwrap();
    assert_eq!(server.callers().len(), 1);
    let call = Call::new("echo", "", LONG).with_body(bytes(100_000));
    peer.call(call.answered_by(100_000)).await.unwrap();
    assert_eq!(server.callers().len(), 2);
}

#[test]
fn the_bound_of_a_servers_memory_is_what_the_documents_say() {
    let limits = Limits::default();
    assert_eq!(
        limits.connection_bytes(),
        2048 * 1024 + 512 * 1024 + 192 * 1024
    );
    assert_eq!(
        limits.server_bytes(),
        256 * limits.connection_bytes() + (128 << 20)
    );
}
