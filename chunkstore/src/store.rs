//! One disk as a [`ShardStore`]: opening and closing it, puts, reads and deletes.

use crate::block;
use crate::catalog::rocks::{CatalogMemory, RocksCatalog};
use crate::catalog::{Catalog, CatalogError};
use crate::disk::{Disk, FileDisk};
use crate::identity::{self, Identity, IdentityError};
use crate::metrics::DiskMetrics;
use crate::recover::{RecoverError, Recovered, RecoveryReport, recover};
use crate::shard::{
    DiskUsage, PutShardError, ReadShardError, ShardBlocks, ShardInfo, ShardKey, ShardRecord,
    ShardStore,
};
use crate::shared::{CATALOG_DAMAGED_FILE, Room, Shared};
use crate::volume::Volumes;
use crate::volume::format::{BODY_BYTES_MAX, ShardHeader};
use crate::volume::writer::{Put, Request, Running, Writer};
use async_trait::async_trait;
use parking_lot::{Mutex, RwLock};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use tokio::sync::{Semaphore, mpsc, oneshot};
use types::{ChunkId, Clock, DiskId, InstallationId, PgId, RegionId, RunOn};

/// Default for the bytes after which a volume is followed by a new one.
pub const VOLUME_BYTES_DEFAULT: u64 = 1 << 30;
/// Bytes of a volume that can be configured: larger ones hold space back too long when compacted.
pub const VOLUME_BYTES_MAX: u64 = 4 << 30;
/// Folder of the catalogue in a disk's directory; made when the disk is first opened.
pub const CATALOG_FOLDER: &str = "catalogue";
/// Records that wait for one disk's writer.
const QUEUE_RECORDS_MAX: usize = 1024;
/// Bytes of records that wait for one disk's writer, in units of [`QUEUE_UNIT_BYTES`].
const QUEUE_UNITS_MAX: usize = 32 * 1024 / 4;
const QUEUE_UNIT_BYTES: u64 = 4 * 1024;

/// How to open a disk.
#[derive(Debug, Clone)]
pub struct DiskConfig {
    /// The disk's directory, which [`identity::format`] has made a disk.
    pub directory: PathBuf,
    /// The installation that the disk must belong to.
    pub installation: InstallationId,
    /// The region that the disk must belong to.
    pub region: RegionId,
    /// Bytes after which a volume is followed by a new one, up to [`VOLUME_BYTES_MAX`].
    pub volume_bytes: u64,
    /// Bytes of the device kept free for deletes and compaction; `None`: 1 % of it, at least 64 MiB, at most
    /// 16 GiB and an eighth.
    pub reserve_bytes: Option<u64>,
    /// Bytes that the disk's volumes may have together; `None`: what the device holds.
    pub capacity_bytes: Option<u64>,
    /// Memory that the catalogues of the process share.
    pub catalog_memory: CatalogMemory,
}

/// Why a disk could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenDiskError {
    /// The directory is not there, cannot be used, or another process owns it.
    #[error("{}: the directory cannot be taken: {error}", directory.display())]
    Directory {
        /// The disk's directory.
        directory: PathBuf,
        /// The device's error.
        error: io::Error,
    },
    /// The identity cannot be read.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The directory has no identity: it is not a disk, or its device is not mounted.
    #[error(
        "{}: there is no identity file. If the device is not mounted, mount it; if this is a new \
         disk, format it first", directory.display()
    )]
    NotADisk {
        /// The directory.
        directory: PathBuf,
    },
    /// The disk belongs to another installation or region.
    #[error(
        "{}: the disk belongs to installation {} in region {}, not to {installation} in region {region}. \
         Remove it from the configuration, or empty the directory if what it holds is not needed",
        directory.display(), found.installation, found.region
    )]
    OtherInstallation {
        /// The disk's directory.
        directory: PathBuf,
        /// Who the disk is.
        found: Box<Identity>,
        /// The installation that was expected.
        installation: InstallationId,
        /// The region that was expected.
        region: RegionId,
    },
    /// The configuration is not possible.
    #[error("volume_bytes is {0}: choose 1 to {VOLUME_BYTES_MAX}")]
    VolumeBytes(u64),
    /// The volumes and the catalogue could not be brought together.
    #[error("{}: {error}", directory.display())]
    Recover {
        /// The disk's directory.
        directory: PathBuf,
        /// What failed.
        error: RecoverError,
    },
}

/// A disk. Dropping it writes what is queued; [`DiskStore::close`] also waits for it off the async threads.
#[derive(Debug)]
pub struct DiskStore {
    pub(crate) shared: Arc<Shared>,
    identity: Identity,
    report: RecoveryReport,
    /// To the writer; `None` once closed.
    queue: RwLock<Option<mpsc::Sender<Request>>>,
    /// Bounds the bytes in the queue.
    queue_room: Arc<Semaphore>,
    writer: Mutex<Option<Running>>,
    run_on: RunOn,
    /// Held by the one compaction that may run.
    pub(crate) compaction: tokio::sync::Mutex<()>,
}

impl DiskStore {
    /// Opens a disk: takes its directory, checks its identity, brings its catalogue up to date and starts its
    /// writer. Blocks for as long as that takes. Runs of a tokio runtime are needed only by its async methods.
    ///
    /// # Errors
    /// [`OpenDiskError`]; nothing of the disk was changed then, but for what recovery had done.
    pub fn open(config: DiskConfig, clock: Arc<dyn Clock>) -> Result<Arc<Self>, OpenDiskError> {
        let DiskConfig {
            directory,
            installation,
            region,
            volume_bytes,
            ..
        } = config;
        if volume_bytes == 0 || volume_bytes > VOLUME_BYTES_MAX {
            return Err(OpenDiskError::VolumeBytes(volume_bytes));
        }
        let io_error = |error| OpenDiskError::Directory {
            directory: directory.clone(),
            error,
        };
        let disk = Arc::new(FileDisk::open(&directory).map_err(io_error)?);
        let found =
            identity::read_on(&*disk, &directory)?.ok_or_else(|| OpenDiskError::NotADisk {
                directory: directory.clone(),
            })?;
        if (found.installation, found.region) != (installation, region) {
            let found = Box::new(found);
            return Err(OpenDiskError::OtherInstallation {
                directory,
                found,
                installation,
                region,
            });
        }
        let recover_error = |error| OpenDiskError::Recover {
            directory: directory.clone(),
            error,
        };
        let folder = directory.join(CATALOG_FOLDER);
        let was_damaged = disk.open(CATALOG_DAMAGED_FILE).is_ok();
        let catalog =
            open_catalog(&folder, was_damaged, &config.catalog_memory).map_err(recover_error)?;
        let room = Room {
            volume_bytes,
            reserve_bytes: config.reserve_bytes,
            capacity_bytes: config.capacity_bytes,
        };
        let disk_again: Arc<dyn Disk> = Arc::clone(&disk) as Arc<dyn Disk>;
        let store = Self::start(
            disk_again,
            Arc::new(catalog),
            found,
            room,
            clock,
            RunOn::Threads,
        )
        .map_err(recover_error)?;
        if was_damaged {
            disk.remove(CATALOG_DAMAGED_FILE)
                .and_then(|()| disk.sync_dir())
                .map_err(io_error)?;
        }
        Ok(store)
    }

    /// Brings disk and catalogue together and starts the writer. With [`RunOn::Tasks`] nothing is left to other
    /// threads; that must be called inside a tokio runtime, and blocks it for as long as the disk takes.
    pub(crate) fn start(
        disk: Arc<dyn Disk>,
        catalog: Arc<dyn Catalog>,
        identity: Identity,
        room: Room,
        clock: Arc<dyn Clock>,
        run_on: RunOn,
    ) -> Result<Arc<Self>, RecoverError> {
        let id = identity.disk;
        let recovered = recover(&*disk, id, catalog)?;
        let Recovered {
            ledger,
            volumes,
            open,
            next_number,
            report,
            read_only,
        } = recovered;
        let shared = Arc::new(Shared {
            disk,
            id,
            volumes: Volumes::new(volumes),
            ledger,
            room,
            clock,
            metrics: DiskMetrics::new(id),
            read_only: OnceLock::new(),
            catalog_damaged: OnceLock::new(),
        });
        shared.metrics.read_only.set(0.0);
        if let Some(reason) = read_only {
            shared.stop_writes(&reason);
        }
        let (sender, receiver) = mpsc::channel(QUEUE_RECORDS_MAX);
        let writer = Writer::new(Arc::clone(&shared), receiver, open, next_number).start(run_on)?;
        tracing::info!(disk = %id, ?report, "disk opened");
        Ok(Arc::new(Self {
            shared,
            identity,
            report,
            queue: RwLock::new(Some(sender)),
            queue_room: Arc::new(Semaphore::new(QUEUE_UNITS_MAX)),
            writer: Mutex::new(Some(writer)),
            run_on,
            compaction: tokio::sync::Mutex::new(()),
        }))
    }

    /// Who the disk is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// What opening it found.
    #[must_use]
    pub fn recovery(&self) -> &RecoveryReport {
        &self.report
    }

    /// Why the disk takes no writes; `None` while it does.
    #[must_use]
    pub fn read_only(&self) -> Option<&str> {
        self.shared.read_only.get().map(String::as_str)
    }

    /// The numbers of its volumes, for [`DiskStore::scrub`], in rising order.
    #[must_use]
    pub fn volumes(&self) -> Vec<u64> {
        self.shared
            .volumes
            .sizes()
            .into_iter()
            .map(|(number, _)| number)
            .collect()
    }

    /// Makes every delete so far durable. (Puts are durable when they return.)
    ///
    /// # Errors
    /// [`ReadShardError::Failed`] when the device fails the sync.
    pub async fn flush(&self) -> Result<(), ReadShardError> {
        self.blocking(|shared| shared.ledger.sync().map_err(|e| shared.catalog_error(e)))
            .await
    }

    /// Writes what is queued, makes everything durable and stops the writer. Later puts fail.
    ///
    /// # Errors
    /// [`ReadShardError::Failed`] when the device fails.
    pub async fn close(&self) -> Result<(), ReadShardError> {
        drop(self.queue.write().take());
        let writer = self.writer.lock().take();
        let thread = match writer {
            Some(Running::Thread(thread)) => Some(thread),
            Some(Running::Task(task)) => {
                task.await.expect("the writer does not panic");
                None
            }
            None => None,
        };
        self.blocking(move |shared| {
            if let Some(thread) = thread {
                thread.join().expect("the writer does not panic");
            }
            shared.ledger.sync().map_err(|e| shared.catalog_error(e))
        })
        .await
    }

    /// Runs what may wait for the device on a thread where that harms nobody, within the request's span.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Shared) -> T + Send + 'static,
    ) -> T {
        if self.run_on == RunOn::Tasks {
            return work(&self.shared);
        }
        let shared = Arc::clone(&self.shared);
        let span = tracing::Span::current();
        tokio::task::spawn_blocking(move || span.in_scope(|| work(&shared)))
            .await
            .expect("the runtime runs the work, which does not panic")
    }

    /// Hands a request to the writer, waiting for room in the queue.
    pub(crate) async fn send(&self, request: Request) -> Result<(), PutShardError> {
        let queue = self.queue.read().clone();
        match queue {
            Some(queue) => queue.send(request).await.map_err(|_| self.closed()),
            None => Err(self.closed()),
        }
    }

    /// Queues a verified record; what is given back tells when it is durable and found.
    pub(crate) async fn send_put(
        &self,
        header: ShardHeader,
        body: bytes::Bytes,
        moved_from: Option<crate::volume::format::Place>,
    ) -> Result<oneshot::Receiver<Result<(), PutShardError>>, PutShardError> {
        let units = u32::try_from(header.record_bytes() / QUEUE_UNIT_BYTES).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.queue_room).acquire_many_owned(units).await;
        let permit = Some(room.expect("the semaphore is never closed"));
        let (done, is_done) = oneshot::channel();
        let span = tracing::Span::current();
        let put = Put {
            header,
            body,
            moved_from,
            permit,
            span,
            done,
        };
        self.send(Request::Put(Box::new(put))).await?;
        Ok(is_done)
    }

    /// The answer of the writer.
    pub(crate) async fn answer(
        &self,
        is_done: oneshot::Receiver<Result<(), PutShardError>>,
    ) -> Result<(), PutShardError> {
        is_done.await.unwrap_or_else(|_| Err(self.closed()))
    }

    fn closed(&self) -> PutShardError {
        // Not ReadOnly, which says something of the device and stays.
        PutShardError::Unreachable {
            disk: self.shared.id,
            reason: "it is closed".to_owned(),
        }
    }
}

impl Drop for DiskStore {
    /// Waits for the writer, so that whoever opens the disk next finds it free.
    fn drop(&mut self) {
        drop(self.queue.get_mut().take());
        if let Some(Running::Thread(thread)) = self.writer.get_mut().take() {
            let _ = thread.join();
        }
    }
}

/// Opens the catalogue; one that is damaged is removed, and made again from the volumes.
fn open_catalog(
    folder: &Path,
    was_damaged: bool,
    memory: &CatalogMemory,
) -> Result<RocksCatalog, RecoverError> {
    if !was_damaged {
        match RocksCatalog::open(folder, memory) {
            Err(CatalogError::Damaged(reason)) => {
                tracing::error!(folder = %folder.display(), reason, "the catalogue is damaged and is made again");
            }
            opened => return Ok(opened?),
        }
    }
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    Ok(RocksCatalog::open(folder, memory)?)
}

/// The header of a record whose body is what its checksums say; `None` for any other.
fn verified_header(record: &ShardRecord) -> Option<ShardHeader> {
    let body_bytes = u32::try_from(record.body.len()).ok()?;
    let is_possible = record.body.len() <= BODY_BYTES_MAX
        && usize::from(record.key.shard) < record.profile.shards();
    let sums = block::checksums(&record.key, record.profile, &record.body);
    if !is_possible || sums != record.block_checksums {
        return None;
    }
    let info = ShardInfo {
        key: record.key,
        pg_version: record.pg_version,
        profile: record.profile,
        bucket: record.bucket,
        manifest: record.manifest,
        stripe_bytes: record.stripe_bytes,
        body_bytes,
    };
    Some(ShardHeader {
        info,
        block_checksums: sums,
    })
}

#[async_trait]
impl ShardStore for DiskStore {
    fn disk(&self) -> DiskId {
        self.shared.id
    }

    /// As the trait says. A shard that is there already is written again and then found in its new place:
    /// so a damaged one is mended by putting it again.
    #[tracing::instrument(level = "debug", skip_all, fields(disk = %self.shared.id))]
    async fn put(&self, record: ShardRecord) -> Result<(), PutShardError> {
        self.shared.check_writable()?;
        let Some(header) = verified_header(&record) else {
            return Err(PutShardError::Damaged {
                disk: self.shared.id,
            });
        };
        let is_done = self.send_put(header, record.body, None).await?;
        self.answer(is_done).await
    }

    #[tracing::instrument(level = "debug", skip_all, fields(disk = %self.shared.id))]
    async fn read(
        &self,
        key: ShardKey,
        first: u32,
        count: u32,
    ) -> Result<ShardBlocks, ReadShardError> {
        if let Some(blocks) = self.shared.read_cached(&key, first, count) {
            self.shared.metrics.reads_cached.increment(1);
            return Ok(blocks);
        }
        self.shared.metrics.reads_waited.increment(1);
        let result = self
            .blocking(move |shared| shared.read(&key, first, count))
            .await;
        if matches!(
            result,
            Err(ReadShardError::Damaged { .. } | ReadShardError::Failed { .. })
        ) {
            self.shared.metrics.reads_failed.increment(1);
        }
        result
    }

    async fn delete(&self, pg: PgId, chunk: ChunkId) -> Result<(), ReadShardError> {
        self.blocking(move |shared| {
            let deleted = shared.ledger.delete_chunk(pg, chunk);
            deleted
                .map(|_| ())
                .map_err(|error| shared.catalog_error(error))
        })
        .await
    }

    async fn list(
        &self,
        pg: PgId,
        after: Option<ShardKey>,
        limit: usize,
    ) -> Result<Vec<ShardInfo>, ReadShardError> {
        self.blocking(move |shared| {
            let listed = shared.ledger.list(pg, after, limit);
            listed.map_err(|error| shared.catalog_error(error))
        })
        .await
    }

    fn usage(&self) -> DiskUsage {
        self.shared.usage()
    }
}

#[cfg(test)]
mod tests;
