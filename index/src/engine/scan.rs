//! One page of a range, with runs of keys collapsed into groups: the same over every engine's keys.

use super::{limits, open_value};
use crate::key::{HEADER_BYTES, escape, successor_of_prefix};
use crate::store::{Grouping, ScanEntry, ScanPage, ScanRequest, StoreError};
use bytes::Bytes;

/// An ordered view of sealed values, as of one moment.
pub trait Cursor {
    /// The first key at or after `from` and before the end of the range, with its sealed value.
    fn seek(&mut self, from: &[u8]) -> Result<Option<(Bytes, Bytes)>, StoreError>;
    /// The key after the one that was returned last.
    fn next(&mut self) -> Result<Option<(Bytes, Bytes)>, StoreError>;
}

/// Reads the page that `request` asks for.
///
/// # Errors
/// [`StoreError::TooLarge`] for a request that cannot be answered, [`StoreError::Corrupt`] for a
/// damaged value, and what the cursor fails with.
pub fn scan_page<C: Cursor>(cursor: &mut C, request: &ScanRequest) -> Result<ScanPage, StoreError> {
    limits::check_scan(request)?;
    let mut page = ScanPage::default();
    let mut bytes = 0;
    let mut found = cursor.seek(&request.start)?;
    while let Some((key, sealed)) = found {
        if page.entries.len() == request.limit || bytes >= limits::SCAN_BYTES_MAX {
            page.more = true;
            break;
        }
        let group = request
            .grouping
            .as_ref()
            .and_then(|grouping| group_of(&key, grouping));
        found = if let Some(group) = group {
            bytes += group.len();
            let next = successor_of_prefix(&group).filter(|next| *next < request.end);
            page.entries.push(ScanEntry::Group(group));
            next.map_or(Ok(None), |next| cursor.seek(&next))?
        } else {
            bytes += key.len() + sealed.len();
            let value = open_value(&key, &sealed)?;
            page.entries.push(ScanEntry::Value(key, value));
            cursor.next()?
        };
    }
    Ok(page)
}

/// The group of `key`: everything up to and including the first delimiter past the skipped bytes.
/// What follows the end of the S3 key (an order, an upload id) is not text, so it is not searched.
fn group_of(key: &Bytes, grouping: &Grouping) -> Option<Bytes> {
    let text_end = HEADER_BYTES + escape::text_end(key.get(HEADER_BYTES..)?);
    let text = key.get(grouping.skip..text_end)?;
    let at = find(text, &grouping.delimiter)?;
    Some(key.slice(..grouping.skip + at + grouping.delimiter.len()))
}

fn find(text: &[u8], delimiter: &[u8]) -> Option<usize> {
    if let [byte] = delimiter {
        return text.iter().position(|found| found == byte);
    }
    text.windows(delimiter.len())
        .position(|window| window == delimiter)
}
