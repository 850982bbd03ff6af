//! What HTTP alone costs: a handler that does nothing, in a process of its own, and our own client.

use super::EmptyHandler;
use crate::keys::Layout;
use crate::load::{Load, Phase, Settings};
use crate::mix::{Mix, Operation};
use crate::process::Process;
use crate::sign::Credentials;
use anyhow::{Context, Result, ensure};
use axum::Router;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;
use tokio::net::TcpListener;

/// Words after the binary's name that make it the handler.
const HANDLER: [&str; 2] = ["bench", "serve-nothing"];
const WARM_UP: Duration = Duration::from_millis(200);

/// Starts the handler, and makes requests to it for so long.
pub fn measure(connections: u16, each: Duration) -> Result<EmptyHandler> {
    let binary = std::env::current_exe().context("cannot find this binary")?;
    let mut child = Command::new(binary)
        .args(HANDLER)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start a handler")?;
    let result = measure_child(&mut child, connections, each);
    // It has nothing to lose, and may be gone already.
    let _ = child.kill();
    let _ = child.wait();
    result
}

fn measure_child(child: &mut Child, connections: u16, each: Duration) -> Result<EmptyHandler> {
    let output = child.stdout.take().context("the handler has no output")?;
    let mut endpoint = String::new();
    BufReader::new(output).read_line(&mut endpoint)?;
    let load = Load::new(Settings {
        endpoint: endpoint.trim().to_owned(),
        credentials: Credentials {
            access_key: "NOBODY".to_owned(),
            secret_key: "checked by nobody".to_owned(),
            region: "us-east-1".to_owned(),
        },
        signs_payload: false,
        bucket: "bucket".to_owned(),
        prefix: "bench".to_owned(),
        layout: Layout::Tree,
        sizes: vec![0],
        connections: connections.into(),
        threads: 1,
        seed: 1,
        server: Some(Process::new(child.id())),
    })?;
    let mut phase = Phase {
        mix: Mix::only(Operation::Get),
        duration: WARM_UP,
        operations: u64::MAX,
        readable: 0..1000,
        deletable: 0..0,
    };
    load.measure(phase.clone())?;
    phase.duration = each;
    let report = load.measure(phase)?;
    ensure!(
        report.failed == 0,
        "requests to the empty handler failed: {:?}",
        report.errors
    );
    let server = report.server.context("the handler's process is known")?;
    Ok(EmptyHandler {
        connections: connections.into(),
        requests_per_second: report.ops_per_second,
        server_cpu_ms: server.cpu_ms_per_op,
        client_cpu_ms: report.client_cpu_ms_per_op,
    })
}

/// `cairn bench serve-nothing`: prints its endpoint and answers every request with an empty 200, until it is
/// killed.
pub fn serve_nothing() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start a runtime")?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("http://{}", listener.local_addr()?);
        let router = Router::new().fallback(|| async {});
        axum::serve(listener, router).await?;
        anyhow::Ok(())
    })
}
