//! Golden text, and what is refused.

use super::*;
use crate::disk_fixtures::identity;

const GOLDEN: &str = "cairn disk 1\n\
    installation = 0000000000000000000000000000002a\n\
    region = 1\n\
    node = 2\n\
    disk = 0000000000000000000000000000d15c\n\
    replaces = 0000000000000000000000000000002c\n\
    checksum = 1c4e1f38180f69a8\n";

#[test]
fn golden_text() {
    let identity = Identity {
        replaces: Some(DiskId(0x2c)),
        ..identity()
    };
    assert_eq!(identity.to_text(), GOLDEN);
    assert_eq!(Identity::parse(GOLDEN.as_bytes()), Ok(identity));
}

#[test]
fn every_flipped_bit_and_every_cut_is_refused() {
    let text = identity().to_text().into_bytes();
    assert_eq!(Identity::parse(&text), Ok(identity()));
    for bit in 0..text.len() * 8 {
        let mut text = text.clone();
        text[bit / 8] ^= 1 << (bit % 8);
        assert!(Identity::parse(&text).is_err(), "bit {bit}");
    }
    for length in 0..text.len() {
        assert!(Identity::parse(&text[..length]).is_err(), "length {length}");
    }
}

#[test]
fn a_later_format_is_named() {
    let sealed = "cairn disk 2\nwhatever = 1\n";
    let text = format!("{sealed}checksum = {:016x}\n", checksum(sealed));
    assert_eq!(
        Identity::parse(text.as_bytes()),
        Err(ParseError::UnknownFormat(2))
    );
}

#[test]
fn a_directory_is_made_a_disk_once() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("disks/one");
    assert_eq!(read(&directory).unwrap(), None);
    format(&directory, &identity()).unwrap();
    assert_eq!(read(&directory).unwrap(), Some(identity()));
    let again = format(&directory, &identity());
    assert!(matches!(again, Err(IdentityError::NotEmpty { .. })));
    fs::write(directory.join(IDENTITY_FILE), "cairn disk 1\n").unwrap();
    assert!(matches!(
        read(&directory),
        Err(IdentityError::Damaged { .. })
    ));
}

#[test]
fn a_directory_with_anything_in_it_is_not_made_a_disk() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("volume-000000000001"), "x").unwrap();
    let error = format(directory.path(), &identity()).unwrap_err();
    assert!(error.to_string().contains("volume-000000000001"), "{error}");
}
