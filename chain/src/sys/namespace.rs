//! Namespaces (namespaces(7)).

use super::file::{Fd, OpenAt, Write};
use super::{Call, check};
use crate::error::SysError;
use crate::hint;
use crate::notation::Flags;
use nix::errno::Errno;
use std::fmt;
use std::os::fd::AsFd;
use std::path::Path;

/// A set of namespace kinds, as the bits of clone(2). nix's own type lacks
/// `CLONE_NEWTIME` and would drop it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Namespaces(pub u32);

impl Namespaces {
    /// No kind.
    pub const NONE: Self = Self(0);
    /// Time (`CLONE_NEWTIME`, Linux 5.6).
    pub const TIME: Self = Self(0x80);
    /// Mounts.
    pub const MOUNT: Self = Self(0x0002_0000);
    /// cgroups.
    pub const CGROUP: Self = Self(0x0200_0000);
    /// Host name and domain name.
    pub const UTS: Self = Self(0x0400_0000);
    /// System V IPC and POSIX message queues.
    pub const IPC: Self = Self(0x0800_0000);
    /// Users, groups and capabilities.
    pub const USER: Self = Self(0x1000_0000);
    /// Process ids.
    pub const PID: Self = Self(0x2000_0000);
    /// Network.
    pub const NET: Self = Self(0x4000_0000);

    const TABLE: &'static [(u64, &'static str)] = &[
        (0x80, "CLONE_NEWTIME"),
        (0x0002_0000, "CLONE_NEWNS"),
        (0x0200_0000, "CLONE_NEWCGROUP"),
        (0x0400_0000, "CLONE_NEWUTS"),
        (0x0800_0000, "CLONE_NEWIPC"),
        (0x1000_0000, "CLONE_NEWUSER"),
        (0x2000_0000, "CLONE_NEWPID"),
        (0x4000_0000, "CLONE_NEWNET"),
    ];

    /// Each kind: its bit, its name in messages and below `/proc/PID/ns`, and
    /// the sysctl that bounds how many there may be.
    pub const KINDS: [(Self, &'static str, &'static str); 8] = [
        (Self::MOUNT, "mnt", "user/max_mnt_namespaces"),
        (Self::UTS, "uts", "user/max_uts_namespaces"),
        (Self::IPC, "ipc", "user/max_ipc_namespaces"),
        (Self::NET, "net", "user/max_net_namespaces"),
        (Self::PID, "pid", "user/max_pid_namespaces"),
        (Self::USER, "user", "user/max_user_namespaces"),
        (Self::CGROUP, "cgroup", "user/max_cgroup_namespaces"),
        (Self::TIME, "time", "user/max_time_namespaces"),
    ];

    /// The names of the kinds in the set.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::KINDS.into_iter().filter(move |(kind, _, _)| self.has(*kind)).map(|(_, name, _)| name)
    }

    /// Whether all of `kinds` are in the set.
    pub fn has(self, kinds: Self) -> bool {
        self.0 & kinds.0 == kinds.0
    }

    /// Adds `kinds`.
    pub fn add(&mut self, kinds: Self) {
        self.0 |= kinds.0;
    }
}

impl fmt::Display for Namespaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Flags { bits: self.0, table: Self::TABLE }.fmt(f)
    }
}

/// unshare(2): moves the caller into new namespaces.
pub struct Unshare(pub Namespaces);

impl fmt::Display for Unshare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unshare({}", self.0)
    }
}

impl Call for Unshare {
    type Out = ();
    const NAME: &'static str = "unshare";
    fn why(&self) -> String {
        "what this process changes from here on is its own: others keep the namespaces they have".to_owned()
    }
    fn cannot(&self) -> String {
        "unshare failed".to_owned()
    }
    fn hint(&self, errno: Errno) -> Option<String> {
        hint::unshare(self.0, errno)
    }
    fn enter(&self) -> nix::Result<()> {
        if self.0.has(Namespaces::USER) {
            hint::before_user_namespace();
        }
        #[allow(unsafe_code)]
        // SAFETY: takes one integer and touches no memory of ours.
        let result = unsafe { libc::syscall(libc::SYS_unshare, libc::c_ulong::from(self.0.0)) };
        check(result).map(drop)
    }
}

/// Whether this process's namespace of `kind` (`pid`, `mnt`, as in
/// `/proc/self/ns`) is owned by its user namespace. `None` where that cannot
/// be seen.
pub fn is_ours(kind: &str) -> Option<bool> {
    use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
    /// `NS_GET_USERNS` (ioctl_ns(2)), Linux 4.9.
    const NS_GET_USERNS: libc::c_ulong = 0xb701;
    let namespace = std::fs::File::open(format!("/proc/self/ns/{kind}")).ok()?;
    #[allow(unsafe_code)]
    // SAFETY: takes no pointer, and gives a new descriptor.
    let owner = check(unsafe { libc::syscall(libc::SYS_ioctl, namespace.as_raw_fd(), NS_GET_USERNS, 0) });
    let owner = match owner {
        Ok(fd) => i32::try_from(fd).ok()?,
        // The owner is outside: the kernel shows only the caller's own and those inside it.
        Err(Errno::EPERM) => return Some(false),
        Err(_) => return None,
    };
    #[allow(unsafe_code)]
    // SAFETY: the kernel just gave us this descriptor; nobody else owns it.
    let owner = nix::sys::stat::fstat(unsafe { OwnedFd::from_raw_fd(owner) }).ok()?;
    let own = nix::sys::stat::stat("/proc/self/ns/user").ok()?;
    Some((owner.st_dev, owner.st_ino) == (own.st_dev, own.st_ino))
}

/// One write(2) to a control file of a namespace (`uid_map`, `gid_map`,
/// `setgroups`, `timens_offsets`): the kernel takes all of it at once, and a
/// second write is refused.
struct WriteControl<'a> {
    fd: Fd<'a>,
    text: &'a str,
    why: &'a str,
}

impl fmt::Display for WriteControl<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_write().fmt(f)
    }
}

impl WriteControl<'_> {
    fn as_write(&self) -> Write<'_> {
        Write { fd: self.fd, bytes: self.text.as_bytes(), why: self.why }
    }
}

impl Call for WriteControl<'_> {
    type Out = usize;
    const NAME: &'static str = "write";
    fn why(&self) -> String {
        self.why.to_owned()
    }
    fn cannot(&self) -> String {
        format!("write failed {}", self.fd.path.display())
    }
    fn hint(&self, errno: Errno) -> Option<String> {
        hint::id_map(errno)
    }
    fn enter(&self) -> nix::Result<usize> {
        self.as_write().enter()
    }
    fn returned(&self, out: &usize) -> String {
        out.to_string()
    }
}

/// Opens the control file `path` of a namespace, writes `text` and closes it.
///
/// # Errors
/// The step that was refused: `EPERM` where the caller may not map these ids,
/// `EINVAL` where the kernel cannot read the text, `ENOENT` without `/proc`.
pub fn write_control(path: &Path, text: &str, why: &str) -> Result<(), SysError> {
    let fd = super::make(&OpenAt::to_write(path, why)).map_err(|mut error| {
        error.hint = error.hint.or_else(|| hint::control_file(path, error.errno));
        error
    })?;
    super::make(&WriteControl { fd: Fd { fd: fd.as_fd(), path }, text, why }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_written_ascending_and_time_is_not_lost() {
        let mut kinds = Namespaces::PID;
        kinds.add(Namespaces::TIME);
        kinds.add(Namespaces::MOUNT);
        assert_eq!(Unshare(kinds).to_string(), "unshare(CLONE_NEWTIME|CLONE_NEWNS|CLONE_NEWPID");
        assert_eq!(Unshare(Namespaces::NONE).to_string(), "unshare(0");
    }
}
