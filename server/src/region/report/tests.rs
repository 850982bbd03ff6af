//! Tests of the report: what stands in it, what needs attention, and the tables.

use super::*;
use crate::region::first::{context, view};

#[tokio::test]
async fn the_first_node_alone_is_told_with_what_is_left_to_do() {
    let dir = tempfile::tempdir().unwrap();
    let context = context(dir.path()).await;
    let report = gather(&context).await;
    assert_eq!(report.nodes.len(), 1);
    assert_eq!(
        (
            report.nodes[0].name.as_str(),
            report.nodes[0].state.as_str()
        ),
        ("n1", "up")
    );
    assert_eq!(report.nodes[0].certificate_days, Some(89));
    assert_eq!(report.disks.len(), view().map.disks.len());
    let said = report.attention.join("\n");
    assert!(said.contains("2 disks are in no chunk cluster"), "{said}");
    assert!(said.contains("no leader"), "{said}");
    let text = report.to_string();
    assert!(
        text.contains("NODE  ZONE") && text.contains("needs attention"),
        "{text}"
    );
    let json = serde_json::to_string(&report).unwrap();
    let read: Report = serde_json::from_str(&json).unwrap();
    assert_eq!(read.to_string(), text);
}

fn sound() -> Report {
    let node = |id: u32| NodeLine {
        id,
        name: format!("n{id}"),
        zone: format!("z{id}"),
        rack: String::new(),
        addresses: vec![format!("10.0.0.{id}:9002")],
        roles: "index".to_owned(),
        state: "up".to_owned(),
        version: "1.0.0".to_owned(),
        formats: "1".to_owned(),
        certificate_days: Some(80),
        disks: 1,
        error: None,
    };
    let disk = |id: u32| DiskLine {
        id: id.to_string(),
        node: format!("n{id}"),
        cluster: 1,
        state: "up".to_owned(),
        directory: Some("/d".to_owned()),
        capacity_bytes: 10 << 30,
        available_bytes: 9 << 30,
        live_bytes: 1 << 30,
        shards: 5,
    };
    let member = |id: u32| MemberLine {
        node: format!("n{id}"),
        votes: true,
        lag: Some(0),
    };
    Report {
        installation: "i".to_owned(),
        told_by: "n1".to_owned(),
        epoch: 4,
        format: Some(FormatLine {
            finalised: 1,
            next: None,
            waits_for: Vec::new(),
        }),
        nodes: (1..=3).map(node).collect(),
        disks: (1..=3).map(disk).collect(),
        index: vec![GroupLine {
            partition: 0,
            leader: Some("n1".to_owned()),
            term: 2,
            quorum_age_ms: Some(5),
            members: (1..=3).map(member).collect(),
        }],
        clusters: vec![ClusterLine {
            id: 1,
            striped: "1+2".to_owned(),
            small: "1+2".to_owned(),
            domain: "zone".to_owned(),
            disks: 3,
            groups: 200,
            writable: 200,
        }],
        tasks: Tasks::default(),
        attention: Vec::new(),
    }
}

#[test]
fn a_sound_region_needs_no_attention_and_each_fault_is_told() {
    assert_eq!(attention::of(&sound()), Vec::<String>::new());
    assert!(sound().to_string().contains("nothing needs attention"));
    let told = |change: fn(&mut Report)| {
        let mut report = sound();
        change(&mut report);
        let lines = attention::of(&report);
        assert_eq!(lines.len(), 1, "{lines:?}");
        lines[0].clone()
    };
    assert!(told(|report| report.epoch = 0).contains("starting"));
    assert!(told(|report| report.nodes[1].state = "down".to_owned()).contains("node n2 is down"));
    assert!(
        told(|report| report.nodes[1].error = Some("no answer".to_owned()))
            .contains("n2 did not answer")
    );
    assert!(
        told(|report| report.nodes[2].certificate_days = Some(20)).contains("n3 ends in 20 days")
    );
    assert!(told(|report| report.nodes[2].version = "1.1.0".to_owned()).contains("1.1.0 on n3"));
    assert!(told(|report| report.index[0].leader = None).contains("no leader"));
    assert!(told(|report| report.index[0].members[1].lag = Some(50_000)).contains("50000 entries"));
    let silent = told(|report| report.index[0].quorum_age_ms = Some(7_300));
    assert!(
        silent.contains("have not answered its leader for 7 s"),
        "{silent}"
    );
    assert!(told(|report| report.index[0].members.truncate(1)).contains("one node"));
    assert!(told(|report| report.index[0].members.truncate(2)).contains("two nodes"));
    assert!(told(|report| report.disks[0].state = "read-only".to_owned()).contains("read-only"));
    assert!(told(|report| report.disks[0].cluster = 0).contains("cairn cluster add"));
    assert!(told(|report| report.tasks.waiting_repairs = 3).contains("3 placement groups"));
    assert!(told(|report| report.clusters[0].writable = 150).contains("150 of 200"));
}
