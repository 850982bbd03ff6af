//! Choices that follow from the seed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use types::Entropy;
use types::entropy::SeededEntropy;

/// Choices of one world after which it is taken to be one that never comes to its end: each call of a machine
/// takes a few, and a world a few hundred thousand.
const CHOICES_MAX: u64 = 20_000_000;

/// A stream of choices. Clones share it; a fork is another stream that follows from this one.
#[derive(Debug, Clone)]
pub(crate) struct Dice {
    stream: Arc<SeededEntropy>,
    /// Choices of this stream and of all that it was forked from or into.
    choices: Arc<AtomicU64>,
}

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self {
            stream: Arc::new(SeededEntropy::new(seed)),
            choices: Arc::default(),
        }
    }

    pub fn seed(&self) -> u64 {
        let before = self.choices.fetch_add(1, Ordering::Relaxed);
        assert!(before < CHOICES_MAX, "the world does not come to its end");
        self.stream.next_u64()
    }

    pub fn fork(&self) -> Self {
        Self {
            stream: Arc::new(SeededEntropy::new(self.seed())),
            choices: Arc::clone(&self.choices),
        }
    }

    /// What index and chunkstore draw their ids from.
    pub fn entropy(&self) -> Arc<dyn Entropy> {
        Arc::new(SeededEntropy::new(self.seed()))
    }

    /// A number below `end`, which is at least 1.
    pub fn below(&self, end: u64) -> u64 {
        self.seed() % end
    }

    pub fn index(&self, length: usize) -> usize {
        self.below(length as u64) as usize
    }

    /// A number from `start` to `end`, both included.
    pub fn between(&self, start: u64, end: u64) -> u64 {
        start + self.below(end - start + 1)
    }

    pub fn percent(&self, chance: u64) -> bool {
        self.below(100) < chance
    }

    pub fn millis(&self, start: u64, end: u64) -> Duration {
        Duration::from_millis(self.between(start, end))
    }
}
