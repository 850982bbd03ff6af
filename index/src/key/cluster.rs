//! What the index keeps for the chunk layer: missing shards (`e/`) and placement groups (`y/`). The
//! cluster map itself (`z/`) is `types::ClusterMap`.

use types::record;
use types::{ChunkClusterId, ChunkId, PgId, PlacementGroup};

record! {
    /// Shards of a chunk that were not durable when the chunk was committed.
    pub struct MissingShards {
        1 => pg: PgId,
        2 => chunk: ChunkId,
        /// Bit `n` is set when some stripe of the chunk lacks its shard at position `n`.
        3 => positions: u32,
        4 => cluster: ChunkClusterId,
    }
}

record! {
    /// A placement group, with the map that it came with.
    pub struct GroupRecord {
        /// Epoch of the map that names the group. While the map kept is older, the group does not exist:
        /// it was written by a change that did not finish.
        1 => epoch: u64,
        2 => group: PlacementGroup,
    }
}

#[cfg(test)]
mod tests;
