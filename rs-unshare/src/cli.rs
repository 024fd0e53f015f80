//! The command line, as clap sees it: names, values and help, in the
//! original's order.

use crate::value::{self, Propagation, RangeSpec, SetGroups};
use chain::notation::Signal;
use clap::{ArgAction, Parser, ValueHint};
use std::ffi::OsString;

/// Run a program in namespaces of its own
#[derive(Debug, Parser)]
#[command(help_template = include_str!("help.txt"))]
pub struct Cli {
    /// unshare mounts; FILE: keep the namespace there
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true, action = ArgAction::Append, value_hint = ValueHint::FilePath)]
    pub mount: Vec<OsString>,
    /// unshare the host name and the domain name
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true, action = ArgAction::Append, value_hint = ValueHint::FilePath)]
    pub uts: Vec<OsString>,
    /// unshare System V IPC and POSIX message queues
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true, action = ArgAction::Append, value_hint = ValueHint::FilePath)]
    pub ipc: Vec<OsString>,
    /// unshare the network
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true, action = ArgAction::Append, value_hint = ValueHint::FilePath)]
    pub net: Vec<OsString>,
    /// unshare process ids, for children alone
    #[arg(short, long, value_name = "FILE", num_args = 0..=1, require_equals = true, action = ArgAction::Append, value_hint = ValueHint::FilePath)]
    pub pid: Vec<OsString>,
    /// unshare users, groups and capabilities
    #[arg(short = 'U', long, value_name = "FILE", num_args = 0..=1, require_equals = true, action = ArgAction::Append, value_hint = ValueHint::FilePath)]
    pub user: Vec<OsString>,
    /// unshare the cgroup root
    #[arg(short = 'C', long, value_name = "FILE", num_args = 0..=1, require_equals = true, action = ArgAction::Append, value_hint = ValueHint::FilePath)]
    pub cgroup: Vec<OsString>,
    /// unshare the clocks' offsets
    #[arg(short = 'T', long, value_name = "FILE", num_args = 0..=1, require_equals = true, action = ArgAction::Append, value_hint = ValueHint::FilePath)]
    pub time: Vec<OsString>,

    /// run the program as a child and wait for it
    #[arg(short, long)]
    pub fork: bool,
    /// hand TERM and INT on to the child (implies --fork)
    #[arg(long)]
    pub forward_signals: bool,
    /// when this process dies the child gets SIGNAL, default KILL (implies --fork)
    #[arg(long, value_name = "SIGNAL", require_equals = true, value_parser = value::signal)]
    pub kill_child: Option<Option<Signal>>,
    /// mount proc on DIR, default /proc (implies --mount)
    #[arg(long, value_name = "DIR", require_equals = true, value_hint = ValueHint::DirPath)]
    pub mount_proc: Option<Option<OsString>>,
    /// mount binfmt_misc on DIR, default /proc/sys/fs/binfmt_misc (implies --mount and --user)
    #[arg(long, value_name = "DIR", require_equals = true, value_hint = ValueHint::DirPath)]
    pub mount_binfmt: Option<Option<OsString>>,
    /// register an interpreter of programs, :NAME:TYPE:OFFSET:MAGIC:MASK:INTERPRETER:FLAGS (implies --mount-binfmt)
    #[arg(short, long, value_name = "DEFINITION")]
    pub load_interp: Option<OsString>,

    /// map the effective user to USER (implies --user)
    #[arg(long, value_name = "USER", value_parser = value::user, value_hint = ValueHint::Username)]
    pub map_user: Option<u32>,
    /// map the effective group to GROUP (implies --user and --setgroups=deny)
    #[arg(long, value_name = "GROUP", value_parser = value::group)]
    pub map_group: Option<u32>,
    /// map the effective user and group to root (implies --user)
    #[arg(short = 'r', long)]
    pub map_root_user: bool,
    /// map the effective user and group to themselves (implies --user)
    #[arg(short = 'c', long)]
    pub map_current_user: bool,
    /// map the users RANGE, as INNER:OUTER:COUNT, auto, subids or all (implies --user)
    #[arg(long, value_name = "RANGE", value_parser = value::range, action = ArgAction::Append)]
    pub map_users: Vec<RangeSpec>,
    /// map the groups RANGE, likewise (implies --user)
    #[arg(long, value_name = "RANGE", value_parser = value::range, action = ArgAction::Append)]
    pub map_groups: Vec<RangeSpec>,
    /// map the caller's subordinate users and groups from 0 on (implies --user)
    #[arg(long)]
    pub map_auto: bool,
    /// map the caller's subordinate users and groups to themselves (implies --user)
    #[arg(long)]
    pub map_subids: bool,
    /// become this user and group before the namespaces are made (implies --user)
    #[arg(long, value_name = "UID:GID", value_parser = value::owner)]
    pub owner: Option<(u32, u32)>,
    /// whether setgroups(2) works in the user namespace, allow or deny
    #[arg(long, value_name = "WORD", value_parser = value::setgroups)]
    pub setgroups: Option<SetGroups>,
    /// keep the capabilities of the user namespace over exec
    #[arg(long)]
    pub keep_caps: bool,
    /// how mounts spread: private, the default, shared, slave or unchanged
    #[arg(long, value_name = "MODE", value_parser = value::propagation)]
    pub propagation: Option<Propagation>,

    /// change the root folder to DIR
    #[arg(short = 'R', long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub root: Option<OsString>,
    /// change the working folder to DIR, below the new root
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub wd: Option<OsString>,
    /// become user UID, last thing before the program
    #[arg(short = 'S', long, value_name = "UID", value_parser = value::uid)]
    pub setuid: Option<u32>,
    /// become group GID and drop all supplementary groups
    #[arg(short = 'G', long, value_name = "GID", value_parser = value::gid)]
    pub setgid: Option<u32>,
    /// offset of the monotonic clock in the time namespace
    #[arg(long, value_name = "SECONDS", value_parser = value::monotonic)]
    pub monotonic: Option<i64>,
    /// offset of the boot-time clock in the time namespace
    #[arg(long, value_name = "SECONDS", value_parser = value::boottime)]
    pub boottime: Option<i64>,
    /// give the program an empty environment
    #[arg(long)]
    pub clear_env: bool,
    /// give the program these variables alone, as NAME,...
    #[arg(long, value_name = "NAMES", action = ArgAction::Append)]
    pub whitelist_env: Vec<OsString>,

    /// name the host of the new UTS namespace (needs --uts)
    #[arg(long, value_name = "NAME", help_heading = "Not in the original", display_order = 800)]
    pub hostname: Option<OsString>,

    /// the program and its arguments; without one the user's shell
    #[arg(trailing_var_arg = true, value_hint = ValueHint::CommandWithArguments)]
    pub program: Vec<OsString>,
}
