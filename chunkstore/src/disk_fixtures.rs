//! What the tests of the disk half share: records whose contents follow from their names.

use crate::block;
use crate::identity::Identity;
use crate::shard::{ReadShardError, ShardKey, ShardRecord, ShardStore};
use crate::store::DiskStore;
use crate::volume::compact::CompactBudget;
use bytes::Bytes;
use types::{
    BucketId, ChunkId, DiskId, ErasureProfile, InstallationId, ManifestId, NodeId, PgId, RegionId,
};

pub(crate) use crate::testing::MemoryMachine as Machine;

/// Compacts whatever has anything dead in it.
pub(crate) const COMPACT_ALL: CompactBudget = CompactBudget {
    copy_bytes: u64::MAX,
    live_percent_max: 99,
};
pub(crate) const DISK: DiskId = DiskId(0xd15c);

pub(crate) fn identity() -> Identity {
    Identity {
        installation: InstallationId(42),
        region: RegionId(1),
        node: NodeId(2),
        disk: DISK,
        replaces: None,
    }
}

/// The shard at position 1 of a stripe of a chunk in group 7.
pub(crate) fn key(chunk: u128, stripe: u32) -> ShardKey {
    ShardKey {
        pg: PgId(7),
        chunk: ChunkId(chunk),
        stripe,
        shard: 1,
    }
}

/// A record whose body has `len` bytes and follows from its key.
pub(crate) fn record(key: ShardKey, len: usize) -> ShardRecord {
    let seed = (key.chunk.0 as u64)
        .wrapping_mul(31)
        .wrapping_add(u64::from(key.stripe) + 1);
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let body: Bytes = (0..len)
        .map(|_| {
            state = state
                .wrapping_mul(0x5851_F42D_4C95_7F2D)
                .wrapping_add(seed | 1);
            (state >> 56) as u8
        })
        .collect();
    let profile = ErasureProfile::new(4, 2).expect("4+2 is a profile");
    ShardRecord {
        key,
        pg_version: 3,
        profile,
        bucket: BucketId(9),
        manifest: ManifestId(10),
        stripe_bytes: 4 * len as u32,
        block_checksums: block::checksums(&key, profile, &body),
        body,
    }
}

pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime can be made")
        .block_on(future)
}

/// The whole body of a shard.
pub(crate) async fn body(store: &DiskStore, key: ShardKey) -> Result<Bytes, ReadShardError> {
    store
        .read(key, 0, u32::MAX)
        .await
        .map(|blocks| blocks.bytes)
}
