//! Frees a chunk on the disks of its group.

use crate::worker::StepError;
use chunkstore::{ChunkStore, DeleteChunkError};
use types::{ChunkId, PgId};

/// Deletes every shard of the chunk that can be reached. On return each disk that the map says takes writes
/// has deleted it; what a disk still has that is marked as out of use is an orphan when it comes back, and
/// collected as one.
///
/// # Errors
/// A disk in use could not delete; to be tried again.
pub async fn free_chunk(chunks: &ChunkStore, pg: PgId, chunk: ChunkId) -> Result<(), StepError> {
    match chunks.delete_chunk(pg, chunk).await {
        Ok(()) => Ok(()),
        // The group was never part of the map that is in force: a change of the map that did not finish.
        Err(DeleteChunkError::NoSuchGroup { .. }) => Ok(()),
        Err(DeleteChunkError::Partial { chunk, disks }) => {
            let view = chunks.view();
            let in_use = disks
                .iter()
                .find(|(disk, _)| view.map.state(*disk).takes_writes());
            match in_use {
                None => Ok(()),
                Some((disk, why)) => Err(StepError(format!(
                    "chunk {chunk} could not be freed on disk {disk}: {why}"
                ))),
            }
        }
    }
}
