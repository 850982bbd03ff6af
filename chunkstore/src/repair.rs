//! Gives one position of a placement group back what its disk lacks: rebuilt from k verified shards of
//! the others, stored, and read back.

use crate::block;
use crate::chunk_store::{ChunkStore, GroupListing, Inner};
use crate::error::RepairError;
use crate::placement::Group;
use crate::shard::{ShardInfo, ShardKey, ShardRecord};
use crate::stripe::gather::{Gather, Stripe, all_blocks};
use crate::stripe::put::report_put_error;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::timeout;
use types::{ChunkId, DiskId, PgId, ShardSet};

/// How much one call of [`ChunkStore::repair_group`] does.
#[derive(Debug, Clone, Copy)]
pub struct RepairScope {
    /// The stripe to begin with, or the first one after it: `next` of the report before; `None` for the
    /// whole position.
    pub from: Option<(ChunkId, u32)>,
    /// Stop once this many bytes of shards were read from peers, or verified.
    pub bytes_max: u64,
    /// Also read every shard that is there, and replace the damaged ones.
    pub deep: bool,
}

impl Default for RepairScope {
    /// The whole position, trusting what its disk has.
    fn default() -> Self {
        Self {
            from: None,
            bytes_max: u64::MAX,
            deep: false,
        }
    }
}

/// A stripe that cannot be rebuilt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LostStripe {
    /// The chunk.
    pub chunk: ChunkId,
    /// The stripe.
    pub stripe: u32,
    /// Intact shards that were found.
    pub intact: usize,
    /// What the other disks answered.
    pub reason: String,
    /// A disk that the map says can be read did not say what it has: another time it may be rebuilt.
    pub may_return: bool,
}

/// What one call did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RepairReport {
    /// Stripes looked at.
    pub stripes: u64,
    /// Shards rebuilt, stored and read back.
    pub rebuilt: u64,
    /// Bytes in them.
    pub rebuilt_bytes: u64,
    /// Stripes of which fewer than k shards can be read. Nothing of them was deleted. A stripe that is
    /// just being written, one that a failed write left behind, and one past the end of its chunk look
    /// like this too: only what the index refers to is a loss.
    pub unrecoverable: Vec<LostStripe>,
    /// Disks that the map says can be read and that could not be listed: what only they have was not seen.
    pub unlisted: Vec<(DiskId, String)>,
    /// Where the next call goes on (`from`); `None` when the whole position was gone through.
    pub next: Option<(ChunkId, u32)>,
}

/// Shards asked of each disk at a time; more than the shards of any one stripe.
const LIST_SHARDS: usize = 512;

/// Chunk and stripe.
type Place = (ChunkId, u32);

/// The greatest shard key of the group that stands before every shard of `place`.
fn last_key_before(pg: PgId, (chunk, stripe): Place) -> Option<ShardKey> {
    let (chunk, stripe) = match stripe.checked_sub(1) {
        Some(stripe) => (chunk, stripe),
        None => (ChunkId(chunk.0.checked_sub(1)?), u32::MAX),
    };
    Some(ShardKey {
        pg,
        chunk,
        stripe,
        shard: u8::MAX,
    })
}

/// What the disks of a group know of one stripe.
#[derive(Debug)]
struct StripeInfo {
    info: ShardInfo,
    on_target: bool,
}

impl ChunkStore {
    /// Goes through the stripes of a placement group in order and rebuilds what the disk at `position`
    /// lacks, or with `deep` holds damaged. On return everything that the report counts as rebuilt is
    /// on stable storage there and was read back.
    ///
    /// # Errors
    /// [`RepairError`] when the position does not exist, its disk cannot be listed or takes no shards,
    /// or too few others can be listed. What was rebuilt before stays.
    pub async fn repair_group(
        &self,
        pg: PgId,
        position: usize,
        scope: RepairScope,
    ) -> Result<RepairReport, RepairError> {
        let no_such = RepairError::NoSuchPosition { pg, position };
        let group = self.inner.group(pg).ok_or_else(|| no_such.clone())?;
        if position >= group.record.disks.len() {
            return Err(no_such);
        }
        let repair = Repair {
            store: &self.inner,
            group,
            position,
        };
        repair.run(scope).await
    }
}

struct Repair<'a> {
    store: &'a Inner,
    group: Arc<Group>,
    position: usize,
}

impl Repair<'_> {
    async fn run(&self, scope: RepairScope) -> Result<RepairReport, RepairError> {
        if self.group.down.contains(self.position) {
            return Err(self.target_error("takes no writes by the cluster map"));
        }
        let mut report = RepairReport {
            next: scope.from,
            ..Default::default()
        };
        let mut bytes_left = scope.bytes_max;
        loop {
            let (stripes, end) = self.next_stripes(&mut report).await?;
            for (place, known) in stripes {
                report.next = Some(place);
                if bytes_left == 0 {
                    return Ok(report);
                }
                let cost = self.look_at(known, scope.deep, &mut report).await?;
                bytes_left = bytes_left.saturating_sub(cost);
                report.stripes += 1;
            }
            report.next = end;
            if end.is_none() {
                return Ok(report);
            }
        }
    }

    /// The next stripes from `report.next` on of which any disk has a shard, and where they end: the
    /// first place that they do not include, if there is more.
    async fn next_stripes(
        &self,
        report: &mut RepairReport,
    ) -> Result<(BTreeMap<Place, StripeInfo>, Option<Place>), RepairError> {
        let pg = self.group.record.id;
        let after = report.next.and_then(|place| last_key_before(pg, place));
        let listing = self.store.list(&self.group, after, LIST_SHARDS).await;
        self.check_listing(&listing)?;
        for (disk, why) in listing.faults {
            let is_known = report.unlisted.iter().any(|(known, _)| *known == disk);
            if self.should_be_listed(disk) && !is_known {
                report.unlisted.push((disk, why));
            }
        }
        // A disk that filled its page has told of every stripe before its last one.
        let place = |shard: &ShardInfo| (shard.key.chunk, shard.key.stripe);
        let end = listing
            .pages
            .iter()
            .filter(|(_, page)| page.len() >= LIST_SHARDS)
            .filter_map(|(_, page)| page.last().map(place))
            .min();
        let mut stripes: BTreeMap<Place, StripeInfo> = BTreeMap::new();
        for (position, page) in listing.pages {
            for shard in page {
                let is_own = usize::from(shard.key.shard) == position;
                if is_own && end.is_none_or(|end| place(&shard) < end) {
                    let entry = stripes.entry(place(&shard)).or_insert(StripeInfo {
                        info: shard,
                        on_target: false,
                    });
                    entry.on_target |= position == self.position;
                }
            }
        }
        Ok((stripes, end))
    }

    fn should_be_listed(&self, disk: DiskId) -> bool {
        let mut disks = self.group.record.disks.iter();
        let position = disks.position(|at| *at == disk);
        position.is_some_and(|position| self.group.readable.contains(position))
    }

    fn check_listing(&self, listing: &GroupListing) -> Result<(), RepairError> {
        let record = &self.group.record;
        let is_target = |(position, _): &(usize, Vec<ShardInfo>)| *position == self.position;
        if !listing.pages.iter().any(is_target) {
            return Err(self.target_error("cannot be listed"));
        }
        let listed = listing.pages.len() - 1;
        if listed < record.profile.data() && record.profile.parity() > 0 {
            return Err(RepairError::TooFewPeers {
                pg: record.id,
                listed,
                needed: record.profile.data(),
                faults: listing.faults.clone(),
            });
        }
        Ok(())
    }

    /// Rebuilds the target's shard of a stripe if it must be. Gives back the bytes that this read.
    async fn look_at(
        &self,
        known: StripeInfo,
        deep: bool,
        report: &mut RepairReport,
    ) -> Result<u64, RepairError> {
        let stripe = Stripe {
            group: Arc::clone(&self.group),
            chunk: known.info.key.chunk,
            stripe: known.info.key.stripe,
            stripe_bytes: known.info.stripe_bytes as usize,
        };
        let cell_bytes = u64::from(known.info.body_bytes);
        if known.on_target {
            if !deep {
                return Ok(0);
            }
            if self.read_target(&stripe).await.is_ok() {
                return Ok(cell_bytes);
            }
        }
        let mut lost = ShardSet::default();
        lost.insert(self.position);
        let wanted = [(self.position, all_blocks(&stripe))];
        let gather = Gather::new(self.store, &stripe, &wanted, lost).for_repair();
        match gather.run().await {
            Ok(cells) => {
                self.store_on_target(&stripe, &known.info, cells[0].clone())
                    .await?;
                report.rebuilt += 1;
                report.rebuilt_bytes += cell_bytes;
            }
            Err(error) => report.unrecoverable.push(LostStripe {
                chunk: stripe.chunk,
                stripe: stripe.stripe,
                intact: error.intact,
                reason: format!("{:?}", error.faults),
                may_return: error.may_return,
            }),
        }
        Ok(cell_bytes * self.group.record.profile.data() as u64)
    }

    async fn store_on_target(
        &self,
        stripe: &Stripe,
        peer: &ShardInfo,
        cell: Bytes,
    ) -> Result<(), RepairError> {
        let disk = self.group.disk(self.position);
        let disk = disk.ok_or_else(|| self.target_error("cannot be reached"))?;
        let key = self.key(stripe);
        let record = ShardRecord {
            key,
            pg_version: self.group.record.version,
            profile: peer.profile,
            bucket: peer.bucket,
            manifest: peer.manifest,
            stripe_bytes: peer.stripe_bytes,
            block_checksums: block::checksums(&key, peer.profile, &cell),
            body: cell.clone(),
        };
        match timeout(self.store.options.put_deadline, disk.store.put(record)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                report_put_error(self.store, disk, key, &error);
                return Err(self.target_error(&format!("did not store a shard: {error}")));
            }
            Err(_) => return Err(self.target_error("did not store a shard in time")),
        }
        match self.read_target(stripe).await {
            Ok(stored) if stored == cell => Ok(()),
            Ok(_) => Err(self.target_error("gave back other bytes than were stored")),
            Err(fault) => Err(self.target_error(&format!("did not give a shard back: {fault}"))),
        }
    }

    /// The target's cell of the stripe, verified.
    async fn read_target(&self, stripe: &Stripe) -> Result<Bytes, String> {
        let disk = self
            .group
            .disk(self.position)
            .ok_or("it cannot be reached")?;
        let blocks = all_blocks(stripe);
        let read = disk.store.read(self.key(stripe), blocks.start, blocks.end);
        match timeout(self.store.options.read_deadline, read).await {
            Ok(Ok(read)) if read.info.stripe_bytes as usize == stripe.stripe_bytes => {
                Ok(read.bytes)
            }
            Ok(Ok(_)) => Err("it is of a stripe of another length".to_owned()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no answer in time".to_owned()),
        }
    }

    fn key(&self, stripe: &Stripe) -> ShardKey {
        ShardKey {
            pg: self.group.record.id,
            chunk: stripe.chunk,
            stripe: stripe.stripe,
            shard: u8::try_from(self.position).expect("a profile has at most 32 shards"),
        }
    }

    fn target_error(&self, reason: &str) -> RepairError {
        RepairError::Target {
            pg: self.group.record.id,
            position: self.position,
            disk: self.group.record.disks[self.position],
            reason: reason.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
