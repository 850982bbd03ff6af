//! What a writer holds in memory, and how it gets rid of it, for callers who share memory out.

use super::ObjectWriter;
use crate::error::WriteError;
use bytes::Bytes;
use types::PgClass;

impl ObjectWriter {
    /// Waits for the oldest stripe that is under way; false when there is none. Its memory is free then.
    ///
    /// # Errors
    /// As [`ObjectWriter::write`].
    pub async fn settle_oldest(&mut self) -> Result<bool, WriteError> {
        if self.in_flight.is_empty() {
            return Ok(false);
        }
        self.settle().await?;
        Ok(true)
    }

    /// Whole stripes that are held in memory: those under way, and those that wait to be laid out, as they do
    /// after their group has failed.
    #[must_use]
    pub fn stripes_held(&self) -> usize {
        self.in_flight.len() + self.waiting_bytes() / self.stripe_bytes
    }

    /// Bytes of the stripe that is being filled.
    #[must_use]
    pub fn filling_bytes(&self) -> u64 {
        (self.buffer.len() + self.waiting_bytes() % self.stripe_bytes) as u64
    }

    fn waiting_bytes(&self) -> usize {
        self.backlog.iter().map(Bytes::len).sum()
    }

    /// Makes everything durable that was given so far and keeps nothing of it in memory: the chunk ends
    /// here. False for an object that may be small, of which nothing is sent before its end.
    ///
    /// # Errors
    /// As [`ObjectWriter::write`].
    pub async fn flush(&mut self) -> Result<bool, WriteError> {
        if self.class != Some(PgClass::Striped) {
            return Ok(false);
        }
        self.advance(true).await?;
        self.close_chunk();
        Ok(true)
    }
}
