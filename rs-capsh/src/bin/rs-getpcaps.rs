//! `rs-getpcaps`: see [`rs_capsh::getpcaps`].
#![forbid(unsafe_code)]

use rs_capsh::getpcaps;
use std::process::ExitCode;

fn main() -> ExitCode {
    chain::run_words(&getpcaps::TOOL, |words| getpcaps::run(&words))
}
