//! Identifiers. All are fixed-size, and their byte form sorts as they do.

use crate::entropy::Entropy;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering as Atomic};

macro_rules! number_id {
    ($(#[$doc:meta])* $name:ident($inner:ty)) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $inner);
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

macro_rules! wide_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u128);
        impl $name {
            /// Big-endian bytes, which sort as the identifier does.
            #[must_use]
            pub fn to_bytes(self) -> [u8; 16] {
                self.0.to_be_bytes()
            }
            /// The inverse of `to_bytes`.
            #[must_use]
            pub fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(u128::from_be_bytes(bytes))
            }
            /// Reads the 32 hexadecimal digits that `Display` writes; `None` for anything else.
            #[must_use]
            pub fn parse(text: &str) -> Option<Self> {
                let digits = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
                if digits { u128::from_str_radix(text, 16).ok().map(Self) } else { None }
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:032x}", self.0)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({:032x})"), self.0)
            }
        }
    };
}

number_id!(
    /// A bucket. Never reused. 0 stands for the partition's own records.
    BucketId(u64)
);
number_id!(
    /// A partition of the index: the unit of order, atomicity, feed and ownership. 0 is the control
    /// partition, which also holds this region's replica of the root.
    PartitionId(u32)
);
number_id!(
    /// A chunkstore process.
    NodeId(u32)
);
number_id!(
    /// A zone: a data centre of a region that can fail alone.
    ZoneId(u16)
);
number_id!(
    /// A region.
    RegionId(u16)
);
number_id!(
    /// A chunk cluster of a region.
    ChunkClusterId(u16)
);
number_id!(
    /// A placement group of a chunk cluster.
    PgId(u32)
);

wide_id!(
    /// One installation of Cairn; disks of another are refused.
    InstallationId
);
wide_id!(
    /// A disk: a directory on one device, owned by one node.
    DiskId
);
wide_id!(
    /// A chunk: {48 bits of milliseconds, 48 bits of writer session, 32 bits of counter}. Never reused.
    ChunkId
);
wide_id!(
    /// A manifest: {48 bits of milliseconds, 32 bits of the partition where it was first written, 48
    /// bits of session and counter}. Never reused.
    ManifestId
);
wide_id!(
    /// A multipart upload, of the same shape as a manifest.
    UploadId
);
wide_id!(
    /// The identity of one attempt to change something, kept by all its retries: {48 bits of
    /// milliseconds, 80 random bits}.
    OpId
);
wide_id!(
    /// An object version as S3 shows it: hybrid logical time (64 bits), home region (16), random (48).
    VersionId
);

impl ChunkClusterId {
    /// That of a disk which is in no chunk cluster yet: nothing is placed on it.
    pub const NONE: Self = Self(0);
}

/// Milliseconds that fit the 48 bits an identifier has for them.
const MILLIS_MASK: u64 = (1 << 48) - 1;

fn from_parts(time_ms: u64, rest: u128) -> u128 {
    (u128::from(time_ms & MILLIS_MASK) << 80) | (rest & ((1 << 80) - 1))
}

impl ChunkId {
    /// When the writer took the id, in milliseconds since the Unix epoch. The write deadline and the
    /// orphan age count from it.
    #[must_use]
    pub fn time_ms(self) -> u64 {
        (self.0 >> 80) as u64
    }
}

impl ManifestId {
    /// The partition in which the manifest was first written; its shared record lives there.
    #[must_use]
    pub fn partition(self) -> PartitionId {
        PartitionId((self.0 >> 48) as u32)
    }

    /// When the id was taken, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn time_ms(self) -> u64 {
        (self.0 >> 80) as u64
    }
}

impl UploadId {
    /// When the upload was started, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn time_ms(self) -> u64 {
        (self.0 >> 80) as u64
    }
}

impl OpId {
    /// A new operation id.
    #[must_use]
    pub fn new(time_ms: u64, entropy: &dyn Entropy) -> Self {
        let random =
            (u128::from(entropy.next_u64()) << 16) | u128::from(entropy.next_u64() & 0xffff);
        Self(from_parts(time_ms, random))
    }

    /// When the operation began, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn time_ms(self) -> u64 {
        (self.0 >> 80) as u64
    }

    /// The id with the time `time_ms` if its own is earlier. An id that was sent under its own time is another one.
    #[must_use]
    pub fn not_before(self, time_ms: u64) -> Self {
        let random = self.0 & ((1 << 80) - 1);
        Self(from_parts(self.time_ms().max(time_ms), random))
    }
}

impl VersionId {
    /// Hybrid logical time of the version's order.
    #[must_use]
    pub fn time(self) -> u64 {
        (self.0 >> 64) as u64
    }

    /// The region of the version's order.
    #[must_use]
    pub fn region(self) -> RegionId {
        RegionId((self.0 >> 48) as u16)
    }

    /// The version id of a version with hybrid logical time `time` in `region`.
    #[must_use]
    pub fn new(time: u64, region: RegionId, entropy: &dyn Entropy) -> Self {
        let random = u128::from(entropy.next_u64() & MILLIS_MASK);
        Self((u128::from(time) << 64) | (u128::from(region.0) << 48) | random)
    }
}

/// Gives out chunk, manifest and upload ids, each once: a session drawn at random when the process
/// starts, and a counter.
#[derive(Debug)]
pub struct IdSource {
    session: u64,
    counter: AtomicU64,
}

impl IdSource {
    /// A source with a session of its own.
    #[must_use]
    pub fn new(entropy: &dyn Entropy) -> Self {
        Self {
            session: entropy.next_u64() & MILLIS_MASK,
            counter: AtomicU64::new(0),
        }
    }

    /// The next chunk id at wall-clock time `time_ms`.
    #[must_use]
    pub fn chunk(&self, time_ms: u64) -> ChunkId {
        let count = self.counter.fetch_add(1, Atomic::Relaxed) & 0xffff_ffff;
        ChunkId(from_parts(
            time_ms,
            (u128::from(self.session) << 32) | u128::from(count),
        ))
    }

    /// The next manifest id at wall-clock time `time_ms`, first written in `partition`.
    #[must_use]
    pub fn manifest(&self, time_ms: u64, partition: PartitionId) -> ManifestId {
        ManifestId(self.placed(time_ms, partition))
    }

    /// The next upload id at wall-clock time `time_ms`, kept in `partition`.
    #[must_use]
    pub fn upload(&self, time_ms: u64, partition: PartitionId) -> UploadId {
        UploadId(self.placed(time_ms, partition))
    }

    fn placed(&self, time_ms: u64, partition: PartitionId) -> u128 {
        let count = self.counter.fetch_add(1, Atomic::Relaxed) & 0xff_ffff;
        let unique = (u128::from(self.session & 0xff_ffff) << 24) | u128::from(count);
        from_parts(time_ms, (u128::from(partition.0) << 48) | unique)
    }
}

#[cfg(test)]
mod tests;
