//! Repair: rebuilds what disks lack, the groups with the least margin first.
//!
//! A shard is mended when a reader or the scrubber found it missing or damaged. A whole group is walked when
//! the index says that one of its chunks was committed with shards missing, and when a disk of it came back
//! or took the place of another.
//!
//! What cannot be repaired now is put aside, so that it holds up nothing else, and tried again some rounds later.
//! It stays on the lists of the index until a walk has gone through all of it.

use crate::budget::Budget;
use crate::returned;
use crate::run::dirty::DirtyGroups;
use crate::worker::{Step, StepError, Worker};
use async_trait::async_trait;
use chunkstore::{ChunkStore, RepairReport, RepairScope, ShardKey};
use index::{Index, MissingShards};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tracing::{debug, info, warn};
use types::{ChunkId, ClusterView, DiskId, DiskState, PartitionId, PgId};

/// Bytes read from peers in one step.
const STEP_BYTES: u64 = 64 << 20;
/// Entries of the list of missing shards read at a time.
const MISSING_PAGE: usize = 256;
/// Rounds after which what was put aside is tried again.
const ROUNDS_ASIDE: u32 = 10;

/// A walk through the positions of one group.
#[derive(Debug)]
struct Walk {
    pg: PgId,
    position: usize,
    from: Option<(ChunkId, u32)>,
    /// Entries of the list of missing shards that the walk will have seen to, read before it began.
    entries: Vec<(PartitionId, MissingShards)>,
    /// Some of it could not be looked at, or not be rebuilt.
    is_incomplete: bool,
}

/// What could not be repaired in this round.
#[derive(Debug, Default)]
struct Aside {
    groups: BTreeSet<PgId>,
    shards: BTreeSet<ShardKey>,
    rounds: u32,
}

/// Repairs one group after the other.
#[derive(Debug)]
pub struct Repair {
    index: Index,
    chunks: ChunkStore,
    dirty: Arc<DirtyGroups>,
    budget: Arc<Budget>,
    walk: Option<Walk>,
    /// State of each disk when a change of the map was last looked at.
    states: BTreeMap<DiskId, DiskState>,
    listed: bool,
    /// Disks on the list of returned ones whose groups are waiting or were walked in this round.
    returned: BTreeSet<DiskId>,
    aside: Aside,
}

impl Repair {
    /// A worker for the groups in `dirty`, to which it adds those that the index and the map tell of.
    #[must_use]
    pub fn new(
        index: Index,
        chunks: ChunkStore,
        dirty: Arc<DirtyGroups>,
        budget: Arc<Budget>,
    ) -> Self {
        let states = states(&chunks.view());
        Self {
            index,
            chunks,
            dirty,
            budget,
            walk: None,
            states,
            listed: false,
            returned: BTreeSet::new(),
            aside: Aside::default(),
        }
    }

    /// Marks the groups of disks that became writable since the last look.
    fn notice_returned_disks(&mut self, view: &ClusterView) {
        let now = states(view);
        for (disk, state) in &now {
            let before = self.states.get(disk).copied().unwrap_or(DiskState::Down);
            if state.takes_writes() && !before.takes_writes() {
                view.on_disk(*disk)
                    .for_each(|(group, _)| self.dirty.add(group.id));
            }
        }
        self.states = now;
    }

    /// Reads the whole list of missing shards; those whose disks can be written now need a walk.
    async fn missing(
        &self,
    ) -> Result<BTreeMap<PgId, Vec<(PartitionId, MissingShards)>>, StepError> {
        let mut found: BTreeMap<PgId, Vec<_>> = BTreeMap::new();
        for partition in self.index.partitions() {
            let mut after = None;
            loop {
                let page = self
                    .index
                    .missing_shards(partition, after.as_ref(), MISSING_PAGE)
                    .await;
                let page = page.map_err(StepError::of)?;
                after = page.last().cloned();
                let is_last = page.len() < MISSING_PAGE;
                for entry in page {
                    found.entry(entry.pg).or_default().push((partition, entry));
                }
                if is_last {
                    break;
                }
            }
        }
        Ok(found)
    }

    /// Begins a round: the groups on the list of missing shards join the dirty ones.
    /// Queues a group that is not put aside.
    fn queue(&self, pg: PgId) {
        if !self.aside.groups.contains(&pg) {
            self.dirty.put_back([pg], []);
        }
    }

    async fn list(&mut self, view: &ClusterView) -> Result<(), StepError> {
        let missing = self.missing().await?;
        metrics::gauge!("cairn_missing_shard_chunks")
            .set(missing.values().map(Vec::len).sum::<usize>() as f64);
        for (pg, entries) in &missing {
            let group = view.groups.get(pg);
            let writable = group.is_none_or(|group| {
                let down = group.not_writable(&view.map);
                entries
                    .iter()
                    .any(|(_, entry)| entry.positions & !down.0 != 0)
            });
            if writable {
                self.queue(*pg);
            }
        }
        for disk in returned::remembered(&self.index).await? {
            let back = view.map.state(disk).takes_writes();
            if back && self.returned.insert(disk) {
                view.on_disk(disk)
                    .for_each(|(group, _)| self.dirty.add(group.id));
            }
        }
        self.listed = true;
        Ok(())
    }

    async fn begin(&mut self, pg: PgId) -> Result<(), StepError> {
        let entries = self.missing().await?.remove(&pg).unwrap_or_default();
        self.walk = Some(Walk {
            pg,
            position: 0,
            from: None,
            entries,
            is_incomplete: false,
        });
        Ok(())
    }

    /// Does one bounded piece of the walk; true when the group is done.
    async fn go_on(&mut self, walk: &mut Walk, view: &ClusterView) -> Result<bool, StepError> {
        let Some(group) = view.groups.get(&walk.pg) else {
            return Ok(true);
        };
        let down = group.not_writable(&view.map);
        while walk.position < group.disks.len() && down.contains(walk.position) {
            walk.position += 1;
        }
        if walk.position == group.disks.len() {
            if walk.is_incomplete {
                self.aside.groups.insert(walk.pg);
            } else {
                self.settle(walk, down.0).await?;
            }
            return Ok(true);
        }
        let scope = RepairScope {
            from: walk.from,
            bytes_max: STEP_BYTES,
            deep: false,
        };
        match self
            .chunks
            .repair_group(walk.pg, walk.position, scope)
            .await
        {
            Ok(report) => {
                tell(walk, &report);
                self.budget.spend(report.rebuilt_bytes).await;
                walk.is_incomplete |=
                    !report.unlisted.is_empty() || !report.unrecoverable.is_empty();
                walk.from = report.next;
            }
            Err(error) => {
                // The other positions have disks of their own: this one holds up none of them.
                warn!(pg = %walk.pg, position = walk.position, %error, "a position could not be repaired now");
                walk.is_incomplete = true;
                walk.from = None;
            }
        }
        if walk.from.is_none() {
            walk.position += 1;
        }
        Ok(false)
    }

    /// Rebuilds one shard that was found missing or damaged, unless it turns out to be intact.
    async fn mend(&self, shard: ShardKey) -> Result<(), StepError> {
        let from = Some((shard.chunk, shard.stripe));
        let scope = RepairScope {
            from,
            bytes_max: 1,
            deep: true,
        };
        let position = usize::from(shard.shard);
        match self.chunks.repair_group(shard.pg, position, scope).await {
            Ok(report) => {
                metrics::counter!("cairn_repair_shards_total").increment(report.rebuilt);
                metrics::counter!("cairn_repair_bytes_total").increment(report.rebuilt_bytes);
                self.budget.spend(report.rebuilt_bytes).await;
                Ok(())
            }
            // The disk is out of use or the group is gone: the walk after its return sees to the shard.
            Err(error) if !self.can_write(shard) => {
                debug!(?shard, %error, "left for when its disk is back");
                Ok(())
            }
            Err(error) => Err(StepError::of(error)),
        }
    }

    /// Ends a round: disks all of whose groups were walked leave the list, and what was put aside long enough is
    /// queued again.
    async fn end_round(&mut self, view: &ClusterView) -> Result<(), StepError> {
        let aside = &self.aside.groups;
        let is_walked = |disk: &&DiskId| {
            view.on_disk(**disk)
                .all(|(group, _)| !aside.contains(&group.id))
        };
        let walked = self.returned.iter().filter(is_walked).copied().collect();
        returned::forget(&self.index, &walked).await?;
        self.returned.retain(|disk| !walked.contains(disk));
        metrics::gauge!("cairn_repair_groups_waiting").set(self.aside.groups.len() as f64);
        self.aside.rounds += 1;
        if self.aside.rounds >= ROUNDS_ASIDE {
            let Aside { groups, shards, .. } = std::mem::take(&mut self.aside);
            self.dirty.put_back(groups, shards);
        }
        self.listed = false;
        Ok(())
    }

    fn can_write(&self, shard: ShardKey) -> bool {
        let view = self.chunks.view();
        let disk = view
            .groups
            .get(&shard.pg)
            .and_then(|group| group.disks.get(usize::from(shard.shard)));
        disk.is_some_and(|disk| view.map.state(*disk).takes_writes())
    }

    /// Takes what the walk has rebuilt off the list of missing shards.
    async fn settle(&self, walk: &Walk, down: u32) -> Result<(), StepError> {
        for (partition, entry) in &walk.entries {
            if entry.positions & down == 0 {
                self.index
                    .remove_missing_shards(*partition, entry)
                    .await
                    .map_err(StepError::of)?;
            }
        }
        Ok(())
    }
}

fn states(view: &ClusterView) -> BTreeMap<DiskId, DiskState> {
    view.map
        .disks
        .iter()
        .map(|disk| (disk.id, view.map.state_of(disk)))
        .collect()
}

fn tell(walk: &Walk, report: &RepairReport) {
    metrics::counter!("cairn_repair_shards_total").increment(report.rebuilt);
    metrics::counter!("cairn_repair_bytes_total").increment(report.rebuilt_bytes);
    if report.rebuilt > 0 {
        info!(pg = %walk.pg, position = walk.position, shards = report.rebuilt, "shards rebuilt");
    }
    for lost in &report.unrecoverable {
        // It may be a stripe that is just being written or was left behind: only what the index names is a loss.
        warn!(pg = %walk.pg, chunk = %lost.chunk, stripe = lost.stripe, why = lost.reason, "a stripe cannot be rebuilt");
    }
    metrics::counter!("cairn_repair_unrecoverable_total")
        .increment(report.unrecoverable.len() as u64);
    for (disk, why) in &report.unlisted {
        warn!(pg = %walk.pg, %disk, why, "a disk could not be asked while repairing");
    }
}

#[async_trait]
impl Worker for Repair {
    fn name(&self) -> &'static str {
        "repair"
    }

    async fn step(&mut self) -> Result<Step, StepError> {
        let view = self.chunks.view();
        self.notice_returned_disks(&view);
        if let Some(shard) = self.dirty.take_shard() {
            if let Err(error) = self.mend(shard).await {
                warn!(?shard, %error, "a shard could not be mended now");
                self.aside.shards.insert(shard);
            }
            return Ok(Step::More);
        }
        if !self.listed {
            self.list(&view).await?;
        }
        if let Some(mut walk) = self.walk.take() {
            match self.go_on(&mut walk, &view).await {
                Ok(true) => {}
                Ok(false) => self.walk = Some(walk),
                Err(error) => {
                    self.aside.groups.insert(walk.pg);
                    return Err(error);
                }
            }
            return Ok(Step::More);
        }
        match self.dirty.take_most_urgent(&view) {
            Some(pg) => {
                if let Err(error) = self.begin(pg).await {
                    self.dirty.put_back([pg], []);
                    return Err(error);
                }
                Ok(Step::More)
            }
            None => {
                self.end_round(&view).await?;
                Ok(Step::Idle)
            }
        }
    }
}
