//! Sends one stripe to its disks and waits until it may be acknowledged.

use super::metrics;
use super::quorum::{Marks, Quorum, Verdict};
use crate::chunk_store::{ChunkStoreOptions, Inner};
use crate::health::{DiskHandle, Finding, Request, RequestKind, ShardFault, report_silence};
use crate::placement::Group;
use crate::shard::{PutShardError, ShardKey, ShardRecord};
use crate::{block, erasure};
use ::metrics::counter;
use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;
use types::{BucketId, ClusterView, DiskState, ManifestId, Planted, ShardSet};

/// How a stripe ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StripeOutcome {
    /// The stripe may be acknowledged.
    pub acknowledged: bool,
    /// Positions whose shard is not known to be on stable storage.
    pub missing: ShardSet,
    /// What the last disk that did not store its shard answered; for messages.
    pub fault: String,
}

/// The shard records of a stripe, in shard order: position checksums are computed before coding for the
/// data cells, and before sending for the parity cells. `key.shard` is ignored.
pub(crate) fn encode(
    group: &Group,
    key: ShardKey,
    (bucket, manifest): (BucketId, ManifestId),
    stripe: &Bytes,
) -> Vec<ShardRecord> {
    let profile = group.record.profile;
    let record = |position: usize, body: Bytes| {
        let shard = u8::try_from(position).expect("a profile has at most 32 shards");
        let key = ShardKey { shard, ..key };
        ShardRecord {
            key,
            pg_version: group.record.version,
            profile,
            bucket,
            manifest,
            stripe_bytes: u32::try_from(stripe.len()).expect("a stripe is at most 8 MiB"),
            block_checksums: block::checksums(&key, profile, &body),
            body,
        }
    };
    let mut data = erasure::split(stripe, profile);
    if Planted::SwappedShards.is_here() && data.len() > 1 {
        data.swap(0, 1);
    }
    let mut records: Vec<ShardRecord> = data
        .iter()
        .enumerate()
        .map(|(position, cell)| record(position, cell.clone()))
        .collect();
    let parity = group.codec.parity(&data).into_iter();
    records.extend(
        (profile.data()..)
            .zip(parity)
            .map(|(at, cell)| record(at, cell)),
    );
    records
}

/// One stripe under way.
pub(crate) struct StripePut {
    store: Arc<Inner>,
    group: Arc<Group>,
    quorum: Quorum,
    key: ShardKey,
    requests: FuturesUnordered<Request<Result<(), PutShardError>>>,
    fault: String,
}

impl StripePut {
    /// Sends every record to the disk at its position, except where the map says that the disk takes no
    /// writes, and except to a disk that is late while the others suffice.
    pub fn new(store: Arc<Inner>, group: Arc<Group>, records: Vec<ShardRecord>) -> Self {
        let profile = group.record.profile;
        let mut late = ShardSet::default();
        let mut reachable = ShardSet::default();
        for (position, disk) in group.disks.iter().enumerate() {
            let Some(disk) = disk else { continue };
            if !group.down.contains(position) {
                reachable.insert(position);
                if disk.is_late(RequestKind::Put) {
                    late.insert(position);
                }
            }
        }
        let mut quorum = Quorum::new(profile, group.domains.clone(), reachable);
        if quorum.would_be_durable(reachable.minus(late), group.lost) {
            quorum.pending = reachable.minus(late);
            quorum.late = late;
        }
        let mut put = Self {
            key: records[0].key,
            requests: FuturesUnordered::new(),
            fault: String::new(),
            store,
            group,
            quorum,
        };
        for (position, record) in records.into_iter().enumerate() {
            put.send(position, record);
        }
        put
    }

    fn send(&mut self, position: usize, record: ShardRecord) {
        if self.quorum.pending.contains(position) {
            let disk = self
                .group
                .disk(position)
                .expect("only reachable ones are pending");
            let disk = Arc::clone(disk);
            let store = Arc::clone(&disk.store);
            let answer = Box::pin(async move { store.put(record).await });
            let request = Request {
                position,
                disk,
                answer,
            };
            self.requests.push(request);
        } else if self.group.disk(position).is_none() && !self.group.down.contains(position) {
            let disk = self.group.record.disks[position];
            self.fail(position, format!("disk {disk} cannot be reached"));
            let health = &self.store.health;
            health.disk_failed(disk, DiskState::Down, "it cannot be reached");
        }
    }

    /// Waits for the answers. On return every shard is on stable storage, or counted as missing.
    pub async fn finish(mut self) -> StripeOutcome {
        let mut view = self.store.view.clone();
        let mut marks = self.marks(&view.borrow_and_update());
        let options = self.store.options;
        let mut verdict = self.quorum.verdict(marks);
        let mut timer = std::pin::pin!(sleep(patience(verdict, &options)));
        while verdict != Verdict::Failed
            && !(verdict == Verdict::Durable && self.is_answered(marks))
        {
            let before = (verdict, self.is_answered(marks));
            tokio::select! {
                biased;
                Some((position, answer)) = self.requests.next() => self.take(position, answer),
                Ok(()) = view.changed() => marks = self.marks(&view.borrow_and_update()),
                () = timer.as_mut() => match verdict {
                    Verdict::Pending => self.give_up_waiting(options.put_deadline),
                    Verdict::Durable | Verdict::AwaitsMap | Verdict::Failed => break,
                },
            }
            verdict = self.quorum.verdict(marks);
            if before != (verdict, self.is_answered(marks)) {
                timer.set(sleep(patience(verdict, &options)));
            }
        }
        for request in std::mem::take(&mut self.requests) {
            counter!(metrics::PUTS_LATE).increment(1);
            request.leave_running(RequestKind::Put, options.put_deadline, &self.store.health);
        }
        StripeOutcome {
            acknowledged: self.quorum.verdict(marks) == Verdict::Durable,
            missing: self.quorum.missing(),
            fault: self.fault,
        }
    }

    /// Whether nothing is worth waiting for: who is out by the map may never answer.
    fn is_answered(&self, marks: Marks) -> bool {
        self.quorum.pending.minus(marks.down).is_empty()
    }

    /// What the map says now of the disks that the stripe was sent to.
    fn marks(&self, view: &ClusterView) -> Marks {
        let record = &self.group.record;
        let cluster = view.map.cluster(record.cluster);
        let domain = cluster.map(|cluster| cluster.domain).unwrap_or_default();
        Marks {
            lost: record.lost_domains(&view.map, domain),
            down: self.group.record.not_writable(&view.map),
            readable: self.group.record.readable(&view.map),
        }
    }

    fn fail(&mut self, position: usize, fault: String) {
        self.quorum.failed.insert(position);
        self.fault = fault;
    }

    fn take(&mut self, position: usize, answer: Result<(), PutShardError>) {
        let mut one = ShardSet::default();
        one.insert(position);
        self.quorum.pending = self.quorum.pending.minus(one);
        let disk = self.group.disk(position).expect("it answered");
        let Err(error) = answer else {
            disk.note_stored();
            return self.quorum.durable.insert(position);
        };
        counter!(metrics::PUTS_FAILED).increment(1);
        tracing::warn!(pg = %self.key.pg, chunk = %self.key.chunk, position, %error, "shard not stored");
        report_put_error(
            &self.store,
            disk,
            ShardKey {
                shard: position as u8,
                ..self.key
            },
            &error,
        );
        match error {
            // No mark in the map makes up for a disk that is merely full, for a damaged transfer, or for a place
            // that the disk has lost.
            PutShardError::Full { .. }
            | PutShardError::Damaged { .. }
            | PutShardError::OldGroup { .. } => {
                self.fault = error.to_string();
            }
            PutShardError::ReadOnly { .. }
            | PutShardError::Failed { .. }
            | PutShardError::Unreachable { .. } => {
                self.fail(position, error.to_string());
            }
        }
    }

    /// The full deadline has passed without a quorum: disks that have not answered count as failed.
    fn give_up_waiting(&mut self, waited: Duration) {
        for request in std::mem::take(&mut self.requests) {
            let disk = request.disk.id();
            self.fail(
                request.position,
                format!("disk {disk} did not answer in time"),
            );
            report_silence(&*self.store.health, disk, waited);
        }
        self.quorum.pending = ShardSet::default();
    }
}

/// How long to wait for the next change of state.
fn patience(verdict: Verdict, options: &ChunkStoreOptions) -> Duration {
    match verdict {
        Verdict::Durable => options.straggler_wait,
        Verdict::Pending => options.put_deadline,
        Verdict::AwaitsMap | Verdict::Failed => options.map_wait,
    }
}

/// Tells the health sink what a disk's refusal says of the disk.
pub(crate) fn report_put_error(
    store: &Inner,
    disk: &DiskHandle,
    shard: ShardKey,
    error: &PutShardError,
) {
    match error {
        PutShardError::Full { .. } => disk.note_full(),
        PutShardError::ReadOnly { disk, reason } | PutShardError::Failed { disk, reason } => {
            store.health.disk_failed(*disk, DiskState::ReadOnly, reason);
        }
        PutShardError::Unreachable { disk, reason } => store.health.unreachable(*disk, reason),
        // The new map is on its way to this process too.
        PutShardError::OldGroup { .. } => {}
        PutShardError::Damaged { disk } => store.health.finding(Finding {
            shard,
            disk: *disk,
            fault: ShardFault::Damaged(error.to_string()),
        }),
    }
}
