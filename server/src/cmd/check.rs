//! `cairn check`: reads everything of a stopped installation and says what is wrong with it.
//!
//! What it verifies: every invariant of the index's records; that every chunk that a record names can be read
//! whole and has the BLAKE3 of its manifest; how many shards are missing; which chunks the disks hold that
//! nothing names. What it does not: that inline bodies have their ETag (their records carry a checksum).

use crate::assemble::Storage;
use crate::cli::CheckData;
use crate::config::Config;
use crate::format;
use anyhow::{Result, ensure};
use futures::StreamExt;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use types::{ChunkId, ChunkRef, PgId};

/// Records read at a time.
const PAGE: usize = 1000;

/// What was found.
#[derive(Debug, Default, Serialize)]
struct Report {
    /// Chunks that records name.
    chunks: u64,
    /// Object bytes in them.
    bytes: u64,
    /// Chunks that could not be read back right.
    damaged: Vec<String>,
    /// Broken invariants of the index.
    index_faults: Vec<String>,
    /// Shards of named chunks that their disk does not have; repair rebuilds them.
    missing_shards: u64,
    /// Chunks that the disks hold and nothing names; garbage collection frees them.
    unknown_chunks: u64,
}

impl Report {
    fn is_sound(&self) -> bool {
        self.damaged.is_empty() && self.index_faults.is_empty()
    }
}

/// Checks, prints, and fails when data is damaged or the index is inconsistent.
pub fn run(command: CheckData) -> Result<()> {
    let config = Config::load(&command.source)?;
    format::require_known(&config)?;
    ensure!(
        config.index_dir.join("CURRENT").exists(),
        "there is no index in {}",
        config.index_dir.display()
    );
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    let report = runtime.block_on(async {
        let (storage, _evidence) = Storage::open(&config).await?;
        let report = check(&storage).await?;
        storage.close().await;
        anyhow::Ok(report)
    })?;
    if command.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        print(&report);
    }
    ensure!(report.is_sound(), "the installation is damaged");
    Ok(())
}

fn print(report: &Report) {
    println!("{} chunks with {} bytes", report.chunks, report.bytes);
    println!(
        "{} shards missing (repair rebuilds them)",
        report.missing_shards
    );
    println!(
        "{} chunks that nothing names (garbage collection frees them)",
        report.unknown_chunks
    );
    report
        .damaged
        .iter()
        .for_each(|line| println!("damaged: {line}"));
    report
        .index_faults
        .iter()
        .for_each(|line| println!("index: {line}"));
}

async fn check(storage: &Storage) -> Result<Report> {
    let mut report = Report::default();
    let mut named: BTreeMap<PgId, BTreeSet<ChunkId>> = BTreeMap::new();
    let faults = storage.index.check().await?;
    report
        .index_faults
        .extend(faults.iter().map(ToString::to_string));
    for partition in storage.index.partitions() {
        let mut cursor = None;
        loop {
            let page = storage.index.scan_chunks(partition, cursor, PAGE).await?;
            for chunk in page.chunks {
                if named.entry(chunk.pg).or_default().insert(chunk.id) {
                    read_chunk(storage, whole(chunk), &mut report).await;
                }
            }
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
    }
    count_shards(storage, &named, &mut report).await?;
    Ok(report)
}

/// The reference to all of the chunk, where `chunk` may be a slice of it.
fn whole(chunk: ChunkRef) -> ChunkRef {
    let length = chunk.written_bytes();
    ChunkRef {
        skip: 0,
        length,
        full_length: 0,
        ..chunk
    }
}

async fn read_chunk(storage: &Storage, chunk: ChunkRef, report: &mut Report) {
    report.chunks += 1;
    let (name, length) = (
        format!("chunk {} of group {}", chunk.id, chunk.pg),
        chunk.length,
    );
    let mut stream = std::pin::pin!(storage.chunks.read(chunk, 0..length));
    while let Some(piece) = stream.next().await {
        match piece {
            Ok(bytes) => report.bytes += bytes.len() as u64,
            Err(error) => report.damaged.push(format!("{name}: {error}")),
        }
    }
}

/// Compares what the disks of each group hold with what is named.
async fn count_shards(
    storage: &Storage,
    named: &BTreeMap<PgId, BTreeSet<ChunkId>>,
    report: &mut Report,
) -> Result<()> {
    let view = storage.chunks.view();
    let none = BTreeSet::new();
    for (pg, group) in &view.groups {
        let named = named.get(pg).unwrap_or(&none);
        let mut held: BTreeMap<(ChunkId, u32), usize> = BTreeMap::new();
        for disk in storage
            .chunks
            .disks()
            .iter()
            .filter(|disk| group.disks.contains(&disk.disk()))
        {
            let mut after = None;
            loop {
                let page = disk.list(*pg, after, PAGE).await?;
                for shard in &page {
                    *held.entry((shard.key.chunk, shard.key.stripe)).or_default() += 1;
                }
                after = page.last().map(|shard| shard.key);
                if page.len() < PAGE {
                    break;
                }
            }
        }
        let unknown: BTreeSet<ChunkId> = held
            .keys()
            .map(|(chunk, _)| *chunk)
            .filter(|chunk| !named.contains(chunk))
            .collect();
        report.unknown_chunks += unknown.len() as u64;
        let known = held.iter().filter(|((chunk, _), _)| named.contains(chunk));
        report.missing_shards += known
            .map(|(_, count)| group.profile.shards().saturating_sub(*count) as u64)
            .sum::<u64>();
    }
    Ok(())
}
