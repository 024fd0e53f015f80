//! `cgset`: set parameters of groups.

use super::usage;
use crate::hierarchy::Host;
use crate::list;
use crate::status::{Error, TWICE, USAGE};
use crate::value::{Parameters, Rule, controller};
use chain::{Page, Tool};
use clap::{CommandFactory, Parser};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::ExitCode;

const TOOL: Tool = Tool::new("rs-cgset", USAGE).additions(&["version", "variable"]).operands_anywhere();

/// Set parameters of control groups
#[derive(Debug, Parser)]
#[command(after_help = "Names of either cgroup version serve on every host.

Examples:
  Limit memory to 10 MB:
    cgset -r memory.limit_in_bytes=10000000 GROUP
  Limit CPU time to 30 %:
    cgset -r cpu.cfs_period_us=1000000 -r cpu.cfs_quota_us=300000 GROUP")]
struct Cli {
    /// set the parameter NAME to VALUE
    #[arg(short = 'r', long = "rule", alias = "variable", value_name = "NAME=VALUE")]
    rule: Vec<OsString>,
    /// copy all parameters of GROUP
    #[arg(long = "copy-from", value_name = "GROUP")]
    copy_from: Vec<OsString>,
    /// set in all groups below, too
    #[arg(short = 'R')]
    recursive: bool,
    /// ignore the default group of cgcreate -S
    #[arg(short = 'b')]
    ignore_default: bool,
    /// the groups, relative to the mount points
    #[arg(value_name = "GROUP")]
    groups: Vec<OsString>,
}

/// The whole tool.
pub fn main() -> ExitCode {
    chain::run(&TOOL, run)
}

fn run(cli: &Cli) -> Result<ExitCode, Error> {
    if cli.copy_from.len() > 1 {
        return Err(usage("--copy-from is given twice"));
    }
    if cli.rule.is_empty() == cli.copy_from.is_empty() {
        return Err(usage("want either -r NAME=VALUE or --copy-from GROUP"));
    }
    if cli.groups.is_empty() {
        return Err(usage("missing GROUP"));
    }
    let rules = cli.rule.iter().map(|text| rule(text)).collect::<Result<Vec<_>, _>>()?;
    let rules = by_controller(rules)?;
    let host = Host::mounted()?;
    let group = |name| {
        let path = host.path(name, !cli.ignore_default)?;
        Ok::<_, Error>(Parameters { host: &host, name, path })
    };
    let groups = cli.groups.iter().map(|name| group(name.as_os_str())).collect::<Result<Vec<_>, _>>()?;
    if let Some(source) = cli.copy_from.first() {
        let source = group(source)?;
        for target in groups {
            let below = if cli.recursive { list::below(&target) } else { Vec::new() };
            list::copy(&source, &target)?;
            for path in below {
                list::copy(&source, &Parameters { path, ..target })?;
            }
        }
        return Ok(ExitCode::SUCCESS);
    }
    for group in groups {
        if cli.recursive { group.set_tree(&rules)? } else { group.set(&rules)? }
    }
    Ok(ExitCode::SUCCESS)
}

/// Reads `NAME=VALUE`; only the first `=` splits.
fn rule(text: &OsStr) -> Result<Rule, Error> {
    let bytes = text.as_bytes();
    let split = bytes.iter().position(|b| *b == b'=').filter(|at| at + 1 < bytes.len());
    let at = split.ok_or_else(|| usage(format!("wrong parameter '{}': want NAME=VALUE", text.display())))?;
    let name = String::from_utf8_lossy(&bytes[..at]).into_owned();
    if controller(&name).is_none_or(str::is_empty) || name.contains('/') {
        return Err(usage(format!("wrong parameter '{name}': want CONTROLLER.NAME")));
    }
    Ok(Rule { name, value: OsString::from_vec(bytes[at + 1..].to_vec()) })
}

/// Groups rules by controller, in order of first mention.
fn by_controller(rules: Vec<Rule>) -> Result<Vec<Rule>, Error> {
    let mut sorted: Vec<Rule> = Vec::with_capacity(rules.len());
    for rule in rules {
        if sorted.iter().any(|other| other.name == rule.name) {
            return Err(Error::Argument { message: format!("parameter '{}' is set twice", rule.name), status: TWICE });
        }
        let same = |other: &Rule| controller(&other.name) == controller(&rule.name);
        let at = sorted.iter().rposition(same).map_or(sorted.len(), |at| at + 1);
        sorted.insert(at, rule);
    }
    Ok(sorted)
}

/// What documents are made from.
pub(super) fn page() -> Page {
    Page {
        name: "rs-cgset",
        original: Some("cgset"),
        command: TOOL.command(Cli::command()),
        calls: &[
            ("openat", "opens the parameter's file"),
            ("write", "sets it: the kernel reads the value in one piece"),
        ],
        sections: include_str!("../../man/rs-cgset.roff"),
    }
}
