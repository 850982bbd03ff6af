//! The parts of a version that a multipart upload made, by number and with their offsets.

use super::read::load_page;
use crate::api::{ObjectPartPage, PlacedPart};
use crate::context::Context;
use crate::key::object::VersionRecord;
use crate::owner::PartitionOwner;
use crate::store::StoreError;
use types::{Manifest, ManifestPage, PartEntry};

/// A page of the parts with numbers above `after`.
pub(crate) async fn list(
    ctx: &Context,
    record: &VersionRecord,
    after: u16,
    max: usize,
) -> Result<ObjectPartPage, StoreError> {
    let mut page = ObjectPartPage::default();
    if record.parts == 0 || max == 0 {
        return Ok(page);
    }
    let pages = Pages::new(ctx, record)?;
    let mut number = pages.of_part(after).await?;
    while number < pages.count() && page.parts.len() <= max {
        let parts = pages.parts(number).await?;
        page.parts
            .extend(parts.filter(|part| part.entry.number > after));
        number += 1;
    }
    if page.parts.len() > max {
        page.parts.truncate(max);
        page.next = page.parts.last().map(|part| part.entry.number);
    }
    Ok(page)
}

/// The part with this number.
pub(crate) async fn find(
    ctx: &Context,
    record: &VersionRecord,
    number: u16,
) -> Result<Option<PlacedPart>, StoreError> {
    if record.parts == 0 {
        return Ok(None);
    }
    let pages = Pages::new(ctx, record)?;
    let page = pages.of_part(number).await?;
    let mut parts = pages.parts(page).await?;
    Ok(parts.find(|part| part.entry.number == number))
}

/// The pages of a manifest with parts. One that stands whole in its version counts as a page.
struct Pages<'a> {
    owner: &'a PartitionOwner,
    manifest: &'a Manifest,
}

impl<'a> Pages<'a> {
    fn new(ctx: &'a Context, record: &'a VersionRecord) -> Result<Self, StoreError> {
        let manifest = &record.manifest;
        // A manifest without chunks may have been given no partition; nothing is read from it then.
        let owner = if manifest.page_offsets.is_empty() {
            ctx.control()
        } else {
            ctx.owner(manifest.id.partition())?
        };
        Ok(Self { owner, manifest })
    }

    fn count(&self) -> usize {
        self.manifest.page_offsets.len().max(1)
    }

    async fn load(&self, number: usize) -> Result<ManifestPage, StoreError> {
        load_page(self.owner, self.manifest, number).await
    }

    /// The page in which the part with this number begins, if the object has it. Part numbers rise from page
    /// to page; a page inside a very large part has none, and the next one that has some is asked.
    async fn of_part(&self, number: u16) -> Result<usize, StoreError> {
        let (mut low, mut high) = (0, self.count());
        while high - low > 1 {
            let middle = low.midpoint(high);
            let mut probe = middle;
            let mut first = self.load(probe).await?.parts.first().cloned();
            while first.is_none() && probe + 1 < high {
                probe += 1;
                first = self.load(probe).await?.parts.first().cloned();
            }
            if first.is_some_and(|first| first.number <= number) {
                low = probe;
            } else {
                high = middle;
            }
        }
        Ok(low)
    }

    /// The parts that begin in this page.
    async fn parts(&self, number: usize) -> Result<impl Iterator<Item = PlacedPart>, StoreError> {
        let (offset, parts) = if self.manifest.page_offsets.is_empty() {
            (0, self.manifest.parts.clone())
        } else {
            let page = self.load(number).await?;
            (self.offset_of(number, &page).await?, page.parts)
        };
        Ok(place(offset, parts))
    }

    /// Offset of the page's first part.
    async fn offset_of(&self, number: usize, page: &ManifestPage) -> Result<u64, StoreError> {
        let mut offset = page.parts_offset;
        if offset == 0 {
            for before in 0..number {
                let parts = self.load(before).await?.parts;
                offset += parts.iter().map(|part| part.length).sum::<u64>();
            }
        }
        Ok(offset)
    }
}

/// Gives each of the parts, which follow one another from `offset`, its own offset.
fn place(mut offset: u64, parts: Vec<PartEntry>) -> impl Iterator<Item = PlacedPart> {
    parts.into_iter().map(move |entry| {
        let placed = PlacedPart { offset, entry };
        offset += placed.entry.length;
        placed
    })
}
