//! A connection of which the test decides every byte and its time.

use crate::common::s3::S3;
use bytes::Bytes;
use http::Method;
use std::io;
use std::sync::OnceLock;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

/// Bytes of the pattern that all objects are cut from. Not a divisor of any cell or stripe, so that no
/// two blocks of an object are alike.
const PATTERN_BYTES: usize = 1024 * 1024 - 3;
/// Bytes written or read at once.
const PIECE_BYTES: usize = 256 * 1024;

/// The status and the headers of an answer.
#[derive(Debug, Clone)]
pub struct Head {
    pub status: u16,
    text: String,
}

impl Head {
    /// The value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.text.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    fn length(&self) -> u64 {
        self.header("content-length")
            .map_or(0, |length| length.parse().unwrap())
    }
}

/// See the module.
pub struct Wire {
    stream: TcpStream,
    /// Read, and not yet asked for.
    ahead: Vec<u8>,
}

/// The pattern, twice, so that every piece of it is one slice.
fn pattern() -> &'static [u8] {
    static PATTERN: OnceLock<Vec<u8>> = OnceLock::new();
    PATTERN.get_or_init(|| {
        let once = crate::common::workload::value(1, PATTERN_BYTES);
        [&once[..], &once[..]].concat()
    })
}

/// Up to a piece of the object of `seed`, from `offset`.
pub fn piece(seed: u64, offset: u64, left: u64) -> &'static [u8] {
    let start = ((seed * 4099 + offset) % PATTERN_BYTES as u64) as usize;
    &pattern()[start..start + left.min(PIECE_BYTES as u64) as usize]
}

impl Wire {
    /// A connection to the server that `s3` speaks to.
    pub async fn connect(s3: &S3) -> Self {
        Self::with_window(s3, None).await.unwrap()
    }

    /// The same, with room for no more than `bytes` that the test has not read, where that is given.
    pub async fn with_window(s3: &S3, bytes: Option<u32>) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        if let Some(bytes) = bytes {
            socket.set_recv_buffer_size(bytes)?;
        }
        let stream = socket.connect(s3.address()).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            ahead: Vec::new(),
        })
    }

    /// Sends bytes as they are.
    pub async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await
    }

    /// Sends `length` bytes of the object of `seed`, from its byte `from` on.
    pub async fn send_object(&mut self, seed: u64, from: u64, length: u64) -> io::Result<()> {
        let mut sent = 0;
        while sent < length {
            let piece = piece(seed, from + sent, length - sent);
            self.stream.write_all(piece).await?;
            sent += piece.len() as u64;
        }
        Ok(())
    }

    /// The head of the next answer.
    pub async fn head(&mut self) -> io::Result<Head> {
        let mut buffer = [0; 4096];
        loop {
            if let Some(end) = self.ahead.windows(4).position(|four| four == b"\r\n\r\n") {
                let rest = self.ahead.split_off(end + 4);
                let head = std::mem::replace(&mut self.ahead, rest);
                let text = String::from_utf8_lossy(&head).into_owned();
                let status = text.split(' ').nth(1).unwrap().parse().unwrap();
                return Ok(Head { status, text });
            }
            let read = self.stream.read(&mut buffer).await?;
            if read == 0 {
                let ahead = String::from_utf8_lossy(&self.ahead).into_owned();
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, ahead));
            }
            self.ahead.extend_from_slice(&buffer[..read]);
        }
    }

    /// The next answer with its body, which must be short.
    pub async fn answer(&mut self) -> io::Result<(Head, String)> {
        let head = self.head().await?;
        let mut body = std::mem::take(&mut self.ahead);
        let length = head.length() as usize;
        while body.len() < length {
            let read = self.stream.read_buf(&mut body).await?;
            if read == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        self.ahead = body.split_off(length);
        Ok((head, String::from_utf8_lossy(&body).into_owned()))
    }

    /// Reads the body of an answer, which must be the first `length` bytes of the object of `seed`.
    pub async fn expect_object(&mut self, seed: u64, length: u64) -> io::Result<()> {
        self.expect_part(seed, 0, length).await
    }

    /// Reads `length` bytes of a body, which must be those of the object of `seed` from its byte `from` on.
    pub async fn expect_part(&mut self, seed: u64, from: u64, length: u64) -> io::Result<()> {
        let mut buffer = vec![0; PIECE_BYTES];
        let mut read = 0;
        while read < length {
            let count = if self.ahead.is_empty() {
                let room = (length - read).min(buffer.len() as u64) as usize;
                self.stream.read(&mut buffer[..room]).await?
            } else {
                let room = (length - read).min(buffer.len() as u64) as usize;
                let taken = room.min(self.ahead.len());
                buffer[..taken].copy_from_slice(&self.ahead[..taken]);
                self.ahead.drain(..taken);
                taken
            };
            if count == 0 {
                let reason = format!("the body ended after {read} of {length} bytes");
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason));
            }
            let expected = piece(seed, from + read, count as u64);
            assert!(
                buffer[..count] == *expected,
                "other bytes from {} on",
                from + read
            );
            read += count as u64;
        }
        Ok(())
    }

    /// Reads what there is, up to `buffer`; 0 at the end of the stream.
    pub async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream.read(buffer).await
    }

    /// A PUT of the object of `seed`; the head of its answer.
    pub async fn put(&mut self, s3: &S3, path: &str, seed: u64, length: u64) -> io::Result<Head> {
        let length_text = length.to_string();
        let head = s3.head(Method::PUT, path, &[("content-length", &length_text)]);
        self.send(head.as_bytes()).await?;
        self.send_object(seed, 0, length).await?;
        Ok(self.answer().await?.0)
    }

    /// A GET of the object of `seed`, which must be there; every byte is compared.
    pub async fn get(&mut self, s3: &S3, path: &str, seed: u64, length: u64) -> io::Result<Head> {
        self.send(s3.head(Method::GET, path, &[]).as_bytes())
            .await?;
        let head = self.head().await?;
        if head.status == 200 {
            assert_eq!(head.length(), length);
            self.expect_object(seed, length).await?;
        }
        Ok(head)
    }
}

/// Uploads the object of `seed` in parts of `part` bytes.
pub async fn multipart(s3: &S3, path: &str, seed: u64, length: u64, part: u64) {
    let begun = s3.send(Method::POST, path, &[("uploads", "")], &[], Bytes::new());
    let upload = begun.await.unwrap().ok().one("UploadId").unwrap();
    let mut parts = String::new();
    for (number, from) in (1..).zip((0..length).step_by(part as usize)) {
        let bytes = part.min(length - from);
        let target = format!("{path}?partNumber={number}&uploadId={upload}");
        let head = s3.head(
            Method::PUT,
            &target,
            &[("content-length", &bytes.to_string())],
        );
        let mut wire = Wire::connect(s3).await;
        wire.send(head.as_bytes()).await.unwrap();
        wire.send_object(seed, from, bytes).await.unwrap();
        let (answer, text) = wire.answer().await.unwrap();
        assert_eq!(answer.status, 200, "{text}");
        let etag = answer.header("etag").unwrap();
        parts += &format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>");
    }
    let list = format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>");
    let query = [("uploadId", upload.as_str())];
    let done = s3.send(Method::POST, path, &query, &[], list.into());
    done.await.unwrap().ok();
}
