//! `rs-rootfs`: see the library.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    rs_rootfs::main()
}
