//! Takes the body of an upload to where it will stay: inline for a small object, else to the disks
//! while it arrives. Nothing of it is visible until the caller has committed it.

use super::commit::Failed;
use crate::admission::{ENTRY_BYTES, Exhausted, Pace, UploadLease};
use crate::body::{PayloadStream, open_payload};
use crate::context::Context;
use crate::digest::{BodyDigests, BodyHasher, ChecksumAlgorithm, Declared};
use crate::error::ApiError;
use crate::metrics;
use bytes::{Bytes, BytesMut};
use chunkstore::{ObjectWriter, WriteTarget, Written};
use index::key::cluster::MissingShards;
use index::{Bucket, NewBody};
use s3s::S3Request;
use types::limits::PART_BYTES_MAX;
use types::{ChunkId, Clock, Manifest, ManifestId};

/// Where the bytes of a new body come from.
pub(crate) trait Source: Send {
    /// The next bytes; `None` once all have been given.
    ///
    /// # Errors
    /// Why the body ends early: nothing of it may be kept.
    fn next(&mut self) -> impl Future<Output = Result<Option<Bytes>, ApiError>> + Send;

    /// Leaves it to the upload to take memory for what is read ahead; how many bytes that are at the most. To be
    /// called before the first bytes are asked for.
    fn lend(&mut self) -> u64 {
        0
    }

    /// Drops what was read ahead; it is read again.
    fn give_back(&mut self) {}

    /// Judges the digests of the whole body.
    ///
    /// # Errors
    /// It is not what it was said to be: nothing of it may be kept.
    fn verify(&self, digests: &BodyDigests) -> Result<(), ApiError>;
}

/// The body of a request, with what its headers declare of it.
pub(crate) struct Wire {
    payload: PayloadStream,
    declared: Declared,
}

impl Source for Wire {
    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        Ok(self.payload.next().await?)
    }

    fn verify(&self, digests: &BodyDigests) -> Result<(), ApiError> {
        Ok(self.declared.verify(digests, self.payload.trailers())?)
    }
}

/// A body that may be taken in; not a byte of it has been read.
pub(crate) struct Upload<S> {
    source: S,
    length: u64,
    /// Bytes that have come so far.
    received: u64,
    pace: Pace,
    /// What the source reads ahead, at the most.
    ahead_bytes: u64,
    lease: UploadLease,
}

/// Where the bytes of a received body are.
pub(crate) enum Stored {
    Inline(Bytes),
    Chunks(ManifestId, Written),
}

/// A body that came whole and as declared; its bytes are durable unless they are inline.
pub(crate) struct Received {
    pub(crate) stored: Stored,
    pub(crate) digests: BodyDigests,
    _lease: UploadLease,
}

impl Upload<Wire> {
    /// Judges the headers of an upload, and waits until it may be let in.
    pub(crate) async fn open<T>(
        context: &Context,
        request: &S3Request<T>,
    ) -> Result<Self, ApiError> {
        let declared = Declared::from_headers(&request.headers)?;
        let payload = open_payload(request)?;
        let length = payload.declared_len().ok_or_else(|| {
            let message = "You must provide the Content-Length HTTP header.";
            ApiError::new(
                http::StatusCode::LENGTH_REQUIRED,
                "MissingContentLength",
                message,
            )
        })?;
        if length > PART_BYTES_MAX {
            let message = "Your proposed upload exceeds the maximum allowed size";
            return Err(ApiError::bad("EntityTooLarge", message)
                .with_detail("ProposedSize", length)
                .with_detail("MaxSizeAllowed", PART_BYTES_MAX));
        }
        Self::of(context, Wire { payload, declared }, length).await
    }

    /// The checksum algorithm that the client chose.
    pub(crate) fn algorithm(&self) -> Option<ChecksumAlgorithm> {
        self.source.declared.algorithm()
    }

    /// Receives the body of a request as [`Upload::store`] does; `default` is computed where the client
    /// did not choose another checksum.
    pub(crate) async fn receive(
        self,
        context: &Context,
        bucket: &Bucket,
        inline_bytes: usize,
        default: ChecksumAlgorithm,
    ) -> Result<Received, ApiError> {
        let length = self.length;
        let algorithm = self.algorithm().unwrap_or(default);
        let received = self.store(context, bucket, inline_bytes, algorithm).await?;
        metrics::received(length);
        Ok(received)
    }
}

impl<S: Source> Upload<S> {
    /// Waits until a body of `length` bytes may be let in.
    pub(crate) async fn of(
        context: &Context,
        mut source: S,
        length: u64,
    ) -> Result<Self, ApiError> {
        let lease = context.budget.upload(length).await?;
        Ok(Self {
            ahead_bytes: source.lend(),
            source,
            length,
            received: 0,
            pace: Pace::default(),
            lease,
        })
    }

    /// Takes the body in. One of up to `inline_bytes` stays in memory; a longer one is durable on
    /// return. After an error nothing is left of it.
    pub(crate) async fn store(
        mut self,
        context: &Context,
        bucket: &Bucket,
        inline_bytes: usize,
        algorithm: ChecksumAlgorithm,
    ) -> Result<Received, ApiError> {
        let hasher = BodyHasher::new(&context.md5_pool, self.length, Some(algorithm))?;
        let (stored, digests) = if self.length <= inline_bytes as u64 {
            self.keep_in_memory(context, hasher).await?
        } else {
            self.write_to_disks(context, bucket, hasher).await?
        };
        Ok(Received {
            stored,
            digests,
            _lease: self.lease,
        })
    }

    async fn keep_in_memory(
        &mut self,
        context: &Context,
        mut hasher: BodyHasher,
    ) -> Result<(Stored, BodyDigests), ApiError> {
        let mut body = BytesMut::new();
        while let Some(piece) = self.next_in_time(None, context.clock.as_ref()).await? {
            self.received += piece.len() as u64;
            hasher.update(&piece).await?;
            body.extend_from_slice(&piece);
        }
        let digests = hasher.finish().await?;
        self.source.verify(&digests)?;
        Ok((Stored::Inline(body.freeze()), digests))
    }

    async fn write_to_disks(
        &mut self,
        context: &Context,
        bucket: &Bucket,
        hasher: BodyHasher,
    ) -> Result<(Stored, BodyDigests), ApiError> {
        let manifest = context.index.new_manifest_id(bucket);
        let mut writer = context.chunks.writer(WriteTarget {
            bucket: bucket.id,
            manifest,
            size: Some(self.length),
        });
        match self.copy_to(context, &mut writer, hasher).await {
            Ok(digests) => {
                let written = writer.finish().await?;
                self.lease.keep(0);
                assert_eq!(written.length, self.length, "a whole body is written whole");
                Ok((Stored::Chunks(manifest, written), digests))
            }
            Err(error) => {
                writer.abandon().await;
                Err(error)
            }
        }
    }

    async fn copy_to(
        &mut self,
        context: &Context,
        writer: &mut ObjectWriter,
        mut hasher: BodyHasher,
    ) -> Result<BodyDigests, ApiError> {
        let stripe_bytes = context.chunks.stripe_memory_bytes();
        loop {
            let held = writer.filling_bytes();
            let covered = self.ahead_bytes == 0 && self.lease.entry_covers(held);
            if writer.stripes_held() > 0 || !covered {
                self.make_room(writer, &mut hasher, stripe_bytes).await?;
            }
            let next = self.next_in_time(Some((writer, &mut hasher)), context.clock.as_ref());
            let Some(piece) = next.await? else {
                break;
            };
            self.received += piece.len() as u64;
            hasher.update(&piece).await?;
            writer.write(piece).await?;
        }
        let digests = hasher.finish().await?;
        self.source.verify(&digests)?;
        Ok(digests)
    }

    /// Sees to it that there is memory for the bytes that come next. While others wait for memory, the
    /// body gives all of its own back after each stripe, and goes to the end of the queue.
    async fn make_room(
        &mut self,
        writer: &mut ObjectWriter,
        hasher: &mut BodyHasher,
        stripe_bytes: u64,
    ) -> Result<(), ApiError> {
        if self.lease.is_wanted() {
            if writer.stripes_held() > 0 && writer.filling_bytes() <= ENTRY_BYTES {
                while writer.settle_oldest().await? {}
                hasher.drain().await;
                self.lease.keep(writer.stripes_held());
            }
            self.lease.keep(writer.stripes_held() + 1);
        }
        if self.lease.stripes() == 0 {
            let left = self.length.saturating_sub(self.received);
            self.source.give_back();
            let first = self.lease.first(stripe_bytes, left, self.ahead_bytes);
            first.await?;
        }
        while writer.stripes_held() >= self.lease.stripes()
            && !self.lease.try_one_more(stripe_bytes)
            && writer.settle_oldest().await?
        {}
        Ok(())
    }

    /// The next bytes. While others wait for memory and these do not come, what came before is written out;
    /// and a body that hardly comes is ended.
    async fn next_in_time(
        &mut self,
        mut holders: Option<(&mut ObjectWriter, &mut BodyHasher)>,
        clock: &dyn Clock,
    ) -> Result<Option<Bytes>, ApiError> {
        if self.ahead_bytes > 0 {
            // It comes from disks, which are waited for as they are in a download.
            return self.source.next().await;
        }
        let left = self.length.saturating_sub(self.received) as usize;
        let mut next = std::pin::pin!(self.source.next());
        loop {
            let piece = self.pace.wait(clock, &mut next, came).await;
            let is_slow = self.pace.is_too_slow();
            match piece {
                // Nothing more has to come, however long it took.
                Some(Ok(Some(last))) if last.len() >= left => return Ok(Some(last)),
                Some(end @ (Ok(None) | Err(_))) => return end,
                _ if is_slow && self.lease.is_entry_wanted() => return Err(Exhausted.into()),
                _ => {}
            }
            if (is_slow || piece.is_none()) && self.lease.is_wanted() {
                let is_out = match &mut holders {
                    Some((writer, _)) => writer.flush().await?,
                    None => false,
                };
                if let Some((_, hasher)) = &mut holders
                    && is_out
                {
                    hasher.drain().await;
                    self.lease.keep(0);
                } else if is_slow {
                    return Err(Exhausted.into());
                }
            }
            if let Some(piece) = piece {
                return piece;
            }
        }
    }
}

/// How many bytes came.
fn came(piece: &Result<Option<Bytes>, ApiError>) -> usize {
    match piece {
        Ok(Some(piece)) => piece.len(),
        Ok(None) | Err(_) => 0,
    }
}

impl Stored {
    /// The bytes as the body of a new version in `bucket`.
    pub(crate) fn body(&self, bucket: &Bucket) -> NewBody {
        match self {
            Self::Inline(bytes) => NewBody::Inline(bytes.clone()),
            Self::Chunks(id, written) => NewBody::Chunks {
                manifest: manifest(bucket, *id, written),
                oldest_ms: written.oldest_ms,
                missing: missing(written),
            },
        }
    }

    /// Takes the bytes away again, as far as disks can be asked; the orphan collector does the
    /// rest. **Only for bytes that no commit can name.**
    pub(crate) async fn discard(self, context: &Context) {
        let Self::Chunks(_, written) = self else {
            return;
        };
        context.chunks.abandon(&written.chunks).await;
    }

    /// What to do with the bytes when their commit failed; returns why it did.
    pub(crate) async fn uncommitted<E>(self, context: &Context, failed: Failed<E>) -> E {
        if matches!(failed, Failed::NotCommitted(_)) {
            self.discard(context).await;
        }
        failed.into_error()
    }
}

/// The manifest of bytes that were written for `bucket`.
pub(crate) fn manifest(bucket: &Bucket, id: ManifestId, written: &Written) -> Manifest {
    Manifest {
        id,
        length: written.length,
        chunks: written.chunks.clone(),
        home: bucket.id,
        ..Manifest::default()
    }
}

/// Shards that were not durable, as the index keeps them.
pub(crate) fn missing(written: &Written) -> Vec<MissingShards> {
    let cluster_of = |id: ChunkId| {
        let chunk = written.chunks.iter().find(|chunk| chunk.id == id);
        chunk.map(|chunk| chunk.cluster).unwrap_or_default()
    };
    let missing = written.missing.iter().map(|shards| MissingShards {
        pg: shards.pg,
        chunk: shards.chunk,
        positions: shards.positions.0,
        cluster: cluster_of(shards.chunk),
        ..MissingShards::default()
    });
    missing.collect()
}
