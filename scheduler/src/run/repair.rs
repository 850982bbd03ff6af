//! Repair: rebuilds what disks lack, the groups with the least margin first.
//!
//! A shard is mended when a reader or the scrubber found it missing or damaged. A whole group is walked when
//! the index says that one of its chunks was committed with shards missing, and when a disk of it came back
//! or took the place of another.
//!
//! What cannot be repaired now is put aside, so that it holds up nothing else, and tried again some rounds later.
//! An entry leaves the lists of the index once what it tells of is there, whatever else of its group is not.
//!
//! # To ensure correctness
//! - Disks hold stripes that nobody can rebuild and nobody needs: a delete that a disk which was down did not hear of,
//!   a write that failed. They are told from losses only by the index, so nothing is done to them, and nothing waits
//!   for them.
//! - What only a disk that is down knows of is not seen. When it comes back it is on the list of returned disks, and
//!   every position of its groups is walked again.

mod walk;

use self::walk::{Left, Walk};
use crate::budget::Budget;
use crate::returned;
use crate::run::dirty::DirtyGroups;
use crate::worker::{Step, StepError, Worker};
use async_trait::async_trait;
use chunkstore::{ChunkStore, RepairScope, ShardKey};
use index::{Index, MissingShards};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use tracing::{debug, warn};
use types::{ClusterView, DiskId, DiskState, PartitionId, PgId, ShardSet};

/// Bytes read from peers in one step.
const STEP_BYTES: u64 = 64 << 20;
/// Entries of the list of missing shards read at a time.
const MISSING_PAGE: usize = 256;
/// Rounds after which what was put aside is tried again.
const ROUNDS_ASIDE: u32 = 10;

/// Shards mended for each step of a walk: about as many bytes.
const SHARDS_PER_STEP: u32 = 16;

/// Entries of the list of missing shards, each with the partition that keeps it.
type Entries = Vec<(PartitionId, MissingShards)>;

/// What could not be repaired in this round and some before.
#[derive(Debug, Default)]
struct Aside {
    groups: BTreeMap<PgId, Left>,
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
    /// Shards mended since groups had their turn.
    shards_mended: u32,
    /// Why groups can have no more turns in this round.
    failed: Option<StepError>,
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
        dirty.release();
        Self {
            index,
            chunks,
            dirty,
            budget,
            walk: None,
            shards_mended: 0,
            failed: None,
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
        // A disk that is down again is walked anew after its return, whatever was walked before.
        self.returned
            .retain(|disk| view.map.state(*disk).takes_writes());
    }

    /// Reads the whole list of missing shards; those whose disks can be written now need a walk.
    async fn missing(&self) -> Result<BTreeMap<PgId, Entries>, StepError> {
        let mut found: BTreeMap<PgId, Entries> = BTreeMap::new();
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

    /// True when a walk of the group may take an entry off the list: one that is new, or whose disks have come back.
    fn is_worth_a_walk(&self, view: &ClusterView, pg: PgId, entries: &Entries) -> bool {
        let group = view.groups.get(&pg);
        let down = group.map_or(ShardSet::default(), |group| group.not_writable(&view.map));
        let left = self.aside.groups.get(&pg);
        let left = left.filter(|left| entries.len() <= left.entries);
        let passed = left.map_or(ShardSet::default(), |left| left.passed);
        let wanted = |positions: u32| ShardSet(positions).minus(down).minus(passed);
        entries
            .iter()
            .any(|(_, entry)| !wanted(entry.positions).is_empty())
    }

    /// Begins a round: the groups on the list of missing shards, and those of returned disks, join the dirty ones.
    async fn list(&mut self, view: &ClusterView) -> Result<(), StepError> {
        let missing = self.missing().await?;
        metrics::gauge!("cairn_missing_shard_chunks")
            .set(missing.values().map(Vec::len).sum::<usize>() as f64);
        for (pg, entries) in &missing {
            if self.is_worth_a_walk(view, *pg, entries) {
                self.dirty.put_back([*pg], []);
            }
        }
        let remembered = returned::remembered(&self.index).await?;
        // Another has taken its place, and is on the list itself.
        let removed = |disk: &DiskId| view.map.state(*disk) == DiskState::Removed;
        returned::forget(
            &self.index,
            &remembered.iter().copied().filter(removed).collect(),
        )
        .await?;
        for disk in remembered {
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
        self.walk = Some(Walk::new(pg, entries));
        Ok(())
    }

    /// Does one bounded piece of the walk; true when the group is done.
    async fn go_on(&mut self, walk: &mut Walk, view: &ClusterView) -> Result<bool, StepError> {
        let Some(group) = view.groups.get(&walk.pg) else {
            self.aside.groups.insert(walk.pg, Left::everything());
            return Ok(true);
        };
        let down = group.not_writable(&view.map);
        let Some(position) = walk.next_position(group.disks.len(), down) else {
            self.end_walk(walk).await?;
            return Ok(true);
        };
        let scope = RepairScope {
            from: walk.from,
            bytes_max: STEP_BYTES,
            deep: false,
        };
        match self.chunks.repair_group(walk.pg, position, scope).await {
            Ok(report) => {
                self.budget.spend(report.rebuilt_bytes).await;
                walk.take(&report);
            }
            Err(error) => {
                // The other positions have disks of their own: this one holds up none of them.
                warn!(pg = %walk.pg, position, %error, "a position could not be repaired now");
                walk.give_position_up();
            }
        }
        Ok(false)
    }

    /// Takes what the walk has rebuilt off the list of missing shards, and remembers what it has not.
    async fn end_walk(&mut self, walk: &Walk) -> Result<(), StepError> {
        for (partition, entry) in walk.mended() {
            let removed = self.index.remove_missing_shards(*partition, entry).await;
            removed.map_err(StepError::of)?;
        }
        match walk.left() {
            Some(left) => self.aside.groups.insert(walk.pg, left),
            None => self.aside.groups.remove(&walk.pg),
        };
        Ok(())
    }

    /// Rebuilds one shard that was found missing or damaged, unless it turns out to be intact; puts it aside if that
    /// cannot be done.
    async fn mend_or_put_aside(&mut self, shard: ShardKey) {
        match self.mend(shard).await {
            Ok(true) => return,
            Ok(false) => debug!(?shard, "the stripe of a shard cannot be rebuilt"),
            Err(error) => warn!(?shard, %error, "a shard could not be mended now"),
        }
        if !self.dirty.put_aside(shard) {
            let left = self.aside.groups.entry(shard.pg).or_default();
            left.failed.insert(usize::from(shard.shard));
        }
    }

    /// False when too few others of the stripe are intact.
    async fn mend(&self, shard: ShardKey) -> Result<bool, StepError> {
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
                metrics::counter!("cairn_repair_unrecoverable_total")
                    .increment(report.unrecoverable.len() as u64);
                self.budget.spend(report.rebuilt_bytes).await;
                Ok(report.unrecoverable.is_empty())
            }
            // The disk is out of use or the group is gone: the walk after its return sees to the shard.
            Err(error) if !self.can_write(shard) => {
                debug!(?shard, %error, "left for when its disk is back");
                Ok(true)
            }
            Err(error) => Err(StepError::of(error)),
        }
    }

    /// Ends a round: disks all of whose groups were walked leave the list, and what was put aside long enough is
    /// queued again.
    async fn end_round(&mut self, view: &ClusterView) -> Result<(), StepError> {
        let failed = |group| {
            let left: Option<&Left> = self.aside.groups.get(&group);
            left.is_some_and(|left| !left.failed.is_empty())
        };
        let is_walked = |disk: &&DiskId| {
            let mut groups = view.on_disk(**disk).map(|(group, _)| group.id);
            groups.all(|group| !failed(group))
        };
        let walked = self.returned.iter().filter(is_walked).copied().collect();
        returned::forget(&self.index, &walked).await?;
        self.returned.retain(|disk| !walked.contains(disk));
        let waiting = self.aside.groups.keys().filter(|group| failed(**group));
        metrics::gauge!("cairn_repair_groups_waiting").set(waiting.count() as f64);
        self.aside.rounds += 1;
        if self.aside.rounds >= ROUNDS_ASIDE {
            // Groups with nothing but entries left are queued by the list of missing shards.
            let Aside { groups, .. } = std::mem::take(&mut self.aside);
            let failed = groups.iter().filter(|(_, left)| !left.failed.is_empty());
            self.dirty.put_back(failed.map(|(group, _)| *group), []);
            self.dirty.release();
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

    /// Lists what waits, goes on with the walk, or begins one.
    async fn see_to_groups(&mut self, view: &ClusterView) -> Result<(), StepError> {
        if !self.listed {
            self.list(view).await?;
        }
        if let Some(mut walk) = self.walk.take() {
            match self.go_on(&mut walk, view).await {
                Ok(true) => {}
                Ok(false) => self.walk = Some(walk),
                Err(error) => {
                    self.aside.groups.insert(walk.pg, Left::everything());
                    return Err(error);
                }
            }
        } else if let Some(pg) = self.dirty.take_most_urgent(view)
            && let Err(error) = self.begin(pg).await
        {
            self.dirty.put_back([pg], []);
            return Err(error);
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

#[async_trait]
impl Worker for Repair {
    fn name(&self) -> &'static str {
        "repair"
    }

    async fn step(&mut self) -> Result<Step, StepError> {
        let view = self.chunks.view();
        self.notice_returned_disks(&view);
        // Neither shards nor groups may starve the others, and groups that cannot be seen to hold up no shards.
        let may_see_to_groups = self.failed.is_none();
        let groups_wait = !self.listed || self.walk.is_some() || self.dirty.has_groups();
        let groups_first =
            may_see_to_groups && groups_wait && self.shards_mended >= SHARDS_PER_STEP;
        if !groups_first && let Some(shard) = self.dirty.take_shard() {
            self.mend_or_put_aside(shard).await;
            self.shards_mended = self.shards_mended.saturating_add(1);
            return Ok(Step::More);
        }
        self.shards_mended = 0;
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        if !groups_wait {
            self.end_round(&view).await?;
            return Ok(Step::Idle);
        }
        self.failed = self.see_to_groups(&view).await.err();
        Ok(Step::More)
    }
}
