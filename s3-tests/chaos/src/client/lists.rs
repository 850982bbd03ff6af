//! Lists: what a page shows of each key that it covers, and the versions of a key.

use super::{Client, NoOutcome, Told};
use crate::record::Place;
use bytes::Bytes;
use http::{Method, StatusCode};
use s3_tests::history::{Call, Event, Outcome, Value, Version};
use s3_tests::s3::{Answer, Unknown};
use std::collections::{BTreeMap, BTreeSet};

impl Client {
    pub(super) async fn versions_of(&self, place: usize) -> Result<Answer, Unknown> {
        let Place { bucket, key, .. } = self.place(place);
        let query = [("versions", ""), ("prefix", key)];
        let path = format!("/{bucket}");
        let s3 = self.s3();
        s3.send(Method::GET, &path, &query, &[], Bytes::new()).await
    }

    /// The versions in a list of one key's.
    pub(super) fn versions_in(&self, place: usize, answer: &Answer) -> Result<Outcome, NoOutcome> {
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let is_whole = answer.one("IsTruncated").as_deref() == Some("false");
        let key = self.place(place).key.as_str();
        let mut entries: Vec<(Version, Option<Value>)> = Vec::new();
        for block in blocks(&text) {
            let Some(id) = text_in(block, "VersionId") else {
                continue;
            };
            // Only the newest is the latest.
            let is_latest = text_in(block, "IsLatest") == Some("true");
            let etag = text_in(block, "ETag").map(|etag| etag.replace("&quot;", "\""));
            let value = etag.as_ref().map(|etag| self.shared.record.value_of(etag));
            if text_in(block, "Key") != Some(key)
                || is_latest != entries.is_empty()
                || value == Some(None)
            {
                return Err(self.wrong(place, &format!("a list of versions with {block}")));
            }
            entries.push((self.shared.record.version(Some(id)), value.flatten()));
        }
        if !is_whole {
            return Err(self.wrong(place, &format!("a short list that is cut: {text}")));
        }
        Ok(Outcome::Listed(entries))
    }

    /// Lists a bucket's objects below a prefix, in pages of `max_keys`, and records what each page shows of
    /// the keys it covers. `touched` says of every place below the prefix whether anything was done to it:
    /// of the others only their presence would be noted.
    pub async fn look(
        &self,
        bucket: &str,
        prefix: &str,
        max_keys: usize,
        touched: impl Fn(usize) -> bool,
    ) -> Told {
        let places: BTreeMap<&str, usize> = self
            .shared
            .record
            .places
            .iter()
            .enumerate()
            .filter(|(_, place)| place.bucket == bucket && place.key.starts_with(prefix))
            .map(|(n, place)| (place.key.as_str(), n))
            .collect();
        let Some(first) = places.values().next().copied() else {
            return Told::Refused;
        };
        let (max_keys, mut token, mut after) = (max_keys.to_string(), None::<String>, None);
        loop {
            let mut query = vec![
                ("list-type", "2"),
                ("prefix", prefix),
                ("max-keys", max_keys.as_str()),
            ];
            query.extend(token.as_deref().map(|token| ("continuation-token", token)));
            let called = self.shared.record.now();
            let path = format!("/{bucket}");
            let s3 = self.s3();
            let answer = match s3.send(Method::GET, &path, &query, &[], Bytes::new()).await {
                Ok(answer) if answer.status == StatusCode::OK => answer,
                // By a gateway whose clock is far off.
                Ok(answer) if answer.one("Code").as_deref() == Some("RequestTimeTooSkewed") => {
                    return Told::Refused;
                }
                Ok(answer) if answer.status.is_client_error() => {
                    self.wrong(first, &format!("a list was answered with {answer:?}"));
                    return Told::Wrong;
                }
                _ => return Told::Lost,
            };
            let page = match self.page(&answer, &places, after.as_deref()) {
                Ok(page) => page,
                Err(what) => {
                    self.wrong(first, &format!("a list below {prefix:?}: {what}"));
                    return Told::Wrong;
                }
            };
            let returned = self.shared.record.now();
            for (place, value) in page.shown {
                if value.is_some() || touched(place) {
                    let event = Event {
                        client: self.number,
                        called,
                        returned,
                        call: Call::Look,
                        outcome: Outcome::Shown(value),
                    };
                    self.shared.record.add(place, event);
                }
            }
            (token, after) = (page.token, page.last);
            if token.is_none() {
                return Told::Answered(Outcome::Shown(None));
            }
        }
    }

    /// What a page shows of each place that it covers, or what is wrong with it.
    fn page(
        &self,
        answer: &Answer,
        places: &BTreeMap<&str, usize>,
        after: Option<&str>,
    ) -> Result<Page, String> {
        let keys = answer.all("Key");
        let etags = answer.all("ETag");
        let token = answer.one("NextContinuationToken");
        let is_cut = answer.one("IsTruncated").as_deref() == Some("true");
        if keys.len() != etags.len() || is_cut != token.is_some() {
            let text = String::from_utf8_lossy(&answer.body);
            return Err(format!("a page that cannot be read: {text}"));
        }
        let mut last = after.map(str::to_owned);
        let mut found = BTreeMap::new();
        for (key, etag) in keys.into_iter().zip(&etags) {
            if last.as_ref().is_some_and(|last| *last >= key) {
                return Err(format!("{key:?} stands behind {last:?}"));
            }
            let value = self.shared.record.value_of(etag);
            match (places.get(key.as_str()), value) {
                (Some(place), Some(value)) => found.insert(*place, value),
                _ => return Err(format!("{key:?} with {etag} was never written")),
            };
            last = Some(key);
        }
        let covered = places.iter().filter(|(key, _)| {
            after.is_none_or(|after| **key > after)
                && (!is_cut || last.as_deref().is_some_and(|last| **key <= last))
        });
        let shown = covered.map(|(_, place)| (*place, found.get(place).copied()));
        Ok(Page {
            shown: shown.collect(),
            last,
            token,
        })
    }

    /// Reads the list of all versions of a bucket and notes keys in it that nothing was done to.
    ///
    /// # Errors
    /// When a page was not answered.
    pub async fn look_for_ghosts(
        &self,
        bucket: &str,
        touched: impl Fn(usize) -> bool,
    ) -> Result<(), Unknown> {
        let places = self.shared.record.places.iter().enumerate();
        let known: BTreeSet<&str> = places
            .filter(|(n, place)| place.bucket == bucket && touched(*n))
            .map(|(_, place)| place.key.as_str())
            .collect();
        let mut markers: Vec<(String, String)> = Vec::new();
        loop {
            let mut query = vec![("versions", "")];
            query.extend(markers.iter().map(|(n, v)| (n.as_str(), v.as_str())));
            let path = format!("/{bucket}");
            let s3 = self.s3();
            let answer = s3
                .send(Method::GET, &path, &query, &[], Bytes::new())
                .await?;
            if answer.status != StatusCode::OK {
                return Err(Unknown::sent(format!("{answer:?}")));
            }
            for key in answer.all("Key") {
                if !known.contains(key.as_str()) {
                    let what = format!("/{bucket}: a list of versions has {key:?}, never written");
                    self.shared.record.add_wrong(what);
                }
            }
            if answer.one("IsTruncated").as_deref() != Some("true") {
                return Ok(());
            }
            let next = |name: &str, tag: &str| Some((name.to_owned(), answer.one(tag)?));
            markers = [
                next("key-marker", "NextKeyMarker"),
                next("version-id-marker", "NextVersionIdMarker"),
            ]
            .into_iter()
            .flatten()
            .collect();
        }
    }
}

struct Page {
    shown: Vec<(usize, Option<Value>)>,
    last: Option<String>,
    token: Option<String>,
}

/// The parts of a list of versions that begin with an entry.
fn blocks(text: &str) -> impl Iterator<Item = &str> {
    text.split("<Version>")
        .flat_map(|part| part.split("<DeleteMarker>"))
}

fn text_in<'a>(block: &'a str, tag: &str) -> Option<&'a str> {
    let rest = block.split(&format!("<{tag}>")).nth(1)?;
    rest.split(&format!("</{tag}>")).next()
}
