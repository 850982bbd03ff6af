//! How the versions of one key change: pure additions to a draft.
//!
//! - `c/` holds the current version, unless a delete marker is the newest.
//! - `v/` holds every other version and all delete markers.
//! - `h/` exists exactly while there are `v/` records, and is written by every draft that changes one. A
//!   draft depends on `c/` and `h/` as they were read, so it depends on all of the key's versions.

use super::draft::{Draft, Loaded, load, records};
use crate::key::feed::RemovedVersion;
use crate::key::head::HeadRecord;
use crate::key::object::VersionRecord;
use crate::key::reclaim::ReclaimRecord;
use crate::key::{Key, KeyRange};
use crate::owner::PartitionOwner;
use crate::store::{Seq, StoreError};
use types::{BucketId, Order, Planted};

/// What `c/` and `h/` say of a key.
#[derive(Debug)]
pub(crate) struct KeyState {
    pub bucket: BucketId,
    pub key: String,
    pub current: Option<Loaded<VersionRecord>>,
    pub head: Option<Loaded<HeadRecord>>,
}

impl KeyState {
    pub async fn load(
        owner: &PartitionOwner,
        bucket: BucketId,
        key: &str,
    ) -> Result<Self, StoreError> {
        let key = key.to_owned();
        let current_key = Key::Current {
            bucket,
            key: key.clone(),
        };
        let head_key = Key::Head {
            bucket,
            key: key.clone(),
        };
        // Neither of them is known to be the older one: what depends on both is expected of both, or read again.
        let (current, head) = tokio::try_join!(load(owner, &current_key), load(owner, &head_key))?;
        Ok(Self {
            bucket,
            key,
            current,
            head,
        })
    }

    pub fn current(&self) -> Option<&VersionRecord> {
        self.current.as_ref().map(|loaded| &loaded.record)
    }

    /// The greatest time of the key's orders; 0 for none.
    pub fn newest_time(&self) -> u64 {
        let current = self.current().map_or(0, |record| record.order.time);
        let head = self.head.as_ref().map_or(0, |head| head.record.newest.time);
        current.max(head)
    }

    /// Order of the null version, when it is a `v/` record.
    pub fn null_order(&self) -> Option<Order> {
        self.head.as_ref().and_then(|head| head.record.null_order)
    }

    /// Makes `draft` depend on the versions being as they were read.
    pub fn expect(&self, draft: &mut Draft) {
        let (current, head) = self.seqs();
        draft.expect(&self.current_key(), current);
        draft.expect(&self.head_key(), head);
    }

    /// All records under `v/` of the key.
    pub fn all_versions(&self) -> KeyRange {
        Key::versions_of(self.bucket, &self.key)
    }

    /// Whether the key is still as it was read. That a version was found neither under `c/` nor under `v/` counts
    /// only then: another process may have moved it in between, and its latch is not ours.
    pub async fn is_settled(&self, owner: &PartitionOwner) -> Result<bool, StoreError> {
        if Planted::LostMarker.is_here() {
            return Ok(true);
        }
        let again = Self::load(owner, self.bucket, &self.key).await?;
        Ok(again.seqs() == self.seqs())
    }

    /// Seqs of `c/` and `h/`: as long as they stay, so do the versions.
    pub fn seqs(&self) -> (Option<Seq>, Option<Seq>) {
        let current = self.current.as_ref().map(|loaded| loaded.seq);
        (current, self.head.as_ref().map(|loaded| loaded.seq))
    }

    pub fn current_key(&self) -> Key {
        Key::Current {
            bucket: self.bucket,
            key: self.key.clone(),
        }
    }

    pub fn head_key(&self) -> Key {
        Key::Head {
            bucket: self.bucket,
            key: self.key.clone(),
        }
    }

    pub fn version_key(&self, order: Order) -> Key {
        Key::Version {
            bucket: self.bucket,
            key: self.key.clone(),
            order,
        }
    }

    /// The `v/` record with this order.
    pub async fn noncurrent(
        &self,
        owner: &PartitionOwner,
        order: Order,
    ) -> Result<Option<VersionRecord>, StoreError> {
        let found = load(owner, &self.version_key(order)).await?;
        Ok(found.map(|loaded| loaded.record))
    }

    /// Makes `draft` write `record` in the place of the version with its id, which is one of the key's.
    pub fn rewrite(&self, draft: &mut Draft, record: &VersionRecord) {
        self.expect(draft);
        if self
            .current()
            .is_some_and(|current| current.id == record.id)
        {
            draft.put(&self.current_key(), record);
            return;
        }
        let head = self
            .head
            .as_ref()
            .expect("a version that is not current is a v/ record");
        draft.put(&self.version_key(record.order), record);
        draft.put(&self.head_key(), &head.record);
    }

    /// The newest two `v/` records.
    pub async fn newest_two(
        &self,
        owner: &PartitionOwner,
    ) -> Result<Vec<VersionRecord>, StoreError> {
        if self.head.is_none() {
            return Ok(Vec::new());
        }
        let range = Key::versions_of(self.bucket, &self.key);
        let page = owner.scan(range.page(2, None)).await?;
        Ok(records(page)?
            .into_iter()
            .map(|(_, loaded)| loaded.record)
            .collect())
    }
}

/// A draft together with the head that it will leave.
struct Edit<'a> {
    draft: &'a mut Draft,
    state: &'a KeyState,
    head: HeadRecord,
    removed: Vec<RemovedVersion>,
}

impl<'a> Edit<'a> {
    fn new(draft: &'a mut Draft, state: &'a KeyState) -> Self {
        state.expect(draft);
        let head = state
            .head
            .as_ref()
            .map(|loaded| loaded.record.clone())
            .unwrap_or_default();
        Self {
            draft,
            state,
            head,
            removed: Vec::new(),
        }
    }

    fn add_noncurrent(&mut self, record: &VersionRecord) {
        self.draft
            .put(&self.state.version_key(record.order), record);
        self.head.count += 1;
        if record.is_null {
            self.head.null_order = Some(record.order);
        }
    }

    fn remove_noncurrent(&mut self, record: &VersionRecord) {
        self.draft.delete(&self.state.version_key(record.order));
        assert!(
            self.head.count > 0,
            "a key with v/ records counts them in its head"
        );
        self.head.count -= 1;
        if record.is_null {
            self.head.null_order = None;
        }
    }

    /// Gives up what only this version holds.
    fn release(&mut self, record: &VersionRecord) {
        release(self.draft, self.state.bucket, record);
        self.removed.push(removed(record));
    }

    /// Writes the head; `newest` is the newest order that is left.
    fn finish(mut self, newest: Order) -> Vec<RemovedVersion> {
        self.head.newest = newest;
        if self.head.count > 0 {
            self.draft.put(&self.state.head_key(), &self.head);
        } else if self.state.head.is_some() {
            self.draft.delete(&self.state.head_key());
        }
        self.removed
    }
}

fn removed(record: &VersionRecord) -> RemovedVersion {
    RemovedVersion {
        version: record.id,
        order: record.order,
        plain_length: record.plain_length,
        is_null: record.is_null,
        delete_marker: record.delete_marker,
        ..Default::default()
    }
}

/// Deletes the inline body of a version that goes away, and queues its manifest for reclaim.
fn release(draft: &mut Draft, bucket: BucketId, record: &VersionRecord) {
    if record.has_inline_record() {
        draft.delete(&Key::Inline {
            bucket,
            version: record.id,
        });
    }
    let manifest = &record.manifest;
    if manifest.shared_ref != 0 {
        draft.reclaim(&ReclaimRecord::of_reference(manifest));
    } else if !manifest.chunks.is_empty() || !manifest.page_offsets.is_empty() {
        draft.reclaim(&ReclaimRecord::of_manifest(manifest.clone()));
    }
}

/// Makes `new`, a version or a delete marker, the newest of the key. A null one replaces the null
/// version there is: the current one, or `null`, the `v/` record that the head names.
///
/// Returns what was removed.
pub(crate) fn insert(
    draft: &mut Draft,
    state: &KeyState,
    new: &VersionRecord,
    null: Option<&VersionRecord>,
) -> Vec<RemovedVersion> {
    assert!(
        new.order.time > state.newest_time(),
        "a new version is the newest of its key"
    );
    let mut edit = Edit::new(draft, state);
    if let Some(null) = null.filter(|_| new.is_null) {
        edit.remove_noncurrent(null);
        edit.release(null);
    }
    match state.current() {
        Some(current) if new.is_null && current.is_null => edit.release(current),
        Some(current) => edit.add_noncurrent(current),
        None => {}
    }
    if !new.delete_marker {
        edit.draft.put(&state.current_key(), new);
    } else {
        edit.add_noncurrent(new);
        if state.current.is_some() {
            edit.draft.delete(&state.current_key());
        }
    }
    edit.finish(new.order)
}

/// Removes `target`, which is the current version or a `v/` record. If the newest version goes, the
/// next one takes its place: it becomes current, unless it is a delete marker. `newest` are the
/// newest two `v/` records.
///
/// Returns what was removed.
pub(crate) fn remove(
    draft: &mut Draft,
    state: &KeyState,
    target: &VersionRecord,
    newest: &[VersionRecord],
) -> Vec<RemovedVersion> {
    let is_current = state
        .current()
        .is_some_and(|current| current.id == target.id);
    let next = newest.iter().find(|record| record.id != target.id);
    let was_latest = match state.current() {
        Some(_) => is_current,
        None => newest.first().is_some_and(|first| first.id == target.id),
    };
    let mut edit = Edit::new(draft, state);
    edit.release(target);
    if !is_current {
        edit.remove_noncurrent(target);
    }
    match next {
        Some(next) if was_latest && !next.delete_marker => {
            edit.remove_noncurrent(next);
            edit.draft.put(&state.current_key(), next);
        }
        _ if is_current => edit.draft.delete(&state.current_key()),
        _ => {}
    }
    let kept = state.current().filter(|_| !is_current).or(next);
    edit.finish(kept.map(|record| record.order).unwrap_or_default())
}
