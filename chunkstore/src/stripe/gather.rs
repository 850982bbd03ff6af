//! Cells of one stripe from its disks: those asked for when they can be had, and otherwise rebuilt from
//! any k others. Coding works byte by byte, so rebuilding a few blocks takes only those blocks of k
//! cells.
//!
//! Disks verify every block for the position asked for ([`ShardStore`](crate::ShardStore)); rebuilt
//! blocks have no checksum of their own at hand and rely on their k verified sources.

use super::layout::{block_bytes, block_count};
use super::metrics;
use crate::chunk_store::Inner;
use crate::health::{Finding, Request, RequestKind, ShardFault, report_silence};
use crate::placement::Group;
use crate::shard::{ReadShardError, ShardBlocks, ShardKey};
use ::metrics::counter;
use bytes::Bytes;
use futures::stream::{FuturesUnordered, StreamExt};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;
use types::{ChunkId, DiskId, ShardSet};

/// One stripe as it should be.
#[derive(Debug, Clone)]
pub(crate) struct Stripe {
    pub group: Arc<Group>,
    pub chunk: ChunkId,
    pub stripe: u32,
    /// Object bytes in it.
    pub stripe_bytes: usize,
}

/// Too few intact shards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TooFewShards {
    pub intact: usize,
    pub faults: Vec<(DiskId, String)>,
    /// A disk that the map says can be read did not say what it has of the stripe.
    pub may_return: bool,
}

/// Blocks of the cell at a position.
pub(crate) type Wanted = (usize, Range<u32>);

struct Answer {
    blocks: Range<u32>,
    read: Result<ShardBlocks, ReadShardError>,
}

/// What is known of the cell at one position.
#[derive(Debug, Default, Clone)]
struct Source {
    /// Verified blocks of it.
    have: Option<(Range<u32>, Bytes)>,
    /// Blocks asked for and not answered yet.
    asked: Option<Range<u32>>,
    /// It cannot be had.
    is_lost: bool,
    /// Asked long ago; others are asked in its place, and it may still answer.
    is_slow: bool,
}

/// A gathering under way.
pub(crate) struct Gather<'a> {
    store: &'a Inner,
    stripe: &'a Stripe,
    wanted: &'a [Wanted],
    /// All blocks wanted of any cell: what a source for rebuilding must give.
    span: Range<u32>,
    sources: Vec<Source>,
    requests: FuturesUnordered<Request<Answer>>,
    faults: Vec<(DiskId, String)>,
    /// Positions whose disks did not say what they have.
    unknown: ShardSet,
    /// Something wanted cannot be had, or not soon: rebuild.
    rebuilds: bool,
    /// For repair: findings, reported once the stripe is found to be one that can be rebuilt.
    held: Option<Vec<Finding>>,
}

impl<'a> Gather<'a> {
    /// Asks for `wanted`. Positions in `lost` are known not to have what they should.
    pub fn new(store: &'a Inner, stripe: &'a Stripe, wanted: &'a [Wanted], lost: ShardSet) -> Self {
        let start = wanted.iter().map(|(_, blocks)| blocks.start).min();
        let end = wanted.iter().map(|(_, blocks)| blocks.end).max();
        let mut gather = Self {
            store,
            stripe,
            wanted,
            span: start.unwrap_or(0)..end.unwrap_or(0),
            sources: vec![Source::default(); stripe.group.record.profile.shards()],
            requests: FuturesUnordered::new(),
            faults: Vec::new(),
            unknown: ShardSet::default(),
            rebuilds: false,
            held: None,
        };
        for (position, source) in gather.sources.iter_mut().enumerate() {
            source.is_lost = lost.contains(position) || stripe.group.disk(position).is_none();
        }
        for (position, blocks) in wanted {
            if gather
                .rank(*position)
                .is_some_and(|(is_doubtful, _)| !is_doubtful)
            {
                gather.ask(*position, blocks.clone());
            } else {
                gather.rebuilds = true;
            }
        }
        gather
    }

    /// For repair, which is what findings lead to: those met in a stripe that cannot be rebuilt are not reported, or
    /// what a delete or a failed write left behind would be found again for ever.
    #[must_use]
    pub fn for_repair(self) -> Self {
        let held = Some(Vec::new());
        Self { held, ..self }
    }

    /// The wanted blocks, in the order of `wanted`. Faults met on the way are reported.
    pub async fn run(mut self) -> Result<Vec<Bytes>, TooFewShards> {
        let options = self.store.options;
        let mut waited = Duration::ZERO;
        let mut timer = std::pin::pin!(sleep(options.hedge_after));
        loop {
            if let Some(cells) = self.assemble() {
                for finding in self.held.take().unwrap_or_default() {
                    self.store.health.finding(finding);
                }
                for request in std::mem::take(&mut self.requests) {
                    if self.sources[request.position].is_slow {
                        request.leave_running(
                            RequestKind::Read,
                            options.read_deadline,
                            &self.store.health,
                        );
                    }
                }
                return Ok(cells);
            }
            if self.rebuilds {
                self.ask_others();
            }
            if self.requests.is_empty() {
                return Err(self.too_few());
            }
            tokio::select! {
                biased;
                Some((position, answer)) = self.requests.next() => self.take(position, answer),
                () = timer.as_mut() => {
                    waited += options.hedge_after;
                    if waited >= options.read_deadline {
                        self.give_up(waited);
                    } else {
                        self.hedge();
                        timer.set(sleep(options.hedge_after));
                    }
                }
            }
        }
    }

    /// The order in which positions are asked; `None` for those that are lost. First come disks that
    /// the map says can be read and that owe no late answer.
    fn rank(&self, position: usize) -> Option<(bool, usize)> {
        let disk = self.stripe.group.disk(position)?;
        let source = &self.sources[position];
        let is_readable = self.stripe.group.readable.contains(position);
        (!source.is_lost).then(|| (!is_readable || disk.is_late(RequestKind::Read), position))
    }

    fn key(&self, position: usize) -> ShardKey {
        ShardKey {
            pg: self.stripe.group.record.id,
            chunk: self.stripe.chunk,
            stripe: self.stripe.stripe,
            shard: u8::try_from(position).expect("a profile has at most 32 shards"),
        }
    }

    fn cell_bytes(&self) -> usize {
        let profile = self.stripe.group.record.profile;
        profile.cell_bytes(self.stripe.stripe_bytes)
    }

    fn ask(&mut self, position: usize, blocks: Range<u32>) {
        let disk = self
            .stripe
            .group
            .disk(position)
            .expect("lost positions are not asked");
        let (disk, key) = (Arc::clone(disk), self.key(position));
        let store = Arc::clone(&disk.store);
        let source = &mut self.sources[position];
        source.asked = Some(blocks.clone());
        source.is_slow = false;
        let answer = Box::pin(async move {
            let count = blocks.end - blocks.start;
            let read = store.read(key, blocks.start, count).await;
            Answer { blocks, read }
        });
        self.requests.push(Request {
            position,
            disk,
            answer,
        });
    }

    /// Asks as many further positions as it takes to expect k of them.
    fn ask_others(&mut self) {
        let span = self.span.clone();
        let needed = self.stripe.group.record.profile.data();
        let expected = |source: &Source| {
            let asked = source.asked.as_ref().filter(|_| !source.is_slow);
            source.has(&span) || asked.is_some_and(|blocks| covers(blocks, &span))
        };
        let count = self
            .sources
            .iter()
            .filter(|source| expected(source))
            .count();
        let mut others: Vec<(bool, usize)> = (0..self.sources.len())
            .filter(|position| {
                let source = &self.sources[*position];
                !source.has(&span) && source.asked.is_none()
            })
            .filter_map(|position| self.rank(position))
            .collect();
        others.sort_unstable();
        for (_, position) in others.into_iter().take(needed.saturating_sub(count)) {
            self.ask(position, span.clone());
        }
    }

    /// What has not answered by now is slow.
    fn hedge(&mut self) {
        counter!(metrics::READS_HEDGED).increment(1);
        self.rebuilds = true;
        for source in self
            .sources
            .iter_mut()
            .filter(|source| source.asked.is_some())
        {
            source.is_slow = true;
        }
    }

    /// What has not answered by now is lost.
    fn give_up(&mut self, waited: Duration) {
        for request in std::mem::take(&mut self.requests) {
            let disk = request.disk.id();
            self.faults
                .push((disk, "it did not answer in time".to_owned()));
            self.unknown.insert(request.position);
            self.sources[request.position].is_lost = true;
            self.sources[request.position].asked = None;
            report_silence(&*self.store.health, disk, waited);
        }
    }

    fn take(&mut self, position: usize, answer: Answer) {
        let fault = match answer
            .read
            .and_then(|read| self.check(position, &answer.blocks, read))
        {
            Ok(bytes) => {
                let source = &mut self.sources[position];
                source.asked = None;
                source.have = Some((answer.blocks, bytes));
                return;
            }
            Err(error) => error,
        };
        self.sources[position].asked = None;
        self.sources[position].is_lost = true;
        self.rebuilds = true;
        let disk = self.stripe.group.record.disks[position];
        let shard = self.key(position);
        counter!(metrics::READS_FAILED).increment(1);
        self.faults.push((disk, fault.to_string()));
        if self.held.is_some() {
            tracing::debug!(%disk, ?shard, %fault, "shard cannot be read for repair");
        } else {
            tracing::warn!(%disk, pg = %shard.pg, chunk = %shard.chunk, stripe = shard.stripe, %fault,
                "shard cannot be read");
        }
        let fault = match fault {
            ReadShardError::Missing { .. } => ShardFault::Missing,
            ReadShardError::Damaged { reason, .. } => ShardFault::Damaged(reason),
            ReadShardError::Failed { reason, .. } => {
                self.unknown.insert(position);
                ShardFault::Unreadable(reason)
            }
            ReadShardError::Unreachable { reason, .. } => {
                self.unknown.insert(position);
                return self.store.health.unreachable(disk, &reason);
            }
        };
        let finding = Finding { shard, disk, fault };
        match &mut self.held {
            Some(held) => held.push(finding),
            None => self.store.health.finding(finding),
        }
    }

    /// The disk verified the bytes; this checks that they are the ones asked for.
    fn check(
        &self,
        position: usize,
        blocks: &Range<u32>,
        read: ShardBlocks,
    ) -> Result<Bytes, ReadShardError> {
        let info = &read.info;
        let cell_bytes = self.cell_bytes();
        let reason = if info.key != self.key(position) {
            "it is another shard"
        } else if info.profile != self.stripe.group.record.profile {
            "it has another profile"
        } else if info.stripe_bytes as usize != self.stripe.stripe_bytes {
            "it is of a stripe of another length"
        } else if read.bytes.len() != block_bytes(blocks, cell_bytes).len() {
            "it has another length"
        } else {
            return Ok(read.bytes);
        };
        Err(ReadShardError::Damaged {
            disk: self.stripe.group.record.disks[position],
            reason: reason.to_owned(),
        })
    }

    /// What was wanted, when it is there or can be rebuilt.
    fn assemble(&self) -> Option<Vec<Bytes>> {
        let cell_bytes = self.cell_bytes();
        if self
            .wanted
            .iter()
            .all(|(at, blocks)| self.sources[*at].has(blocks))
        {
            let cells = self
                .wanted
                .iter()
                .map(|(at, blocks)| self.sources[*at].get(blocks, cell_bytes));
            return Some(cells.collect());
        }
        let profile = self.stripe.group.record.profile;
        let part = |source: &Source| {
            source
                .has(&self.span)
                .then(|| source.get(&self.span, cell_bytes))
        };
        let cells: Vec<Option<Bytes>> = self.sources.iter().map(part).collect();
        let data_only = self.wanted.iter().all(|(at, _)| *at < profile.data());
        let cells = self.stripe.group.codec.rebuild(cells, data_only).ok()?;
        counter!(metrics::STRIPES_REBUILT).increment(1);
        let span = block_bytes(&self.span, cell_bytes);
        let wanted = self.wanted.iter().map(|(at, blocks)| {
            let bytes = block_bytes(blocks, cell_bytes);
            let cell = cells[*at].as_ref().expect("every wanted cell was rebuilt");
            cell.slice(bytes.start - span.start..bytes.end - span.start)
        });
        Some(wanted.collect())
    }

    fn too_few(self) -> TooFewShards {
        let record = &self.stripe.group.record;
        let (mut faults, mut unknown) = (self.faults, self.unknown);
        for (position, disk) in record.disks.iter().enumerate() {
            if self.stripe.group.disk(position).is_none() {
                faults.push((*disk, "it cannot be reached".to_owned()));
                unknown.insert(position);
            }
        }
        let intact = self.sources.iter().filter(|source| source.has(&self.span));
        TooFewShards {
            intact: intact.count(),
            faults,
            may_return: unknown.0 & self.stripe.group.readable.0 != 0,
        }
    }
}

impl Source {
    fn has(&self, blocks: &Range<u32>) -> bool {
        self.have
            .as_ref()
            .is_some_and(|(have, _)| covers(have, blocks))
    }

    fn get(&self, blocks: &Range<u32>, cell_bytes: usize) -> Bytes {
        let (have, bytes) = self.have.as_ref().expect("asked only for what it has");
        let first = block_bytes(have, cell_bytes).start;
        let range = block_bytes(blocks, cell_bytes);
        bytes.slice(range.start - first..range.end - first)
    }
}

fn covers(have: &Range<u32>, wanted: &Range<u32>) -> bool {
    have.start <= wanted.start && have.end >= wanted.end
}

/// The whole cell.
pub(crate) fn all_blocks(stripe: &Stripe) -> Range<u32> {
    let profile = stripe.group.record.profile;
    0..block_count(profile.cell_bytes(stripe.stripe_bytes))
}
