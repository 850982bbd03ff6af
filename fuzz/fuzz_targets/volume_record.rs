//! Headers of shard records: any bytes decode or fail cleanly, and what decodes encodes to itself.
#![no_main]

use chunkstore::volume::format::{Place, ShardHeader, check_trailer};
use libfuzzer_sys::fuzz_target;
use types::DiskId;

fuzz_target!(|input: &[u8]| {
    if let Ok((header, length)) = ShardHeader::decode_fields(input) {
        let mut again = Vec::new();
        header.encode_fields(&mut again);
        assert_eq!(again, input[..length], "a header has one encoding");
        let place = Place {
            volume: 1,
            offset: 4096,
        };
        let mut sealed = Vec::new();
        let sum = header.encode(DiskId(1), place, &mut sealed);
        assert_eq!(
            ShardHeader::decode(&sealed, DiskId(1), place),
            Ok((header, sum))
        );
        assert!(
            ShardHeader::decode(&sealed, DiskId(2), place).is_err(),
            "of another disk"
        );
    }
    let _ = check_trailer(input, 7);
});
