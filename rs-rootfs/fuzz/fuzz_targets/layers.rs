//! Two layers, one over the other: nothing outside the folder may change,
//! and what was made can be removed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rs_rootfs::apply::{Privilege, Rules, Unpacker};
use rs_rootfs::stream::Input;
use rs_rootfs::tar::Reader;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Sums are made right, so that what follows them is reached.
fn with_sums(data: &[u8]) -> Vec<u8> {
    let mut bytes = data.to_vec();
    for block in bytes.chunks_exact_mut(512).filter(|block| block[156] != 0) {
        block[148..156].fill(b' ');
        let sum: u32 = block.iter().map(|b| u32::from(*b)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    bytes
}

fuzz_target!(|data: &[u8]| {
    let base = std::env::temp_dir().join(format!("rs-rootfs-fuzz.{}", std::process::id()));
    let root = base.join("in/root");
    fs::create_dir_all(&root).expect("a folder");
    fs::write(base.join("in/sentinel"), "untouched").expect("a file");
    let bytes = with_sums(data);
    let middle = (bytes.len() / 2).next_multiple_of(512).min(bytes.len());
    let fd: OwnedFd = fs::File::open(&root).expect("the folder").into();
    let rules = Rules { whiteouts: true, max_size: Some(1 << 20), ..Rules::default() };
    let mut unpacker = Unpacker::new(fd, Path::new("root"), Privilege::User, rules).expect("an unpacker");
    for half in [&bytes[..middle], &bytes[middle..]] {
        let mut input = Input::of(half.to_vec());
        if unpacker.layer(&mut Reader::new(&mut input)).is_err() {
            break;
        }
    }
    let _ = unpacker.finish();
    unpacker.undo().expect("what was made can be removed");
    assert_eq!(fs::read_dir(&root).expect("the folder").count(), 0);
    assert_eq!(fs::read_dir(base.join("in")).expect("the folder").count(), 2);
    assert_eq!(fs::read_to_string(base.join("in/sentinel")).expect("the file"), "untouched");
});
