//! What one client does next.

use super::{Board, Field, Kind, RECENT, push};
use crate::client::{Client, Told};
use crate::record::Place;
use s3_tests::dice::Dice;
use s3_tests::history::{Call, Condition, Versioning};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// How long a client waits after a call that was not answered, at least and at most.
const PAUSE_MS: (u64, u64) = (20, 200);

/// Keys in a page of a list that is to have several pages.
const SMALL_PAGE: usize = 3;

pub(super) struct Worker {
    client: Client,
    field: Arc<Field>,
    dice: Dice,
}

impl Worker {
    pub fn new(client: Client, field: Arc<Field>, dice: Dice) -> Self {
        Self {
            client,
            field,
            dice,
        }
    }

    pub async fn work(mut self) {
        // After a call without an answer a client reads until it is answered: of each write without an
        // answer a history must allow that it happened at any time later.
        let mut is_lost = false;
        let field = Arc::clone(&self.field);
        while !field.is_over.load(Ordering::Relaxed) {
            let track = &field.tracks[self.dice.roll(field.tracks.len() as u64) as usize];
            let Some(place) = field.current(track) else {
                tokio::time::sleep(Duration::from_millis(PAUSE_MS.0)).await;
                continue;
            };
            let Ok(_seat) = field.room[place].try_acquire() else {
                tokio::task::yield_now().await;
                continue;
            };
            let told = if is_lost {
                Some(self.client.call(place, Call::Read).await)
            } else {
                self.step(place, track.kind).await
            };
            match told {
                Some(Told::Answered(outcome)) => {
                    is_lost = false;
                    field.boards[place].lock().note(&outcome);
                }
                Some(Told::Lost | Told::Refused) => {
                    is_lost = true;
                    let pause_ms = PAUSE_MS.0 + self.dice.roll(PAUSE_MS.1 - PAUSE_MS.0);
                    tokio::time::sleep(Duration::from_millis(pause_ms)).await;
                }
                Some(Told::Wrong) | None => {}
            }
        }
    }

    /// One call on a key. None if there was none to make.
    async fn step(&mut self, place: usize, kind: Kind) -> Option<Told> {
        let record = &self.client.shared.record;
        let Place {
            versioning,
            is_mixed,
            ..
        } = record.places[place];
        if is_mixed && self.client.number == 0 && self.dice.roll(4) == 0 {
            return Some(self.toggle(place).await);
        }
        if self.dice.roll(16) == 0 {
            return Some(self.list(place).await);
        }
        let call = match kind {
            Kind::Hot => self.anything(place, versioning != Versioning::Off).await?,
            Kind::Contest => self.creation(place).await?,
        };
        match call {
            Ok(call) => Some(self.client.call(place, call).await),
            Err(told) => Some(told),
        }
    }

    /// A call of any kind, or what became of what had to come before it.
    async fn anything(&mut self, place: usize, is_versioned: bool) -> Option<Result<Call, Told>> {
        Some(Ok(match self.dice.roll(100) {
            0..=24 => {
                let value = self.client.shared.record.new_value(false);
                Call::Put(value, self.condition(place))
            }
            25..=32 => {
                let condition = self.condition(place);
                return Some(self.completion(place, condition).await);
            }
            33..=42 => {
                let condition = self.condition(place);
                Call::Complete(self.recent(place, |board| &board.uploads)?, condition)
            }
            43..=52 => match self.condition(place) {
                Condition::Absent => Call::Delete(Condition::Always),
                condition => Call::Delete(condition),
            },
            53..=70 if is_versioned => {
                Call::DeleteVersion(self.recent(place, |board| &board.versions)?)
            }
            71..=77 if is_versioned => {
                Call::ReadVersion(self.recent(place, |board| &board.versions)?)
            }
            78..=84 if is_versioned => Call::List,
            _ => Call::Read,
        }))
    }

    /// A call in the race for a new key.
    async fn creation(&mut self, place: usize) -> Option<Result<Call, Told>> {
        Some(Ok(match self.dice.roll(20) {
            0..=10 => {
                let value = self.client.shared.record.new_value(false);
                Call::Put(value, Condition::Absent)
            }
            11..=13 => return Some(self.completion(place, Condition::Absent).await),
            14 => {
                let value = self.client.shared.record.new_value(false);
                let condition = Condition::Is(self.recent(place, |board| &board.values)?);
                Call::Put(value, condition)
            }
            15 => Call::Delete(Condition::Always),
            _ => Call::Read,
        }))
    }

    /// The completion of a new upload, when that has all its parts.
    async fn completion(&mut self, place: usize, condition: Condition) -> Result<Call, Told> {
        let Some(value) = self.client.upload(place).await else {
            return Err(Told::Lost);
        };
        push(&mut self.field.boards[place].lock().uploads, value);
        Ok(Call::Complete(value, condition))
    }

    /// Lists the keys of the lane around a place.
    async fn list(&mut self, place: usize) -> Told {
        let record = &self.client.shared.record;
        let Place { bucket, key, .. } = &record.places[place];
        let end = key.rfind('/').map_or(0, |slash| slash + 1);
        let page = if self.dice.roll(2) == 0 {
            SMALL_PAGE
        } else {
            1_000
        };
        let touched = |place| record.counts_of(place).0 > 0;
        self.client.look(bucket, &key[..end], page, touched).await
    }

    async fn toggle(&mut self, place: usize) -> Told {
        let places = &self.client.shared.record.places;
        let same: Vec<usize> = (0..places.len())
            .filter(|other| places[*other].bucket == places[place].bucket)
            .collect();
        let versioning = match self.dice.roll(2) {
            0 => Versioning::Enabled,
            _ => Versioning::Suspended,
        };
        let call = Call::SetVersioning(versioning);
        self.client.call_on(&same, call).await
    }

    fn condition(&mut self, place: usize) -> Condition {
        match self.dice.roll(10) {
            0..=2 => Condition::Absent,
            3..=6 => self
                .recent(place, |board| &board.values)
                .map_or(Condition::Absent, Condition::Is),
            _ => Condition::Always,
        }
    }

    /// One of what was seen of a key lately, mostly the last.
    fn recent<T: Copy>(&mut self, place: usize, of: fn(&Board) -> &VecDeque<T>) -> Option<T> {
        let board = self.field.boards[place].lock();
        let from = of(&board);
        let back = match self.dice.roll(3) {
            0 => self.dice.roll(RECENT as u64) as usize,
            n => n as usize - 1,
        };
        from.iter().rev().nth(back).or(from.front()).copied()
    }
}
