//! What xtask makes man pages and completions from.

use crate::{TOOL, getcap, getpcaps, help, print, setcap};
use chain::Page;
use chain::capability::CAPABILITIES;
use clap::CommandFactory;
use std::fmt::Write as _;

/// The calls that rs-capsh makes, and what for.
const CALLS: &[(&str, &str)] = &[
    ("capset", "sets the effective, permitted and inheritable set at once"),
    ("prctl", "changes the bounding and the ambient set, keep-caps, securebits and no-new-privs"),
    ("setuid", "changes all user ids"),
    ("setgid", "changes all group ids"),
    ("setgroups", "sets the supplementary groups"),
    ("chroot", "changes the root folder"),
    ("chdir", "goes there"),
    (
        "rt_sigaction",
        "puts SIGCHLD to its default for a child, where the caller had it ignored, and back for a program",
    ),
    ("clone", "makes the child of -+, =+ and --forkfor"),
    ("kill", "ends the child of --forkfor"),
    ("execve", "becomes the program"),
];

/// The calls that rs-setcap makes, and what for.
const SETCAP_CALLS: &[(&str, &str)] = &[
    ("capset", "puts cap_setfcap in force where it is only permitted"),
    ("lsetxattr", "writes the attribute security.capability of a file"),
    ("lremovexattr", "removes it"),
];

/// What the documents of this crate's tools are made from.
pub fn pages() -> Vec<Page> {
    let page =
        |name, original, command, calls, sections| Page { name, original: Some(original), command, calls, sections };
    let by_hand = include_str!("../man/rs-capsh.roff");
    // Made once, by xtask alone: nobody misses the memory.
    let sections = format!("{by_hand}{}", capabilities()).leak();
    let getpcaps_command = getpcaps::TOOL.command(getpcaps::command());
    let setcap_command = setcap::TOOL.command(setcap::command());
    let getcap_command = getcap::TOOL.command(getcap::Cli::command());
    vec![
        page("rs-capsh", "capsh", TOOL.command(help::command()), CALLS, sections),
        page("rs-getpcaps", "getpcaps", getpcaps_command, &[], include_str!("../man/rs-getpcaps.roff")),
        page("rs-setcap", "setcap", setcap_command, SETCAP_CALLS, include_str!("../man/rs-setcap.roff")),
        page("rs-getcap", "getcap", getcap_command, &[], include_str!("../man/rs-getcap.roff")),
    ]
}

/// The section that describes every capability, from the same text as
/// `--explain`.
fn capabilities() -> String {
    let mut text = String::from(".SH CAPABILITIES\n");
    for (number, known) in CAPABILITIES.iter().enumerate() {
        let description = print::description_lines(known).join("\n").replace('-', "\\-");
        let _ = writeln!(text, ".TP\n.BR {} \" ({number})\"\n{description}", known.name);
    }
    text
}
