//! Manifests, indexes, configurations: no panic, and one meaning.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rs_rootfs::document::{self, Document};

fuzz_target!(|data: &[u8]| {
    for announced in [None, Some(document::OCI_INDEX), Some(document::OCI_MANIFEST)] {
        match document::parse(data, announced) {
            Ok(Document::Index(_)) => assert_ne!(announced, Some(document::OCI_MANIFEST)),
            Ok(Document::Manifest(_)) => assert_ne!(announced, Some(document::OCI_INDEX)),
            Err(_) => {}
        }
    }
    let _ = document::json::<document::Config>(data);
});
