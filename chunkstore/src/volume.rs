//! Volumes: append-only files that hold shard records.

pub(crate) mod compact;
pub mod format;
pub(crate) mod reader;
pub(crate) mod writer;

use crate::disk::DiskFile;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;

/// An open volume.
#[derive(Debug, Clone)]
pub(crate) struct Volume {
    pub file: Arc<dyn DiskFile>,
    /// Bytes up to the end of the last record that was made durable.
    pub bytes: u64,
}

/// The volumes of a disk by number, for readers and writer.
#[derive(Debug, Default)]
pub(crate) struct Volumes(RwLock<BTreeMap<u64, Volume>>);

impl Volumes {
    pub fn new(volumes: BTreeMap<u64, Volume>) -> Self {
        Self(RwLock::new(volumes))
    }

    pub fn get(&self, number: u64) -> Option<Volume> {
        self.0.read().get(&number).cloned()
    }

    pub fn insert(&self, number: u64, volume: Volume) {
        self.0.write().insert(number, volume);
    }

    pub fn remove(&self, number: u64) {
        self.0.write().remove(&number);
    }

    pub fn set_bytes(&self, number: u64, bytes: u64) {
        if let Some(volume) = self.0.write().get_mut(&number) {
            volume.bytes = bytes;
        }
    }

    /// Number and bytes of every volume, in rising order.
    pub fn sizes(&self) -> Vec<(u64, u64)> {
        let volumes = self.0.read();
        volumes
            .iter()
            .map(|(number, volume)| (*number, volume.bytes))
            .collect()
    }

    pub fn total_bytes(&self) -> u64 {
        self.0.read().values().map(|volume| volume.bytes).sum()
    }
}
