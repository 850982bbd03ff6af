//! The reference model: for each key its versions, oldest first.

use index::{Deleted, PutObjectError, VersionRef, Versioning, WriteCondition};
use std::collections::BTreeMap;
use types::ChunkId;

/// The bytes of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    Inline(Vec<u8>),
    Chunks(Vec<ChunkId>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    pub version: VersionRef,
    pub marker: bool,
    pub etag: String,
    pub body: Body,
    /// Value of the user metadata `m`.
    pub said: String,
    /// Value of the tag `t`, if it has one.
    pub tag: Option<String>,
}

impl Version {
    fn is_null(&self) -> bool {
        self.version == VersionRef::Null
    }
}

#[derive(Debug, Default)]
pub struct ModelBucket {
    pub versioning: Versioning,
    pub keys: BTreeMap<String, Vec<Version>>,
}

impl ModelBucket {
    pub fn current(&self, key: &str) -> Option<&Version> {
        self.keys.get(key)?.last().filter(|version| !version.marker)
    }

    pub fn find(&self, key: &str, version: VersionRef) -> Option<&Version> {
        self.keys
            .get(key)?
            .iter()
            .find(|found| found.version == version)
    }

    /// Changes the tag of the version that a client names; returns which one it was. Delete markers have none.
    pub fn tag(&mut self, key: &str, version: Option<VersionRef>, tag: &str) -> Option<VersionRef> {
        let versions = self.keys.get_mut(key)?;
        let found = match version {
            None => versions.last_mut(),
            Some(version) => versions.iter_mut().find(|found| found.version == version),
        };
        let found = found.filter(|found| !found.marker)?;
        found.tag = Some(tag.to_owned());
        Some(found.version)
    }

    pub fn check(&self, key: &str, condition: &WriteCondition) -> Result<(), PutObjectError> {
        match (condition, self.current(key)) {
            (WriteCondition::IfNoneMatch, Some(_)) => Err(PutObjectError::PreconditionFailed),
            (WriteCondition::IfMatch(_), None) => Err(PutObjectError::NoSuchKey),
            (WriteCondition::IfMatch(etag), Some(current)) if *etag != current.etag => {
                Err(PutObjectError::PreconditionFailed)
            }
            _ => Ok(()),
        }
    }

    /// Makes `version` the newest of the key.
    pub fn push(&mut self, key: &str, version: Version) {
        let expected = self.versioning != Versioning::Enabled;
        assert_eq!(
            version.is_null(),
            expected,
            "null exactly without versioning"
        );
        let versions = self.keys.entry(key.to_owned()).or_default();
        if version.is_null() {
            versions.retain(|old| !old.is_null());
        }
        assert!(
            versions.iter().all(|old| old.version != version.version),
            "ids are unique"
        );
        versions.push(version);
    }

    /// A DELETE; `made` is the version of the marker that the index made, if it made one.
    pub fn delete(
        &mut self,
        key: &str,
        version: Option<VersionRef>,
        made: Option<VersionRef>,
    ) -> Deleted {
        let versions = self.keys.entry(key.to_owned()).or_default();
        let deleted = match (version, self.versioning) {
            (Some(version), _) => match versions.iter().position(|old| old.version == version) {
                Some(at) => {
                    let old = versions.remove(at);
                    Deleted {
                        delete_marker: old.marker,
                        version: Some(version),
                    }
                }
                None => Deleted::default(),
            },
            (None, Versioning::Unversioned) => {
                versions.clear();
                Deleted::default()
            }
            (None, Versioning::Enabled | Versioning::Suspended) => {
                let version = made.expect("a delete in a versioned bucket makes a marker");
                let body = Body::Inline(Vec::new());
                let (etag, said) = (String::new(), String::new());
                self.push(
                    key,
                    Version {
                        version,
                        marker: true,
                        etag,
                        body,
                        said,
                        tag: None,
                    },
                );
                Deleted {
                    delete_marker: true,
                    version: Some(version),
                }
            }
        };
        self.keys.retain(|_, versions| !versions.is_empty());
        deleted
    }

    pub fn chunks(&self) -> impl Iterator<Item = ChunkId> + '_ {
        self.keys
            .values()
            .flatten()
            .flat_map(|version| match &version.body {
                Body::Chunks(chunks) => chunks.clone(),
                Body::Inline(_) => Vec::new(),
            })
    }
}

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Entry {
    Key(String),
    Prefix(String),
}

impl Entry {
    pub fn name(&self) -> &str {
        match self {
            Self::Key(name) | Self::Prefix(name) => name,
        }
    }
}

/// What a list gives of `keys`, as S3 says it: filter, group, then cut off what is not after the
/// marker. A prefix counts as after a marker inside it as long as one of its keys is.
pub fn list_naively(keys: &[String], prefix: &str, delimiter: &str, after: &str) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut sorted: Vec<&String> = keys.iter().filter(|key| key.starts_with(prefix)).collect();
    sorted.sort_unstable();
    sorted.dedup();
    for key in sorted {
        let rest = &key[prefix.len()..];
        let group = (!delimiter.is_empty())
            .then(|| rest.find(delimiter))
            .flatten()
            .map(|at| &key[..prefix.len() + at + delimiter.len()]);
        let entry = match group {
            Some(group) => Entry::Prefix(group.to_owned()),
            None => Entry::Key(key.clone()),
        };
        let is_after = key.as_str() > after && entry.name() != after;
        if is_after && entries.last() != Some(&entry) {
            entries.push(entry);
        }
    }
    entries
}
