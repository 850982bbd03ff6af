//! Expanding reclaim entries in bounded steps. Each step can be repeated, and a crash between any two
//! leaves an entry that the next step goes on with.

use super::draft::{Draft, Drafted, corrupt, decode_key, load, records};
use super::share::drop_reference;
use crate::context::{Context, contended};
use crate::key::Key;
use crate::key::reclaim::{ReclaimKind, ReclaimRecord};
use crate::key::upload::PartRecord;
use crate::owner::PartitionOwner;
use crate::store::{Seq, StoreError};
use types::limits::MANIFEST_PAGE_CHUNKS;
use types::{ChunkRef, ManifestPage, PartitionId};

/// Parts looked at, and pages removed, in one step.
const RECORDS_PER_STEP: usize = 100;

/// Something that waits to be reclaimed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReclaimEntry {
    /// The partition that holds the entry.
    pub partition: PartitionId,
    /// Sequence of the commit that gave it up.
    pub seq: Seq,
    /// Position among the entries of that commit.
    pub number: u16,
    /// What it names.
    pub record: ReclaimRecord,
}

/// The next piece of an entry's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReclaimStep {
    /// Delete these chunks, then say so with [`crate::Index::reclaim_freed`].
    Free {
        /// Chunks that no record needs any more.
        chunks: Vec<ChunkRef>,
        /// What to say.
        freed: Freed,
    },
    /// Something was done; there is more.
    More,
    /// All is done, and the entry is gone.
    Done,
}

/// Which records named the chunks of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Freed {
    /// The entry itself.
    Entry,
    /// This page of its manifest.
    Page(u32),
    /// These parts of its upload.
    Parts(Vec<u16>),
}

fn entry_key(entry: &ReclaimEntry) -> Key {
    Key::Reclaim {
        seq: entry.seq,
        number: entry.number,
    }
}

pub(crate) async fn next(
    ctx: &Context,
    partition: PartitionId,
    up_to: Seq,
    limit: usize,
) -> Result<Vec<ReclaimEntry>, StoreError> {
    let page = ctx
        .owner(partition)?
        .scan(Key::reclaims_range(up_to).page(limit, None))
        .await?;
    let mut entries = Vec::with_capacity(page.entries.len());
    for (key, loaded) in records::<ReclaimRecord>(page)? {
        let Key::Reclaim { seq, number } = decode_key(&key)? else {
            return Err(corrupt(&key, "not the key of a reclaim entry".to_owned()));
        };
        entries.push(ReclaimEntry {
            partition,
            seq,
            number,
            record: loaded.record,
        });
    }
    Ok(entries)
}

pub(crate) async fn step(ctx: &Context, entry: &ReclaimEntry) -> Result<ReclaimStep, StoreError> {
    let owner = ctx.owner(entry.partition)?;
    if load::<ReclaimRecord>(owner, &entry_key(entry))
        .await?
        .is_none()
    {
        return Ok(ReclaimStep::Done);
    }
    match entry.record.kind {
        ReclaimKind::Manifest => step_manifest(owner, entry).await,
        ReclaimKind::Upload => step_upload(owner, entry).await,
        ReclaimKind::Pages => step_pages(owner, entry).await,
        ReclaimKind::Reference => {
            drop_reference(ctx, &entry.record.manifest).await?;
            remove(owner, entry).await
        }
    }
}

async fn remove(owner: &PartitionOwner, entry: &ReclaimEntry) -> Result<ReclaimStep, StoreError> {
    let mut draft = Draft::default();
    draft.delete(&entry_key(entry));
    draft.commit(owner).await?;
    Ok(ReclaimStep::Done)
}

/// Frees one page at a time, or the chunks that the manifest holds itself.
async fn step_manifest(
    owner: &PartitionOwner,
    entry: &ReclaimEntry,
) -> Result<ReclaimStep, StoreError> {
    let manifest = &entry.record.manifest;
    if !manifest.chunks.is_empty() {
        let chunks = manifest.chunks.clone();
        return Ok(ReclaimStep::Free {
            chunks,
            freed: Freed::Entry,
        });
    }
    let range = Key::pages_range(manifest.home, manifest.id);
    let page = owner.scan(range.page(1, None)).await?;
    let Some((key, loaded)) = records::<ManifestPage>(page)?.pop() else {
        return remove(owner, entry).await;
    };
    let Key::ManifestPage { page, .. } = decode_key(&key)? else {
        return Err(corrupt(&key, "not the key of a page".to_owned()));
    };
    Ok(ReclaimStep::Free {
        chunks: loaded.record.chunks,
        freed: Freed::Page(page),
    })
}

/// Removes the parts that the completed object uses, then frees the others, a few at a time.
async fn step_upload(
    owner: &PartitionOwner,
    entry: &ReclaimEntry,
) -> Result<ReclaimStep, StoreError> {
    let record = &entry.record;
    let range = Key::parts_range(record.bucket, record.upload);
    let page = owner.scan(range.page(RECORDS_PER_STEP, None)).await?;
    let parts: Vec<PartRecord> = records(page)?
        .into_iter()
        .map(|(_, loaded)| loaded.record)
        .collect();
    if parts.is_empty() {
        return remove(owner, entry).await;
    }
    let (used, unused): (Vec<_>, Vec<_>) = parts
        .into_iter()
        .partition(|part| record.uses_part(part.number));
    if !used.is_empty() {
        let numbers: Vec<u16> = used.iter().map(|part| part.number).collect();
        remove_parts(owner, entry, &numbers).await?;
        return Ok(ReclaimStep::More);
    }
    let (mut chunks, mut numbers) = (Vec::new(), Vec::new());
    for part in unused {
        if !numbers.is_empty() && chunks.len() + part.manifest.chunks.len() > MANIFEST_PAGE_CHUNKS {
            break;
        }
        numbers.push(part.number);
        chunks.extend(part.manifest.chunks);
    }
    Ok(ReclaimStep::Free {
        chunks,
        freed: Freed::Parts(numbers),
    })
}

/// Removes pages that no version was committed with. Each batch also writes the entry again: the commit
/// of the version depends on the seq that the entry had, so it fails once a page is gone.
async fn step_pages(
    owner: &PartitionOwner,
    entry: &ReclaimEntry,
) -> Result<ReclaimStep, StoreError> {
    let manifest = &entry.record.manifest;
    let range = Key::pages_range(manifest.home, manifest.id);
    let page = owner.scan(range.page(RECORDS_PER_STEP, None)).await?;
    if page.entries.is_empty() {
        return remove(owner, entry).await;
    }
    let mut draft = Draft::default();
    draft.expect_exists(&entry_key(entry));
    draft.put(&entry_key(entry), &entry.record);
    for (key, _) in records::<ManifestPage>(page)? {
        draft.delete(&decode_key(&key)?);
    }
    match draft.commit(owner).await? {
        // On a conflict the version was committed: the next step finds no entry.
        Drafted::Committed(_) | Drafted::Conflict => Ok(ReclaimStep::More),
        Drafted::Repeated(_) => Err(contended()),
    }
}

async fn remove_parts(
    owner: &PartitionOwner,
    entry: &ReclaimEntry,
    numbers: &[u16],
) -> Result<(), StoreError> {
    let (bucket, upload) = (entry.record.bucket, entry.record.upload);
    for some in numbers.chunks(RECORDS_PER_STEP) {
        let mut draft = Draft::default();
        for number in some {
            draft.delete(&Key::Part {
                bucket,
                upload,
                number: *number,
            });
        }
        draft.commit(owner).await?;
    }
    Ok(())
}

pub(crate) async fn freed(
    ctx: &Context,
    entry: &ReclaimEntry,
    freed: &Freed,
) -> Result<(), StoreError> {
    let owner = ctx.owner(entry.partition)?;
    let manifest = &entry.record.manifest;
    match freed {
        Freed::Entry => remove(owner, entry).await.map(|_| ()),
        Freed::Parts(numbers) => remove_parts(owner, entry, numbers).await,
        Freed::Page(page) => {
            let mut draft = Draft::default();
            let (bucket, manifest) = (manifest.home, manifest.id);
            draft.delete(&Key::ManifestPage {
                bucket,
                manifest,
                page: *page,
            });
            draft.commit(owner).await?;
            Ok(())
        }
    }
}
