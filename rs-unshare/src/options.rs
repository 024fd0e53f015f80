//! What the command line asks for, once the order of its words has had its
//! say: the last of several wins, one option implies another.

use crate::cli::Cli;
use crate::value::{Propagation, RangeSpec, SetGroups};
use chain::notation::Signal;
use chain::sys::namespace::Namespaces;
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};
use std::ffi::OsString;

/// The place of proc, and of binfmt_misc in it.
const PROC: &str = "/proc";
/// Where the kernel offers binfmt_misc.
pub const BINFMT_MISC: &str = "/proc/sys/fs/binfmt_misc";

/// The id that the caller's own becomes inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inside {
    /// The same.
    Same,
    /// This one.
    Id(u32),
}

/// How users, or groups, are to be mapped.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mapping {
    /// What the caller's own id becomes.
    pub own: Option<Inside>,
    /// Ranges, in the order of the command line.
    pub ranges: Vec<RangeSpec>,
}

impl Mapping {
    fn is_asked_for(&self) -> bool {
        self.own.is_some() || !self.ranges.is_empty()
    }
}

/// A namespace that is to stay: its kind, and where it is bound.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The kind.
    pub kind: Namespaces,
    /// Its name below `/proc/PID/ns`.
    pub name: &'static str,
    /// The file of the caller's.
    pub file: OsString,
}

/// All that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The kinds of the new namespaces.
    pub kinds: Namespaces,
    /// Those that are bound to files, in the order of the work.
    pub files: Vec<File>,
    /// Run the program as a child.
    pub fork: bool,
    /// Hand signals on to it.
    pub forward_signals: bool,
    /// What it gets when its parent dies.
    pub kill_child: Option<Signal>,
    /// Where proc is mounted.
    pub mount_proc: Option<OsString>,
    /// Where binfmt_misc is mounted.
    pub mount_binfmt: Option<OsString>,
    /// What is written to its `register`.
    pub load_interp: Option<OsString>,
    /// Users.
    pub users: Mapping,
    /// Groups.
    pub groups: Mapping,
    /// User and group that own the new namespaces.
    pub owner: Option<(u32, u32)>,
    /// The word for `/proc/self/setgroups`.
    pub setgroups: Option<SetGroups>,
    /// Hand the capabilities on over exec.
    pub keep_caps: bool,
    /// Of the new mount namespace.
    pub propagation: Propagation,
    /// The new root.
    pub root: Option<OsString>,
    /// The new working folder.
    pub wd: Option<OsString>,
    /// The user at the end.
    pub setuid: Option<u32>,
    /// The group at the end.
    pub setgid: Option<u32>,
    /// Seconds.
    pub monotonic: Option<i64>,
    /// Seconds.
    pub boottime: Option<i64>,
    /// The variables that are left, where not all are.
    pub only_env: Option<Vec<OsString>>,
    /// The new host's name.
    pub hostname: Option<OsString>,
    /// The program and its arguments.
    pub program: Vec<OsString>,
}

impl CommandFactory for Options {
    fn command() -> Command {
        Cli::command()
    }
    fn command_for_update() -> Command {
        Cli::command_for_update()
    }
}

impl FromArgMatches for Options {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Cli::from_arg_matches(matches).map(|cli| Self::new(cli, &Line(matches)))
    }
    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

/// The order of the words on the command line.
struct Line<'a>(&'a ArgMatches);

impl Line<'_> {
    fn has(&self, option: &str) -> bool {
        self.0.value_source(option) == Some(ValueSource::CommandLine)
    }

    /// Where `option` stands last.
    fn last(&self, option: &str) -> Option<usize> {
        self.has(option).then(|| self.0.indices_of(option)?.next_back()).flatten()
    }

    /// What the caller's own id becomes: the last option that says so wins.
    fn own(&self, option: &str, id: Option<u32>) -> Option<Inside> {
        [
            (self.last(option), id.map(Inside::Id)),
            (self.last("map_root_user"), Some(Inside::Id(0))),
            (self.last("map_current_user"), Some(Inside::Same)),
        ]
        .into_iter()
        .max_by_key(|(place, _)| *place)
        .and_then(|(place, inside)| place.and(inside))
    }

    /// The ranges of `option` and of the flags that stand for one, in order.
    fn ranges(&self, option: &str, ranges: &[RangeSpec]) -> Vec<RangeSpec> {
        let spots = self.0.indices_of(option).into_iter().flatten();
        let mut placed: Vec<(usize, RangeSpec)> = spots.zip(ranges.iter().copied()).collect();
        for (flag, range) in [("map_auto", RangeSpec::Auto), ("map_subids", RangeSpec::SubIds)] {
            placed.extend(self.last(flag).map(|place| (place, range)));
        }
        placed.sort_by_key(|(place, _)| *place);
        placed.into_iter().map(|(_, range)| range).collect()
    }
}

/// The kinds in the order in which their files are bound: the option's name,
/// the kind, the name below `/proc/PID/ns`.
const BOUND: [(&str, Namespaces, &str); 8] = [
    ("user", Namespaces::USER, "user"),
    ("cgroup", Namespaces::CGROUP, "cgroup"),
    ("ipc", Namespaces::IPC, "ipc"),
    ("uts", Namespaces::UTS, "uts"),
    ("net", Namespaces::NET, "net"),
    ("pid", Namespaces::PID, "pid_for_children"),
    ("mount", Namespaces::MOUNT, "mnt"),
    ("time", Namespaces::TIME, "time_for_children"),
];

impl Options {
    fn new(cli: Cli, line: &Line<'_>) -> Self {
        let users =
            Mapping { own: line.own("map_user", cli.map_user), ranges: line.ranges("map_users", &cli.map_users) };
        let groups =
            Mapping { own: line.own("map_group", cli.map_group), ranges: line.ranges("map_groups", &cli.map_groups) };
        let (mount_proc, mount_binfmt) = mounts(&cli);
        let mut kinds = Namespaces::NONE;
        for (option, kind, _) in BOUND {
            if line.has(option) {
                kinds.add(kind);
            }
        }
        if mount_proc.is_some() || mount_binfmt.is_some() {
            kinds.add(Namespaces::MOUNT);
        }
        if mount_binfmt.is_some() || users.is_asked_for() || groups.is_asked_for() || cli.owner.is_some() {
            kinds.add(Namespaces::USER);
        }
        Self {
            kinds,
            files: files(&cli),
            fork: cli.fork || cli.forward_signals || cli.kill_child.is_some(),
            forward_signals: cli.forward_signals,
            kill_child: cli.kill_child.map(|signal| signal.unwrap_or(Signal::KILL)),
            mount_proc,
            mount_binfmt,
            only_env: (cli.clear_env || !cli.whitelist_env.is_empty()).then(|| names(&cli.whitelist_env)),
            load_interp: cli.load_interp,
            users,
            groups,
            owner: cli.owner,
            setgroups: cli.setgroups,
            keep_caps: cli.keep_caps,
            propagation: cli.propagation.unwrap_or(Propagation::Private),
            root: cli.root,
            wd: cli.wd,
            setuid: cli.setuid,
            setgid: cli.setgid,
            monotonic: cli.monotonic,
            boottime: cli.boottime,
            hostname: cli.hostname,
            program: cli.program,
        }
    }
}

/// Where proc and binfmt_misc are to be mounted. binfmt_misc on its usual
/// place needs a proc that belongs to the new user namespace.
fn mounts(cli: &Cli) -> (Option<OsString>, Option<OsString>) {
    let place = |option: &Option<Option<OsString>>, usual: &str| {
        option.as_ref().map(|dir| dir.clone().unwrap_or_else(|| usual.into()))
    };
    let mut proc = place(&cli.mount_proc, PROC);
    let mut binfmt = place(&cli.mount_binfmt, BINFMT_MISC);
    if binfmt.is_none() && cli.load_interp.is_some() {
        binfmt = Some(BINFMT_MISC.into());
    }
    if binfmt.is_some() && !matches!(cli.mount_binfmt, Some(Some(_))) && proc.is_none() {
        proc = Some(PROC.into());
    }
    (proc, binfmt)
}

/// An option without a value does not take back an earlier file, so of all
/// values the last counts.
fn files(cli: &Cli) -> Vec<File> {
    let values = [&cli.user, &cli.cgroup, &cli.ipc, &cli.uts, &cli.net, &cli.pid, &cli.mount, &cli.time];
    BOUND
        .into_iter()
        .zip(values)
        .filter_map(|((_, kind, name), values)| Some(File { kind, name, file: values.last()?.clone() }))
        .collect()
}

/// The names in `lists`, each a comma-separated one.
fn names(lists: &[OsString]) -> Vec<OsString> {
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    let words = lists.iter().flat_map(|list| list.as_bytes().split(|b| *b == b','));
    words.filter(|name| !name.is_empty()).map(|name| OsString::from_vec(name.to_vec())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The options in plain form, as chain hands them to clap.
    fn read(words: &[&str]) -> Options {
        let command = crate::TOOL.command(Options::command());
        let matches = command.try_get_matches_from(std::iter::once(&"unshare").chain(words)).expect("options");
        Options::from_arg_matches(&matches).expect("options")
    }

    #[test]
    fn the_last_of_the_single_ids_wins_for_users_and_groups_apart() {
        let own = |words: &[&str]| {
            let options = read(words);
            (options.users.own, options.groups.own)
        };
        let (same, root) = (Some(Inside::Same), Some(Inside::Id(0)));
        assert_eq!(own(&[]), (None, None));
        assert_eq!(own(&["-r", "-c"]), (same, same));
        assert_eq!(own(&["-c", "-r"]), (root, root));
        assert_eq!(own(&["-r", "-c", "-r"]), (root, root));
        assert_eq!(own(&["-r", "--map-user=5"]), (Some(Inside::Id(5)), root));
        assert_eq!(own(&["--map-user=5", "-r"]), (root, root));
        assert_eq!(own(&["--map-group=6", "--map-group=7"]), (None, Some(Inside::Id(7))));
    }

    #[test]
    fn ranges_stay_in_order_and_all_count() {
        let options = read(&["--map-users=1:2:3", "--map-auto", "--map-users=all", "--map-groups=subids"]);
        let ids = RangeSpec::Ids(crate::value::Range { inner: 1, outer: 2, count: 3 });
        assert_eq!(options.users.ranges, [ids, RangeSpec::Auto, RangeSpec::All]);
        assert_eq!(options.groups.ranges, [RangeSpec::Auto, RangeSpec::SubIds]);
    }

    #[test]
    fn what_is_implied() {
        assert_eq!(read(&[]).kinds, Namespaces::NONE);
        assert_eq!(read(&["--mount-proc"]).kinds, Namespaces::MOUNT);
        assert_eq!(read(&["--owner=1:1"]).kinds, Namespaces::USER);
        assert_eq!(read(&["-c"]).kinds, Namespaces::USER);
        let both = Namespaces(Namespaces::MOUNT.0 | Namespaces::USER.0);
        let binfmt = read(&["--mount-binfmt"]);
        assert_eq!((binfmt.kinds, binfmt.mount_proc), (both, Some("/proc".into())));
        assert_eq!(read(&["--mount-binfmt=/b"]).mount_proc, None);
        assert_eq!(read(&["--mount-proc=/p", "-l", ":a"]).mount_proc, Some("/p".into()));
        assert_eq!(read(&["-l", ":a"]).mount_binfmt, Some(BINFMT_MISC.into()));
        assert!(read(&["--forward-signals"]).fork && read(&["--kill-child"]).fork);
        assert_eq!(read(&["--kill-child=TERM", "--kill-child"]).kill_child, Some(Signal::KILL));
    }

    #[test]
    fn a_flag_does_not_take_back_a_file() {
        let options = read(&["--uts=f", "-u", "--mount=a", "--mount=b", "--user=c"]);
        let files: Vec<_> = options.files.iter().map(|file| (file.name, file.file.to_str())).collect();
        assert_eq!(files, [("user", Some("c")), ("uts", Some("f")), ("mnt", Some("b"))]);
        assert_eq!(read(&["--uts="]).files.len(), 1);
    }

    #[test]
    fn variables_add_up() {
        assert_eq!(read(&[]).only_env, None);
        assert_eq!(read(&["--clear-env"]).only_env, Some(vec![]));
        let names = read(&["--whitelist-env=A,B", "--whitelist-env", ",C,"]).only_env.expect("names");
        assert_eq!(names, ["A", "B", "C"]);
    }
}
