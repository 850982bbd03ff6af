//! Power loss for a real process: what no fsync covered is lost, reverted or torn.
//!
//! The process runs under the library of `powerloss/powerloss.c` (its header describes the journal and
//! what keeps it exact). After the process was killed, [`PowerLoss::crash`] rewrites the watched
//! directories to one of the states in which a power cut could have left them:
//!
//! - **content** of a file: everything that finished before the start of a successful fsync or
//!   fdatasync of this file stays. Of the rest, all, nothing, a prefix torn inside its last write,
//!   or any set of pages or sectors; lost parts of appended ranges read as zeros or as garbage;
//! - **names** in a directory: everything that finished before the start of a successful fsync of
//!   *this directory* stays; of the rest a prefix. This is the strict reading of POSIX: the fsync of
//!   a new file does not make its name durable. A rename between two directories is atomic and
//!   becomes durable with either of them. Content and names are lost independently.
//!
//! A tree is not watched through writable mappings, streams, O_SYNC or copies inside the kernel:
//! the library ends the process loudly, or makes the caller fall back to `write`. Raw system calls
//! (the `linux_raw` backend of rustix) escape it; [`Report::unseen`] lists the files that show it.

mod content;
mod journal;
mod names;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};

use journal::Journal;

/// The C sources, compiled on first use.
const SOURCES: [(&str, &str); 3] = [
    ("powerloss.h", include_str!("powerloss/powerloss.h")),
    ("powerloss.c", include_str!("powerloss/powerloss.c")),
    ("names.c", include_str!("powerloss/names.c")),
];

/// The number of an inode; all watched directories are on one file system.
type Ino = u64;

/// One run of one process under the library, from before its start to after its death.
#[derive(Debug)]
pub struct PowerLoss {
    library: PathBuf,
    roots: Vec<PathBuf>,
    journal_dir: PathBuf,
    /// Lengths in bytes of the files that were there before the run.
    lengths_before: BTreeMap<Ino, u64>,
}

impl PowerLoss {
    /// Compiles the library if needed and makes the journal directory.
    ///
    /// `roots` must exist. `journal_dir` lies outside of them on the same file system, and is
    /// missing or empty; `crash` removes it, so the next run may use the same path. What is in the
    /// roots now counts as durable.
    ///
    /// # Panics
    /// When any of this does not hold.
    #[must_use]
    pub fn prepare(roots: &[PathBuf], journal_dir: &Path) -> Self {
        let canonical = |path: &Path| fs::canonicalize(path).expect("the directory exists");
        let roots: Vec<PathBuf> = roots.iter().map(|root| canonical(root)).collect();
        fs::create_dir_all(journal_dir).expect("make the journal directory");
        fs::create_dir(journal_dir.join("kept")).expect("the journal directory is empty");
        let journal_dir = canonical(journal_dir);
        for root in &roots {
            assert!(
                !journal_dir.starts_with(root),
                "{} is inside a root",
                journal_dir.display()
            );
        }
        let files = Tree::scan(&roots).files.into_iter();
        let lengths_before = files.map(|(ino, file)| (ino, file.length)).collect();
        Self {
            library: library(),
            roots,
            journal_dir,
            lengths_before,
        }
    }

    /// The environment variables under which the process has to be started, directly and not
    /// through a shell: only one process may change the roots.
    ///
    /// # Panics
    /// When a path cannot stand in a list.
    #[must_use]
    pub fn envs(&self) -> Vec<(String, String)> {
        let text = |path: &Path| path.to_str().expect("test paths are UTF-8").to_owned();
        let roots: Vec<String> = self.roots.iter().map(|root| text(root)).collect();
        let fits = |path: &String| !path.contains([':', ' ']);
        assert!(
            roots.iter().all(fits),
            "LD_PRELOAD and the roots are lists: no colon, no blank"
        );
        assert!(
            fits(&text(&self.library)),
            "LD_PRELOAD takes no colon and no blank"
        );
        vec![
            ("LD_PRELOAD".into(), text(&self.library)),
            ("POWERLOSS_ROOT".into(), roots.join(":")),
            ("POWERLOSS_JOURNAL".into(), text(&self.journal_dir)),
        ]
    }

    /// Loses what was not durable, as `seed` chooses, and says what; every fourth seed (0, 4, 8 ..)
    /// loses all of it. To be called after the process is dead and waited for.
    ///
    /// # Panics
    /// If the library had to give up, because then the run shows nothing.
    #[must_use]
    pub fn crash(self, seed: u64) -> Report {
        if let Ok(message) = fs::read_to_string(self.journal_dir.join("failed")) {
            panic!("the power-loss library gave up: {message}");
        }
        let journal = Journal::read(&self.journal_dir.join("journal"));
        let kept = self.journal_dir.join("kept");
        let tree = Tree::scan(&[std::slice::from_ref(&kept), &self.roots].concat());
        let mut choice = Choice::new(seed);
        let unseen = self.unseen(&journal, &tree);
        let files = content::settle(&journal, &tree, &mut choice);
        let directories = names::settle(&journal, &tree, &kept, &mut choice);
        fs::remove_dir_all(&self.journal_dir).expect("remove the journal");
        Report {
            seed,
            syncs: journal.syncs,
            files,
            directories,
            unseen,
        }
    }

    /// Files that are longer than what was there before and what the journal tells of.
    fn unseen(&self, journal: &Journal, tree: &Tree) -> Vec<PathBuf> {
        let explained = |ino: &Ino| {
            let before = self.lengths_before.get(ino).copied().unwrap_or(0);
            let changes = journal.contents.get(ino).into_iter().flatten();
            changes
                .map(|(_, change)| change.end())
                .max()
                .unwrap_or(0)
                .max(before)
        };
        let longer = tree
            .files
            .iter()
            .filter(|(ino, file)| file.length > explained(ino));
        longer.map(|(_, file)| file.path.clone()).collect()
    }
}

/// What a power loss did, and whether the run can be trusted.
#[derive(Debug)]
pub struct Report {
    /// The seed that chose.
    pub seed: u64,
    /// Successful fsyncs and fdatasyncs of watched files and directories: 0 means that the process
    /// never synced, or that its syncs bypass libc.
    pub syncs: u64,
    /// Files with changes that were not durable.
    pub files: Vec<FileLoss>,
    /// Directories with changes of names that were not durable.
    pub directories: Vec<DirectoryLoss>,
    /// Files with bytes that bypassed libc: the run shows nothing about them.
    pub unseen: Vec<PathBuf>,
}

impl Report {
    /// Fails the test unless the library saw all writes and at least one sync.
    ///
    /// # Panics
    /// With the files that were written past the library.
    pub fn assert_sound(&self) {
        assert!(
            self.unseen.is_empty(),
            "written past the library: {:?}",
            self.unseen
        );
        assert!(
            self.syncs > 0,
            "no sync was seen: they bypass libc, or there were none"
        );
    }

    /// Whether anything was lost, reverted or torn.
    #[must_use]
    pub fn lost_something(&self) -> bool {
        let bytes = self.files.iter().any(|file| file.undone > 0 || file.torn);
        bytes
            || self
                .directories
                .iter()
                .any(|directory| directory.undone > 0)
    }
}

/// What happened to the content of one file.
#[derive(Debug, PartialEq, Eq)]
pub struct FileLoss {
    /// Where the file was when the process died.
    pub path: PathBuf,
    /// Changes that were not durable.
    pub pending: usize,
    /// How many of them were undone entirely, newest first.
    pub undone: usize,
    /// Whether the rest was kept in part only.
    pub torn: bool,
}

/// What happened to the names in one directory.
#[derive(Debug, PartialEq, Eq)]
pub struct DirectoryLoss {
    /// Where the directory was when the process died.
    pub path: PathBuf,
    /// Changes of names that were not durable.
    pub pending: usize,
    /// How many of them were undone, newest first.
    pub undone: usize,
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "power loss with seed {}, after {} syncs",
            self.seed, self.syncs
        )?;
        for FileLoss {
            path,
            pending,
            undone,
            torn,
        } in &self.files
        {
            let torn = if *torn { ", the rest torn" } else { "" };
            writeln!(
                out,
                "  {}: {undone} of {pending} changes undone{torn}",
                path.display()
            )?;
        }
        for DirectoryLoss {
            path,
            pending,
            undone,
        } in &self.directories
        {
            writeln!(
                out,
                "  {}/: {undone} of {pending} names undone",
                path.display()
            )?;
        }
        Ok(())
    }
}

/// The seeded decisions of one power loss (SplitMix64).
struct Choice {
    state: u64,
    /// Lose all that may be lost.
    worst: bool,
}

impl Choice {
    fn new(seed: u64) -> Self {
        Self {
            state: seed,
            worst: seed.is_multiple_of(4),
        }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is at least 1.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn one_in(&mut self, bound: u64) -> bool {
        self.below(bound) == 0
    }
}

/// Where the inodes are.
struct Tree {
    files: BTreeMap<Ino, Found>,
    directories: BTreeMap<Ino, PathBuf>,
}

/// A regular file; of several paths, the one in the last place that was scanned.
struct Found {
    path: PathBuf,
    length: u64,
}

impl Tree {
    /// Finds all below `places`, the last place first.
    fn scan(places: &[PathBuf]) -> Self {
        let mut tree = Self {
            files: BTreeMap::new(),
            directories: BTreeMap::new(),
        };
        let mut todo = places.to_vec();
        while let Some(path) = todo.pop() {
            let metadata = fs::symlink_metadata(&path).expect("stat a watched path");
            if metadata.is_file() {
                let found = Found {
                    path,
                    length: metadata.len(),
                };
                tree.files.entry(metadata.ino()).or_insert(found);
            } else if metadata.is_dir() {
                let entries = fs::read_dir(&path).expect("list a watched directory");
                todo.extend(entries.map(|entry| entry.expect("list a watched directory").path()));
                tree.directories.insert(metadata.ino(), path);
            }
        }
        tree
    }
}

/// The path of the compiled library, among temporary files; compiled once per content.
fn library() -> PathBuf {
    static ATTEMPTS: AtomicU64 = AtomicU64::new(0);
    let mut hash = Choice::new(0);
    for byte in SOURCES.iter().flat_map(|(_, source)| source.bytes()) {
        hash.state = hash.next() ^ u64::from(byte);
    }
    let target = std::env::temp_dir();
    let library = target.join(format!("powerloss-{:016x}.so", hash.next()));
    if library.exists() {
        return library;
    }
    // Other tests may do the same now: each compiles for itself, the last rename wins.
    let attempt = ATTEMPTS.fetch_add(1, Ordering::Relaxed);
    let work = target.join(format!("powerloss-{}-{attempt}", std::process::id()));
    fs::create_dir_all(&work).expect("make a directory to compile in");
    for (name, source) in SOURCES {
        fs::write(work.join(name), source).expect("write the source");
    }
    let mut compiler = Command::new("cc");
    compiler.args(["-Wall", "-Wextra", "-O1", "-shared", "-fPIC", "-pthread"]);
    compiler.args([
        "-fvisibility=hidden",
        "-o",
        "powerloss.so",
        "powerloss.c",
        "names.c",
        "-ldl",
    ]);
    let status = compiler
        .current_dir(&work)
        .status()
        .expect("run cc (Debian package gcc)");
    assert!(status.success(), "cc failed");
    fs::rename(work.join("powerloss.so"), &library).expect("put the library in place");
    fs::remove_dir_all(&work).expect("remove the directory compiled in");
    library
}

/// Opens a directory and gives a path to it that stays valid when it is moved.
fn pinned(path: &Path) -> (File, PathBuf) {
    use std::os::fd::AsRawFd;
    let directory = File::open(path).expect("open a watched directory");
    let stable = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd()));
    (directory, stable)
}

/// The inodes in the order of the numbers that `first` gives them, so that choices depend on the
/// history and not on inode numbers.
fn by_age(inos: BTreeSet<Ino>, first: impl Fn(Ino) -> u64) -> Vec<Ino> {
    let mut ordered: Vec<Ino> = inos.into_iter().collect();
    ordered.sort_by_key(|&ino| first(ino));
    ordered
}
