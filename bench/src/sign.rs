//! Signature Version 4 of the few shapes of request that a load generator makes.
//!
//! The key of the day is derived once by `aws-sigv4` and kept, and the canonical request is written into one
//! buffer: signing through the crate's general interface costs several times as much (`sign/tests.rs` prints
//! both), and would be the largest part of what a request of 4 KiB costs the client.

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use openssl::sha::sha256;
use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};
use time::OffsetDateTime;
use types::clock::Clock;

/// What `x-amz-content-sha256` says of a body whose hash is not signed.
pub const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// Who signs, and for which region.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The access key's id.
    pub access_key: String,
    /// The secret.
    pub secret_key: String,
    /// The region that the service has.
    pub region: String,
}

/// Signs requests to one host, one after the other.
#[derive(Debug)]
pub struct Signer {
    credentials: Credentials,
    host: String,
    clock: Arc<dyn Clock>,
    stamp: Stamp,
    canonical: String,
}

/// What depends on the time only: made once a second, its key once a day.
#[derive(Debug, Default)]
struct Stamp {
    second: u64,
    /// `20260131T235959Z`
    date: String,
    /// `20260131/region/s3/aws4_request`
    scope: String,
    key: Vec<u8>,
}

/// The values of the headers that make a request a signed one.
#[derive(Debug)]
pub struct Signature {
    /// `x-amz-date`
    pub date: String,
    /// `authorization`
    pub authorization: String,
}

impl Signer {
    /// A signer of requests to `host` (with its port, as in the header).
    pub fn new(credentials: Credentials, host: String, clock: Arc<dyn Clock>) -> Self {
        Self {
            credentials,
            host,
            clock,
            stamp: Stamp::default(),
            canonical: String::new(),
        }
    }

    /// Signs a request. `path` and `query` are percent-encoded and the query's names in order, as they are
    /// sent; `payload` is the value of `x-amz-content-sha256`.
    pub fn sign(&mut self, method: &str, path: &str, query: &str, payload: &str) -> Signature {
        self.set_time();
        let Stamp {
            date, scope, key, ..
        } = &self.stamp;
        let host = &self.host;
        self.canonical.clear();
        let _infallible = write!(
            self.canonical,
            "{method}\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:{payload}\nx-amz-date:{date}\n\n\
             {SIGNED_HEADERS}\n{payload}"
        );
        let mut hash = [0; 64];
        hex::encode_to_slice(sha256(self.canonical.as_bytes()), &mut hash)
            .expect("32 bytes are 64 digits");
        self.canonical.clear();
        self.canonical.push_str("AWS4-HMAC-SHA256\n");
        let hash = std::str::from_utf8(&hash).expect("hexadecimal digits are text");
        for part in [date, "\n", scope, "\n", hash] {
            self.canonical.push_str(part);
        }
        let signature = calculate_signature(key, self.canonical.as_bytes());
        Signature {
            date: date.clone(),
            authorization: format!(
                "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={SIGNED_HEADERS}, Signature={signature}",
                self.credentials.access_key
            ),
        }
    }

    fn set_time(&mut self) {
        let second = self.clock.now_ms() / 1000;
        if second == self.stamp.second {
            return;
        }
        let time = UNIX_EPOCH + Duration::from_secs(second);
        let utc = OffsetDateTime::from(time);
        let day = format!(
            "{:04}{:02}{:02}",
            utc.year(),
            u8::from(utc.month()),
            utc.day()
        );
        if !self.stamp.scope.starts_with(&day) {
            let Credentials {
                secret_key, region, ..
            } = &self.credentials;
            self.stamp.scope = format!("{day}/{region}/s3/aws4_request");
            self.stamp.key = generate_signing_key(secret_key, time, region, "s3")
                .as_ref()
                .to_vec();
        }
        self.stamp.second = second;
        self.stamp.date = format!(
            "{day}T{:02}{:02}{:02}Z",
            utc.hour(),
            utc.minute(),
            utc.second()
        );
    }
}

/// In order, as the canonical request has them.
const SIGNED_HEADERS: &str = "host;x-amz-content-sha256;x-amz-date";

#[cfg(test)]
mod tests;
