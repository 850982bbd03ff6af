//! Request ids: what a user quotes, and what ties the log lines of a request together.

use std::sync::atomic::{AtomicU64, Ordering};
use types::entropy::Entropy;

/// Gives every request of a process its own id.
#[derive(Debug)]
pub struct RequestIds {
    session: u64,
    next: AtomicU64,
}

/// The id of one request: 16 hexadecimal digits, upper case as S3's are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RequestId {
    session: u64,
    id: u64,
}

impl RequestIds {
    /// Ids of a new process. Two processes share ids only by chance.
    #[must_use]
    pub fn new(entropy: &dyn Entropy) -> Self {
        Self {
            session: entropy.next_u64(),
            next: AtomicU64::new(entropy.next_u64()),
        }
    }

    /// The next id; never the same twice.
    #[must_use]
    pub fn next(&self) -> RequestId {
        // An odd factor makes the step a bijection: ids look unrelated and yet do not repeat.
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        RequestId {
            session: self.session,
            id: count.wrapping_mul(0x9E37_79B9_7F4A_7C15),
        }
    }
}

impl RequestId {
    /// The extended id (x-amz-id-2, HostId): which process answered, and the id.
    #[must_use]
    pub fn host_id(&self) -> String {
        format!("{:016x}{self}", self.session)
    }
}

impl std::fmt::Display for RequestId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016X}", self.id)
    }
}
