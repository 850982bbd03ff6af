//! Loses or reverts the names in directories.
//!
//! The state after the power loss is computed per name, not by undoing one operation after the
//! other: each directory is cut at a number, and a name leads to what the last change up to there
//! gave it, or to what it was before the first change after it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::journal::{Entry, Journal};
use super::{Choice, DirectoryLoss, Ino, Tree, by_age, pinned};

/// The number of the last change that survives, per directory.
type Cuts = BTreeMap<Ino, u64>;

/// Puts the names of all directories to a state that a power loss could leave.
pub fn settle(
    journal: &Journal,
    tree: &Tree,
    kept: &Path,
    choice: &mut Choice,
) -> Vec<DirectoryLoss> {
    let durable = durable_numbers(journal);
    let cuts = choose_cuts(journal, &durable, choice);
    realize(&names_at(&journal.entries, &cuts), tree, kept);
    let mut losses = Vec::new();
    for (&directory, &durable) in &durable {
        let numbers = numbers_of(&journal.entries, directory);
        let after = |limit: u64| numbers.iter().filter(|&&number| number > limit).count();
        let (pending, undone) = (after(durable), after(cuts[&directory]));
        if pending > 0 {
            let path = tree.directories[&directory].clone();
            losses.push(DirectoryLoss {
                path,
                pending,
                undone,
            });
        }
    }
    losses
}

fn numbers_of(entries: &[Entry], directory: Ino) -> Vec<u64> {
    let touches = |entry: &&Entry| entry.names.iter().any(|name| name.directory == directory);
    entries
        .iter()
        .filter(touches)
        .map(|entry| entry.number)
        .collect()
}

/// The renames between two directories: number and both directories.
fn crossings(entries: &[Entry]) -> impl Iterator<Item = (u64, Ino, Ino)> + Clone {
    entries
        .iter()
        .filter_map(|entry| match entry.names.as_slice() {
            [from, to] if from.directory != to.directory => {
                Some((entry.number, from.directory, to.directory))
            }
            _ => None,
        })
}

/// Up to which number the names of each directory are durable. A rename between two directories is
/// one transaction of the file system: the sync of either makes it durable, with what is before it.
fn durable_numbers(journal: &Journal) -> Cuts {
    let names = journal.entries.iter().flat_map(|entry| &entry.names);
    let mut durable: Cuts = names
        .map(|name| (name.directory, journal.durable(name.directory)))
        .collect();
    let mut changed = true;
    while changed {
        changed = false;
        for (number, from, to) in crossings(&journal.entries) {
            if (durable[&from] >= number) != (durable[&to] >= number) {
                for directory in [from, to] {
                    durable
                        .entry(directory)
                        .and_modify(|limit| *limit = number.max(*limit));
                }
                changed = true;
            }
        }
    }
    durable
}

/// Chooses the last surviving change of each directory, so that every rename between two directories
/// happens in both or in neither.
fn choose_cuts(journal: &Journal, durable: &Cuts, choice: &mut Choice) -> Cuts {
    let directories: BTreeSet<Ino> = durable.keys().copied().collect();
    let first = |directory| numbers_of(&journal.entries, directory)[0];
    let mut cuts = durable.clone();
    for directory in by_age(directories, first) {
        let mut ends = vec![durable[&directory]];
        let numbers = numbers_of(&journal.entries, directory);
        ends.extend(
            numbers
                .into_iter()
                .filter(|&number| number > durable[&directory]),
        );
        let last = ends.len() - 1;
        let end = match if choice.worst { 0 } else { choice.below(3) } {
            0 => 0,
            1 => last,
            _ => usize::try_from(choice.below(ends.len() as u64)).expect("64-bit"),
        };
        cuts.insert(directory, ends[end]);
    }
    let mut changed = true;
    while changed {
        changed = false;
        for (number, from, to) in crossings(&journal.entries) {
            if (cuts[&from] >= number) != (cuts[&to] >= number) {
                for directory in [from, to] {
                    cuts.entry(directory)
                        .and_modify(|cut| *cut = (number - 1).min(*cut));
                }
                changed = true;
            }
        }
    }
    for (directory, cut) in &cuts {
        assert!(*cut >= durable[directory], "a durable name would be lost");
    }
    cuts
}

/// What every name that ever changed leads to when each directory is cut; 0 is nothing.
fn names_at(entries: &[Entry], cuts: &Cuts) -> BTreeMap<(Ino, OsString), Ino> {
    let mut state = BTreeMap::new();
    for entry in entries {
        for name in &entry.names {
            let value = state
                .entry((name.directory, name.name.clone()))
                .or_insert(name.old);
            if entry.number <= cuts[&name.directory] {
                *value = name.new;
            }
        }
    }
    state
}

/// Moves and links until every name leads where `wanted` says. What has no name stays in `kept`.
fn realize(wanted: &BTreeMap<(Ino, OsString), Ino>, tree: &Tree, kept: &Path) {
    let (_kept_handle, kept) = pinned(kept);
    let directories: BTreeSet<Ino> = wanted.keys().map(|(directory, _)| *directory).collect();
    let handles: BTreeMap<Ino, (File, PathBuf)> = directories
        .into_iter()
        .map(|ino| (ino, pinned(&tree.directories[&ino])))
        .collect();
    let path_of = |directory: &Ino, name: &OsStr| handles[directory].1.join(name);
    let holder = |ino: Ino| kept.join(ino.to_string());

    let wrong: Vec<_> = wanted
        .iter()
        .map(|((directory, name), &ino)| (path_of(directory, name), ino))
        .filter(|(path, ino)| ino_at(path) != *ino)
        .collect();
    // First all away, then all in place: names may have to change places. Directories have no hard
    // links, so they are moved; of files a link stays in `kept`.
    for (path, _) in &wrong {
        match ino_at(path) {
            0 => {}
            now if ino_at(&holder(now)) == now => {
                fs::remove_file(path).expect("remove a watched name");
            }
            now => fs::rename(path, holder(now)).expect("move a watched name away"),
        }
    }
    for (path, ino) in &wrong {
        let source = holder(*ino);
        if *ino == 0 {
            continue;
        } else if tree.directories.contains_key(ino) {
            fs::rename(&source, path).expect("move a directory back");
        } else if ino_at(&source) != 0 {
            fs::hard_link(&source, path).expect("link a watched file");
        } else {
            // It still has its other name (link, killed before it happened).
            fs::hard_link(&tree.files[ino].path, path).expect("link a watched file");
        }
    }
}

/// The inode that a path leads to, without following it; 0 if there is none.
fn ino_at(path: &Path) -> Ino {
    match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.ino(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => 0,
        Err(error) => panic!("{}: {error}", path.display()),
    }
}
