//! Findings reach the node that repairs.

use super::*;
use crate::region::testing::{Region, until};

fn shard(number: u32) -> ShardKey {
    ShardKey {
        pg: PgId(4),
        chunk: ChunkId(5),
        stripe: number,
        shard: 6,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn findings_wait_for_whoever_repairs_and_go_there() {
    let (_region, nodes) = Region::start(3).await;
    let (one, two) = (&nodes[&NodeId(1)], &nodes[&NodeId(2)]);
    for number in 0..2500 {
        two.dirty.add_shard(shard(number));
    }
    two.dirty.add(PgId(9));
    sleep(EVERY + EVERY / 2).await;
    assert_eq!(two.dirty.len(), 2501, "kept while there is nobody");
    // Three does not know yet that it is to repair, and refuses.
    two.worker.send_replace(Some(NodeId(3)));
    sleep(EVERY + EVERY / 2).await;
    // They are away only while an answer is awaited.
    until("kept while nobody takes them", || two.dirty.len() == 2501).await;
    for node in nodes.values() {
        node.worker.send_replace(Some(NodeId(1)));
    }
    until("all are handed over", || {
        two.dirty.is_empty() && one.dirty.len() == 2501
    })
    .await;
    let (shards, groups) = one.dirty.take(5000);
    assert_eq!(shards, (0..2500).map(shard).collect::<Vec<_>>());
    assert_eq!(groups, [PgId(9)]);
    // Those of the node that repairs stay where they are.
    one.dirty.add_shard(shard(1));
    sleep(EVERY + EVERY / 2).await;
    assert_eq!(one.dirty.len(), 1);
}

#[test]
fn bytes_of_findings_are_pinned() {
    let findings = Findings {
        shards: vec![shard(7).into()],
        groups: vec![PgId(9)],
        ..Default::default()
    };
    assert_eq!(
        Findings::decode(findings.encode().into()).unwrap(),
        findings
    );
    assert_eq!(ShardKey::from(&findings.shards[0]), shard(7));
    assert_eq!(
        hex::encode(findings.encode()),
        "011c1b01010402100000000000000000000000000000000503010704010602020109"
    );
}
