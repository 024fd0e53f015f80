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

use crate::store::Store;
use crate::{Error, TOOL};
use std::ffi::OsString;
use std::fmt::Write as _;
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

/// Tells what could not be read, and gives the status.
fn damage(store: &Store, hint: &str) -> ExitCode {
    let damage = store.damage();
    for line in &damage {
        chain::say(&chain::error::escaped(line));
    }
    if damage.is_empty() {
        return ExitCode::SUCCESS;
    }
    chain::say(&format!("hint: {hint}"));
    ExitCode::FAILURE
}

/// Prints `value` as JSON; what a terminal would obey is escaped, which JSON
/// itself asks of half of it only.
fn print_json(value: &impl serde::Serialize, pretty: bool) -> Result<ExitCode, Error> {
    let text = if pretty { serde_json::to_string_pretty(value) } else { serde_json::to_string(value) };
    let mut shown = String::new();
    for c in text.map_err(anyhow::Error::from)?.chars() {
        if c.is_control() && c != '\n' {
            let _ = write!(shown, "\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    print(&format!("{shown}\n"))
}

/// Prints `text`.
fn print(text: &str) -> Result<ExitCode, Error> {
    chain::output::print(text, 1).map_err(|error| Error::Failed(anyhow::anyhow!("{error}")))?;
    Ok(ExitCode::SUCCESS)
}
