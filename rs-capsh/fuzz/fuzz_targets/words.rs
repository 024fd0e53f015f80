//! The small readers: numbers, names, the capabilities of files.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rs_capsh::file::FileCaps;
use rs_capsh::{names, number};

fuzz_target!(|bytes: &[u8]| {
    if let Some(number) = number::whole(bytes) {
        assert_eq!(number::whole(number.to_string().as_bytes()), Some(number));
    }
    let set = number::hexadecimal(bytes);
    assert_eq!(number::hexadecimal(format!("{set:x}").as_bytes()), set);
    if let Some(name) = names::whole(bytes) {
        assert_eq!(names::whole(names::list(1 << name).as_bytes()), Some(name));
    }
    if let Some(caps) = FileCaps::from_bytes(bytes) {
        assert_eq!(FileCaps::from_bytes(&caps.to_bytes()), Some(caps));
    }
});
