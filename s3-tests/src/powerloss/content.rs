//! Loses, reverts or tears the content of files.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;

use super::journal::{Change, Journal};
use super::{Choice, FileLoss, Tree, by_age};

/// Changes of one file that no sync covered, each with its number, oldest first.
type Pending<'a> = [&'a (u64, Change)];

/// Rewrites every file that has changes which are not durable.
pub fn settle(journal: &Journal, tree: &Tree, choice: &mut Choice) -> Vec<FileLoss> {
    let first = |ino| {
        journal.contents[&ino]
            .first()
            .map_or(0, |(number, _)| *number)
    };
    let mut losses = Vec::new();
    for ino in by_age(journal.contents.keys().copied().collect(), first) {
        let durable = journal.durable(ino);
        let changes = journal.contents[&ino].iter();
        let pending: Vec<_> = changes.filter(|(number, _)| *number > durable).collect();
        // A file without a name, in the roots or kept, had none when it was written (O_TMPFILE).
        let (false, Some(found)) = (pending.is_empty(), tree.files.get(&ino)) else {
            continue;
        };
        let options = OpenOptions::new().read(true).write(true).open(&found.path);
        let file = options.expect("open a watched file");
        let (undone, torn) = lose(&file, &pending, choice);
        let count = pending
            .iter()
            .filter(|(_, change)| !is_saved(change))
            .count();
        losses.push(FileLoss {
            path: found.path.clone(),
            pending: count,
            undone,
            torn,
        });
    }
    losses
}

fn is_saved(change: &Change) -> bool {
    matches!(change, Change::Saved { .. })
}

/// Chooses the fate of one file; gives how many changes were undone, and whether the rest is torn.
fn lose(file: &File, pending: &Pending<'_>, choice: &mut Choice) -> (usize, bool) {
    // Where each change ends in `pending`, after the saved bytes that belong to it.
    let ends: Vec<usize> = (0..pending.len())
        .filter(|&at| !is_saved(&pending[at].1))
        .map(|at| at + 1)
        .collect();
    if ends.is_empty() {
        return (0, false); // killed before the change itself
    }
    let fate = if choice.worst { 0 } else { choice.below(6) };
    let kept_count = match fate {
        0 => 0,
        1 => ends.len(),
        _ => 1 + usize::try_from(choice.below(ends.len() as u64)).expect("64-bit"),
    };
    let kept_end = kept_count.checked_sub(1).map_or(0, |last| ends[last]);
    undo(file, &pending[kept_end..]);
    let kept = &pending[..kept_end];
    let torn = match fate {
        2 => {
            let start = kept_count.checked_sub(2).map_or(0, |before| ends[before]);
            tear_last(file, &kept[start..], choice)
        }
        3.. => {
            let unit = if choice.one_in(3) { 512 } else { 4096 };
            keep_some_units(file, kept, unit, choice)
        }
        _ => false,
    };
    (ends.len() - kept_count, torn)
}

/// Takes changes back, newest first; the file is then as it was before the first of them.
fn undo(file: &File, changes: &Pending<'_>) {
    for (_, change) in changes.iter().rev() {
        match change {
            Change::Saved { offset, bytes } => write(file, *offset, bytes),
            Change::Written {
                offset,
                end,
                old_size,
            } => {
                set_length(file, *old_size);
                fill(file, *offset, *end.min(old_size), |part| part.fill(0));
            }
            Change::Resized { old_size, .. } => set_length(file, *old_size),
        }
    }
}

/// Keeps the beginning of the newest change, cut at any byte. `last` is this change with the bytes
/// saved for it.
fn tear_last(file: &File, last: &Pending<'_>, choice: &mut Choice) -> bool {
    let Some((_, Change::Written { offset, end, .. })) = last.last() else {
        return false;
    };
    let kept = read(file, *offset, *offset + choice.below(end - offset));
    undo(file, last);
    write(file, *offset, &kept);
    true
}

/// Keeps an arbitrary set of pages or sectors, as a kernel that wrote some of them back. The changes
/// of length up to the newest shrink are kept: file systems log them apart from the data.
fn keep_some_units(file: &File, changes: &Pending<'_>, unit: u64, choice: &mut Choice) -> bool {
    let newest_length = length(file);
    let mut lost = BTreeSet::new();
    let mut kept = Vec::new();
    for at in units_written(changes, unit) {
        let start = at * unit;
        if start >= newest_length || choice.one_in(2) {
            lost.insert(start);
        } else {
            kept.push((start, read(file, start, (start + unit).min(newest_length))));
        }
    }
    undo(file, changes);
    let shortest = changes.iter().filter_map(|(_, change)| match change {
        Change::Resized { size, old_size } if size < old_size => Some(*size),
        _ => None,
    });
    let floor_length = shortest.fold(length(file), u64::min);
    set_length(file, floor_length); // what a shrink cut off reads as zeros when it grows again
    let kept_length = kept
        .last()
        .map_or(0, |(start, bytes)| start + bytes.len() as u64);
    let grows = choice.one_in(2);
    let end = if grows {
        newest_length
    } else {
        kept_length.max(floor_length)
    };
    set_length(file, end);
    for (start, bytes) in &kept {
        write(file, *start, bytes);
    }
    if choice.one_in(4) {
        // Blocks that were allocated and never written show what lay on the disk before.
        for start in &lost {
            let (from, to) = ((*start).max(floor_length), (start + unit).min(end));
            fill(file, from, to, |part| {
                part.fill_with(|| choice.next().to_le_bytes()[0])
            });
        }
    }
    !lost.is_empty()
}

/// The numbers of the pages or sectors that the changes wrote to.
fn units_written(changes: &Pending<'_>, unit: u64) -> BTreeSet<u64> {
    let written = changes.iter().filter_map(|(_, change)| match change {
        Change::Written { offset, end, .. } => Some(*offset / unit..end.div_ceil(unit)),
        _ => None,
    });
    written.flatten().collect()
}

fn length(file: &File) -> u64 {
    file.metadata().expect("stat a watched file").len()
}

fn set_length(file: &File, bytes: u64) {
    file.set_len(bytes)
        .expect("set the length of a watched file");
}

fn write(file: &File, offset: u64, bytes: &[u8]) {
    file.write_all_at(bytes, offset)
        .expect("write a watched file");
}

/// Reads what there is from `from` to `to`: a write that failed announced more than it wrote.
fn read(file: &File, from: u64, to: u64) -> Vec<u8> {
    let to = to.min(length(file)).max(from);
    let mut bytes = vec![0; usize::try_from(to - from).expect("64-bit")];
    file.read_exact_at(&mut bytes, from)
        .expect("read a watched file");
    bytes
}

/// Writes made-up bytes from `from` to `to`, in bounded parts; nothing if that is empty.
fn fill(file: &File, from: u64, to: u64, mut make: impl FnMut(&mut [u8])) {
    let mut part = [0; 65536];
    let mut at = from;
    while at < to {
        let count = usize::try_from((to - at).min(part.len() as u64)).expect("at most 64 KiB");
        make(&mut part[..count]);
        write(file, at, &part[..count]);
        at += count as u64;
    }
}
