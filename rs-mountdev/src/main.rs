//! `rs-mountdev --root=DIR [STEP]... [--] COMMAND [ARG]...`
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    rs_mountdev::main()
}
