//! The index as the other crates see it.

mod buckets;
mod maintenance;

use crate::api::{
    Bucket, CommittedVersion, CompleteUpload, CopyObject, CreateUpload, DeleteObject, Deleted,
    ListObjects, ListUploads, ListVersions, ObjectPage, ObjectPartPage, ObjectVersion, PartPage,
    PlacedChunk, PlacedPart, PutObject, PutPart, SetObjectTags, UploadPage, VersionPage,
    VersionRef,
};
use crate::config::IndexConfig;
use crate::context::Context;
use crate::engine::memory::MemoryEngine;
use crate::engine::rocks::{OpenEngineError, RocksEngine, RocksOptions};
use crate::error::{
    CompleteUploadError, CopyObjectError, CreateUploadError, DeleteObjectError, PutObjectError,
    PutPartError, SetObjectTagsError, UploadError,
};
use crate::key::object::VersionRecord;
use crate::key::upload::UploadRecord;
use crate::ops;
use crate::owner::PartitionOwner;
use crate::store::{IndexStore, StoreError};
use crate::{list, partition};
use bytes::Bytes;
use std::ops::Range;
use std::sync::Arc;
use types::ids::IdSource;
use types::{Clock, Entropy, ManifestId, OpId, PartitionId, UploadId};

/// Why an index was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenIndexError {
    /// The configuration asks for no partition that could hold a bucket.
    #[error("data_partitions is 0: at least one partition must hold buckets")]
    NoDataPartitions,
    /// The operating system gave no thread for a partition's owner.
    #[error("no thread for the owner of partition {partition}: {source}")]
    Thread {
        /// The partition.
        partition: PartitionId,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The engine could not be opened.
    #[error(transparent)]
    Engine(#[from] OpenEngineError),
}

/// The index: buckets, objects, uploads, what waits to be reclaimed, and the cluster's control state.
///
/// A clone is another handle on the same index. All methods may be called at the same time. What a
/// method says it did is durable when it returns. Dropping the future of a method that writes leaves
/// the write done or not done, never half done.
#[derive(Debug, Clone)]
pub struct Index {
    ctx: Arc<Context>,
    /// To be flushed at the end, when it is one that can be.
    engine: Option<Arc<RocksEngine>>,
}

impl Index {
    /// Opens the index on RocksDB, in the folder of `config`. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// [`OpenIndexError`].
    pub fn open(
        config: &IndexConfig,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenIndexError> {
        let options = RocksOptions {
            block_cache_bytes: config.cache_bytes,
            write_buffer_bytes: config.write_buffer_bytes,
            finalised: config.finalised.clone(),
            ..RocksOptions::new(&config.dir)
        };
        let engine = Arc::new(RocksEngine::open(&options)?);
        let index = Self::with_store(config, Arc::clone(&engine) as _, clock, entropy)?;
        Ok(Self {
            engine: Some(engine),
            ..index
        })
    }

    /// An index in memory with three data partitions, for tests: nothing of it is durable. Must be called
    /// inside a tokio runtime.
    ///
    /// # Panics
    /// When the operating system gives no thread.
    #[must_use]
    pub fn in_memory(clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let config = IndexConfig {
            data_partitions: 3,
            ..IndexConfig::in_dir("memory".into())
        };
        Self::with_store(&config, Arc::new(MemoryEngine::new()), clock, entropy)
            .expect("a test has threads")
    }

    /// The index on an engine that is open already.
    ///
    /// # Errors
    /// [`OpenIndexError`].
    pub fn with_store(
        config: &IndexConfig,
        store: Arc<dyn IndexStore>,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, OpenIndexError> {
        if config.data_partitions == 0 {
            return Err(OpenIndexError::NoDataPartitions);
        }
        let mut owners = Vec::new();
        for partition in partition::all(config.data_partitions) {
            let owner = PartitionOwner::start(
                Arc::clone(&store),
                partition,
                OWNER_EPOCH,
                Arc::clone(&clock),
                config.run_on,
            );
            owners.push(owner.map_err(|source| OpenIndexError::Thread { partition, source })?);
        }
        let ids = IdSource::new(entropy.as_ref());
        let (region, home_epoch) = (config.region, config.home_epoch);
        let ctx = Context {
            owners,
            region,
            home_epoch,
            write_deadline: config.write_deadline,
            clock,
            entropy,
            ids,
        };
        Ok(Self {
            ctx: Arc::new(ctx),
            engine: None,
        })
    }

    /// Commits what is under way, refuses everything after, and writes the engine's memory to files so
    /// that the next start is quick. What was acknowledged is durable without it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the files cannot be written; nothing is lost.
    pub async fn close(&self) -> Result<(), StoreError> {
        for owner in &self.ctx.owners {
            owner.close().await;
        }
        match &self.engine {
            Some(engine) => engine.close(),
            None => Ok(()),
        }
    }

    // ---- objects

    /// An id for a manifest to be written in `bucket`.
    #[must_use]
    pub fn new_manifest_id(&self, bucket: &Bucket) -> ManifestId {
        self.ctx
            .ids
            .manifest(self.ctx.clock.now_ms(), bucket.partition)
    }

    /// An id for one attempt to change something. Take it when the body is durable: an id older than
    /// `types::limits::OUTCOME_TTL` is refused.
    #[must_use]
    pub fn new_op_id(&self) -> OpId {
        OpId::new(self.ctx.clock.now_ms(), self.ctx.entropy.as_ref())
    }

    /// Makes a version the current one of its key.
    ///
    /// # Errors
    /// [`PutObjectError`]. After `Indeterminate` the same call with the same `op_id` gives the outcome.
    pub async fn put_object(&self, put: PutObject<'_>) -> Result<CommittedVersion, PutObjectError> {
        ops::put::put_object(&self.ctx, put).await
    }

    /// The current version of a key (none under a delete marker), or the version or marker that
    /// `version` names.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn get_object(
        &self,
        bucket: &Bucket,
        key: &str,
        version: Option<VersionRef>,
    ) -> Result<Option<ObjectVersion>, StoreError> {
        ops::read::get_object(&self.ctx, bucket, key, version).await
    }

    /// The body of a version with `manifest.inline`; `None` when it was replaced or deleted since its
    /// record was read: read that again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn inline_body(
        &self,
        bucket: &Bucket,
        record: &VersionRecord,
    ) -> Result<Option<Bytes>, StoreError> {
        ops::read::inline_body(&self.ctx, bucket, record).await
    }

    /// The chunks that hold bytes `range` of a version that is not inline, in order. A page of the
    /// manifest is read for each 256 chunks: ask for a very large object piece by piece.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn resolve_chunks(
        &self,
        record: &VersionRecord,
        range: Range<u64>,
    ) -> Result<Vec<PlacedChunk>, StoreError> {
        ops::read::resolve_chunks(&self.ctx, record, range).await
    }

    /// Deletes the current version or makes a delete marker, or removes the version that is named.
    ///
    /// # Errors
    /// [`DeleteObjectError`]. A key or version that is not there is no error without a condition on its ETag.
    pub async fn delete_object(
        &self,
        delete: DeleteObject<'_>,
    ) -> Result<Deleted, DeleteObjectError> {
        ops::delete::delete_object(&self.ctx, delete).await
    }

    /// Makes a version that uses the same chunks as another one.
    ///
    /// # Errors
    /// [`CopyObjectError`].
    pub async fn copy_object(
        &self,
        copy: CopyObject<'_>,
    ) -> Result<CommittedVersion, CopyObjectError> {
        ops::copy::copy_object(&self.ctx, copy).await
    }

    /// Replaces the tags of the current version, or of the one named. Last-Modified, ETag and the order of the
    /// versions stay as they are. Returns which version it was.
    ///
    /// # Errors
    /// [`SetObjectTagsError`]. After `Indeterminate` the same call with the same `op_id` gives the outcome.
    pub async fn set_object_tags(
        &self,
        set: SetObjectTags<'_>,
    ) -> Result<VersionRef, SetObjectTagsError> {
        ops::tags::set(&self.ctx, set).await
    }

    /// Parts of a version that a multipart upload made: numbers above `after`, `max` parts at the most. None
    /// for an object that was put whole.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn object_parts(
        &self,
        record: &VersionRecord,
        after: u16,
        max: usize,
    ) -> Result<ObjectPartPage, StoreError> {
        ops::parts::list(&self.ctx, record, after, max).await
    }

    /// The part of a version with this number, if the version was made of parts and has it.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn object_part(
        &self,
        record: &VersionRecord,
        number: u16,
    ) -> Result<Option<PlacedPart>, StoreError> {
        ops::parts::find(&self.ctx, record, number).await
    }

    /// A page of current versions.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_objects(&self, list: ListObjects<'_>) -> Result<ObjectPage, StoreError> {
        list::objects::list(&self.ctx, list).await
    }

    /// A page of all versions and delete markers.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_versions(&self, list: ListVersions<'_>) -> Result<VersionPage, StoreError> {
        list::versions::list(&self.ctx, list).await
    }

    // ---- multipart uploads

    /// Starts an upload.
    ///
    /// # Errors
    /// [`CreateUploadError`].
    pub async fn create_upload(
        &self,
        create: CreateUpload<'_>,
    ) -> Result<UploadId, CreateUploadError> {
        ops::upload::create(&self.ctx, create).await
    }

    /// An upload, open or completed at most seven days ago (then `completed` is set).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn get_upload(
        &self,
        bucket: &Bucket,
        key: &str,
        upload: UploadId,
    ) -> Result<Option<UploadRecord>, StoreError> {
        ops::upload::get(&self.ctx, bucket, key, upload).await
    }

    /// Stores a part, replacing the one of the same number.
    ///
    /// # Errors
    /// [`PutPartError`].
    pub async fn put_part(&self, put: PutPart<'_>) -> Result<(), PutPartError> {
        ops::upload::put_part(&self.ctx, put).await
    }

    /// Parts with numbers above `after`, `max_parts` at the most.
    ///
    /// # Errors
    /// [`UploadError`].
    pub async fn list_parts(
        &self,
        bucket: &Bucket,
        key: &str,
        upload: UploadId,
        (after, max_parts): (u16, usize),
    ) -> Result<PartPage, UploadError> {
        list::uploads::list_parts(&self.ctx, bucket, key, upload, (after, max_parts)).await
    }

    /// A page of open uploads.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn list_uploads(&self, list: ListUploads<'_>) -> Result<UploadPage, StoreError> {
        list::uploads::list(&self.ctx, list).await
    }

    /// Makes a version of the parts. The same completion repeated within seven days gives the same result.
    ///
    /// # Errors
    /// [`CompleteUploadError`].
    pub async fn complete_upload(
        &self,
        complete: CompleteUpload<'_>,
    ) -> Result<CommittedVersion, CompleteUploadError> {
        ops::complete::complete(&self.ctx, complete).await
    }

    /// Ends an upload; its parts are queued for reclaim.
    ///
    /// # Errors
    /// [`UploadError`].
    pub async fn abort_upload(
        &self,
        bucket: &Bucket,
        key: &str,
        upload: UploadId,
    ) -> Result<(), UploadError> {
        ops::upload::abort(&self.ctx, bucket, key, upload).await
    }
}

/// One process serves all partitions, so it is their only owner.
const OWNER_EPOCH: u64 = 1;
