//! The tool itself is [`rs_cgexec::cli::cgexec`].
#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    rs_cgexec::cli::cgexec::main()
}
