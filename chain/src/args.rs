//! From the words of a command line to a tool's options: [`getopt`] reads,
//! clap gives them types and prints the help; usage errors are getopt's one
//! line and the `Try` line.
//!
//! [`getopt`]: crate::getopt

use crate::error;
use crate::getopt::{Operands, plain};
use crate::name::name;
use crate::output::print;
use crate::trace::{self, Level};
use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, ArgAction, Command, CommandFactory, FromArgMatches};
use std::error::Error as _;
use std::ffi::OsString;

/// What tells the tools apart before their own options are read.
#[derive(Debug, Clone, Copy)]
pub struct Tool {
    name: &'static str,
    usage_status: u8,
    additions: &'static [&'static str],
    operands: Operands,
}

/// The flags that every tool has beside the original's.
pub(crate) const TEACHING: [&str; 2] = ["trace", "explain"];

impl Tool {
    /// A tool called `name` whose usage errors end with `usage_status`, and
    /// whose first operand is a program.
    pub const fn new(name: &'static str, usage_status: u8) -> Self {
        Self { name, usage_status, additions: &[], operands: Operands::EndOptions }
    }

    /// Names the long options that the original does not have: they never
    /// make one of its abbreviations ambiguous.
    #[must_use]
    pub const fn additions(self, additions: &'static [&'static str]) -> Self {
        Self { additions, ..self }
    }

    /// Options may follow operands.
    #[must_use]
    pub const fn operands_anywhere(self) -> Self {
        Self { operands: Operands::Anywhere, ..self }
    }

    /// The compiled-in name.
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The status of usage errors.
    pub const fn usage_status(&self) -> u8 {
        self.usage_status
    }

    /// Whether the original lacks the long option `name`.
    pub(crate) fn adds(&self, name: &str) -> bool {
        self.additions.contains(&name) || TEACHING.contains(&name)
    }

    /// Where operands may stand.
    pub(crate) const fn operands(&self) -> Operands {
        self.operands
    }

    /// What `--version` says after the name.
    pub(crate) fn version(&self) -> String {
        format!("({}) {}", self.name, env!("CARGO_PKG_VERSION"))
    }

    /// `command` with what every tool has: the teaching flags, `-h`, the
    /// version, the layout of the help and its last line. Man pages and completions are made
    /// from it too.
    pub fn command(&self, command: Command) -> Command {
        let flag = |name: &'static str, help: &'static str| {
            Arg::new(name).long(name).action(ArgAction::SetTrue).help(help).help_heading("Learning")
        };
        let mut command = command
            .version(self.version())
            .disable_help_subcommand(true)
            .disable_colored_help(true)
            .args_override_self(true)
            .term_width(0);
        let learning =
            [("trace", "print the system calls, in strace's notation"), ("explain", "the same, and why each is made")];
        for (place, (name, help)) in learning.into_iter().enumerate() {
            // The original of rs-capsh has an --explain=NAME of its own.
            if !command.get_arguments().any(|arg| arg.get_long() == Some(name)) {
                command = command.arg(flag(name, help).display_order(900 + place));
            }
        }
        let more = command.get_after_help().map(|text| format!("{text}\n\n")).unwrap_or_default();
        command = command.after_help(format!("{more}See {}(1).", self.name));
        command.build();
        for (name, help) in [("help", "print this"), ("version", "print the version")] {
            if command.get_arguments().any(|arg| arg.get_id() == name) {
                command = command.mut_arg(name, |arg| arg.help(help));
            }
        }
        command
    }
}

/// How a command line ends a tool before its body.
pub(crate) struct Ended(pub(crate) u8);

/// Reads `words`, which stood after `verb`, into `C`.
pub(crate) fn parse_words<C: CommandFactory + FromArgMatches>(
    tool: &Tool,
    verb: &str,
    words: Vec<OsString>,
) -> Result<C, Ended> {
    let called = if verb.is_empty() { name().to_owned() } else { format!("{} {verb}", name()) };
    let mut command = tool.command(C::command().name(name()).bin_name(&called));
    let usage = |tool: &Tool, reason: &str| usage(tool, &called, reason);
    let from_clap = |tool: &Tool, error: &clap::Error| from_clap(tool, &called, error);
    let additions: Vec<&str> = tool.additions.iter().chain(&TEACHING).copied().collect();
    let plain = plain(&command, &additions, tool.operands, words);
    let argv = std::iter::once(name().into()).chain(plain.words);
    let matches = match (command.try_get_matches_from_mut(argv), plain.mistake) {
        (Ok(_), Some(mistake)) => return Err(usage(tool, &mistake)),
        (Err(error), Some(mistake)) if is_about_the_end(&error) => return Err(usage(tool, &mistake)),
        (Err(error), _) => return Err(from_clap(tool, &error)),
        (Ok(matches), None) => matches,
    };
    if matches.get_flag("explain") {
        trace::raise(Level::Explain);
    } else if matches.get_flag("trace") {
        trace::raise(Level::Trace);
    }
    C::from_arg_matches(&matches).map_err(|error| from_clap(tool, &error))
}

/// clap finds only at the end of the line that something is missing; a
/// mistake on the line comes first.
fn is_about_the_end(error: &clap::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::MissingRequiredArgument
            | ErrorKind::MissingSubcommand
            | ErrorKind::TooFewValues
            | ErrorKind::ArgumentConflict
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    )
}

/// Prints `reason` and the line that points to the help of what was `called`.
pub(crate) fn usage(tool: &Tool, called: &str, reason: &str) -> Ended {
    let name = name();
    error::write_stderr(&format!("{name}: {}\nTry '{called} --help' for more information.\n", error::escaped(reason)));
    Ended(tool.usage_status)
}

fn from_clap(tool: &Tool, called: &str, error: &clap::Error) -> Ended {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let status = tool.usage_status;
            Ended(print(&error.render().to_string(), status).map_or_else(|error| error::report(&error), |()| 0))
        }
        ErrorKind::MissingRequiredArgument => usage(tool, called, &format!("missing {}", missing(error))),
        _ => usage(tool, called, &reworded(error)),
    }
}

fn missing(error: &clap::Error) -> String {
    match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(names)) => names.join(", "),
        _ => "operand".to_owned(),
    }
}

/// One line: the reason that a value's own reader gave, or the values that
/// there are, with the option; else clap's first line.
fn reworded(error: &clap::Error) -> String {
    let word = |kind| error.get(kind).map(ToString::to_string).unwrap_or_default();
    let option = word(ContextKind::InvalidArg);
    let option = option.split([' ', '=', '[']).next().unwrap_or_default();
    match (error.kind(), error.source(), error.get(ContextKind::ValidValue)) {
        (ErrorKind::ValueValidation, Some(source), _) => return format!("{option}: {source}"),
        (ErrorKind::InvalidValue, _, Some(ContextValue::Strings(values))) => {
            return format!("{option}: '{}' is none of {}", word(ContextKind::InvalidValue), values.join(", "));
        }
        _ => {}
    }
    let text = error.render().to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}
