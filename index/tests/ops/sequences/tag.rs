//! Changing the tags of a version, in a run.

use super::Which;
use super::retry::{Lost, settle};
use super::run::Run;
use index::{SetObjectTags, SetObjectTagsError};
use std::collections::BTreeMap;

impl Run {
    pub(super) async fn tag(&mut self, bucket: usize, key: &str, which: Which) {
        let version = self.version(bucket, key, which);
        let (tag, op_id) = (self.etag(), self.world.op());
        let set = || {
            self.world.index.set_object_tags(SetObjectTags {
                bucket: &self.buckets[bucket],
                key,
                version,
                tags: BTreeMap::from([("t".to_owned(), tag.clone())]),
                op_id,
            })
        };
        let (result, _) = settle!(set());
        match self.models[bucket].tag(key, version, &tag) {
            Some(tagged) => {
                assert_eq!(result, Ok(tagged));
                self.world.store.disarm();
                assert_eq!(set().await, Ok(tagged), "repeated with the same id");
            }
            None => match result {
                Err(SetObjectTagsError::NoSuchVersion) => {}
                Err(SetObjectTagsError::IsDeleteMarker { version: marker }) => {
                    assert_eq!(Some(marker), version);
                }
                other => panic!("{key:?} {version:?} has no tags: {other:?}"),
            },
        }
    }
}
