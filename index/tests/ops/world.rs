//! An index with its engine, clock and buckets, and short forms of its operations.

use crate::faulty::FaultyStore;
use crate::model::Body;
use bytes::Bytes;
use index::engine::memory::MemoryEngine;
use index::{
    Bucket, CommittedVersion, CompleteUpload, CompleteUploadError, CreateUpload, Index,
    IndexConfig, IndexStore, NewBody, ObjectMeta, PutObject, PutObjectError, PutPart, PutPartError,
    ReclaimStep, VersionRecord, WriteCondition,
};
use std::collections::BTreeSet;
use std::sync::Arc;
use types::clock::ManualClock;
use types::entropy::SeededEntropy;
use types::ids::IdSource;
use types::{ChunkId, ChunkRef, Clock, Manifest, OpId, UploadId};

pub const START_MS: u64 = 1_700_000_000_000;

#[derive(Clone)]
pub struct World {
    pub index: Index,
    pub store: Arc<FaultyStore>,
    pub clock: Arc<ManualClock>,
    ids: Arc<IdSource>,
}

impl World {
    pub fn new() -> Self {
        Self::on(Arc::new(MemoryEngine::new()))
    }

    pub fn on(engine: Arc<dyn IndexStore>) -> Self {
        Self::with(FaultyStore::new(engine))
    }

    /// One of several processes on the same engine.
    pub fn on_shared(engine: Arc<dyn IndexStore>) -> Self {
        Self::with(FaultyStore::shared(engine))
    }

    fn with(store: Arc<FaultyStore>) -> Self {
        let clock = Arc::new(ManualClock::at(START_MS));
        let ids = Arc::new(IdSource::new(&SeededEntropy::new(7)));
        let index = open(&store, &clock, 1);
        Self {
            index,
            store,
            clock,
            ids,
        }
    }

    /// Ends the index and opens it again on the same engine.
    pub async fn restart(&mut self, seed: u64) {
        self.index.close().await.unwrap();
        self.index = open(&self.store, &self.clock, seed);
    }

    pub fn op(&self) -> OpId {
        self.index.new_op_id()
    }

    /// Chunks that were never written before, of 100 bytes each.
    pub fn chunks(&self, bucket: &Bucket, count: usize) -> Manifest {
        let now_ms = self.clock.now_ms();
        let chunk = |_| ChunkRef {
            id: self.ids.chunk(now_ms),
            length: 100,
            ..Default::default()
        };
        let chunks: Vec<_> = (0..count).map(chunk).collect();
        let id = self.ids.manifest(now_ms, bucket.partition);
        Manifest {
            id,
            length: 100 * count as u64,
            chunks,
            ..Default::default()
        }
    }

    /// As many chunks (or, for 0, some inline bytes) as a body for `put`.
    pub fn body(&self, bucket: &Bucket, chunks: usize, etag: &str) -> (NewBody, Body) {
        if chunks == 0 {
            let bytes = Bytes::copy_from_slice(etag.as_bytes());
            return (NewBody::Inline(bytes.clone()), Body::Inline(bytes.to_vec()));
        }
        let manifest = self.chunks(bucket, chunks);
        let ids = manifest.chunks.iter().map(|chunk| chunk.id).collect();
        let oldest_ms = self.clock.now_ms();
        (
            NewBody::Chunks {
                manifest,
                oldest_ms,
                missing: Vec::new(),
            },
            Body::Chunks(ids),
        )
    }

    pub async fn put(
        &self,
        bucket: &Bucket,
        key: &str,
        (body, etag): (NewBody, &str),
        condition: WriteCondition,
        op_id: OpId,
    ) -> Result<CommittedVersion, PutObjectError> {
        let put = PutObject {
            bucket,
            key,
            body,
            etag: etag.to_owned(),
            checksum: None,
            meta: said(etag),
            condition,
            op_id,
        };
        self.index.put_object(put).await
    }

    /// Puts a key with that many chunks, whatever is there.
    pub async fn put_simply(&self, bucket: &Bucket, key: &str, chunks: usize) -> CommittedVersion {
        let (body, _) = self.body(bucket, chunks, "etag");
        self.put(bucket, key, (body, "etag"), WriteCondition::None, self.op())
            .await
            .unwrap()
    }

    /// The bytes of a version, as the index tells of them.
    pub async fn read(&self, bucket: &Bucket, record: &VersionRecord) -> Option<Body> {
        if record.manifest.inline || record.delete_marker {
            let body = self.index.inline_body(bucket, record).await.unwrap()?;
            return Some(Body::Inline(body.to_vec()));
        }
        let placed = self
            .index
            .resolve_chunks(record, 0..record.plain_length)
            .await
            .unwrap();
        let mut offset = 0;
        for chunk in &placed {
            assert_eq!(chunk.offset, offset, "chunks follow one another");
            offset += chunk.chunk.length;
        }
        assert_eq!(offset, record.plain_length);
        Some(Body::Chunks(
            placed.iter().map(|placed| placed.chunk.id).collect(),
        ))
    }

    pub async fn create_upload(&self, bucket: &Bucket, key: &str) -> UploadId {
        let create = CreateUpload {
            bucket,
            key,
            meta: said("upload"),
            checksum_algorithm: String::new(),
            checksum_type: index::ChecksumType::FullObject,
            op_id: self.op(),
        };
        self.index.create_upload(create).await.unwrap()
    }

    pub async fn put_part(
        &self,
        (bucket, key, upload): (&Bucket, &str, UploadId),
        number: u16,
        (manifest, etag): (Manifest, &str),
        op_id: OpId,
    ) -> Result<(), PutPartError> {
        let put = PutPart {
            bucket,
            key,
            upload,
            number,
            etag: etag.to_owned(),
            checksum: None,
            manifest,
            oldest_ms: self.clock.now_ms(),
            missing: Vec::new(),
            op_id,
        };
        self.index.put_part(put).await
    }

    pub async fn complete(
        &self,
        (bucket, key, upload): (&Bucket, &str, UploadId),
        parts: &[(u16, String)],
        condition: WriteCondition,
        op_id: OpId,
    ) -> Result<CommittedVersion, CompleteUploadError> {
        let complete = CompleteUpload {
            bucket,
            key,
            upload,
            parts: parts.to_vec(),
            etag: etag_of(parts),
            checksum: None,
            part_bytes_min: 1,
            condition,
            op_id,
        };
        self.index.complete_upload(complete).await
    }

    /// Reclaims everything that waits, and returns the chunks that were freed. No chunk is freed twice.
    pub async fn reclaim_all(&self) -> BTreeSet<ChunkId> {
        let mut freed = BTreeSet::new();
        loop {
            let mut found = false;
            for partition in self.index.partitions() {
                let last = self.index.last_seq(partition).await.unwrap();
                for entry in self
                    .index
                    .next_reclaims(partition, last, 100)
                    .await
                    .unwrap()
                {
                    found = true;
                    loop {
                        match self.index.reclaim_step(&entry).await.unwrap() {
                            ReclaimStep::Free {
                                chunks,
                                freed: which,
                            } => {
                                for chunk in chunks {
                                    assert!(freed.insert(chunk.id), "freed twice");
                                }
                                self.index.reclaim_freed(&entry, &which).await.unwrap();
                            }
                            ReclaimStep::More => {}
                            ReclaimStep::Done => break,
                        }
                    }
                }
            }
            if !found {
                return freed;
            }
        }
    }

    /// All chunks that any record names.
    pub async fn named_chunks(&self) -> BTreeSet<ChunkId> {
        let mut named = BTreeSet::new();
        for partition in self.index.partitions() {
            let mut cursor = None;
            loop {
                let page = self.index.scan_chunks(partition, cursor, 7).await.unwrap();
                named.extend(page.chunks.iter().map(|chunk| chunk.id));
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
        }
        named
    }

    /// Drops dangling references; returns how many.
    pub async fn audit(&self) -> usize {
        let mut dropped = 0;
        for partition in self.index.partitions() {
            let last = self.index.last_seq(partition).await.unwrap();
            let mut cursor = None;
            loop {
                let page = self
                    .index
                    .audit_references(partition, last, cursor, 3)
                    .await
                    .unwrap();
                dropped += page.dropped;
                cursor = page.next;
                if cursor.is_none() {
                    break;
                }
            }
        }
        dropped
    }

    pub async fn check(&self) {
        let violations = self.index.check().await.unwrap();
        let text: Vec<String> = violations.iter().map(ToString::to_string).collect();
        assert!(text.is_empty(), "{}", text.join("\n"));
    }
}

fn open(store: &Arc<FaultyStore>, clock: &Arc<ManualClock>, seed: u64) -> Index {
    let config = IndexConfig {
        data_partitions: 3,
        ..IndexConfig::in_dir("unused".into())
    };
    let entropy = Arc::new(SeededEntropy::new(seed));
    let store = Arc::clone(store) as Arc<dyn IndexStore>;
    Index::with_store(&config, store, Arc::clone(clock) as Arc<dyn Clock>, entropy).unwrap()
}

/// Metadata that says `text`.
pub fn said(text: &str) -> ObjectMeta {
    ObjectMeta {
        account: "alice".to_owned(),
        user_metadata: [("m".to_owned(), text.to_owned())].into(),
        ..Default::default()
    }
}

/// The ETag of a completed upload: made of those of its parts.
pub fn etag_of(parts: &[(u16, String)]) -> String {
    let etags: Vec<&str> = parts.iter().map(|(_, etag)| etag.as_str()).collect();
    format!("{}-{}", etags.join(","), parts.len())
}
