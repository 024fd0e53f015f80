//! `lscgroup`: list groups.

use crate::hierarchy::Host;
use crate::list;
use crate::spec::Spec;
use crate::status::{BAD, Error, FAILED, USAGE};
use chain::output::{OutputError, write_stdout};
use chain::{Page, Tool, error};
use clap::{CommandFactory, Parser};
use std::ffi::OsString;
use std::process::ExitCode;

const TOOL: Tool = Tool::new("rs-lscgroup", USAGE).additions(super::OURS).operands_anywhere();

/// List control groups
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  List all groups of all hierarchies:
    lscgroup
  List a group and what is below it:
    lscgroup memory:GROUP")]
struct Cli {
    /// list this group and all below it
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
    let bad = |error: Error| Error::Argument { message: error.to_string(), status: BAD };
    let specs = cli.group.iter().chain(&cli.groups).map(|text| Spec::parse(text).map_err(bad));
    let specs = specs.collect::<Result<Vec<_>, _>>()?;
    let host = Host::mounted()?;
    let mut out = Vec::new();
    let mut status = 0;
    if specs.is_empty() {
        host.hierarchies.iter().for_each(|hierarchy| list::groups(hierarchy, None, &mut out));
    }
    for spec in &specs {
        let path = host.path(&spec.group, !cli.ignore_default)?;
        match list::first(&host, spec, FAILED) {
            Ok(hierarchy) => list::groups(hierarchy, Some(&path), &mut out),
            Err(failure) => status = error::report(&failure),
        }
    }
    write_stdout(&out).map_err(|errno| OutputError { errno, status: FAILED })?;
    Ok(status.into())
}

/// What documents are made from.
pub(super) fn page() -> Page {
    Page {
        name: "rs-lscgroup",
        original: Some("lscgroup"),
        command: TOOL.command(Cli::command()),
        calls: &[],
        sections: include_str!("../../man/rs-lscgroup.roff"),
    }
}
