//! CompleteMultipartUpload.

mod parts;

use super::commit::{Failed, until_known};
use super::found::refuse_early;
use super::listing::url_encode;
use super::{OpResult, checksum, unsupported, version};
use crate::admission::AnswerLease;
use crate::context::{Context, Owned};
use crate::error::{self, ApiError};
use crate::precondition;
use index::key::object::ObjectChecksum;
use index::key::upload::UploadRecord;
use index::{CommittedVersion, CompleteUpload, WriteCondition};
use parts::{Asked, Part};
use s3s::dto::*;
use s3s::{S3Error, S3Request, S3Response};
use std::sync::Arc;
use tracing::{Instrument, Span};
use types::UploadId;

/// Memory that a part takes while its upload is completed: what the client and the index say of it, each twice, with a
/// chunk or two.
const PART_BYTES: u64 = 1024;

/// A completion whose request has been found good.
struct Complete {
    owned: Owned,
    key: String,
    upload: UploadId,
    parts: Vec<Part>,
    asked: Asked,
    condition: WriteCondition,
    /// For what is known of the parts while the completion runs, whoever waits for it.
    _memory: AnswerLease,
}

/// CompleteMultipartUpload: the object is durable and visible when this says so; the same request
/// repeated within seven days says the same.
///
/// # Errors
/// What stands between the signer and the upload; InvalidPart, InvalidPartOrder, EntityTooSmall;
/// a checksum or size that the object does not have; 412 or 404 by the client's condition.
pub async fn run(
    context: Arc<Context>,
    request: S3Request<CompleteMultipartUploadInput>,
) -> OpResult<CompleteMultipartUploadOutput> {
    let input = &request.input;
    let expected = input.expected_bucket_owner.as_deref();
    let owned = context.owned(&request, &input.bucket, expected).await?;
    unsupported::check(&request.headers)?;
    let condition = precondition::of_write(&request.headers)?;
    let parts = parts::read(input.multipart_upload.as_ref())?;
    let complete = Complete {
        _memory: context
            .budget
            .answer(parts.len() as u64 * PART_BYTES)
            .await?,
        upload: UploadId::parse(&input.upload_id).ok_or_else(error::no_such_upload)?,
        parts,
        asked: Asked::read(input)?,
        condition,
        owned,
        key: input.key.clone(),
    };
    let host = request
        .headers
        .get(http::header::HOST)
        .and_then(|host| host.to_str().ok());
    let base = CompleteMultipartUploadOutput {
        bucket: Some(input.bucket.clone()),
        key: Some(input.key.clone()),
        location: Some(format!(
            "http://{}/{}/{}",
            host.unwrap_or_default(),
            input.bucket,
            url_encode(&input.key)
        )),
        ..CompleteMultipartUploadOutput::default()
    };
    answer(context, complete, base).await
}

/// Runs the completion to its end, whatever becomes of the client.
async fn answer(
    context: Arc<Context>,
    complete: Complete,
    base: CompleteMultipartUploadOutput,
) -> OpResult<CompleteMultipartUploadOutput> {
    let parts = u32::try_from(complete.parts.len()).unwrap_or(u32::MAX);
    let patience = context.config.keep_alive_after;
    let mut task = tokio::spawn(complete.run(context).in_current_span());
    let finish = move |done: Result<Result<_, ApiError>, tokio::task::JoinError>| {
        Ok::<_, ApiError>(output(base, done.map_err(ApiError::internal)??, parts))
    };
    if let Ok(done) = tokio::time::timeout(patience, &mut task).await {
        return Ok(S3Response::new(finish(done)?));
    }
    let span = Span::current();
    let later = async move {
        let answer = finish(task.await);
        answer.map_err(|error| -> S3Error { error.log(&span) })
    };
    Ok(S3Response::new(CompleteMultipartUploadOutput {
        future: Some(Box::pin(later)),
        ..CompleteMultipartUploadOutput::default()
    }))
}

fn output(
    mut output: CompleteMultipartUploadOutput,
    done: Completed,
    parts: u32,
) -> CompleteMultipartUploadOutput {
    output.e_tag = Some(ETag::Strong(done.etag));
    output.version_id = done.version;
    output.checksum_type = checksum::shown_type(done.checksum.as_ref());
    checksum::show_checksum!(output, &done.checksum, parts);
    output
}

/// What a completion says of the object that it made.
struct Completed {
    etag: String,
    /// As answers show it.
    version: Option<String>,
    checksum: Option<ObjectChecksum>,
}

impl Complete {
    async fn run(self, context: Arc<Context>) -> Result<Completed, ApiError> {
        let bucket = &self.owned.bucket;
        let found = context
            .index
            .get_upload(bucket, &self.key, self.upload)
            .await?;
        let record = found.ok_or_else(error::no_such_upload)?;
        let etag = parts::etag(&self.parts)?;
        let checksum = match self.judged(&context, &record).await {
            Ok(checksum) => checksum,
            // Completed by someone else since it was read: what is left to judge is in the index.
            Err(_) if self.is_completed(&context).await? => None,
            Err(error) => return Err(error),
        };
        let mut op_id = context.index.new_op_id();
        let complete = CompleteUpload {
            bucket,
            key: &self.key,
            upload: self.upload,
            parts: self
                .parts
                .iter()
                .map(|part| (part.number, part.etag.clone()))
                .collect(),
            etag,
            checksum: checksum.clone(),
            part_bytes_min: context.config.part_bytes_min,
            condition: self.condition.clone(),
            op_id,
        };
        let committed = until_known(&context, &mut op_id, |op_id| {
            context.index.complete_upload(CompleteUpload {
                op_id,
                ..complete.clone()
            })
        })
        .await;
        let committed = committed
            .map_err(Failed::into_error)
            .map_err(|error| self.explained(error.into()))?;
        let checksum = match checksum {
            Some(checksum) => Some(checksum),
            None => self.kept_checksum(&context, &committed).await?,
        };
        Ok(Completed {
            version: version::shown(bucket, committed.version),
            etag: committed.etag,
            checksum,
        })
    }

    /// The checksum of the object that the parts make; None where the upload is completed already.
    async fn judged(
        &self,
        context: &Context,
        record: &UploadRecord,
    ) -> Result<Option<ObjectChecksum>, ApiError> {
        if record.completed.is_some() {
            return Ok(None);
        }
        refuse_early(context, &self.owned.bucket, &self.key, &self.condition).await?;
        let stored = self.stored_parts(context).await?;
        let judged = self.asked.judge(record, &self.parts, &stored);
        judged.map_err(|error| self.explained(error))
    }

    async fn is_completed(&self, context: &Context) -> Result<bool, ApiError> {
        let bucket = &self.owned.bucket;
        let found = context.index.get_upload(bucket, &self.key, self.upload);
        Ok(found
            .await?
            .is_some_and(|record| record.completed.is_some()))
    }

    /// Names what a refusal of a part is about, as S3 does.
    fn explained(&self, error: ApiError) -> ApiError {
        let number = error.detail("PartNumber").map(str::to_owned);
        let named = |part: &&Part| Some(part.number.to_string()) == number;
        match self.parts.iter().find(named) {
            Some(part) => error
                .with_detail("ETag", &part.etag)
                .with_detail("UploadId", self.upload),
            None => error,
        }
    }

    /// The checksum of an object that was completed before, as long as it is there.
    async fn kept_checksum(
        &self,
        context: &Context,
        committed: &CommittedVersion,
    ) -> Result<Option<ObjectChecksum>, ApiError> {
        let (bucket, version) = (&self.owned.bucket, Some(committed.version));
        let found = context.index.get_object(bucket, &self.key, version).await?;
        let same = found.map(|found| found.record).filter(|record| {
            record.etag == committed.etag && record.last_modified_ms() == committed.last_modified_ms
        });
        Ok(same.and_then(|record| record.checksum))
    }

    /// What was uploaded, by part number, of the parts that the request names.
    async fn stored_parts(
        &self,
        context: &Context,
    ) -> Result<Vec<index::key::upload::PartRecord>, ApiError> {
        let mut stored = Vec::with_capacity(self.parts.len());
        let mut after = 0;
        loop {
            let limit = (after, types::limits::LIST_KEYS_MAX);
            let bucket = &self.owned.bucket;
            let page = context
                .index
                .list_parts(bucket, &self.key, self.upload, limit)
                .await?;
            stored.extend(page.parts.into_iter().filter(|part| {
                self.parts
                    .binary_search_by_key(&part.number, |asked| asked.number)
                    .is_ok()
            }));
            match page.next {
                Some(last) => after = last,
                None => return Ok(stored),
            }
        }
    }
}
