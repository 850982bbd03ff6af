//! A catalogue in memory with the durability of a write-ahead log: at a power loss the last writes
//! since the last sync are taken back, a suffix of them, each whole.

use super::{Catalog, CatalogError, Operation, Pairs, Table};
use crate::disk::memory::Power;
use bytes::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use types::Entropy;
use types::entropy::SeededEntropy;

type Contents = BTreeMap<(Table, Vec<u8>), Bytes>;

#[derive(Debug, Default)]
struct State {
    seen: Contents,
    durable: Contents,
    pending: Vec<Vec<Operation>>,
}

/// See the module. Clones share the contents.
#[derive(Debug, Clone, Default)]
pub struct MemoryCatalog {
    state: Arc<Mutex<State>>,
    power: Power,
}

impl MemoryCatalog {
    /// An empty catalogue that fails when `power` ends.
    #[must_use]
    pub fn new(power: Power) -> Self {
        Self {
            state: Arc::default(),
            power,
        }
    }

    /// The catalogue as it may be found after a power loss now; `seed` decides.
    #[must_use]
    pub fn after_crash(&self, seed: u64, power: Power) -> Self {
        let state = self.state.lock();
        let kept = SeededEntropy::new(seed).next_u64() as usize % (state.pending.len() + 1);
        let mut contents = state.durable.clone();
        for operations in &state.pending[..kept] {
            apply(&mut contents, operations);
        }
        Self {
            state: Arc::new(Mutex::new(State {
                durable: contents.clone(),
                seen: contents,
                pending: Vec::new(),
            })),
            power,
        }
    }
}

fn apply(contents: &mut Contents, operations: &[Operation]) {
    for operation in operations {
        match operation {
            Operation::Put(table, key, value) => {
                contents.insert((*table, key.clone()), Bytes::from(value.clone()));
            }
            Operation::Delete(table, key) => {
                contents.remove(&(*table, key.clone()));
            }
            Operation::Clear => contents.clear(),
        }
    }
}

impl Catalog for MemoryCatalog {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, CatalogError> {
        Ok(self.state.lock().seen.get(&(table, key.to_vec())).cloned())
    }

    fn get_cached(&self, table: Table, key: &[u8]) -> Result<Option<Option<Bytes>>, CatalogError> {
        self.get(table, key).map(Some)
    }

    fn scan(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
        limit: usize,
    ) -> Result<Pairs, CatalogError> {
        let state = self.state.lock();
        let range = (table, from.to_vec())..(table, to.to_vec());
        let pairs = state.seen.range(range).take(limit);
        Ok(pairs
            .map(|((_, key), value)| (Bytes::from(key.clone()), value.clone()))
            .collect())
    }

    fn write(&self, operations: Vec<Operation>) -> Result<(), CatalogError> {
        let result = self.power.change();
        let mut state = self.state.lock();
        apply(&mut state.seen, &operations);
        state.pending.push(operations);
        result.map_err(|error| CatalogError::Io(error.to_string()))
    }

    fn sync(&self) -> Result<(), CatalogError> {
        let result = self.power.change();
        result.map_err(|error| CatalogError::Io(error.to_string()))?;
        let mut state = self.state.lock();
        state.durable = state.seen.clone();
        state.pending.clear();
        Ok(())
    }
}
