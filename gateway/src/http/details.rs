//! Elements that S3 puts into an error beside Code and Message, as far as the request alone tells them.

use super::route::{self, Query};
use crate::host::Hosts;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Uri, header};

/// Conditions of a write, by the names that S3 gives them in errors. A write has one at the most; of a DELETE with
/// several the first is told.
const CONDITIONS: [(&str, &str); 4] = [
    ("if-none-match", "If-None-Match"),
    ("if-match", "If-Match"),
    (LAST_MODIFIED, LAST_MODIFIED),
    (SIZE, SIZE),
];
const LAST_MODIFIED: &str = "x-amz-if-match-last-modified-time";
const SIZE: &str = "x-amz-if-match-size";

/// What a request is about. Only errors tell it, so only for them is it taken apart.
#[derive(Debug, Clone)]
pub(super) struct Details {
    method: Method,
    uri: Uri,
    host: Option<HeaderValue>,
    condition: Option<&'static str>,
    hosts: Hosts,
}

impl Details {
    pub(super) fn of(parts: &Parts, hosts: &Hosts) -> Self {
        Self {
            method: parts.method.clone(),
            uri: parts.uri.clone(),
            host: parts.headers.get(header::HOST).cloned(),
            condition: condition(&parts.headers),
            hosts: hosts.clone(),
        }
    }

    /// The path, encoded; without the query, which may hold a signature.
    pub(super) fn path(&self) -> &str {
        self.uri.path()
    }

    /// The elements of an error with this code. Where an operation names them itself, its own count.
    pub(super) fn elements(&self, code: &str) -> Vec<(&'static str, String)> {
        let query = Query::parse(&self.uri);
        let (bucket, key) = self.target();
        let (version, upload) = (query.get("versionId"), query.get("uploadId"));
        let told: &[(&'static str, Option<&str>)] = match code {
            "BucketAlreadyExists"
            | "BucketAlreadyOwnedByYou"
            | "BucketNotEmpty"
            | "InvalidBucketName"
            | "NoSuchBucket"
            | "NoSuchTagSet" => &[("BucketName", bucket.as_deref())],
            "MethodNotAllowed" => &[("Method", Some(self.method.as_str()))],
            "NoSuchKey" => &[("Key", key.as_deref())],
            "NoSuchUpload" => &[("UploadId", upload)],
            "NoSuchVersion" => &[("Key", key.as_deref()), ("VersionId", version)],
            "PreconditionFailed" => &[("Condition", self.condition)],
            _ => &[],
        };
        told.iter()
            .filter_map(|(name, text)| Some((*name, (*text)?.to_owned())))
            .collect()
    }

    /// The bucket and the key, decoded.
    fn target(&self) -> (Option<String>, Option<String>) {
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let path = decoded(self.uri.path());
        let path = path.strip_prefix('/').unwrap_or(&path);
        let bucket = route::bucket_in_host(self.host.as_ref(), &self.uri, &self.hosts);
        if let Some(bucket) = bucket {
            return (Some(bucket), some(path));
        }
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        (some(bucket), some(key))
    }
}

/// A path is decoded as a form is, but that `+`, `&` and `=` are themselves.
fn decoded(path: &str) -> String {
    let path = path
        .replace('+', "%2B")
        .replace('&', "%26")
        .replace('=', "%3D");
    let mut pairs = form_urlencoded::parse(path.as_bytes());
    pairs
        .next()
        .map_or_else(String::new, |(name, _)| name.into_owned())
}

fn condition(headers: &HeaderMap) -> Option<&'static str> {
    CONDITIONS
        .into_iter()
        .find(|(header, _)| headers.contains_key(*header))
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn details(uri: &str, host: &str, headers: &[(&'static str, &str)]) -> Details {
        let mut request = http::Request::put(uri).header("host", host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        Details::of(&parts, &Hosts::new(&["s3.test".to_owned()], &[]).unwrap())
    }

    #[test]
    fn what_the_request_names_is_told() {
        let own = |name, text: &str| (name, text.to_owned());
        let path = "/b/a%20b+c%2Fd&e=f?versionId=7&uploadId=x%2Fy";
        for (uri, host) in [(path, "s3.test"), (&path[2..], "b.s3.test:80")] {
            let details = details(uri, host, &[("if-match", "x")]);
            let key = own("Key", "a b+c/d&e=f");
            assert_eq!(details.elements("NoSuchKey"), std::slice::from_ref(&key));
            let version = own("VersionId", "7");
            assert_eq!(details.elements("NoSuchVersion"), [key, version]);
            assert_eq!(details.elements("NoSuchUpload"), [own("UploadId", "x/y")]);
            assert_eq!(details.elements("NoSuchBucket"), [own("BucketName", "b")]);
            assert_eq!(details.elements("MethodNotAllowed"), [own("Method", "PUT")]);
            assert_eq!(
                details.elements("PreconditionFailed"),
                [own("Condition", "If-Match")]
            );
            assert_eq!(details.elements("AccessDenied"), []);
        }
        assert_eq!(details("/b", "s3.test", &[]).elements("NoSuchKey"), []);
        assert_eq!(details("/", "s3.test", &[]).elements("NoSuchBucket"), []);
    }
}
