//! Signatures of the client's requests, by Signature Version 4.

use super::{Request, Who};
use gateway::sigv4::{CredentialScope, hmac, signing_key};
use sha2::{Digest, Sha256};
use types::Clock;
use types::clock::SystemClock;

const HOST: &str = "localhost:9000";

impl Request {
    /// Signs in the query, as it is so far, and sends headers beside it that are not signed.
    pub fn presigned(mut self) -> Self {
        let (date, time) = now();
        let scope = self.scope(&date);
        let access_key = self.who.access_key();
        for (name, value) in [
            ("X-Amz-Algorithm", "AWS4-HMAC-SHA256".to_owned()),
            ("X-Amz-Credential", format!("{access_key}/{scope}")),
            ("X-Amz-Date", time.clone()),
            ("X-Amz-Expires", "60".to_owned()),
            ("X-Amz-SignedHeaders", "host".to_owned()),
        ] {
            self = self.query(name, value);
        }
        let host = [("host".to_owned(), HOST.to_owned())];
        let path = encode(&self.path, true);
        let signature = self.signature(&path, &self.encoded_query(), &host, (&date, &time));
        self.presigned = true;
        self.query("X-Amz-Signature", signature)
    }

    /// The query in the order in which it is signed.
    fn encoded_query(&self) -> String {
        let mut query: Vec<String> = self
            .query
            .iter()
            .map(|(name, value)| format!("{}={}", encode(name, false), encode(value, false)))
            .collect();
        query.sort();
        query.join("&")
    }

    fn scope(&self, date: &str) -> CredentialScope {
        CredentialScope {
            date: date.to_owned(),
            region: self.region.to_owned(),
            service: "s3".to_owned(),
        }
    }

    pub(super) fn signed(self) -> http::Request<()> {
        let (date, time) = now();
        let (path, query) = (encode(&self.path, true), self.encoded_query());
        let length = self.length.unwrap_or(self.body.len() as u64);
        let mut headers = self.headers.clone();
        headers.push(("host".into(), HOST.into()));
        headers.push(("content-length".into(), length.to_string()));
        if !self.presigned {
            headers.push(("x-amz-content-sha256".into(), self.payload.into()));
            headers.push(("x-amz-date".into(), time.clone()));
        }
        headers.sort();
        if self.who != Who::Nobody && !self.presigned {
            let authorization = self.authorization(&path, &query, &headers, (&date, &time));
            headers.push(("authorization".into(), authorization));
        }
        let uri = if query.is_empty() {
            path
        } else {
            format!("{path}?{query}")
        };
        let mut request = http::Request::builder().method(self.method).uri(uri);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        request.body(()).unwrap()
    }

    fn authorization(
        &self,
        path: &str,
        query: &str,
        headers: &[(String, String)],
        (date, time): (&str, &str),
    ) -> String {
        let signature = self.signature(path, query, headers, (date, time));
        let (access_key, scope) = (self.who.access_key(), self.scope(date));
        let names = names(headers);
        format!(
            "AWS4-HMAC-SHA256 Credential={access_key}/{scope},SignedHeaders={names},\
             Signature={signature}"
        )
    }

    fn signature(
        &self,
        path: &str,
        query: &str,
        headers: &[(String, String)],
        (date, time): (&str, &str),
    ) -> String {
        let names = names(headers);
        let lines: String = headers
            .iter()
            .map(|(name, value)| {
                let words: Vec<&str> = value.split(' ').filter(|word| !word.is_empty()).collect();
                format!("{name}:{}\n", words.join(" "))
            })
            .collect();
        let canonical = format!(
            "{}\n{path}\n{query}\n{lines}\n{names}\n{}",
            self.method, self.payload
        );
        let scope = self.scope(date);
        let digest = hex::encode(Sha256::digest(canonical));
        let signed = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{digest}");
        let key = signing_key(self.secret.unwrap_or(self.who.secret_key()), &scope);
        hex::encode(hmac(&key, signed.as_bytes()))
    }
}

/// The names of headers as signatures list them.
fn names(headers: &[(String, String)]) -> String {
    let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
    names.join(";")
}

/// Day and time as signatures have them.
fn now() -> (String, String) {
    let seconds = SystemClock::new().now_ms() / 1000;
    let time = time::OffsetDateTime::from_unix_timestamp(seconds as i64).unwrap();
    let date = format!(
        "{:04}{:02}{:02}",
        time.year(),
        time.month() as u8,
        time.day()
    );
    let clock = format!("{:02}{:02}{:02}", time.hour(), time.minute(), time.second());
    (date.clone(), format!("{date}T{clock}Z"))
}

pub fn encode(text: &str, is_path: bool) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(byte as char);
            }
            b'/' if is_path => encoded.push('/'),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}
