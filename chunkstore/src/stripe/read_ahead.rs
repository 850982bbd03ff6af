//! Answers in the order of their questions, the next ones asked for only while the first keeps us waiting:
//! what is in the page cache is read when it is its turn, and is still in the processor's cache when it is
//! sent; what comes from a device is fetched while the one before is on its way.

use futures::future::{FutureExt, MaybeDone, maybe_done};
use futures::stream::Stream;
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

/// See the module. `I` gives the futures; they do nothing before they are polled.
pub(crate) struct ReadAhead<I: Iterator<Item: Future>> {
    waiting: I,
    under_way: VecDeque<Pin<Box<MaybeDone<I::Item>>>>,
    under_way_max: usize,
}

impl<I: Iterator<Item: Future>> ReadAhead<I> {
    /// At most `under_way_max` futures are under way, or done and not yet given out, at once.
    pub fn new(futures: I, under_way_max: usize) -> Self {
        Self {
            waiting: futures,
            under_way: VecDeque::with_capacity(under_way_max),
            under_way_max,
        }
    }

    /// Takes the next one up; false when there is none.
    fn begin(&mut self) -> bool {
        let next = self.waiting.next().map(|next| Box::pin(maybe_done(next)));
        let is_one = next.is_some();
        self.under_way.extend(next);
        is_one
    }
}

impl<I: Iterator<Item: Future> + Unpin> Stream for ReadAhead<I> {
    type Item = <I::Item as Future>::Output;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.under_way.is_empty() && !self.begin() {
            return Poll::Ready(None);
        }
        let mut at = 0;
        while at < self.under_way.len() {
            let is_done = self.under_way[at].poll_unpin(cx).is_ready();
            if is_done && at == 0 {
                let mut first = self.under_way.pop_front().expect("it was just polled");
                return Poll::Ready(first.as_mut().take_output());
            }
            at += 1;
            if at == self.under_way.len() && at < self.under_way_max {
                self.begin();
            }
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests;
