//! Random histories of changes and syncs, and what of them a power loss has to leave.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Commands of a history.
const STEPS: usize = 60;
/// Both exist and are durable from the start.
const DIRECTORIES: [&str; 2] = [".", "d"];
const NAMES: [&str; 4] = ["a", "b", "c", "e"];
const LENGTH_MAX: u64 = 30_000;

/// Which file each name of a directory leads to.
type Names = BTreeMap<&'static str, usize>;

/// A script for the child, and the states that it goes through.
pub struct History {
    lines: Vec<String>,
    /// Files in the order of their creation.
    files: Vec<Content>,
    /// Per directory: the names at its last sync, then after each change.
    states: [Vec<Names>; 2],
    random: u64,
}

#[derive(Default)]
struct Content {
    now: Vec<u8>,
    durable: Vec<u8>,
    changed: bool,
}

impl History {
    /// Makes the history of a seed.
    pub fn random(seed: u64) -> Self {
        let states = [vec![Names::new()], vec![Names::new()]];
        let lines = ["mkdir d".to_owned(), "syncdir .".to_owned()].into();
        let random = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut history = Self {
            lines,
            files: Vec::new(),
            states,
            random,
        };
        for step in 0..STEPS {
            history.step(step);
        }
        history
    }

    /// The commands for the child.
    pub fn script(&self) -> String {
        self.lines.join("\n") + "\n"
    }

    /// A number below `bound` (xorshift).
    fn below(&mut self, bound: u64) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from((self.random >> 8) % bound).expect("64-bit")
    }

    fn names(&self, directory: usize) -> &Names {
        self.states[directory]
            .last()
            .expect("at least the durable state")
    }

    fn change_names(&mut self, directory: usize, change: impl FnOnce(&mut Names)) {
        let mut names = self.names(directory).clone();
        change(&mut names);
        self.states[directory].push(names);
    }

    fn step(&mut self, step: usize) {
        let (directory, name, other) = (self.below(2), NAMES[self.below(4)], NAMES[self.below(4)]);
        let path = format!("{}/{name}", DIRECTORIES[directory]);
        let Some(&file) = self.names(directory).get(name) else {
            let file = self.files.len();
            self.files.push(Content::default());
            self.change_names(directory, |names| {
                assert!(names.insert(name, file).is_none())
            });
            return self.lines.push(format!("create {path}"));
        };
        let line = match self.below(13) {
            0 => {
                self.change_names(directory, |names| assert!(names.remove(name).is_some()));
                format!("unlink {path}")
            }
            1 | 2 if name != other && self.names(directory).get(other) != Some(&file) => {
                self.change_names(directory, |names| {
                    names.remove(name);
                    names.insert(other, file);
                });
                format!("rename {path} {}/{other}", DIRECTORIES[directory])
            }
            3 => {
                let target = 1 - directory;
                if self.names(target).contains_key(other) {
                    return;
                }
                self.change_names(target, |names| assert!(names.insert(other, file).is_none()));
                format!("link {path} {}/{other}", DIRECTORIES[target])
            }
            4 => {
                let names = self.names(directory).clone();
                self.states[directory] = vec![names];
                format!("syncdir {}", DIRECTORIES[directory])
            }
            5 | 6 => {
                let length = self.below(LENGTH_MAX);
                self.files[file].now.resize(length, 0);
                self.files[file].changed = true;
                format!("resize {path} {length}")
            }
            7 | 8 => {
                self.files[file].durable = self.files[file].now.clone();
                self.files[file].changed = false;
                format!("sync {path}")
            }
            9 => {
                let (length, byte) = (1 + self.below(LENGTH_MAX), byte_of(step));
                let content = &mut self.files[file];
                content.changed = true;
                let start = if step.is_multiple_of(2) {
                    content.now.len()
                } else {
                    0
                };
                content.now.resize(start, 0);
                content
                    .now
                    .resize(start + length, u8::try_from(byte).expect("ASCII"));
                let verb = if start == 0 { "replace" } else { "append" };
                format!("{verb} {path} {length} {byte}")
            }
            _ => self.write(file, step, &path),
        };
        self.lines.push(line);
    }

    fn write(&mut self, file: usize, step: usize, path: &str) -> String {
        let (offset, length) = (self.below(LENGTH_MAX), 1 + self.below(LENGTH_MAX));
        let byte = byte_of(step);
        self.files[file].changed = true;
        let now = &mut self.files[file].now;
        if now.len() < offset + length {
            now.resize(offset + length, 0);
        }
        now[offset..offset + length].fill(u8::try_from(byte).expect("ASCII"));
        format!("write {path} {offset} {length} {byte}")
    }

    /// Compares a directory after the power loss: in the worst case nothing may be left that was
    /// not synced; else names may be those of any time since the sync of their directory. `inodes`
    /// are those of the files, in the order of their creation.
    pub fn check(&self, inodes: &[u64], root: &Path, worst: bool) -> Result<(), String> {
        assert_eq!(inodes.len(), self.files.len());
        for (directory, states) in DIRECTORIES.iter().zip(&self.states) {
            let found = self.check_files(inodes, &root.join(directory), worst)?;
            let possible = if worst { &states[..1] } else { &states[..] };
            if !possible.contains(&found) {
                return Err(format!("{directory}: {found:?} is none of {possible:?}"));
            }
        }
        Ok(())
    }

    fn check_files(&self, inodes: &[u64], path: &Path, worst: bool) -> Result<Names, String> {
        let mut found = Names::new();
        for name in NAMES {
            let path = path.join(name);
            let Ok(metadata) = fs::metadata(&path) else {
                continue;
            };
            let index = inodes.iter().position(|&ino| ino == metadata.ino());
            let index = index.ok_or_else(|| format!("{} is a new file", path.display()))?;
            let content = &self.files[index];
            let bytes = fs::read(&path).expect("read");
            if (worst || !content.changed) && bytes != content.durable {
                return Err(format!("{} is not what was synced", path.display()));
            }
            found.insert(name, index);
        }
        Ok(found)
    }
}

/// A printable byte of its own for each step.
fn byte_of(step: usize) -> char {
    char::from(b'0' + u8::try_from(step).expect("few steps"))
}

/// The inodes that the child said it created, in order.
pub fn inodes(lines: &[String]) -> Vec<u64> {
    let said = lines
        .iter()
        .filter_map(|line| line.strip_prefix("created "));
    said.map(|ino| ino.parse().expect("a number")).collect()
}
