//! The tool itself is [`rs_cgexec::cli::cgcreate`].
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    rs_cgexec::cli::cgcreate::main()
}
