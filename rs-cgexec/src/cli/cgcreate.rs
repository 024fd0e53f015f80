//! `cgcreate`: make groups, and give them to somebody.

use super::usage;
use crate::group::create::{Access, Ids, create};
use crate::hierarchy::Host;
use crate::spec::{Spec, parse_all};
use crate::status::{BAD, Error, INVALID, USAGE};
use crate::systemd::{self, Scope};
use chain::user::{group_by_name, user_by_name};
use chain::{Page, Tool};
use clap::{CommandFactory, Parser};
use std::ffi::{OsStr, OsString};
use std::process::ExitCode;

const TOOL: Tool = Tool::new("rs-cgcreate", USAGE).additions(super::OURS).operands_anywhere();

/// Make control groups
#[derive(Debug, Parser)]
#[command(after_help = "Examples:
  Make a group and give it to a user:
    cgcreate -t USER:GROUP -a USER:GROUP -g cpu,memory:NAME
  Make a group in all mounted hierarchies:
    cgcreate -g '*:NAME'")]
struct Cli {
    /// owner of the file that takes processes
    #[arg(short = 't', long = "task", value_name = "UID:GID")]
    task: Option<OsString>,
    /// owner of the group and all its files
    #[arg(short = 'a', long = "admin", value_name = "UID:GID")]
    admin: Option<OsString>,
    /// the group, where its controllers are
    #[arg(short = 'g', value_name = "CONTROLLERS:PATH", required = true)]
    group: Vec<OsString>,
    /// mode of the directory
    #[arg(short = 'd', long = "dperm", value_name = "MODE")]
    dperm: Option<OsString>,
    /// mode of the files
    #[arg(short = 'f', long = "fperm", value_name = "MODE")]
    fperm: Option<OsString>,
    /// mode of the file that takes processes
    #[arg(short = 's', long = "tperm", value_name = "MODE")]
    tperm: Option<OsString>,
    /// ask systemd for a scope: the group is SLICE/SCOPE
    #[arg(short = 'c', long = "scope")]
    scope: bool,
    /// the process to keep the scope alive
    #[arg(short = 'p', long = "pid", value_name = "PID")]
    pid: Option<OsString>,
    /// make the scope the default group of all tools
    #[arg(short = 'S', long = "setdefault")]
    set_default: bool,
    /// ignore the default group of -S
    #[arg(short = 'b')]
    ignore_default: bool,
    #[arg(hide = true)]
    rest: Vec<OsString>,
}

/// The whole tool.
pub fn main() -> ExitCode {
    // Not an option of the command line's, but what start_idle starts.
    if std::env::args_os().skip(1).eq([systemd::IDLE_OPTION]) {
        systemd::idle();
    }
    chain::run(&TOOL, run)
}

fn run(cli: &Cli) -> Result<ExitCode, Error> {
    if let Some(word) = cli.rest.first() {
        return Err(usage(format!("unexpected operand '{}'", word.display())));
    }
    let specs = parse_all(&cli.group)?;
    let access = access(cli)?;
    let scopes = scopes(cli, &specs)?;
    let host = Host::mounted()?;
    for (i, spec) in specs.iter().enumerate() {
        if let Some((scope, pid)) = scopes.get(i) {
            host.targets(spec, INVALID)?;
            scope.start(*pid)?;
        }
        create(&host, spec, !cli.ignore_default && !cli.scope, &access)?;
        if let Some((scope, _)) = scopes.get(i).filter(|_| cli.set_default) {
            scope.note()?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// With `-c`, what each group is to systemd, and the process it begins with.
fn scopes<'a>(cli: &Cli, specs: &'a [Spec]) -> Result<Vec<(Scope<'a>, Option<u32>)>, Error> {
    let pid = match cli.pid.as_ref() {
        None => None,
        Some(text) => {
            let pid = text.to_str().and_then(|text| text.parse().ok()).filter(|pid| *pid > 1);
            Some(pid.ok_or_else(|| usage(format!("wrong process id '{}'", text.display())))?)
        }
    };
    match (cli.scope, cli.ignore_default) {
        (true, true) => Err(usage("-b does not go with -c")),
        (true, false) => specs.iter().map(|spec| Scope::parse(&spec.group).map(|scope| (scope, pid))).collect(),
        (false, _) if pid.is_some() || cli.set_default => Err(usage("-p and -S go with -c")),
        (false, _) => Ok(Vec::new()),
    }
}

fn access(cli: &Cli) -> Result<Access, Error> {
    let caller = Ids { uid: nix::unistd::getuid().as_raw(), gid: nix::unistd::getgid().as_raw() };
    let ids = |text: &Option<OsString>| text.as_deref().map(|text| ids(text, caller)).transpose();
    let mode = |text: &Option<OsString>| text.as_deref().map(mode).transpose();
    Ok(Access {
        caller,
        dir_mode: mode(&cli.dperm)?,
        file_mode: mode(&cli.fperm)?,
        tasks_mode: mode(&cli.tperm)?,
        all: ids(&cli.admin)?,
        tasks: ids(&cli.task)?,
    })
}

/// `USER:GROUP`, names or numbers; the caller's own for a half that is
/// missing.
fn ids(text: &OsStr, caller: Ids) -> Result<Ids, Error> {
    let text = text.to_string_lossy();
    let (user, group) = text.split_once(':').unwrap_or((&text, ""));
    let unknown = |kind: &str, name: &str| usage(format!("{kind} '{name}' does not exist"));
    // The largest number means "leave it" to chown(2): it is nobody's.
    let number = |name: &str| name.parse().ok().filter(|id| *id != u32::MAX);
    let uid = match user {
        "" => caller.uid,
        name => {
            user_by_name(name).map(|user| user.uid).or_else(|| number(name)).ok_or_else(|| unknown("user", name))?
        }
    };
    let gid = match group {
        "" => caller.gid,
        name => {
            let found = group_by_name(name).map(|group| group.gid).or_else(|| number(name));
            found.ok_or_else(|| unknown("group", name))?
        }
    };
    Ok(Ids { uid, gid })
}

/// Three or four octal digits.
fn mode(text: &OsStr) -> Result<u32, Error> {
    let text = text.to_string_lossy();
    let octal = (3..=4).contains(&text.len()) && text.bytes().all(|b| (b'0'..=b'7').contains(&b));
    let wrong = || Error::Argument { message: format!("wrong mode '{text}': want 3 or 4 octal digits"), status: BAD };
    if octal { u32::from_str_radix(&text, 8).map_err(|_| wrong()) } else { Err(wrong()) }
}

/// What documents are made from.
pub(super) fn page() -> Page {
    Page {
        name: "rs-cgcreate",
        original: Some("cgcreate"),
        command: TOOL.command(Cli::command()),
        calls: &[
            ("mkdirat", "makes the group: the kernel fills the directory with control files"),
            ("openat", "opens cgroup.subtree_control of the groups above (v2)"),
            ("write", "passes a controller on to the group (v2)"),
            ("fchownat", "gives the group's directory and files to their owners"),
            ("fchmodat", "sets the modes that -d, -f and -s name"),
            ("socket", "makes the socket to the system bus (-c)"),
            ("connect", "reaches the system bus (-c)"),
            ("clone", "starts the idle process of a scope (-c)"),
            ("setsid", "takes it out of the caller's session (-c)"),
            ("close_range", "lets it hold none of the caller's files (-c)"),
            ("execve", "makes it one that does nothing (-c)"),
            ("kill", "ends it if systemd refuses (-c)"),
            ("unlinkat", "takes back what was made when a later hierarchy refuses"),
        ],
        sections: include_str!("../../man/rs-cgcreate.roff"),
    }
}
