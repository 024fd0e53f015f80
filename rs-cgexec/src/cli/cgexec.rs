//! `cgexec`: enter groups, become a program.

use crate::group::attach::{Place, Who, places};
use crate::group::fork;
use crate::hierarchy::Host;
use crate::spec::parse_all;
use crate::status::{Error, NO_RULES, USAGE};
use crate::systemd;
use chain::table::Act::{Flag, Value};
use chain::table::{Row, Table, Wrong};
use chain::{Page, Tool};
use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

const TOOL: Tool = Tool::new("rs-cgexec", USAGE).additions(&["version", "fork"]);

/// What the command line asks for.
#[derive(Debug, Default)]
struct Options {
    group: Vec<OsString>,
    replace_idle: bool,
    ignore_default: bool,
    fork: bool,
    program: Vec<OsString>,
}

const TABLE: Table<Options> = Table {
    about: "Run a program in control groups",
    help: include_str!("cgexec.txt"),
    rows: &[
        Row::letter('g', Value("CONTROLLERS:PATH", Options::enter), "the group to enter, where its controllers are"),
        Row::short('s', "sticky", Flag(|_| ()), "accepted: only a rules daemon asks for it"),
        Row::letter('r', Flag(|o| o.replace_idle = true), "end the idle process of a scope"),
        Row::letter('b', Flag(|o| o.ignore_default = true), "ignore the default group of cgcreate -S"),
        Row::long("fork", Flag(|o| o.fork = true), "start the program as a child, born inside the group"),
    ],
    operand: "PROGRAM",
    operand_help: "the program, and its arguments",
    required: true,
    program: |o, words| {
        o.program = words;
        if o.program.is_empty() { Err(Wrong("missing PROGRAM".into())) } else { Ok(()) }
    },
};

impl Options {
    #[allow(clippy::unnecessary_wraps, reason = "the form of a row")]
    fn enter(&mut self, group: &OsStr) -> Result<(), Wrong> {
        self.group.push(group.to_owned());
        Ok(())
    }
}

/// The whole tool.
pub fn main() -> ExitCode {
    chain::run_table(&TOOL, &TABLE, run)
}

fn run(cli: &Options) -> Result<ExitCode, Error> {
    let specs = parse_all(&cli.group)?;
    if specs.is_empty() {
        return Err(no_rules());
    }
    let host = Host::mounted()?;
    let places = places(&host, &specs, !cli.ignore_default)?;
    if cli.fork {
        return fork::run(&places, &cli.program, cli.replace_idle);
    }
    places.iter().try_for_each(|place: &Place<'_>| place.attach(Who::Myself))?;
    if cli.replace_idle {
        for place in &places {
            systemd::replace_idle(&place.dir);
        }
    }
    match chain::exec(&cli.program)? {}
}

/// Without `-g` the rules of /etc/cgrules.conf would decide.
pub(super) fn no_rules() -> Error {
    let message = "rules files (/etc/cgrules.conf) are not supported: name the group with -g".to_owned();
    Error::Argument { message, status: NO_RULES }
}

/// What documents are made from.
pub(super) fn page() -> Page {
    Page {
        name: "rs-cgexec",
        original: Some("cgexec"),
        command: TOOL.command(TABLE.command(&TOOL)),
        calls: &[
            ("openat", "opens the file of the group that takes processes"),
            ("write", "enters the group: its limits hold from here on"),
            ("rt_sigprocmask", "keeps signals until the child is there to get them (--fork)"),
            ("clone3", "starts the child right inside the v2 group (--fork)"),
            ("clone", "starts the child where there is no v2 group to be born in (--fork)"),
            ("kill", "hands a signal on to the child (--fork)"),
            ("execve", "becomes the program, which stays in the group"),
        ],
        sections: include_str!("../../man/rs-cgexec.roff"),
    }
}
