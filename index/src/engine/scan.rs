//! One page of a range, with runs of keys collapsed into groups: the same over every engine's keys.

use super::{limits, open_slice};
use crate::key::{HEADER_BYTES, escape, successor_of_prefix};
use crate::store::{Grouping, ScanEntry, ScanPage, ScanRequest, StoreError, Versioned};
use bytes::{Bytes, BytesMut};

/// Bytes of keys and values that lie in one piece of memory, in a page of many.
const PIECE_BYTES: usize = 64 * 1024;
/// About what a key and its value come to: a page of few entries asks for no whole piece.
const ENTRY_BYTES: usize = 512;

/// An ordered view of sealed values, as of one moment.
pub trait Cursor {
    /// Goes to the first key at or after `from` and before the end of the range.
    fn seek(&mut self, from: &[u8]) -> Result<(), StoreError>;
    /// Goes to the key after the one that it stands on; there must be one.
    fn next(&mut self) -> Result<(), StoreError>;
    /// The key that it stands on, with its sealed value; `None` past the end of the range.
    fn item(&self) -> Option<(&[u8], &[u8])>;
}

/// Reads the page that `request` asks for.
///
/// # Errors
/// [`StoreError::TooLarge`] for a request that cannot be answered, [`StoreError::Corrupt`] for a
/// damaged value, and what the cursor fails with.
pub fn scan_page<C: Cursor>(cursor: &mut C, request: &ScanRequest) -> Result<ScanPage, StoreError> {
    limits::check_scan(request)?;
    let mut page = ScanPage::default();
    let piece_bytes = request.limit.saturating_mul(ENTRY_BYTES).min(PIECE_BYTES);
    let mut memory = BytesMut::with_capacity(piece_bytes);
    let mut bytes = 0;
    cursor.seek(&request.start)?;
    while let Some((key, sealed)) = cursor.item() {
        if page.entries.len() == request.limit || bytes >= limits::SCAN_BYTES_MAX {
            page.more = true;
            break;
        }
        let grouping = request.grouping.as_ref();
        if let Some(group) = grouping.and_then(|grouping| group_of(key, grouping)) {
            bytes += group.len();
            let next = successor_of_prefix(group).filter(|next| *next < request.end);
            let group = keep(&mut memory, group);
            page.entries.push(ScanEntry::Group(group));
            let Some(next) = next else { break };
            cursor.seek(&next)?;
        } else {
            bytes += key.len() + sealed.len();
            let (seq, value) = open_slice(key, sealed)?;
            let (key, value) = (keep(&mut memory, key), keep(&mut memory, value));
            let value = Versioned { seq, value };
            page.entries.push(ScanEntry::Value(key, value));
            cursor.next()?;
        }
    }
    Ok(page)
}

/// A copy of `bytes` at the end of `memory`: hundreds of them share an allocation.
fn keep(memory: &mut BytesMut, bytes: &[u8]) -> Bytes {
    memory.extend_from_slice(bytes);
    memory.split().freeze()
}

/// The group of `key`: everything up to and including the first delimiter past the skipped bytes.
/// What follows the end of the S3 key (an order, an upload id) is not text, so it is not searched.
fn group_of<'a>(key: &'a [u8], grouping: &Grouping) -> Option<&'a [u8]> {
    let text_end = HEADER_BYTES + escape::text_end(key.get(HEADER_BYTES..)?);
    let text = key.get(grouping.skip..text_end)?;
    let at = find(text, &grouping.delimiter)?;
    key.get(..grouping.skip + at + grouping.delimiter.len())
}

fn find(text: &[u8], delimiter: &[u8]) -> Option<usize> {
    if let [byte] = delimiter {
        return text.iter().position(|found| found == byte);
    }
    text.windows(delimiter.len())
        .position(|window| window == delimiter)
}
