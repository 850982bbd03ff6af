//! The catalogue in typed form, with the count of what is live in each volume. Changes are made one at a
//! time; each is one batch that holds entries, counts and checkpoint together.

use crate::catalog::{
    CHECKPOINT_KEY, Catalog, CatalogError, Checkpoint, Entry, Live, Operation, SHARD_KEY_BYTES,
    Table, after_prefix, live_key, live_key_volume, open_state, shard_key,
};
use crate::shard::{ShardInfo, ShardKey};
use crate::volume::format::Place;
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use types::{ChunkId, PgId, envelope};

/// Entries read in one go when walking the whole catalogue.
const SCAN_ENTRIES: usize = 1024;
/// Above every key of a table.
const END: [u8; SHARD_KEY_BYTES + 1] = [0xff; SHARD_KEY_BYTES + 1];

/// A record that is durable now and shall be found.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub entry: Entry,
    /// For a record that was copied: where from. It counts only if the shard is still found there.
    pub moved_from: Option<Place>,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Ledger {
    catalog: Arc<dyn Catalog>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    seq: u64,
    live: BTreeMap<u64, Live>,
    /// Set by a write that failed: it may have been made or not, so that the counts are not known any more.
    /// Nothing is written after it; they are right again when the disk is opened again.
    failed: Option<CatalogError>,
}

/// The operations of one batch, and the entries it changes.
#[derive(Default)]
struct Change {
    operations: Vec<Operation>,
    entries: HashMap<ShardKey, (Place, u64)>,
    live: BTreeMap<u64, Live>,
}

impl Ledger {
    /// Reads the state of a catalogue; also gives its checkpoint, `None` for one that was never complete.
    pub fn open(catalog: Arc<dyn Catalog>) -> Result<(Self, Option<Checkpoint>), CatalogError> {
        let mut state = State::default();
        let checkpoint = match catalog.get(Table::State, CHECKPOINT_KEY)? {
            None => None,
            Some(value) => {
                let (checkpoint, seq) = open_state(CHECKPOINT_KEY, &value, Checkpoint::decode)?;
                state.seq = seq;
                Some(checkpoint)
            }
        };
        for (key, value) in catalog.scan(Table::State, b"v", b"w", usize::MAX)? {
            let volume = live_key_volume(&key)
                .ok_or_else(|| CatalogError::Damaged("the state: a strange key".to_owned()))?;
            let (live, seq) = open_state(&key, &value, Live::decode)?;
            state.seq = state.seq.max(seq);
            state.live.insert(volume, live);
        }
        let state = Mutex::new(state);
        Ok((Self { catalog, state }, checkpoint))
    }

    /// Forgets everything, to begin a rebuild.
    pub fn clear(&self) -> Result<(), CatalogError> {
        let mut state = self.state.lock();
        state.live.clear();
        self.write(&mut state, vec![Operation::Clear])
    }

    /// Where a shard is.
    pub fn get(&self, key: &ShardKey) -> Result<Option<Entry>, CatalogError> {
        let bytes = shard_key(key);
        let value = self.catalog.get(Table::Shards, &bytes)?;
        value.map(|value| Entry::decode(&bytes, &value)).transpose()
    }

    /// The same where it needs no waiting; `None` where it does.
    pub fn get_cached(&self, key: &ShardKey) -> Result<Option<Option<Entry>>, CatalogError> {
        let bytes = shard_key(key);
        let Some(value) = self.catalog.get_cached(Table::Shards, &bytes)? else {
            return Ok(None);
        };
        value
            .map(|value| Entry::decode(&bytes, &value))
            .transpose()
            .map(Some)
    }

    /// Enters records that are durable, and moves the checkpoint; visible on return.
    pub fn enter(
        &self,
        records: Vec<Placed>,
        checkpoint: Option<Checkpoint>,
    ) -> Result<(), CatalogError> {
        let mut state = self.state.lock();
        let mut change = Change::default();
        let seq = state.seq + 1;
        for Placed { entry, moved_from } in records {
            let key = entry.header.info.key;
            let old = match change.entries.get(&key) {
                Some(old) => Some(*old),
                None => self.old_place(&key)?,
            };
            if moved_from.is_some() && moved_from != old.map(|(place, _)| place) {
                continue;
            }
            if let Some((place, bytes)) = old {
                change.dead(&state, place.volume, bytes);
            }
            let bytes = entry.header.record_bytes();
            change.live(&state, entry.place.volume, bytes);
            change.entries.insert(key, (entry.place, bytes));
            let value = entry.encode(seq);
            let put = Operation::Put(Table::Shards, shard_key(&key).to_vec(), value);
            change.operations.push(put);
        }
        if let Some(checkpoint) = checkpoint {
            let value = envelope::seal(CHECKPOINT_KEY, seq, &checkpoint.encode());
            let put = Operation::Put(Table::State, CHECKPOINT_KEY.to_vec(), value);
            change.operations.push(put);
        }
        self.commit(&mut state, change)
    }

    /// Place and bytes of the record that is found now. An entry that cannot be read is replaced.
    fn old_place(&self, key: &ShardKey) -> Result<Option<(Place, u64)>, CatalogError> {
        match self.get(key) {
            Ok(entry) => Ok(entry.map(|entry| (entry.place, entry.header.record_bytes()))),
            Err(CatalogError::Damaged(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Removes all shards of a chunk; gives their number.
    pub fn delete_chunk(&self, pg: PgId, chunk: ChunkId) -> Result<usize, CatalogError> {
        let first = ShardKey {
            pg,
            chunk,
            stripe: 0,
            shard: 0,
        };
        let prefix = &shard_key(&first)[..20];
        let mut state = self.state.lock();
        let end = after_prefix(prefix);
        let pairs = self.catalog.scan(Table::Shards, prefix, &end, usize::MAX)?;
        let count = pairs.len();
        let mut change = Change::default();
        for (key, value) in pairs {
            if let Ok(entry) = Entry::decode(&key, &value) {
                change.dead(&state, entry.place.volume, entry.header.record_bytes());
            }
            change
                .operations
                .push(Operation::Delete(Table::Shards, key.to_vec()));
        }
        if count > 0 {
            self.commit(&mut state, change)?;
        }
        Ok(count)
    }

    /// Forgets a volume that holds nothing live.
    pub fn forget_volume(&self, volume: u64) -> Result<(), CatalogError> {
        let mut state = self.state.lock();
        let live = state.live.get(&volume).map_or(0, |live| live.shards);
        assert_eq!(
            live, 0,
            "volume {volume} is forgotten while shards are in it"
        );
        let delete = Operation::Delete(Table::State, live_key(volume));
        self.write(&mut state, vec![delete])?;
        state.live.remove(&volume);
        Ok(())
    }

    fn commit(&self, state: &mut State, mut change: Change) -> Result<(), CatalogError> {
        state.seq += 1;
        for (volume, live) in &change.live {
            let key = live_key(*volume);
            let value = envelope::seal(&key, state.seq, &live.encode());
            change
                .operations
                .push(Operation::Put(Table::State, key, value));
        }
        if !change.operations.is_empty() {
            self.write(state, change.operations)?;
        }
        state.live.append(&mut change.live);
        Ok(())
    }

    fn write(&self, state: &mut State, operations: Vec<Operation>) -> Result<(), CatalogError> {
        if let Some(error) = &state.failed {
            return Err(error.clone());
        }
        let result = self.catalog.write(operations);
        state.failed = result.clone().err();
        result
    }

    /// Up to `limit` shards of a group after `after`, in key order.
    pub fn list(
        &self,
        pg: PgId,
        after: Option<ShardKey>,
        limit: usize,
    ) -> Result<Vec<ShardInfo>, CatalogError> {
        let prefix = pg.0.to_be_bytes();
        let mut from = prefix.to_vec();
        if let Some(after) = after.filter(|after| after.pg >= pg) {
            from = shard_key(&after).to_vec();
            from.push(0);
        }
        let pairs = self
            .catalog
            .scan(Table::Shards, &from, &after_prefix(&prefix), limit)?;
        let infos = pairs
            .iter()
            .map(|(key, value)| Ok(Entry::decode(key, value)?.header.info));
        infos.collect()
    }

    /// All entries that lie in a volume, by walking the whole catalogue: for the rare case that the
    /// volume itself does not tell. Entries that cannot be read are left out.
    pub fn entries_in(&self, volume: u64) -> Result<Vec<Entry>, CatalogError> {
        let mut found = Vec::new();
        let mut from = Vec::new();
        loop {
            let pairs = self
                .catalog
                .scan(Table::Shards, &from, &END, SCAN_ENTRIES)?;
            let Some((last, _)) = pairs.last() else {
                return Ok(found);
            };
            from = last.to_vec();
            from.push(0);
            let entries = pairs
                .iter()
                .filter_map(|(key, value)| Entry::decode(key, value).ok());
            found.extend(entries.filter(|entry| entry.place.volume == volume));
        }
    }

    /// What is live in a volume.
    pub fn live(&self, volume: u64) -> Live {
        self.state
            .lock()
            .live
            .get(&volume)
            .cloned()
            .unwrap_or_default()
    }

    /// What is live in every volume that has ever had a shard.
    pub fn live_volumes(&self) -> BTreeMap<u64, Live> {
        self.state.lock().live.clone()
    }

    /// Bytes and shards that are live on the whole disk.
    pub fn total(&self) -> (u64, u64) {
        let state = self.state.lock();
        let totals = state.live.values();
        totals.fold((0, 0), |(bytes, shards), live| {
            (bytes + live.bytes, shards + live.shards)
        })
    }

    /// Makes every change so far durable.
    pub fn sync(&self) -> Result<(), CatalogError> {
        self.catalog.sync()
    }
}

impl Change {
    fn count<'a>(&'a mut self, state: &State, volume: u64) -> &'a mut Live {
        let current = || state.live.get(&volume).cloned().unwrap_or_default();
        self.live.entry(volume).or_insert_with(current)
    }

    fn live(&mut self, state: &State, volume: u64, bytes: u64) {
        let live = self.count(state, volume);
        live.bytes += bytes;
        live.shards += 1;
    }

    fn dead(&mut self, state: &State, volume: u64, bytes: u64) {
        let live = self.count(state, volume);
        live.bytes = live.bytes.saturating_sub(bytes);
        live.shards = live.shards.saturating_sub(1);
    }
}
