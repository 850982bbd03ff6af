//! What waits for repair: single shards that were found missing or damaged, and whole placement groups.

use chunkstore::ShardKey;
use parking_lot::Mutex;
use std::collections::BTreeSet;
use tokio::sync::Notify;
use types::{ClusterView, PgId};

/// Single shards remembered; with more, their groups are walked whole.
const SHARDS_MAX: usize = 4096;
/// Single shards put aside at the most.
const ASIDE_MAX: usize = 4096;

#[derive(Debug, Default)]
struct Waiting {
    shards: BTreeSet<ShardKey>,
    groups: BTreeSet<PgId>,
    /// Shards that could not be mended, and are not tried again before a release.
    aside: BTreeSet<ShardKey>,
}

/// What to look at. Shared by those who find damage and the worker that repairs it.
#[derive(Debug, Default)]
pub struct DirtyGroups {
    waiting: Mutex<Waiting>,
    added: Notify,
}

impl DirtyGroups {
    /// Adds a group that may lack shards.
    pub fn add(&self, group: PgId) {
        self.waiting.lock().groups.insert(group);
        self.added.notify_one();
    }

    /// Adds one shard that is missing or damaged, unless it is put aside.
    pub fn add_shard(&self, shard: ShardKey) {
        let mut waiting = self.waiting.lock();
        if waiting.aside.contains(&shard) {
            return;
        }
        if waiting.shards.len() < SHARDS_MAX {
            waiting.shards.insert(shard);
        } else {
            waiting.groups.insert(shard.pg);
        }
        drop(waiting);
        self.added.notify_one();
    }

    /// Adds groups and shards without waking whoever waits for additions: for the worker itself.
    pub fn put_back(
        &self,
        groups: impl IntoIterator<Item = PgId>,
        shards: impl IntoIterator<Item = ShardKey>,
    ) {
        let mut waiting = self.waiting.lock();
        waiting.groups.extend(groups);
        waiting.shards.extend(shards);
    }

    /// Puts a shard aside: it is not taken, whoever adds it, until [`release`](Self::release). False when there is
    /// no room for it.
    #[must_use]
    pub fn put_aside(&self, shard: ShardKey) -> bool {
        let mut waiting = self.waiting.lock();
        let has_room = waiting.aside.len() < ASIDE_MAX;
        if has_room {
            waiting.aside.insert(shard);
            waiting.shards.remove(&shard);
        }
        has_room
    }

    /// Lets what was put aside wait again, without waking whoever waits for additions.
    pub fn release(&self) {
        let mut waiting = self.waiting.lock();
        let aside = std::mem::take(&mut waiting.aside);
        waiting.shards.extend(aside);
    }

    /// True when a group waits.
    #[must_use]
    pub fn has_groups(&self) -> bool {
        !self.waiting.lock().groups.is_empty()
    }

    /// Takes a single shard.
    #[must_use]
    pub fn take_shard(&self) -> Option<ShardKey> {
        self.waiting.lock().shards.pop_first()
    }

    /// Takes up to `max` shards and up to `max` groups, to hand them to another node.
    #[must_use]
    pub fn take(&self, max: usize) -> (Vec<ShardKey>, Vec<PgId>) {
        let mut waiting = self.waiting.lock();
        let shards = std::iter::from_fn(|| waiting.shards.pop_first());
        let shards = shards.take(max).collect();
        let groups = std::iter::from_fn(|| waiting.groups.pop_first());
        (shards, groups.take(max).collect())
    }

    /// Takes the group that can bear the fewest further losses; the lowest id among equals.
    #[must_use]
    pub fn take_most_urgent(&self, view: &ClusterView) -> Option<PgId> {
        let mut waiting = self.waiting.lock();
        let margin = |id: &PgId| {
            let group = view.groups.get(id);
            group.map_or(0, |group| {
                group
                    .readable(&view.map)
                    .len()
                    .saturating_sub(group.profile.data())
            })
        };
        let most_urgent = waiting
            .groups
            .iter()
            .copied()
            .min_by_key(|id| (margin(id), *id))?;
        waiting.groups.remove(&most_urgent);
        Some(most_urgent)
    }

    /// Waits until something was added since the last wait.
    pub async fn changed(&self) {
        self.added.notified().await;
    }

    /// Shards and groups that wait, without those put aside.
    #[must_use]
    pub fn len(&self) -> usize {
        let waiting = self.waiting.lock();
        waiting.shards.len() + waiting.groups.len()
    }

    /// True when nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
