//! `rs-setcap`: see [`rs_capsh::setcap`].
#![forbid(unsafe_code)]

use rs_capsh::setcap;
use std::process::ExitCode;

fn main() -> ExitCode {
    chain::run_words(&setcap::TOOL, |words| setcap::run(&words))
}
