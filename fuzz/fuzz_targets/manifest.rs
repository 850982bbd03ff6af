//! Manifests and their pages: any bytes decode or fail cleanly, and what decodes encodes to itself.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use types::{Manifest, ManifestPage};

fuzz_target!(|input: &[u8]| {
    if let Ok(manifest) = Manifest::decode(Bytes::copy_from_slice(input)) {
        let again = Manifest::decode(manifest.encode().into()).expect("what was encoded decodes");
        assert_eq!(again, manifest);
    }
    if let Ok(page) = ManifestPage::decode(Bytes::copy_from_slice(input)) {
        let again = ManifestPage::decode(page.encode().into()).expect("what was encoded decodes");
        assert_eq!(again, page);
    }
    let _ = types::envelope::open(b"key", &Bytes::copy_from_slice(input));
});
