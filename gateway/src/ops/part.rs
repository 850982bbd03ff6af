//! A part of a multipart upload: finding the upload, and committing the part's bytes.

use super::checksum;
use super::commit::until_known;
use super::receive::{Received, Stored, manifest, missing};
use crate::context::{Context, Owned};
use crate::digest::ChecksumAlgorithm;
use crate::error::{self, ApiError};
use index::PutPart;
use index::key::object::ObjectChecksum;
use types::limits::PART_NUMBER_MAX;
use types::{Manifest, UploadId};

/// Where a part belongs: an upload that was open when it was looked up.
pub(crate) struct Part {
    pub(crate) owned: Owned,
    key: String,
    upload: UploadId,
    number: u16,
    /// The checksum algorithm that the client chose for the upload.
    algorithm: Option<ChecksumAlgorithm>,
}

/// A part that was committed.
pub(crate) struct CommittedPart {
    /// Without quotes.
    pub(crate) etag: String,
    pub(crate) checksum: Option<ObjectChecksum>,
}

impl Part {
    /// Finds the upload of a part.
    ///
    /// # Errors
    /// 400 for a number that no part has; 404 NoSuchUpload.
    pub(crate) async fn find(
        context: &Context,
        owned: Owned,
        key: &str,
        upload_id: &str,
        number: i32,
    ) -> Result<Self, ApiError> {
        let number = part_number(number)?;
        let upload = UploadId::parse(upload_id).ok_or_else(error::no_such_upload)?;
        let found = context.index.get_upload(&owned.bucket, key, upload).await?;
        let record = found
            .filter(|record| record.completed.is_none())
            .ok_or_else(error::no_such_upload)?;
        Ok(Self {
            owned,
            key: key.to_owned(),
            upload,
            number,
            algorithm: ChecksumAlgorithm::parse(&record.checksum_algorithm),
        })
    }

    /// The checksum to compute of a part for which the client chose none: the upload's, or the one by
    /// which the completion of an upload without an algorithm makes the object's.
    pub(crate) fn default_algorithm(&self) -> ChecksumAlgorithm {
        self.algorithm.unwrap_or(ChecksumAlgorithm::DEFAULT)
    }

    /// What the answer shows of a part's checksum: one that the client did not ask for, neither for the
    /// upload nor here (`chosen`), is only kept.
    pub(crate) fn shown(
        &self,
        checksum: Option<ObjectChecksum>,
        chosen: Option<ChecksumAlgorithm>,
    ) -> Option<ObjectChecksum> {
        checksum.filter(|_| self.algorithm.or(chosen).is_some())
    }

    /// Refuses a part whose checksum is of another algorithm than the upload's.
    ///
    /// # Errors
    /// 400 InvalidRequest.
    pub(crate) fn check_algorithm(
        &self,
        chosen: Option<ChecksumAlgorithm>,
    ) -> Result<(), ApiError> {
        match (self.algorithm, chosen) {
            (Some(expected), Some(actual)) if expected != actual => {
                Err(other_algorithm(Some(expected), actual))
            }
            _ => Ok(()),
        }
    }

    /// Commits a body that was taken in. Parts are never inline: their manifests become one.
    ///
    /// # Errors
    /// As the index says; the bytes are then taken away again, unless the commit may have happened.
    pub(crate) async fn commit(
        &self,
        context: &Context,
        received: Received,
    ) -> Result<CommittedPart, ApiError> {
        let bucket = &self.owned.bucket;
        let checksum = checksum::stored(&received.digests);
        let etag = received.digests.etag();
        let (manifest, oldest_ms, missing) = match &received.stored {
            Stored::Chunks(id, written) => (
                manifest(bucket, *id, written),
                written.oldest_ms,
                missing(written),
            ),
            Stored::Inline(bytes) => {
                assert!(bytes.is_empty(), "only an empty part has no chunks");
                let now_ms = context.clock.now_ms();
                (empty_manifest(context, bucket), now_ms, Vec::new())
            }
        };
        let mut op_id = context.index.new_op_id();
        let put = PutPart {
            bucket,
            key: &self.key,
            upload: self.upload,
            number: self.number,
            etag: etag.clone(),
            checksum: checksum.clone(),
            manifest,
            oldest_ms,
            missing,
            op_id,
        };
        match until_known(context, &mut op_id, |op_id| {
            context.index.put_part(PutPart {
                op_id,
                ..put.clone()
            })
        })
        .await
        {
            Ok(()) => Ok(CommittedPart { etag, checksum }),
            Err(failed) => Err(received.stored.uncommitted(context, failed).await.into()),
        }
    }
}

fn empty_manifest(context: &Context, bucket: &index::Bucket) -> Manifest {
    Manifest {
        id: context.index.new_manifest_id(bucket),
        home: bucket.id,
        ..Manifest::default()
    }
}

fn part_number(number: i32) -> Result<u16, ApiError> {
    let number = u16::try_from(number).ok();
    number
        .filter(|number| (1..=PART_NUMBER_MAX).contains(number))
        .ok_or_else(|| {
            let message = "Part number must be an integer between 1 and 10000, inclusive";
            ApiError::bad("InvalidArgument", message)
        })
}

/// 400: a checksum of another algorithm than that of the upload, which may have none.
pub(super) fn other_algorithm(
    expected: Option<ChecksumAlgorithm>,
    actual: ChecksumAlgorithm,
) -> ApiError {
    let name = |algorithm: ChecksumAlgorithm| algorithm.name().to_ascii_lowercase();
    let expected = expected.map_or_else(|| "null".to_owned(), name);
    let actual = name(actual);
    let message = format!(
        "Checksum Type mismatch occurred, expected checksum Type: {expected}, actual checksum Type: \
         {actual}"
    );
    ApiError::bad("InvalidRequest", message)
}
