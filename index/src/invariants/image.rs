//! All records of a partition, by kind.

use crate::key::bucket::BucketState;
use crate::key::head::HeadRecord;
use crate::key::object::VersionRecord;
use crate::key::reclaim::ReclaimRecord;
use crate::key::shared::{SharedRecord, SharedReference};
use crate::key::upload::{PartRecord, UploadRecord};
use crate::key::{Key, kind};
use crate::ops::draft::{decode, decode_key, records};
use crate::ops::scan::{Walk, walk};
use crate::owner::PartitionOwner;
use crate::store::StoreError;
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet};
use types::{BucketId, ManifestId, ManifestPage, PartitionId, UploadId, VersionId};

/// Records read at a time.
const PAGE: usize = 1000;

/// A key of a bucket.
pub type ObjectKey = (BucketId, String);

/// All records of a data partition, as of a time when nothing was writing.
#[derive(Debug, Clone, Default)]
pub struct PartitionImage {
    /// The partition.
    pub partition: PartitionId,
    /// `b/`
    pub buckets: BTreeMap<BucketId, BucketState>,
    /// `j/`, by name.
    pub configs: BTreeSet<(BucketId, String)>,
    /// `c/`
    pub current: BTreeMap<ObjectKey, VersionRecord>,
    /// `h/`
    pub heads: BTreeMap<ObjectKey, HeadRecord>,
    /// `v/` of each key, newest first.
    pub versions: BTreeMap<ObjectKey, Vec<VersionRecord>>,
    /// Bytes of each `i/` record.
    pub inline: BTreeMap<(BucketId, VersionId), u64>,
    /// `x/` of each manifest, by number.
    pub pages: BTreeMap<(BucketId, ManifestId), BTreeMap<u32, ManifestPage>>,
    /// `s/<manifest>`
    pub shared: BTreeMap<(BucketId, ManifestId), SharedRecord>,
    /// `s/<manifest>/<reference>`
    pub references: BTreeMap<(BucketId, ManifestId, u64), SharedReference>,
    /// `m/`, with the key.
    pub uploads: BTreeMap<(BucketId, UploadId), (String, UploadRecord)>,
    /// `p/`
    pub parts: BTreeMap<(BucketId, UploadId), Vec<PartRecord>>,
    /// `g/`
    pub reclaims: Vec<ReclaimRecord>,
}

impl PartitionImage {
    /// Current and noncurrent versions and delete markers, with their keys.
    pub fn all_versions(&self) -> impl Iterator<Item = (&ObjectKey, &VersionRecord)> {
        let noncurrent = self.versions.iter();
        let noncurrent =
            noncurrent.flat_map(|(key, versions)| versions.iter().map(move |record| (key, record)));
        self.current.iter().chain(noncurrent)
    }
}

/// The bucket record kinds that an image holds.
const KINDS: [u8; 10] = [
    kind::BUCKET_STATE,
    kind::BUCKET_CONFIG,
    kind::CURRENT,
    kind::HEAD,
    kind::VERSION,
    kind::INLINE,
    kind::MANIFEST_PAGE,
    kind::SHARED,
    kind::UPLOAD,
    kind::PART,
];

/// Reads a whole partition.
pub(crate) async fn read(owner: &PartitionOwner) -> Result<PartitionImage, StoreError> {
    let mut image = PartitionImage {
        partition: owner.partition(),
        ..Default::default()
    };
    for kind in KINDS {
        let mut cursor = None;
        loop {
            let Walk { entries, next } = walk(owner, kind, cursor, PAGE).await?;
            for (key, value) in entries {
                add(&mut image, &key, value.value)?;
            }
            cursor = next;
            if cursor.is_none() {
                break;
            }
        }
    }
    let mut range = Key::reclaims_range(u64::MAX);
    loop {
        let page = owner.scan(range.clone().page(PAGE, None)).await?;
        let more = page.more;
        for (key, loaded) in records(page)? {
            image.reclaims.push(loaded.record);
            range = range.after(&key);
        }
        if !more {
            return Ok(image);
        }
    }
}

fn add(image: &mut PartitionImage, encoded: &[u8], value: Bytes) -> Result<(), StoreError> {
    match decode_key(encoded)? {
        Key::BucketState { bucket } => {
            image.buckets.insert(bucket, decode(encoded, value)?);
        }
        Key::BucketConfig { bucket, name } => {
            image.configs.insert((bucket, name));
        }
        Key::Current { bucket, key } => {
            image.current.insert((bucket, key), decode(encoded, value)?);
        }
        Key::Head { bucket, key } => {
            image.heads.insert((bucket, key), decode(encoded, value)?);
        }
        Key::Version { bucket, key, .. } => {
            image
                .versions
                .entry((bucket, key))
                .or_default()
                .push(decode(encoded, value)?);
        }
        Key::Inline { bucket, version } => {
            image.inline.insert((bucket, version), value.len() as u64);
        }
        Key::ManifestPage {
            bucket,
            manifest,
            page,
        } => {
            let pages = image.pages.entry((bucket, manifest)).or_default();
            pages.insert(page, decode(encoded, value)?);
        }
        Key::Shared { bucket, manifest } => {
            image
                .shared
                .insert((bucket, manifest), decode(encoded, value)?);
        }
        Key::SharedRef {
            bucket,
            manifest,
            reference,
        } => {
            image
                .references
                .insert((bucket, manifest, reference), decode(encoded, value)?);
        }
        Key::Upload {
            bucket,
            key,
            upload,
        } => {
            image
                .uploads
                .insert((bucket, upload), (key, decode(encoded, value)?));
        }
        Key::Part { bucket, upload, .. } => {
            image
                .parts
                .entry((bucket, upload))
                .or_default()
                .push(decode(encoded, value)?);
        }
        _ => {}
    }
    Ok(())
}
