//! What somebody should look at.

use super::{DAYS_MIN, DiskLine, LAG_MAX, Report};
use std::collections::BTreeMap;

/// How long most members may be silent to a leader: a few of its rounds.
const QUORUM_AGE_MAX_MS: u64 = 2000;

/// One line for each thing, with what to do.
pub fn of(report: &Report) -> Vec<String> {
    if report.epoch == 0 {
        let line = "this node is starting: it waits for most of the nodes that keep the index";
        return vec![line.to_owned()];
    }
    let mut lines = Vec::new();
    nodes(report, &mut lines);
    index(report, &mut lines);
    disks(report, &mut lines);
    clusters(report, &mut lines);
    lines
}

fn nodes(report: &Report, lines: &mut Vec<String>) {
    for node in &report.nodes {
        let name = &node.name;
        match (node.state.as_str(), &node.error) {
            ("down", _) => lines.push(format!("node {name} is down: the others do not hear it")),
            (_, Some(why)) => lines.push(format!("node {name} did not answer: {why}")),
            _ => {}
        }
        if let Some(days) = node.certificate_days.filter(|days| *days < DAYS_MIN) {
            lines.push(format!(
                "the certificate of node {name} ends in {days} days and was not renewed: is a node with the authority up? \
                 (`cairn ca status`)"
            ));
        }
    }
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for node in report.nodes.iter().filter(|node| !node.version.is_empty()) {
        versions.entry(&node.version).or_default().push(&node.name);
    }
    if versions.len() > 1 {
        let each = versions
            .iter()
            .map(|(version, nodes)| format!("{version} on {}", nodes.join(", ")));
        let each: Vec<String> = each.collect();
        lines.push(format!("nodes run different versions: {}", each.join("; ")));
    }
}

fn index(report: &Report, lines: &mut Vec<String>) {
    for group in &report.index {
        let partition = group.partition;
        if group.leader.is_none() {
            lines.push(format!(
                "partition {partition} of the index has no leader: what needs it waits until most of its nodes are up"
            ));
        }
        if group
            .quorum_age_ms
            .is_some_and(|age| age > QUORUM_AGE_MAX_MS)
        {
            lines.push(format!(
                "most members of partition {partition} have not answered its leader for {} s: what needs it is refused",
                group.quorum_age_ms.unwrap_or(0) / 1000
            ));
        }
        let lagging = |lag: &u64| *lag > LAG_MAX;
        for member in group
            .members
            .iter()
            .filter(|member| member.lag.as_ref().is_some_and(lagging))
        {
            let lag = member.lag.unwrap_or(0);
            lines.push(format!(
                "node {} lacks {lag} entries of partition {partition}",
                member.node
            ));
        }
    }
    let voters = report
        .index
        .iter()
        .map(|group| group.members.iter().filter(|member| member.votes).count());
    match voters.min() {
        Some(1) => lines.push(
            "the index is kept by one node: its loss loses everything. Make it three with `cairn index add`".to_owned(),
        ),
        Some(2) => lines.push(
            "the index is kept by two nodes: it stops when one of them does. Make it three with `cairn index add`".to_owned(),
        ),
        _ => {}
    }
}

fn disks(report: &Report, lines: &mut Vec<String>) {
    let down = |disk: &&DiskLine| disk.state != "up";
    let of_live_nodes = |disk: &&DiskLine| {
        let node = report.nodes.iter().find(|node| node.name == disk.node);
        node.is_some_and(|node| node.state != "down")
    };
    for disk in report.disks.iter().filter(down).filter(of_live_nodes) {
        let place = disk.directory.as_deref().unwrap_or("not found");
        lines.push(format!(
            "disk {} of node {} is {} ({place})",
            disk.id, disk.node, disk.state
        ));
    }
    let free = report.disks.iter().filter(|disk| disk.cluster == 0).count();
    if free > 0 {
        lines.push(format!(
            "{free} disks are in no chunk cluster, so nothing is placed on them: `cairn cluster add` makes one of them"
        ));
    }
    if report.tasks.waiting_repairs > 0 {
        lines.push(format!(
            "{} placement groups wait for repair",
            report.tasks.waiting_repairs
        ));
    }
}

fn clusters(report: &Report, lines: &mut Vec<String>) {
    if report.clusters.is_empty() && report.disks.is_empty() {
        lines.push("no node has disks: objects cannot be stored".to_owned());
    }
    for cluster in report
        .clusters
        .iter()
        .filter(|cluster| cluster.writable < cluster.groups)
    {
        let (id, groups) = (cluster.id, cluster.groups);
        let writable = cluster.writable;
        lines.push(format!(
            "chunk cluster {id}: {writable} of {groups} placement groups take writes"
        ));
    }
}
