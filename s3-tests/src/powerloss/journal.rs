//! Reads the journal that the library wrote; its layout is drawn in `tests/powerloss/powerloss.h`.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use super::Ino;

/// Fields before the payload, each a little-endian u64.
const FIELDS: usize = 9;

/// All that the process did to watched files, in order, and what of it became durable.
#[derive(Default)]
pub struct Journal {
    /// The changes of each file's content, each with its number.
    pub contents: BTreeMap<Ino, Vec<(u64, Change)>>,
    /// The changes of names.
    pub entries: Vec<Entry>,
    /// Per file or directory: the number up to which its changes are durable.
    pub durable: BTreeMap<Ino, u64>,
    /// Successful syncs.
    pub syncs: u64,
}

/// A change of a file's content, told by what it destroyed.
pub enum Change {
    /// Nothing changed yet: the bytes at `offset` that the next change destroys.
    Saved { offset: u64, bytes: Vec<u8> },
    /// Bytes from `offset` to `end` were written; what was below `old_size` and not saved was zero.
    Written {
        offset: u64,
        end: u64,
        old_size: u64,
    },
    /// The length was set.
    Resized { size: u64, old_size: u64 },
}

impl Change {
    /// How long the file is at most because of this change, in bytes.
    pub fn end(&self) -> u64 {
        match self {
            Self::Saved { .. } => 0,
            Self::Written { end, .. } => *end,
            Self::Resized { size, .. } => *size,
        }
    }
}

/// One atomic change of one name, or of two (a rename).
pub struct Entry {
    pub number: u64,
    pub names: Vec<NameChange>,
}

/// What one name in one directory led to before and after; 0 is nothing.
pub struct NameChange {
    pub directory: Ino,
    pub name: OsString,
    pub old: Ino,
    pub new: Ino,
}

impl Journal {
    /// Reads a journal. The last record may be cut short by the kill: what it announces did not
    /// begin, or did not return. No file is an empty journal. Panics on anything else.
    pub fn read(path: &Path) -> Self {
        let bytes = match fs::read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            read => read.expect("read the journal"),
        };
        let mut journal = Self::default();
        let mut rest = bytes.as_slice();
        while let Some((fields, payload, next)) = split_record(rest) {
            journal.add(fields, payload);
            rest = next;
        }
        journal
    }

    fn add(&mut self, fields: [u64; FIELDS], payload: &[u8]) {
        let [kind, number, a, b, c, d, e, f, _] = fields;
        let change = match kind {
            1 => Change::Saved {
                offset: b,
                bytes: payload.to_vec(),
            },
            2 => Change::Written {
                offset: b,
                end: b + c,
                old_size: d,
            },
            3 => Change::Resized {
                size: b,
                old_size: d,
            },
            4 => {
                let mut names = payload.split(|&byte| byte == 0);
                let mut name = || OsString::from_vec(names.next().expect("a name").to_vec());
                let mut changes = vec![NameChange {
                    directory: a,
                    name: name(),
                    old: b,
                    new: c,
                }];
                if d != 0 {
                    changes.push(NameChange {
                        directory: d,
                        name: name(),
                        old: e,
                        new: f,
                    });
                }
                return self.entries.push(Entry {
                    number,
                    names: changes,
                });
            }
            5 => return self.entries.retain(|entry| entry.number != number),
            6 => {
                self.syncs += 1;
                let durable = self.durable.entry(a).or_default();
                return *durable = number.max(*durable);
            }
            _ => panic!("the journal is damaged: a record of kind {kind}"),
        };
        self.contents.entry(a).or_default().push((number, change));
    }

    /// The number up to which the changes of a file or directory are durable.
    pub fn durable(&self, ino: Ino) -> u64 {
        self.durable.get(&ino).copied().unwrap_or(0)
    }
}

/// Splits the first record off: fields, payload, the rest. None if it is not complete.
fn split_record(bytes: &[u8]) -> Option<([u64; FIELDS], &[u8], &[u8])> {
    let (header, rest) = bytes.split_at_checked(FIELDS * 8)?;
    let mut fields = [0; FIELDS];
    for (field, word) in fields.iter_mut().zip(header.chunks_exact(8)) {
        *field = u64::from_le_bytes(word.try_into().expect("chunks of 8"));
    }
    let payload_bytes = usize::try_from(fields[FIELDS - 1]).expect("64-bit");
    let (payload, rest) = rest.split_at_checked(payload_bytes)?;
    Some((fields, payload, rest))
}
