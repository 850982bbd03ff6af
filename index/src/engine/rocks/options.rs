//! How RocksDB is set up, and why.

use super::family::Family;
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamilyDescriptor, DBCompressionType, DBRecoveryMode, LogLevel,
    Options,
};
use std::path::PathBuf;
use types::Finalised;

/// Entries in a row among which deletions are counted, and deletions among them that make RocksDB compact their
/// file soon: a scan reads through deletions until they are compacted away.
const DELETIONS: (usize, usize) = (4096, 2048);

/// Where the database lies and what it may use.
#[derive(Debug, Clone)]
pub struct RocksOptions {
    /// Folder of the database; made if it is not there.
    pub dir: PathBuf,
    /// Bytes of blocks, indexes and filters kept in memory, for all families together.
    pub block_cache_bytes: usize,
    /// Bytes of writes kept in memory, for all families together.
    pub write_buffer_bytes: usize,
    /// Files that RocksDB keeps open at the most.
    pub max_open_files: i32,
    /// Free bytes of the device below which batches that add data are refused.
    pub reserve_bytes: u64,
    /// Free bytes of the device below which deletes are refused too, since RocksDB could no longer write
    /// its log.
    pub floor_bytes: u64,
    /// The format of what is written.
    pub finalised: Finalised,
}

impl RocksOptions {
    /// The usual sizes, for a database in `dir`.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            block_cache_bytes: 128 * 1024 * 1024,
            write_buffer_bytes: 64 * 1024 * 1024,
            max_open_files: 512,
            reserve_bytes: 512 * 1024 * 1024,
            floor_bytes: 128 * 1024 * 1024,
            finalised: Finalised::default(),
        }
    }

    pub(super) fn database(&self) -> Options {
        let mut options = Options::default();
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_paranoid_checks(true);
        // Strict, since the unfinished record that a crash may leave was cut off before (see `log`):
        // whatever else is wrong with the log would lose acknowledged data.
        options.set_wal_recovery_mode(DBRecoveryMode::AbsoluteConsistency);
        // A log file that is missing, or shorter than it was when it was synced and closed, is an error.
        options.set_track_and_verify_wals_in_manifest(true);
        // The log is kept until every family has written its part to files: a family that is seldom
        // written would keep it for ever without a bound.
        options.set_max_total_wal_size(4 * self.write_buffer_bytes as u64);
        options.set_db_write_buffer_size(self.write_buffer_bytes);
        options.set_max_open_files(self.max_open_files);
        options.set_max_background_jobs(2);
        options.set_bytes_per_sync(1024 * 1024);
        options.set_log_level(LogLevel::Warn);
        options.set_keep_log_file_num(4);
        options.set_max_log_file_size(4 * 1024 * 1024);
        options
    }

    pub(super) fn families(&self) -> Vec<ColumnFamilyDescriptor> {
        let cache = Cache::new_lru_cache(self.block_cache_bytes);
        Family::ALL
            .map(|family| ColumnFamilyDescriptor::new(family.name(), self.family(family, &cache)))
            .into()
    }

    fn family(&self, family: Family, cache: &Cache) -> Options {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_block_cache(cache);
        // Inside the cache, so that their memory is bounded with it.
        blocks.set_cache_index_and_filter_blocks(true);
        blocks.set_pin_l0_filter_and_index_blocks_in_cache(true);
        blocks.set_block_size(16 * 1024);
        if family == Family::Default {
            // A PUT asks for keys that are mostly absent. Bodies are only asked for when they are there,
            // and the log's keys rise, so absent ones lie past the end of its files.
            blocks.set_bloom_filter(10.0, false);
            blocks.set_whole_key_filtering(true);
        }
        let mut options = Options::default();
        options.set_block_based_table_factory(&blocks);
        options.set_compression_type(DBCompressionType::Lz4);
        options.set_write_buffer_size(self.write_buffer_bytes / 2);
        options.set_max_write_buffer_number(3);
        let (window, deletions) = DELETIONS;
        options.add_compact_on_deletion_collector_factory(window, deletions, 0.0);
        options
    }
}
