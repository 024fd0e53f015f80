//! IDs and names of containers.

use anyhow::{Context, Result};
use std::fmt::Write as _;
use std::fs::File;
use std::io::Read;

const HOW: [&str; 24] = [
    "agile", "brisk", "calm", "candid", "deft", "eager", "fair", "frank", "gentle", "humble", "jolly", "keen",
    "lively", "merry", "nimble", "patient", "plucky", "quiet", "ready", "sober", "spry", "sunny", "terse", "witty",
];
const WHO: [&str; 24] = [
    "badger", "beaver", "bison", "crane", "dipper", "ermine", "falcon", "gecko", "heron", "ibex", "jackdaw", "kestrel",
    "lynx", "marten", "newt", "otter", "plover", "quail", "raven", "stoat", "tapir", "urchin", "vole", "wren",
];

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)).context("cannot read /dev/urandom")?;
    Ok(bytes)
}

/// 64 random hexadecimal digits; the first twelve, which become a host name,
/// are not all decimal.
pub(crate) fn id() -> Result<String> {
    loop {
        let mut text = String::with_capacity(64);
        for byte in random::<32>()? {
            let _ = write!(text, "{byte:02x}");
        }
        if !text[..12].bytes().all(|b| b.is_ascii_digit()) {
            return Ok(text);
        }
    }
}

/// A name for who gave none; with a number once the words are used up.
pub(crate) fn random_name(taken: impl Fn(&str) -> bool) -> Result<String> {
    loop {
        let [how, who, tries, number] = random::<4>()?;
        let mut name = format!("{}_{}", HOW[usize::from(how) % HOW.len()], WHO[usize::from(who) % WHO.len()]);
        if taken(&name) {
            let _ = write!(name, "{}", usize::from(tries) * 256 + usize::from(number));
        }
        if !taken(&name) {
            return Ok(name);
        }
    }
}

/// `[a-zA-Z0-9][a-zA-Z0-9_.-]+`
pub(crate) fn is_valid(name: &str) -> bool {
    name.len() >= 2
        && name
            .bytes()
            .enumerate()
            .all(|(i, b)| b.is_ascii_alphanumeric() || (i > 0 && matches!(b, b'_' | b'.' | b'-')))
}
