//! What is counted.

use crate::handshake::Watch;
use crate::support::{LONG, Pair, bytes, echo, pair, until};
use rpc::client::Call;

#[tokio::test]
async fn calls_bytes_and_connections_are_counted_on_both_sides() {
    let watch = Watch::new();
    let Pair {
        peer,
        server,
        network,
    } = pair(echo()).await;
    for _ in 0..3 {
        let call = Call::new("echo", "", LONG).with_body(bytes(10_000));
        peer.call(call).await.unwrap();
    }
    peer.call(Call::new("none", "", LONG)).await.unwrap_err();
    let has = |line: &str| watch.metrics.render().contains(line);
    for side in ["client", "server"] {
        let line =
            format!(r#"cairn_rpc_calls_total{{side="{side}",method="echo",outcome="done"}} 3"#);
        until(&line, || has(&line)).await;
        let line =
            format!(r#"cairn_rpc_call_duration_seconds_count{{side="{side}",method="echo"}} 3"#);
        until(&line, || has(&line)).await;
        let line = format!(r#"cairn_rpc_connections{{side="{side}"}} 1"#);
        assert!(has(&line), "{line}");
    }
    // The caller's word is in its own program; the server knows no such method.
    assert!(has(
        r#"cairn_rpc_calls_total{side="client",method="none",outcome="refused"} 1"#
    ));
    until("the refusal", || {
        has(r#"cairn_rpc_calls_total{side="server",method="none",outcome="refused"} 1"#)
    })
    .await;
    let value = |name: &str| {
        let text = watch.metrics.render();
        let mut lines = text.lines();
        let line = lines.find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse::<u64>().unwrap()
    };
    // Requests and answers of three calls, both ends in this process, and some headers.
    for name in [
        "cairn_rpc_sent_bytes_total ",
        "cairn_rpc_received_bytes_total ",
    ] {
        let bytes = value(name);
        assert!((60_000..62_000).contains(&bytes), "{name}{bytes}");
    }
    drop((network, peer));
    let line = r#"cairn_rpc_connections{side="client"} 0"#;
    until(line, || has(line)).await;
    drop(server);
    let line = r#"cairn_rpc_connections{side="server"} 0"#;
    until(line, || has(line)).await;
}
