//! Reads that are asked for together go together, and each gets its own answer.

use super::*;
use ::bytes::Bytes;
use types::limits::VALUE_BYTES_MAX;

async fn store_value(nodes: &Nodes, name: &str, value: Bytes) {
    let batch = Batch {
        operations: vec![Operation::Put(key(name), value)],
        ..Batch::default()
    };
    nodes
        .engine
        .commit_many(PARTITION, vec![batch])
        .await
        .expect("it is stored");
}

/// What reads at the same time found, in the order of the names.
async fn get_all(
    store: &Arc<RoutedStore>,
    names: &[String],
) -> Vec<Result<Option<Versioned>, StoreError>> {
    let reads = names.iter().map(|name| {
        let (store, key) = (Arc::clone(store), key(name));
        tokio::spawn(async move { store.get(PARTITION, &key).await })
    });
    let mut found = Vec::new();
    for read in reads.collect::<Vec<_>>() {
        found.push(read.await.expect("no panic"));
    }
    found
}

fn calls(nodes: &Nodes) -> usize {
    nodes.state.lock().asked.len()
}

#[tokio::test]
async fn reads_at_the_same_time_share_calls_and_get_their_own_values() {
    let nodes = nodes(2);
    let store = Arc::new(routed(&nodes, 9));
    let names: Vec<String> = (0..200).map(|n| format!("k{n}")).collect();
    for name in names.iter().step_by(2) {
        store_value(&nodes, name, Bytes::from(format!("value of {name}"))).await;
    }
    store
        .get(PARTITION, &key("k0"))
        .await
        .expect("the leader is found");
    let before = calls(&nodes);
    for (number, (name, found)) in names.iter().zip(get_all(&store, &names).await).enumerate() {
        let found = found.expect("it is answered").map(|found| found.value);
        let there = (number % 2 == 0).then(|| Bytes::from(format!("value of {name}")));
        assert_eq!(found, there, "{name}");
    }
    let made = calls(&nodes) - before;
    assert!(made <= 10, "{made} calls for 200 reads");
}

#[tokio::test]
async fn values_that_do_not_fit_one_answer_come_with_the_next() {
    let nodes = nodes(2);
    let store = Arc::new(routed(&nodes, 9));
    let names: Vec<String> = (0..9).map(|n| format!("large{n}")).collect();
    for (number, name) in names.iter().enumerate() {
        let length = if number % 3 == 0 {
            VALUE_BYTES_MAX
        } else {
            VALUE_BYTES_MAX / 2
        };
        store_value(&nodes, name, vec![number as u8; length].into()).await;
    }
    let keys: Vec<Bytes> = names.iter().map(|name| key(name)).collect();
    let at_once = nodes
        .engine
        .get_many(PARTITION, &keys)
        .await
        .expect("values");
    assert_eq!(at_once.len(), 1, "the first has all the room");
    for (number, found) in get_all(&store, &names).await.into_iter().enumerate() {
        let value = found.expect("it is answered").expect("it is there").value;
        assert!(value.iter().all(|byte| usize::from(*byte) == number));
    }
}

#[tokio::test]
async fn each_read_is_told_of_a_fault_and_the_next_ones_are_answered() {
    let nodes = nodes(2);
    let store = Arc::new(routed(&nodes, 9));
    let names: Vec<String> = (0..20).map(|n| format!("k{n}")).collect();
    nodes.state.lock().leader = None;
    nodes.state.lock().hint = None;
    for found in get_all(&store, &names).await {
        assert!(
            matches!(found, Err(StoreError::NotLeader { .. })),
            "{found:?}"
        );
    }
    nodes.state.lock().leader = Some(NodeId(1));
    for found in get_all(&store, &names).await {
        assert_eq!(found, Ok(None));
    }
}

/// Calls to a node that is cut off hang: reads go beside them, and do not wait for them to end.
#[tokio::test]
async fn reads_do_not_wait_for_calls_that_hang() {
    let nodes = nodes(2);
    let list = watch::Sender::new(list());
    let store = Arc::new(routed_by(&nodes, 9, &list));
    store
        .get(PARTITION, &key("a"))
        .await
        .expect("the leader is found");
    nodes.state.lock().cut_off.insert(NodeId(2));
    let hanging: Vec<_> = (0..2)
        .map(|n| {
            let (store, key) = (Arc::clone(&store), key(&format!("h{n}")));
            tokio::spawn(async move { store.get(PARTITION, &key).await })
        })
        .collect();
    tokio::time::sleep(Duration::from_millis(50)).await;
    nodes.state.lock().leader = Some(NodeId(1));
    nodes.state.lock().hint = Some(NodeId(1));
    nodes.state.lock().cut_off.clear();
    let key = key("b");
    let read = tokio::time::timeout(Duration::from_secs(1), store.get(PARTITION, &key));
    assert_eq!(read.await, Ok(Ok(None)));
    for read in hanging {
        read.abort();
    }
}
