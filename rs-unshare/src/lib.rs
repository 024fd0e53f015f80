//! `rs-unshare [OPTION]... [PROGRAM [ARG]...]` runs a program in new
//! namespaces: a drop-in for util-linux's `unshare`.
//!
//! [`cli`] reads the command line, [`plan`] checks and looks up all that can
//! fail before anything is made, [`enter`] makes the namespaces and, with
//! [`fork`], the child, [`inside`] does what the program's own process does
//! before it becomes the program.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod cli;
pub mod enter;
pub mod error;
pub mod fork;
pub mod idmap;
pub mod inside;
pub mod options;
pub mod persist;
pub mod plan;
pub mod subid;
pub mod value;

use chain::{Page, Tool};
use cli::TABLE;
use std::process::ExitCode;

/// The status of every failure but those of exec.
const FAILURE: u8 = 1;

const TOOL: Tool = Tool::new("rs-unshare", FAILURE).additions(&["hostname"]);

/// The whole tool.
pub fn main() -> ExitCode {
    chain::run_table(&TOOL, &TABLE, enter::become_program)
}

/// What the man page and the completions are made from.
pub fn pages() -> Vec<Page> {
    vec![Page {
        name: "rs-unshare",
        original: Some("unshare"),
        command: TOOL.command(TABLE.command(&TOOL)),
        calls: CALLS,
        sections: include_str!("../man/rs-unshare.roff"),
    }]
}

/// Every call that the tool may make, in the order of the work.
const CALLS: &[(&str, &str)] = &[
    ("rt_sigaction", "puts SIGCHLD to its default, where the caller had it ignored"),
    ("clone", "starts the helpers that stay outside, and the child of --fork"),
    ("setgroups", "drops the supplementary groups, for --owner and --setgid"),
    ("setgid", "becomes the group of --owner or --setgid"),
    ("setuid", "becomes the user of --owner or --setuid"),
    ("unshare", "moves the process into the new namespaces"),
    ("openat", "opens the control files of the namespaces to write"),
    ("write", "writes uid_map, gid_map, setgroups, timens_offsets and binfmt_misc's register"),
    (
        "rt_sigprocmask",
        "keeps SIGTERM and SIGINT from ending the parent before its child, and all signals from the helper that takes \
         files back",
    ),
    ("pidfd_open", "lets the child see whether its parent still lives, for --kill-child"),
    (
        "setpgid",
        "keeps signals to the process group from the helper that takes files back; shows whether the child became the program",
    ),
    ("mount", "binds the files of persistent namespaces, changes the propagation, mounts proc and binfmt_misc"),
    ("umount2", "takes back the binds of a command that failed"),
    ("prctl", "asks for the parent-death signal; raises ambient capabilities; turns a core dump off"),
    ("sethostname", "names the host of the new UTS namespace"),
    ("chroot", "changes the root folder, for --root"),
    ("chdir", "changes the working folder, for --root and --wd"),
    ("capset", "makes the permitted capabilities inheritable, for --keep-caps"),
    ("execve", "becomes the program"),
    ("kill", "hands SIGTERM and SIGINT on to the child; ends the parent as its child ended"),
];
