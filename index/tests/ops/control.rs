//! The control state: cluster map and groups, what workers remember, missing shards.

use crate::faulty::FAULTS;
use crate::world::World;
use bytes::Bytes;
use index::engine::memory::MemoryEngine;
use index::{MissingShards, NewBody, ReplaceError, WriteCondition};
use std::sync::Arc;
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
    assert_eq!(world.index.cluster_epoch().await, Ok(2));
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

/// A view of this epoch by one of several writers, whose mark all its new groups bear.
fn view_by(writer: u32, base: &ClusterView, added: u32) -> ClusterView {
    let mut next = base.clone();
    next.map.epoch += 1;
    let first = base.groups.last_key_value().map_or(0, |(id, _)| id.0) + 1;
    for id in (first..first + added).map(PgId) {
        let mut group = view(1, 1, writer).groups[&PgId(1)].clone();
        group.id = id;
        next.groups.insert(id, group);
    }
    // What there was is changed too, as far as one batch allows.
    for group in next.groups.values_mut().take(50) {
        group.version += 1;
    }
    next
}

/// Processes that change the view at once neither complete nor undo what another has begun, and whoever reads
/// meanwhile sees what one of them stored.
#[tokio::test(flavor = "multi_thread")]
async fn of_several_processes_that_change_the_view_one_succeeds_whole() {
    for round in 0..20 {
        let engine = Arc::new(MemoryEngine::new());
        let open = || World::on_shared(Arc::clone(&engine) as _);
        let (worlds, reader) = ([open(), open(), open()], open());
        let first = view(1, 60, 1);
        let stored = worlds[0].index.replace_cluster_view(0, &first).await;
        stored.unwrap();
        let mut tasks = tokio::task::JoinSet::new();
        for (writer, world) in worlds.clone().into_iter().enumerate() {
            let view = view_by(writer as u32, &first, 130 + writer as u32);
            tasks.spawn(async move {
                let replaced = world.index.replace_cluster_view(1, &view).await;
                replaced.is_ok().then_some(view)
            });
        }
        let (mut seen, mut won) = (Vec::new(), Vec::new());
        while !tasks.is_empty() {
            seen.push(reader.index.cluster_view().await.unwrap().unwrap());
            while let Some(ended) = tasks.try_join_next() {
                won.extend(ended.unwrap());
            }
        }
        let found = reader.index.cluster_view().await.unwrap().unwrap();
        assert!(won.len() <= 1, "{} changes of one map", won.len());
        let wanted = won.first().unwrap_or(&first);
        assert!(found == *wanted, "round {round}: a mixture is stored");
        assert!(
            seen.iter().all(|view| *view == first || view == wanted),
            "round {round}: a mixture was read"
        );
        // They may all have hindered each other; alone one gets through.
        let next = view_by(9, &found, 130);
        let alone = worlds[0].index.replace_cluster_view(found.map.epoch, &next);
        alone.await.unwrap();
        let found = reader.index.cluster_view().await.unwrap();
        assert!(found == Some(next), "round {round}");
    }
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
