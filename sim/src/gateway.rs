//! S3's operations as a gateway carries them out: bytes first, names second.

mod multipart;
mod read;

pub(crate) use multipart::Upload;

use crate::bug::Bug;
use crate::commit::{Failed, until_known};
use crate::machine::{Machine, Site};
use crate::record::{Place, Record};
use bytes::Bytes;
use chunkstore::{WriteTarget, Written};
use index::{
    Bucket, CopyMeta, CopyObject, CopyObjectError, CopySource, DeleteCondition, DeleteObject,
    DeleteObjectError, MissingShards, NewBody, ObjectMeta, PutObject, PutObjectError, VersionRef,
    WriteCondition,
};
use parking_lot::Mutex;
use s3_tests::dice::value as bytes_of;
use s3_tests::history::{Condition, Outcome, Value, Versioning};
use std::fmt::{self, Display};
use std::sync::Arc;
use types::{Manifest, ManifestId};

/// Largest object that is kept in the index.
const INLINE_BYTES: usize = 4 * 1024;
/// Bytes of a body that arrive together.
const PIECE_BYTES: usize = 48 * 1024;

/// What a client is told.
#[derive(Debug)]
pub(crate) enum Reply {
    /// This.
    Told(Outcome),
    /// An error that says that nothing was changed, and nothing else.
    Nothing(String),
    /// An error after which it may have been done.
    Unknown(String),
}

impl fmt::Display for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told(outcome) => write!(f, "{outcome:?}"),
            Self::Nothing(why) => write!(f, "nothing done: {why}"),
            Self::Unknown(why) => write!(f, "not known: {why}"),
        }
    }
}

impl Reply {
    fn nothing(error: impl Display) -> Self {
        Self::Nothing(error.to_string())
    }
}

/// A gateway at work.
#[derive(Debug, Clone)]
pub(crate) struct Gateway {
    pub site: Arc<Site>,
    pub machine: Arc<Machine>,
    pub record: Arc<Record>,
}

/// The ETag of a value.
pub(crate) fn etag(value: Value) -> String {
    format!("v{value}")
}

/// The value of an ETag.
pub(crate) fn value_of(etag: &str) -> Option<Value> {
    etag.strip_prefix('v')?.parse().ok()
}

fn write_condition(condition: Condition) -> WriteCondition {
    match condition {
        Condition::Always => WriteCondition::None,
        Condition::Absent => WriteCondition::IfNoneMatch,
        Condition::Is(value) => WriteCondition::IfMatch(etag(value)),
    }
}

/// What a client is told of a write that the index refused.
fn of_put_error(error: PutObjectError) -> Reply {
    match error {
        PutObjectError::NoSuchKey => Reply::Told(Outcome::Missing),
        PutObjectError::PreconditionFailed => Reply::Told(Outcome::Failed),
        other => Reply::nothing(other),
    }
}

impl Gateway {
    /// Finds the bucket; the error is what the client is told.
    async fn bucket(&self, name: &str) -> Result<Bucket, Reply> {
        let found = self.machine.index.bucket(name).await;
        found
            .map_err(Reply::nothing)?
            .ok_or_else(|| Reply::nothing("there is no such bucket"))
    }

    /// Writes bytes to chunks.
    async fn write(
        &self,
        bucket: &Bucket,
        manifest: ManifestId,
        mut bytes: Bytes,
    ) -> Result<Written, Reply> {
        let mut writer = self.machine.chunks.writer(WriteTarget {
            bucket: bucket.id,
            manifest,
            size: Some(bytes.len() as u64),
        });
        while !bytes.is_empty() {
            let piece = bytes.split_to(PIECE_BYTES.min(bytes.len()));
            if let Err(error) = writer.write(piece).await {
                writer.abandon().await;
                return Err(Reply::nothing(error));
            }
        }
        writer.finish().await.map_err(Reply::nothing)
    }

    /// What the index is told of shards that are not durable.
    fn missing(&self, written: &Written) -> Vec<MissingShards> {
        if self.site.bug == Some(Bug::MissingUntold) {
            return Vec::new();
        }
        let missing = written.missing.iter().map(|shards| MissingShards {
            pg: shards.pg,
            chunk: shards.chunk,
            positions: shards.positions.0,
            ..MissingShards::default()
        });
        missing.collect()
    }

    /// What becomes of bytes whose commit failed, and what the client is told.
    async fn uncommitted<E: Display>(
        &self,
        written: Option<&Written>,
        failed: Failed<E>,
        tell: impl FnOnce(E) -> Reply,
    ) -> Reply {
        let discards = matches!(failed, Failed::NotCommitted(_));
        if let Some(written) = written.filter(|_| discards) {
            self.machine.chunks.abandon(&written.chunks).await;
        }
        match failed {
            Failed::NotCommitted(error) => tell(error),
            Failed::Unknown(error) => Reply::Unknown(error.to_string()),
        }
    }

    /// PutObject.
    pub async fn put(&self, (name, key): &Place, value: Value, condition: Condition) -> Reply {
        let bucket = match self.bucket(name).await {
            Ok(bucket) => bucket,
            Err(reply) => return reply,
        };
        let bytes = bytes_of(value, self.record.length(value).unwrap_or_default());
        let mut written = None;
        let body = if bytes.len() <= INLINE_BYTES {
            NewBody::Inline(bytes)
        } else {
            let id = self.machine.index.new_manifest_id(&bucket);
            let chunks = match self.write(&bucket, id, bytes).await {
                Ok(chunks) => chunks,
                Err(reply) => return reply,
            };
            let body = NewBody::Chunks {
                manifest: manifest(&bucket, id, &chunks),
                oldest_ms: chunks.oldest_ms,
                missing: self.missing(&chunks),
            };
            written = Some(chunks);
            body
        };
        let mut op_id = self.machine.index.new_op_id();
        let put = PutObject {
            bucket: &bucket,
            key,
            body,
            etag: etag(value),
            checksum: None,
            meta: meta(),
            condition: write_condition(condition),
            op_id,
        };
        let index = &self.machine.index;
        match until_known(&self.machine, &mut op_id, |op_id| {
            index.put_object(PutObject {
                op_id,
                ..put.clone()
            })
        })
        .await
        {
            Ok(done) => Reply::Told(Outcome::Stored(self.record.version(done.version))),
            Err(failed) => {
                self.uncommitted(written.as_ref(), failed, of_put_error)
                    .await
            }
        }
    }

    /// DeleteObject.
    pub async fn delete(
        &self,
        (name, key): &Place,
        version: Option<VersionRef>,
        condition: Condition,
    ) -> Reply {
        let bucket = match self.bucket(name).await {
            Ok(bucket) => bucket,
            Err(reply) => return reply,
        };
        let etag = match condition {
            Condition::Is(value) => Some(etag(value)),
            Condition::Always | Condition::Absent => None,
        };
        let mut op_id = self.machine.index.new_op_id();
        let delete = DeleteObject {
            bucket: &bucket,
            key,
            version,
            condition: DeleteCondition {
                etag,
                ..DeleteCondition::default()
            },
            op_id,
        };
        let index = &self.machine.index;
        match until_known(&self.machine, &mut op_id, |op_id| {
            index.delete_object(DeleteObject {
                op_id,
                ..delete.clone()
            })
        })
        .await
        {
            Ok(deleted) => {
                let marker = deleted.version.filter(|_| deleted.delete_marker);
                let marker = marker.map(|marker| self.record.version(marker));
                Reply::Told(Outcome::Deleted(marker))
            }
            Err(Failed::Unknown(error)) => Reply::Unknown(error.to_string()),
            Err(Failed::NotCommitted(error)) => match error {
                DeleteObjectError::NoSuchKey | DeleteObjectError::NoSuchVersion => {
                    Reply::Told(Outcome::Missing)
                }
                DeleteObjectError::PreconditionFailed => Reply::Told(Outcome::Failed),
                other => Reply::nothing(other),
            },
        }
    }

    /// CopyObject, of the source as it is now. `copied` is told which value that is before anything is written.
    pub async fn copy(
        &self,
        (from_name, from_key): &Place,
        (to, condition): (&Place, Condition),
        copied: &Mutex<Option<Value>>,
    ) -> Reply {
        let found = async {
            let source = self.bucket(from_name).await?;
            let bucket = self.bucket(to.0).await?;
            let found = self.machine.index.get_object(&source, from_key, None).await;
            let found = found.map_err(Reply::nothing)?;
            let found = found.ok_or_else(|| Reply::nothing("there is no such source"))?;
            Ok((source, bucket, found))
        };
        let (source, bucket, found) = match found.await {
            Ok(found) => found,
            Err(reply) => return reply,
        };
        let value = value_of(&found.record.etag).filter(|value| self.record.claim(to, *value));
        let Some(value) = value else {
            return Reply::nothing("the key has had this value already");
        };
        *copied.lock() = Some(value);
        let mut op_id = self.machine.index.new_op_id();
        let copy = CopyObject {
            source: CopySource {
                bucket: &source,
                key: from_key,
                record: &found.record,
            },
            bucket: &bucket,
            key: &to.1,
            meta: CopyMeta::Replace(meta()),
            checksum: None,
            condition: write_condition(condition),
            op_id,
        };
        let index = &self.machine.index;
        match until_known(&self.machine, &mut op_id, |op_id| {
            index.copy_object(CopyObject {
                op_id,
                ..copy.clone()
            })
        })
        .await
        {
            Ok(done) => Reply::Told(Outcome::Stored(self.record.version(done.version))),
            Err(Failed::Unknown(error)) => Reply::Unknown(error.to_string()),
            Err(Failed::NotCommitted(error)) => match error {
                CopyObjectError::Destination(error) => of_put_error(error),
                other => Reply::nothing(other),
            },
        }
    }

    /// PutBucketVersioning.
    pub async fn set_versioning(&self, name: &str, to: Versioning) -> Reply {
        let bucket = match self.bucket(name).await {
            Ok(bucket) => bucket,
            Err(reply) => return reply,
        };
        let to = match to {
            Versioning::Off => index::Versioning::Unversioned,
            Versioning::Enabled => index::Versioning::Enabled,
            Versioning::Suspended => index::Versioning::Suspended,
        };
        let index = &self.machine.index;
        match until_known(&self.machine, &mut index.new_op_id(), |_| {
            index.set_versioning(&bucket, to)
        })
        .await
        {
            Ok(_) => Reply::Told(Outcome::Set),
            Err(Failed::Unknown(error)) => Reply::Unknown(error.to_string()),
            Err(Failed::NotCommitted(error)) => Reply::nothing(error),
        }
    }
}

fn manifest(bucket: &Bucket, id: ManifestId, written: &Written) -> Manifest {
    Manifest {
        id,
        length: written.length,
        chunks: written.chunks.clone(),
        home: bucket.id,
        ..Manifest::default()
    }
}

fn meta() -> ObjectMeta {
    ObjectMeta {
        account: "owner".to_owned(),
        ..ObjectMeta::default()
    }
}
