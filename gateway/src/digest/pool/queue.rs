//! Which bodies are hashed when, and together: the decisions of the pool, without its threads.
//!
//! Bytes may wait as long as nobody waits for them, and bodies that wait are hashed together almost for
//! the price of one. So a body is hashed when it is awaited, because it has ended or holds much, and all
//! others that have something ready are hashed with it. Without an awaited one the workers begin when half
//! of the bodies, or of the lanes, are ready: at once where there is just one body.

use super::{AWAITED_BYTES, HELD_BYTES_MAX, PIECE_BYTES, READY_BYTES, REST_BYTES, SLICE_BYTES};
use bytes::Bytes;
use md5_lanes::{Digest, Md5};
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use tokio::sync::{Notify, oneshot};

/// A body of the queue.
pub(super) type BodyId = u64;

/// How much a body wants to be hashed. A body stands in the line of its rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rank {
    /// Not at all, or a worker has it.
    Idle,
    /// It has enough to be worth a lane.
    Ready,
    /// Someone waits for it, or soon will.
    Awaited,
}

struct Body {
    /// `None` while a worker has it.
    md5: Option<Md5>,
    pieces: VecDeque<Bytes>,
    /// Bytes of the pieces.
    bytes: usize,
    rank: Rank,
    /// The sender waits for room.
    full: bool,
    /// The sender waits until nothing is held.
    drains: bool,
    room: Arc<Notify>,
    /// Who is told the digest; there will be no more pieces.
    done: Option<oneshot::Sender<Digest>>,
}

impl Body {
    /// Memory that the pieces hold, small as they may be.
    fn held_bytes(&self) -> usize {
        self.bytes + self.pieces.len() * PIECE_BYTES
    }

    fn wanted_rank(&self) -> Rank {
        let held = self.held_bytes();
        let is_awaited = self.done.is_some() || self.drains;
        match self.md5 {
            None => Rank::Idle,
            Some(_) if is_awaited || held >= AWAITED_BYTES => Rank::Awaited,
            Some(_) if held >= READY_BYTES => Rank::Ready,
            Some(_) => Rank::Idle,
        }
    }

    /// The first pieces, up to a slice of bytes; the last one is cut.
    fn take_slice(&mut self) -> Vec<Bytes> {
        let mut slice = Vec::new();
        let mut room = SLICE_BYTES;
        while room > 0
            && let Some(piece) = self.pieces.front_mut()
        {
            let part = piece.split_to(piece.len().min(room));
            if piece.is_empty() {
                self.pieces.pop_front();
            }
            room -= part.len();
            self.bytes -= part.len();
            slice.push(part);
        }
        slice
    }
}

/// What a worker has in hand of one body.
pub(super) struct Slice {
    id: BodyId,
    pub(super) md5: Md5,
    pub(super) pieces: Vec<Bytes>,
}

/// What is left to do at the end of a body.
pub(super) enum Ending {
    /// So little that it is not worth a worker.
    Rest(Md5, VecDeque<Bytes>),
    /// A worker will tell.
    Awaited(oneshot::Receiver<Digest>),
}

/// All bodies that are being hashed. A body is in at most one worker's hands.
pub(super) struct Queue {
    bodies: HashMap<BodyId, Body>,
    last_id: BodyId,
    ready: VecDeque<BodyId>,
    awaited: VecDeque<BodyId>,
    workers: usize,
    workers_max: usize,
    /// One of the workers has begun, and taken nothing yet: it may be all that the work needs.
    is_called: bool,
    /// Bodies that are hashed together.
    width: usize,
}

impl Queue {
    pub(super) fn new(width: usize, workers_max: usize) -> Self {
        Self {
            bodies: HashMap::new(),
            last_id: 0,
            ready: VecDeque::new(),
            awaited: VecDeque::new(),
            workers: 0,
            workers_max,
            is_called: false,
            width,
        }
    }

    /// Enters a body; `room` will be notified once after each [`Queue::push`] that found it full.
    pub(super) fn open(&mut self, room: Arc<Notify>) -> BodyId {
        self.last_id += 1;
        let body = Body {
            md5: Some(Md5::new()),
            pieces: VecDeque::new(),
            bytes: 0,
            rank: Rank::Idle,
            full: false,
            drains: false,
            room,
            done: None,
        };
        self.bodies.insert(self.last_id, body);
        self.last_id
    }

    /// Forgets a body and what it holds, but for what a worker has in hand.
    pub(super) fn close(&mut self, id: BodyId) {
        let Some(body) = self.bodies.remove(&id) else {
            return;
        };
        if let Some(line) = self.line(body.rank) {
            line.retain(|other| *other != id);
        }
    }

    /// Adds a piece to a body; whether the sender must wait for room before the next one.
    pub(super) fn push(&mut self, id: BodyId, piece: Bytes) -> bool {
        let body = self.body(id);
        assert!(
            body.done.is_none() && !body.full,
            "a sender waits when it is told to, and ends once"
        );
        body.bytes += piece.len();
        body.pieces.push_back(piece);
        body.full = body.held_bytes() >= HELD_BYTES_MAX;
        let full = body.full;
        self.line_up(id);
        full
    }

    /// Whether something of a body is held. Then its sender, who adds nothing meanwhile, is notified once it is
    /// not.
    pub(super) fn drain(&mut self, id: BodyId) -> bool {
        let body = self.body(id);
        body.drains = body.md5.is_none() || !body.pieces.is_empty();
        let drains = body.drains;
        self.line_up(id);
        drains
    }

    /// Ends a body.
    pub(super) fn end(&mut self, id: BodyId) -> Ending {
        let body = self.body(id);
        if body.bytes <= REST_BYTES
            && let Some(md5) = body.md5.take()
        {
            let pieces = std::mem::take(&mut body.pieces);
            self.close(id);
            return Ending::Rest(md5, pieces);
        }
        let (done, digest) = oneshot::channel();
        body.done = Some(done);
        self.line_up(id);
        Ending::Awaited(digest)
    }

    /// Whether one more worker is to begin; it is counted then.
    pub(super) fn begin_worker(&mut self) -> bool {
        if self.is_called || self.workers == self.workers_max || !self.is_due() {
            return false;
        }
        self.workers += 1;
        self.is_called = true;
        true
    }

    /// What a worker hashes next: the awaited, and beside them the ready. Empty when the worker is
    /// to end, and is not counted any more.
    pub(super) fn take(&mut self) -> Vec<Slice> {
        self.is_called = false;
        if !self.is_due() {
            self.workers -= 1;
            return Vec::new();
        }
        let mut slices = Vec::with_capacity(self.width);
        while slices.len() < self.width
            && let Some(id) = self.next_in_line()
        {
            let body = self.body(id);
            body.rank = Rank::Idle;
            let md5 = body.md5.take();
            slices.push(Slice {
                id,
                md5: md5.expect("a body in line is in no worker's hands"),
                pieces: body.take_slice(),
            });
        }
        slices
    }

    /// Takes back what a worker has hashed, and tells those who wait for it.
    pub(super) fn give_back(&mut self, slices: Vec<Slice>) {
        for Slice { id, md5, .. } in slices {
            let Some(body) = self.bodies.get_mut(&id) else {
                continue;
            };
            if body.pieces.is_empty()
                && let Some(done) = body.done.take()
            {
                // Who has gone away needs no digest.
                let _ = done.send(md5.finish());
                self.bodies.remove(&id);
                continue;
            }
            body.md5 = Some(md5);
            if body.drains && body.pieces.is_empty() {
                body.drains = false;
                body.room.notify_one();
            }
            if body.full && body.held_bytes() <= HELD_BYTES_MAX / 2 {
                body.full = false;
                body.room.notify_one();
            }
            self.line_up(id);
        }
    }

    /// Whether there is work for a worker.
    fn is_due(&self) -> bool {
        let enough = self.bodies.len().min(self.width).div_ceil(2);
        !self.awaited.is_empty() || self.ready.len() >= enough.max(1)
    }

    fn next_in_line(&mut self) -> Option<BodyId> {
        self.awaited.pop_front().or_else(|| self.ready.pop_front())
    }

    /// Puts a body into the line of its rank.
    fn line_up(&mut self, id: BodyId) {
        let body = self.body(id);
        let (old, new) = (body.rank, body.wanted_rank());
        if old == new {
            return;
        }
        body.rank = new;
        if let Some(line) = self.line(old) {
            line.retain(|other| *other != id);
        }
        if let Some(line) = self.line(new) {
            line.push_back(id);
        }
    }

    fn line(&mut self, rank: Rank) -> Option<&mut VecDeque<BodyId>> {
        match rank {
            Rank::Idle => None,
            Rank::Ready => Some(&mut self.ready),
            Rank::Awaited => Some(&mut self.awaited),
        }
    }

    fn body(&mut self, id: BodyId) -> &mut Body {
        let body = self.bodies.get_mut(&id);
        body.expect("a body is in the queue until it is closed or told its digest")
    }
}

#[cfg(test)]
mod tests;
