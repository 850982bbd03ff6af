//! The report as tables.

use super::{ClusterLine, DiskLine, FormatLine, GroupLine, NodeLine, Report};
use std::fmt::{self, Display, Formatter, Write};

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "installation {}, cluster map {}, told by {}",
            self.installation, self.epoch, self.told_by
        )?;
        if let Some(format) = &self.format {
            writeln!(f, "{format}")?;
        }
        let tables = [
            nodes_table(&self.nodes),
            disks_table(&self.disks),
            groups_table(&self.index),
            clusters_table(&self.clusters),
        ];
        for text in tables.iter().filter(|text| !text.is_empty()) {
            write!(f, "\n{text}")?;
        }
        let (waiting, returned) = (self.tasks.waiting_repairs, self.tasks.returned_disks.len());
        writeln!(
            f,
            "\ntasks: {waiting} placement groups wait for repair, {returned} disks that came back are walked"
        )?;
        if self.attention.is_empty() {
            return writeln!(f, "\nnothing needs attention");
        }
        writeln!(f, "\nneeds attention:")?;
        self.attention
            .iter()
            .try_for_each(|line| writeln!(f, "  {line}"))
    }
}

impl Display for FormatLine {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "format {} finalised", self.finalised)?;
        match self.next {
            None => Ok(()),
            Some(next) if self.waits_for.is_empty() => {
                write!(f, "; all nodes know {next}: `cairn admin finalise`")
            }
            Some(next) => write!(f, "; {next} waits: {}", self.waits_for.join("; ")),
        }
    }
}

/// The nodes.
#[must_use]
pub fn nodes_table(nodes: &[NodeLine]) -> String {
    let rows = nodes.iter().map(|node| {
        let days = node
            .certificate_days
            .map_or("?".to_owned(), |days| format!("{days} days"));
        [
            node.name.clone(),
            node.zone.clone(),
            or(&node.rack, "-"),
            node.roles.clone(),
            node.state.clone(),
            or(&node.version, "?"),
            or(&node.formats, "?"),
            days,
            node.disks.to_string(),
            node.addresses.join(" "),
        ]
    });
    let head = [
        "NODE",
        "ZONE",
        "RACK",
        "ROLES",
        "STATE",
        "VERSION",
        "FORMATS",
        "CERTIFICATE",
        "DISKS",
        "ADDRESS",
    ];
    table(head, rows.collect())
}

fn disks_table(disks: &[DiskLine]) -> String {
    let rows = disks.iter().map(|disk| {
        let cluster = if disk.cluster == 0 {
            "none".to_owned()
        } else {
            disk.cluster.to_string()
        };
        [
            disk.id.clone(),
            disk.node.clone(),
            cluster,
            disk.state.clone(),
            bytes(disk.live_bytes),
            bytes(disk.available_bytes),
            disk.shards.to_string(),
            disk.directory.clone().unwrap_or_else(|| "?".to_owned()),
        ]
    });
    let head = [
        "DISK",
        "NODE",
        "CLUSTER",
        "STATE",
        "USED",
        "FREE",
        "SHARDS",
        "DIRECTORY",
    ];
    table(head, rows.collect())
}

/// The groups of the index.
#[must_use]
pub fn groups_table(groups: &[GroupLine]) -> String {
    let rows = groups.iter().map(|group| {
        let members = group.members.iter().map(|member| {
            let lag = member
                .lag
                .map_or_else(|| "?".to_owned(), |lag| lag.to_string());
            let learns = if member.votes { "" } else { " learns" };
            format!("{}{learns} ({lag})", member.node)
        });
        [
            group.partition.to_string(),
            group.leader.clone().unwrap_or_else(|| "none".to_owned()),
            group.term.to_string(),
            members.collect::<Vec<_>>().join(", "),
        ]
    });
    table(
        ["PARTITION", "LEADER", "TERM", "MEMBERS (ENTRIES BEHIND)"],
        rows.collect(),
    )
}

fn clusters_table(clusters: &[ClusterLine]) -> String {
    let rows = clusters.iter().map(|cluster| {
        [
            cluster.id.to_string(),
            cluster.striped.clone(),
            cluster.small.clone(),
            format!("a {}", cluster.domain),
            cluster.disks.to_string(),
            cluster.groups.to_string(),
            cluster.writable.to_string(),
        ]
    });
    let head = [
        "CLUSTER", "LARGE", "SMALL", "SURVIVES", "DISKS", "GROUPS", "WRITABLE",
    ];
    table(head, rows.collect())
}

fn or(text: &str, empty: &str) -> String {
    if text.is_empty() {
        empty.to_owned()
    } else {
        text.to_owned()
    }
}

fn bytes(count: u64) -> String {
    bytesize::ByteSize(count).display().iec_short().to_string()
}

/// Columns as wide as they need to be; nothing where there are no rows.
fn table<const N: usize>(head: [&str; N], rows: Vec<[String; N]>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let rows: Vec<[String; N]> = std::iter::once(head.map(str::to_owned))
        .chain(rows)
        .collect();
    let width = |at: usize| {
        rows.iter()
            .map(|row| row[at].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut text = String::new();
    for row in &rows {
        let cells = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"));
        let line = cells.collect::<Vec<_>>().join("  ");
        writeln!(text, "{}", line.trim_end()).expect("text can be added to text");
    }
    text
}
