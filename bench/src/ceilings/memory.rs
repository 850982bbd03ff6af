//! How fast bytes move: from memory to memory, and through a socket of the loopback interface.

use super::best;
use anyhow::{Context, Result};
use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Duration;
use types::clock::Clock;

/// More than the processor's caches hold.
const COPY_BYTES: usize = 64 << 20;
/// Long enough that what fits into the socket's buffers does not count for much.
const SLICE: Duration = Duration::from_millis(50);
/// What is written and read at a time.
const SOCKET_BYTES: usize = 256 << 10;

/// In 10^9 bytes a second that arrive; as many are read.
pub fn measure_copy(each: Duration, clock: &dyn Clock) -> f64 {
    let from = vec![1_u8; COPY_BYTES];
    let mut to = vec![2_u8; COPY_BYTES];
    let copied = best(each, Duration::ZERO, clock, COPY_BYTES as f64 / 1e9, || {
        to.copy_from_slice(black_box(&from));
        black_box(&mut to);
        Ok(())
    });
    copied.expect("copying does not fail")
}

/// In 10^9 bytes a second, one stream, a thread at each end.
pub fn measure_loopback(each: Duration, clock: &dyn Clock) -> Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen on 127.0.0.1")?;
    let address = listener.local_addr()?;
    let reader = thread::Builder::new()
        .name("bench-reader".to_owned())
        .spawn(move || -> std::io::Result<()> {
            let (mut stream, _) = listener.accept()?;
            let mut buffer = vec![0; SOCKET_BYTES];
            while stream.read(&mut buffer)? > 0 {}
            Ok(())
        })
        .context("cannot start a thread")?;
    let mut stream = TcpStream::connect(address).context("cannot connect to 127.0.0.1")?;
    let buffer = vec![1; SOCKET_BYTES];
    let rate = best(each, SLICE, clock, SOCKET_BYTES as f64 / 1e9, || {
        Ok(stream.write_all(&buffer)?)
    });
    drop(stream);
    reader.join().expect("the reader does not panic")?;
    rate
}
