//! The name that usage lines and messages carry.

use std::ffi::{OsStr, OsString};
use std::path::Path;
use std::sync::OnceLock;

static NAME: OnceLock<String> = OnceLock::new();

/// Takes the name from the last part of `argv0`; `compiled_in` where that is
/// empty. Only the first call counts. Behaviour never depends on the name.
pub(crate) fn set(argv0: Option<&OsStr>, compiled_in: &str) {
    let name = argv0
        .map(Path::new)
        .and_then(Path::file_name)
        .map_or_else(|| compiled_in.to_owned(), |name| name.to_string_lossy().into_owned());
    let _ = NAME.set(name);
}

/// The name by which this tool was called.
pub fn name() -> &'static str {
    NAME.get().map_or("rs-chain", String::as_str)
}

/// The words of the command line, without the name.
pub(crate) fn words() -> (Option<OsString>, Vec<OsString>) {
    let mut args = std::env::args_os();
    (args.next(), args.collect())
}
