//! `rs-unshare`: see the library.
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    rs_unshare::main()
}
