//! Copying by reference: first a reference to the source's manifest, then the new version.

use super::draft::outcome_of;
use super::put::{NewVersion, committed, inline_manifest, put_version, record_of};
use super::read::inline_body;
use super::share::{Sharer, drop_reference, take_reference};
use crate::api::{CommittedVersion, CopyMeta, CopyObject};
use crate::context::Context;
use crate::error::{CopyObjectError, PutObjectError};
use crate::key::feed::EventKind;
use crate::key::object::VersionRecord;
use crate::store::StoreError;
use bytes::Bytes;
use types::Manifest;

pub(crate) async fn copy_object(
    ctx: &Context,
    copy: CopyObject<'_>,
) -> Result<CommittedVersion, CopyObjectError> {
    let owner = ctx.owner(copy.bucket.partition)?;
    if let Some(first) = outcome_of(owner, copy.op_id).await? {
        return Ok(committed(first));
    }
    let Shared {
        manifest,
        inline,
        is_new,
    } = share_bytes(ctx, &copy)
        .await?
        .ok_or(CopyObjectError::SourceChanged)?;
    let new = NewVersion {
        bucket: copy.bucket.id,
        key: copy.key,
        record: record_of_copy(&copy, manifest.clone()),
        inline,
        guard: None,
        missing: Vec::new(),
        oldest_ms: None,
        condition: copy.condition,
        event: EventKind::Copy,
        op_id: copy.op_id,
    };
    match put_version(ctx, owner, &new).await {
        Ok(committed) => Ok(committed),
        Err(error) => {
            if is_new && is_definite(&error) {
                // The audit drops it if this fails.
                let _ = drop_reference(ctx, &manifest).await;
            }
            Err(error.into())
        }
    }
}

/// Whether the error says that the version was not committed, and will not be by a retry either.
fn is_definite(error: &PutObjectError) -> bool {
    match error {
        PutObjectError::NoSuchKey
        | PutObjectError::PreconditionFailed
        | PutObjectError::NoSuchBucket => true,
        PutObjectError::TooOld | PutObjectError::Store(_) => false,
    }
}

/// The bytes of the source, as the copy has them.
struct Shared {
    manifest: Manifest,
    inline: Option<Bytes>,
    /// Whether a reference was made for the copy that was not there.
    is_new: bool,
}

impl Shared {
    fn without_reference(manifest: Manifest, inline: Option<Bytes>) -> Self {
        Self {
            manifest,
            inline,
            is_new: false,
        }
    }
}

/// What the copy is to have; `None` when the source is gone.
async fn share_bytes(ctx: &Context, copy: &CopyObject<'_>) -> Result<Option<Shared>, StoreError> {
    let source = &copy.source;
    let manifest = &source.record.manifest;
    if manifest.inline {
        let Some(body) = inline_body(ctx, source.bucket, source.record).await? else {
            return Ok(None);
        };
        let manifest = inline_manifest(copy.bucket.id, manifest.length);
        let body = Some(body).filter(|body| !body.is_empty());
        return Ok(Some(Shared::without_reference(manifest, body)));
    }
    if manifest.chunks.is_empty() && manifest.page_offsets.is_empty() {
        return Ok(Some(Shared::without_reference(manifest.clone(), None)));
    }
    let sharer = Sharer {
        partition: copy.bucket.partition,
        bucket: copy.bucket.id,
        key: copy.key,
        op_id: copy.op_id,
    };
    let place = (source.bucket.id, source.key);
    let taken = take_reference(ctx, place, source.record, &sharer).await?;
    Ok(taken.map(|(manifest, is_new)| Shared {
        manifest,
        inline: None,
        is_new,
    }))
}

/// The record of the copy: the source's bytes with what is said of the copy.
fn record_of_copy(copy: &CopyObject<'_>, manifest: Manifest) -> VersionRecord {
    let source = copy.source.record;
    let said = match &copy.meta {
        CopyMeta::Replace(meta) => record_of(meta.clone()),
        CopyMeta::Copy {
            account,
            storage_class,
        } => VersionRecord {
            account: account.clone(),
            storage_class: storage_class.clone(),
            headers: source.headers.clone(),
            user_metadata: source.user_metadata.clone(),
            tags: source.tags.clone(),
            ..Default::default()
        },
    };
    VersionRecord {
        cluster: source.cluster,
        plain_length: source.plain_length,
        stored_length: source.stored_length,
        encryption: source.encryption.clone(),
        compression: source.compression.clone(),
        etag: source.etag.clone(),
        checksum: copy.checksum.clone().or_else(|| source.checksum.clone()),
        // Parts keep the raw values of the source's checksums; under another algorithm they are no parts.
        parts: if copy.checksum.is_some() {
            0
        } else {
            source.parts
        },
        manifest,
        ..said
    }
}
