//! Multipart uploads.

use super::{Gateway, Reply, etag, manifest, meta, of_put_error, write_condition};
use crate::commit::{Failed, until_known};
use crate::record::Place;
use index::{Bucket, ChecksumType, CompleteUpload, CompleteUploadError, CreateUpload, PutPart};
use s3_tests::dice::value as bytes_of;
use s3_tests::history::{Condition, Outcome, Value};
use types::UploadId;

/// An upload of a value in parts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Upload {
    pub value: Value,
    pub condition: Condition,
    /// Bytes of each part but the last.
    pub part_bytes: usize,
    /// It is aborted instead of completed.
    pub is_aborted: bool,
}

impl Gateway {
    /// CreateMultipartUpload, UploadPart for each part, and CompleteMultipartUpload.
    pub async fn upload(&self, (name, key): &Place, upload: Upload) -> Reply {
        let bucket = match self.bucket(name).await {
            Ok(bucket) => bucket,
            Err(reply) => return reply,
        };
        let mut op_id = self.machine.index.new_op_id();
        let create = CreateUpload {
            bucket: &bucket,
            key,
            meta: meta(),
            checksum_algorithm: String::new(),
            checksum_type: ChecksumType::default(),
            op_id,
        };
        let index = &self.machine.index;
        let id = match until_known(&self.machine, &mut op_id, |op_id| {
            index.create_upload(CreateUpload {
                op_id,
                ..create.clone()
            })
        })
        .await
        {
            Ok(id) => id,
            Err(Failed::NotCommitted(error) | Failed::Unknown(error)) => {
                return Reply::nothing(error);
            }
        };
        let parts = match self.parts((&bucket, key), id, upload).await {
            Ok(parts) if !upload.is_aborted => parts,
            other => {
                // One that stays open is found at the end.
                drop(index.abort_upload(&bucket, key, id).await);
                return other.err().unwrap_or_else(|| Reply::nothing("aborted"));
            }
        };
        let mut op_id = self.machine.index.new_op_id();
        let complete = CompleteUpload {
            bucket: &bucket,
            key,
            upload: id,
            parts,
            etag: etag(upload.value),
            checksum: None,
            part_bytes_min: 1,
            condition: write_condition(upload.condition),
            op_id,
        };
        match until_known(&self.machine, &mut op_id, |op_id| {
            index.complete_upload(CompleteUpload {
                op_id,
                ..complete.clone()
            })
        })
        .await
        {
            Ok(done) => Reply::Told(Outcome::Stored(self.record.version(done.version))),
            Err(Failed::Unknown(error)) => Reply::Unknown(error.to_string()),
            Err(Failed::NotCommitted(error)) => match error {
                CompleteUploadError::Put(error) => of_put_error(error),
                other => Reply::nothing(other),
            },
        }
    }

    /// Stores every part; the numbers with the ETags.
    async fn parts(
        &self,
        (bucket, key): (&Bucket, &str),
        id: UploadId,
        upload: Upload,
    ) -> Result<Vec<(u16, String)>, Reply> {
        let length = self.record.length(upload.value).unwrap_or_default();
        let mut rest = bytes_of(upload.value, length);
        let mut parts = Vec::new();
        while !rest.is_empty() {
            let number = u16::try_from(parts.len() + 1).expect("uploads have few parts here");
            let piece = rest.split_to(upload.part_bytes.min(rest.len()));
            let manifest_id = self.machine.index.new_manifest_id(bucket);
            let written = self.write(bucket, manifest_id, piece).await?;
            let etag = format!("v{}p{number}", upload.value);
            let mut op_id = self.machine.index.new_op_id();
            let put = PutPart {
                bucket,
                key,
                upload: id,
                number,
                etag: etag.clone(),
                checksum: None,
                manifest: manifest(bucket, manifest_id, &written),
                oldest_ms: written.oldest_ms,
                missing: self.missing(&written),
                op_id,
            };
            let index = &self.machine.index;
            if let Err(failed) = until_known(&self.machine, &mut op_id, |op_id| {
                index.put_part(PutPart {
                    op_id,
                    ..put.clone()
                })
            })
            .await
            {
                let reply = self
                    .uncommitted(Some(&written), failed, Reply::nothing)
                    .await;
                // The object itself was not touched.
                return Err(Reply::Nothing(format!("{reply}")));
            }
            parts.push((number, etag));
        }
        Ok(parts)
    }
}
