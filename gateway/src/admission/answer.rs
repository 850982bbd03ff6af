//! The share of an answer that is written whole before it is sent: lists and other XML.

use super::{DOWNLOAD_WAITS, Exhausted, MemoryBudget, UNIT_BYTES};
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

/// What an answer holds: memory to make it with, then what it takes until it is sent. Of the same part of the
/// budget as entries of downloads, which it is one of: clients that do not read it are ended when others wait.
#[derive(Debug)]
pub struct AnswerLease {
    permit: OwnedSemaphorePermit,
}

impl MemoryBudget {
    /// Waits for memory to make an answer that takes up to `bytes` while it is made.
    ///
    /// # Errors
    /// [`Exhausted`]: nothing is held; the client should come back later.
    pub(crate) async fn answer(&self, bytes: u64) -> Result<AnswerLease, Exhausted> {
        let inner = &self.inner;
        let units = inner.downloads.units(bytes);
        let wait = inner.wait * DOWNLOAD_WAITS;
        let permit = inner.take(&inner.downloads, units, wait).await?;
        Ok(AnswerLease { permit })
    }
}

impl AnswerLease {
    /// The finished answer. What it takes is given back when the last piece of it is gone, wherever that lies; what
    /// it does not take, now.
    pub(crate) fn keep(mut self, mut xml: String) -> Bytes {
        xml.shrink_to_fit();
        let units = (xml.len() as u64).div_ceil(UNIT_BYTES).max(1) as usize;
        let spare = self.permit.num_permits().saturating_sub(units);
        drop(self.permit.split(spare));
        Bytes::from_owner(Held { xml, _lease: self })
    }
}

/// A finished answer with its lease.
struct Held {
    xml: String,
    _lease: AnswerLease,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        self.xml.as_bytes()
    }
}
