//! The options of `cairn bench`, as they are given on the command line.

use crate::keys::Layout;
use crate::mix::Mix;
use crate::sign::Credentials;
use anyhow::{Context, Result};
use bytesize::ByteSize;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Where the service is, and who asks.
#[derive(Debug, Clone, Args)]
pub struct Service {
    /// The service
    #[arg(
        long,
        default_value = "http://127.0.0.1:9000",
        value_name = "http://HOST:PORT"
    )]
    pub endpoint: String,
    /// The access key's id
    #[arg(long, env = "AWS_ACCESS_KEY_ID", value_name = "KEY")]
    pub access_key: Option<String>,
    /// The secret key
    #[arg(
        long,
        env = "AWS_SECRET_ACCESS_KEY",
        hide_env_values = true,
        value_name = "SECRET"
    )]
    pub secret_key: Option<String>,
    /// The service's region
    #[arg(
        long,
        env = "AWS_REGION",
        default_value = "us-east-1",
        value_name = "NAME"
    )]
    pub region: String,
}

impl Service {
    /// Who signs.
    pub fn credentials(&self) -> Result<Credentials> {
        let given = |value: &Option<String>, how: &str| {
            let value = value.clone().filter(|value| !value.is_empty());
            value.with_context(|| format!("no key to sign with: give {how}"))
        };
        Ok(Credentials {
            access_key: given(&self.access_key, "--access-key or AWS_ACCESS_KEY_ID")?,
            secret_key: given(&self.secret_key, "--secret-key or AWS_SECRET_ACCESS_KEY")?,
            region: self.region.clone(),
        })
    }
}

/// `cairn bench run`
#[derive(Debug, Clone, Args)]
pub struct RunOptions {
    /// Where the service is, and who asks.
    #[command(flatten)]
    pub service: Service,
    /// The bucket; made if it is absent, and then deleted at the end
    #[arg(long, default_value = "cairn-bench", value_name = "NAME")]
    pub bucket: String,
    /// What all keys begin with; what is under it is deleted at the end
    #[arg(long, default_value = "bench", value_name = "TEXT")]
    pub prefix: String,
    /// Keep the objects and the bucket
    #[arg(long)]
    pub keep: bool,
    /// Operations and their weights: put, get, head, delete, list, as in `get=70,put=25,list=5`
    #[arg(long, default_value = "put", value_name = "MIX")]
    pub mix: Mix,
    /// Sizes of the objects
    #[arg(long, default_value = "4KiB", value_delimiter = ',', value_parser = size, value_name = "SIZE,...")]
    pub size: Vec<u64>,
    /// Connections, each with one request at a time
    #[arg(long, default_value_t = 16, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub connections: u16,
    /// Threads of the client
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: u16,
    /// Begin no request after this time
    #[arg(long, default_value = "10s", value_parser = humantime::parse_duration, value_name = "TIME")]
    pub duration: Duration,
    /// Make no more operations than this
    #[arg(long, value_name = "N")]
    pub operations: Option<u64>,
    /// Run this long before measuring
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration, value_name = "TIME")]
    pub warm_up: Duration,
    /// Objects stored before measuring, for get, head, list and delete
    #[arg(long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub objects: u64,
    /// How keys are spread
    #[arg(long, default_value = "tree")]
    pub layout: Layout,
    /// Whether the hash of the body is signed
    #[arg(long, default_value = "unsigned")]
    pub payload: Payload,
    /// Decides contents and choices
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// The server's process on this machine, to see what it uses
    #[arg(long, value_name = "PID")]
    pub server_pid: Option<u32>,
    /// Write the report here too
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Whether the hash of the body is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Payload {
    /// `UNSIGNED-PAYLOAD`
    Unsigned,
    /// The client computes the SHA-256 of each body, and the server too.
    Signed,
}

/// Reads `4KiB`, `1MB`, `100`.
fn size(text: &str) -> Result<u64, String> {
    let size: ByteSize = text
        .parse()
        .map_err(|_| format!("`{text}` is no size: write it as in 4KiB, 1MiB, 64MiB"))?;
    Ok(size.as_u64())
}

/// Writes a size in the largest unit that leaves a whole number.
pub fn size_text(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = units
        .into_iter()
        .find(|(unit, _)| bytes >= *unit && bytes.is_multiple_of(*unit));
    match unit {
        Some((unit, name)) => format!("{} {name}", bytes / unit),
        None => format!("{bytes} B"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written() {
        for (text, bytes, written) in [
            ("4KiB", 4096, "4 KiB"),
            ("64MiB", 64 << 20, "64 MiB"),
            ("0", 0, "0 B"),
            ("1MB", 1_000_000, "1000000 B"),
        ] {
            assert_eq!(size(text), Ok(bytes));
            assert_eq!(size_text(bytes), written);
        }
        assert!(size("much").is_err());
    }
}
