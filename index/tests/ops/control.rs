//! The control state: cluster map and groups, what workers remember, missing shards.

use crate::faulty::FAULTS;
use crate::world::World;
use bytes::Bytes;
use index::{MissingShards, NewBody, ReplaceError, WriteCondition};
use types::{ChunkClusterId, ClusterMap, ClusterView, DiskId, PgId, PlacementGroup};

fn view(epoch: u64, groups: u32, version: u32) -> ClusterView {
    let group = |id| PlacementGroup {
        id: PgId(id),
        cluster: ChunkClusterId(1),
        version,
        disks: vec![DiskId(u128::from(id))],
        ..Default::default()
    };
    ClusterView {
        map: ClusterMap {
            epoch,
            ..Default::default()
        },
        groups: (1..=groups).map(|id| (PgId(id), group(id))).collect(),
    }
}

/// Stopped anywhere, a change of the map is there whole or not at all, and the next change is not
/// disturbed by what is left of it.
#[tokio::test(flavor = "multi_thread")]
async fn a_view_changes_as_a_whole() {
    for fault in FAULTS {
        for passing in 0..8 {
            let mut world = World::new();
            assert_eq!(world.index.cluster_view().await.unwrap(), None);
            let (old, new) = (view(1, 350, 1), view(2, 700, 1));
            world.index.replace_cluster_view(0, &old).await.unwrap();
            world.store.arm(passing, fault);
            let result = world.index.replace_cluster_view(1, &new).await;
            let happened = !world.store.disarm();
            assert_eq!(result.is_err(), happened);
            world.restart(5).await;
            let found = world.index.cluster_view().await.unwrap().unwrap();
            assert!(found == old || found == new, "one or the other");
            if found == old {
                let other = view(2, 360, 1);
                world.index.replace_cluster_view(1, &other).await.unwrap();
                assert_eq!(world.index.cluster_view().await.unwrap(), Some(other));
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_of_a_stale_view_is_refused() {
    let world = World::new();
    world
        .index
        .replace_cluster_view(0, &view(1, 10, 1))
        .await
        .unwrap();
    world
        .index
        .replace_cluster_view(1, &view(2, 10, 2))
        .await
        .unwrap();
    let late = world.index.replace_cluster_view(1, &view(2, 10, 3)).await;
    assert_eq!(late, Err(ReplaceError::Changed));
    assert_eq!(
        world.index.cluster_view().await.unwrap(),
        Some(view(2, 10, 2))
    );
    world
        .index
        .replace_cluster_view(2, &view(3, 200, 2))
        .await
        .unwrap();
    let wide = world.index.replace_cluster_view(3, &view(4, 200, 3)).await;
    assert_eq!(
        wide,
        Err(ReplaceError::TooManyGroups {
            groups: 200,
            limit: 100
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_replaces_what_it_has_read() {
    let world = World::new();
    let index = &world.index;
    assert_eq!(index.scheduler_state("gc").await.unwrap(), None);
    let one = index
        .replace_scheduler_state("gc", None, Bytes::from_static(b"one"))
        .await
        .unwrap();
    let again = index
        .replace_scheduler_state("gc", None, Bytes::from_static(b"two"))
        .await;
    assert_eq!(again, Err(ReplaceError::Changed));
    index
        .replace_scheduler_state("gc", Some(one), Bytes::from_static(b"two"))
        .await
        .unwrap();
    assert_eq!(
        index.scheduler_state("gc").await.unwrap().unwrap().value,
        "two"
    );
}

/// Missing shards come with the commit, however many they are, and go when they are repaired.
#[tokio::test(flavor = "multi_thread")]
async fn missing_shards_are_noted_with_their_version() {
    let world = World::new();
    let bucket = world.index.create_bucket("photos", "alice").await.unwrap();
    let (body, _) = world.body(&bucket, 200, "e");
    let NewBody::Chunks {
        manifest,
        oldest_ms,
        ..
    } = body
    else {
        unreachable!("200 chunks")
    };
    let missing = manifest.chunks.iter().map(|chunk| MissingShards {
        chunk: chunk.id,
        positions: 0b10,
        ..Default::default()
    });
    let missing: Vec<_> = missing.collect();
    let body = NewBody::Chunks {
        manifest,
        oldest_ms,
        missing: missing.clone(),
    };
    world
        .put(
            &bucket,
            "key",
            (body, "e"),
            WriteCondition::None,
            world.op(),
        )
        .await
        .unwrap();
    let mut found: Vec<MissingShards> = Vec::new();
    loop {
        let after = found.last().cloned();
        let page = world
            .index
            .missing_shards(bucket.partition, after.as_ref(), 90)
            .await
            .unwrap();
        if page.is_empty() {
            break;
        }
        found.extend(page);
    }
    assert_eq!(found, missing);
    for entry in &found {
        world
            .index
            .remove_missing_shards(bucket.partition, entry)
            .await
            .unwrap();
    }
    assert_eq!(
        world
            .index
            .missing_shards(bucket.partition, None, 1)
            .await
            .unwrap(),
        []
    );
}
