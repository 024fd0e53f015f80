//! `as-host NAME PROGRAM [ARG]...` runs a program that sees another host name.
//!
//! The smallest whole link of the chain: read the command line, change one
//! thing about this process, become the next program.
#![forbid(unsafe_code)]

use chain::exec::ExecError;
use chain::sys::host::SetHostName;
use chain::sys::namespace::{Namespaces, Unshare};
use chain::{Failure, SysError, Tool, sys};
use clap::{Parser, ValueHint};
use std::ffi::OsString;
use std::process::ExitCode;

/// The status of every failure before the program runs.
const FAILURE: u8 = 125;

/// Run a program that sees another host name
#[derive(Debug, Parser)]
struct Cli {
    /// the host name to show it
    name: OsString,
    /// the program, and its arguments
    #[arg(required = true, trailing_var_arg = true, value_hint = ValueHint::CommandWithArguments)]
    program: Vec<OsString>,
}

/// Why the program was not started.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
enum Error {
    Sys(#[from] SysError),
    Exec(#[from] ExecError),
}

impl Failure for Error {
    fn status(&self) -> u8 {
        match self {
            Self::Sys(_) => FAILURE,
            Self::Exec(error) => error.status(),
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Sys(error) => error.hint.clone(),
            Self::Exec(error) => error.hint(),
        }
    }
}

fn become_program(cli: &Cli) -> Result<ExitCode, Error> {
    sys::make(&Unshare(Namespaces::UTS))?;
    sys::make(&SetHostName(&cli.name))?;
    match chain::exec(&cli.program)? {}
}

fn main() -> ExitCode {
    chain::run(&Tool::new("as-host", FAILURE), become_program)
}
