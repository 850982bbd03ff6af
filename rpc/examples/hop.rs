//! What a call between two nodes costs: calls a second and CPU time a call, over mutual TLS on loopback.
//!
//! `cargo run --release -p rpc --example hop -- [CONNECTIONS [FRAME_KIB]]`. The server runs in a process of
//! its own, so that the CPU time of each side can be told.

use bytes::Bytes;
use rpc::client::{Call, Network, Peer};
use rpc::identity::{
    ClusterCa, Credentials, Identity, NODE_VALIDITY, NodeKey, NodeRequest, TrustBundle,
};
use rpc::server::{RefuseCopies, Response, Server, Service};
use rpc::{Limits, Node};
use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;
use types::clock::{Clock, SystemClock};
use types::entropy::OsEntropy;
use types::ids::{InstallationId, NodeId, RegionId};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Time of one measurement.
const SPAN: Duration = Duration::from_secs(3);
/// Time before it.
const WARM_UP: Duration = Duration::from_millis(500);
const DEADLINE: Duration = Duration::from_secs(30);
const MAX: usize = 1 << 20;

#[tokio::main]
async fn main() -> Outcome<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [command, folder, frame] if command == "serve" => {
            serve(Path::new(folder), limits(1, frame.parse()?)).await
        }
        [] => measure(limits(1, 512)).await,
        [connections] => measure(limits(connections.parse()?, 512)).await,
        [connections, frame] => measure(limits(connections.parse()?, frame.parse()?)).await,
        _ => Err("usage: hop [CONNECTIONS [FRAME_KIB]]".into()),
    }
}

fn limits(bulk_connections: usize, frame_kib: u32) -> Limits {
    Limits {
        bulk_connections,
        frame_bytes: frame_kib * 1024,
        ..Limits::default()
    }
}

fn node(id: u32, folder: &Path, limits: Limits) -> Outcome<Arc<Node>> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let ca = ClusterCa::load(&folder.join("ca.pem"), &folder.join("ca.key"))?;
    let key = NodeKey::generate()?;
    let wanted = NodeRequest {
        request: &key.certificate_request()?,
        node: NodeId(id),
        names: &[],
        validity: NODE_VALIDITY,
    };
    let certificate = ca.issue(&wanted, &*clock, &OsEntropy)?;
    let bundle = TrustBundle::new(vec![ca.certificate().clone()])?;
    let credentials = Credentials::new(key, certificate, bundle)?;
    let identity = Arc::new(Identity::new(credentials, clock.clone())?);
    Ok(Arc::new(Node::new(
        identity,
        "hop",
        limits,
        clock,
        Arc::new(OsEntropy),
    )))
}

/// User and system time of this process.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

async fn serve(folder: &Path, limits: Limits) -> Outcome<()> {
    let service = Service::new()
        .unary("up", MAX, |_, request| async move {
            Ok(Response::of(request.message))
        })
        .unary("down", MAX, |_, request| async move {
            let length = request
                .message
                .first_chunk()
                .map_or(0, |bytes| u32::from_be_bytes(*bytes));
            static ZEROS: [u8; MAX] = [0; MAX];
            Ok(Response {
                message: Bytes::new(),
                body: Bytes::from_static(&ZEROS[..length as usize]).into(),
            })
        })
        .unary("cpu", 0, |_, _| async {
            let nanos = u64::try_from(cpu_time().as_nanos()).unwrap_or(u64::MAX);
            Ok(Response::of(nanos.to_be_bytes().to_vec()))
        });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let server = Server::start(node(1, folder, limits)?, listener, service, RefuseCopies)?;
    println!("{}", server.address());
    std::io::stdout().flush()?;
    // Until the measuring process closes our input.
    tokio::task::spawn_blocking(|| std::io::stdin().lines().for_each(drop)).await?;
    Ok(())
}

async fn measure(limits: Limits) -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let ca = ClusterCa::create(
        InstallationId(1),
        RegionId(1),
        &SystemClock::new(),
        &OsEntropy,
    )?;
    ca.save(&folder.path().join("ca.pem"), &folder.path().join("ca.key"))?;
    let mut child = Command::new(std::env::current_exe()?)
        .arg("serve")
        .arg(folder.path())
        .arg((limits.frame_bytes / 1024).to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut address = String::new();
    let output = child.stdout.take().ok_or("no output")?;
    BufReader::new(output).read_line(&mut address)?;
    let network = Network::new(node(2, folder.path(), limits)?);
    network.update([(NodeId(1), vec![address.trim().to_owned()])].into());
    let peer = network.peer(NodeId(1)).ok_or("no peer")?;
    println!(
        "| bytes | direction | callers | calls/s | MB/s | median µs | 99 % µs | caller CPU µs | server CPU µs |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for bytes in [100, 1024, 4096, 65_536, 262_144] {
        for is_up in [true, false] {
            for callers in [1, 16] {
                row(&peer, bytes, is_up, callers).await?;
            }
        }
    }
    drop(child.stdin.take());
    child.wait()?;
    Ok(())
}

fn call(bytes: usize, is_up: bool) -> Call {
    if is_up {
        return Call::new("up", "", DEADLINE).with_body(Bytes::from(vec![1; bytes]));
    }
    let length = u32::try_from(bytes).unwrap_or(u32::MAX);
    Call::new("down", length.to_be_bytes().to_vec(), DEADLINE).answered_by(bytes)
}

async fn servers_cpu(peer: &Peer) -> Outcome<Duration> {
    let answer = peer.call(Call::new("cpu", "", DEADLINE)).await?;
    let nanos = answer.message.first_chunk().ok_or("a short answer")?;
    Ok(Duration::from_nanos(u64::from_be_bytes(*nanos)))
}

/// Calls for so long, and gives each call's time.
async fn load(
    peer: &Peer,
    bytes: usize,
    is_up: bool,
    callers: usize,
    span: Duration,
) -> Outcome<Vec<Duration>> {
    let clock = Arc::new(SystemClock::new());
    let mut tasks = Vec::new();
    for _ in 0..callers {
        let (peer, clock) = (peer.clone(), clock.clone());
        tasks.push(tokio::spawn(async move {
            let mut times = Vec::new();
            let mut now = clock.monotonic();
            while now < span {
                peer.call(call(bytes, is_up)).await?;
                let before = std::mem::replace(&mut now, clock.monotonic());
                times.push(now - before);
            }
            Ok::<_, rpc::error::CallError>(times)
        }));
    }
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await??);
    }
    all.sort_unstable();
    Ok(all)
}

async fn row(peer: &Peer, bytes: usize, is_up: bool, callers: usize) -> Outcome<()> {
    load(peer, bytes, is_up, callers, WARM_UP).await?;
    let clock = SystemClock::new();
    let (theirs, ours) = (servers_cpu(peer).await?, cpu_time());
    let times = load(peer, bytes, is_up, callers, SPAN).await?;
    let (theirs, ours) = (servers_cpu(peer).await? - theirs, cpu_time() - ours);
    let calls = times.len() as f64;
    let rate = calls / clock.monotonic().as_secs_f64();
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    println!(
        "| {bytes} | {} | {callers} | {rate:.0} | {:.0} | {:.0} | {:.0} | {:.1} | {:.1} |",
        if is_up { "up" } else { "down" },
        rate * bytes as f64 / 1e6,
        micros(times[times.len() / 2]),
        micros(times[times.len() * 99 / 100]),
        micros(ours) / calls,
        micros(theirs) / calls,
    );
    Ok(())
}
