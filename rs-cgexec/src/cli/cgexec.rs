//! `cgexec`: enter groups, become a program.

use super::usage;
use crate::group::attach::{Place, Who, places};
use crate::group::fork;
use crate::hierarchy::Host;
use crate::spec::parse_all;
use crate::status::{Error, NO_RULES, USAGE};
use crate::systemd;
use chain::{Page, Tool};
use clap::{CommandFactory, Parser, ValueHint};
use std::ffi::OsString;
use std::process::ExitCode;

const TOOL: Tool = Tool::new("rs-cgexec", USAGE).additions(&["version", "fork"]);

/// Run a program in control groups
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  Run a program under the limits of a group:
    cgexec -g cpu,memory:GROUP PROGRAM
  Start it right inside the group (cgroup v2, faster):
    cgexec --fork -g cpu,memory:GROUP PROGRAM")]
struct Cli {
    /// the group to enter, where its controllers are
    #[arg(short = 'g', value_name = "CONTROLLERS:PATH")]
    group: Vec<OsString>,
    /// accepted: only a rules daemon asks for it
    #[arg(short = 's', long = "sticky")]
    sticky: bool,
    /// end the idle process of a scope
    #[arg(short = 'r')]
    replace_idle: bool,
    /// ignore the default group of cgcreate -S
    #[arg(short = 'b')]
    ignore_default: bool,
    /// start the program as a child, born inside the group
    #[arg(long)]
    fork: bool,
    /// the program, and its arguments
    #[arg(value_name = "PROGRAM", trailing_var_arg = true, value_hint = ValueHint::CommandWithArguments)]
    program: Vec<OsString>,
}

/// The whole tool.
pub fn main() -> ExitCode {
    chain::run(&TOOL, run)
}

fn run(cli: &Cli) -> Result<ExitCode, Error> {
    if cli.program.is_empty() {
        return Err(usage("missing PROGRAM"));
    }
    let specs = parse_all(&cli.group)?;
    if specs.is_empty() {
        return Err(no_rules());
    }
    let host = Host::read();
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
        command: TOOL.command(Cli::command()),
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
