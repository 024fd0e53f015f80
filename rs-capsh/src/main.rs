//! `rs-capsh [WORD]...` changes and shows the capabilities of a process.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    chain::run_words(&rs_capsh::TOOL, |words| rs_capsh::run(&words))
}
