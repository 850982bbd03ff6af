//! A disk in memory that behaves as badly as a real one may: at a power loss unsynced writes are kept,
//! dropped or torn, and unsynced names are lost; syncs and reads fail on request; room runs out.

use super::{Disk, DiskFile, Space};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use types::Entropy;
use types::entropy::SeededEntropy;

/// What a device writes as a whole, or not at all.
const SECTOR_BYTES: usize = 512;

/// A supply of power that can end after a number of changes. Whatever shares it ends at the same time.
#[derive(Debug, Clone)]
pub struct Power(Arc<AtomicI64>);

impl Default for Power {
    fn default() -> Self {
        Self(Arc::new(AtomicI64::new(i64::MAX)))
    }
}

impl Power {
    /// Lets `changes` more changes (writes, syncs, names) succeed; every one after them fails.
    pub fn ends_after(&self, changes: u32) {
        self.0.store(i64::from(changes), Ordering::SeqCst);
    }

    /// Whether the next change fails.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.0.load(Ordering::SeqCst) <= 0
    }

    /// Counts one change; an error once the power is gone.
    ///
    /// # Errors
    /// When the power is gone.
    pub fn change(&self) -> io::Result<()> {
        if self.0.fetch_sub(1, Ordering::SeqCst) > 0 {
            Ok(())
        } else {
            Err(io::Error::other("the power is gone"))
        }
    }
}

/// Faults that tests switch on.
#[derive(Debug, Default, Clone)]
pub struct Faults {
    /// Every sync of a file fails, and what it should have written is lost.
    pub failing_sync: bool,
    /// Every sync says that it worked, and makes nothing durable.
    pub lying_sync: bool,
    /// Every write fails.
    pub failing_write: bool,
    /// Every read that touches the file of this name and a byte of this range fails.
    pub failing_read: Option<(String, std::ops::Range<u64>)>,
}

type Names = BTreeMap<String, Arc<Mutex<Content>>>;

#[derive(Debug)]
enum NameChange {
    Create(String),
    Rename(String, String),
    Remove(String),
}

#[derive(Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate(usize),
}

/// The bytes of a file: as the process sees them, as they are on stable storage, and the changes between.
#[derive(Debug, Default)]
struct Content {
    name: String,
    seen: Vec<u8>,
    durable: Vec<u8>,
    pending: Vec<Change>,
}

impl Content {
    /// Writes what is pending, and only that: what an earlier failed sync lost stays lost.
    fn sync(&mut self) {
        for change in self.pending.drain(..) {
            match change {
                Change::Write { offset, bytes } => put_at(&mut self.durable, offset, &bytes),
                Change::Truncate(len) => self.durable.truncate(len),
            }
        }
    }

    /// What the file may hold after a power loss.
    fn after_crash(&self, chance: &SeededEntropy) -> Vec<u8> {
        let mut bytes = self.durable.clone();
        for change in &self.pending {
            match change {
                Change::Truncate(len) if chance.next_u64().is_multiple_of(2) => {
                    bytes.truncate(*len)
                }
                Change::Truncate(_) => {}
                Change::Write { offset, bytes: new } => match chance.next_u64() % 4 {
                    0 => {}
                    1 => put_at(&mut bytes, *offset, new),
                    2 => {
                        let kept = chance.next_u64() as usize % (new.len() + 1);
                        put_at(&mut bytes, *offset, &new[..kept]);
                    }
                    _ => {
                        for (number, sector) in new.chunks(SECTOR_BYTES).enumerate() {
                            if chance.next_u64().is_multiple_of(2) {
                                put_at(&mut bytes, offset + number * SECTOR_BYTES, sector);
                            }
                        }
                    }
                },
            }
        }
        bytes
    }
}

fn put_at(bytes: &mut Vec<u8>, offset: usize, new: &[u8]) {
    let end = offset + new.len();
    if bytes.len() < end {
        bytes.resize(end, 0);
    }
    bytes[offset..end].copy_from_slice(new);
}

#[derive(Debug, Default)]
struct State {
    names: Names,
    durable_names: Names,
    pending_names: Vec<NameChange>,
    faults: Faults,
    capacity: Option<u64>,
}

impl State {
    fn used(&self) -> u64 {
        self.names
            .values()
            .map(|c| c.lock().seen.len() as u64)
            .sum()
    }

    fn free(&self) -> u64 {
        self.capacity.unwrap_or(1 << 40).saturating_sub(self.used())
    }
}

/// See the module. Clones share the device.
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk {
    state: Arc<Mutex<State>>,
    power: Power,
}

impl MemoryDisk {
    /// An empty disk that fails when `power` ends.
    #[must_use]
    pub fn new(power: Power) -> Self {
        Self {
            state: Arc::default(),
            power,
        }
    }

    /// The disk as it may be found after a power loss now; `seed` decides what of the unsynced is there.
    #[must_use]
    pub fn after_crash(&self, seed: u64, power: Power) -> Self {
        let chance = SeededEntropy::new(seed);
        let state = self.state.lock();
        let mut names = state.durable_names.clone();
        let kept = chance.next_u64() as usize % (state.pending_names.len() + 1);
        for change in &state.pending_names[..kept] {
            match change {
                NameChange::Create(name) => {
                    names.insert(name.clone(), Arc::clone(&self.created(&state, name)));
                }
                NameChange::Rename(from, to) => {
                    if let Some(content) = names.remove(from) {
                        names.insert(to.clone(), content);
                    }
                }
                NameChange::Remove(name) => {
                    names.remove(name);
                }
            }
        }
        let survivors: Names = names
            .into_iter()
            .map(|(name, content)| {
                let bytes = content.lock().after_crash(&chance);
                (name.clone(), fresh(name, bytes))
            })
            .collect();
        Self {
            state: Arc::new(Mutex::new(State {
                durable_names: survivors.clone(),
                names: survivors,
                capacity: state.capacity,
                ..State::default()
            })),
            power,
        }
    }

    /// The content of a file made since the names were last synced; empty if it was removed again.
    fn created(&self, state: &State, name: &str) -> Arc<Mutex<Content>> {
        let current = state.names.values().find(|c| c.lock().name == name);
        current.map_or_else(|| fresh(name.to_owned(), Vec::new()), Arc::clone)
    }

    /// Switches faults on and off.
    pub fn set_faults(&self, faults: Faults) {
        self.state.lock().faults = faults;
    }

    /// Sets the bytes that the device holds.
    pub fn set_capacity(&self, bytes: u64) {
        self.state.lock().capacity = Some(bytes);
    }

    /// Changes bytes of a file behind everyone's back, durably.
    pub fn corrupt(&self, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let state = self.state.lock();
        if let Some(content) = state.names.get(name) {
            let mut content = content.lock();
            change(&mut content.seen);
            content.durable = content.seen.clone();
            content.pending.clear();
        }
    }

    /// The bytes of a file as the process sees them; empty for an unknown name.
    #[must_use]
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        let state = self.state.lock();
        state
            .names
            .get(name)
            .map_or_else(Vec::new, |c| c.lock().seen.clone())
    }
}

fn fresh(name: String, bytes: Vec<u8>) -> Arc<Mutex<Content>> {
    Arc::new(Mutex::new(Content {
        name,
        durable: bytes.clone(),
        seen: bytes,
        pending: Vec::new(),
    }))
}

fn not_found(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("there is no file {name}"))
}

impl Disk for MemoryDisk {
    fn create(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        self.power.change()?;
        let mut state = self.state.lock();
        if state.names.contains_key(name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let content = fresh(name.to_owned(), Vec::new());
        state.names.insert(name.to_owned(), Arc::clone(&content));
        state
            .pending_names
            .push(NameChange::Create(name.to_owned()));
        drop(state);
        Ok(self.file(content))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn DiskFile>> {
        let content = self.state.lock().names.get(name).cloned();
        content.map(|c| self.file(c)).ok_or_else(|| not_found(name))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.power.change()?;
        let mut state = self.state.lock();
        let content = state.names.remove(from).ok_or_else(|| not_found(from))?;
        state.names.insert(to.to_owned(), content);
        let change = NameChange::Rename(from.to_owned(), to.to_owned());
        state.pending_names.push(change);
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.power.change()?;
        let mut state = self.state.lock();
        state.names.remove(name).ok_or_else(|| not_found(name))?;
        state
            .pending_names
            .push(NameChange::Remove(name.to_owned()));
        Ok(())
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state.lock().names.keys().cloned().collect())
    }

    fn sync_dir(&self) -> io::Result<()> {
        self.power.change()?;
        let mut state = self.state.lock();
        state.durable_names = state.names.clone();
        state.pending_names.clear();
        Ok(())
    }

    fn space(&self) -> io::Result<Space> {
        let state = self.state.lock();
        Ok(Space {
            capacity: state.capacity.unwrap_or(1 << 40),
            free: state.free(),
        })
    }
}

impl MemoryDisk {
    fn file(&self, content: Arc<Mutex<Content>>) -> Arc<dyn DiskFile> {
        Arc::new(MemoryFile {
            content,
            disk: self.clone(),
        })
    }
}

#[derive(Debug)]
struct MemoryFile {
    content: Arc<Mutex<Content>>,
    disk: MemoryDisk,
}

impl DiskFile for MemoryFile {
    fn append(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let state = self.disk.state.lock();
        if state.faults.failing_write {
            return Err(io::Error::other("the device failed a write"));
        }
        let free = state.free();
        let mut content = self.content.lock();
        let offset = usize::try_from(offset).expect("files of tests fit memory");
        assert!(offset <= content.seen.len(), "files have no holes");
        let grows = (offset + bytes.len()).saturating_sub(content.seen.len()) as u64;
        if grows > free {
            return Err(io::ErrorKind::StorageFull.into());
        }
        // What was under way when the power went may have reached the device.
        let result = self.disk.power.change();
        put_at(&mut content.seen, offset, bytes);
        content.pending.push(Change::Write {
            offset,
            bytes: bytes.to_vec(),
        });
        result
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let end = offset + into.len() as u64;
        let fault = self.disk.state.lock().faults.failing_read.clone();
        let content = self.content.lock();
        if let Some((name, range)) = fault
            && name == content.name
            && range.start < end
            && offset < range.end
        {
            return Err(io::Error::other("the device failed a read"));
        }
        let range = usize::try_from(offset).ok().zip(usize::try_from(end).ok());
        match range.and_then(|(start, end)| content.seen.get(start..end)) {
            Some(bytes) => into.copy_from_slice(bytes),
            None => return Err(io::ErrorKind::UnexpectedEof.into()),
        }
        Ok(())
    }

    fn read_cached(&self, offset: u64, into: &mut [u8]) -> io::Result<bool> {
        self.read_at(offset, into).map(|()| true)
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.content.lock().seen.len() as u64)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.disk.power.change()?;
        let len = usize::try_from(len).expect("files of tests fit memory");
        let mut content = self.content.lock();
        content.seen.truncate(len);
        content.pending.push(Change::Truncate(len));
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let faults = self.disk.state.lock().faults.clone();
        if faults.lying_sync {
            return Ok(());
        }
        let result = self.disk.power.change();
        let mut content = self.content.lock();
        if faults.failing_sync {
            content.pending.clear();
            return Err(io::Error::other("the device failed a sync"));
        }
        result?;
        content.sync();
        Ok(())
    }
}
