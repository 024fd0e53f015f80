//! What the command line asks for.

use crate::value::{Access, DevicePair, ProcOptions, Propagation, TmpfsArg};
use std::ffi::{OsStr, OsString};

/// All options, and the program.
#[derive(Debug, Default)]
pub struct Options {
    /// `--root`; a line without it is a usage error.
    pub root: Option<OsString>,
    /// `--propagation`.
    pub propagation: Option<Propagation>,
    /// `--proc`.
    pub proc: bool,
    /// `--proc-options`, which asks for `--proc` too.
    pub proc_options: Option<ProcOptions>,
    /// `--sys`.
    pub sys: bool,
    /// `--cgroup`.
    pub cgroup: Option<Access>,
    /// `--dev`.
    pub dev: bool,
    /// `--null`.
    pub null: bool,
    /// `--zero`.
    pub zero: bool,
    /// `--full`.
    pub full: bool,
    /// `--random`.
    pub random: bool,
    /// `--urandom`.
    pub urandom: bool,
    /// `--tty`.
    pub tty: bool,
    /// `--tty-try`.
    pub tty_try: bool,
    /// `--ptmx`.
    pub ptmx: bool,
    /// `--host-ptmx`.
    pub host_ptmx: bool,
    /// `--shm`.
    pub shm: bool,
    /// `--shm-size` in bytes, which asks for `--shm` too.
    pub shm_size: Option<u64>,
    /// `--mqueue`.
    pub mqueue: bool,
    /// The steps whose order counts, as they stood on the line.
    pub user: Vec<UserStep>,
    /// `--resolv-conf`.
    pub resolv_conf: bool,
    /// `--hosts`.
    pub hosts: bool,
    /// `--inaccessible`, each.
    pub inaccessible: Vec<OsString>,
    /// `--read-only-path`, each.
    pub read_only_path: Vec<OsString>,
    /// `--mask-defaults`.
    pub mask_defaults: bool,
    /// `--read-only`.
    pub read_only: bool,
    /// `--pivot`.
    pub pivot: bool,
    /// `--new-session`.
    pub new_session: bool,
    /// `--preserve-fds`: how many descriptors after 2 stay open.
    pub preserve_fds: u16,
    /// `--verbose`.
    pub verbose: bool,
    /// `--dry-run`.
    pub dry_run: bool,
    /// COMMAND and its arguments; at least one word.
    pub command: Vec<OsString>,
}

impl Options {
    /// The root as it was given.
    pub fn root(&self) -> &OsStr {
        self.root.as_deref().unwrap_or_default()
    }
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
