//! IAB text: what is read is written so that it reads the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use rs_capsh::iab::{parse, write};

fuzz_target!(|bytes: &[u8]| {
    if let Ok(iab) = parse(bytes) {
        let text = write(&iab, 64);
        assert_eq!(parse(text.as_bytes()), Ok(iab), "{text}");
        assert_eq!(iab.ambient & !iab.inheritable, 0);
    }
});
