//! The command line.

use crate::value::{self, DevicePair, ProcOptions, TmpfsArg};
use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches, Parser, ValueEnum, ValueHint};
use std::ffi::{OsStr, OsString};

const HELP: &str = include_str!("help.txt");

/// Reads a value by one of `value`'s functions.
fn by<T: Clone + Send + Sync + 'static>(
    read: fn(&OsStr) -> Result<T, value::ValueError>,
) -> impl TypedValueParser<Value = T> {
    OsStringValueParser::new().try_map(move |word: OsString| read(&word))
}

/// How mounts are to propagate between this mount namespace and others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Propagation {
    /// Neither in nor out.
    Private,
    /// In, but not out.
    Slave,
    /// As it is, even if shared.
    Unchanged,
}

/// Whether something can be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Access {
    /// Read-only.
    Ro,
    /// Read and write.
    Rw,
}

/// Set up the mounts and devices of a container's root, then run a program
#[derive(Debug, Parser)]
#[command(help_template = HELP)]
pub struct Flags {
    /// the root folder; links in the path are followed
    #[arg(short = 'R', long, value_name = "DIR", required = true)]
    pub root: OsString,
    /// first make all mounts private or slave; or go on if they are shared (unchanged)
    #[arg(long, value_name = "HOW", hide_possible_values = true)]
    pub propagation: Option<Propagation>,
    /// mount a new procfs on proc
    #[arg(long)]
    pub proc: bool,
    /// the same with hidepid=0..4, gid=N, subset=pid, ro
    #[arg(long, value_name = "LIST", value_parser = by(value::proc_options))]
    pub proc_options: Option<ProcOptions>,
    /// mount a new sysfs on sys, read-only
    #[arg(long)]
    pub sys: bool,
    /// mount the cgroup file systems on sys/fs/cgroup, ro or rw
    #[arg(long, value_name = "ACCESS", hide_possible_values = true)]
    pub cgroup: Option<Access>,
    /// mount a new dev: all devices, links, --ptmx, --shm, --tty-try
    #[arg(long)]
    pub dev: bool,
    /// bind the host's null device on dev/null
    #[arg(long)]
    pub null: bool,
    /// bind the host's zero device on dev/zero
    #[arg(long)]
    pub zero: bool,
    /// bind the host's full device on dev/full
    #[arg(long)]
    pub full: bool,
    /// bind the host's random device on dev/random
    #[arg(long)]
    pub random: bool,
    /// bind the host's urandom device on dev/urandom
    #[arg(long)]
    pub urandom: bool,
    /// bind another device of the host (repeatable)
    #[arg(long, value_name = "SRC[:DEST]", value_parser = by(value::device))]
    pub device: Vec<DevicePair>,
    /// bind dev/tty and the terminal of descriptor 0, 1 or 2
    #[arg(long)]
    pub tty: bool,
    /// --tty if there is a terminal
    #[arg(long)]
    pub tty_try: bool,
    /// mount a devpts of its own on dev/pts, lead dev/ptmx there
    #[arg(long, conflicts_with = "host_ptmx")]
    pub ptmx: bool,
    /// bind the host's dev/pts/ptmx instead
    #[arg(long, conflicts_with = "dev")]
    pub host_ptmx: bool,
    /// mount a tmpfs on dev/shm
    #[arg(long)]
    pub shm: bool,
    /// the same of another size than 64m
    #[arg(long, value_name = "BYTES", value_parser = by(value::size))]
    pub shm_size: Option<u64>,
    /// mount the POSIX message queues on dev/mqueue
    #[arg(long)]
    pub mqueue: bool,
    /// bind SRC of the host, and what is mounted below, on DEST
    #[arg(long, num_args = 2, value_names = ["SRC", "DEST"], allow_hyphen_values = true, value_parser = by(value::path))]
    pub bind: Vec<OsString>,
    /// the same, if SRC exists
    #[arg(long, num_args = 2, value_names = ["SRC", "DEST"], allow_hyphen_values = true, value_parser = by(value::path))]
    pub bind_try: Vec<OsString>,
    /// bind read-only
    #[arg(long, num_args = 2, value_names = ["SRC", "DEST"], allow_hyphen_values = true, value_parser = by(value::path))]
    pub ro_bind: Vec<OsString>,
    /// the same, if SRC exists
    #[arg(long, num_args = 2, value_names = ["SRC", "DEST"], allow_hyphen_values = true, value_parser = by(value::path))]
    pub ro_bind_try: Vec<OsString>,
    /// bind, and let devices be used
    #[arg(long, num_args = 2, value_names = ["SRC", "DEST"], allow_hyphen_values = true, value_parser = by(value::path))]
    pub dev_bind: Vec<OsString>,
    /// the same, if SRC exists
    #[arg(long, num_args = 2, value_names = ["SRC", "DEST"], allow_hyphen_values = true, value_parser = by(value::path))]
    pub dev_bind_try: Vec<OsString>,
    /// mount a tmpfs on DEST
    #[arg(long, value_name = "DEST[:OPTS]", value_parser = by(value::tmpfs))]
    pub tmpfs: Vec<TmpfsArg>,
    /// make a folder
    #[arg(long, value_name = "DEST", value_parser = by(value::path))]
    pub dir: Vec<OsString>,
    /// make a symbolic link
    #[arg(long, num_args = 2, value_names = ["TARGET", "DEST"], allow_hyphen_values = true, value_parser = by(value::path))]
    pub symlink: Vec<OsString>,
    /// bind the host's etc/resolv.conf, read-only
    #[arg(long)]
    pub resolv_conf: bool,
    /// bind the host's etc/hosts, read-only
    #[arg(long)]
    pub hosts: bool,
    /// hide a path (repeatable)
    #[arg(long, value_name = "PATH", value_parser = by(value::path))]
    pub inaccessible: Vec<OsString>,
    /// make a path read-only (repeatable)
    #[arg(long, value_name = "PATH", value_parser = by(value::path))]
    pub read_only_path: Vec<OsString>,
    /// hide and protect the paths of proc and sys that docker does
    #[arg(long)]
    pub mask_defaults: bool,
    /// make the root itself read-only, last
    #[arg(long)]
    pub read_only: bool,
    /// make it the root of the mount namespace; find COMMAND inside
    #[arg(long)]
    pub pivot: bool,
    /// run COMMAND in a session without a terminal
    #[arg(long)]
    pub new_session: bool,
    /// leave descriptors 3 to 2+N open for COMMAND
    #[arg(long, value_name = "N", default_value = "0", hide_default_value = true, allow_hyphen_values = true, value_parser = by(value::count))]
    pub preserve_fds: u16,
    /// say each step on standard error
    #[arg(short, long)]
    pub verbose: bool,
    /// only print the steps
    #[arg(long)]
    pub dry_run: bool,
    /// the program, and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND", value_hint = ValueHint::CommandWithArguments)]
    pub command: Vec<OsString>,
}

/// How something of the host is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BindKind {
    /// Nothing can be written through it.
    pub read_only: bool,
    /// Devices can be used.
    pub devices: bool,
    /// Skipped where the source is missing.
    pub try_only: bool,
}

/// A step that the user named with paths of their own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UserStep {
    /// `--bind` and its like.
    Bind(OsString, OsString, BindKind),
    /// `--device`.
    Device(DevicePair),
    /// `--tmpfs`.
    Tmpfs(TmpfsArg),
    /// `--dir`.
    Dir(OsString),
    /// `--symlink`: the text, the place.
    Symlink(OsString, OsString),
}

/// The command line as a whole.
#[derive(Debug)]
pub struct Cli {
    /// The options.
    pub flags: Flags,
    /// Those of them whose order counts, in order.
    pub user: Vec<UserStep>,
}

impl CommandFactory for Cli {
    fn command() -> Command {
        Flags::command()
    }
    fn command_for_update() -> Command {
        Flags::command_for_update()
    }
}

impl FromArgMatches for Cli {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self { flags: Flags::from_arg_matches(matches)?, user: in_order(matches) })
    }
    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The options whose order counts, as they stood on the line.
fn in_order(matches: &ArgMatches) -> Vec<UserStep> {
    let kind = |read_only, devices, try_only| BindKind { read_only, devices, try_only };
    let mut steps: Vec<(usize, UserStep)> = Vec::new();
    for (id, kind) in [
        ("bind", kind(false, false, false)),
        ("bind_try", kind(false, false, true)),
        ("ro_bind", kind(true, false, false)),
        ("ro_bind_try", kind(true, false, true)),
        ("dev_bind", kind(false, true, false)),
        ("dev_bind_try", kind(false, true, true)),
    ] {
        steps.extend(pairs(matches, id).map(|(at, source, dest)| (at, UserStep::Bind(source, dest, kind))));
    }
    steps.extend(pairs(matches, "symlink").map(|(at, target, dest)| (at, UserStep::Symlink(target, dest))));
    steps.extend(singles::<DevicePair>(matches, "device").map(|(at, pair)| (at, UserStep::Device(pair))));
    steps.extend(singles::<TmpfsArg>(matches, "tmpfs").map(|(at, arg)| (at, UserStep::Tmpfs(arg))));
    steps.extend(singles::<OsString>(matches, "dir").map(|(at, dest)| (at, UserStep::Dir(dest))));
    steps.sort_by_key(|(at, _)| *at);
    steps.into_iter().map(|(_, step)| step).collect()
}

fn singles<'a, T: Clone + Send + Sync + 'static>(
    matches: &'a ArgMatches,
    id: &str,
) -> impl Iterator<Item = (usize, T)> + use<'a, T> {
    let indices = matches.indices_of(id).into_iter().flatten();
    indices.zip(matches.get_many::<T>(id).into_iter().flatten().cloned())
}

/// The values of an option that takes two, with the index of the first.
fn pairs(matches: &ArgMatches, id: &str) -> impl Iterator<Item = (usize, OsString, OsString)> {
    let mut values = singles::<OsString>(matches, id);
    std::iter::from_fn(move || {
        let (at, first) = values.next()?;
        Some((at, first, values.next()?.1))
    })
}
