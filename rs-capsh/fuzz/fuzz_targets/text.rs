//! Capability text: what is read is written so that it reads the same, and
//! the writing is a fixed point.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rs_capsh::text::{parse, parse_list, write};

fuzz_target!(|input: (u8, &[u8])| {
    let (count, bytes) = input;
    let count = u32::from(count) % 65;
    if let Ok(sets) = parse(bytes, count) {
        let text = write(&sets, count);
        assert_eq!(parse(text.as_bytes(), count), Ok(sets), "{text}");
    }
    let _ = parse_list(bytes, count);
});
