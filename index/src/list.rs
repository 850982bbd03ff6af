//! Lists: pages of buckets, keys, versions, uploads and parts, in the order of the keys' bytes.

pub(crate) mod buckets;
pub(crate) mod objects;
pub(crate) mod uploads;
pub(crate) mod versions;

use crate::key::{Key, KeyRange};
use crate::ops::draft::corrupt;
use crate::owner::PartitionOwner;
use crate::store::{Grouping, ScanEntry, StoreError};

/// What keys a list is about.
#[derive(Debug, Clone, Copy)]
struct Scope<'a> {
    prefix: &'a str,
    delimiter: &'a str,
}

impl Scope<'_> {
    fn grouping(&self) -> Option<Grouping> {
        (!self.delimiter.is_empty()).then(|| Key::grouping(self.prefix, self.delimiter))
    }

    /// Whether `marker` is one of the common prefixes that this scope gives.
    fn gives_prefix(&self, marker: &str) -> bool {
        let rest = marker
            .strip_prefix(self.prefix)
            .filter(|_| !self.delimiter.is_empty());
        rest.and_then(|rest| rest.find(self.delimiter).map(|at| rest.len() - at))
            == Some(self.delimiter.len())
    }
}

/// Entries from the front of `range`: up to `limit` of them, and whether there are more. (A page of the
/// engine may be shorter than asked for.)
async fn collect(
    owner: &PartitionOwner,
    mut range: KeyRange,
    grouping: Option<Grouping>,
    limit: usize,
) -> Result<(Vec<ScanEntry>, bool), StoreError> {
    let mut entries = Vec::new();
    while entries.len() < limit && range.start < range.end {
        let request = range.clone().page(limit - entries.len(), grouping.clone());
        let page = owner.scan(request).await?;
        if let Some(last) = page.entries.last() {
            range = after_entry(range, last);
        }
        entries.extend(page.entries);
        if !page.more {
            return Ok((entries, false));
        }
    }
    let more = range.start < range.end;
    Ok((entries, more))
}

fn after_entry(range: KeyRange, entry: &ScanEntry) -> KeyRange {
    match entry {
        ScanEntry::Value(key, _) => range.after(key),
        ScanEntry::Group(group) => range.after_prefix(group),
    }
}

/// The common prefix that a group stands for.
fn prefix_of(group: &[u8]) -> Result<String, StoreError> {
    Key::common_prefix(group).ok_or_else(|| corrupt(group, "not the beginning of a key".to_owned()))
}
