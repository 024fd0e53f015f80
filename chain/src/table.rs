//! The options of a tool as one table: each row says what an option is called,
//! takes and does. The command line is read by it, and the clap command, from
//! which man page and completions come, is made of it.
//!
//! For tools that are measured by how soon they become the next program:
//! to build clap's command at each start touches more memory than all else
//! that such a tool does.

use crate::args::{Ended, TEACHING, Tool, usage};
use crate::error;
use crate::getopt::{self, Known, Takes};
use crate::name::{self, name};
use crate::output::print;
use crate::trace::{self, Level};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, ValueHint};
use std::ffi::{OsStr, OsString};

/// A value that was not accepted, and why, in the original's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Wrong(pub String);

/// What an option takes, and what it does to the options `O` when it is read.
pub enum Act<O> {
    /// Nothing.
    Flag(fn(&mut O)),
    /// A value, called so; for completions `a|b` names the words that it may be.
    Value(&'static str, fn(&mut O, &OsStr) -> Result<(), Wrong>),
    /// A value, called so, after `=` in the same word, or none.
    Optional(&'static str, fn(&mut O, Option<&OsStr>) -> Result<(), Wrong>),
    /// Two words, called so.
    Two([&'static str; 2], fn(&mut O, &OsStr, &OsStr) -> Result<(), Wrong>),
    /// Prints the help and ends.
    Help,
    /// Prints the version and ends.
    Version,
    /// Shows the calls from here on.
    Teach(Level),
}

/// One option.
pub struct Row<O> {
    /// Its letter.
    pub short: Option<char>,
    /// Its long name; one of the two it has.
    pub long: Option<&'static str>,
    /// What it takes and does.
    pub act: Act<O>,
    /// One line for the man page and the completions: imperative, lower case,
    /// no full stop.
    pub help: &'static str,
}

/// All options of a tool, and its operands.
pub struct Table<O: 'static> {
    /// What the tool does: one sentence without a full stop.
    pub about: &'static str,
    /// The text of `--help`, with the tool's name as `{name}`.
    pub help: &'static str,
    /// In the order of the original, ours last.
    pub rows: &'static [Row<O>],
    /// What the operands are called.
    pub operand: &'static str,
    /// One line about them.
    pub operand_help: &'static str,
    /// At least one is needed.
    pub required: bool,
    /// Takes the operands, a program and its arguments, and says what the line
    /// as a whole lacks.
    pub program: fn(&mut O, Vec<OsString>) -> Result<(), Wrong>,
}

impl<O> Row<O> {
    /// An option with a letter and a long name.
    pub const fn short(letter: char, long: &'static str, act: Act<O>, help: &'static str) -> Self {
        Self { short: Some(letter), long: Some(long), act, help }
    }

    /// An option with a long name alone.
    pub const fn long(long: &'static str, act: Act<O>, help: &'static str) -> Self {
        Self { short: None, long: Some(long), act, help }
    }

    /// An option with a letter alone.
    pub const fn letter(letter: char, act: Act<O>, help: &'static str) -> Self {
        Self { short: Some(letter), long: None, act, help }
    }

    /// As messages call it.
    fn called(&self) -> String {
        match (self.long, self.short) {
            (Some(long), _) => format!("--{long}"),
            (None, short) => format!("-{}", short.unwrap_or_default()),
        }
    }

    /// The original does not have it.
    fn is_ours(&self, tool: &Tool) -> bool {
        self.long.is_some_and(|long| tool.adds(long))
    }
}

impl<O> Table<O> {
    /// The clap command, without what every tool has: see [`Tool::command`].
    pub fn command(&self, tool: &Tool) -> Command {
        let of = |row: &Row<O>| {
            let arg = Arg::new(row.called()).help(row.help);
            let arg = row.long.into_iter().fold(arg, Arg::long);
            let arg = row.short.into_iter().fold(arg, Arg::short);
            let arg = match row.act {
                Act::Flag(_) | Act::Help | Act::Version | Act::Teach(_) => arg.action(ArgAction::SetTrue),
                Act::Value(value, _) if value.contains('|') => {
                    let words = PossibleValuesParser::new(value.split('|'));
                    arg.action(ArgAction::Append).value_name(value).value_parser(words).hide_possible_values(true)
                }
                Act::Value(value, _) => arg.action(ArgAction::Append).value_name(value).value_hint(hint(value)),
                Act::Optional(value, _) => {
                    let arg = arg.action(ArgAction::Append).num_args(0..=1).require_equals(true);
                    arg.value_name(value).value_hint(hint(value))
                }
                Act::Two(values, _) => arg.action(ArgAction::Append).num_args(2).value_names(values),
            };
            if row.is_ours(tool) { arg.help_heading("Not in the original").display_order(800) } else { arg }
        };
        let operand = Arg::new("operand").value_name(self.operand).num_args(1..).trailing_var_arg(true);
        let operand = operand.required(self.required);
        let command = Command::new(tool.name()).about(self.about).args(self.rows.iter().map(of));
        command.arg(operand.help(self.operand_help).value_hint(ValueHint::CommandWithArguments))
    }
}

/// What a shell may complete where a value is called `value`.
fn hint(value: &str) -> ValueHint {
    match value {
        "FILE" => ValueHint::FilePath,
        "DIR" => ValueHint::DirPath,
        "USER" => ValueHint::Username,
        _ => ValueHint::Unknown,
    }
}

/// What every tool has beside its own: `-h`, `-V` and the flags that teach.
const fn common<O>() -> [Row<O>; 4] {
    [
        Row::short('h', "help", Act::Help, ""),
        Row::short('V', "version", Act::Version, ""),
        Row::long(TEACHING[0], Act::Teach(Level::Trace), ""),
        Row::long(TEACHING[1], Act::Teach(Level::Explain), ""),
    ]
}

/// A row that may stand on the line.
struct Choice<'a, O> {
    row: &'a Row<O>,
    ours: bool,
}

impl<O> Known for Choice<'_, O> {
    fn has_letter(&self, letter: char) -> bool {
        self.row.short == Some(letter)
    }
    fn names(&self) -> impl Iterator<Item = &str> {
        self.row.long.into_iter()
    }
    fn takes(&self) -> Takes {
        match self.row.act {
            Act::Value(..) => Takes::Value,
            Act::Optional(..) => Takes::Optional,
            Act::Two(..) => Takes::Two,
            _ => Takes::Nothing,
        }
    }
    fn is_ours(&self) -> bool {
        self.ours
    }
}

/// Reads the command line into `O`.
pub(crate) fn parse<O: Default>(tool: &Tool, table: &Table<O>) -> Result<O, Ended> {
    let (argv0, words) = name::words();
    name::set(argv0.as_deref(), tool.name());
    table.read(tool, words).map_err(|answer| {
        let status = tool.usage_status();
        match answer {
            Answer::Text(text) => Ended(print(&text, status).map_or_else(|error| error::report(&error), |()| 0)),
            Answer::Mistake(reason) => usage(tool, name(), &reason),
        }
    })
}

/// What a command line gets that is not to be obeyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The text that it asks for.
    Text(String),
    /// Its first mistake.
    Mistake(String),
}

impl<O: Default> Table<O> {
    /// Reads `words` left to right: the first mistake counts, and `-h` and `-V`
    /// end the line where they stand.
    ///
    /// # Errors
    /// What the line gets instead.
    pub fn read(&self, tool: &Tool, words: Vec<OsString>) -> Result<O, Answer> {
        let common = common();
        let choice = |row| Choice { row, ours: Row::is_ours(row, tool) };
        let choices: Vec<Choice<'_, O>> = self.rows.iter().chain(&common).map(choice).collect();
        let line = getopt::read(&choices, tool.operands(), words);
        let mut options = O::default();
        for seen in &line.seen {
            let row = seen.option.row;
            let value = seen.values.first().map(OsString::as_os_str);
            let second = seen.values.get(1).map(OsString::as_os_str);
            let done = match row.act {
                Act::Flag(act) => {
                    act(&mut options);
                    Ok(())
                }
                Act::Value(_, act) => act(&mut options, value.unwrap_or_default()),
                Act::Optional(_, act) => act(&mut options, value),
                Act::Two(_, act) => act(&mut options, value.unwrap_or_default(), second.unwrap_or_default()),
                Act::Help => return Err(Answer::Text(self.help.replace("{name}", name()))),
                Act::Version => return Err(Answer::Text(format!("{} {}\n", name(), tool.version()))),
                Act::Teach(level) => {
                    trace::raise(level);
                    Ok(())
                }
            };
            done.map_err(|wrong| Answer::Mistake(format!("{}: {wrong}", row.called())))?;
        }
        if let Some(mistake) = line.mistake {
            return Err(Answer::Mistake(mistake));
        }
        (self.program)(&mut options, line.operands).map_err(|Wrong(reason)| Answer::Mistake(reason))?;
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Options {
        root: bool,
        program: Vec<OsString>,
    }

    const TABLE: Table<Options> = Table {
        about: "Do",
        help: "Usage: {name}\n",
        rows: &[
            Row::short('r', "root", Act::Flag(|o| o.root = true), "be root"),
            Row::long("file", Act::Optional("FILE", |_, _| Ok(())), "keep FILE"),
            Row::long("uid", Act::Value("UID", |_, _| Err(Wrong("no".into()))), "be UID"),
            Row::long(
                "bind",
                Act::Two(["SRC", "DEST"], |o, source, dest| {
                    o.program = vec![source.into(), dest.into()];
                    Ok(())
                }),
                "bind SRC",
            ),
        ],
        operand: "PROGRAM",
        operand_help: "the program",
        required: true,
        program: |options, words| {
            options.program.extend(words);
            if options.program.is_empty() { Err(Wrong("missing PROGRAM".into())) } else { Ok(()) }
        },
    };

    #[test]
    fn rows_become_clap_arguments() {
        let tool = Tool::new("t", 1).additions(&["uid"]);
        let command = tool.command(TABLE.command(&tool));
        let arg = |name: &str| command.get_arguments().find(|arg| arg.get_id() == name).expect("an argument").clone();
        assert!(arg("--file").is_require_equals_set() && arg("--file").get_value_hint() == ValueHint::FilePath);
        assert_eq!(arg("--root").get_short(), Some('r'));
        assert_eq!(arg("--bind").get_num_args(), Some(2.into()));
        assert_eq!(arg("--uid").get_help_heading(), Some("Not in the original"));
        assert!(arg("operand").is_positional() && arg("trace").get_help_heading().is_some());
    }

    fn read(words: &[&str]) -> Result<Options, Answer> {
        TABLE.read(&Tool::new("t", 1), words.iter().map(OsString::from).collect())
    }

    fn mistake(words: &[&str]) -> String {
        match read(words) {
            Err(Answer::Mistake(mistake)) => mistake,
            _ => "none".to_owned(),
        }
    }

    #[test]
    fn rows_act_from_left_to_right() {
        let options = read(&["-r", "--file=x", "sh", "-r"]).expect("options");
        assert!(options.root && options.program == ["sh", "-r"]);
        assert_eq!(mistake(&["--uid=5", "--bogus"]), "--uid: no");
        assert_eq!(mistake(&["--bogus", "--uid=5"]), "unrecognized option '--bogus'");
        assert!(matches!(read(&["-rh", "--bogus"]), Err(Answer::Text(text)) if text.starts_with("Usage: ")));
        assert!(matches!(read(&["--vers", "--uid=5"]), Err(Answer::Text(text)) if text.contains("(t) ")));
        assert_eq!(mistake(&["--bogus", "--help"]), "unrecognized option '--bogus'");
        assert_eq!(read(&["--bind=-r", "--root", "sh"]).expect("options").program, ["-r", "--root", "sh"]);
        assert_eq!(mistake(&["-r"]), "missing PROGRAM");
    }
}
