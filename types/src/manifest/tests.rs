//! Tests that pin the bytes of manifests.

use super::*;

#[test]
fn bytes_are_pinned() {
    let chunk = ChunkRef {
        cluster: ChunkClusterId(1),
        pg: PgId(300),
        id: ChunkId(0x0102),
        length: 65536,
        blake3: [9; 32],
        ..Default::default()
    };
    let manifest = Manifest {
        id: ManifestId(0x0304),
        length: 65536,
        chunks: vec![chunk],
        home: BucketId(12),
        parts: vec![PartEntry {
            number: 1,
            length: 65536,
            ..Default::default()
        }],
        ..Default::default()
    };
    let bytes = manifest.encode();
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, GOLDEN);
    assert_eq!(Manifest::decode(bytes.into()).unwrap(), manifest);
}

const GOLDEN: &str = concat!(
    "0110",
    "00000000000000000000000000000304",
    "0203808004",
    "0341",
    "40",
    "010101",
    "0202ac02",
    "0310",
    "00000000000000000000000000000102",
    "0403808004",
    "0520",
    "0909090909090909090909090909090909090909090909090909090909090909",
    "06010c",
    "0809",
    "08",
    "010101",
    "0203808004",
);

#[test]
fn bytes_of_a_page_are_pinned() {
    let hex = |page: &ManifestPage| -> String {
        let bytes = page.encode();
        assert_eq!(
            ManifestPage::decode(bytes.clone().into()).as_ref(),
            Ok(page)
        );
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    let first = ManifestPage {
        offset: 300,
        parts: vec![PartEntry {
            number: 7,
            length: 5,
            ..Default::default()
        }],
        ..Default::default()
    };
    assert_eq!(hex(&first), "0102ac02030706010107020105");
    let later = ManifestPage {
        parts_offset: 301,
        ..first
    };
    assert_eq!(hex(&later), "0102ac020307060101070201050402ad02");
}

#[test]
fn a_slice_knows_the_length_of_its_chunk() {
    let whole = ChunkRef {
        length: 10,
        ..Default::default()
    };
    let slice = ChunkRef {
        length: 10,
        skip: 5,
        full_length: 40,
        ..Default::default()
    };
    assert_eq!((whole.written_bytes(), slice.written_bytes()), (10, 40));
}
