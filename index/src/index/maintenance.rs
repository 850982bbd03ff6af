//! What the scheduler and the server use of the index.

use super::Index;
use crate::error::ReplaceError;
use crate::key::cluster::MissingShards;
use crate::ops::reclaim::{Freed, ReclaimEntry, ReclaimStep};
use crate::ops::scan::{ChunkScanPage, ScanCursor};
use crate::ops::share::AuditPage;
use crate::ops::upload::ExpiredUploads;
use crate::store::{Change, Seq, StoreError, Versioned};
use crate::{invariants, ops, partition};
use bytes::Bytes;
use types::{ClusterView, PartitionId};

impl Index {
    /// Why the index takes no commits until the process is started again; `None` while it does.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.ctx.control().failure()
    }

    /// Partitions that hold buckets.
    #[must_use]
    pub fn partitions(&self) -> Vec<PartitionId> {
        partition::all(self.ctx.data_partitions()).skip(1).collect()
    }

    /// Those, and the control partition before them.
    #[must_use]
    pub fn all_partitions(&self) -> Vec<PartitionId> {
        partition::all(self.ctx.data_partitions()).collect()
    }

    /// Sequence of the last commit of a partition: what it holds in `g/` up to here may be reclaimed once
    /// the grace has been observed to pass.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn last_seq(&self, partition: PartitionId) -> Result<Seq, StoreError> {
        self.ctx.owner(partition)?.last_seq().await
    }

    /// Commits of a partition after `after`, as the feed tells them (`key::feed::FeedEvent`).
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn changes(
        &self,
        partition: PartitionId,
        after: Seq,
        limit: usize,
    ) -> Result<Vec<Change>, StoreError> {
        self.ctx.owner(partition)?.changes(after, limit).await
    }

    /// Forgets the feed up to and including `up_to`, which every registered consumer has passed.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn trim(&self, partition: PartitionId, up_to: Seq) -> Result<(), StoreError> {
        self.ctx.owner(partition)?.trim(up_to).await
    }

    /// Deletes outcomes of commits up to and including `up_to`, since which the caller has seen
    /// `types::limits::OUTCOME_TTL` pass. Looks at a page of them; start with no cursor, go on with what is returned.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn purge_outcomes(
        &self,
        partition: PartitionId,
        up_to: Seq,
        cursor: Option<Bytes>,
    ) -> Result<Option<Bytes>, StoreError> {
        let owner = self.ctx.owner(partition)?;
        owner.purge_outcomes(up_to, cursor.as_ref()).await
    }

    /// Up to `limit` reclaim entries of commits up to and including `up_to`, oldest first.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn next_reclaims(
        &self,
        partition: PartitionId,
        up_to: Seq,
        limit: usize,
    ) -> Result<Vec<ReclaimEntry>, StoreError> {
        ops::reclaim::next(&self.ctx, partition, up_to, limit).await
    }

    /// Does the next bounded piece of an entry's work. On [`ReclaimStep::Free`] delete the chunks, then call
    /// [`Index::reclaim_freed`], then step again; on `More` step again.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reclaim_step(&self, entry: &ReclaimEntry) -> Result<ReclaimStep, StoreError> {
        ops::reclaim::step(&self.ctx, entry).await
    }

    /// Records that the chunks of a step are gone. Repeating it is harmless.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn reclaim_freed(
        &self,
        entry: &ReclaimEntry,
        freed: &Freed,
    ) -> Result<(), StoreError> {
        ops::reclaim::freed(&self.ctx, entry, freed).await
    }

    /// A page of all chunks that any record of the partition names; start with no cursor and go on with
    /// `next`. A chunk that every page of a whole scan leaves out was named by nothing when the scan began,
    /// or is younger than the scan.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn scan_chunks(
        &self,
        partition: PartitionId,
        cursor: Option<ScanCursor>,
        limit: usize,
    ) -> Result<ChunkScanPage, StoreError> {
        ops::scan::chunks(&self.ctx, partition, cursor, limit).await
    }

    /// Drops references to shared manifests that no version holds and that are older than the write
    /// deadline: what copies leave behind that were interrupted. Only those of commits up to and including `up_to`,
    /// since which the caller has seen a grace pass: the clocks of processes that copy may differ from this one's.
    /// Start with no cursor, go on with `next`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn audit_references(
        &self,
        partition: PartitionId,
        up_to: Seq,
        cursor: Option<Bytes>,
        limit: usize,
    ) -> Result<AuditPage, StoreError> {
        ops::share::audit_references(&self.ctx, (partition, up_to), cursor, limit).await
    }

    /// Aborts uploads started before `abandoned_before_ms` (0 for none), and forgets those completed more than
    /// seven days ago. Looks at `limit` uploads; start with no cursor, go on with `next`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn expire_uploads(
        &self,
        partition: PartitionId,
        abandoned_before_ms: u64,
        cursor: Option<Bytes>,
        limit: usize,
    ) -> Result<ExpiredUploads, StoreError> {
        ops::upload::expire(&self.ctx, partition, abandoned_before_ms, (cursor, limit)).await
    }

    /// Up to `limit` chunks of a partition with shards that were not durable when they were committed.
    /// Start with no chunk, go on after the last one.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn missing_shards(
        &self,
        partition: PartitionId,
        after: Option<&MissingShards>,
        limit: usize,
    ) -> Result<Vec<MissingShards>, StoreError> {
        ops::control::missing_shards(&self.ctx, partition, after, limit).await
    }

    /// Forgets an entry of [`Index::missing_shards`] whose shards were rebuilt and read back, or whose chunk
    /// is gone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn remove_missing_shards(
        &self,
        partition: PartitionId,
        entry: &MissingShards,
    ) -> Result<(), StoreError> {
        ops::control::remove_missing_shards(&self.ctx, partition, entry).await
    }

    /// What a background worker remembers under `name`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn scheduler_state(&self, name: &str) -> Result<Option<Versioned>, StoreError> {
        ops::control::scheduler_state(&self.ctx, name).await
    }

    /// Replaces what is remembered under `name`, which was written by commit `expected` (none: it is absent).
    /// Returns the new sequence.
    ///
    /// # Errors
    /// [`ReplaceError`].
    pub async fn replace_scheduler_state(
        &self,
        name: &str,
        expected: Option<Seq>,
        value: Bytes,
    ) -> Result<Seq, ReplaceError> {
        ops::control::replace_scheduler_state(&self.ctx, name, expected, value).await
    }

    /// The cluster map and its placement groups; `None` before the first was stored.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn cluster_view(&self) -> Result<Option<ClusterView>, StoreError> {
        ops::control::cluster_view(&self.ctx).await
    }

    /// The epoch of the map that is stored, 0 before the first was: whether there is a newer view than the one at
    /// hand, for the price of one record.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn cluster_epoch(&self) -> Result<u64, StoreError> {
        ops::control::cluster_epoch(&self.ctx).await
    }

    /// Replaces the map of epoch `expected` (0: there is none) and its groups by `view`, whose map has a higher
    /// epoch. Groups are added or changed, never removed. Of several processes that change the view at once one
    /// succeeds at the most.
    ///
    /// # Errors
    /// [`ReplaceError`].
    pub async fn replace_cluster_view(
        &self,
        expected: u64,
        view: &ClusterView,
    ) -> Result<(), ReplaceError> {
        ops::control::replace_cluster_view(&self.ctx, expected, view).await
    }

    /// Every broken invariant, found by reading the whole index into memory. Nothing may be writing.
    ///
    /// # Errors
    /// [`StoreError`].
    pub async fn check(&self) -> Result<Vec<invariants::Violation>, StoreError> {
        invariants::check(&self.ctx).await
    }
}
