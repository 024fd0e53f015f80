//! `docker container create`, `export`, `rm`, without a Docker daemon. What
//! they print, and their statuses, are docker's (CLI 28.2).

mod archive;
mod create;
mod export;
mod flags;
mod forms;
mod image;
mod name;
mod options;
mod remove;
mod startup;
mod tree;

use crate::store::Store;
use anyhow::Context;
use chain::child::{End, end_like};
use clap::{Arg, ArgAction, Command};
use flags::{Words, read};
use options::{CREATE, EXPORT, REMOVE, Verb};
use std::ffi::OsString;
use std::fmt::Write as _;
use std::process::ExitCode;

/// How a verb ends early: what is said, word for word, and the status.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) text: String,
    pub(crate) status: u8,
}

impl Ended {
    pub(crate) fn new(text: impl Into<String>, status: u8) -> Self {
        Self { text: text.into(), status }
    }

    /// What the daemon would have answered, in one line whoever wrote it.
    pub(crate) fn daemon(text: impl std::fmt::Display) -> Self {
        Self::new(chain::error::escaped(&format!("Error response from daemon: {text}")), 1)
    }
}

impl From<anyhow::Error> for Ended {
    fn from(error: anyhow::Error) -> Self {
        Self::daemon(crate::told(&error))
    }
}

impl From<chain::SysError> for Ended {
    fn from(error: chain::SysError) -> Self {
        Self::daemon(error)
    }
}

/// What does the work of a verb.
type Run = fn(&Called, &Words) -> Result<(), Ended>;

/// The verbs as completions and the man page see them.
pub fn commands() -> Vec<Command> {
    // Of docker's many options those are shown that concern the files.
    let arg = |verb: &Verb, (short, long, takes): &flags::Flag| {
        let action = if *takes == flags::Takes::Switch { ArgAction::SetTrue } else { ArgAction::Append };
        let line = verb.help.lines().find(|line| line.contains(&format!("--{long} ")));
        let about = line.and_then(|line| line.rsplit_once("  ")).map_or("", |(_, about)| about);
        let arg = Arg::new(*long).long(*long).action(action).hide(line.is_none()).help(about.to_owned());
        if *short == '\0' { arg } else { arg.short(*short) }
    };
    let command = |verb: Verb| {
        let own = verb.flags.iter().filter(|(_, long, _)| !matches!(*long, "help" | "trace" | "explain"));
        Command::new(verb.name).about(verb.about).disable_help_flag(true).args(own.map(|flag| arg(&verb, flag)))
    };
    [CREATE, EXPORT, REMOVE].map(command).into()
}

/// How it was called: `docker container create`.
pub(crate) struct Called {
    /// All words up to the verb.
    pub(crate) name: String,
    /// `container` stood before the verb.
    pub(crate) container: bool,
}

/// Runs the verb that `words` begin with: under the name `docker` all there
/// is, under our own what `container` may stand before. `None`: no such verb.
pub fn main(words: &[OsString], as_docker: bool) -> Option<ExitCode> {
    let own = chain::name();
    let (container, rest) = match words.split_first() {
        Some((first, rest)) if first == "container" => (true, rest),
        _ => (false, words),
    };
    let group = if container { format!("{own} container") } else { own.to_owned() };
    let Some((verb, rest)) = rest.split_first() else {
        return (as_docker || container).then(|| overview(&group, 2));
    };
    let called = |name: &str| Called { name: format!("{group} {name}"), container };
    let words = rest.to_vec();
    let (verb, run): (Verb, Run) = match verb.to_str() {
        Some("create") => (CREATE, create::run),
        Some("export") => (EXPORT, export::run),
        Some("rm") => (REMOVE, remove::run),
        Some("remove") if container || !as_docker => (Verb { name: "remove", ..REMOVE }, remove::run),
        Some("--help" | "-h" | "help") if as_docker || container => return Some(overview(&group, 1)),
        Some("--version" | "-v") if as_docker && !container => {
            return Some(print(&format!("{own} (rs-rootfs) {}\n", env!("CARGO_PKG_VERSION"))));
        }
        _ if as_docker || container => {
            let usage = if container { format!("Usage:  {group}\n\n") } else { String::new() };
            let unknown = format!("docker: unknown command: {group} {}", verb.display());
            let text = format!("{unknown}\n\n{usage}Run '{group} --help' for more information");
            return Some(finish(Err(Ended::new(text, 1))));
        }
        _ => return None,
    };
    Some(finish(perform(&verb, &called(verb.name), words, run)))
}

fn perform(verb: &Verb, called: &Called, words: Vec<OsString>, run: Run) -> Result<(), Ended> {
    let anywhere = verb.name != "create";
    let words = read(verb.flags, words, anywhere)
        .map_err(|why| Ended::new(format!("{why}\n\n{}\n\n{}", usage(verb, called), hint(called, "Run")), 125))?;
    if words.on("help") {
        chain::output::print(&help(verb, called), 1).map_err(|error| Ended::new(error.to_string(), 1))?;
        return Ok(());
    }
    if words.on("explain") {
        chain::trace::raise(chain::trace::Level::Explain);
    } else if words.on("trace") {
        chain::trace::raise(chain::trace::Level::Trace);
    }
    let (number, right) = match verb.name {
        "export" => ("1 argument", words.operands.len() == 1),
        _ => ("at least 1 argument", !words.operands.is_empty()),
    };
    if !right {
        let see = hint(called, if verb.name == "export" { "Run" } else { "See" });
        let text = format!("docker: '{}' requires {number}\n\n{}\n\n{see}", called.name, usage(verb, called));
        return Err(Ended::new(text, 1));
    }
    run(called, &words)
}

fn usage(verb: &Verb, called: &Called) -> String {
    format!("Usage:  {} {}", called.name, verb.usage)
}

fn hint(called: &Called, word: &str) -> String {
    format!("{word} '{} --help' for more information", called.name)
}

fn help(verb: &Verb, called: &Called) -> String {
    format!("{}\n\n{}\n\nOptions:\n{}", usage(verb, called), verb.about, verb.help)
}

/// The usage of the group, on standard output or error.
fn overview(group: &str, stream: u8) -> ExitCode {
    let mut text = format!("Usage:  {group} COMMAND\n\nCommands:\n");
    for verb in [CREATE, EXPORT, REMOVE] {
        let _ = writeln!(text, "  {:<11} {}", verb.name, verb.about);
    }
    let _ = writeln!(text, "\nRun '{group} COMMAND --help' for more information on a command.");
    if stream == 1 {
        return print(&text);
    }
    say(text.trim_end());
    ExitCode::SUCCESS
}

fn print(text: &str) -> ExitCode {
    finish(chain::output::print(text, 1).map_err(|error| Ended::new(error.to_string(), 1)))
}

fn finish(result: Result<(), Ended>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) if let Some(signal) = chain::interrupt::caught() => end_like(End::Killed(signal)).into(),
        Err(ended) => {
            if !ended.text.is_empty() {
                say(&ended.text);
            }
            ended.status.into()
        }
    }
}

/// One write of `text` and a newline to standard error, as docker says
/// things: without our name.
pub(crate) fn say(text: &str) {
    let lines: Vec<String> = text.split('\n').map(chain::error::escaped).collect();
    let _ = nix::unistd::write(std::io::stderr(), format!("{}\n", lines.join("\n")).as_bytes());
}

/// An operand that the daemon would have got as text.
pub(crate) fn operand(word: &OsString) -> Result<&str, Ended> {
    word.to_str().ok_or_else(|| Ended::daemon(format_args!("invalid name {:?}", word.display().to_string())))
}

/// The store, and the container that `word` names in it.
pub(crate) fn find(store: &Store, word: &str) -> Result<crate::store::Container, Ended> {
    store.container(word).context("the store")?.map_err(Ended::daemon)
}
