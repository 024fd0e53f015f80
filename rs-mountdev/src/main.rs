//! `rs-mountdev --root=DIR [STEP]... [--] COMMAND [ARG]...`
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    chain::run(&rs_mountdev::TOOL, rs_mountdev::run)
}
