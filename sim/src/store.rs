//! The index's engine as one machine reaches it: calls take time, get lost on their way there or back, and may be
//! carried out long after the caller has given up.

use crate::bug::Bug;
use crate::dice::Dice;
use crate::network::{Alive, travel};
use async_trait::async_trait;
use bytes::Bytes;
use index::engine::memory::MemoryEngine;
use index::store::{Batch, Change, Condition, Outcome, ScanPage, ScanRequest, Seq, Versioned};
use index::{IndexStore, Key, StoreError};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;
use types::PartitionId;

/// What goes wrong with the calls of one machine, in percent of them.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct StoreFaults {
    /// They do not get there.
    pub unavailable: u64,
    /// Of a commit it stays unknown what became of it.
    pub indeterminate: u64,
    /// They are slow.
    pub slow: u64,
}

impl StoreFaults {
    /// What a gateway has to bear at all times.
    pub const NOISE: Self = Self {
        unavailable: 1,
        indeterminate: 4,
        slow: 1,
    };
}

/// See the module.
#[derive(Debug)]
pub(crate) struct SimStore {
    engine: Arc<MemoryEngine>,
    alive: Alive,
    dice: Dice,
    faults: Arc<Mutex<StoreFaults>>,
    bug: Option<Bug>,
    /// What was read before, for reads that are to be behind.
    read: Mutex<BTreeMap<(PartitionId, Bytes), Option<Versioned>>>,
}

impl SimStore {
    pub fn new(
        engine: Arc<MemoryEngine>,
        alive: Alive,
        dice: Dice,
        faults: Arc<Mutex<StoreFaults>>,
        bug: Option<Bug>,
    ) -> Self {
        Self {
            engine,
            alive,
            dice,
            faults,
            bug,
            read: Mutex::default(),
        }
    }

    /// The way to the engine.
    async fn go(&self) -> Result<StoreFaults, StoreError> {
        let faults = *self.faults.lock();
        self.travel(faults).await;
        if self.dice.percent(faults.unavailable) {
            return Err(StoreError::Unavailable("it is cut off".to_owned()));
        }
        Ok(faults)
    }

    async fn travel(&self, faults: StoreFaults) {
        let slow = self.dice.percent(faults.slow);
        travel(&self.alive, &self.dice, slow).await;
    }

    /// What becomes of a commit whose caller is not told: nothing, or it is carried out now, or later.
    async fn commit_unknown(
        &self,
        partition: PartitionId,
        batches: Vec<Batch>,
    ) -> Result<(), StoreError> {
        match self.dice.below(3) {
            0 => {}
            1 => drop(self.engine.commit_many(partition, batches).await?),
            _ => {
                let (engine, after) = (Arc::clone(&self.engine), self.dice.millis(1, 2_000));
                tokio::spawn(async move {
                    tokio::time::sleep(after).await;
                    // Nobody hears of it.
                    drop(engine.commit_many(partition, batches).await);
                });
            }
        }
        Ok(())
    }

    fn plant(&self, batch: &mut Batch) {
        let of = |condition: &Condition| match condition {
            Condition::Absent(key) | Condition::Exists(key) | Condition::SeqIs(key, _) => {
                Key::decode(key).ok()
            }
        };
        match self.bug {
            Some(Bug::UncheckedCurrent) => batch
                .conditions
                .retain(|condition| !matches!(of(condition), Some(Key::Current { .. }))),
            Some(Bug::ForgottenOutcome) => batch.idempotency = None,
            _ => {}
        }
    }

    /// The value, or the one that was read before it.
    fn behind(
        &self,
        partition: PartitionId,
        key: &[u8],
        found: Option<Versioned>,
    ) -> Option<Versioned> {
        if self.bug != Some(Bug::StaleReads) {
            return found;
        }
        let place = (partition, Bytes::copy_from_slice(key));
        let before = self.read.lock().insert(place, found.clone());
        before.filter(|_| self.dice.percent(20)).unwrap_or(found)
    }
}

#[async_trait]
impl IndexStore for SimStore {
    async fn commit_many(
        &self,
        partition: PartitionId,
        mut batches: Vec<Batch>,
    ) -> Result<Vec<Outcome>, StoreError> {
        let faults = self.go().await?;
        batches.iter_mut().for_each(|batch| self.plant(batch));
        if self.dice.percent(faults.indeterminate) {
            self.commit_unknown(partition, batches).await?;
            self.travel(faults).await;
            return Err(StoreError::Indeterminate("the answer was lost".to_owned()));
        }
        let outcomes = self.engine.commit_many(partition, batches).await;
        self.travel(faults).await;
        outcomes
    }

    async fn get(
        &self,
        partition: PartitionId,
        key: &[u8],
    ) -> Result<Option<Versioned>, StoreError> {
        let faults = self.go().await?;
        let found = self.engine.get(partition, key).await?;
        self.travel(faults).await;
        Ok(self.behind(partition, key, found))
    }

    async fn scan(
        &self,
        partition: PartitionId,
        request: ScanRequest,
    ) -> Result<ScanPage, StoreError> {
        let faults = self.go().await?;
        let page = self.engine.scan(partition, request).await;
        self.travel(faults).await;
        page
    }

    async fn changes(
        &self,
        partition: PartitionId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        self.go().await?;
        self.engine.changes(partition, after, limit).await
    }

    async fn trim(&self, partition: PartitionId, up_to: Seq) -> Result<(), StoreError> {
        self.go().await?;
        self.engine.trim(partition, up_to).await
    }

    fn has_other_writers(&self) -> bool {
        true
    }

    async fn last_seq(&self, partition: PartitionId) -> Result<Seq, StoreError> {
        self.go().await?;
        self.engine.last_seq(partition).await
    }
}
