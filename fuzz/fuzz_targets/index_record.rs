//! Records of the index: any bytes decode or fail cleanly, and what decodes survives a rewrite.
#![no_main]

use bytes::Bytes;
use index::key::bucket::{BucketName, BucketState, BucketTags};
use index::key::feed::FeedEvent;
use index::key::head::HeadRecord;
use index::key::object::VersionRecord;
use index::key::outcome::OutcomeRecord;
use index::key::reclaim::ReclaimRecord;
use index::key::shared::SharedRecord;
use index::key::upload::{PartRecord, UploadRecord};
use libfuzzer_sys::fuzz_target;

macro_rules! rewrite {
    ($input:expr, $($record:ty),*) => {$(
        if let Ok(record) = <$record>::decode(Bytes::copy_from_slice($input)) {
            let again = <$record>::decode(record.encode().into()).expect("what was encoded decodes");
            assert_eq!(again, record);
        }
    )*};
}

fuzz_target!(|input: &[u8]| {
    rewrite!(
        input,
        BucketName,
        BucketState,
        BucketTags,
        FeedEvent,
        HeadRecord,
        VersionRecord,
        OutcomeRecord,
        ReclaimRecord,
        SharedRecord,
        PartRecord,
        UploadRecord
    );
});
