//! The options of `cairn bench`, as they are given on the command line.

use crate::keys::Layout;
use crate::mix::{Mix, Operation};
use crate::sign::Credentials;
use anyhow::{Context, Result, ensure};
use bytesize::ByteSize;
use clap::{Args, ValueEnum};
use std::path::PathBuf;
use std::time::Duration;

/// Objects that are stored before measuring, where nothing else is said.
const OBJECTS: u64 = 1000;

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
        // These stand in a header; the secret does not.
        for (option, value) in [
            ("--access-key", self.access_key.as_deref()),
            ("--region", Some(self.region.as_str())),
        ] {
            let is_text = |value: &str| value.bytes().all(|byte| byte.is_ascii_graphic());
            ensure!(
                value.is_none_or(is_text),
                "{option}: there is a blank, a line's end or a character outside ASCII in it"
            );
        }
        Ok(Credentials {
            access_key: given(&self.access_key, "--access-key or AWS_ACCESS_KEY_ID")?,
            secret_key: given(&self.secret_key, "--secret-key or AWS_SECRET_ACCESS_KEY")?,
            region: self.region.clone(),
        })
    }
}

/// What the exit code says.
const AFTER_HELP: &str = "\
Every GET is compared with what was stored, the ETags of PUTs with the MD5s (of objects above 64 KiB for a sample), and a
sample of what was put is read back. Ends with 1 if an operation failed or was answered with something else.";

/// `cairn bench run`
#[derive(Debug, Clone, Args)]
#[command(after_help = AFTER_HELP)]
pub struct RunOptions {
    /// Where the service is, and who asks.
    #[command(flatten)]
    pub service: Service,
    /// The bucket; made if it is absent, and then deleted at the end
    #[arg(long, default_value = "cairn-bench", value_name = "NAME")]
    pub bucket: String,
    /// What all keys begin with; nothing may be under it yet, unless it is kept [default: one of this run's own]
    #[arg(long, value_name = "TEXT")]
    pub prefix: Option<String>,
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
    #[arg(long, default_value = "10s", value_parser = stretch_of_time, value_name = "TIME")]
    pub duration: Duration,
    /// Make no more operations than this
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub operations: Option<u64>,
    /// Run this long before measuring; a mix with delete has no warm-up
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration, value_name = "TIME")]
    pub warm_up: Duration,
    /// Objects stored before measuring, for get, head, list and delete [default: 1000]. A page of a list has 1,000 keys,
    /// or this many if it is fewer; only full pages count
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub objects: Option<u64>,
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
    /// Write the report here too; if there is none, why not
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

impl RunOptions {
    /// Objects that are stored before measuring, if the mix needs any.
    pub fn objects(&self) -> u64 {
        self.objects.unwrap_or(OBJECTS)
    }

    /// Refuses what contradicts itself, or cannot be asked for.
    pub fn check(&self) -> Result<()> {
        let is_name = |text: &str, more: &[u8]| {
            let is_good = |byte: u8| byte.is_ascii_alphanumeric() || more.contains(&byte);
            !text.is_empty() && text.bytes().all(is_good)
        };
        ensure!(
            is_name(&self.bucket, b"-._"),
            "--bucket `{}` is no name of a bucket: letters, digits, - and . are",
            self.bucket
        );
        ensure!(
            self.prefix
                .as_deref()
                .is_none_or(|prefix| is_name(prefix, b"-._~/")),
            "--prefix `{}`: only letters, digits and -._~/ can be used, and at least one of them",
            self.prefix.as_deref().unwrap_or_default()
        );
        ensure!(
            self.threads <= self.connections,
            "--threads {} is more than --connections {}: a connection is served by one thread",
            self.threads,
            self.connections
        );
        let others = [
            Operation::Get,
            Operation::Head,
            Operation::List,
            Operation::Delete,
        ];
        ensure!(
            self.objects.is_none() || others.iter().any(|other| self.mix.has(*other)),
            "--objects: a mix of PUTs needs none beforehand; leave it out, or give another --mix"
        );
        Ok(())
    }
}

/// Reads a time in which something can be measured.
pub fn stretch_of_time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text)
        .map_err(|error| format!("{error}: write it as in 5s, 500ms"))?;
    if time.is_zero() {
        return Err("in no time nothing can be measured".to_owned());
    }
    Ok(time)
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

    #[test]
    fn no_time_is_refused() {
        assert_eq!(stretch_of_time("500ms"), Ok(Duration::from_millis(500)));
        for bad in ["0s", "soon", ""] {
            assert!(stretch_of_time(bad).is_err(), "{bad}");
        }
    }

    /// The options as the command line gives them.
    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        run: RunOptions,
    }

    fn checked(words: &[&str]) -> Result<(), String> {
        let line = std::iter::once("bench").chain(words.iter().copied());
        let line = <Line as clap::Parser>::try_parse_from(line).map_err(|e| e.to_string())?;
        line.run.check().map_err(|error| error.to_string())
    }

    #[test]
    fn contradictions_are_refused_by_name() {
        checked(&[]).unwrap();
        checked(&["--mix=get", "--objects=5", "--prefix=a/b"]).unwrap();
        for words in [
            &["--threads=3", "--connections=2"][..],
            &["--objects=5"],
            &["--bucket=a/b"],
            &["--prefix="],
            &["--prefix=a b"],
            &["--operations=0"],
            &["--duration=0s"],
            &["--fast"],
        ] {
            let message = checked(words).unwrap_err();
            let option = words[0].split('=').next().unwrap_or_default();
            assert!(message.contains(option), "{words:?}: {message}");
        }
    }

    #[test]
    fn keys_that_cannot_stand_in_a_header_are_refused() {
        let mut service = Service {
            endpoint: String::new(),
            access_key: Some("KEY".to_owned()),
            secret_key: Some("secret".to_owned()),
            region: "us-east-1".to_owned(),
        };
        service.credentials().unwrap();
        service.access_key = Some("KEY\n".to_owned());
        let error = service.credentials().unwrap_err().to_string();
        assert!(error.contains("--access-key"), "{error}");
    }
}
