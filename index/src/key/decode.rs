//! Reading of keys: every byte is accounted for, and what is not a key is an error.

use super::{Key, PARTITION_RECORDS, escape, hexadecimal, kind};
use types::{
    BucketId, ChunkClusterId, ChunkId, ManifestId, OpId, Order, PgId, UploadId, VersionId,
};

/// Why bytes could not be read as a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the bytes {key} are not an index key: {reason}")]
pub struct DecodeKeyError {
    /// The bytes, in hexadecimal.
    pub key: String,
    /// What is wrong with them.
    pub reason: &'static str,
}

impl Key {
    /// Reads a key from exactly `bytes`.
    ///
    /// # Errors
    /// When `bytes` are not what [`Key::encode`] writes.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeKeyError> {
        Self::take(bytes).map_err(|reason| DecodeKeyError {
            key: hexadecimal(bytes),
            reason,
        })
    }

    fn take(bytes: &[u8]) -> Result<Self, &'static str> {
        let rest = &mut &*bytes;
        let bucket = BucketId(u64::from_be_bytes(take_fixed(rest)?));
        let [letter] = take_fixed(rest)?;
        let key = if bucket == PARTITION_RECORDS {
            take_partition_record(letter, rest)?
        } else {
            take_bucket_record(bucket, letter, rest)?
        };
        if rest.is_empty() {
            Ok(key)
        } else {
            Err("bytes follow the key")
        }
    }
}

fn take_bucket_record(bucket: BucketId, letter: u8, rest: &mut &[u8]) -> Result<Key, &'static str> {
    Ok(match letter {
        kind::BUCKET_STATE => Key::BucketState { bucket },
        kind::BUCKET_CONFIG => Key::BucketConfig {
            bucket,
            name: take_rest(rest)?,
        },
        kind::CURRENT => Key::Current {
            bucket,
            key: take_text(rest)?,
        },
        kind::HEAD => Key::Head {
            bucket,
            key: take_text(rest)?,
        },
        kind::VERSION => Key::Version {
            bucket,
            key: take_text(rest)?,
            order: Order::from_inverted_bytes(take_fixed(rest)?),
        },
        kind::INLINE => Key::Inline {
            bucket,
            version: VersionId::from_bytes(take_fixed(rest)?),
        },
        kind::MANIFEST_PAGE => Key::ManifestPage {
            bucket,
            manifest: ManifestId::from_bytes(take_fixed(rest)?),
            page: u32::from_be_bytes(take_fixed(rest)?),
        },
        kind::SHARED => {
            let manifest = ManifestId::from_bytes(take_fixed(rest)?);
            if rest.is_empty() {
                Key::Shared { bucket, manifest }
            } else {
                Key::SharedRef {
                    bucket,
                    manifest,
                    reference: u64::from_be_bytes(take_fixed(rest)?),
                }
            }
        }
        kind::UPLOAD => Key::Upload {
            bucket,
            key: take_text(rest)?,
            upload: UploadId::from_bytes(take_fixed(rest)?),
        },
        kind::PART => Key::Part {
            bucket,
            upload: UploadId::from_bytes(take_fixed(rest)?),
            number: u16::from_be_bytes(take_fixed(rest)?),
        },
        _ => return Err("no record of a bucket has this kind"),
    })
}

fn take_partition_record(letter: u8, rest: &mut &[u8]) -> Result<Key, &'static str> {
    Ok(match letter {
        kind::PARTITION_STATE => Key::PartitionState,
        kind::FEED => Key::Feed {
            seq: u64::from_be_bytes(take_fixed(rest)?),
        },
        kind::RECLAIM => Key::Reclaim {
            seq: u64::from_be_bytes(take_fixed(rest)?),
            number: u16::from_be_bytes(take_fixed(rest)?),
        },
        kind::OUTCOME => Key::Outcome {
            op_id: OpId::from_bytes(take_fixed(rest)?),
        },
        kind::MISSING_SHARDS => Key::MissingShards {
            cluster: ChunkClusterId(u16::from_be_bytes(take_fixed(rest)?)),
            pg: PgId(u32::from_be_bytes(take_fixed(rest)?)),
            chunk: ChunkId::from_bytes(take_fixed(rest)?),
        },
        kind::BUCKET_NAME => Key::BucketName {
            name: take_rest(rest)?,
        },
        kind::BUCKET_COUNTER => Key::BucketCounter,
        kind::OWNED_BUCKET => Key::OwnedBucket {
            owner: take_text(rest)?,
            name: take_rest(rest)?,
        },
        kind::CLUSTER_MAP => Key::ClusterMap,
        kind::PLACEMENT_GROUP => Key::PlacementGroup {
            cluster: ChunkClusterId(u16::from_be_bytes(take_fixed(rest)?)),
            pg: PgId(u32::from_be_bytes(take_fixed(rest)?)),
        },
        kind::SCHEDULER_STATE => Key::SchedulerState {
            name: take_rest(rest)?,
        },
        _ => return Err("no record of a partition has this kind"),
    })
}

fn take_fixed<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], &'static str> {
    let (fixed, after) = rest
        .split_first_chunk::<N>()
        .ok_or("the key is too short")?;
    *rest = after;
    Ok(*fixed)
}

fn take_text(rest: &mut &[u8]) -> Result<String, &'static str> {
    escape::take(rest).ok_or("the S3 key in it is not escaped UTF-8")
}

fn take_rest(rest: &mut &[u8]) -> Result<String, &'static str> {
    let text = std::str::from_utf8(rest).map_err(|_| "the name in it is not UTF-8")?;
    *rest = &[];
    Ok(text.to_owned())
}
