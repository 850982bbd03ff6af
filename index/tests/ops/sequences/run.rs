//! One run: the index and the model side by side.

use super::compare::compare;
use super::retry::{Lost, settle};
use super::{Act, BUCKETS, KEYS, Step, When, Which};
use crate::model::{Body, ModelBucket, Version};
use crate::world::{World, etag_of, said};
use index::{
    Bucket, CommittedVersion, CompleteUploadError, CopyMeta, CopyObject, CopyObjectError,
    CopySource, DeleteBucketError, DeleteCondition, DeleteObject, DeleteObjectError,
    PutObjectError, PutPartError, UploadError, VersionRef, Versioning, WriteCondition,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use types::{ChunkId, UploadId};

pub struct Upload {
    bucket: usize,
    key: &'static str,
    id: UploadId,
    parts: BTreeMap<u16, (String, Vec<ChunkId>)>,
    open: bool,
    /// What a completion was asked for, and gave.
    completed: Option<(Vec<(u16, String)>, CommittedVersion)>,
}

pub struct Run {
    pub(super) world: World,
    /// As they were created: stale as soon as versioning changes.
    pub(super) buckets: Vec<Bucket>,
    pub(super) models: Vec<ModelBucket>,
    uploads: Vec<Upload>,
    committed: BTreeSet<ChunkId>,
    freed: BTreeSet<ChunkId>,
    count: u64,
}

impl Run {
    pub async fn new(world: World) -> Self {
        let mut buckets = Vec::new();
        for number in 0..BUCKETS {
            let name = format!("bucket-{number}");
            buckets.push(world.index.create_bucket(&name, "alice").await.unwrap());
        }
        let partitions: BTreeSet<_> = buckets.iter().map(|bucket| bucket.partition).collect();
        assert_eq!(
            partitions.len(),
            BUCKETS,
            "each bucket in a partition of its own"
        );
        let models = (0..BUCKETS).map(|_| ModelBucket::default()).collect();
        Self {
            world,
            buckets,
            models,
            uploads: Vec::new(),
            committed: BTreeSet::new(),
            freed: BTreeSet::new(),
            count: 0,
        }
    }

    pub async fn step(&mut self, step: Step) {
        self.world.clock.advance(Duration::from_millis(3));
        if let Some((passing, fault)) = step.fault {
            self.world.store.arm(passing, fault);
        }
        let bucket = step.bucket;
        match step.act {
            Act::Put { key, chunks, when } => self.put(bucket, KEYS[key], chunks, when).await,
            Act::Delete { key, which, when } => self.delete(bucket, KEYS[key], which, when).await,
            Act::Copy {
                key,
                which,
                to_bucket,
                to_key,
                when,
            } => {
                self.copy((bucket, KEYS[key], which), (to_bucket, KEYS[to_key]), when)
                    .await;
            }
            Act::Tag { key, which } => self.tag(bucket, KEYS[key], which).await,
            Act::Versioning { enabled } => self.set_versioning(bucket, enabled).await,
            Act::StartUpload { key } => self.start_upload(bucket, KEYS[key]).await,
            Act::PutPart {
                upload,
                number,
                chunks,
            } => self.put_part(upload, number, chunks).await,
            Act::Complete {
                upload,
                parts,
                when,
            } => self.complete(upload, parts, when).await,
            Act::Abort { upload } => self.abort(upload).await,
            Act::DropBucket => self.drop_bucket(bucket).await,
            Act::Reclaim => {
                self.world.store.disarm();
                self.freed.extend(self.world.reclaim_all().await);
            }
            Act::Restart => {
                self.world.store.disarm();
                self.count += 1;
                self.world.restart(1000 + self.count).await;
            }
        }
        self.world.store.disarm();
        for (bucket, model) in self.buckets.iter().zip(&self.models) {
            compare(&self.world, bucket, model).await;
        }
        self.world.check().await;
    }

    fn condition(&self, bucket: usize, key: &str, when: When) -> WriteCondition {
        let current = self.models[bucket]
            .current(key)
            .map(|current| current.etag.clone());
        match when {
            When::Always => WriteCondition::None,
            When::Absent => WriteCondition::IfNoneMatch,
            When::Matches => WriteCondition::IfMatch(current.unwrap_or("none".to_owned())),
            When::Differs => WriteCondition::IfMatch("other".to_owned()),
        }
    }

    pub(super) fn etag(&mut self) -> String {
        self.count += 1;
        format!("etag{}", self.count)
    }

    /// The name of a version, which may be one that is not there.
    pub(super) fn version(&self, bucket: usize, key: &str, which: Which) -> Option<VersionRef> {
        let versions = self.models[bucket].keys.get(key);
        match which {
            Which::Current => None,
            Which::Null => Some(VersionRef::Null),
            Which::Nth(nth) => {
                let found = versions.and_then(|versions| versions.get(nth % versions.len()));
                Some(found.map_or(VersionRef::Null, |found| found.version))
            }
        }
    }

    async fn put(&mut self, bucket: usize, key: &str, chunks: usize, when: When) {
        let condition = self.condition(bucket, key, when);
        let (etag, op_id) = (self.etag(), self.world.op());
        let handle = &self.buckets[bucket];
        let (new, body) = self.world.body(handle, chunks, &etag);
        let put = || {
            self.world
                .put(handle, key, (new.clone(), &etag), condition.clone(), op_id)
        };
        let (result, _) = settle!(put());
        match self.models[bucket].check(key, &condition) {
            Err(expected) => assert_eq!(result, Err(expected)),
            Ok(()) => {
                let committed = result.unwrap();
                self.world.store.disarm();
                assert_eq!(
                    put().await,
                    Ok(committed.clone()),
                    "repeated with the same id"
                );
                self.push(bucket, key, committed, (body, etag.clone(), etag));
            }
        }
    }

    fn push(
        &mut self,
        bucket: usize,
        key: &str,
        committed: CommittedVersion,
        (body, etag, said): (Body, String, String),
    ) {
        assert_eq!(committed.etag, etag);
        if let Body::Chunks(chunks) = &body {
            self.committed.extend(chunks);
        }
        let version = Version {
            version: committed.version,
            marker: false,
            etag,
            body,
            said,
            tag: None,
        };
        self.models[bucket].push(key, version);
    }

    async fn delete(&mut self, bucket: usize, key: &str, which: Which, when: When) {
        let version = self.version(bucket, key, which);
        let op_id = self.world.op();
        let model = &mut self.models[bucket];
        let target = match version {
            None => model.current(key),
            Some(version) => model.find(key, version),
        };
        let condition = match when {
            When::Always | When::Absent => None,
            When::Matches => Some(target.map_or("x".into(), |target| target.etag.clone())),
            When::Differs => Some("other".to_owned()),
        };
        let condition = DeleteCondition {
            etag: condition,
            ..Default::default()
        };
        let fails = match (target, version) {
            _ if condition.etag.is_none() => None,
            (None, Some(_)) => Some(DeleteObjectError::NoSuchVersion),
            (None, None) => Some(DeleteObjectError::NoSuchKey),
            (Some(_), _) if matches!(when, When::Differs) => {
                Some(DeleteObjectError::PreconditionFailed)
            }
            (Some(_), _) => None,
        };
        let delete = || {
            let bucket = &self.buckets[bucket];
            let condition = condition.clone();
            self.world.index.delete_object(DeleteObject {
                bucket,
                key,
                version,
                condition,
                op_id,
            })
        };
        let (result, _) = settle!(delete());
        if let Some(error) = fails {
            assert_eq!(result, Err(error));
            return;
        }
        let deleted = result.unwrap();
        self.world.store.disarm();
        assert_eq!(
            delete().await,
            Ok(deleted.clone()),
            "repeated with the same id"
        );
        assert_eq!(deleted, model.delete(key, version, deleted.version));
    }

    async fn copy(
        &mut self,
        (bucket, key, which): (usize, &str, Which),
        (to_bucket, to_key): (usize, &str),
        when: When,
    ) {
        let version = self.version(bucket, key, which);
        let handle = &self.buckets[bucket];
        let found = self
            .world
            .index
            .get_object(handle, key, version)
            .await
            .unwrap();
        let Some(source) = found.filter(|found| !found.record.delete_marker) else {
            return;
        };
        let condition = self.condition(to_bucket, to_key, when);
        let op_id = self.world.op();
        let copy = || {
            self.world.index.copy_object(CopyObject {
                source: CopySource {
                    bucket: handle,
                    key,
                    record: &source.record,
                },
                bucket: &self.buckets[to_bucket],
                key: to_key,
                meta: CopyMeta::Replace(said("copied")),
                checksum: None,
                condition: condition.clone(),
                op_id,
            })
        };
        let (result, _) = settle!(copy());
        match self.models[to_bucket].check(to_key, &condition) {
            Err(expected) => assert_eq!(result, Err(CopyObjectError::Destination(expected))),
            Ok(()) => {
                let committed = result.unwrap();
                self.world.store.disarm();
                assert_eq!(
                    copy().await,
                    Ok(committed.clone()),
                    "repeated with the same id"
                );
                let copied = self.models[bucket]
                    .find(key, source.version)
                    .unwrap()
                    .clone();
                let contents = (copied.body, copied.etag, "copied".to_owned());
                self.push(to_bucket, to_key, committed, contents);
            }
        }
    }

    async fn set_versioning(&mut self, bucket: usize, enabled: bool) {
        let versioning = if enabled {
            Versioning::Enabled
        } else {
            Versioning::Suspended
        };
        let set = || {
            self.world
                .index
                .set_versioning(&self.buckets[bucket], versioning)
        };
        let (result, _) = settle!(set());
        assert_eq!(result.unwrap().versioning, versioning);
        self.models[bucket].versioning = versioning;
    }

    async fn start_upload(&mut self, bucket: usize, key: &'static str) {
        self.world.store.disarm();
        let id = self.world.create_upload(&self.buckets[bucket], key).await;
        let parts = BTreeMap::new();
        self.uploads.push(Upload {
            bucket,
            key,
            id,
            parts,
            open: true,
            completed: None,
        });
    }

    /// One of the last few uploads.
    fn upload(&self, back: usize) -> Option<usize> {
        self.uploads.len().checked_sub(1 + back)
    }

    async fn put_part(&mut self, back: usize, number: u16, chunks: usize) {
        let Some(at) = self.upload(back) else { return };
        let (etag, op_id) = (self.etag(), self.world.op());
        let upload = &mut self.uploads[at];
        let bucket = &self.buckets[upload.bucket];
        let manifest = self.world.chunks(bucket, chunks);
        let ids: Vec<ChunkId> = manifest.chunks.iter().map(|chunk| chunk.id).collect();
        let place = (bucket, upload.key, upload.id);
        let put = || {
            self.world
                .put_part(place, number, (manifest.clone(), &etag), op_id)
        };
        let (result, _) = settle!(put());
        if !upload.open {
            assert_eq!(result, Err(PutPartError::NoSuchUpload));
            return;
        }
        assert_eq!(result, Ok(()));
        self.world.store.disarm();
        assert_eq!(put().await, Ok(()), "repeated with the same id");
        self.committed.extend(&ids);
        upload.parts.insert(number, (etag, ids));
    }

    async fn complete(&mut self, back: usize, mask: u8, when: When) {
        let Some(at) = self.upload(back) else { return };
        let (place, key) = (self.uploads[at].bucket, self.uploads[at].key);
        let condition = self.condition(place, key, when);
        let op_id = self.world.op();
        let upload = &self.uploads[at];
        let chosen = upload
            .parts
            .iter()
            .filter(|(number, _)| mask >> **number & 1 == 1);
        let parts: Vec<(u16, String)> = chosen
            .clone()
            .map(|(number, (etag, _))| (*number, etag.clone()))
            .collect();
        let ids: Vec<ChunkId> = chosen.flat_map(|(_, (_, ids))| ids.clone()).collect();
        let handle = (&self.buckets[place], key, upload.id);
        let complete = || {
            self.world
                .complete(handle, &parts, condition.clone(), op_id)
        };
        let (result, _) = settle!(complete());
        if parts.is_empty() {
            assert_eq!(result, Err(CompleteUploadError::InvalidPartOrder));
        } else if !upload.open {
            match &upload.completed {
                Some((first, committed)) if *first == parts => {
                    assert_eq!(result, Ok(committed.clone()), "completed as before");
                }
                _ => assert_eq!(result, Err(CompleteUploadError::NoSuchUpload)),
            }
        } else if let Err(expected) = self.models[place].check(key, &condition) {
            assert_eq!(result, Err(CompleteUploadError::Put(expected)));
        } else {
            let committed = result.unwrap();
            self.world.store.disarm();
            assert_eq!(
                complete().await,
                Ok(committed.clone()),
                "repeated with the same id"
            );
            let etag = etag_of(&parts);
            let upload = &mut self.uploads[at];
            upload.open = false;
            upload.completed = Some((parts, committed.clone()));
            self.push(
                place,
                key,
                committed,
                (Body::Chunks(ids), etag, "upload".to_owned()),
            );
        }
    }

    async fn abort(&mut self, back: usize) {
        let Some(at) = self.upload(back) else { return };
        let upload = &mut self.uploads[at];
        let bucket = &self.buckets[upload.bucket];
        let abort = || self.world.index.abort_upload(bucket, upload.key, upload.id);
        match settle!(abort()) {
            (Ok(()), _) => assert!(upload.open),
            (Err(UploadError::NoSuchUpload), lost) => assert!(lost || !upload.open),
            (Err(error), _) => panic!("{error}"),
        }
        upload.open = false;
    }

    async fn drop_bucket(&mut self, bucket: usize) {
        let name = self.buckets[bucket].name.clone();
        let (result, lost) = settle!(self.world.index.delete_bucket(&name));
        if !self.models[bucket].keys.is_empty() {
            assert_eq!(result, Err(DeleteBucketError::NotEmpty));
            return;
        }
        assert!(result.is_ok() || lost && result == Err(DeleteBucketError::NoSuchBucket));
        self.world.store.disarm();
        assert_eq!(self.world.index.bucket(&name).await, Ok(None));
        let old = self.buckets[bucket].clone();
        let (body, _) = self.world.body(&old, 0, "x");
        let put = self.world.put(
            &old,
            "a",
            (body, "x"),
            WriteCondition::None,
            self.world.op(),
        );
        assert_eq!(put.await, Err(PutObjectError::NoSuchBucket));
        let created = self
            .world
            .index
            .create_bucket(&name, "alice")
            .await
            .unwrap();
        assert!(created.id > old.id, "ids are never used again");
        self.uploads.retain(|upload| upload.bucket != bucket);
        self.models[bucket] = ModelBucket::default();
        // The models assume one partition for each bucket only at the start.
        self.buckets[bucket] = created;
    }

    /// When all grace has passed, what was ever committed is either named by a version, or freed once.
    pub async fn finish(mut self) {
        self.world.clock.advance(Duration::from_secs(30 * 3600));
        self.world.audit().await;
        let freed = self.world.reclaim_all().await;
        assert!(self.freed.is_disjoint(&freed), "freed twice");
        self.freed.extend(freed);
        self.world.check().await;
        let parts = self.uploads.iter().filter(|upload| upload.open);
        let parts = parts.flat_map(|upload| upload.parts.values().flat_map(|(_, ids)| ids.clone()));
        let live: BTreeSet<ChunkId> = self
            .models
            .iter()
            .flat_map(ModelBucket::chunks)
            .chain(parts)
            .collect();
        assert_eq!(
            self.world.named_chunks().await,
            live,
            "named is what is live"
        );
        let gone: BTreeSet<ChunkId> = self.committed.difference(&live).copied().collect();
        assert_eq!(
            self.freed, gone,
            "freed is what was committed and is not live"
        );
    }
}
