//! Faults as links, and links as packets that arrive or do not.

use super::*;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;
use types::clock::{Clock, SystemClock};

fn lost(links: &[Vec<Link>], from: usize, to: usize) -> bool {
    links[from][to].lost_per_million == ALL
}

#[test]
fn a_cut_of_one_way_leaves_the_other() {
    let cut = Fault::Cut {
        from: vec![0],
        to: vec![1, 2],
        is_both_ways: false,
    };
    let links = links(3, &[cut]);
    assert!(lost(&links, 1, 2) && lost(&links, 1, 3));
    assert!(!lost(&links, 2, 1) && !lost(&links, 3, 1) && !lost(&links, 2, 3));
    assert!(!lost(&links, 0, 1) && !lost(&links, 1, 0));
}

#[test]
fn a_zone_that_is_cut_off_is_so_for_clients_too() {
    let isolate = Fault::Isolate { zone: 1 };
    let links = links(3, &[isolate]);
    for other in [0, 1, 3] {
        assert!(lost(&links, 2, other) && lost(&links, other, 2));
    }
    assert!(!lost(&links, 1, 3) && !lost(&links, 0, 1));
}

#[test]
fn faults_add_up_and_end() {
    let delay = Fault::Delay {
        zone: 0,
        ms: 100,
        lost_per_mille: 20,
    };
    let isolate = Fault::Isolate { zone: 0 };
    let both = links(2, &[delay.clone(), isolate]);
    assert!(lost(&both, 1, 2), "the delay does not mend the cut");
    let one = links(2, &[delay]);
    let expected = Link {
        least_us: 50_000,
        most_us: 100_000,
        lost_per_million: 20_000,
    };
    assert_eq!(one[1][2], expected);
    assert_eq!(one[2][1], Link::default());
}

/// Answers each connection with one byte.
fn server(network: &Network, zone: usize) -> Child {
    let script = "import socket,sys\n\
                  s=socket.create_server((sys.argv[1],7000))\n\
                  print('ready',flush=True)\n\
                  while True:\n c,_=s.accept()\n c.sendall(b'x')\n c.close()\n";
    let mut words = network.wrapper(zone);
    words.extend(["python3", "-c", script].map(str::to_owned));
    words.push(network.zone(zone).to_string());
    let mut child = Command::new(&words[0])
        .args(&words[1..])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let output = child.stdout.take().unwrap();
    BufReader::new(output).read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    child
}

fn ask(address: SocketAddr) -> std::io::Result<Duration> {
    let clock = SystemClock::new();
    let limit = Duration::from_secs(1);
    let mut stream = TcpStream::connect_timeout(&address, limit)?;
    stream.set_read_timeout(Some(limit))?;
    stream.write_all(b"?")?;
    stream.read_exact(&mut [0])?;
    Ok(clock.monotonic())
}

#[test]
fn packets_arrive_late_or_never_as_the_links_say() {
    let dir = tempfile::tempdir().unwrap();
    let mut network = match Network::start(1, dir.path()) {
        Ok(network) => network,
        Err(error) => {
            println!("skipped: {error:#}");
            return;
        }
    };
    let mut server = server(&network, 0);
    let address = SocketAddr::from((network.zone(0), 7000));
    let quick = ask(address).unwrap();
    assert!(quick < Duration::from_millis(150), "{quick:?}");
    let delay = Fault::Delay {
        zone: 0,
        ms: 400,
        lost_per_mille: 0,
    };
    network.begin(&delay).unwrap();
    let slow = ask(address).unwrap();
    assert!(slow > Duration::from_millis(200), "{slow:?}");
    network.end(&delay).unwrap();
    let isolate = Fault::Isolate { zone: 0 };
    network.begin(&isolate).unwrap();
    ask(address).unwrap_err();
    network.end(&isolate).unwrap();
    ask(address).unwrap();
    server.kill().unwrap();
    server.wait().unwrap();
}
