//! The table of the words that capsh knows: what each is called, takes and
//! does. The loop, the help, the man page and the completions come from it.
#![allow(clippy::unnecessary_wraps, reason = "the acts of all words have one type")]

use crate::mode::Mode;
use crate::program::Ran;
use crate::state::{Next, Outcome, State};
use crate::{check, identity, mode, print, program, sets};
use chain::capability::CAPABILITIES;
use chain::trace::{self, Level};
use clap::builder::PossibleValuesParser;
use clap::{Arg, ArgAction, Command, ValueHint};
use std::ffi::{OsStr, OsString};
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;

/// What a word takes and does.
#[derive(Clone, Copy)]
pub enum Act {
    /// Nothing after it.
    Flag(fn(&mut State) -> Outcome),
    /// `=` and a value, called so; empty is a value.
    Value(&'static str, fn(&mut State, &OsStr) -> Outcome),
    /// Every word after it, called so.
    Program(&'static str, fn(&mut State, &[OsString]) -> Ran),
}

/// One word of the language of capsh.
#[derive(Clone, Copy)]
pub struct Word {
    /// With its dashes.
    pub name: &'static str,
    /// What it takes and does.
    pub act: Act,
    /// One line for the help; neighbours with the same one share a line.
    pub help: &'static str,
}

const fn flag(name: &'static str, act: fn(&mut State) -> Outcome, help: &'static str) -> Word {
    Word { name, act: Act::Flag(act), help }
}

const fn value(
    name: &'static str,
    takes: &'static str,
    act: fn(&mut State, &OsStr) -> Outcome,
    help: &'static str,
) -> Word {
    Word { name, act: Act::Value(takes, act), help }
}

const fn program(
    name: &'static str,
    takes: &'static str,
    act: fn(&mut State, &[OsString]) -> Ran,
    help: &'static str,
) -> Word {
    Word { name, act: Act::Program(takes, act), help }
}

/// What `--mode` and its kin say of themselves.
const MODES: &str = "show, enter, list the securebits modes";
/// What `--has-a` and its kin say of themselves.
const IN_SET: &str = "fail if not in there";
/// What `--is-uid` and its kin say of themselves.
const IS_ID: &str = "fail unless the real id is N";

/// Every word, in the order of the help.
pub const WORDS: &[Word] = &[
    value("--addamb", "LIST", sets::addamb, "raise, lower capabilities in the ambient set"),
    value("--delamb", "LIST", sets::delamb, "raise, lower capabilities in the ambient set"),
    value("--cap-uid", "N", identity::cap_uid, "become that user, and keep what is permitted"),
    value("--user", "NAME", identity::user, "become that user, and keep what is permitted"),
    value("--caps", "TEXT", sets::caps, "set effective, permitted, inheritable at once"),
    value("--chroot", "DIR", identity::chroot, "make DIR the root, and go there"),
    flag("--current", print::current_sets, "show the sets; all that matters to capabilities"),
    flag("--print", print::print, "show the sets; all that matters to capabilities"),
    value("--decode", "HEX", print::decode, "show the names of a set's bits"),
    value("--drop", "LIST", sets::drop, "drop from, fail if in the bounding set"),
    value("--dropped", "NAME", check::dropped, "drop from, fail if in the bounding set"),
    value("--explain", "NAME", print::explain, "describe capabilities by name, by text"),
    value("--suggest", "TEXT", print::suggest, "describe capabilities by name, by text"),
    value("--forkfor", "N", program::forkfor, "make a child that sleeps; send it signal N"),
    value("--killit", "N", program::killit, "make a child that sleeps; send it signal N"),
    value("--gid", "N", identity::gid, "set the group id, the user id, as they are"),
    value("--uid", "N", identity::uid, "set the group id, the user id, as they are"),
    value("--groups", "G,...", identity::groups, "set the supplementary groups"),
    value("--has-a", "NAME", check::has_a, IN_SET),
    value("--has-b", "NAME", check::has_b, IN_SET),
    value("--has-i", "NAME", check::has_i, IN_SET),
    value("--has-p", "NAME", check::has_p, IN_SET),
    flag("--has-ambient", check::has_ambient, "fail unless the kernel, the process has it"),
    flag("--has-no-new-privs", check::has_no_new_privs, "fail unless the kernel, the process has it"),
    value("--iab", "TEXT", sets::iab, "set what exec hands on, what it cannot gain"),
    value("--inh", "LIST", sets::inh, "set the inheritable set"),
    value("--inmode", "MODE", mode::inmode, "fail unless in that mode"),
    value("--is-uid", "N", check::is_uid, IS_ID),
    value("--is-gid", "N", check::is_gid, IS_ID),
    value("--keep", "N", identity::keep, "1: a change of user keeps what is permitted"),
    flag("--license", print::license, "show the license"),
    flag("--mode", mode::mode, MODES),
    value("--mode", "MODE", mode::set_mode, MODES),
    flag("--modes", mode::modes, MODES),
    flag("--no-new-privs", identity::no_new_privs, "no exec gives more than the process has"),
    flag("--noamb", sets::noamb, "empty the ambient set"),
    flag("--noenv", noenv, "leave HOME and USER alone (before --user)"),
    flag("--quiet", quiet, "as the first word: no warning about the kernel"),
    value("--secbits", "N", identity::secbits, "set the securebits"),
    value("--shell", "PATH", shell, "run PATH in place of /bin/bash"),
    flag("--strict", strict, "borrow no cap_setpcap for --caps, --drop, --inh"),
    value("--supports", "NAME", check::supports, "fail unless the kernel has NAME"),
    program("--", "[ARG]...", program::shell, "become the shell; run it and wait"),
    program("-+", "[ARG]...", program::shell_child, "become the shell; run it and wait"),
    program("==", "[WORD]...", program::itself, "become capsh again; run it and wait"),
    program("=+", "[WORD]...", program::itself_child, "become capsh again; run it and wait"),
    program("--exec", "PROGRAM [ARG]...", program::exec, "become PROGRAM, found in PATH"),
];

/// The words of ours that teach.
const TEACHING: [Word; 2] = [
    flag("--trace", trace_on, "print the system calls, in strace's notation"),
    flag("--explain", explain_on, "the same, and why each is made"),
];

fn noenv(state: &mut State) -> Outcome {
    state.noenv = true;
    Ok(Next::GoOn)
}

fn quiet(state: &mut State) -> Outcome {
    state.quiet = true;
    Ok(Next::GoOn)
}

fn strict(state: &mut State) -> Outcome {
    state.strict = !state.strict;
    Ok(Next::GoOn)
}

fn shell(state: &mut State, path: &OsStr) -> Outcome {
    path.clone_into(&mut state.shell);
    Ok(Next::GoOn)
}

fn trace_on(_: &mut State) -> Outcome {
    trace::raise(Level::Trace);
    Ok(Next::GoOn)
}

fn explain_on(_: &mut State) -> Outcome {
    trace::raise(Level::Explain);
    Ok(Next::GoOn)
}

/// One word of a command line, read.
pub(crate) enum Step<'a> {
    /// Does something.
    Flag(fn(&mut State) -> Outcome),
    /// Does something with a value.
    Value(fn(&mut State, &OsStr) -> Outcome, &'a OsStr),
    /// Runs what follows.
    Program(fn(&mut State, &[OsString]) -> Ran),
    /// A word that begins with `--mode` and is none.
    Unrecognized,
    /// No word of ours.
    Unknown,
}

/// Reads one word: by its whole name, or by what stands before the first `=`.
pub(crate) fn read(word: &OsStr) -> Step<'_> {
    let bytes = word.as_bytes();
    for known in WORDS.iter().chain(&TEACHING) {
        match (known.act, bytes.strip_prefix(known.name.as_bytes())) {
            (Act::Flag(act), Some([])) => return Step::Flag(act),
            (Act::Value(_, act), Some([b'=', value @ ..])) => return Step::Value(act, OsStr::from_bytes(value)),
            (Act::Program(_, act), Some([])) => return Step::Program(act),
            _ => {}
        }
    }
    match bytes {
        [b'-', b'-', b'n', b'o', b'a', b'm', b'b', ..] => Step::Flag(sets::noamb),
        [b'-', b'-', b'm', b'o', b'd', b'e', ..] => Step::Unrecognized,
        _ => Step::Unknown,
    }
}

/// The usage text: at most 40 lines of 80 columns.
pub fn usage(name: &str) -> String {
    let mut text = format!(
        "Usage: {name} [WORD]...\nWords act one by one, from left to right, on this process; then it ends.\n\n"
    );
    let mut rest = WORDS;
    while let Some(first) = rest.first() {
        let shared = rest.iter().take_while(|word| word.help == first.help).count();
        let (together, after) = rest.split_at(shared);
        rest = after;
        line(&mut text, together);
    }
    text.push_str("\nLearning:\n");
    for word in &TEACHING {
        line(&mut text, std::slice::from_ref(word));
    }
    text.push_str("See capsh(1) for the words, capabilities(7) for what they change.\n");
    text
}

fn line(text: &mut String, words: &[Word]) {
    let spelled = |word: &Word| match word.act {
        Act::Flag(_) => word.name.to_owned(),
        Act::Value(takes, _) => format!("{}={takes}", word.name),
        Act::Program(takes, _) => format!("{} {takes}", word.name),
    };
    let names: Vec<String> = words.iter().map(spelled).collect();
    let _ = writeln!(text, "  {:<25}  {}", names.join(", "), words[0].help);
}

/// The words as a clap command, for the man page and the completions; nothing
/// is read with it.
pub fn command() -> Command {
    let mut command =
        Command::new("rs-capsh").about("Change and show the capabilities of a process, and run a program with them");
    // capsh has no word for it.
    command = command.disable_version_flag(true);
    for word in WORDS {
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
    let values = WORDS.iter().find_map(|other| match other.act {
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

    fn is_flag(word: &str) -> bool {
        matches!(read(OsStr::new(word)), Step::Flag(_))
    }

    #[test]
    fn words_are_whole() {
        for word in ["--print", "--mode", "--modes", "--noamb", "--noambX", "--noamb=", "--trace", "--explain"] {
            assert!(is_flag(word), "{word}");
        }
        for word in ["", "-", "foo", "--drop", "--print=", "--prin", "--printX", "--has", "--trace=1", "---", "--help"]
        {
            assert!(matches!(read(OsStr::new(word)), Step::Unknown), "{word}");
        }
        for word in ["--modeX", "--modesX", "--mod=", "--modes="] {
            let unrecognized = matches!(read(OsStr::new(word)), Step::Unrecognized);
            assert_eq!(unrecognized, word != "--mod=", "{word}");
        }
        for (word, value) in [("--drop=", ""), ("--drop==", "="), ("--mode=X", "X"), ("--explain=x=y", "x=y")] {
            assert!(matches!(read(OsStr::new(word)), Step::Value(_, v) if v == value), "{word}");
        }
    }

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
