//! The command line: a table of the options, in the order of the help.

use crate::options::{BindKind, Options, UserStep};
use crate::value::{self, ValueError};
use chain::table::Act::{Flag, Two, Value};
use chain::table::{Row, Table, Wrong};
use std::ffi::{OsStr, OsString};

/// All options, and the program.
pub const TABLE: Table<Options> = Table {
    about: "Set up the mounts and devices of a container's root, then run a program",
    help: include_str!("help.txt"),
    rows: ROWS,
    operand: "COMMAND",
    operand_help: "the program, and its arguments",
    required: true,
    program: Options::complete,
};

/// A `--bind` of some kind.
macro_rules! bind {
    ($read_only:literal, $devices:literal, $try_only:literal) => {
        Two(["SRC", "DEST"], |o, source, dest| {
            let kind = BindKind { read_only: $read_only, devices: $devices, try_only: $try_only };
            o.user.push(UserStep::Bind(value::path(source)?, value::path(dest)?, kind));
            Ok(())
        })
    };
}

const ROWS: &[Row<Options>] = &[
    Row::short(
        'R',
        "root",
        Value("DIR", |o, dir| set(&mut o.root, Ok(dir.to_owned()))),
        "the root folder; links in the path are followed",
    ),
    Row::long(
        "propagation",
        Value("private|slave|unchanged", |o, how| set(&mut o.propagation, value::propagation(how))),
        "first make all mounts private or slave; or go on if they are shared (unchanged)",
    ),
    Row::long("proc", Flag(|o| o.proc = true), "mount a new procfs on proc"),
    Row::long(
        "proc-options",
        Value("LIST", |o, list| {
            let more = value::proc_options(list)?;
            let all = o.proc_options.get_or_insert_default();
            all.read_only |= more.read_only;
            all.options.extend(more.options);
            Ok(())
        }),
        "the same with hidepid=0..4, gid=N, subset=pid, ro",
    ),
    Row::long("sys", Flag(|o| o.sys = true), "mount a new sysfs on sys, read-only"),
    Row::long(
        "cgroup",
        Value("ro|rw", |o, access| set(&mut o.cgroup, value::access(access))),
        "mount the cgroup file systems on sys/fs/cgroup, ro or rw",
    ),
    Row::long("dev", Flag(|o| o.dev = true), "mount a new dev: all devices, links, --ptmx, --shm, --tty-try"),
    Row::long("null", Flag(|o| o.null = true), "bind the host's null device on dev/null"),
    Row::long("zero", Flag(|o| o.zero = true), "bind the host's zero device on dev/zero"),
    Row::long("full", Flag(|o| o.full = true), "bind the host's full device on dev/full"),
    Row::long("random", Flag(|o| o.random = true), "bind the host's random device on dev/random"),
    Row::long("urandom", Flag(|o| o.urandom = true), "bind the host's urandom device on dev/urandom"),
    Row::long(
        "device",
        Value("SRC[:DEST]", |o, pair| step(o, value::device(pair).map(UserStep::Device))),
        "bind another device of the host (repeatable)",
    ),
    Row::long("tty", Flag(|o| o.tty = true), "bind dev/tty and the terminal of descriptor 0, 1 or 2"),
    Row::long("tty-try", Flag(|o| o.tty_try = true), "--tty if there is a terminal"),
    Row::long("ptmx", Flag(|o| o.ptmx = true), "mount a devpts of its own on dev/pts, lead dev/ptmx there"),
    Row::long("host-ptmx", Flag(|o| o.host_ptmx = true), "bind the host's dev/pts/ptmx instead"),
    Row::long("shm", Flag(|o| o.shm = true), "mount a tmpfs on dev/shm"),
    Row::long(
        "shm-size",
        Value("BYTES", |o, bytes| set(&mut o.shm_size, value::size(bytes))),
        "the same of another size than 64m",
    ),
    Row::long("mqueue", Flag(|o| o.mqueue = true), "mount the POSIX message queues on dev/mqueue"),
    Row::long("bind", bind!(false, false, false), "bind SRC of the host, and what is mounted below, on DEST"),
    Row::long("bind-try", bind!(false, false, true), "the same, if SRC exists"),
    Row::long("ro-bind", bind!(true, false, false), "bind read-only"),
    Row::long("ro-bind-try", bind!(true, false, true), "the same, if SRC exists"),
    Row::long("dev-bind", bind!(false, true, false), "bind, and let devices be used"),
    Row::long("dev-bind-try", bind!(false, true, true), "the same, if SRC exists"),
    Row::long(
        "tmpfs",
        Value("DEST[:OPTS]", |o, arg| step(o, value::tmpfs(arg).map(UserStep::Tmpfs))),
        "mount a tmpfs on DEST",
    ),
    Row::long("dir", Value("DEST", |o, dest| step(o, value::path(dest).map(UserStep::Dir))), "make a folder"),
    Row::long(
        "symlink",
        Two(["TARGET", "DEST"], |o, target, dest| {
            let target = value::path(target)?;
            step(o, value::path(dest).map(|dest| UserStep::Symlink(target, dest)))
        }),
        "make a symbolic link",
    ),
    Row::long("resolv-conf", Flag(|o| o.resolv_conf = true), "bind the host's etc/resolv.conf, read-only"),
    Row::long("hosts", Flag(|o| o.hosts = true), "bind the host's etc/hosts, read-only"),
    Row::long("inaccessible", Value("PATH", |o, path| add(&mut o.inaccessible, path)), "hide a path (repeatable)"),
    Row::long(
        "read-only-path",
        Value("PATH", |o, path| add(&mut o.read_only_path, path)),
        "make a path read-only (repeatable)",
    ),
    Row::long(
        "mask-defaults",
        Flag(|o| o.mask_defaults = true),
        "hide and protect the paths of proc and sys that docker does",
    ),
    Row::long("read-only", Flag(|o| o.read_only = true), "make the root itself read-only, last"),
    Row::long("pivot", Flag(|o| o.pivot = true), "make it the root of the mount namespace; find COMMAND inside"),
    Row::long("new-session", Flag(|o| o.new_session = true), "run COMMAND in a session without a terminal"),
    Row::long(
        "preserve-fds",
        Value("N", |o, count| set(&mut o.preserve_fds, value::count(count))),
        "leave descriptors 3 to 2+N open for COMMAND",
    ),
    Row::short('v', "verbose", Flag(|o| o.verbose = true), "say each step on standard error"),
    Row::long("dry-run", Flag(|o| o.dry_run = true), "only print the steps"),
];

/// The last value counts.
fn set<T>(place: &mut T, value: Result<impl Into<T>, ValueError>) -> Result<(), Wrong> {
    *place = value?.into();
    Ok(())
}

/// All values count, in their order.
fn add(list: &mut Vec<OsString>, path: &OsStr) -> Result<(), Wrong> {
    list.push(value::path(path)?);
    Ok(())
}

fn step(options: &mut Options, step: Result<UserStep, ValueError>) -> Result<(), Wrong> {
    options.user.push(step?);
    Ok(())
}

impl Options {
    /// Takes COMMAND; then nothing may be missing, or against something else.
    fn complete(&mut self, command: Vec<OsString>) -> Result<(), Wrong> {
        self.command = command;
        let wrong = |reason: &str| Err(Wrong(reason.to_owned()));
        if self.host_ptmx && (self.ptmx || self.dev) {
            let other = if self.ptmx { "--ptmx" } else { "--dev" };
            return wrong(&format!("--host-ptmx cannot be used with {other}"));
        }
        match (&self.root, self.command.is_empty()) {
            (None, true) => wrong("missing --root <DIR>, <COMMAND>..."),
            (None, false) => wrong("missing --root <DIR>"),
            (Some(_), true) => wrong("missing <COMMAND>..."),
            (Some(_), false) => Ok(()),
        }
    }
}
