//! The help of rs-capsh, and its words as a clap command.

use crate::mode::Mode;
use crate::step::{Act, LINES, Line, TEACHING, Word, words};
use chain::capability::CAPABILITIES;
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, ValueHint};
use std::fmt::Write as _;

/// The usage text: at most 40 lines of 80 columns.
pub fn usage(name: &str) -> String {
    let mut text = format!(
        "Usage: {name} [WORD]...\nWords act one by one, from left to right, on this process; then it ends.\n\n"
    );
    for shown in LINES {
        line(&mut text, shown);
    }
    text.push_str("\nLearning:\n");
    for word in TEACHING {
        line(&mut text, &Line { says: word.help, words: std::slice::from_ref(word) });
    }
    let _ = write!(text, "\nExample: {name} --drop=cap_net_raw --exec sh        See rs-capsh(1).\n");
    text
}

fn line(text: &mut String, line: &Line) {
    let spelled = |word: &Word| match word.act {
        Act::Flag(_) => word.name.to_owned(),
        Act::Value(takes, _) => format!("{}={takes}", word.name),
        Act::Program(takes, _) => format!("{} {takes}", word.name),
    };
    let names: Vec<String> = line.words.iter().map(spelled).collect();
    let _ = writeln!(text, "  {:<25}  {}", names.join(", "), line.says);
}

/// The words as a clap command, for the man page and the completions; nothing
/// is read with it.
pub fn command() -> Command {
    let mut command =
        Command::new("rs-capsh").about("Change and show the capabilities of a process, and run a program with them");
    // capsh has no word for it.
    command = command.disable_version_flag(true);
    for word in words() {
        let Some(long) = word.name.strip_prefix("--").filter(|long| !long.is_empty()) else { continue };
        if command.get_arguments().any(|known| known.get_long() == Some(long)) {
            continue;
        }
        command = command.arg(argument(word, long));
    }
    command.arg(
        Arg::new("words")
            .value_name("ARG")
            .num_args(0..)
            .trailing_var_arg(true)
            .value_hint(ValueHint::CommandWithArguments)
            .help("what the program gets after --, -+, ==, =+ and --exec"),
    )
}

fn argument(word: &Word, long: &'static str) -> Arg {
    let arg = Arg::new(long).long(long).help(word.help);
    let values = words().find_map(|other| match other.act {
        Act::Value(takes, _) if other.name == word.name => Some(takes),
        _ => None,
    });
    let Some(takes) = values else { return arg.action(ArgAction::SetTrue) };
    let alone = matches!(word.act, Act::Flag(_)) || TEACHING.iter().any(|other| other.name == word.name);
    let arg = arg.action(ArgAction::Append).value_name(takes).require_equals(true);
    let arg = if alone { arg.num_args(0..=1) } else { arg };
    match takes {
        "NAME" if word.name == "--user" => arg.value_hint(ValueHint::Username),
        "NAME" => arg.value_parser(names([].into_iter())).hide_possible_values(true),
        "LIST" => arg.value_parser(names(["all"].into_iter())).hide_possible_values(true),
        "MODE" => arg.value_parser(PossibleValuesParser::new(Mode::NAMED.map(Mode::name))).hide_possible_values(true),
        "DIR" => arg.value_hint(ValueHint::DirPath),
        "PATH" => arg.value_hint(ValueHint::ExecutablePath),
        _ => arg,
    }
}

fn names(first: impl Iterator<Item = &'static str>) -> PossibleValuesParser {
    PossibleValuesParser::new(first.chain(CAPABILITIES.iter().map(|known| known.name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usage_fits_a_screen() {
        let text = usage("capsh");
        assert!(text.lines().count() <= 40, "{} lines", text.lines().count());
        assert!(text.lines().all(|line| line.len() <= 80), "{text}");
    }

    #[test]
    fn the_command_is_sound() {
        crate::TOOL.command(command()).debug_assert();
    }
}
