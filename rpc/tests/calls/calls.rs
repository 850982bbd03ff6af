//! What arrives, and how calls end.

use crate::support::{LONG, Pair, SECOND, bytes, echo, network, pair, pair_with, serve, until};
use bytes::Bytes;
use futures::StreamExt;
use rpc::Limits;
use rpc::body::{Body, BodyError};
use rpc::client::Call;
use rpc::error::{CallError, Failure, Refusal};
use rpc::server::{Response, Service};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use types::ids::NodeId;

fn refusal(error: CallError) -> Refusal {
    assert!(error.is_certainly_not_executed());
    match error {
        CallError::Refused { refused, .. } => refused.reason,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn messages_and_bodies_of_every_size_come_back() {
    let Pair {
        peer,
        server: _server,
        network,
        ..
    } = pair(echo()).await;
    for length in [
        0,
        1,
        100,
        8191,
        8192,
        8193,
        32_768,
        40_000,
        262_144,
        300_000,
        4 << 20,
    ] {
        let call = Call::new("echo", bytes(length.min(100_000)), LONG)
            .with_body(bytes(length))
            .answered_by(4 << 20);
        let answer = peer.call(call).await.unwrap();
        assert_eq!(answer.message, bytes(length.min(100_000)), "{length}");
        assert_eq!(answer.body.collect(4 << 20).await.unwrap(), bytes(length));
    }
    assert_eq!(network.peers().len(), 1);
}

#[tokio::test]
async fn many_calls_at_once_are_told_apart() {
    let Pair {
        peer,
        server: _server,
        network: _network,
        ..
    } = pair(echo()).await;
    let calls = (0..1000_usize).map(|number| {
        let peer = peer.clone();
        async move {
            let body = bytes(number * 40);
            let call = Call::new("echo", number.to_string(), LONG).with_body(body.clone());
            let answer = peer.call(call.answered_by(1 << 20)).await.unwrap();
            assert_eq!(answer.message, number.to_string());
            assert_eq!(answer.body.collect(1 << 20).await.unwrap(), body);
        }
    });
    futures::stream::iter(calls)
        .for_each_concurrent(200, |call| call)
        .await;
}

#[tokio::test]
async fn a_handlers_error_comes_with_its_code_and_details() {
    let service = Service::new().unary("fail", 0, |context, _| async move {
        assert_eq!(context.peer.node, NodeId(2));
        assert_eq!(context.epoch, 7);
        Err(Failure {
            detail: Bytes::from_static(b"more"),
            ..Failure::new(42, "no such thing")
        })
    });
    let Pair {
        peer,
        server: _server,
        network,
        ..
    } = pair(service).await;
    network.node().raise_epoch(7);
    let error = peer.call(Call::new("fail", "", LONG)).await.unwrap_err();
    assert!(!error.is_certainly_not_executed());
    let CallError::Failed { failure, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(
        (failure.code, &*failure.message, &*failure.detail),
        (42, "no such thing", &b"more"[..])
    );
}

#[tokio::test]
async fn answers_tell_the_epoch() {
    let region = crate::support::Region::new();
    let node = region.node(1);
    let server = serve(&node, echo()).await;
    let network = network(&region.node(2), &[(1, server.address())]);
    let peer = network.peer(NodeId(1)).unwrap();
    node.raise_epoch(9);
    node.raise_epoch(8);
    peer.call(Call::new("echo", "", LONG)).await.unwrap();
    assert_eq!(peer.epoch(), 9);
}

#[tokio::test]
async fn what_a_method_does_not_take_is_refused_before_it_runs() {
    let service = Service::new().unary("small", 10, |_, _| async { panic!("must not run") });
    let Pair {
        peer,
        server: _server,
        network: _network,
        ..
    } = pair(service).await;
    let unknown = peer.call(Call::new("none", "", LONG)).await.unwrap_err();
    assert!(unknown.to_string().contains("another role"), "{unknown}");
    assert_eq!(refusal(unknown), Refusal::UnknownMethod);
    for length in [11, 100_000, 3 << 20] {
        let call = Call::new("small", "", LONG).with_body(bytes(length));
        assert_eq!(
            refusal(peer.call(call).await.unwrap_err()),
            Refusal::TooLarge,
            "{length}"
        );
    }
    let pieces = futures::stream::iter([Ok(bytes(5))]);
    let call = Call::new("small", "", LONG).with_body(Body::stream(pieces));
    assert_eq!(
        refusal(peer.call(call).await.unwrap_err()),
        Refusal::Malformed
    );
    let long = Call::new("small", bytes(200_000), LONG);
    assert!(matches!(
        peer.call(long).await,
        Err(CallError::NotSent { .. })
    ));
}

#[tokio::test]
async fn requests_beyond_the_budget_are_refused_as_busy() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let held = gate.clone();
    let service = Service::new().unary("hold", 1000, move |_, request| {
        let held = held.clone();
        async move {
            let _permit = held.acquire().await;
            drop(request);
            Ok(Response::default())
        }
    });
    let limits = Limits {
        request_bytes: 1500,
        ..Limits::default()
    };
    let Pair {
        peer,
        server: _server,
        network: _network,
        ..
    } = pair_with(service, limits).await;
    let call = |length| Call::new("hold", "", LONG).with_body(bytes(length));
    let first = tokio::spawn({
        let peer = peer.clone();
        async move { peer.call(call(1000)).await }
    });
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(
        refusal(peer.call(call(501)).await.unwrap_err()),
        Refusal::Busy
    );
    gate.add_permits(10);
    first.await.unwrap().unwrap();
    peer.call(call(1000)).await.unwrap();
}

#[tokio::test]
async fn a_deadline_ends_the_call_on_both_sides() {
    let dropped = Arc::new(AtomicUsize::new(0));
    let counted = dropped.clone();
    let service = Service::new().unary("slow", 0, move |context, _| {
        let counted = counted.clone();
        async move {
            assert!(context.remaining <= Duration::from_millis(300));
            let cancelled = context.cancelled();
            tokio::spawn(async move {
                cancelled.cancelled().await;
                counted.fetch_add(1, Ordering::SeqCst);
            });
            tokio::time::sleep(LONG).await;
            Ok(Response::default())
        }
    });
    let Pair {
        peer,
        server: _server,
        network: _network,
        ..
    } = pair(service).await;
    let call = Call::new("slow", "", Duration::from_millis(300));
    let error = peer.call(call).await.unwrap_err();
    assert!(matches!(error, CallError::Unknown { .. }), "{error}");
    until("the handler ends", || dropped.load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn dropping_the_future_cancels_the_handler() {
    let (began, ended) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicBool::new(false)),
    );
    let (begins, ends) = (began.clone(), ended.clone());
    let service = Service::new().unary("slow", 0, move |context, _| {
        let (begins, ends) = (begins.clone(), ends.clone());
        async move {
            begins.store(true, Ordering::SeqCst);
            let cancelled = context.cancelled();
            tokio::spawn(async move {
                cancelled.cancelled().await;
                ends.store(true, Ordering::SeqCst);
            });
            std::future::pending().await
        }
    });
    let Pair {
        peer,
        server: _server,
        network: _network,
        ..
    } = pair(service).await;
    let call = tokio::spawn(async move { peer.call(Call::new("slow", "", LONG)).await });
    until("the handler runs", || began.load(Ordering::SeqCst)).await;
    assert!(!ended.load(Ordering::SeqCst));
    call.abort();
    until("the handler is dropped", || ended.load(Ordering::SeqCst)).await;
}

#[tokio::test]
async fn streams_go_both_ways_at_once() {
    let Pair {
        peer,
        server: _server,
        network: _network,
        ..
    } = pair(echo()).await;
    let pieces = (0..200_usize).map(|number| Ok(bytes(number * 100 + 1)));
    let expected: Vec<u8> = (0..200_usize)
        .flat_map(|number| bytes(number * 100 + 1))
        .collect();
    let call =
        Call::new("echo-stream", "m", LONG).with_body(Body::stream(futures::stream::iter(pieces)));
    let answer = peer.open(call).await.unwrap();
    assert_eq!(answer.message, "m");
    assert_eq!(answer.body.length(), None);
    assert_eq!(answer.body.collect(10 << 20).await.unwrap(), expected);
}

#[tokio::test]
async fn a_stream_is_made_no_faster_than_it_is_read() {
    let made = Arc::new(AtomicUsize::new(0));
    let counted = made.clone();
    let service = Service::new().streaming("endless", move |_, _| {
        let counted = counted.clone();
        async move {
            let pieces = futures::stream::repeat_with(move || {
                counted.fetch_add(65_536, Ordering::SeqCst);
                Ok(bytes(65_536))
            });
            Ok(Response {
                message: Bytes::new(),
                body: Body::stream(pieces),
            })
        }
    });
    let Pair {
        peer,
        server: _server,
        network: _network,
        ..
    } = pair(service).await;
    let mut answer = peer.open(Call::new("endless", "", LONG)).await.unwrap();
    tokio::time::sleep(SECOND / 2).await;
    let ahead = made.load(Ordering::SeqCst);
    assert!(
        ahead <= Limits::default().call_window_bytes as usize + (1 << 20),
        "{ahead}"
    );
    for _ in 0..100 {
        answer.body.next().await.unwrap().unwrap();
    }
    until("more is made", || made.load(Ordering::SeqCst) > ahead).await;
    // Others are not held up by a stream that nobody reads.
    assert!(matches!(
        peer.call(Call::new("none", "", LONG)).await,
        Err(CallError::Refused { .. })
    ));
}

#[tokio::test]
async fn a_stream_that_breaks_never_looks_whole() {
    let service = Service::new().streaming("break", |_, request| async move {
        let mut body = request.body;
        while let Some(piece) = body.next().await {
            piece.map_err(|error| Failure::new(1, error.to_string()))?;
        }
        let pieces = [Ok(bytes(10)), Err(BodyError::Source("out of luck".into()))];
        Ok(Response {
            message: Bytes::new(),
            body: Body::stream(futures::stream::iter(pieces)),
        })
    });
    let Pair {
        peer,
        server: _server,
        network: _network,
        ..
    } = pair(service).await;
    // The reset may overtake the beginning.
    match peer.open(Call::new("break", "", LONG)).await {
        Ok(answer) => {
            let error = answer.body.collect(1000).await.unwrap_err();
            assert!(matches!(error, BodyError::Cut(_)), "{error}");
        }
        Err(error) => assert!(matches!(error, CallError::Unknown { .. }), "{error}"),
    }
    let pieces = [Ok(bytes(10)), Err(BodyError::Source("here too".into()))];
    let call = Call::new("break", "", LONG).with_body(Body::stream(futures::stream::iter(pieces)));
    let error = peer.open(call).await.unwrap_err();
    assert!(!error.is_certainly_not_executed(), "{error}");
}

#[tokio::test]
async fn a_handler_that_panics_leaves_its_call_unknown_and_others_alone() {
    let service = echo().unary("panic", 0, |_, _| async { panic!("planted") });
    let Pair {
        peer,
        server,
        network: _network,
    } = pair(service).await;
    let error = peer.call(Call::new("panic", "", LONG)).await.unwrap_err();
    assert!(matches!(error, CallError::Unknown { .. }), "{error}");
    peer.call(Call::new("echo", "", LONG)).await.unwrap();
    assert_eq!(server.callers().len(), 1);
}
