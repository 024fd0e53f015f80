//! The verbs that look after the store: list, inspect, gc, config.

mod age;
mod config;
mod gc;
mod inspect;
mod list;

pub use config::Config;
pub use gc::Gc;
pub use inspect::Inspect;
pub use list::List;

use crate::{Error, TOOL};
use std::ffi::OsString;
use std::process::ExitCode;

/// Options may follow operands.
const ANYWHERE: chain::Tool = TOOL.operands_anywhere();

/// Runs the verb called `name`; `None`: there is none.
pub fn run(name: &str, words: Vec<OsString>) -> Option<ExitCode> {
    Some(match name {
        "list" => chain::run_verb(&ANYWHERE, name, words, list::run),
        "inspect" => chain::run_verb(&ANYWHERE, name, words, inspect::run),
        "gc" => chain::run_verb(&ANYWHERE, name, words, gc::run),
        "config" => chain::run_verb(&TOOL, name, words, config::run),
        _ => return None,
    })
}

/// The verbs, for the documents.
pub fn commands() -> Vec<clap::Command> {
    use clap::CommandFactory;
    vec![
        List::command().name("list"),
        Inspect::command().name("inspect"),
        Gc::command().name("gc"),
        Config::command().name("config"),
    ]
}

/// Prints `text`.
fn print(text: &str) -> Result<ExitCode, Error> {
    chain::output::print(text, 1).map_err(|error| Error::Failed(anyhow::anyhow!("{error}")))?;
    Ok(ExitCode::SUCCESS)
}
