//! The writer of a disk: one thread (in a simulation, one task) that appends records to the open volume and makes them durable in groups.
//!
//! What has queued up while the device was busy with the last sync, up to 4 MiB, shares the next one; an idle disk
//! syncs at once. A put is answered after the sync *and* after its catalogue entry is visible.

use super::Volume;
use super::format::{Place, ShardHeader, encode_trailer, record_bytes, volume_name};
use crate::catalog::{Checkpoint, Entry};
use crate::disk::DiskFile;
use crate::ledger::Placed;
use crate::shard::PutShardError;
use crate::shared::Shared;
use bytes::Bytes;
use std::io;
use std::sync::Arc;
use std::thread;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::task;
use types::RunOn;

/// Bytes of records after which a group is written.
const GROUP_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Records of a group.
const GROUP_RECORDS_MAX: usize = 256;
/// Bodies up to this size are copied so that several records go to the device in one call.
const COPIED_BODY_BYTES_MAX: usize = 32 * 1024;

/// A record to be made durable.
pub(crate) struct Put {
    pub header: ShardHeader,
    /// Verified against the header's checksums.
    pub body: Bytes,
    /// For a copy made by compaction: where from. Copies may use the reserve.
    pub moved_from: Option<Place>,
    /// Room in the queue.
    pub permit: Option<OwnedSemaphorePermit>,
    pub span: tracing::Span,
    pub done: oneshot::Sender<Result<(), PutShardError>>,
}

/// What the writer is asked for.
pub(crate) enum Request {
    Put(Box<Put>),
    /// Ends the volume if it is the open one, so that it can be compacted.
    Seal(u64, oneshot::Sender<Result<(), PutShardError>>),
}

/// The volume that records are appended to.
#[derive(Debug)]
pub(crate) struct OpenVolume {
    pub number: u64,
    pub file: Arc<dyn DiskFile>,
    /// Bytes up to the end of the last durable record.
    pub end: u64,
}

/// The writer at work.
#[derive(Debug)]
pub(crate) enum Running {
    Thread(thread::JoinHandle<()>),
    Task(task::JoinHandle<()>),
}

/// See the module.
pub(crate) struct Writer {
    shared: Arc<Shared>,
    queue: mpsc::Receiver<Request>,
    open: Option<OpenVolume>,
    /// Number of the next volume; numbers are never used again.
    next_number: u64,
    /// Headers, trailers and small bodies on their way to the device.
    buffer: Vec<u8>,
}

impl Writer {
    pub fn new(
        shared: Arc<Shared>,
        queue: mpsc::Receiver<Request>,
        open: Option<OpenVolume>,
        next_number: u64,
    ) -> Self {
        Self {
            shared,
            queue,
            open,
            next_number,
            buffer: Vec::new(),
        }
    }

    /// Starts it; it ends when every sender of its queue is gone and all is written.
    pub fn start(self, run_on: RunOn) -> io::Result<Running> {
        match run_on {
            RunOn::Tasks => Ok(Running::Task(Handle::current().spawn(self.run_as_task()))),
            RunOn::Threads => {
                let thread = thread::Builder::new().name("disk-writer".to_owned());
                Ok(Running::Thread(thread.spawn(move || self.run())?))
            }
        }
    }

    fn run(mut self) {
        while let Some(first) = self.queue.blocking_recv() {
            self.take_group(first);
        }
    }

    async fn run_as_task(mut self) {
        while let Some(first) = self.queue.recv().await {
            self.take_group(first);
        }
    }

    /// Does what is asked for, together with what waits behind it.
    fn take_group(&mut self, first: Request) {
        let mut group = Vec::new();
        let mut bytes = 0;
        let mut next = Some(first);
        let mut seal = None;
        while let Some(request) = next.take() {
            match request {
                Request::Put(put) => {
                    bytes += put.header.record_bytes();
                    group.push(*put);
                }
                Request::Seal(volume, done) => {
                    seal = Some((volume, done));
                    break;
                }
            }
            if bytes < GROUP_BYTES_MAX && group.len() < GROUP_RECORDS_MAX {
                next = self.queue.try_recv().ok();
            }
        }
        self.write_group(group);
        if let Some((volume, done)) = seal {
            let is_open = self.open.as_ref().is_some_and(|open| open.number == volume);
            let _ = done.send(if is_open { self.begin_volume() } else { Ok(()) });
        }
    }

    /// Makes a group durable, one volume at a time, and answers every put of it.
    fn write_group(&mut self, group: Vec<Put>) {
        let mut waiting = self.within_room(group);
        while let Some(first) = waiting.first() {
            let needed = first.header.record_bytes();
            if let Err(error) = self.make_room_in_volume(needed) {
                return answer(waiting, &Err(error));
            }
            let open = self.open.as_ref().expect("a volume was made ready");
            let mut end = open.end;
            let fitting = waiting
                .iter()
                .take_while(|put| {
                    end += put.header.record_bytes();
                    end <= self.shared.room.volume_bytes
                })
                .count();
            // A record larger than a volume has one of its own.
            let rest = waiting.split_off(fitting.max(1));
            let result = self.write_run(&waiting);
            answer(std::mem::replace(&mut waiting, rest), &result);
        }
    }

    /// Answers Full to the puts that there is no room for, and gives back the others.
    fn within_room(&self, group: Vec<Put>) -> Vec<Put> {
        let room = match self.shared.writable_bytes() {
            Ok(room) => room,
            Err(error) => {
                answer(group, &Err(self.failed("asking for room", &error)));
                return Vec::new();
            }
        };
        let mut used = 0;
        let mut accepted = Vec::with_capacity(group.len());
        for put in group {
            let bytes = put.header.record_bytes();
            let is_move = put.moved_from.is_some();
            if used + bytes
                <= if is_move {
                    room.for_moves
                } else {
                    room.for_puts
                }
            {
                used += bytes;
                accepted.push(put);
            } else {
                answer(vec![put], &Err(self.full()));
            }
        }
        accepted
    }

    fn make_room_in_volume(&mut self, bytes: u64) -> Result<(), PutShardError> {
        self.shared.check_writable()?;
        match &self.open {
            Some(open) if open.end == 0 || open.end + bytes <= self.shared.room.volume_bytes => {
                Ok(())
            }
            _ => self.begin_volume(),
        }
    }

    /// Makes a new volume, its name durable and the checkpoint in it, and appends there from now on.
    fn begin_volume(&mut self) -> Result<(), PutShardError> {
        self.shared.check_writable()?;
        let number = self.next_number;
        let shared = Arc::clone(&self.shared);
        let file = match shared.disk.create(&volume_name(number)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::StorageFull => return Err(self.full()),
            Err(error) => return Err(self.broken("making a volume", &error)),
        };
        self.next_number += 1;
        if let Err(error) = shared.disk.sync_dir() {
            return Err(self.broken("syncing the directory", &error));
        }
        let start = Checkpoint {
            volume: number,
            ..Checkpoint::default()
        };
        let entered = shared.ledger.enter(Vec::new(), Some(start));
        if let Err(error) = entered.and_then(|()| shared.ledger.sync()) {
            return Err(self.broken("moving the checkpoint", &error));
        }
        shared.volumes.insert(
            number,
            Volume {
                file: Arc::clone(&file),
                bytes: 0,
            },
        );
        self.open = Some(OpenVolume {
            number,
            file,
            end: 0,
        });
        Ok(())
    }

    /// Writes the records to the open volume, syncs it, and enters them in the catalogue.
    fn write_run(&mut self, run: &[Put]) -> Result<(), PutShardError> {
        let shared = Arc::clone(&self.shared);
        let started = shared.clock.monotonic();
        let open = self.open.take().expect("a volume was made ready");
        let (placed, end) = match self.append(&open, run) {
            Ok(appended) => appended,
            Err(error) if error.kind() == io::ErrorKind::StorageFull => {
                // What was appended is cut off again; nothing of it was promised.
                if let Err(error) = open.file.truncate(open.end) {
                    return Err(self.broken("cutting off a write that did not fit", &error));
                }
                self.open = Some(open);
                return Err(self.full());
            }
            Err(error) => return Err(self.broken("a write", &error)),
        };
        if let Err(error) = open.file.sync() {
            return Err(self.broken("a sync", &error));
        }
        let checkpoint = Checkpoint {
            volume: open.number,
            offset: end,
            ..Checkpoint::default()
        };
        if let Err(error) = shared.ledger.enter(placed, Some(checkpoint)) {
            return Err(self.broken("entering records in the catalogue", &error));
        }
        shared.volumes.set_bytes(open.number, end);
        let metrics = &shared.metrics;
        metrics.put_shards.increment(run.len() as u64);
        metrics.put_bytes.increment(end - open.end);
        metrics.group_shards.record(run.len() as f64);
        let elapsed = shared.clock.monotonic().saturating_sub(started);
        metrics.sync_seconds.record(elapsed.as_secs_f64());
        for put in run {
            tracing::debug!(parent: &put.span, disk = %shared.id, volume = open.number, group = run.len(), "shard durable");
        }
        self.open = Some(OpenVolume { end, ..open });
        Ok(())
    }

    /// Appends the records behind the end of the volume; gives their entries and the new end.
    fn append(&mut self, open: &OpenVolume, run: &[Put]) -> io::Result<(Vec<Placed>, u64)> {
        let mut placed = Vec::with_capacity(run.len());
        let mut written = open.end;
        let mut offset = open.end;
        self.buffer.clear();
        for put in run {
            let place = Place {
                volume: open.number,
                offset,
            };
            let sum = put.header.encode(self.shared.id, place, &mut self.buffer);
            if put.body.len() <= COPIED_BODY_BYTES_MAX {
                self.buffer.extend_from_slice(&put.body);
            } else {
                open.file.append(written, &self.buffer)?;
                written += self.buffer.len() as u64;
                self.buffer.clear();
                open.file.append(written, &put.body)?;
                written += put.body.len() as u64;
            }
            encode_trailer(put.body.len(), sum, &mut self.buffer);
            let entry = Entry {
                place,
                header: put.header.clone(),
            };
            placed.push(Placed {
                entry,
                moved_from: put.moved_from,
            });
            offset += record_bytes(put.body.len());
        }
        open.file.append(written, &self.buffer)?;
        assert_eq!(
            offset,
            written + self.buffer.len() as u64,
            "records fill their places"
        );
        Ok((placed, offset))
    }

    fn full(&self) -> PutShardError {
        PutShardError::Full {
            disk: self.shared.id,
        }
    }

    fn failed(&self, doing: &str, error: &dyn std::fmt::Display) -> PutShardError {
        PutShardError::Failed {
            disk: self.shared.id,
            reason: format!("{doing} failed: {error}"),
        }
    }

    /// The error for a device that cannot be relied on any more: nothing is written to it from now on.
    fn broken(&self, doing: &str, error: &dyn std::fmt::Display) -> PutShardError {
        self.shared.stop_writes(&format!("{doing} failed: {error}"));
        self.failed(doing, error)
    }
}

fn answer(puts: Vec<Put>, result: &Result<(), PutShardError>) {
    for put in puts {
        // Whoever asked may have gone away; the record is garbage then, or of use to no harm.
        let _ = put.done.send(result.clone());
        drop(put.permit);
    }
}
