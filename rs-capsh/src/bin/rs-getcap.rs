//! `rs-getcap`: see [`rs_capsh::getcap`].
#![forbid(unsafe_code)]

use rs_capsh::getcap;
use std::process::ExitCode;

fn main() -> ExitCode {
    chain::run(&getcap::TOOL, getcap::run)
}
