//! Erasure profiles: how many data and parity shards, and what that survives.

use crate::wire::{DecodeError, Field, Input};
use std::fmt;

/// What a profile promises to survive the loss of, one at a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Domain {
    /// A disk; all that a single machine can promise.
    #[default]
    Disk,
    /// A node with all its disks.
    Node,
    /// A zone with all its nodes.
    Zone,
    /// A rack with all its nodes.
    Rack,
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Disk => "disk",
            Self::Node => "node",
            Self::Zone => "zone",
            Self::Rack => "rack",
        })
    }
}

/// `data + parity` shards, of which any `data` give the bytes back. Replication is `data == 1`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ErasureProfile {
    data: u8,
    parity: u8,
}

/// Shards of the widest profile; a `u32` bitmap of shard positions must hold them.
pub const SHARDS_MAX: usize = 32;

impl ErasureProfile {
    /// A profile of `data` and `parity` shards; `None` unless 1 <= data and data + parity <= 32.
    #[must_use]
    pub const fn new(data: u8, parity: u8) -> Option<Self> {
        if data >= 1 && data as usize + parity as usize <= SHARDS_MAX {
            Some(Self { data, parity })
        } else {
            None
        }
    }

    /// The striped profile for one machine with `disks` disks; `None` for none.
    #[must_use]
    pub fn for_disks(disks: usize) -> Option<Self> {
        let (data, parity) = match disks {
            0 => return None,
            1 => (1, 0),
            2 => (1, 1),
            3 => (1, 2),
            4 => (2, 2),
            5 => (3, 2),
            6..=11 => (4, 2),
            _ => (8, 4),
        };
        Self::new(data, parity)
    }

    /// The striped profile and the small-object profile of a chunk cluster over `zones` zones with at least
    /// `disks_per_zone` disks each; `None` when no profile keeps the promise that a zone may fail. Two zones take
    /// copies: with one of them gone, any wider code would be left without a spare.
    #[must_use]
    pub fn for_zones(zones: usize, disks_per_zone: usize) -> Option<(Self, Self)> {
        let (striped, small) = match (zones, disks_per_zone) {
            (0 | 1, _) | (_, 0) => return None,
            (2, 1) => ((1, 1), (1, 1)),
            (2, _) => ((1, 3), (1, 3)),
            (3, 1) => ((1, 2), (1, 2)),
            (3, 2) => ((3, 3), (1, 3)),
            (3, 3 | 4) => ((5, 4), (1, 3)),
            (3, _) => ((9, 6), (1, 3)),
            (4, 1) => ((2, 2), (1, 2)),
            (4, 2) => ((5, 3), (1, 3)),
            (_, 1) => ((3, 2), (1, 2)),
            (_, _) => ((6, 4), (1, 3)),
        };
        Some((
            Self::new(striped.0, striped.1)?,
            Self::new(small.0, small.1)?,
        ))
    }

    /// The small-object profile for one machine with `disks` disks: up to three copies.
    #[must_use]
    pub fn small_for_disks(disks: usize) -> Option<Self> {
        let copies = u8::try_from(disks.min(3)).ok()?;
        Self::new(1, copies.checked_sub(1)?)
    }

    /// Data shards (k).
    #[must_use]
    pub fn data(self) -> usize {
        usize::from(self.data)
    }

    /// Parity shards (m).
    #[must_use]
    pub fn parity(self) -> usize {
        usize::from(self.parity)
    }

    /// All shards (k + m).
    #[must_use]
    pub fn shards(self) -> usize {
        self.data() + self.parity()
    }

    /// Length of each cell of a stripe that holds `stripe_bytes` of object data: data is spread over
    /// the k cells evenly, the last one padded with zeros.
    #[must_use]
    pub fn cell_bytes(self, stripe_bytes: usize) -> usize {
        stripe_bytes.div_ceil(self.data())
    }

    /// Two bytes that name the profile, `k` and `m`, as they stand in formats and checksums.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 2] {
        [self.data, self.parity]
    }
}

impl Default for ErasureProfile {
    /// One copy and no parity.
    fn default() -> Self {
        Self { data: 1, parity: 0 }
    }
}

impl fmt::Display for ErasureProfile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}+{}", self.data, self.parity)
    }
}

impl Field for ErasureProfile {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.to_bytes());
    }
    fn take(bytes: Input<'_>) -> Result<Self, DecodeError> {
        let [data, parity] = <[u8; 2]>::take(bytes)?;
        Self::new(data, parity).ok_or(DecodeError::BadValue {
            what: "erasure profile",
        })
    }
    fn is_default(&self) -> bool {
        false
    }
}

impl Field for Domain {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Disk => 0,
            Self::Node => 1,
            Self::Zone => 2,
            Self::Rack => 3,
        });
    }
    fn take(bytes: Input<'_>) -> Result<Self, DecodeError> {
        match &*bytes {
            [0] => Ok(Self::Disk),
            [1] => Ok(Self::Node),
            [2] => Ok(Self::Zone),
            [3] => Ok(Self::Rack),
            _ => Err(DecodeError::BadValue {
                what: "failure domain",
            }),
        }
    }
    fn is_default(&self) -> bool {
        *self == Self::Disk
    }
}

#[cfg(test)]
mod tests;
