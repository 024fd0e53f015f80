//! `lssubsys`: list v1 hierarchies.

use crate::hierarchy::Host;
use crate::list::{self, Columns};
use crate::status::{Error, FAILED, USAGE};
use chain::output::{OutputError, write_stdout};
use chain::{Page, Tool};
use clap::{CommandFactory, Parser};
use std::ffi::OsString;
use std::process::ExitCode;

const TOOL: Tool = Tool::new("rs-lssubsys", USAGE).additions(super::OURS).operands_anywhere();

/// List the hierarchies of cgroup v1
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  List hierarchies and where they are mounted:
    lssubsys -m")]
struct Cli {
    /// show the mount point
    #[arg(short = 'm', long = "mount-points")]
    mount_points: bool,
    /// show each mount point
    #[arg(short = 'M', long = "all-mount-points")]
    all_mount_points: bool,
    /// show controllers that are not mounted, too
    #[arg(short = 'a', long = "all")]
    all: bool,
    /// show the hierarchy's number
    #[arg(short = 'i', long = "hierarchies")]
    hierarchies: bool,
    /// only hierarchies that hold one of these
    #[arg(value_name = "CONTROLLER")]
    controllers: Vec<OsString>,
}

/// The whole tool.
pub fn main() -> ExitCode {
    chain::run(&TOOL, run)
}

fn run(cli: &Cli) -> Result<ExitCode, Error> {
    let columns = Columns {
        mount: cli.mount_points || cli.all_mount_points,
        each_mount: cli.all_mount_points,
        number: cli.hierarchies,
        unmounted: cli.all,
    };
    let wanted: Vec<String> = cli.controllers.iter().map(|name| name.to_string_lossy().into_owned()).collect();
    let out = list::hierarchies(&Host::read()?, &columns, &wanted);
    write_stdout(&out).map_err(|errno| OutputError { errno, status: FAILED })?;
    Ok(ExitCode::SUCCESS)
}

/// What documents are made from.
pub(super) fn page() -> Page {
    Page {
        name: "rs-lssubsys",
        original: Some("lssubsys"),
        command: TOOL.command(Cli::command()),
        calls: &[],
        sections: include_str!("../../man/rs-lssubsys.roff"),
    }
}
