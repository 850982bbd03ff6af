//! How versions of a key sort, everywhere.
//!
//! An [`Order`] is hybrid logical time and home: 48 bits of milliseconds and a 16-bit counter, the
//! home region, and that home's epoch. The owner of a partition assigns it when a version is
//! committed, greater than every order the key already has, so the newest version is the greatest
//! in every region (Kulkarni et al., "Logical Physical Clocks", 2014).

use crate::ids::RegionId;

/// The place of a version among the versions of its key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Order {
    /// Hybrid logical time: `milliseconds << 16 | counter`.
    pub time: u64,
    /// The region that gave the order.
    pub region: RegionId,
    /// Epoch of that home when it gave the order; raised by a promotion.
    pub epoch: u32,
}

impl Order {
    /// Bytes of [`Order::to_bytes`].
    pub const LEN: usize = 14;

    /// The first order given at `now_ms` milliseconds, or, when the clock has not moved past `last`,
    /// the one right after `last`.
    #[must_use]
    pub fn after(last: u64, now_ms: u64, region: RegionId, epoch: u32) -> Self {
        let now = now_ms << 16;
        Self {
            time: now.max(last.saturating_add(1)),
            region,
            epoch,
        }
    }

    /// Wall-clock milliseconds of the order, which is what Last-Modified shows.
    #[must_use]
    pub fn millis(self) -> u64 {
        self.time >> 16
    }

    /// The order as bytes that sort as it does.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::LEN] {
        let mut bytes = [0; Self::LEN];
        bytes[..8].copy_from_slice(&self.time.to_be_bytes());
        bytes[8..10].copy_from_slice(&self.region.0.to_be_bytes());
        bytes[10..].copy_from_slice(&self.epoch.to_be_bytes());
        bytes
    }

    /// The inverse of [`Order::to_bytes`].
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        let [t0, t1, t2, t3, t4, t5, t6, t7, r0, r1, e0, e1, e2, e3] = bytes;
        Self {
            time: u64::from_be_bytes([t0, t1, t2, t3, t4, t5, t6, t7]),
            region: RegionId(u16::from_be_bytes([r0, r1])),
            epoch: u32::from_be_bytes([e0, e1, e2, e3]),
        }
    }

    /// The order as bytes that sort the other way round: newest first, as `v/` keys are kept.
    #[must_use]
    pub fn to_inverted_bytes(self) -> [u8; Self::LEN] {
        self.to_bytes().map(|byte| !byte)
    }

    /// The inverse of [`Order::to_inverted_bytes`].
    #[must_use]
    pub fn from_inverted_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self::from_bytes(bytes.map(|byte| !byte))
    }
}

#[cfg(test)]
mod tests;
