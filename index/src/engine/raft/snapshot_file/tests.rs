//! A snapshot file is read as it was written, or not at all.

use super::*;

fn written(dir: &Path, values: usize) -> std::path::PathBuf {
    let path = dir.join("file");
    let mut writer = SnapshotWriter::create(&path, b"position").expect("it is made");
    for n in 0..values {
        let (key, value) = (format!("key {n:06}"), vec![b'v'; n]);
        writer.value(key.as_bytes(), &value).expect("it is written");
    }
    writer.finish().expect("it is synced");
    path
}

#[test]
fn a_file_of_many_pieces_is_read_as_it_was_written() {
    let dir = tempfile::tempdir().expect("a folder for the test");
    let path = written(dir.path(), 3000);
    assert!(path.metadata().expect("it is there").len() > 4 * PIECE_BYTES as u64);
    assert_eq!(
        verify(&path).expect("it is whole"),
        Bytes::from_static(b"position")
    );
    let reader = SnapshotReader::open(&path).expect("it opens");
    let values: Vec<_> = reader
        .values()
        .map(|value| value.expect("it is whole"))
        .collect();
    assert_eq!(values.len(), 3000);
    for (n, (key, value)) in values.iter().enumerate() {
        assert_eq!(*key, format!("key {n:06}"));
        assert_eq!(value.len(), n);
    }
    let empty = written(dir.path(), 0);
    let reader = SnapshotReader::open(&empty).expect("it opens");
    assert_eq!(reader.values().count(), 0);
}

#[test]
fn the_bytes_of_a_file_are_fixed() {
    let dir = tempfile::tempdir().expect("a folder for the test");
    let path = written(dir.path(), 2);
    let bytes = std::fs::read(path).expect("it is read");
    assert_eq!(crate::key::hexadecimal(&bytes), FILE);
}

#[test]
fn damage_anywhere_and_a_lost_end_are_found() {
    let dir = tempfile::tempdir().expect("a folder for the test");
    let path = written(dir.path(), 5);
    let bytes = std::fs::read(&path).expect("it is read");
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 4;
        std::fs::write(&path, damaged).expect("it is written");
        assert!(verify(&path).is_err(), "a flipped bit at {at}");
        std::fs::write(&path, &bytes[..at]).expect("it is written");
        assert!(verify(&path).is_err(), "cut at {at}");
    }
    let longer = [&bytes[..], b"x"].concat();
    std::fs::write(&path, longer).expect("it is written");
    assert!(verify(&path).is_err(), "something follows");
}

const FILE: &str = "434149524e534e3100000008706f736974696f6eac848b85b64ead3e000000190a6b657920303030303030000a6b65\
    792030303030303101760b44d8348ad1f1370000000000000000000000010000000000000002d0e04382375c24e4";
