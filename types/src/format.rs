//! The format of an installation: one number for everything that its nodes store and send each other, and which
//! numbers this binary knows.
//!
//! | format | what it added |
//! |---|---|
//! | 1 | everything there is |
//!
//! What an older binary can pass over needs no new format: an unknown field of a record is kept (`wire.rs`). A new kind
//! of record, another envelope, or a field without which the rest means something else does need one. Whoever writes
//! such a thing asks [`Finalised`] first, so that until the operator finalises the new format the previous binary can
//! read everything; what reads it takes both.

use crate::wire::{DecodeError, Field, Input};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A format. Where none is told it is the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FormatVersion(pub u32);

impl FormatVersion {
    /// The first there was.
    pub const FIRST: Self = Self(1);
    /// The oldest that this binary reads and writes.
    pub const OLDEST: Self = Self::FIRST;
    /// The newest. With the feature `next-format` it is one that a test of upgrades has made up.
    pub const NEWEST: Self = Self(if cfg!(feature = "next-format") { 2 } else { 1 });
}

const _: () = assert!(FormatVersion::OLDEST.0 <= FormatVersion::NEWEST.0);

impl Default for FormatVersion {
    fn default() -> Self {
        Self::FIRST
    }
}

impl fmt::Display for FormatVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl Field for FormatVersion {
    fn put(&self, out: &mut Vec<u8>) {
        self.0.put(out);
    }
    fn take(bytes: Input<'_>) -> Result<Self, DecodeError> {
        u32::take(bytes).map(Self)
    }
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

crate::record! {
    /// The formats that a binary reads and writes.
    pub struct FormatRange {
        /// The oldest.
        1 => oldest: FormatVersion,
        /// The newest.
        2 => newest: FormatVersion,
    }
}

/// Why a binary cannot work with what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// A newer binary finalised it.
    #[error(
        "format {found} has been finalised, and this Cairn knows formats up to {newest} only: start the newer version \
         that was in use"
    )]
    TooNew {
        /// What was finalised.
        found: FormatVersion,
        /// What the binary knows.
        newest: FormatVersion,
    },
    /// Versions were skipped.
    #[error(
        "format {found} is the one that was finalised, and this Cairn knows formats from {oldest} on only: start a version \
         that knows both, finalise with it (`cairn admin finalise`), and upgrade to this one then"
    )]
    TooOld {
        /// What was finalised.
        found: FormatVersion,
        /// What the binary knows.
        oldest: FormatVersion,
    },
}

impl FormatRange {
    /// Those of this binary.
    #[must_use]
    pub fn own() -> Self {
        Self {
            oldest: FormatVersion::OLDEST,
            newest: FormatVersion::NEWEST,
            ..Self::default()
        }
    }

    /// Whether `found` is one of them.
    ///
    /// # Errors
    /// It is none, with what to do.
    pub fn check(&self, found: FormatVersion) -> Result<(), FormatError> {
        let (oldest, newest) = (self.oldest, self.newest);
        if found > newest {
            return Err(FormatError::TooNew { found, newest });
        }
        if found < oldest {
            return Err(FormatError::TooOld { found, oldest });
        }
        Ok(())
    }
}

impl fmt::Display for FormatRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.oldest == self.newest {
            return write!(f, "{}", self.newest);
        }
        write!(f, "{}-{}", self.oldest, self.newest)
    }
}

/// The format that may be written now: a handle that all writers of a process share. It begins with the oldest, which
/// is always right, and is raised once the directories of the process remember that an older binary must not use them.
#[derive(Debug, Clone)]
pub struct Finalised(Arc<AtomicU32>);

impl Default for Finalised {
    fn default() -> Self {
        Self(Arc::new(AtomicU32::new(FormatVersion::OLDEST.0)))
    }
}

impl Finalised {
    /// The format to write.
    #[must_use]
    pub fn get(&self) -> FormatVersion {
        FormatVersion(self.0.load(Ordering::Acquire))
    }

    /// Has this format written from now on; it is never lowered.
    ///
    /// # Panics
    /// This binary does not know the format.
    pub fn raise(&self, to: FormatVersion) {
        assert!(
            FormatRange::own().check(to).is_ok(),
            "a format is checked before it is written"
        );
        self.0.fetch_max(to.0, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(oldest: u32, newest: u32) -> FormatRange {
        FormatRange {
            oldest: FormatVersion(oldest),
            newest: FormatVersion(newest),
            ..FormatRange::default()
        }
    }

    #[test]
    fn what_a_binary_does_not_know_is_refused_with_what_to_do() {
        let range = range(2, 3);
        let said = |found| {
            let checked = range.check(FormatVersion(found));
            checked.map_err(|error| error.to_string())
        };
        assert!(said(1).unwrap_err().contains("cairn admin finalise"));
        assert_eq!((said(2), said(3)), (Ok(()), Ok(())));
        assert!(said(4).unwrap_err().contains("newer version"));
    }

    #[test]
    fn who_tells_no_format_knows_the_first() {
        let none = FormatRange::decode(bytes::Bytes::new()).unwrap();
        assert_eq!(none, range(1, 1));
        assert_eq!(range(1, 2).encode(), [2, 1, 2]);
    }

    #[test]
    fn the_handle_begins_with_what_every_binary_reads_and_is_shared() {
        let handle = Finalised::default();
        let other = handle.clone();
        assert_eq!(handle.get(), FormatVersion::OLDEST);
        handle.raise(FormatVersion::NEWEST);
        assert_eq!(other.get(), FormatVersion::NEWEST);
        other.raise(FormatVersion::OLDEST);
        assert_eq!(handle.get(), FormatVersion::NEWEST, "it is never lowered");
    }

    #[test]
    #[should_panic(expected = "checked before it is written")]
    fn a_format_that_this_binary_does_not_know_is_never_written() {
        Finalised::default().raise(FormatVersion(FormatVersion::NEWEST.0 + 1));
    }
}
