//! `cgclassify`: move running processes into groups.

use crate::group::attach::{Place, Who, places};
use crate::hierarchy::Host;
use crate::spec::parse_all;
use crate::status::{Error, USAGE};
use crate::systemd;
use chain::{Page, Tool, error};
use clap::{CommandFactory, Parser};
use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

const TOOL: Tool = Tool::new("rs-cgclassify", USAGE).additions(super::OURS);
/// A process could not be moved.
const NOT_MOVED: u8 = 1;
/// A word is no process id.
const NO_PID: u8 = 2;

/// Move running processes into control groups
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  Move the shell, and all that it will start:
    cgclassify -g cpu,memory:GROUP $$")]
struct Cli {
    /// the group to enter, where its controllers are
    #[arg(short = 'g', value_name = "CONTROLLERS:PATH")]
    group: Vec<OsString>,
    /// accepted: only a rules daemon asks for it
    #[arg(short = 's', long = "sticky")]
    sticky: bool,
    /// accepted: only a rules daemon asks for it
    #[arg(long = "cancel-sticky")]
    cancel_sticky: bool,
    /// end the idle process of a scope
    #[arg(short = 'r')]
    replace_idle: bool,
    /// ignore the default group of cgcreate -S
    #[arg(short = 'b')]
    ignore_default: bool,
    /// the processes
    #[arg(value_name = "PID", trailing_var_arg = true)]
    pids: Vec<OsString>,
}

/// The whole tool.
pub fn main() -> ExitCode {
    chain::run(&TOOL, run)
}

fn run(cli: &Cli) -> Result<ExitCode, Error> {
    let specs = parse_all(&cli.group)?;
    if specs.is_empty() {
        return Err(if cli.pids.is_empty() { super::usage("missing PID") } else { super::cgexec::no_rules() });
    }
    let host = Host::mounted()?;
    let mut status = 0;
    for word in &cli.pids {
        let pid = match pid(word) {
            Ok(pid) => pid,
            Err(wrong) => {
                chain::say(&format!("'{}' is not a process id", word.display()));
                status = wrong;
                continue;
            }
        };
        let moved = places(&host, &specs, !cli.ignore_default)
            .and_then(|places| places.iter().try_for_each(|place| move_one(place, pid, cli.replace_idle)));
        if let Err(failure) = moved {
            error::report(&failure);
            status = NOT_MOVED;
        }
    }
    Ok(status.into())
}

/// Reads a process id as strtol(3) does. A word that is none is another error
/// than a number that no process has.
fn pid(word: &OsStr) -> Result<i32, u8> {
    let text = word.to_str().ok_or(NO_PID)?;
    let text = text.trim_start_matches(|c: char| c.is_ascii_whitespace() || c == '\x0b');
    let digits = text.strip_prefix(['+', '-']).unwrap_or(text);
    let number = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if !number && !word.is_empty() {
        return Err(NO_PID);
    }
    text.parse().ok().filter(|pid| *pid > 0).ok_or(NOT_MOVED)
}

fn move_one(place: &Place<'_>, pid: i32, replace_idle: bool) -> Result<(), Error> {
    place.attach(Who::Process(pid))?;
    if replace_idle {
        systemd::replace_idle(&place.dir);
    }
    Ok(())
}

/// What documents are made from.
pub(super) fn page() -> Page {
    Page {
        name: "rs-cgclassify",
        original: Some("cgclassify"),
        command: TOOL.command(Cli::command()),
        calls: &[
            ("openat", "opens the file of the group that takes processes"),
            ("write", "moves a thread (v1) or a whole process (v2) into the group"),
            ("kill", "ends the idle process of a scope (-r)"),
        ],
        sections: include_str!("../../man/rs-cgclassify.roff"),
    }
}
