//! Answers that are at hand as a whole, on connections that carry others at the same time: HTTP/2. That nobody reads
//! such an answer is not seen on the connection, so it is given out piece by piece and looked after meanwhile.

use crate::admission::{Idle, Looks, MemoryBudget};
use bytes::Bytes;
use futures::stream;
use http_body::Frame;
use http_body_util::StreamBody;
use parking_lot::Mutex;
use s3s::Body;
use std::sync::{Arc, Weak};

/// What a stream is given at once: it keeps what it has been given for as long as its client likes.
const PIECE_BYTES: usize = 16 * 1024;

/// The client did not read it while others waited.
#[derive(Debug, thiserror::Error)]
#[error("the client does not read, and others wait")]
struct Left;

/// What is left of an answer; `None` once it was taken from its client.
struct Parked(Mutex<Option<(Bytes, Looks)>>);

/// A body of `answer`, which goes when nobody reads it and others wait to be let in.
pub(super) fn body(answer: Bytes, budget: &MemoryBudget) -> Body {
    let parked = Arc::new(Parked(Mutex::new(Some((answer, Looks::default())))));
    let watched: Weak<Parked> = Arc::downgrade(&parked);
    budget.watch(watched);
    let pieces = stream::try_unfold(parked, |parked| async {
        let piece = parked.next()?;
        Ok::<_, Left>(piece.map(|piece| (Frame::data(piece), parked)))
    });
    Body::http_body_unsync(StreamBody::new(pieces))
}

impl Parked {
    /// A copy of the next piece: a slice would keep the whole answer.
    fn next(&self) -> Result<Option<Bytes>, Left> {
        let mut state = self.0.lock();
        let (rest, looks) = state.as_mut().ok_or(Left)?;
        *looks = Looks::default();
        let piece = rest.split_to(rest.len().min(PIECE_BYTES));
        Ok((!piece.is_empty()).then(|| Bytes::copy_from_slice(&piece)))
    }
}

impl Idle for Parked {
    fn look(&self, is_entry_wanted: bool) {
        let mut state = self.0.lock();
        if let Some((_, looks)) = state.as_mut() {
            looks.count();
            if is_entry_wanted && looks.is_left() {
                *state = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::BUDGET_BYTES_MIN;
    use http_body_util::BodyExt;
    use std::time::Duration;

    #[tokio::test]
    async fn an_answer_is_given_whole_piece_by_piece() {
        let budget = MemoryBudget::new(BUDGET_BYTES_MIN, Duration::ZERO);
        let answer: Bytes = (0..100_000_u32).map(|n| n as u8).collect();
        let mut parked = body(answer.clone(), &budget);
        let mut given = Vec::new();
        while let Some(frame) = parked.frame().await {
            let piece = frame.unwrap().into_data().unwrap();
            assert!(piece.len() <= PIECE_BYTES);
            given.extend_from_slice(&piece);
        }
        assert!(given == answer);
    }

    #[tokio::test]
    async fn an_answer_that_nobody_reads_makes_room() {
        let budget = MemoryBudget::new(BUDGET_BYTES_MIN, Duration::from_secs(5));
        let lease = budget.answer(BUDGET_BYTES_MIN).await.unwrap();
        let answer = lease.keep("x".repeat(11 << 20));
        let mut unread = body(answer, &budget);
        unread.frame().await.unwrap().unwrap();
        // There is no room for another one until the first is taken from its client.
        budget.answer(BUDGET_BYTES_MIN).await.unwrap();
        let rest = unread.frame().await.unwrap();
        assert!(rest.unwrap_err().to_string().contains("does not read"));
    }
}
