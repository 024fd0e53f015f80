//! `rs-getpcaps PID...` shows the capabilities of processes.

use crate::iab::{self, Iab};
use crate::{names, text};
use chain::error::strerror;
use chain::output::{OutputError, print};
use chain::sys::caps::{self, CapSets};
use chain::trace::{Level, raise};
use chain::{Tool, say};
use clap::{Arg, ArgAction, Command};
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::fs;
use std::process::ExitCode;

/// Every failure: a process that cannot be shown, none given.
const FAILURE: u8 = 1;

/// rs-getpcaps.
pub const TOOL: Tool = Tool::new("rs-getpcaps", FAILURE);

/// Why a process cannot be shown.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("cannot parse pid '{}'", .0.display())]
    Pid(OsString),
    #[error("cannot get the capabilities of process {0}: {reason}", reason = strerror(*.1))]
    Get(i32, Errno),
    #[error("cannot read {0}: {1}")]
    Status(String, String),
}

/// How processes are shown; options change it for those after them.
#[derive(Debug, Default)]
struct Form {
    verbose: bool,
    ugly: bool,
    iab: bool,
}

impl Form {
    fn line(&self, word: &OsStr) -> Result<String, Error> {
        let pid = pid(word).ok_or_else(|| Error::Pid(word.to_owned()))?;
        let shown = word.display();
        let sets = caps::get_of(pid).map_err(|errno| Error::Get(pid, errno))?;
        let count = names::count_to_show();
        let text = text::write(&sets, count);
        Ok(match self {
            Self { iab: true, .. } => {
                let mut line = format!("{shown}:");
                if self.verbose || sets != CapSets::default() {
                    let _ = write!(line, " \"{text}\"");
                }
                let iab = iab::write(&handed_on(pid, count)?, count);
                if self.verbose || !iab.is_empty() {
                    let _ = write!(line, " [{iab}]");
                }
                line + "\n"
            }
            Self { ugly: true, .. } => format!("Capabilities for `{shown}': {text}\n"),
            Self { verbose: true, .. } => format!("Capabilities for '{shown}': {text}\n"),
            _ => format!("{shown}: {text}\n"),
        })
    }
}

/// `word` as a process number, as strtol(3) reads it in base 10.
fn pid(word: &OsStr) -> Option<i32> {
    let word = word.to_str()?.trim_start_matches([' ', '\t', '\n', '\u{b}', '\u{c}', '\r']);
    word.parse().ok().filter(|pid| *pid >= 0)
}

/// What exec hands on in process `pid` (0 is this one), from proc(5): no
/// system call tells it of another process.
fn handed_on(pid: i32, count: u32) -> Result<Iab, Error> {
    let file = if pid == 0 { "/proc/self/status".to_owned() } else { format!("/proc/{pid}/status") };
    let status = fs::read_to_string(&file).map_err(|error| {
        let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
        Error::Status(file.clone(), strerror(errno))
    })?;
    let set = |key: &str| {
        let value = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(":\t"));
        let set = value.and_then(|value| u64::from_str_radix(value, 16).ok());
        set.ok_or_else(|| Error::Status(file.clone(), format!("no {key}")))
    };
    Ok(Iab { inheritable: set("CapInh")?, ambient: set("CapAmb")?, blocked: names::all(count) & !set("CapBnd")? })
}

/// Does the words, left to right.
///
/// # Errors
/// Standard output that cannot be written.
pub fn run(words: &[OsString]) -> Result<ExitCode, OutputError> {
    let mut form = Form::default();
    let mut status = 0;
    if words.is_empty() {
        say("no process given");
        status = FAILURE;
    }
    for word in words {
        match word.to_str() {
            Some("--help" | "-h" | "--usage") => {
                let mut command = TOOL.command(command().bin_name(chain::name()));
                print(&command.render_help().to_string(), FAILURE)?;
                return Ok(ExitCode::SUCCESS);
            }
            Some("--version" | "-V") => {
                let command = TOOL.command(command().name(chain::name()));
                print(&command.render_version(), FAILURE)?;
                return Ok(ExitCode::SUCCESS);
            }
            Some("--license") => {
                print(&crate::license_text(), FAILURE)?;
                return Ok(ExitCode::SUCCESS);
            }
            Some("--verbose") => form = Form { verbose: true, ugly: false, ..form },
            Some("--ugly" | "--legacy") => form = Form { ugly: true, verbose: false, ..form },
            Some("--iab") => form.iab = true,
            Some("--trace") => raise(Level::Trace),
            Some("--explain") => raise(Level::Explain),
            _ => match form.line(word) {
                Ok(line) if form.ugly && !form.iab => chain::error::write_stderr(&line),
                Ok(line) => print(&line, FAILURE)?,
                Err(error) => {
                    say(&error.to_string());
                    status = FAILURE;
                }
            },
        }
    }
    Ok(status.into())
}

/// The options, for the help and the documents.
pub fn command() -> Command {
    let flag = |name: &'static str, help: &'static str| Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    Command::new("rs-getpcaps")
        .about("Show the capabilities of processes")
        .after_help("Example: rs-getpcaps 1 $$")
        .arg(flag("verbose", "say what is shown"))
        .arg(flag("ugly", "the same as long ago, on standard error").visible_alias("legacy"))
        .arg(flag("iab", "show what exec hands on too"))
        .arg(flag("license", "show the license"))
        .arg(Arg::new("pid").value_name("PID").num_args(0..).help("a process, 0 for this one; options come before"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pids() {
        for (word, number) in [("1", Some(1)), ("+1", Some(1)), (" 01", Some(1)), ("0", Some(0))] {
            assert_eq!(pid(OsStr::new(word)), number, "{word:?}");
        }
        for word in ["", "-1", "1x", "1 ", "0x1", "2147483648", "4294967297"] {
            assert_eq!(pid(OsStr::new(word)), None, "{word:?}");
        }
    }
}
