//! The blocks in memory, and the memory of what was read: sets and a queue, nothing that waits.

use super::block::{Block, BlockKey};
use std::collections::{HashMap, HashSet, VecDeque};
use std::mem;

/// What remembering a block takes in memory.
const SEEN_BYTES: u64 = 64;

/// Blocks up to a limit, in the order of their coming. What was read since it came, or since it was last
/// spared, is spared when its turn to go has come (CLOCK): nothing moves when it is read.
#[derive(Debug)]
pub(super) struct Blocks {
    entries: HashMap<BlockKey, Entry>,
    order: VecDeque<BlockKey>,
    held_bytes: u64,
    limit_bytes: u64,
}

#[derive(Debug)]
struct Entry {
    block: Block,
    is_read: bool,
}

impl Blocks {
    pub fn new(limit_bytes: u64) -> Self {
        Self {
            entries: HashMap::new(),
            order: VecDeque::new(),
            held_bytes: 0,
            limit_bytes,
        }
    }

    pub fn get(&mut self, key: BlockKey) -> Option<Block> {
        let entry = self.entries.get_mut(&key)?;
        entry.is_read = true;
        Some(entry.block.clone())
    }

    pub fn has(&self, key: BlockKey) -> bool {
        self.entries.contains_key(&key)
    }

    /// Puts a block in, and gives those that went for it: to be dropped where nobody waits for a lock.
    #[must_use]
    pub fn insert(&mut self, key: BlockKey, block: Block) -> Vec<Block> {
        self.held_bytes += block.held_bytes();
        let is_read = false;
        let replaced = self.entries.insert(key, Entry { block, is_read });
        let mut gone = Vec::new();
        match replaced {
            None => self.order.push_back(key),
            Some(entry) => {
                self.held_bytes -= entry.block.held_bytes();
                gone.push(entry.block);
            }
        }
        while self.held_bytes > self.limit_bytes {
            let oldest = self.order.pop_front().expect("what is held is in order");
            let entry = self.entries.get_mut(&oldest);
            if mem::take(&mut entry.expect("what is in order is held").is_read) {
                self.order.push_back(oldest);
            } else if let Some(entry) = self.entries.remove(&oldest) {
                self.held_bytes -= entry.block.held_bytes();
                gone.push(entry.block);
            }
        }
        gone
    }

    pub fn held_bytes(&self) -> u64 {
        self.held_bytes
    }
}

/// Blocks that were read lately: between half as many and as many as would fill the cache. One that is
/// read again while it is remembered would have been found, had it been kept.
#[derive(Debug)]
pub(super) struct Seen {
    new: HashSet<BlockKey>,
    old: HashSet<BlockKey>,
    new_bytes: u64,
    /// Bytes of blocks, and their number, with which the new ones get old.
    limit: (u64, usize),
}

impl Seen {
    /// Remembers blocks of `cached_bytes`, or as many as `memory_bytes` of memory allow.
    pub fn new(cached_bytes: u64, memory_bytes: u64) -> Self {
        let count = usize::try_from(memory_bytes / SEEN_BYTES / 2).unwrap_or(usize::MAX);
        Self {
            new: HashSet::new(),
            old: HashSet::new(),
            new_bytes: 0,
            limit: (cached_bytes / 2, count),
        }
    }

    pub fn has(&self, key: BlockKey) -> bool {
        self.new.contains(&key) || self.old.contains(&key)
    }

    pub fn add(&mut self, key: BlockKey, bytes: u64) {
        if !self.new.insert(key) {
            return;
        }
        self.new_bytes += bytes;
        let (bytes_max, count_max) = self.limit;
        if self.new_bytes > bytes_max || self.new.len() >= count_max {
            self.old = mem::take(&mut self.new);
            self.new_bytes = 0;
        }
    }
}
