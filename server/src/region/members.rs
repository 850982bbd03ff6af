//! Which nodes keep the index: changes of the members of every group, made while the region serves. A change is
//! made by the leader of each group, wherever it is; each step looks first at what is so already, so that a change
//! that was interrupted can be asked for again.

use super::change::node_named;
use super::context::AdminContext;
use super::status::{GroupStatus, NodeStatus, ask_all, ask_node};
use anyhow::{Context, Result, anyhow, bail, ensure};
use index::engine::raft::{ChangeError, RaftEngine};
use rpc::client::Call;
use rpc::error::{CallError, Failure};
use rpc::server::{Request, Response, Service};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use types::{ClusterView, NodeId, NodeInfo, PartitionId, Role, Roles, ZoneId, record};

/// The method that changes the members of a group at its leader.
const METHOD: &str = "index.change";
/// Time for a new member to get all that the others have.
const CATCH_UP: Duration = Duration::from_secs(600);
/// Time for any other step.
const STEP: Duration = Duration::from_secs(10);
/// Time for which a leader is looked for, and the pause between two looks.
const PATIENCE: Duration = Duration::from_secs(15);
const PAUSE: Duration = Duration::from_millis(250);
/// Another node leads: nothing was changed.
const ELSEWHERE: u32 = 1;
/// It is not known whether the change was made.
const UNKNOWN: u32 = 2;
/// The change was refused.
const REFUSED: u32 = 3;

record! {
    /// One step.
    pub struct MemberChange {
        1 => partition: PartitionId,
        /// 1 adds a learner, 2 makes it a voter, 3 removes it.
        2 => step: u8,
        3 => node: NodeId,
        /// Where the node is.
        4 => address: String,
    }
}

/// What is to be done at the leader of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    AddLearner = 1,
    Promote = 2,
    Remove = 3,
}

/// How a step ended that was not made.
#[derive(Debug)]
enum StepFault {
    /// Look for the leader again; the step may have been made or not.
    Again(String),
    /// It makes no sense.
    Refused(String),
}

/// Makes a node keep the index: it gets what each group has, and then votes.
///
/// # Errors
/// The node does not run or has no engine; a group has no leader, or refuses.
pub async fn add(context: &AdminContext, name: &str) -> Result<Vec<String>> {
    let node = running(context, name).await?;
    let mut done = Vec::new();
    if !node.roles.has(Role::Index) {
        let (id, with) = (node.id, true);
        context
            .change(move |view| with_index_role(view, id, with))
            .await?;
        done.push(format!("node {name} has the role index now"));
    }
    let status = ask_node(context, node.id)
        .await
        .map_err(|why| anyhow!("node {name} does not answer: {why}"))?;
    ensure!(
        status.keeps_index,
        "node {name} has the role index now and runs without it still: restart its server and repeat the command"
    );
    for partition in context.index.all_partitions() {
        if ensure_voter(context, partition, &node).await? {
            done.push(format!("partition {partition}: node {name} votes"));
        }
    }
    let groups = leaders(context).await?;
    done.extend(shared_zone(&context.stored_view().await?, &groups));
    Ok(done)
}

/// A warning where nodes of one zone vote in `groups` although there are zones in which none does.
fn shared_zone(view: &ClusterView, groups: &[GroupStatus]) -> Option<String> {
    let members = groups.iter().flat_map(|group| &group.members);
    let voters: BTreeSet<NodeId> = members
        .filter(|member| member.is_voter)
        .map(|member| member.node)
        .collect();
    let mut keeping: BTreeMap<ZoneId, Vec<&str>> = BTreeMap::new();
    for node in view.map.nodes.iter().filter(|node| !node.is_removed) {
        let names = keeping.entry(node.zone).or_default();
        names.extend(voters.contains(&node.id).then_some(node.name.as_str()));
    }
    let names = keeping.values().find(|names| names.len() > 1)?;
    let without = keeping.iter().find(|(_, names)| names.is_empty())?.0;
    let zone = view.map.zones.iter().find(|zone| zone.id == *without)?;
    Some(format!(
        "beware: {} are in one zone and keep the index, and no node of zone {} does: when that one zone fails, the index \
         may have no majority. Put a node of zone {} in the place of one of them (`cairn index replace`)",
        names.join(" and "),
        zone.name,
        zone.name
    ))
}

/// The node of this name; one that has just been started is given the time to be heard.
async fn running(context: &AdminContext, name: &str) -> Result<NodeInfo> {
    let began = context.clock.monotonic();
    loop {
        let view = context.stored_view().await?;
        let node = node_named(&view.map, name)?;
        if !node.is_down {
            return Ok(node.clone());
        }
        ensure!(
            context.clock.monotonic().saturating_sub(began) < PATIENCE,
            "node {name} is down: start it first, since it gets everything that the other index nodes have"
        );
        tokio::time::sleep(PAUSE).await;
    }
}

/// Makes a node not keep the index any more. It may be dead, as long as most of those that stay are not.
///
/// # Errors
/// Too few would be left; a group has no leader, or refuses.
pub async fn remove(context: &AdminContext, name: &str) -> Result<Vec<String>> {
    let view = context.stored_view().await?;
    let node = node_named(&view.map, name)?.clone();
    for group in leaders(context).await? {
        may_lose(&view, &group, node.id)?;
    }
    let mut done = Vec::new();
    for partition in context.index.all_partitions() {
        if ensure_removed(context, partition, &node).await? {
            done.push(format!(
                "partition {partition}: node {name} is no member any more"
            ));
        }
    }
    if node.roles.has(Role::Index) {
        let (id, with) = (node.id, false);
        context
            .change(move |view| with_index_role(view, id, with))
            .await?;
        done.push(format!("node {name} has not the role index any more"));
    }
    Ok(done)
}

/// Puts one node in the place of another: first the new one, so that no group is smaller in between.
///
/// # Errors
/// See [`add`] and [`remove`].
pub async fn replace(context: &AdminContext, old: &str, new: &str) -> Result<Vec<String>> {
    ensure!(old != new, "{old} cannot take its own place");
    let view = context.stored_view().await?;
    let out = node_named(&view.map, old)?;
    ensure!(
        out.roles.has(Role::Index),
        "node {old} does not keep the index: `cairn index status` shows who does"
    );
    let mut done = add(context, new).await?;
    done.extend(remove(context, old).await?);
    Ok(done)
}

/// Whether a node is a member of any group, as far as the leaders that answer say.
pub async fn is_member(context: &AdminContext, node: NodeId) -> Result<bool> {
    let groups = leaders(context).await?;
    let mut members = groups.iter().flat_map(|group| &group.members);
    Ok(members.any(|member| member.node == node))
}

fn with_index_role(view: &ClusterView, id: NodeId, with: bool) -> Result<(ClusterView, ())> {
    let mut next = view.clone();
    let node = next.map.nodes.iter_mut().find(|node| node.id == id);
    let node = node.context("the node is not in the cluster map any more")?;
    let others = node.roles.iter().filter(|role| *role != Role::Index);
    node.roles = others.chain(with.then_some(Role::Index)).collect::<Roles>();
    Ok((next, ()))
}

/// Refuses to take `node` out of a group that could not go on.
fn may_lose(view: &ClusterView, group: &GroupStatus, node: NodeId) -> Result<()> {
    let stay = group
        .members
        .iter()
        .filter(|member| member.is_voter && member.node != node);
    let stay: Vec<NodeId> = stay.map(|member| member.node).collect();
    let is_voter = group
        .members
        .iter()
        .any(|member| member.is_voter && member.node == node);
    if !is_voter {
        return Ok(());
    }
    ensure!(
        !stay.is_empty(),
        "it is the only node that keeps the index: make another one keep it first (`cairn index add`, or `cairn index \
         replace`)"
    );
    let is_up = |id: &&NodeId| view.map.node(**id).is_some_and(|node| !node.is_down);
    let up = stay.iter().filter(is_up).count();
    ensure!(
        up * 2 > stay.len(),
        "of the {} nodes that would keep partition {} only {up} are up, too few to go on: start them first, or put \
         another node in its place (`cairn index replace`)",
        stay.len(),
        group.partition
    );
    Ok(())
}

/// What the nodes say of their groups.
async fn groups(context: &AdminContext) -> BTreeMap<NodeId, NodeStatus> {
    let asked = ask_all(context, &context.newest_view().await)
        .await
        .into_iter();
    asked
        .filter_map(|(node, status)| Some((node.id, status.ok()?)))
        .collect()
}

/// Every group as its leader tells it; elections that are under way are waited for.
async fn leaders(context: &AdminContext) -> Result<Vec<GroupStatus>> {
    let began = context.clock.monotonic();
    loop {
        let statuses = groups(context).await;
        let partitions = context.index.all_partitions().into_iter();
        let found: Result<Vec<GroupStatus>> = partitions
            .map(|partition| leader_of(&statuses, partition).cloned())
            .collect();
        let waited = context.clock.monotonic().saturating_sub(began);
        if found.is_ok() || waited > PATIENCE {
            return found;
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The leader's own idea of a group.
fn leader_of(
    statuses: &BTreeMap<NodeId, NodeStatus>,
    partition: PartitionId,
) -> Result<&GroupStatus> {
    let of_partition = statuses.values().flat_map(|status| &status.groups);
    let leading = of_partition.filter(|group| group.partition == partition && group.leads);
    leading.max_by_key(|group| group.term).with_context(|| {
        format!("partition {partition} has no leader: most of the nodes that keep it must be up")
    })
}

/// Makes `node` vote in a group; true if it did not.
async fn ensure_voter(
    context: &AdminContext,
    partition: PartitionId,
    node: &NodeInfo,
) -> Result<bool> {
    let next = |group: &GroupStatus| {
        let member = group.members.iter().find(|member| member.node == node.id);
        match member {
            Some(member) if member.is_voter => None,
            Some(_) => Some(Step::Promote),
            None => Some(Step::AddLearner),
        }
    };
    until_done(context, partition, node, next).await
}

/// Takes `node` out of a group; true if it was in it.
async fn ensure_removed(
    context: &AdminContext,
    partition: PartitionId,
    node: &NodeInfo,
) -> Result<bool> {
    let next = |group: &GroupStatus| {
        let is_member = group.members.iter().any(|member| member.node == node.id);
        is_member.then_some(Step::Remove)
    };
    until_done(context, partition, node, next).await
}

/// Takes step after step until `next` names none; true if one was taken.
async fn until_done(
    context: &AdminContext,
    partition: PartitionId,
    node: &NodeInfo,
    next: impl Fn(&GroupStatus) -> Option<Step>,
) -> Result<bool> {
    let mut changed = false;
    let mut lost_at = None;
    loop {
        let statuses = groups(context).await;
        let why = match leader_of(&statuses, partition) {
            Err(error) => error.to_string(),
            Ok(group) => {
                let Some(step) = next(group) else {
                    return Ok(changed);
                };
                let leader = statuses
                    .iter()
                    .find(|(_, status)| status.groups.contains(group));
                let leader = leader.map_or(context.me(), |(leader, _)| *leader);
                match at_leader(context, leader, partition, step, node).await {
                    Ok(()) => {
                        (changed, lost_at) = (true, None);
                        // The next look is to see what was done.
                        tokio::time::sleep(PAUSE / 5).await;
                        continue;
                    }
                    Err(StepFault::Refused(why)) => bail!("partition {partition}: {why}"),
                    Err(StepFault::Again(why)) => why,
                }
            }
        };
        let now = context.clock.monotonic();
        let since = *lost_at.get_or_insert(now);
        if now.saturating_sub(since) > PATIENCE {
            bail!("partition {partition}: {why}; what was done is kept, repeat the command");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn at_leader(
    context: &AdminContext,
    leader: NodeId,
    partition: PartitionId,
    step: Step,
    node: &NodeInfo,
) -> Result<(), StepFault> {
    let change = MemberChange {
        partition,
        step: step as u8,
        node: node.id,
        address: node.addresses.first().cloned().unwrap_or_default(),
        ..Default::default()
    };
    if leader == context.me() {
        let Some(engine) = &context.engine else {
            return Err(StepFault::Refused("this node keeps no index".to_owned()));
        };
        return apply(engine, &change).await;
    }
    let Some(peer) = context.network.peer(leader) else {
        return Err(StepFault::Again(format!("node {leader} is not known here")));
    };
    let deadline = deadline_of(step) + STEP;
    let answer = peer
        .call(Call::new(METHOD, change.encode(), deadline))
        .await;
    answer.map(drop).map_err(|error| match error {
        CallError::Failed { failure, .. } if failure.code == REFUSED => {
            StepFault::Refused(failure.message)
        }
        other => StepFault::Again(other.to_string()),
    })
}

fn deadline_of(step: Step) -> Duration {
    match step {
        Step::AddLearner => CATCH_UP,
        Step::Promote | Step::Remove => STEP,
    }
}

async fn apply(engine: &RaftEngine, change: &MemberChange) -> Result<(), StepFault> {
    let (partition, node) = (change.partition, change.node);
    let changed = match change.step {
        1 => {
            engine
                .add_learner(partition, node, &change.address, CATCH_UP)
                .await
        }
        2 => engine.promote(partition, node, STEP).await,
        3 => engine.remove(partition, node, STEP).await,
        other => {
            return Err(StepFault::Refused(format!(
                "there is no step {other}: use one version of Cairn"
            )));
        }
    };
    changed.map_err(|error| match error {
        ChangeError::Refused(why) => StepFault::Refused(why),
        ChangeError::AlreadyFormed(_) => StepFault::Refused(error.to_string()),
        ChangeError::Store(error) => StepFault::Again(error.to_string()),
    })
}

/// Adds the method by which another node has a group changed that this one leads.
pub fn add_method(service: Service, context: AdminContext) -> Service {
    service.unary(METHOD, 0, move |_, request: Request| {
        let engine = context.engine.clone();
        async move {
            let change = MemberChange::decode(request.message)
                .map_err(|error| Failure::new(REFUSED, error.to_string()))?;
            let Some(engine) = engine else {
                return Err(Failure::new(ELSEWHERE, "this node keeps no index"));
            };
            match apply(&engine, &change).await {
                Ok(()) => Ok(Response::default()),
                Err(StepFault::Refused(why)) => Err(Failure::new(REFUSED, why)),
                Err(StepFault::Again(why)) => Err(Failure::new(UNKNOWN, why)),
            }
        }
    })
}

#[cfg(test)]
mod tests;
