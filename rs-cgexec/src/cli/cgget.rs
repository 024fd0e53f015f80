//! `cgget`: show parameters of groups.

use super::usage;
use crate::hierarchy::{Host, Mode};
use crate::list;
use crate::spec::Spec;
use crate::status::{Error, FAILED, INVALID, SYSTEM, TWICE, USAGE};
use crate::value::{Parameters, controller};
use chain::output::{OutputError, write_stdout};
use chain::{Page, Tool};
use clap::{CommandFactory, Parser};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;

const TOOL: Tool = Tool::new("rs-cgget", USAGE).additions(super::OURS).operands_anywhere();

/// Show parameters of control groups
#[derive(Debug, Parser)]
#[command(after_help = "Names of either cgroup version serve on every host.

Examples:
  Show the memory limit, the number alone:
    cgget -nvr memory.limit_in_bytes GROUP
  Show all that the cpu controller knows:
    cgget -g cpu:GROUP")]
struct Cli {
    /// show no group names
    #[arg(short = 'n')]
    no_header: bool,
    /// show values without the parameters' names
    #[arg(short = 'v', long = "values-only")]
    values_only: bool,
    /// show this parameter
    #[arg(short = 'r', long = "variable", value_name = "NAME")]
    variable: Vec<OsString>,
    /// show the parameters of these controllers
    #[arg(short = 'g', value_name = "CONTROLLERS[:PATH]")]
    group: Vec<OsString>,
    /// show the parameters of all controllers
    #[arg(short = 'a', long = "all")]
    all: bool,
    /// say which cgroup versions are mounted
    #[arg(short = 'm')]
    mode: bool,
    /// say which version each controller is on
    #[arg(short = 'c')]
    controllers: bool,
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

/// A group, and what of it is shown.
struct Block<'a> {
    header: &'a OsStr,
    /// By name; none are named where all are shown.
    controllers: Vec<String>,
    all: bool,
}

fn run(cli: &Cli) -> Result<ExitCode, Error> {
    let nothing = !cli.all && !cli.mode && !cli.controllers && cli.variable.is_empty() && cli.group.is_empty();
    if nothing && cli.groups.is_empty() {
        return if cli.no_header || cli.values_only { Ok(ExitCode::SUCCESS) } else { Err(usage("missing GROUP")) };
    }
    let about_groups = cli.all || !cli.variable.is_empty() || !cli.group.is_empty();
    if (cli.mode || cli.controllers) && about_groups {
        return Err(usage("-m and -c go with none of -r, -g and -a"));
    }
    if !cli.variable.is_empty() && (cli.all || !cli.group.is_empty()) {
        return Err(usage("-r goes with neither -a nor -g"));
    }
    let host = Host::mounted()?;
    let mut out = Vec::new();
    if cli.mode {
        out.extend_from_slice(mode(host.mode()).as_bytes());
    }
    if cli.controllers {
        out.extend(list::versions(&host));
    }
    if !cli.variable.is_empty() {
        out.extend(by_name(cli, &host)?);
    } else if about_groups || !cli.groups.is_empty() {
        out.extend(by_group(cli, &host)?);
    }
    write_stdout(&out).map_err(|errno| OutputError { errno, status: FAILED })?;
    Ok(ExitCode::SUCCESS)
}

const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Legacy => "Legacy Mode (Cgroup v1 only).\n",
        Mode::Hybrid => "Hybrid mode (Cgroup v1/v2).\n",
        Mode::Unified => "Unified Mode (Cgroup v2 only).\n",
    }
}

/// `-r`: all is read before anything is shown.
fn by_name(cli: &Cli, host: &Host) -> Result<Vec<u8>, Error> {
    let mut names: Vec<String> = Vec::new();
    for name in &cli.variable {
        let name = name.to_string_lossy().into_owned();
        if controller(&name).is_none_or(str::is_empty) || name.contains('/') {
            let message = format!("wrong parameter '{name}': want CONTROLLER.NAME");
            return Err(Error::Argument { message, status: INVALID });
        }
        if names.contains(&name) {
            return Err(Error::Argument { message: format!("parameter '{name}' is asked for twice"), status: TWICE });
        }
        let same = |other: &String| controller(other) == controller(&name);
        let at = names.iter().rposition(same).map_or(names.len(), |at| at + 1);
        names.insert(at, name);
    }
    if cli.groups.is_empty() {
        return Err(usage("missing GROUP"));
    }
    let mut out = Vec::new();
    for group in &cli.groups {
        let path = host.path(group, !cli.ignore_default)?;
        let parameters = Parameters { host, name: group, path };
        begin(cli, group, &mut out);
        for name in &names {
            value(cli, name.as_bytes(), &parameters.get(name)?, &mut out);
        }
        end(cli, &mut out);
    }
    Ok(out)
}

/// `-g`, `-a` or neither: whole controllers.
fn by_group(cli: &Cli, host: &Host) -> Result<Vec<u8>, Error> {
    let mut out = Vec::new();
    for block in blocks(cli)? {
        let mut controllers = Vec::new();
        for name in &block.controllers {
            let found = match host.find(name) {
                Some(hierarchy) => Some((hierarchy, Some(name.clone()))),
                None => host.resolve(name).map(|(hierarchy, own)| (hierarchy, own.map(str::to_owned))),
            };
            let unknown = || Error::Unknown { controller: name.clone(), status: SYSTEM };
            controllers.push(found.ok_or_else(unknown)?);
        }
        if block.all {
            let every =
                host.hierarchies.iter().flat_map(|h| h.controllers.iter().map(move |name| (h, Some(name.clone()))));
            controllers = every.collect();
        }
        let path = host.path(block.header, !cli.ignore_default)?;
        begin(cli, block.header, &mut out);
        for (hierarchy, name) in controllers {
            let Some(name) = name else { continue };
            for (file, text) in list::parameters(&hierarchy.dir(&path), &name)? {
                value(cli, file.as_bytes(), &text, &mut out);
            }
        }
        end(cli, &mut out);
    }
    Ok(out)
}

fn blocks(cli: &Cli) -> Result<Vec<Block<'_>>, Error> {
    let colon = |text: &OsString| text.as_bytes().contains(&b':');
    let list = |text: &OsStr| text.to_string_lossy().into_owned();
    if cli.group.is_empty() || (cli.all && !cli.group.iter().any(colon)) {
        let block = |header| Block { header, controllers: Vec::new(), all: true };
        return Ok(if cli.groups.is_empty() {
            vec![block(OsStr::new(""))]
        } else {
            cli.groups.iter().map(|group| block(group.as_os_str())).collect()
        });
    }
    if cli.group.iter().any(colon) {
        if !cli.groups.is_empty() || !cli.group.iter().all(colon) {
            return Err(usage("-g CONTROLLERS:PATH goes without further groups"));
        }
        let mut blocks = Vec::new();
        for text in &cli.group {
            let spec = Spec::parse(text)?;
            let at = text.as_bytes().iter().position(|b| *b == b':').unwrap_or(0) + 1;
            let header = text.as_bytes()[at..].split(|b| *b == b':').next().unwrap_or_default();
            let all = spec.is_all();
            let controllers = if all { Vec::new() } else { spec.controllers };
            blocks.push(Block { header: OsStr::from_bytes(header), controllers, all });
        }
        return Ok(blocks);
    }
    if cli.groups.is_empty() {
        return Err(usage("missing GROUP"));
    }
    let controllers: Vec<String> = cli.group.iter().map(|text| list(text)).collect();
    let all = controllers.iter().any(|name| name == "*");
    let controllers = if all { Vec::new() } else { controllers };
    Ok(cli.groups.iter().map(|group| Block { header: group, controllers: controllers.clone(), all }).collect())
}

fn begin(cli: &Cli, group: &OsStr, out: &mut Vec<u8>) {
    if !cli.no_header {
        out.extend_from_slice(group.as_bytes());
        out.extend_from_slice(b":\n");
    }
}

fn end(cli: &Cli, out: &mut Vec<u8>) {
    if !cli.no_header {
        out.push(b'\n');
    }
}

/// `NAME: VALUE`; further lines of the value begin with a tab.
fn value(cli: &Cli, name: &[u8], text: &[u8], out: &mut Vec<u8>) {
    if !cli.values_only {
        out.extend_from_slice(name);
        out.extend_from_slice(b": ");
    }
    for (i, line) in text.split(|b| *b == b'\n').enumerate() {
        if i > 0 {
            out.extend_from_slice(b"\n\t");
        }
        out.extend_from_slice(line);
    }
    out.push(b'\n');
}

/// What documents are made from.
pub(super) fn page() -> Page {
    Page {
        name: "rs-cgget",
        original: Some("cgget"),
        command: TOOL.command(Cli::command()),
        calls: &[],
        sections: include_str!("../../man/rs-cgget.roff"),
    }
}
