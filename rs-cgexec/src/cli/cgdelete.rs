//! `cgdelete`: remove groups.

use super::usage;
use crate::group::delete::Deletion;
use crate::hierarchy::Host;
use crate::spec::parse_all;
use crate::status::{Error, USAGE};
use chain::{Page, Tool};
use clap::{CommandFactory, Parser};
use std::ffi::OsString;
use std::process::ExitCode;

const TOOL: Tool = Tool::new("rs-cgdelete", USAGE).additions(super::OURS).operands_anywhere();

/// Remove control groups; their processes go to the parent
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  Remove a group from two hierarchies:
    cgdelete -g cpu,memory:GROUP
  Remove it with all its subgroups, wherever it is:
    cgdelete -r '*:GROUP'")]
struct Cli {
    /// remove all groups below, too
    #[arg(short = 'r', long = "recursive")]
    recursive: bool,
    /// the group, where its controllers are
    #[arg(short = 'g', long = "group", value_name = "CONTROLLERS:PATH")]
    group: Vec<OsString>,
    /// ignore the default group of cgcreate -S
    #[arg(short = 'b')]
    ignore_default: bool,
    /// the same, without -g
    #[arg(value_name = "CONTROLLERS:PATH")]
    groups: Vec<OsString>,
}

/// The whole tool.
pub fn main() -> ExitCode {
    chain::run(&TOOL, run)
}

fn run(cli: &Cli) -> Result<ExitCode, Error> {
    let specs = parse_all(cli.group.iter().chain(&cli.groups))?;
    if specs.is_empty() {
        return Err(usage("missing CONTROLLERS:PATH"));
    }
    let host = Host::mounted()?;
    let mut deletion = Deletion::new(&host, cli.recursive);
    let mut status = 0;
    for spec in &specs {
        status = deletion.delete(spec, !cli.ignore_default)?.unwrap_or(status);
    }
    Ok(status.into())
}

/// What documents are made from.
pub(super) fn page() -> Page {
    Page {
        name: "rs-cgdelete",
        original: Some("cgdelete"),
        command: TOOL.command(Cli::command()),
        calls: &[
            ("openat", "opens the parent's file that takes processes"),
            ("write", "moves what is left in the group to the parent"),
            ("unlinkat", "removes the group's directory, and the group with it"),
        ],
        sections: include_str!("../../man/rs-cgdelete.roff"),
    }
}
