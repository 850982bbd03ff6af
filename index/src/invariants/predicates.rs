//! The predicates.

use super::PartitionImage;
use super::image::ObjectKey;
use crate::key::object::VersionRecord;
use crate::key::reclaim::ReclaimKind;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use types::{BucketId, ChunkId, ManifestId, PartitionId, UploadId};

/// A predicate that does not hold of some record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Name of the predicate.
    pub predicate: &'static str,
    /// The partition.
    pub partition: PartitionId,
    /// What is wrong, and where.
    pub detail: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "partition {}: {}: {}",
            self.partition, self.predicate, self.detail
        )
    }
}

type Predicate = fn(&PartitionImage) -> Vec<String>;

/// Each is a function of this file, named for what it says of every record.
const PREDICATES: [(&str, Predicate); 9] = [
    ("records have a bucket", records_have_a_bucket),
    ("a head matches its versions", a_head_matches_its_versions),
    (
        "the newest version is current",
        the_newest_version_is_current,
    ),
    ("inline bodies match versions", inline_bodies_match_versions),
    ("lengths match chunks", lengths_match_chunks),
    ("pages are named", pages_are_named),
    ("counts match references", counts_match_references),
    ("parts have an upload", parts_have_an_upload),
    ("what is reclaimed is unused", what_is_reclaimed_is_unused),
];

/// Applies every predicate to every partition.
#[must_use]
pub fn all(images: &[PartitionImage]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for image in images {
        let mut add = |predicate, details: Vec<String>| {
            let partition = image.partition;
            violations.extend(details.into_iter().map(|detail| Violation {
                predicate,
                partition,
                detail,
            }));
        };
        for (name, predicate) in PREDICATES {
            add(name, predicate(image));
        }
        add(
            "versions hold their references",
            versions_hold_their_references(image, images),
        );
        add("pages are present", pages_are_present(image, images));
    }
    violations
}

/// No version, head or configuration is in a bucket that was removed.
fn records_have_a_bucket(image: &PartitionImage) -> Vec<String> {
    let keys = image
        .current
        .keys()
        .chain(image.heads.keys())
        .chain(image.versions.keys())
        .chain(&image.configs);
    keys.filter(|(bucket, _)| !image.buckets.contains_key(bucket))
        .map(|(bucket, key)| format!("bucket {bucket} has no state but {key:?}"))
        .collect()
}

/// `h/` exists exactly with `v/` records, counts them, and names the newest order and the null version. A key
/// has one null version at most.
fn a_head_matches_its_versions(image: &PartitionImage) -> Vec<String> {
    let keys: BTreeSet<&ObjectKey> = image.heads.keys().chain(image.versions.keys()).collect();
    let mut faults = Vec::new();
    for key in keys {
        let versions = image.versions.get(key).map_or(&[][..], Vec::as_slice);
        let Some(head) = image.heads.get(key) else {
            faults.push(format!(
                "{key:?} has {} v/ records and no h/",
                versions.len()
            ));
            continue;
        };
        let current = image.current.get(key);
        let newest = versions
            .iter()
            .chain(current)
            .map(|record| record.order)
            .max();
        let nulls: Vec<_> = versions
            .iter()
            .filter(|v| v.is_null)
            .map(|v| v.order)
            .collect();
        if head.count != versions.len() as u64 || versions.is_empty() {
            faults.push(format!(
                "{key:?} counts {} v/ records of {}",
                head.count,
                versions.len()
            ));
        }
        if Some(head.newest) != newest {
            faults.push(format!(
                "{key:?} names {:?} as newest, not {newest:?}",
                head.newest
            ));
        }
        if nulls.as_slice() != head.null_order.as_slice() {
            faults.push(format!(
                "{key:?} names {:?} as null, not {nulls:?}",
                head.null_order
            ));
        }
        if current.is_some_and(|current| current.is_null) && !nulls.is_empty() {
            faults.push(format!("{key:?} has a null version under c/ and under v/"));
        }
    }
    faults
}

/// What stands under `c/` is a version, newer than all `v/` records; where nothing does, the newest `v/` record
/// is a delete marker.
fn the_newest_version_is_current(image: &PartitionImage) -> Vec<String> {
    let mut faults = Vec::new();
    for (key, current) in &image.current {
        let newest = image
            .versions
            .get(key)
            .and_then(|versions| versions.first());
        if current.delete_marker || newest.is_some_and(|newest| newest.order >= current.order) {
            faults.push(format!(
                "{key:?} has a current version that is not its newest version"
            ));
        }
    }
    for (key, versions) in &image.versions {
        let is_marker = versions.first().is_some_and(|newest| newest.delete_marker);
        if !image.current.contains_key(key) && !is_marker {
            faults.push(format!(
                "{key:?} has no current version and no delete marker"
            ));
        }
    }
    faults
}

/// Each inline version has its body, of its length, and each body its version.
fn inline_bodies_match_versions(image: &PartitionImage) -> Vec<String> {
    let named: BTreeMap<_, u64> = image
        .all_versions()
        .filter(|(_, record)| record.has_inline_record())
        .map(|((bucket, _), record)| ((*bucket, record.id), record.manifest.length))
        .collect();
    if named == image.inline {
        return Vec::new();
    }
    let missing = named
        .iter()
        .filter(|(id, bytes)| image.inline.get(id) != Some(bytes));
    let extra = image.inline.keys().filter(|id| !named.contains_key(id));
    missing
        .map(|(id, bytes)| format!("the body of {id:?} is not there with {bytes} bytes"))
        .chain(extra.map(|id| format!("the body of {id:?} has no version")))
        .collect()
}

/// The chunks that a version record holds have the length of its manifest.
fn lengths_match_chunks(image: &PartitionImage) -> Vec<String> {
    let whole = |record: &VersionRecord| {
        let manifest = &record.manifest;
        let chunks: u64 = manifest.chunks.iter().map(|chunk| chunk.length).sum();
        manifest.inline || !manifest.page_offsets.is_empty() || chunks == manifest.length
    };
    image
        .all_versions()
        .filter(|(_, record)| !whole(record))
        .map(|(key, record)| format!("{key:?} {:?} has another length than its chunks", record.id))
        .collect()
}

/// Each page belongs to a version, a shared manifest, or something that is to be reclaimed.
fn pages_are_named(image: &PartitionImage) -> Vec<String> {
    let of_versions = image.all_versions().map(|(_, record)| record.manifest.id);
    let of_shared = image.shared.keys().map(|(_, id)| *id);
    let of_reclaims = image.reclaims.iter().map(|reclaim| reclaim.manifest.id);
    let named: BTreeSet<ManifestId> = of_versions.chain(of_shared).chain(of_reclaims).collect();
    let unnamed = image.pages.keys().filter(|(_, id)| !named.contains(id));
    unnamed
        .map(|(_, id)| format!("the pages of {id} belong to nothing"))
        .collect()
}

/// The count of a shared manifest is the number of its references, and never 0.
fn counts_match_references(image: &PartitionImage) -> Vec<String> {
    let mut counts: BTreeMap<(BucketId, ManifestId), u64> = BTreeMap::new();
    for (bucket, manifest, _) in image.references.keys() {
        *counts.entry((*bucket, *manifest)).or_default() += 1;
    }
    let ids: BTreeSet<_> = counts.keys().chain(image.shared.keys()).collect();
    ids.into_iter()
        .filter(|id| counts.get(id) != image.shared.get(id).map(|shared| shared.count).as_ref())
        .map(|id| {
            format!(
                "{id:?} has another count than its {:?} references",
                counts.get(id)
            )
        })
        .collect()
}

fn is_open(image: &PartitionImage, id: &(BucketId, UploadId)) -> bool {
    let upload = image.uploads.get(id);
    upload.is_some_and(|(_, upload)| upload.completed.is_none())
}

/// Each part belongs to an open upload or to one that is being reclaimed.
fn parts_have_an_upload(image: &PartitionImage) -> Vec<String> {
    let reclaimed: BTreeSet<_> = image
        .reclaims
        .iter()
        .filter(|reclaim| reclaim.kind == ReclaimKind::Upload)
        .map(|reclaim| (reclaim.bucket, reclaim.upload))
        .collect();
    image
        .parts
        .keys()
        .filter(|id| !is_open(image, id) && !reclaimed.contains(id))
        .map(|id| format!("the parts of {id:?} belong to no upload"))
        .collect()
}

/// No chunk that is to be freed with its manifest is used by a version, a shared manifest or a part of an open
/// upload, or is to be freed twice.
fn what_is_reclaimed_is_unused(image: &PartitionImage) -> Vec<String> {
    let versions = image
        .all_versions()
        .flat_map(|(_, record)| &record.manifest.chunks);
    let shared = image
        .shared
        .values()
        .flat_map(|shared| &shared.manifest.chunks);
    let parts = image
        .parts
        .iter()
        .filter(|(id, _)| is_open(image, id))
        .flat_map(|(_, parts)| parts.iter().flat_map(|part| &part.manifest.chunks));
    let reclaimed_pages: BTreeSet<ManifestId> = image
        .reclaims
        .iter()
        .filter(|reclaim| reclaim.kind == ReclaimKind::Manifest)
        .map(|reclaim| reclaim.manifest.id)
        .collect();
    let paged = image
        .pages
        .iter()
        .filter(|((_, id), _)| !reclaimed_pages.contains(id))
        .flat_map(|(_, pages)| pages.values().flat_map(|page| &page.chunks));
    let mut used: BTreeSet<ChunkId> = versions
        .chain(shared)
        .chain(parts)
        .chain(paged)
        .map(|chunk| chunk.id)
        .collect();
    let reclaimed = image
        .reclaims
        .iter()
        .flat_map(|reclaim| &reclaim.manifest.chunks);
    reclaimed
        .filter(|chunk| !used.insert(chunk.id))
        .map(|chunk| {
            format!(
                "chunk {} is to be freed but used, or to be freed twice",
                chunk.id
            )
        })
        .collect()
}

/// A version with a shared manifest holds a reference to it, wherever the manifest is.
fn versions_hold_their_references(image: &PartitionImage, all: &[PartitionImage]) -> Vec<String> {
    let held = |record: &VersionRecord| {
        let manifest = &record.manifest;
        let id = (manifest.home, manifest.id, manifest.shared_ref);
        let home = all
            .iter()
            .find(|other| other.partition == manifest.id.partition());
        home.is_some_and(|home| home.references.contains_key(&id))
    };
    image
        .all_versions()
        .filter(|(_, record)| record.manifest.shared_ref != 0 && !held(record))
        .map(|(key, record)| format!("{key:?} {:?} has lost its reference", record.id))
        .collect()
}

/// The pages that a version counts are there, with the offsets that it says and its length in all.
fn pages_are_present(image: &PartitionImage, all: &[PartitionImage]) -> Vec<String> {
    let present = |record: &VersionRecord| {
        let manifest = &record.manifest;
        let home = all
            .iter()
            .find(|other| other.partition == manifest.id.partition());
        let pages = home.and_then(|home| home.pages.get(&(manifest.home, manifest.id)));
        pages.is_some_and(|pages| {
            let offsets: Vec<u64> = pages.values().map(|page| page.offset).collect();
            let chunks = pages.values().flat_map(|page| &page.chunks);
            let length: u64 = chunks.map(|chunk| chunk.length).sum();
            offsets == manifest.page_offsets && length == manifest.length
        })
    };
    image
        .all_versions()
        .filter(|(_, record)| !record.manifest.page_offsets.is_empty() && !present(record))
        .map(|(key, record)| format!("{key:?} {:?} lacks pages", record.id))
        .collect()
}

/// References that no version holds and no reclaim entry will drop: what interrupted copies leave until
/// the audit.
#[must_use]
pub fn dangling_references(all: &[PartitionImage]) -> Vec<(ManifestId, u64)> {
    let of_versions = all.iter().flat_map(PartitionImage::all_versions);
    let of_versions = of_versions.map(|(_, record)| &record.manifest);
    let of_reclaims = all.iter().flat_map(|image| &image.reclaims);
    let of_reclaims = of_reclaims.map(|reclaim| &reclaim.manifest);
    let held: BTreeSet<_> = of_versions
        .chain(of_reclaims)
        .map(|named| (named.id, named.shared_ref))
        .collect();
    let references = all.iter().flat_map(|image| image.references.keys());
    references
        .map(|(_, manifest, reference)| (*manifest, *reference))
        .filter(|id| !held.contains(id))
        .collect()
}
