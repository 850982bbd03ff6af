//! Faults, and which happen when: a pure function of the seed.

#[cfg(test)]
mod tests;

use s3_tests::dice::Dice;
use std::fmt;
use std::time::Duration;

/// Something that goes wrong. Zones and disks are counted from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The zone's process gets SIGKILL, and is started again at the end.
    Kill {
        /// Whose process.
        zone: usize,
    },
    /// The zone's process is stopped (SIGSTOP), and goes on at the end.
    Freeze {
        /// Whose process.
        zone: usize,
    },
    /// The zone loses power: its process dies, and with it what no fsync has covered. It is started again
    /// at the end.
    PowerLoss {
        /// Whose power.
        zone: usize,
        /// Chooses what is lost.
        seed: u64,
    },
    /// Nothing from these zones gets to those.
    Cut {
        /// Where it comes from.
        from: Vec<usize>,
        /// Where it does not arrive.
        to: Vec<usize>,
        /// Whether nothing comes back either.
        is_both_ways: bool,
    },
    /// The zone is cut off from all others and from the clients.
    Isolate {
        /// Which.
        zone: usize,
    },
    /// What the zone sends comes late, and some of it never.
    Delay {
        /// Which.
        zone: usize,
        /// How late, in milliseconds, at most; half of it at least.
        ms: u32,
        /// How many packets of a thousand are lost.
        lost_per_mille: u32,
    },
    /// Everything on a disk is deleted. It does not come back.
    DeleteDisk {
        /// Whose disk.
        zone: usize,
        /// Which one.
        disk: usize,
    },
    /// A disk has no room until the end.
    FillDisk {
        /// Whose disk.
        zone: usize,
        /// Which one.
        disk: usize,
    },
    /// Each read and each sync of a disk takes so much longer until the end.
    SlowDisk {
        /// Whose disk.
        zone: usize,
        /// Which one.
        disk: usize,
        /// Milliseconds.
        ms: u32,
    },
    /// Bits of the volumes on a disk are flipped. They stay so.
    FlipBits {
        /// Whose disk.
        zone: usize,
        /// Which one.
        disk: usize,
        /// How many.
        bits: u64,
        /// Chooses which.
        seed: u64,
    },
    /// The zone's wall clock is off until the end.
    Skew {
        /// Whose clock.
        zone: usize,
        /// By how much.
        seconds: i64,
    },
}

/// The kinds of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// [`Fault::Kill`].
    Kill,
    /// [`Fault::Freeze`].
    Freeze,
    /// [`Fault::PowerLoss`].
    PowerLoss,
    /// [`Fault::Cut`].
    Cut,
    /// [`Fault::Isolate`].
    Isolate,
    /// [`Fault::Delay`].
    Delay,
    /// [`Fault::DeleteDisk`].
    DeleteDisk,
    /// [`Fault::FillDisk`].
    FillDisk,
    /// [`Fault::SlowDisk`].
    SlowDisk,
    /// [`Fault::FlipBits`].
    FlipBits,
    /// [`Fault::Skew`].
    Skew,
}

impl Kind {
    /// Whether bytes that were durable are gone afterwards.
    #[must_use]
    pub fn destroys(self) -> bool {
        matches!(self, Self::DeleteDisk | Self::FlipBits)
    }
}

/// What faults can be about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// How many zones there are.
    pub zones: usize,
    /// Disks of each.
    pub disks: usize,
    /// What can be done to them.
    pub kinds: Vec<Kind>,
}

/// A fault of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// When it begins.
    pub at: Duration,
    /// How long it acts.
    pub lasts: Duration,
    /// What it is.
    pub fault: Fault,
}

/// Before the first fault, and after the last one.
const QUIET: Duration = Duration::from_secs(3);

/// From the beginning of a fault to that of the next, in milliseconds, at least and less than.
const PACE_MS: (u64, u64) = (500, 6_000);

/// How long a fault acts, in milliseconds, at least and less than.
const LASTS_MS: (u64, u64) = (500, 9_000);

/// How far a clock is off at most, in seconds, in a fault of each size: no further than the 15 minutes at which a server
/// refuses what clients have signed. From one fault to the next a clock may go twice as far, so operation ids grow too
/// old for some.
const SKEW_S: [u64; 3] = [2, 60, 800];

/// The faults of a run, by their beginning. They may overlap. Bytes are destroyed on one disk of the region
/// at most: what is written while a zone is away may have no more than one shard to spare.
#[must_use]
pub fn schedule(seed: u64, duration: Duration, shape: &Shape) -> Vec<Step> {
    let mut dice = Dice::new(seed ^ 0x0C4A_0500);
    let mut steps = Vec::new();
    let mut kinds = shape.kinds.clone();
    let mut at = QUIET;
    let last = duration.saturating_sub(QUIET);
    while at < last && !kinds.is_empty() {
        let kind = kinds[dice.roll(kinds.len() as u64) as usize];
        if kind.destroys() {
            kinds.retain(|other| !other.destroys());
        }
        let lasts_ms = LASTS_MS.0 + dice.roll(LASTS_MS.1 - LASTS_MS.0);
        steps.push(Step {
            at,
            lasts: Duration::from_millis(lasts_ms).min(last - at),
            fault: fault(kind, &mut dice, shape),
        });
        at += Duration::from_millis(PACE_MS.0 + dice.roll(PACE_MS.1 - PACE_MS.0));
    }
    steps
}

fn fault(kind: Kind, dice: &mut Dice, shape: &Shape) -> Fault {
    let zone = dice.roll(shape.zones as u64) as usize;
    let disk = dice.roll(shape.disks as u64) as usize;
    match kind {
        Kind::Kill => Fault::Kill { zone },
        Kind::Freeze => Fault::Freeze { zone },
        Kind::PowerLoss => Fault::PowerLoss {
            zone,
            seed: dice.roll(1 << 20),
        },
        Kind::Cut => {
            // Some zones against the others, or one against one.
            let is_pair = dice.roll(2) == 0;
            let other = (zone + 1 + dice.roll(shape.zones as u64 - 1) as usize) % shape.zones;
            let to = (0..shape.zones).filter(|n| *n != zone && (!is_pair || *n == other));
            let (from, to) = (vec![zone], to.collect());
            let (from, to) = if dice.roll(2) == 0 {
                (from, to)
            } else {
                (to, from)
            };
            Fault::Cut {
                from,
                to,
                is_both_ways: dice.roll(2) == 0,
            }
        }
        Kind::Isolate => Fault::Isolate { zone },
        Kind::Delay => Fault::Delay {
            zone,
            ms: 1 + dice.roll(300) as u32,
            lost_per_mille: dice.roll(3) as u32 * dice.roll(100) as u32,
        },
        Kind::DeleteDisk => Fault::DeleteDisk { zone, disk },
        Kind::FillDisk => Fault::FillDisk { zone, disk },
        Kind::SlowDisk => Fault::SlowDisk {
            zone,
            disk,
            ms: 20 + dice.roll(1_500) as u32,
        },
        Kind::FlipBits => Fault::FlipBits {
            zone,
            disk,
            bits: 1 + dice.roll(64),
            seed: dice.roll(1 << 20),
        },
        Kind::Skew => {
            let limit = SKEW_S[dice.roll(SKEW_S.len() as u64) as usize];
            Fault::Skew {
                zone,
                seconds: dice.roll(2 * limit) as i64 - limit as i64,
            }
        }
    }
}

impl Fault {
    /// The zone whose process or disks it is about; none where it is about the network.
    #[must_use]
    pub fn zone(&self) -> Option<usize> {
        match self {
            Self::Kill { zone }
            | Self::Freeze { zone }
            | Self::PowerLoss { zone, .. }
            | Self::DeleteDisk { zone, .. }
            | Self::FillDisk { zone, .. }
            | Self::SlowDisk { zone, .. }
            | Self::FlipBits { zone, .. }
            | Self::Skew { zone, .. } => Some(*zone),
            Self::Cut { .. } | Self::Isolate { .. } | Self::Delay { .. } => None,
        }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::Kill { .. } => Kind::Kill,
            Self::Freeze { .. } => Kind::Freeze,
            Self::PowerLoss { .. } => Kind::PowerLoss,
            Self::Cut { .. } => Kind::Cut,
            Self::Isolate { .. } => Kind::Isolate,
            Self::Delay { .. } => Kind::Delay,
            Self::DeleteDisk { .. } => Kind::DeleteDisk,
            Self::FillDisk { .. } => Kind::FillDisk,
            Self::SlowDisk { .. } => Kind::SlowDisk,
            Self::FlipBits { .. } => Kind::FlipBits,
            Self::Skew { .. } => Kind::Skew,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill { zone } => write!(f, "kill -9 of zone {zone}"),
            Self::Freeze { zone } => write!(f, "zone {zone} is stopped"),
            Self::PowerLoss { zone, .. } => write!(f, "zone {zone} loses power"),
            Self::Cut {
                from,
                to,
                is_both_ways,
            } => {
                let arrow = if *is_both_ways { "<->" } else { "->" };
                write!(f, "cut {from:?} {arrow} {to:?}")
            }
            Self::Isolate { zone } => write!(f, "zone {zone} is cut off"),
            Self::Delay {
                zone,
                ms,
                lost_per_mille,
            } => write!(
                f,
                "zone {zone} sends {ms} ms late, {lost_per_mille} of 1000 lost"
            ),
            Self::DeleteDisk { zone, disk } => write!(f, "disk {zone}.{disk} is deleted"),
            Self::FillDisk { zone, disk } => write!(f, "disk {zone}.{disk} is full"),
            Self::SlowDisk { zone, disk, ms } => {
                write!(f, "disk {zone}.{disk} is {ms} ms slower")
            }
            Self::FlipBits {
                zone, disk, bits, ..
            } => write!(f, "{bits} bits of disk {zone}.{disk} flip"),
            Self::Skew { zone, seconds } => write!(f, "clock of zone {zone} is {seconds} s off"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, lasts) = (self.at.as_secs_f64(), self.lasts.as_secs_f64());
        write!(f, "{at:6.1} s for {lasts:4.1} s: {}", self.fault)
    }
}
