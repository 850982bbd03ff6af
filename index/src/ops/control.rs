//! The control state: cluster map and placement groups, what workers remember, missing shards.

use super::draft::{Draft, Drafted, load, records};
use crate::context::Context;
use crate::error::ReplaceError;
use crate::key::Key;
use crate::key::cluster::{GroupRecord, MissingShards};
use crate::key::{PARTITION_RECORDS, kind};
use crate::owner::PartitionOwner;
use crate::store::{Seq, StoreError, Versioned};
use bytes::Bytes;
use std::collections::BTreeMap;
use types::{ClusterMap, ClusterView, PartitionId, PgId, PlacementGroup};

/// Missing-shard entries in the batch of a commit; further ones are written before it.
const NOTED_WITH_COMMIT: usize = 64;
/// Records written or read in one batch or page.
const PAGE: usize = 100;

fn missing_key(entry: &MissingShards) -> Key {
    Key::MissingShards {
        cluster: entry.cluster,
        pg: entry.pg,
        chunk: entry.chunk,
    }
}

/// Adds missing shards to a draft.
pub(crate) fn note(draft: &mut Draft, missing: &[MissingShards]) {
    for entry in missing {
        draft.put(&missing_key(entry), entry);
    }
}

/// Writes those missing shards that do not fit the batch of their commit, and returns the rest. Entries
/// are hints for repair: one whose chunk is never committed does no harm.
pub(crate) async fn note_most(
    owner: &PartitionOwner,
    mut missing: Vec<MissingShards>,
) -> Result<Vec<MissingShards>, StoreError> {
    let early = missing.split_off(missing.len().min(NOTED_WITH_COMMIT));
    for some in early.chunks(PAGE) {
        let mut draft = Draft::default();
        note(&mut draft, some);
        draft.commit(owner).await?;
    }
    Ok(missing)
}

pub(crate) async fn missing_shards(
    ctx: &Context,
    partition: PartitionId,
    after: Option<&MissingShards>,
    limit: usize,
) -> Result<Vec<MissingShards>, StoreError> {
    let owner = ctx.owner(partition)?;
    let mut range = Key::missing_shards_range();
    if let Some(after) = after {
        range = range.after(&missing_key(after).encode());
    }
    let page = owner.scan(range.page(limit, None)).await?;
    Ok(records(page)?
        .into_iter()
        .map(|(_, loaded)| loaded.record)
        .collect())
}

pub(crate) async fn remove_missing_shards(
    ctx: &Context,
    partition: PartitionId,
    entry: &MissingShards,
) -> Result<(), StoreError> {
    let mut draft = Draft::default();
    draft.delete(&missing_key(entry));
    draft.commit(ctx.owner(partition)?).await?;
    Ok(())
}

pub(crate) async fn scheduler_state(
    ctx: &Context,
    name: &str,
) -> Result<Option<Versioned>, StoreError> {
    let key = Key::SchedulerState {
        name: name.to_owned(),
    };
    ctx.control().get(&key.encode()).await
}

pub(crate) async fn replace_scheduler_state(
    ctx: &Context,
    name: &str,
    expected: Option<Seq>,
    value: Bytes,
) -> Result<Seq, ReplaceError> {
    let key = Key::SchedulerState {
        name: name.to_owned(),
    };
    let mut draft = Draft::default();
    draft.expect(&key, expected);
    draft.put_bytes(&key, value);
    match draft.commit(ctx.control()).await? {
        Drafted::Committed(seq) => Ok(seq),
        Drafted::Conflict | Drafted::Repeated(_) => Err(ReplaceError::Changed),
    }
}

fn group_key(group: &PlacementGroup) -> Key {
    Key::PlacementGroup {
        cluster: group.cluster,
        pg: group.id,
    }
}

async fn load_groups(owner: &PartitionOwner) -> Result<Vec<GroupRecord>, StoreError> {
    let mut range = Key::kind_range(PARTITION_RECORDS, kind::PLACEMENT_GROUP);
    let mut groups = Vec::new();
    loop {
        let page = owner.scan(range.clone().page(1000, None)).await?;
        let more = page.more;
        for (key, loaded) in records(page)? {
            groups.push(loaded.record);
            range = range.after(&key);
        }
        if !more {
            return Ok(groups);
        }
    }
}

/// The epoch of the map that is stored; 0 before the first was.
pub(crate) async fn cluster_epoch(ctx: &Context) -> Result<u64, StoreError> {
    let map = load::<ClusterMap>(ctx.control(), &Key::ClusterMap).await?;
    Ok(map.map_or(0, |map| map.record.epoch))
}

pub(crate) async fn cluster_view(ctx: &Context) -> Result<Option<ClusterView>, StoreError> {
    let owner = ctx.control();
    let mut map = load::<ClusterMap>(owner, &Key::ClusterMap).await?;
    while let Some(read) = map {
        let groups = load_groups(owner).await?;
        // Groups that the next map has changed are not to be had as this one knew them.
        map = load::<ClusterMap>(owner, &Key::ClusterMap).await?;
        if map.as_ref().is_some_and(|now| now.seq == read.seq) {
            return Ok(Some(view_of(read.record, groups)));
        }
    }
    Ok(None)
}

/// The map with those groups that it knows of.
fn view_of(map: ClusterMap, groups: Vec<GroupRecord>) -> ClusterView {
    let known = groups
        .into_iter()
        .filter(|record| record.epoch <= map.epoch);
    let groups = known
        .map(|record| (record.group.id, record.group))
        .collect();
    ClusterView { map, groups }
}

pub(crate) async fn replace_cluster_view(
    ctx: &Context,
    expected: u64,
    view: &ClusterView,
) -> Result<(), ReplaceError> {
    assert!(
        view.map.epoch > expected,
        "a change of the map raises its epoch"
    );
    let owner = ctx.control();
    let _latch = owner.latch(&[Key::ClusterMap.encode()]).await;
    let map = load::<ClusterMap>(owner, &Key::ClusterMap).await?;
    if map.as_ref().map_or(0, |loaded| loaded.record.epoch) != expected {
        return Err(ReplaceError::Changed);
    }
    let turn = Turn::take(owner, map.map(|loaded| loaded.seq)).await?;
    let stored = load_groups(owner).await?;
    let plan = plan_groups(expected, &stored, &view.groups);
    if plan.changed.len() > PAGE {
        let groups = plan.changed.len();
        return Err(ReplaceError::TooManyGroups {
            groups,
            limit: PAGE,
        });
    }
    for some in plan.left_over.chunks(PAGE) {
        let mut draft = turn.draft();
        some.iter()
            .for_each(|group| draft.delete(&group_key(group)));
        committed(draft.commit(owner).await?)?;
    }
    for some in plan.added.chunks(PAGE) {
        let mut draft = turn.draft();
        put_groups(&mut draft, some, view.map.epoch);
        committed(draft.commit(owner).await?)?;
    }
    let mut draft = turn.draft();
    put_groups(&mut draft, &plan.changed, view.map.epoch);
    draft.put(&Key::ClusterMap, &view.map);
    committed(draft.commit(owner).await?)
}

/// Under which those who change the view take turns.
const TURN: &str = "cluster-change";

/// Whoever took the last turn may change the view, which takes several batches; those of all others fail from then
/// on. Without it two processes could each remove or complete what the other has begun.
struct Turn {
    key: Key,
    map: Option<Seq>,
    taken: Seq,
}

impl Turn {
    /// Takes the turn for a change of the map that commit `map` wrote.
    async fn take(owner: &PartitionOwner, map: Option<Seq>) -> Result<Self, ReplaceError> {
        let name = TURN.to_owned();
        let key = Key::SchedulerState { name };
        let last = owner.get(&key.encode()).await?;
        let mut draft = Draft::default();
        draft.expect(&Key::ClusterMap, map);
        draft.expect(&key, last.map(|last| last.seq));
        draft.put_bytes(&key, Bytes::new());
        match draft.commit(owner).await? {
            Drafted::Committed(taken) => Ok(Self { key, map, taken }),
            _ => Err(ReplaceError::Changed),
        }
    }

    /// A draft that depends on the turn, and on the map being as it was read.
    fn draft(&self) -> Draft {
        let mut draft = Draft::default();
        draft.expect(&Key::ClusterMap, self.map);
        draft.expect(&self.key, Some(self.taken));
        draft
    }
}

fn put_groups(draft: &mut Draft, groups: &[PlacementGroup], epoch: u64) {
    for group in groups {
        let record = GroupRecord {
            epoch,
            group: group.clone(),
            ..Default::default()
        };
        draft.put(&group_key(group), &record);
    }
}

fn committed(drafted: Drafted) -> Result<(), ReplaceError> {
    match drafted {
        Drafted::Committed(_) => Ok(()),
        Drafted::Conflict | Drafted::Repeated(_) => Err(ReplaceError::Changed),
    }
}

/// How stored groups become wanted ones.
#[derive(Debug, Default, PartialEq, Eq)]
struct GroupPlan {
    /// Of a change that did not finish: removed first, so that they do not appear with the new map.
    left_over: Vec<PlacementGroup>,
    /// Not known to the map there is: written next, in as many batches as it takes.
    added: Vec<PlacementGroup>,
    /// Known to the map there is: written in one batch with the new map.
    changed: Vec<PlacementGroup>,
}

fn plan_groups(
    epoch: u64,
    stored: &[GroupRecord],
    wanted: &BTreeMap<PgId, PlacementGroup>,
) -> GroupPlan {
    let (known, unfinished): (Vec<_>, Vec<_>) =
        stored.iter().partition(|record| record.epoch <= epoch);
    let known: BTreeMap<PgId, &PlacementGroup> = known
        .into_iter()
        .map(|record| (record.group.id, &record.group))
        .collect();
    let mut plan = GroupPlan::default();
    plan.left_over
        .extend(unfinished.into_iter().map(|record| record.group.clone()));
    for group in wanted.values() {
        match known.get(&group.id) {
            None => plan.added.push(group.clone()),
            Some(stored) if *stored != group => plan.changed.push(group.clone()),
            Some(_) => {}
        }
    }
    plan
}
