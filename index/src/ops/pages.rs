//! Writing the `x/` pages of large manifests, before the commit that names them.
//!
//! # To ensure correctness
//! - Pages stand under a manifest id that is taken anew for each try, so tries never touch each other's.
//! - The first batch of pages also queues a reclaim entry for them, the guard. The commit of the version
//!   depends on the guard's seq and removes it; reclaim changes the seq when it removes a page. So pages whose version is never committed are deleted when the
//!   grace has passed, and pages that are being deleted cannot be committed.

use super::draft::{Draft, Drafted};
use crate::context::{Context, contended};
use crate::key::Key;
use crate::key::reclaim::ReclaimRecord;
use crate::owner::PartitionOwner;
use crate::store::{Seq, StoreError};
use types::limits::{MANIFEST_INLINE_CHUNKS, MANIFEST_PAGE_CHUNKS, MANIFEST_PAGE_PARTS};
use types::{BucketId, ChunkRef, Manifest, ManifestId, ManifestPage, PartEntry};

/// Pages written in one batch: at some 35 KiB each they stay below `BATCH_BYTES_MAX`.
const PAGES_PER_BATCH: usize = 16;

const _: () = assert!(PAGES_PER_BATCH * 60 * 1024 <= types::limits::BATCH_BYTES_MAX);

/// The reclaim entry of pages that are not committed yet, by the sequence of the batch that wrote it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Guard(Seq);

impl Guard {
    fn key(self) -> Key {
        // The first reclaim of its batch, and the only one.
        Key::Reclaim {
            seq: self.0,
            number: 0,
        }
    }

    /// Makes `draft` depend on no page having been removed.
    fn expect(self, draft: &mut Draft) {
        draft.expect(&self.key(), Some(self.0));
    }

    /// Makes `draft` the commit that keeps the pages.
    pub fn release(self, draft: &mut Draft) {
        self.expect(draft);
        draft.delete(&self.key());
    }
}

/// The manifest to store for one that was written, and the guard of its pages, if it has any.
pub(crate) async fn place(
    ctx: &Context,
    owner: &PartitionOwner,
    home: BucketId,
    written: Manifest,
) -> Result<(Manifest, Option<Guard>), StoreError> {
    let mut writer = PageWriter::new(ctx, owner, home);
    for chunk in written.chunks {
        writer.push_chunk(chunk).await?;
    }
    let (mut manifest, guard) = writer.finish().await?;
    if guard.is_none() {
        manifest.id = written.id;
    }
    Ok((manifest, guard))
}

/// Collects the chunks and parts of an object, and writes them to pages when they are many.
pub(crate) struct PageWriter<'a> {
    owner: &'a PartitionOwner,
    id: ManifestId,
    home: BucketId,
    length: u64,
    /// Offset of each page, those not yet written included.
    offsets: Vec<u64>,
    /// Full pages that wait to be written.
    full: Vec<ManifestPage>,
    open: ManifestPage,
    written: usize,
    guard: Option<Guard>,
}

impl<'a> PageWriter<'a> {
    /// A writer of a manifest with a new id, for an object of bucket `home`.
    pub fn new(ctx: &Context, owner: &'a PartitionOwner, home: BucketId) -> Self {
        Self {
            owner,
            id: ctx.ids.manifest(ctx.clock.now_ms(), owner.partition()),
            home,
            length: 0,
            offsets: Vec::new(),
            full: Vec::new(),
            open: ManifestPage::default(),
            written: 0,
            guard: None,
        }
    }

    /// Begins a part; its chunks follow.
    pub async fn push_part(&mut self, part: PartEntry) -> Result<(), StoreError> {
        if self.open.parts.len() == MANIFEST_PAGE_PARTS {
            self.close_page().await?;
        }
        if self.open.parts.is_empty() {
            self.open.parts_offset = self.length;
        }
        self.open.parts.push(part);
        Ok(())
    }

    /// Adds the next chunk.
    pub async fn push_chunk(&mut self, chunk: ChunkRef) -> Result<(), StoreError> {
        if self.open.chunks.len() == MANIFEST_PAGE_CHUNKS {
            self.close_page().await?;
        }
        self.length += chunk.length;
        self.open.chunks.push(chunk);
        Ok(())
    }

    async fn close_page(&mut self) -> Result<(), StoreError> {
        let next = ManifestPage {
            offset: self.length,
            ..Default::default()
        };
        let page = std::mem::replace(&mut self.open, next);
        self.offsets.push(page.offset);
        self.full.push(page);
        if self.full.len() == PAGES_PER_BATCH {
            self.write().await?;
        }
        Ok(())
    }

    /// The manifest, its pages written; and their guard. What is small stands in the manifest itself.
    pub async fn finish(mut self) -> Result<(Manifest, Option<Guard>), StoreError> {
        let manifest = Manifest {
            id: self.id,
            length: self.length,
            home: self.home,
            ..Default::default()
        };
        if self.offsets.is_empty() && self.open.chunks.len() <= MANIFEST_INLINE_CHUNKS {
            let ManifestPage { chunks, parts, .. } = self.open;
            return Ok((
                Manifest {
                    chunks,
                    parts,
                    ..manifest
                },
                None,
            ));
        }
        self.close_page().await?;
        self.write().await?;
        Ok((
            Manifest {
                page_offsets: self.offsets,
                ..manifest
            },
            self.guard,
        ))
    }

    async fn write(&mut self) -> Result<(), StoreError> {
        if self.full.is_empty() {
            return Ok(());
        }
        let mut draft = Draft::default();
        for page in self.full.drain(..) {
            let number =
                u32::try_from(self.written).expect("an object has fewer pages than chunks");
            let key = Key::ManifestPage {
                bucket: self.home,
                manifest: self.id,
                page: number,
            };
            draft.put(&key, &page);
            self.written += 1;
        }
        match &self.guard {
            Some(guard) => guard.expect(&mut draft),
            None => draft.reclaim(&ReclaimRecord::of_pages(self.home, self.id)),
        }
        match draft.commit(self.owner).await? {
            Drafted::Committed(seq) => {
                self.guard.get_or_insert(Guard(seq));
                Ok(())
            }
            // The guard was reclaimed: this writer has been stopped for longer than the grace.
            Drafted::Conflict | Drafted::Repeated(_) => Err(contended()),
        }
    }
}
