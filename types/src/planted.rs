//! Bugs that are planted to show that the tests of faults notice them. Only a build with the feature `planted` can have
//! one, and only while the environment names it; for use there is no such build.

/// A bug. Each breaks one promise in the one place that keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// A write whose condition was looked at before is published without looking again.
    CheckThenPublish,
    /// Writes are acknowledged before they are on stable storage.
    AckBeforeFsync,
    /// Who was the leader of a partition answers reads without asking whether it still is.
    StaleRead,
    /// The first two shards of a stripe are written in each other's place.
    SwappedShards,
    /// A version that another process moves while it is looked for is taken for gone.
    LostMarker,
}

impl Planted {
    /// Each of them.
    pub const ALL: [Self; 5] = [
        Self::CheckThenPublish,
        Self::AckBeforeFsync,
        Self::StaleRead,
        Self::SwappedShards,
        Self::LostMarker,
    ];

    /// What the environment calls it, in `CAIRN_PLANTED`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::CheckThenPublish => "check-then-publish",
            Self::AckBeforeFsync => "ack-before-fsync",
            Self::StaleRead => "stale-read",
            Self::SwappedShards => "swapped-shards",
            Self::LostMarker => "lost-marker",
        }
    }

    /// Whether this process has it.
    #[must_use]
    pub fn is_here(self) -> bool {
        #[cfg(feature = "planted")]
        {
            static NAMED: std::sync::OnceLock<String> = std::sync::OnceLock::new();
            let named = NAMED.get_or_init(|| std::env::var("CAIRN_PLANTED").unwrap_or_default());
            named == self.name()
        }
        #[cfg(not(feature = "planted"))]
        {
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_planted_unless_it_is_asked_for() {
        assert!(Planted::ALL.iter().all(|bug| !bug.is_here()));
    }
}
