//! The table of the words that capsh knows: what each is called, takes and
//! does. The loop, the help, the man page and the completions come from it.
#![allow(clippy::unnecessary_wraps, reason = "the acts of all words have one type")]

use crate::program::Ran;
use crate::state::{Next, Outcome, State};
use crate::{check, identity, mode, print, program, sets};
use chain::trace::{self, Level};
use std::ffi::{OsStr, OsString};
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
    /// One line for the man page and the completions.
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

/// One line of the help: words that belong together.
pub struct Line {
    /// What it says, where it is not what its one word says.
    pub says: &'static str,
    /// The words.
    pub words: &'static [Word],
}

/// The table: every word, in the order of the help.
pub const LINES: &[Line] = &[
    Line {
        says: "raise, lower capabilities in the ambient set",
        words: &[
            value("--addamb", "LIST", sets::addamb, "raise capabilities in the ambient set, one by one"),
            value("--delamb", "LIST", sets::delamb, "lower capabilities in the ambient set, one by one"),
        ],
    },
    Line {
        says: "become that user, and keep what is permitted",
        words: &[
            value("--cap-uid", "N", identity::cap_uid, "become user N, keep what is permitted, none of it in force"),
            value("--user", "NAME", identity::user, "the same for a user and the user's groups; set HOME and USER"),
        ],
    },
    alone(&[value("--caps", "TEXT", sets::caps, "set effective, permitted, inheritable at once")]),
    alone(&[value("--chroot", "DIR", identity::chroot, "make DIR the root, and go there")]),
    Line {
        says: "show the sets; all that matters to capabilities",
        words: &[
            flag("--current", print::current_sets, "show the sets, and what exec hands on"),
            flag("--print", print::print, "show all that matters to capabilities: sets, securebits, ids, mode"),
        ],
    },
    alone(&[value("--decode", "HEX", print::decode, "show the names of a set's bits")]),
    Line {
        says: "drop from, fail if in the bounding set",
        words: &[
            value("--drop", "LIST", sets::drop, "take capabilities out of the bounding set, one by one"),
            value("--dropped", "NAME", check::dropped, "fail if NAME is in the bounding set"),
        ],
    },
    Line {
        says: "describe capabilities by name, by text",
        words: &[
            value("--explain", "NAME", print::explain, "show what a capability lets a process do"),
            value("--suggest", "TEXT", print::suggest, "show the capabilities whose name or description has TEXT"),
        ],
    },
    Line {
        says: "make a child that sleeps; send it signal N",
        words: &[
            value("--forkfor", "N", program::forkfor, "make a child that sleeps for N seconds"),
            value("--killit", "N", program::killit, "send signal N to that child, and fail unless it dies of it"),
        ],
    },
    Line {
        says: "set the group id, the user id, as they are",
        words: &[
            value("--gid", "N", identity::gid, "set the group ids; supplementary groups stay"),
            value("--uid", "N", identity::uid, "set the user ids; leaving user 0 loses the capabilities"),
        ],
    },
    alone(&[value("--groups", "G,...", identity::groups, "set the supplementary groups")]),
    Line {
        says: "fail if not in there",
        words: &[
            value("--has-a", "NAME", check::has_a, "fail unless NAME is in the ambient set"),
            value("--has-b", "NAME", check::has_b, "fail unless NAME is in the bounding set"),
            value("--has-i", "NAME", check::has_i, "fail unless NAME is inheritable"),
            value("--has-p", "NAME", check::has_p, "fail unless NAME is permitted"),
        ],
    },
    Line {
        says: "fail unless the kernel, the process has it",
        words: &[
            flag("--has-ambient", check::has_ambient, "fail unless the kernel has an ambient set"),
            flag("--has-no-new-privs", check::has_no_new_privs, "fail unless no-new-privs is set"),
        ],
    },
    alone(&[value("--iab", "TEXT", sets::iab, "set what exec hands on, what it cannot gain")]),
    alone(&[value("--inh", "LIST", sets::inh, "set the inheritable set")]),
    alone(&[value("--inmode", "MODE", mode::inmode, "fail unless in that mode")]),
    Line {
        says: "fail unless the real id is N",
        words: &[
            value("--is-uid", "N", check::is_uid, "fail unless the real user id is N"),
            value("--is-gid", "N", check::is_gid, "fail unless the real group id is N"),
        ],
    },
    alone(&[value("--keep", "N", identity::keep, "1: a change of user keeps what is permitted")]),
    alone(&[flag("--license", print::license, "show the license")]),
    Line {
        says: "show, enter, list the securebits modes",
        words: &[
            flag("--mode", mode::mode, "show the mode; with MODE enter it, with nothing left in force"),
            value("--mode", "MODE", mode::set_mode, "enter a mode, with nothing left in force"),
            flag("--modes", mode::modes, "list the modes that can be entered"),
        ],
    },
    alone(&[flag("--no-new-privs", identity::no_new_privs, "no exec gives more than the process has")]),
    alone(&[flag("--noamb", sets::noamb, "empty the ambient set")]),
    alone(&[flag("--noenv", noenv, "leave HOME and USER alone (before --user)")]),
    alone(&[flag("--quiet", quiet, "as the first word: no warning about the kernel")]),
    alone(&[value("--secbits", "N", identity::secbits, "set the securebits")]),
    alone(&[value("--shell", "PATH", shell, "run PATH in place of /bin/bash")]),
    alone(&[flag("--strict", strict, "borrow no cap_setpcap for --caps, --drop, --inh")]),
    alone(&[value("--supports", "NAME", check::supports, "fail unless the kernel has NAME")]),
    Line {
        says: "become the shell; run it and wait",
        words: &[
            program("--", "[ARG]...", program::shell, "become the shell"),
            program("-+", "[ARG]...", program::shell_child, "run the shell and wait"),
        ],
    },
    Line {
        says: "become capsh again; run it and wait",
        words: &[
            program("==", "[WORD]...", program::itself, "become capsh again"),
            program("=+", "[WORD]...", program::itself_child, "run capsh again and wait"),
        ],
    },
    alone(&[program("--exec", "PROGRAM [ARG]...", program::exec, "become PROGRAM, found in PATH")]),
];

const fn alone(words: &'static [Word]) -> Line {
    Line { says: words[0].help, words }
}

/// Every word of the table.
pub fn words() -> impl Iterator<Item = &'static Word> {
    LINES.iter().flat_map(|line| line.words)
}

/// The words of ours that teach.
pub(crate) const TEACHING: &[Word] = &[
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
    for known in words().chain(TEACHING) {
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
}
