//! What must be true when nothing goes wrong any more.

use crate::background::{Background, WORK};
use crate::disk::LinkFault;
use crate::gateway::{Gateway, Reply};
use crate::record::Place;
use crate::world::{BUCKETS, World, keys};
use index::{Index, ListUploads, VersionRecord};
use s3_tests::history::{Call, Condition, Outcome, Version};
use scheduler::returned;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use types::limits::LIST_KEYS_MAX;
use types::{ChunkId, DiskId, PgId};

/// Time between two rounds of the background work: what counts as observed time in one go.
const PAUSE: Duration = Duration::from_secs(110);
/// Rounds after which the work must be done: deadlines, graces and wrong clocks together are less.
const ROUNDS_MAX: usize = 240;
/// Rounds between two looks.
const ROUNDS_PER_LOOK: usize = 8;
/// Records asked for at once.
const PAGE: usize = 10_000;
/// Who the checks are in the histories.
const CHECKER: usize = 99;

/// Reads every key and list once more, for the histories.
pub(crate) async fn observe(world: &World, gateway: &Gateway) {
    let (record, log) = (&world.record, &world.site.log);
    for place in record.places() {
        let open = record.open(CHECKER);
        match gateway.list_versions(&place).await {
            Err(error) => log.violation(format_args!("{place:?} cannot be listed: {error}")),
            Ok(versions) => {
                let entry = |listed: &index::ListedVersion| {
                    let value = crate::gateway::value_of(&listed.record.etag);
                    let value = value.filter(|_| !listed.record.delete_marker);
                    (record.version(listed.version), value)
                };
                let listed: Vec<(Version, _)> = versions.iter().map(entry).collect();
                log.line(format_args!("{place:?}: {listed:?}"));
                record.close(open, &place, Call::List, Outcome::Listed(listed));
            }
        }
        let open = record.open(CHECKER);
        match gateway.get(&place, None).await {
            Reply::Told(outcome) => record.close(open, &place, Call::Read, outcome),
            other => log.violation(format_args!("{place:?} cannot be read: {other}")),
        }
    }
    for (bucket, _) in BUCKETS {
        let open = record.open(CHECKER);
        match gateway.list(bucket).await {
            Err(error) => log.violation(format_args!("{bucket} cannot be listed: {error}")),
            Ok(listed) => {
                for key in keys() {
                    let shown = listed.iter().find(|(listed, _)| *listed == key);
                    let outcome = Outcome::Shown(shown.and_then(|(_, value)| *value));
                    record.close(open, &(bucket, key), Call::Look, outcome);
                }
            }
        }
    }
}

/// Reads every version of every key that has not lost more by these disks than it was promised to bear.
pub(crate) async fn read_all(world: &World, gateway: &Gateway, gone: &[DiskId], when: &str) {
    let log = &world.site.log;
    for place in world.record.places() {
        let versions = gateway.list_versions(&place).await.unwrap_or_default();
        for listed in versions
            .iter()
            .filter(|listed| !listed.record.delete_marker)
        {
            if !bears(world, gateway, &listed.record, gone).await {
                continue;
            }
            match gateway.get(&place, Some(listed.version)).await {
                Reply::Told(Outcome::Found(..)) => {}
                other => {
                    let etag = &listed.record.etag;
                    log.violation(format_args!(
                        "{when}, {place:?} {etag} cannot be read: {other}"
                    ));
                }
            }
        }
    }
}

/// Whether no chunk of the version is in a group that has lost more disks than it has parity: what was written
/// while few disks were up bears less.
async fn bears(world: &World, gateway: &Gateway, record: &VersionRecord, gone: &[DiskId]) -> bool {
    if gone.is_empty() || record.manifest.inline {
        return true;
    }
    let index = &gateway.machine.index;
    let chunks = index.resolve_chunks(record, 0..record.plain_length).await;
    let view = world.site.keeper.view();
    chunks.unwrap_or_default().iter().all(|placed| {
        let group = &view.groups[&placed.chunk.pg];
        let lost = group.disks.iter().filter(|disk| gone.contains(disk));
        lost.count() <= group.profile.parity()
    })
}

/// Reads everything while these disks are gone.
pub(crate) async fn read_without(world: &World, gateway: &Gateway, gone: [DiskId; 2]) {
    for disk in gone {
        *gateway.machine.links[&disk].lock() = LinkFault::Refused;
    }
    let [one, other] = gone;
    let when = format!("without disks {one} and {other}");
    read_all(world, gateway, &gone, &when).await;
    gateway.machine.heal();
}

/// Lets the background work come to an end; what is not as it should be then is a violation.
pub(crate) async fn settle(world: &World, background: &mut Background, expects_nothing: bool) {
    let log = &world.site.log;
    let mut problems = Vec::new();
    for number in 1..=ROUNDS_MAX {
        tokio::time::sleep(PAUSE).await;
        for work in WORK {
            if let Err(error) = background.round(work).await {
                log.line(format_args!("at the end, {work:?} is given up: {error}"));
            }
        }
        if number % ROUNDS_PER_LOOK == 0 {
            problems = look(world, &background.machine.index, expects_nothing).await;
            if problems.is_empty() {
                log.line(format_args!("settled after {number} rounds"));
                break;
            }
        }
    }
    for problem in problems {
        log.violation(format_args!("it does not settle: {problem}"));
    }
    match background.machine.index.check().await {
        Ok(broken) => broken
            .iter()
            .for_each(|broken| log.violation(format_args!("{broken}"))),
        Err(error) => log.violation(format_args!("the index cannot be read: {error}")),
    }
}

/// What is not as it should be once all work is done.
async fn look(world: &World, index: &Index, expects_nothing: bool) -> Vec<String> {
    let mut problems = Vec::new();
    let named = match waiting(world, index, &mut problems).await {
        Ok(named) => named,
        Err(error) => return vec![error],
    };
    let stored = stored(world, &mut problems).await;
    for (pg, chunk) in stored.keys().filter(|id| !named.contains(id)) {
        problems.push(format!("chunk {chunk} of group {pg} has no name"));
    }
    for id in &named {
        let (pg, chunk) = id;
        let width = world.site.keeper.view().groups[pg].disks.len();
        let Some(stripes) = stored.get(id) else {
            problems.push(format!("nothing is stored of chunk {chunk} of group {pg}"));
            continue;
        };
        let last = stripes.keys().next_back().copied().unwrap_or_default();
        for stripe in 0..=last {
            let shards = stripes.get(&stripe).map_or(0, BTreeSet::len);
            if shards != width {
                problems.push(format!(
                    "stripe {stripe} of chunk {chunk} of group {pg} has {shards} shards of {width}"
                ));
            }
        }
    }
    if expects_nothing && !named.is_empty() {
        problems.push(format!(
            "{} chunks are named by nothing that is left",
            named.len()
        ));
    }
    problems
}

/// Work that waits in the index, and every chunk that it names.
async fn waiting(
    world: &World,
    index: &Index,
    problems: &mut Vec<String>,
) -> Result<BTreeSet<(PgId, ChunkId)>, String> {
    let mut named = BTreeSet::new();
    let error = |error: index::StoreError| error.to_string();
    for partition in index.partitions() {
        let missing = index
            .missing_shards(partition, None, PAGE)
            .await
            .map_err(error)?;
        if !missing.is_empty() {
            problems.push(format!(
                "{} chunks of {partition} lack shards",
                missing.len()
            ));
        }
        let reclaims = index.next_reclaims(partition, u64::MAX, PAGE).await;
        let reclaims = reclaims.map_err(error)?;
        if !reclaims.is_empty() {
            problems.push(format!(
                "{} entries of {partition} wait to be freed",
                reclaims.len()
            ));
        }
        let mut cursor = None;
        loop {
            let page = index
                .scan_chunks(partition, cursor, PAGE)
                .await
                .map_err(error)?;
            named.extend(page.chunks.iter().map(|chunk| (chunk.pg, chunk.id)));
            cursor = page.next;
            if cursor.is_none() {
                break;
            }
        }
    }
    let returned = returned::remembered(index)
        .await
        .map_err(|error| error.to_string())?;
    if !returned.is_empty() {
        problems.push(format!(
            "{} disks wait to be walked through",
            returned.len()
        ));
    }
    if !world.site.keeper.dirty().is_empty() {
        problems.push("shards wait to be looked at".to_owned());
    }
    Ok(named)
}

/// The positions that are stored of each stripe of a chunk.
type Stripes = BTreeMap<u32, BTreeSet<u8>>;

/// What the disks have.
async fn stored(world: &World, problems: &mut Vec<String>) -> BTreeMap<(PgId, ChunkId), Stripes> {
    let view = world.site.keeper.view();
    let mut stored: BTreeMap<(PgId, ChunkId), Stripes> = BTreeMap::new();
    for disk in &world.site.disks {
        let Some(store) = disk.store() else {
            problems.push(format!("disk {} does not serve", disk.id));
            continue;
        };
        for (group, position) in view.on_disk(disk.id) {
            use chunkstore::ShardStore;
            for shard in store.list(group.id, None, PAGE).await.unwrap_or_default() {
                let key = shard.key;
                if usize::from(key.shard) != position {
                    problems.push(format!("disk {} has {key:?}, of another position", disk.id));
                }
                let stripes = stored.entry((key.pg, key.chunk)).or_default();
                stripes.entry(key.stripe).or_default().insert(key.shard);
            }
        }
    }
    stored
}

/// Deletes every version and aborts every upload.
pub(crate) async fn delete_all(world: &World, gateway: &Gateway) {
    let log = &world.site.log;
    for place in world.record.places() {
        for listed in gateway.list_versions(&place).await.unwrap_or_default() {
            let reply = gateway
                .delete(&place, Some(listed.version), Condition::Always)
                .await;
            if !matches!(reply, Reply::Told(Outcome::Deleted(_))) {
                log.violation(format_args!("{place:?} cannot be deleted: {reply}"));
            }
        }
    }
    for (name, _) in BUCKETS {
        if let Err(error) = abort_all(&gateway.machine.index, name).await {
            log.violation(format_args!(
                "the uploads of {name} cannot be aborted: {error}"
            ));
        }
    }
}

async fn abort_all(index: &Index, name: &str) -> Result<(), String> {
    let bucket = index
        .bucket(name)
        .await
        .map_err(|error| error.to_string())?;
    let bucket = bucket.ok_or("there is no such bucket")?;
    let list = ListUploads {
        bucket: &bucket,
        prefix: "",
        delimiter: "",
        key_marker: "",
        upload_marker: None,
        max_uploads: LIST_KEYS_MAX,
    };
    let page = index
        .list_uploads(list)
        .await
        .map_err(|error| error.to_string())?;
    for upload in page.uploads {
        let (key, id): (Place, _) = (("", upload.key), upload.record.id);
        let aborted = index.abort_upload(&bucket, &key.1, id).await;
        aborted.map_err(|error| error.to_string())?;
    }
    Ok(())
}
