//! The catalogue in RocksDB: the only file of the crate that names it. One column family for shards, one for the
//! state; the write-ahead log is written with every batch and synced on request.

use super::{Catalog, CatalogError, Operation, Pairs, SHARD_KEY_BYTES, Table};
use bytes::Bytes;
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType,
    DBRawIteratorWithThreadMode, ErrorKind, Options, ReadOptions, ReadTier, WriteBatch,
    WriteBufferManager,
};
use std::path::Path;

const SHARDS: &str = "shards";
const STATE: &str = "state";
/// Bytes of one column family's table in memory before it is written out.
const WRITE_BUFFER_BYTES: usize = 8 * 1024 * 1024;
/// Bytes of log after which tables in memory are written out, so that opening a disk stays short.
const LOG_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Files that one catalogue holds open.
const OPEN_FILES_MAX: i32 = 128;

/// Memory that the catalogues of all disks of a process share. Clones share it too.
#[derive(Clone)]
pub struct CatalogMemory {
    blocks: Cache,
    writes: WriteBufferManager,
}

impl std::fmt::Debug for CatalogMemory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CatalogMemory").finish_non_exhaustive()
    }
}

impl CatalogMemory {
    /// `bytes` in all, of which up to half hold what is not yet written to table files.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let blocks = Cache::new_lru_cache(bytes);
        let writes = WriteBufferManager::new_write_buffer_manager_with_cache(
            bytes / 2,
            false,
            blocks.clone(),
        );
        Self { blocks, writes }
    }
}

/// See the module.
pub struct RocksCatalog {
    db: DB,
}

impl std::fmt::Debug for RocksCatalog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RocksCatalog")
            .field("path", &self.db.path())
            .finish_non_exhaustive()
    }
}

impl RocksCatalog {
    /// Opens the catalogue in `directory`, or makes an empty one.
    ///
    /// # Errors
    /// [`CatalogError::Damaged`] when it has to be removed and made again.
    pub fn open(directory: &Path, memory: &CatalogMemory) -> Result<Self, CatalogError> {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_max_open_files(OPEN_FILES_MAX);
        options.set_max_total_wal_size(LOG_BYTES_MAX);
        options.set_write_buffer_manager(&memory.writes);
        options.set_keep_log_file_num(4);
        options.set_max_log_file_size(1024 * 1024);
        options.set_stats_dump_period_sec(0);
        let family = |name| ColumnFamilyDescriptor::new(name, table_options(memory));
        DB::open_cf_descriptors(&options, directory, [family(SHARDS), family(STATE)])
            .map(|db| Self { db })
            .map_err(open_error)
    }

    fn family(&self, table: Table) -> &ColumnFamily {
        let name = match table {
            Table::Shards => SHARDS,
            Table::State => STATE,
        };
        self.db
            .cf_handle(name)
            .expect("both column families were opened")
    }
}

fn table_options(memory: &CatalogMemory) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(&memory.blocks);
    table.set_bloom_filter(10.0, false);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    options.set_compression_type(DBCompressionType::Lz4);
    options.set_write_buffer_size(WRITE_BUFFER_BYTES);
    options
}

/// A catalogue that cannot be opened for what is in it is made again; one that cannot be read is not:
/// the device may come back.
fn open_error(error: rocksdb::Error) -> CatalogError {
    let reason = error.to_string();
    // RocksDB reports a missing table file as an I/O error.
    let is_missing_file = error.kind() == ErrorKind::IOError && reason.contains("No such file");
    match error.kind() {
        ErrorKind::Corruption | ErrorKind::InvalidArgument | ErrorKind::NotFound => {
            CatalogError::Damaged(reason)
        }
        _ if is_missing_file => CatalogError::Damaged(reason),
        _ => CatalogError::Io(reason),
    }
}

fn error(error: rocksdb::Error) -> CatalogError {
    match error.kind() {
        ErrorKind::Corruption => CatalogError::Damaged(error.to_string()),
        _ => CatalogError::Io(error.to_string()),
    }
}

impl Catalog for RocksCatalog {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Bytes>, CatalogError> {
        let value = self.db.get_cf(self.family(table), key).map_err(error)?;
        Ok(value.map(Bytes::from))
    }

    fn get_cached(&self, table: Table, key: &[u8]) -> Result<Option<Option<Bytes>>, CatalogError> {
        let mut options = ReadOptions::default();
        options.set_read_tier(ReadTier::BlockCache);
        match self.db.get_cf_opt(self.family(table), key, &options) {
            Ok(value) => Ok(Some(value.map(Bytes::from))),
            Err(e) if e.kind() == ErrorKind::Incomplete => Ok(None),
            Err(e) => Err(error(e)),
        }
    }

    fn scan(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
        limit: usize,
    ) -> Result<Pairs, CatalogError> {
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(to);
        let mut rows: DBRawIteratorWithThreadMode<'_, DB> =
            self.db.raw_iterator_cf_opt(self.family(table), options);
        rows.seek(from);
        let mut pairs = Vec::new();
        while pairs.len() < limit
            && let Some((key, value)) = rows.item()
        {
            pairs.push((Bytes::copy_from_slice(key), Bytes::copy_from_slice(value)));
            rows.next();
        }
        rows.status().map_err(error)?;
        Ok(pairs)
    }

    fn write(&self, operations: Vec<Operation>) -> Result<(), CatalogError> {
        let mut batch = WriteBatch::default();
        for operation in operations {
            match operation {
                Operation::Put(table, key, value) => batch.put_cf(self.family(table), key, value),
                Operation::Delete(table, key) => batch.delete_cf(self.family(table), key),
                Operation::Clear => {
                    let end = [0xff; SHARD_KEY_BYTES + 1];
                    for table in [Table::Shards, Table::State] {
                        batch.delete_range_cf(self.family(table), [].as_slice(), &end);
                    }
                }
            }
        }
        self.db.write(batch).map_err(error)
    }

    fn sync(&self) -> Result<(), CatalogError> {
        self.db.flush_wal(true).map_err(error)
    }
}
