//! Reading and listing.

use super::{Gateway, Reply, value_of};
use crate::record::Place;
use bytes::Bytes;
use futures::TryStreamExt;
use index::{
    Bucket, ListObjects, ListVersions, ListedVersion, ObjectVersion, VersionRecord, VersionRef,
};
use s3_tests::dice::value as bytes_of;
use s3_tests::history::{Outcome, Value};
use types::limits::LIST_KEYS_MAX;

/// How often a key is looked at that comes and goes meanwhile.
const ATTEMPTS: usize = 8;

/// Why there are no bytes.
enum Unread {
    /// The version was replaced or deleted meanwhile.
    Gone,
    /// They cannot be read now.
    Failed(String),
}

impl Gateway {
    /// GetObject. The bytes are checked here; what is told is whose they are.
    pub async fn get(&self, (name, key): &Place, version: Option<VersionRef>) -> Reply {
        let bucket = match self.bucket(name).await {
            Ok(bucket) => bucket,
            Err(reply) => return reply,
        };
        for _ in 0..ATTEMPTS {
            let found = match self.machine.index.get_object(&bucket, key, version).await {
                Ok(found) => found,
                Err(error) => return Reply::nothing(error),
            };
            let told = match (found, version) {
                (Some(found), _) => self.found(&bucket, (name, key), &found).await,
                (None, Some(_)) => Some(Reply::Told(Outcome::Missing)),
                (None, None) => self.no_current(&bucket, key).await,
            };
            if let Some(reply) = told {
                return reply;
            }
        }
        Reply::nothing("the key changed all the time")
    }

    /// What is told of a version; None if it has gone meanwhile.
    async fn found(
        &self,
        bucket: &Bucket,
        (name, key): (&str, &str),
        found: &ObjectVersion,
    ) -> Option<Reply> {
        let version = self.record.version(found.version);
        if found.record.delete_marker {
            return Some(Reply::Told(Outcome::Marker(version)));
        }
        match self.read(bucket, &found.record).await {
            Ok(bytes) => {
                let value = self.check((name, key), &found.record, &bytes)?;
                Some(Reply::Told(Outcome::Found(value, version)))
            }
            Err(Unread::Gone) => None,
            Err(Unread::Failed(why)) => Some(Reply::Nothing(why)),
        }
    }

    /// What is told of a key without a current object; None if it has one by now.
    async fn no_current(&self, bucket: &Bucket, key: &str) -> Option<Reply> {
        if bucket.versioning == index::Versioning::Unversioned {
            return Some(Reply::Told(Outcome::Missing));
        }
        let newest = match self.versions(bucket, key, 1).await {
            Ok(versions) => versions.into_iter().next(),
            Err(reply) => return Some(reply),
        };
        match newest {
            None => Some(Reply::Told(Outcome::Missing)),
            Some(newest) if newest.record.delete_marker => {
                let marker = self.record.version(newest.version);
                Some(Reply::Told(Outcome::Marker(marker)))
            }
            Some(_) => None,
        }
    }

    async fn read(&self, bucket: &Bucket, record: &VersionRecord) -> Result<Bytes, Unread> {
        let index = &self.machine.index;
        let failed = |error: &dyn std::fmt::Display| Unread::Failed(error.to_string());
        if record.manifest.inline {
            let body = index.inline_body(bucket, record).await;
            return body.map_err(|error| failed(&error))?.ok_or(Unread::Gone);
        }
        let chunks = index.resolve_chunks(record, 0..record.plain_length).await;
        let mut bytes = Vec::new();
        for placed in chunks.map_err(|error| failed(&error))? {
            let length = placed.chunk.length;
            let read = self.machine.chunks.read(placed.chunk, 0..length);
            let pieces: Vec<Bytes> = read.try_collect().await.map_err(|error| failed(&error))?;
            pieces
                .iter()
                .for_each(|piece| bytes.extend_from_slice(piece));
        }
        Ok(bytes.into())
    }

    /// Whose bytes they are; a violation if they are nobody's.
    fn check(
        &self,
        (name, key): (&str, &str),
        record: &VersionRecord,
        bytes: &Bytes,
    ) -> Option<Value> {
        let value = value_of(&record.etag);
        let length = value.and_then(|value| self.record.length(value));
        let expected = value
            .zip(length)
            .map(|(value, length)| bytes_of(value, length));
        if expected.as_ref() != Some(bytes) {
            let (etag, length) = (&record.etag, bytes.len());
            self.site.log.violation(format_args!(
                "{name}/{key}: the {length} bytes that were read are not those of {etag}"
            ));
        }
        value
    }

    /// The newest versions of a key, up to `max`.
    async fn versions(
        &self,
        bucket: &Bucket,
        key: &str,
        max: usize,
    ) -> Result<Vec<ListedVersion>, Reply> {
        let list = ListVersions {
            bucket,
            prefix: key,
            delimiter: "",
            key_marker: "",
            version_marker: None,
            max_keys: max,
        };
        let page = self
            .machine
            .index
            .list_versions(list)
            .await
            .map_err(Reply::nothing)?;
        let own = page
            .versions
            .into_iter()
            .filter(|version| version.key == key);
        Ok(own.collect())
    }

    /// Every version of a key, newest first.
    pub async fn list_versions(&self, (name, key): &Place) -> Result<Vec<ListedVersion>, String> {
        let listed = async {
            let bucket = self.bucket(name).await?;
            self.versions(&bucket, key, LIST_KEYS_MAX).await
        };
        listed.await.map_err(|reply| format!("{reply}"))
    }

    /// ListObjects of a whole bucket: keys with their values.
    pub async fn list(&self, name: &str) -> Result<Vec<(String, Option<Value>)>, String> {
        let bucket = self
            .bucket(name)
            .await
            .map_err(|reply| format!("{reply}"))?;
        let list = ListObjects {
            bucket: &bucket,
            prefix: "",
            delimiter: "",
            start_after: "",
            max_keys: LIST_KEYS_MAX,
        };
        let page = self.machine.index.list_objects(list).await;
        let objects = page.map_err(|error| error.to_string())?.objects;
        Ok(objects
            .into_iter()
            .map(|object| (object.key, value_of(&object.etag)))
            .collect())
    }
}
