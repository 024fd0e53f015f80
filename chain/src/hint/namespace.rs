//! Why the kernel refuses namespaces, and what goes with them (namespaces(7),
//! user_namespaces(7)). The facts are read from this machine; what follows
//! from them is decided apart, so that it can be tested for machines that
//! are not at hand.

use super::{capable, status, sysctl};
use crate::sys::namespace::Namespaces;
use nix::errno::Errno;
use nix::unistd::{getegid, geteuid};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};

/// The number of `CAP_SYS_ADMIN`.
const CAP_SYS_ADMIN: u32 = 21;

/// A confirmed reason why new namespaces were refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// A seccomp filter refuses unshare(2) as a whole.
    Seccomp {
        /// Whether the files that container engines leave are there.
        container: bool,
    },
    /// AppArmor takes the rights out of an ordinary user's user namespace.
    AppArmor,
    /// A sysctl of Debian's allows user namespaces to root alone.
    RootOnly,
    /// SELinux is enforcing.
    SeLinux,
    /// There are as many as there may be.
    Limit {
        /// The files that say how many.
        files: Vec<String>,
        /// Whether they say none at all.
        none: bool,
    },
    /// The caller's root folder is not its mount namespace's.
    Chroot,
    /// The caller's own user or group id is not mapped in its user namespace.
    Unmapped,
    /// The kernel has no such kind.
    NoKind(&'static str),
    /// Several threads.
    Threads,
    /// The caller's children are already born in another pid namespace.
    PidForChildren,
    /// No `CAP_SYS_ADMIN`, and no user namespace asked for.
    NoPrivilege,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Seccomp { container } => {
                let who = if *container { "this container's seccomp filter" } else { "a seccomp filter" };
                write!(f, "{who} forbids unshare: run the outer container with a seccomp profile that allows it, ")?;
                f.write_str("or with the capability SYS_ADMIN")
            }
            Self::AppArmor => f.write_str(
                "AppArmor restricts user namespaces of ordinary users: give this program a profile with 'userns,' \
                 (one for the path it is installed at), or set the sysctl kernel.apparmor_restrict_unprivileged_userns \
                 to 0, or be root",
            ),
            Self::RootOnly => f.write_str("the sysctl kernel.unprivileged_userns_clone is 0: set it to 1, or be root"),
            Self::SeLinux => {
                f.write_str("SELinux is enforcing: allow this domain 'user_namespace create', or see the audit log")
            }
            Self::Limit { files, none: true } => write!(f, "{} is 0: raise it", files.join(", ")),
            Self::Limit { files, none: false } => write!(
                f,
                "the limit on namespaces is reached: see {}; or user namespaces are nested more than 32 deep",
                files.join(", ")
            ),
            Self::Chroot => f.write_str(
                "the caller is in a chroot, where no user namespace can be made: leave it, or enter the new root \
                 with pivot_root",
            ),
            Self::Unmapped => {
                f.write_str("the caller's own user or group id is not mapped in its user namespace: map it there first")
            }
            Self::NoKind(kind) => write!(f, "this kernel has no {kind} namespaces: /proc/self/ns/{kind} is missing"),
            Self::Threads => f.write_str("a process with several threads cannot make a user namespace"),
            Self::PidForChildren => f.write_str(
                "the caller's children are already born in another pid namespace: a process that made one has to fork \
                 before the next",
            ),
            Self::NoPrivilege => {
                f.write_str("this needs the capability SYS_ADMIN, or a new user namespace in the same call")
            }
        }
    }
}

/// What the machine says; each where it can be read.
#[derive(Debug, Clone, Default)]
struct Facts {
    sys_admin: bool,
    unshare_of_nothing_refused: bool,
    seccomp: bool,
    container: bool,
    apparmor: bool,
    root_only: bool,
    selinux: bool,
    no_more: Vec<&'static str>,
    chroot: bool,
    unmapped: bool,
    absent: Option<&'static str>,
    threads: bool,
    pid_for_children: bool,
}

impl Facts {
    fn read(kinds: Namespaces, errno: Errno) -> Self {
        let asked = || Namespaces::KINDS.into_iter().filter(|(kind, _, _)| kinds.has(*kind));
        let seccomp = status("Seccomp").as_deref() == Some("2");
        Self {
            sys_admin: capable(CAP_SYS_ADMIN),
            seccomp,
            unshare_of_nothing_refused: seccomp && errno == Errno::EPERM && unshare_of_nothing_refused(),
            container: Path::new("/.dockerenv").exists() || Path::new("/run/.containerenv").exists(),
            apparmor: apparmor(),
            root_only: sysctl("kernel/unprivileged_userns_clone").as_deref() == Some("0"),
            selinux: fs::read_to_string("/sys/fs/selinux/enforce").is_ok_and(|text| text.trim() == "1"),
            no_more: asked().map(|(_, _, file)| file).filter(|file| sysctl(file).as_deref() == Some("0")).collect(),
            chroot: in_chroot(),
            unmapped: id_unmapped("uid_map", geteuid().as_raw()) || id_unmapped("gid_map", getegid().as_raw()),
            absent: asked().map(|(_, name, _)| name).find(|name| {
                Path::new("/proc/self/ns").is_dir() && !Path::new("/proc/self/ns").join(name).is_symlink()
            }),
            threads: status("Threads").is_some_and(|threads| threads != "1"),
            pid_for_children: children_elsewhere(),
        }
    }

    fn cause(&self, kinds: Namespaces, errno: Errno) -> Option<Cause> {
        let user = kinds.has(Namespaces::USER);
        match errno {
            Errno::EPERM if self.seccomp && self.unshare_of_nothing_refused => {
                Some(Cause::Seccomp { container: self.container })
            }
            Errno::EPERM if !user && self.sys_admin => None,
            // Here a user namespace is no way out either.
            Errno::EPERM if self.chroot => Some(Cause::Chroot),
            Errno::EPERM if self.unmapped => Some(Cause::Unmapped),
            Errno::EPERM if !user => Some(Cause::NoPrivilege),
            Errno::EPERM if self.root_only && !self.sys_admin => Some(Cause::RootOnly),
            Errno::EPERM if self.apparmor && !self.sys_admin => Some(Cause::AppArmor),
            Errno::EACCES if user && self.selinux => Some(Cause::SeLinux),
            Errno::ENOSPC | Errno::EUSERS => Some(self.limit(kinds)),
            Errno::EINVAL => self.invalid(kinds),
            _ => None,
        }
    }

    /// The kernel gives ENOSPC for nothing but its limits on namespaces.
    fn limit(&self, kinds: Namespaces) -> Cause {
        let path = |file: &str| format!("/proc/sys/{file}");
        if !self.no_more.is_empty() {
            return Cause::Limit { files: self.no_more.iter().map(|file| path(file)).collect(), none: true };
        }
        let asked = Namespaces::KINDS.into_iter().filter(|(kind, _, _)| kinds.has(*kind));
        Cause::Limit { files: asked.map(|(_, _, file)| path(file)).collect(), none: false }
    }

    fn invalid(&self, kinds: Namespaces) -> Option<Cause> {
        if let Some(kind) = self.absent {
            return Some(Cause::NoKind(kind));
        }
        if kinds.has(Namespaces::USER) && self.threads {
            return Some(Cause::Threads);
        }
        (kinds.has(Namespaces::PID) && self.pid_for_children).then_some(Cause::PidForChildren)
    }
}

/// Asks for no new namespace at all: only a filter refuses that.
fn unshare_of_nothing_refused() -> bool {
    #[allow(unsafe_code)]
    // SAFETY: takes one integer; with no flag set nothing changes.
    let result = unsafe { libc::syscall(libc::SYS_unshare, 0) };
    result == -1
}

/// Why unshare(2) of `kinds` gave `errno`, if a probe tells.
pub fn refused(kinds: Namespaces, errno: Errno) -> Option<Cause> {
    Facts::read(kinds, errno).cause(kinds, errno)
}

/// [`refused`], in words.
pub(crate) fn unshare(kinds: Namespaces, errno: Errno) -> Option<String> {
    refused(kinds, errno).map(|cause| cause.to_string())
}

/// Whether this process's children are born in another pid namespace than its
/// own, as after `unshare --pid` without `--fork`.
pub fn children_elsewhere() -> bool {
    match (namespace("pid"), namespace("pid_for_children")) {
        (Some(own), Some(children)) => own != children,
        // Of a namespace without a first process nothing can be read.
        (Some(_), None) => Path::new("/proc/self/ns/pid_for_children").is_symlink(),
        _ => false,
    }
}

fn namespace(name: &str) -> Option<PathBuf> {
    fs::read_link(Path::new("/proc/self/ns").join(name)).ok()
}

/// Whether `CAP_SYS_ADMIN` was in force before this process made a user
/// namespace, in which it has every capability: 1 no, 2 yes; 0 none was made.
static SYS_ADMIN_OUTSIDE: AtomicU8 = AtomicU8::new(0);

/// Remembers what will not be seen any more in a new user namespace.
pub(crate) fn before_user_namespace() {
    SYS_ADMIN_OUTSIDE.store(1 + u8::from(capable(CAP_SYS_ADMIN)), Ordering::Relaxed);
}

fn sys_admin_outside() -> bool {
    match SYS_ADMIN_OUTSIDE.load(Ordering::Relaxed) {
        0 => capable(CAP_SYS_ADMIN),
        held => held == 2,
    }
}

/// Ubuntu 23.10 and later: an ordinary user's user namespace has no rights.
fn apparmor() -> bool {
    let restricted = sysctl("kernel/apparmor_restrict_unprivileged_userns").as_deref() == Some("1");
    restricted && fs::read_to_string("/proc/self/attr/apparmor/current").is_ok_and(|text| is_restricted(&text))
}

fn is_restricted(profile: &str) -> bool {
    profile.trim_end() == "unconfined" || profile.starts_with("unprivileged_userns")
}

/// Whether this process's root folder is not the root of a mount: it is in a
/// chroot then.
pub fn in_chroot() -> bool {
    use rustix::fs::{AtFlags, CWD, StatxAttributes, StatxFlags, statx};
    statx(CWD, "/", AtFlags::empty(), StatxFlags::empty()).is_ok_and(|about| {
        about.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT)
            && !about.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)
    })
}

/// Whether `id` is not mapped in this process's user namespace; `map` is
/// `uid_map` or `gid_map`. Nothing is known without `/proc`.
pub fn id_unmapped(map: &str, id: u32) -> bool {
    fs::read_to_string(Path::new("/proc/self").join(map)).is_ok_and(|text| !maps(&text, id))
}

fn maps(map: &str, id: u32) -> bool {
    map.lines().any(|line| {
        let mut numbers = line.split_ascii_whitespace().map(str::parse::<u64>);
        match (numbers.next(), numbers.nth(1)) {
            (Some(Ok(first)), Some(Ok(count))) => (first..first + count).contains(&id.into()),
            _ => false,
        }
    })
}

/// Why writing an id map or `setgroups` gave `errno`.
pub(crate) fn id_map(errno: Errno) -> Option<String> {
    let asked = matches!(errno, Errno::EPERM | Errno::EACCES);
    (asked && !sys_admin_outside() && apparmor()).then(|| Cause::AppArmor.to_string())
}

/// Why there is nothing at `/proc/self`.
pub(crate) fn no_proc(errno: Errno) -> Option<String> {
    let self_link = Path::new("/proc/self");
    if errno != Errno::ENOENT || self_link.exists() {
        return None;
    }
    Some(if self_link.is_symlink() {
        "the proc on /proc is of a pid namespace that this process is not in: mount its own there".to_owned()
    } else {
        "nothing is mounted on /proc: mount proc there first".to_owned()
    })
}

/// Why a control file below `/proc` could not be opened for writing.
pub(crate) fn control_file(path: &Path, errno: Errno) -> Option<String> {
    match errno {
        Errno::ENOENT if path.starts_with("/proc") => no_proc(errno).or_else(|| {
            let too_old = path.ends_with("timens_offsets");
            too_old.then(|| "this kernel has no time namespaces: they came with Linux 5.6".to_owned())
        }),
        // Whoever may not be dumped has root's files below /proc/self.
        Errno::EACCES if nix::sys::prctl::get_dumpable() == Ok(false) => id_map(errno).or_else(|| {
            Some(format!(
                "{} does not belong to this process's user: it was started from a setuid program, or its ids have just \
                 changed",
                path.display()
            ))
        }),
        Errno::EACCES => id_map(errno),
        _ => None,
    }
}

/// Why the propagation of the mounts could not be changed.
pub(crate) fn propagation(errno: Errno) -> Option<String> {
    match errno {
        Errno::EACCES => id_map(errno),
        Errno::EPERM => super::mount(errno),
        Errno::EINVAL if in_chroot() => Some(
            "the caller is in a chroot, whose root is no mount: bind it on itself first (mount --bind / /)".to_owned(),
        ),
        _ => None,
    }
}

/// The mount point that holds `file`, if that mount is shared.
pub fn shared_mount(file: &Path) -> Option<PathBuf> {
    let file = fs::canonicalize(file).ok()?;
    let mounts = crate::mountinfo::read().ok()?;
    // Of several on one folder the last covers the others.
    let holds = mounts.into_iter().filter(|mount| file.starts_with(&mount.point));
    let mount = holds.max_by_key(|mount| mount.point.components().count())?;
    mount.shared.map(|_| mount.point)
}

#[cfg(test)]
mod tests {
    use super::*;

    const USER: Namespaces = Namespaces::USER;

    fn cause(change: impl FnOnce(&mut Facts), kinds: Namespaces, errno: Errno) -> Option<Cause> {
        let mut facts = Facts::default();
        change(&mut facts);
        facts.cause(kinds, errno)
    }

    #[test]
    fn each_cause_needs_its_fact_and_its_errno() {
        assert_eq!(cause(|f| f.apparmor = true, USER, Errno::EPERM), Some(Cause::AppArmor));
        assert_eq!(cause(|f| f.root_only = true, USER, Errno::EPERM), Some(Cause::RootOnly));
        assert_eq!(cause(|f| f.selinux = true, USER, Errno::EACCES), Some(Cause::SeLinux));
        assert_eq!(cause(|f| f.chroot = true, USER, Errno::EPERM), Some(Cause::Chroot));
        assert_eq!(cause(|f| f.unmapped = true, USER, Errno::EPERM), Some(Cause::Unmapped));
        assert_eq!(cause(|f| f.absent = Some("time"), Namespaces::TIME, Errno::EINVAL), Some(Cause::NoKind("time")));
        assert_eq!(cause(|f| f.threads = true, USER, Errno::EINVAL), Some(Cause::Threads));
        let pid = Namespaces::PID;
        assert_eq!(cause(|f| f.pid_for_children = true, pid, Errno::EINVAL), Some(Cause::PidForChildren));
        for errno in [Errno::EPERM, Errno::EACCES, Errno::EINVAL, Errno::ENOMEM] {
            assert_eq!(cause(|_| (), USER, errno), None, "{errno}");
        }
        assert_eq!(cause(|f| f.sys_admin = true, Namespaces::MOUNT, Errno::EPERM), None);
    }

    #[test]
    fn a_privileged_caller_is_not_told_of_limits_on_ordinary_users() {
        let all = |f: &mut Facts| {
            (f.sys_admin, f.apparmor, f.root_only) = (true, true, true);
        };
        assert_eq!(cause(all, USER, Errno::EPERM), None);
    }

    #[test]
    fn a_filter_that_lets_unshare_through_is_not_blamed() {
        assert_eq!(cause(|f| f.seccomp = true, USER, Errno::EPERM), None);
    }

    #[test]
    fn maps_and_profiles() {
        assert!(maps("0 1000 1\n10 100010 5\n", 14) && !maps("0 1000 1\n10 100010 5\n", 15) && !maps("", 0));
        assert!(maps("         0          0 4294967295\n", 4_294_967_294));
        assert!(is_restricted("unconfined\n") && is_restricted("unprivileged_userns (enforce)\n"));
        assert!(!is_restricted("rs-unshare (unconfined)\n"));
    }
}
