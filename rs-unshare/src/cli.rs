//! The command line: a table of the options, in the order of the original.

use crate::options::{Inside, Options};
use crate::value::{self, RangeSpec, lossy};
use chain::sys::namespace::Namespaces;
use chain::table::Act::{Flag, Optional, Value};
use chain::table::{Row, Table, Wrong};

/// All options, and the program.
pub const TABLE: Table<Options> = Table {
    about: "Run a program in namespaces of its own",
    help: include_str!("help.txt"),
    rows: ROWS,
    operand: "PROGRAM",
    operand_help: "the program and its arguments; without one the user's shell",
    required: false,
    program: |o, words| {
        o.program = words;
        Ok(())
    },
};

const ROWS: &[Row<Options>] = &[
    Row::short(
        'm',
        "mount",
        Optional("FILE", |o, file| o.unshare(Namespaces::MOUNT, file)),
        "unshare mounts; FILE: keep the namespace there",
    ),
    Row::short(
        'u',
        "uts",
        Optional("FILE", |o, file| o.unshare(Namespaces::UTS, file)),
        "unshare the host name and the domain name",
    ),
    Row::short(
        'i',
        "ipc",
        Optional("FILE", |o, file| o.unshare(Namespaces::IPC, file)),
        "unshare System V IPC and POSIX message queues",
    ),
    Row::short('n', "net", Optional("FILE", |o, file| o.unshare(Namespaces::NET, file)), "unshare the network"),
    Row::short(
        'p',
        "pid",
        Optional("FILE", |o, file| o.unshare(Namespaces::PID, file)),
        "unshare process ids, for children alone",
    ),
    Row::short(
        'U',
        "user",
        Optional("FILE", |o, file| o.unshare(Namespaces::USER, file)),
        "unshare users, groups and capabilities",
    ),
    Row::short(
        'C',
        "cgroup",
        Optional("FILE", |o, file| o.unshare(Namespaces::CGROUP, file)),
        "unshare the cgroup root",
    ),
    Row::short(
        'T',
        "time",
        Optional("FILE", |o, file| o.unshare(Namespaces::TIME, file)),
        "unshare the clocks' offsets",
    ),
    Row::short('f', "fork", Flag(|o| o.fork = true), "run the program as a child and wait for it"),
    Row::long("forward-signals", Flag(Options::forward_signals), "hand TERM and INT on to the child (implies --fork)"),
    Row::long(
        "kill-child",
        Optional("SIGNAL", Options::kill_child),
        "when this process dies the child gets SIGNAL, default KILL (implies --fork)",
    ),
    Row::long("mount-proc", Optional("DIR", Options::mount_proc), "mount proc on DIR, default /proc (implies --mount)"),
    Row::long(
        "mount-binfmt",
        Optional("DIR", Options::mount_binfmt),
        "mount binfmt_misc on DIR, default /proc/sys/fs/binfmt_misc (implies --mount and --user)",
    ),
    Row::short(
        'l',
        "load-interp",
        Value("DEFINITION", Options::load_interp),
        "register an interpreter of programs, :NAME:TYPE:OFFSET:MAGIC:MASK:INTERPRETER:FLAGS (implies --mount-binfmt)",
    ),
    Row::long(
        "map-user",
        Value("USER", |o, user| set(&mut o.users().own, value::user(&lossy(user)).map(Inside::Id))),
        "map the effective user to USER (implies --user)",
    ),
    Row::long(
        "map-users",
        Value("RANGE", |o, range| o.users().add(value::range(&lossy(range)))),
        "map the users RANGE, as INNER:OUTER:COUNT, auto, subids or all (implies --user)",
    ),
    Row::long(
        "map-group",
        Value("GROUP", |o, group| set(&mut o.groups().own, value::group(&lossy(group)).map(Inside::Id))),
        "map the effective group to GROUP (implies --user and --setgroups=deny)",
    ),
    Row::long(
        "map-groups",
        Value("RANGE", |o, range| o.groups().add(value::range(&lossy(range)))),
        "map the groups RANGE, likewise (implies --user)",
    ),
    Row::short(
        'r',
        "map-root-user",
        Flag(|o| o.map_own(Inside::Id(0))),
        "map the effective user and group to root (implies --user)",
    ),
    Row::short(
        'c',
        "map-current-user",
        Flag(|o| o.map_own(Inside::Same)),
        "map the effective user and group to themselves (implies --user)",
    ),
    Row::long(
        "map-auto",
        Flag(|o| o.map_range(RangeSpec::Auto)),
        "map the caller's subordinate users and groups from 0 on (implies --user)",
    ),
    Row::long(
        "map-subids",
        Flag(|o| o.map_range(RangeSpec::SubIds)),
        "map the caller's subordinate users and groups to themselves (implies --user)",
    ),
    Row::long(
        "owner",
        Value("UID:GID", |o, ids| set(o.owner(), value::owner(&lossy(ids)))),
        "become this user and group before the namespaces are made (implies --user)",
    ),
    Row::long(
        "setgroups",
        Value("WORD", |o, word| set(&mut o.setgroups, value::setgroups(&lossy(word)))),
        "whether setgroups(2) works in the user namespace, allow or deny",
    ),
    Row::long("keep-caps", Flag(|o| o.keep_caps = true), "keep the capabilities of the user namespace over exec"),
    Row::long(
        "propagation",
        Value("MODE", |o, word| {
            o.propagation = value::propagation(&lossy(word))?;
            Ok(())
        }),
        "how mounts spread: private, the default, shared, slave or unchanged",
    ),
    Row::short(
        'R',
        "root",
        Value("DIR", |o, dir| set(&mut o.root, Ok(dir.to_owned()))),
        "change the root folder to DIR",
    ),
    Row::short(
        'w',
        "wd",
        Value("DIR", |o, dir| set(&mut o.wd, Ok(dir.to_owned()))),
        "change the working folder to DIR, below the new root",
    ),
    Row::short(
        'S',
        "setuid",
        Value("UID", |o, uid| set(&mut o.setuid, value::uid(&lossy(uid)))),
        "become user UID, last thing before the program",
    ),
    Row::short(
        'G',
        "setgid",
        Value("GID", |o, gid| set(&mut o.setgid, value::gid(&lossy(gid)))),
        "become group GID and drop all supplementary groups",
    ),
    Row::long(
        "monotonic",
        Value("SECONDS", |o, seconds| set(&mut o.monotonic, value::monotonic(&lossy(seconds)))),
        "offset of the monotonic clock in the time namespace",
    ),
    Row::long(
        "boottime",
        Value("SECONDS", |o, seconds| set(&mut o.boottime, value::boottime(&lossy(seconds)))),
        "offset of the boot-time clock in the time namespace",
    ),
    Row::long("clear-env", Flag(Options::clear_env), "give the program an empty environment"),
    Row::long(
        "whitelist-env",
        Value("NAMES", Options::whitelist_env),
        "give the program these variables alone, as NAME,...",
    ),
    Row::long(
        "hostname",
        Value("NAME", |o, name| set(&mut o.hostname, Ok(name.to_owned()))),
        "name the host of the new UTS namespace (needs --uts)",
    ),
];

/// The last value counts.
fn set<T>(place: &mut Option<T>, value: Result<T, Wrong>) -> Result<(), Wrong> {
    *place = Some(value?);
    Ok(())
}
