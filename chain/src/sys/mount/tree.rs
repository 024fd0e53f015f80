//! Mounts as descriptors: cloned, given flags and attached without a path
//! (open_tree(2), move_mount(2), mount_setattr(2)).

use crate::notation::{Angled, Flags, quoted};
use crate::sys::file::{At, Fd};
use crate::sys::{Call, check};
use nix::NixPath;
use nix::errno::Errno;
use std::ffi::OsStr;
use std::fmt;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// `OPEN_TREE_CLONE`: a copy of the mount, not the mount itself.
const OPEN_TREE_CLONE: u32 = 1;
/// `AT_RECURSIVE`: what is mounted below too.
const AT_RECURSIVE: u32 = 0x8000;
const AT_EMPTY_PATH: u32 = 0x1000;

const OPEN_TREE_FLAGS: &[(u64, &str)] = &[
    (1, "OPEN_TREE_CLONE"),
    (0o2_000_000, "OPEN_TREE_CLOEXEC"),
    (0x100, "AT_SYMLINK_NOFOLLOW"),
    (0x1000, "AT_EMPTY_PATH"),
    (0x8000, "AT_RECURSIVE"),
];

#[expect(clippy::cast_possible_truncation, reason = "the kernel's descriptors are ints")]
fn raw(fd: libc::c_long) -> RawFd {
    fd as RawFd
}

/// A descriptor that a system call gave.
pub(super) fn owned(result: libc::c_long) -> nix::Result<OwnedFd> {
    let fd = check(result)?;
    #[allow(unsafe_code)]
    // SAFETY: the kernel just gave us this descriptor; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(raw(fd)) })
}

/// open_tree(2) with `OPEN_TREE_CLONE`: a copy of a mount, attached nowhere.
/// Linux 5.2; `ENOSYS` before.
pub struct CloneTree<'a> {
    /// The folder or file that the copy shows.
    pub of: Fd<'a>,
    /// Whether what is mounted below is copied too.
    pub recursive: bool,
    /// Why, for `--explain`.
    pub why: &'a str,
}

impl CloneTree<'_> {
    fn flags(&self) -> u32 {
        let recursive = if self.recursive { AT_RECURSIVE } else { 0 };
        OPEN_TREE_CLONE | libc::O_CLOEXEC.cast_unsigned() | AT_EMPTY_PATH | recursive
    }
}

impl fmt::Display for CloneTree<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "open_tree({}, \"\", {}", self.of, Flags { bits: self.flags(), table: OPEN_TREE_FLAGS })
    }
}

impl Call for CloneTree<'_> {
    type Out = OwnedFd;
    const NAME: &'static str = "open_tree";
    fn why(&self) -> String {
        self.why.to_owned()
    }
    fn cannot(&self) -> String {
        format!("cannot copy the mount of {}", self.of.path.display())
    }
    fn hint(&self, errno: Errno) -> Option<String> {
        crate::hint::mount(errno)
    }
    fn enter(&self) -> nix::Result<OwnedFd> {
        #[allow(unsafe_code)]
        // SAFETY: the path is a C string that lives for ever; the rest are integers.
        owned(unsafe { libc::syscall(libc::SYS_open_tree, self.of.fd.as_raw_fd(), c"".as_ptr(), self.flags()) })
    }
    fn returned(&self, out: &OwnedFd) -> String {
        format!("{}{}", out.as_raw_fd(), Angled(self.of.path.as_os_str()))
    }
}

/// move_mount(2), from a descriptor to a descriptor: no name is walked, so
/// nobody can put a link in the way. Linux 5.2; `ENOSYS` before.
pub struct MoveMount<'a> {
    /// A mount that is attached nowhere.
    pub mount: Fd<'a>,
    /// The folder or file that it covers.
    pub target: Fd<'a>,
}

const MOVE_MOUNT_FLAGS: &[(u64, &str)] = &[(0x4, "MOVE_MOUNT_F_EMPTY_PATH"), (0x40, "MOVE_MOUNT_T_EMPTY_PATH")];

impl fmt::Display for MoveMount<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = Flags { bits: 0x44u32, table: MOVE_MOUNT_FLAGS };
        write!(f, "move_mount({}, \"\", {}, \"\", {flags}", self.mount, self.target)
    }
}

impl Call for MoveMount<'_> {
    type Out = ();
    const NAME: &'static str = "move_mount";
    fn why(&self) -> String {
        format!(
            "the finished mount is put on {} by descriptor: no path is walked that somebody could change",
            self.target.path.display()
        )
    }
    fn cannot(&self) -> String {
        format!("cannot mount on {}", self.target.path.display())
    }
    fn hint(&self, errno: Errno) -> Option<String> {
        crate::hint::mount(errno)
    }
    fn enter(&self) -> nix::Result<()> {
        let (mount, target) = (self.mount.fd.as_raw_fd(), self.target.fd.as_raw_fd());
        #[allow(unsafe_code)]
        // SAFETY: both paths are C strings that live for ever; the rest are integers.
        let result = unsafe {
            libc::syscall(libc::SYS_move_mount, mount, c"".as_ptr(), target, c"".as_ptr(), 0x44 as libc::c_uint)
        };
        check(result).map(drop)
    }
}

/// Flags of one mount, the bits of mount_setattr(2) (`MOUNT_ATTR_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MountAttr(pub u32);

impl MountAttr {
    /// No flag.
    pub const NONE: Self = Self(0);
    /// Nothing can be written.
    pub const RDONLY: Self = Self(1);
    /// setuid and setgid bits, and file capabilities, have no effect.
    pub const NOSUID: Self = Self(2);
    /// Device nodes cannot be opened.
    pub const NODEV: Self = Self(4);
    /// Nothing can be executed.
    pub const NOEXEC: Self = Self(8);
    /// Access times are not written.
    pub const NOATIME: Self = Self(0x10);
    /// Symbolic links are not followed. Linux 5.10.
    pub const NOSYMFOLLOW: Self = Self(0x0020_0000);

    const TABLE: &'static [(u64, &'static str)] = &[
        (1, "MOUNT_ATTR_RDONLY"),
        (2, "MOUNT_ATTR_NOSUID"),
        (4, "MOUNT_ATTR_NODEV"),
        (8, "MOUNT_ATTR_NOEXEC"),
        (0x10, "MOUNT_ATTR_NOATIME"),
        (0x20, "MOUNT_ATTR_STRICTATIME"),
        (0x0020_0000, "MOUNT_ATTR_NOSYMFOLLOW"),
    ];

    /// These flags and `others`.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// These flags without `others`.
    #[must_use]
    pub const fn without(self, others: Self) -> Self {
        Self(self.0 & !others.0)
    }

    /// Whether all of `others` are among them.
    pub const fn has(self, others: Self) -> bool {
        self.0 & others.0 == others.0
    }

    /// The same flags for mount(2).
    pub fn as_ms(self) -> u64 {
        let others = [(Self::NOATIME, libc::MS_NOATIME), (Self::NOSYMFOLLOW, libc::MS_NOSYMFOLLOW)];
        let others = others.iter().filter(|(flag, _)| self.has(*flag)).map(|(_, ms)| ms);
        // RDONLY to NOEXEC are the same four bits there.
        others.fold(u64::from(self.0 & 0xf), |all, ms| all | ms)
    }
}

impl fmt::Display for MountAttr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Flags { bits: self.0, table: Self::TABLE }.fmt(f)
    }
}

/// `struct mount_attr`, its first version (32 bytes).
#[repr(C)]
struct Attr {
    set: u64,
    clear: u64,
    propagation: u64,
    userns_fd: u64,
}

/// mount_setattr(2) of the mount behind a descriptor: changes only what is
/// named. Linux 5.12; `ENOSYS` before.
pub struct MountSetattr<'a> {
    /// The mount, by a descriptor of its root.
    pub mount: Fd<'a>,
    /// Flags to set.
    pub set: MountAttr,
    /// Flags to clear.
    pub clear: MountAttr,
    /// Whether what is mounted on it is to stay here from now on: it gets the
    /// mounts of those it was shared with, and gives them none.
    pub slave: bool,
    /// Whether the mounts below change too: all of them or none.
    pub recursive: bool,
}

impl MountSetattr<'_> {
    fn flags(&self) -> u32 {
        AT_EMPTY_PATH | if self.recursive { AT_RECURSIVE } else { 0 }
    }
}

impl fmt::Display for MountSetattr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = Flags { bits: self.flags(), table: OPEN_TREE_FLAGS };
        let Self { mount, set, clear, .. } = self;
        let propagation = if self.slave { "MS_SLAVE" } else { "0 /* MS_??? */" };
        write!(
            f,
            "mount_setattr({mount}, \"\", {flags}, {{attr_set={set}, attr_clr={clear}, propagation={propagation}, userns_fd=0}}, 32"
        )
    }
}

impl Call for MountSetattr<'_> {
    type Out = ();
    const NAME: &'static str = "mount_setattr";
    fn why(&self) -> String {
        let apart = if self.slave { "; as a slave it also shows nobody what is mounted on it" } else { "" };
        format!("flags belong to the mount, not to the files: the same files stay as they are elsewhere{apart}")
    }
    fn cannot(&self) -> String {
        format!("cannot change the flags of the mount of {}", self.mount.path.display())
    }
    fn hint(&self, errno: Errno) -> Option<String> {
        crate::hint::mount(errno)
    }
    fn enter(&self) -> nix::Result<()> {
        let propagation = if self.slave { libc::MS_SLAVE } else { 0 };
        let attr = Attr { set: self.set.0.into(), clear: self.clear.0.into(), propagation, userns_fd: 0 };
        let fd = self.mount.fd.as_raw_fd();
        #[allow(unsafe_code)]
        // SAFETY: `attr` is the structure the call reads, of the size it is
        // told, and lives through the call.
        let result = unsafe {
            libc::syscall(libc::SYS_mount_setattr, fd, c"".as_ptr(), self.flags(), &raw const attr, size_of::<Attr>())
        };
        check(result).map(drop)
    }
}

/// pivot_root(2): another mount becomes the root of this mount namespace.
pub struct PivotRoot<'a> {
    /// The new root, a mount.
    pub new: &'a OsStr,
    /// Where the old root is put; the same folder stacks it on the new one.
    pub old: &'a OsStr,
}

impl fmt::Display for PivotRoot<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pivot_root({}, {}", quoted(self.new), quoted(self.old))
    }
}

impl Call for PivotRoot<'_> {
    type Out = ();
    const NAME: &'static str = "pivot_root";
    fn why(&self) -> String {
        "the new root takes the old one's place for every process here: unlike after chroot there is nothing above it"
            .to_owned()
    }
    fn cannot(&self) -> String {
        "cannot pivot into the new root".to_owned()
    }
    fn hint(&self, errno: Errno) -> Option<String> {
        match errno {
            Errno::EINVAL => crate::hint::no_pivot(),
            _ => crate::hint::mount(errno),
        }
    }
    fn enter(&self) -> nix::Result<()> {
        self.new.with_nix_path(|new| {
            self.old.with_nix_path(|old| {
                #[allow(unsafe_code)]
                // SAFETY: both C strings live through the call.
                let result = unsafe { libc::syscall(libc::SYS_pivot_root, new.as_ptr(), old.as_ptr()) };
                check(result).map(drop)
            })
        })??
    }
}

impl<'a> From<Fd<'a>> for At<'a> {
    fn from(folder: Fd<'a>) -> Self {
        At::In(folder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::path::Path;

    #[test]
    fn notation() {
        let stdin = std::io::stdin();
        let fd = Fd { fd: stdin.as_fd(), path: Path::new("/a") };
        assert_eq!(
            CloneTree { of: fd, recursive: true, why: "" }.to_string(),
            "open_tree(0</a>, \"\", OPEN_TREE_CLONE|OPEN_TREE_CLOEXEC|AT_EMPTY_PATH|AT_RECURSIVE"
        );
        assert_eq!(
            MoveMount { mount: fd, target: fd }.to_string(),
            "move_mount(0</a>, \"\", 0</a>, \"\", MOVE_MOUNT_F_EMPTY_PATH|MOVE_MOUNT_T_EMPTY_PATH"
        );
        let set = MountAttr::NOSUID.and(MountAttr::NOEXEC);
        let call = |slave| MountSetattr { mount: fd, set, clear: MountAttr::NONE, slave, recursive: false }.to_string();
        let wanted = |propagation| {
            format!(
                "mount_setattr(0</a>, \"\", AT_EMPTY_PATH, {{attr_set=MOUNT_ATTR_NOSUID|MOUNT_ATTR_NOEXEC, attr_clr=0, \
                 propagation={propagation}, userns_fd=0}}, 32"
            )
        };
        assert_eq!((call(false), call(true)), (wanted("0 /* MS_??? */"), wanted("MS_SLAVE")));
        let pivot = PivotRoot { new: OsStr::new("."), old: OsStr::new(".") };
        assert_eq!(pivot.to_string(), "pivot_root(\".\", \".\"");
    }

    #[test]
    fn flags_of_the_old_call() {
        assert_eq!(MountAttr::RDONLY.and(MountAttr::NODEV).as_ms(), libc::MS_RDONLY | libc::MS_NODEV);
        assert_eq!(MountAttr::NOATIME.as_ms(), libc::MS_NOATIME);
    }
}
