//! Latches by key: mutual exclusion of those who read a key and then write it.

use bytes::Bytes;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use tokio::sync::{Mutex, OwnedMutexGuard};

/// Keys that fall on one stripe exclude each other without need: with 4,096 and some hundred writers
/// that is rare, and it costs the wait for one commit.
const STRIPES: usize = 4096;

/// Mutexes that keys are hashed to.
#[derive(Debug)]
pub struct Latches {
    stripes: Vec<Arc<Mutex<()>>>,
}

/// Keys held; dropping it lets the next caller go on.
#[derive(Debug)]
#[must_use = "the keys are held only as long as the latch lives"]
pub struct Latch {
    _guards: Vec<OwnedMutexGuard<()>>,
}

impl Latches {
    /// Latches that nobody holds.
    pub fn new() -> Self {
        Self {
            stripes: (0..STRIPES).map(|_| Arc::default()).collect(),
        }
    }

    /// Waits for all `keys`. Stripes are taken in rising order, so two callers cannot wait for each
    /// other.
    pub async fn hold(&self, keys: &[Bytes]) -> Latch {
        let stripes: BTreeSet<usize> = keys.iter().map(|key| stripe_of(key)).collect();
        let mut guards = Vec::with_capacity(stripes.len());
        for stripe in stripes {
            guards.push(Arc::clone(&self.stripes[stripe]).lock_owned().await);
        }
        Latch { _guards: guards }
    }
}

fn stripe_of(key: &[u8]) -> usize {
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    (hasher.finish() % STRIPES as u64) as usize
}
