//! What the command line asks for, built up word by word: the last of several
//! counts, one option implies another.

use crate::value::{self, Propagation, RangeSpec, SetGroups, lossy};
use chain::notation::Signal;
use chain::sys::namespace::Namespaces;
use chain::table::Wrong;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

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
#[derive(Debug, Clone, PartialEq, Eq, Default)]
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

/// The kinds in the order in which their files are bound, and their names
/// below `/proc/PID/ns`.
const BOUND: [(Namespaces, &str); 8] = [
    (Namespaces::USER, "user"),
    (Namespaces::CGROUP, "cgroup"),
    (Namespaces::IPC, "ipc"),
    (Namespaces::UTS, "uts"),
    (Namespaces::NET, "net"),
    (Namespaces::PID, "pid_for_children"),
    (Namespaces::MOUNT, "mnt"),
    (Namespaces::TIME, "time_for_children"),
];

/// What the rows of [`TABLE`](crate::cli::TABLE) do. Their form is the
/// table's: whatever takes a value may refuse it.
impl Options {
    /// A new namespace of `kind`, kept at `file`. An option without a value
    /// does not take back an earlier file.
    #[allow(clippy::unnecessary_wraps, reason = "the form of a row")]
    pub(crate) fn unshare(&mut self, kind: Namespaces, file: Option<&OsStr>) -> Result<(), Wrong> {
        self.kinds.add(kind);
        if let Some(file) = file {
            self.files.retain(|earlier| earlier.kind != kind);
            let name = BOUND.iter().find(|(known, _)| *known == kind).map_or("", |(_, name)| *name);
            self.files.push(File { kind, name, file: file.to_owned() });
            self.files.sort_by_key(|file| BOUND.iter().position(|(kind, _)| *kind == file.kind));
        }
        Ok(())
    }

    pub(crate) fn forward_signals(&mut self) {
        self.fork = true;
        self.forward_signals = true;
    }

    pub(crate) fn kill_child(&mut self, name: Option<&OsStr>) -> Result<(), Wrong> {
        self.fork = true;
        self.kill_child = Some(name.map_or(Ok(Signal::KILL), |name| value::signal(&lossy(name)))?);
        Ok(())
    }

    #[allow(clippy::unnecessary_wraps, reason = "the form of a row")]
    pub(crate) fn mount_proc(&mut self, dir: Option<&OsStr>) -> Result<(), Wrong> {
        self.kinds.add(Namespaces::MOUNT);
        self.mount_proc = Some(dir.unwrap_or(OsStr::new(PROC)).to_owned());
        Ok(())
    }

    /// binfmt_misc on its usual place needs a proc that belongs to the new
    /// user namespace.
    #[allow(clippy::unnecessary_wraps, reason = "the form of a row")]
    pub(crate) fn mount_binfmt(&mut self, dir: Option<&OsStr>) -> Result<(), Wrong> {
        self.kinds.add(Namespaces::MOUNT);
        self.kinds.add(Namespaces::USER);
        self.mount_binfmt = Some(dir.unwrap_or(OsStr::new(BINFMT_MISC)).to_owned());
        if dir.is_none() && self.mount_proc.is_none() {
            self.mount_proc = Some(PROC.into());
        }
        Ok(())
    }

    pub(crate) fn load_interp(&mut self, definition: &OsStr) -> Result<(), Wrong> {
        self.load_interp = Some(definition.to_owned());
        if self.mount_binfmt.is_none() { self.mount_binfmt(None) } else { Ok(()) }
    }

    pub(crate) fn users(&mut self) -> &mut Mapping {
        self.kinds.add(Namespaces::USER);
        &mut self.users
    }

    pub(crate) fn groups(&mut self) -> &mut Mapping {
        self.kinds.add(Namespaces::USER);
        &mut self.groups
    }

    pub(crate) fn map_own(&mut self, inside: Inside) {
        self.users().own = Some(inside);
        self.groups().own = Some(inside);
    }

    pub(crate) fn map_range(&mut self, range: RangeSpec) {
        self.users().ranges.push(range);
        self.groups().ranges.push(range);
    }

    pub(crate) fn owner(&mut self) -> &mut Option<(u32, u32)> {
        self.kinds.add(Namespaces::USER);
        &mut self.owner
    }

    pub(crate) fn clear_env(&mut self) {
        self.only_env.get_or_insert_default();
    }

    /// The names in a comma-separated list.
    #[allow(clippy::unnecessary_wraps, reason = "the form of a row")]
    pub(crate) fn whitelist_env(&mut self, list: &OsStr) -> Result<(), Wrong> {
        let names = list.as_bytes().split(|b| *b == b',').filter(|name| !name.is_empty());
        self.only_env.get_or_insert_default().extend(names.map(|name| OsStr::from_bytes(name).to_owned()));
        Ok(())
    }
}

impl Mapping {
    pub(crate) fn add(&mut self, range: Result<RangeSpec, Wrong>) -> Result<(), Wrong> {
        self.ranges.push(range?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::TABLE;

    /// The options of a command line.
    fn read(words: &[&str]) -> Options {
        let words = words.iter().map(OsString::from).collect();
        TABLE.read(&crate::TOOL, words).expect("options")
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
        let ids = RangeSpec::Ids(value::Range { inner: 1, outer: 2, count: 3 });
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
