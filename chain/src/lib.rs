//! What every link of the container chain shares.
//!
//! A tool of this workspace reads its command line, makes a few system calls
//! on its own process and becomes the next program. [`run`] does what is the
//! same in all of them; [`sys::make`] makes every call that changes something.
#![cfg_attr(test, allow(clippy::disallowed_methods))]

mod arena;
pub mod args;
pub mod capability;
pub mod child;
mod errno_text;
pub mod error;
pub mod exec;
pub mod getopt;
pub mod hint;
pub mod inside;
pub mod interrupt;
pub mod mountinfo;
pub mod name;
pub mod notation;
pub mod output;
pub mod page;
pub mod startup;
pub mod sys;
pub mod table;
#[cfg(feature = "testing")]
pub mod testing;
pub mod trace;
pub mod user;

pub use args::Tool;
pub use error::{Failure, SysError, say};
pub use exec::{ExecError, exec};
pub use name::name;
pub use page::Page;

use clap::{CommandFactory, FromArgMatches};
use std::ffi::OsString;
use std::process::ExitCode;

/// A whole tool: reads the command line into `C`, calls `body`, reports what
/// it could not do, gives the status.
///
/// Call it first in `main`, while the process has one thread.
pub fn run<C, E>(tool: &Tool, body: impl FnOnce(&C) -> Result<ExitCode, E>) -> ExitCode
where
    C: CommandFactory + FromArgMatches,
    E: Failure,
{
    prepare();
    let (argv0, words) = name::words();
    name::set(argv0.as_deref(), tool.name());
    match args::parse_words(tool, "", words) {
        Ok(options) => finish(body(&options)),
        Err(args::Ended(status)) => status.into(),
    }
}

/// [`run`] for a tool whose options are a [`table`].
pub fn run_table<O: Default, E: Failure>(
    tool: &Tool,
    table: &table::Table<O>,
    body: impl FnOnce(&O) -> Result<ExitCode, E>,
) -> ExitCode {
    prepare();
    match table::parse(tool, table) {
        Ok(options) => finish(body(&options)),
        Err(args::Ended(status)) => status.into(),
    }
}

/// [`run`] for a tool that reads its words itself, left to right.
pub fn run_words<E: Failure>(tool: &Tool, body: impl FnOnce(Vec<OsString>) -> Result<ExitCode, E>) -> ExitCode {
    prepare();
    let (argv0, words) = name::words();
    name::set(argv0.as_deref(), tool.name());
    finish(body(words))
}

/// One verb of a tool that has several: reads `words`, which stood after
/// `verb`, into `C`, calls `body`, reports, gives the status. An empty `verb`
/// is the tool's own command line up to the verb.
pub fn run_verb<C, E>(
    tool: &Tool,
    verb: &str,
    words: Vec<OsString>,
    body: impl FnOnce(&C) -> Result<ExitCode, E>,
) -> ExitCode
where
    C: CommandFactory + FromArgMatches,
    E: Failure,
{
    match args::parse_words(tool, verb, words) {
        Ok(options) => finish(body(&options)),
        Err(args::Ended(status)) => status.into(),
    }
}

fn prepare() {
    startup::restore_sigpipe();
    trace::from_environment();
}

fn finish<E: Failure>(result: Result<ExitCode, E>) -> ExitCode {
    result.unwrap_or_else(|failure| error::report(&failure).into())
}
