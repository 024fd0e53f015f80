//! Mounts (mount(2), mount_namespaces(7)): the calls that take paths. Those
//! that take descriptors are in [`tree`] and [`fresh`].

pub mod fresh;
pub mod tree;

use super::{Call, check};
use crate::notation::{Flags, OrNull, quoted};
use fresh::with_optional;
use nix::NixPath;
use std::ffi::OsStr;
use std::fmt;

const MOUNT_FLAGS: &[(u64, &str)] = &[
    (libc::MS_RDONLY, "MS_RDONLY"),
    (libc::MS_NOSUID, "MS_NOSUID"),
    (libc::MS_NODEV, "MS_NODEV"),
    (libc::MS_NOEXEC, "MS_NOEXEC"),
    (libc::MS_REMOUNT, "MS_REMOUNT"),
    (libc::MS_NOSYMFOLLOW, "MS_NOSYMFOLLOW"),
    (libc::MS_NOATIME, "MS_NOATIME"),
    (libc::MS_BIND, "MS_BIND"),
    (libc::MS_MOVE, "MS_MOVE"),
    (libc::MS_REC, "MS_REC"),
    (libc::MS_SILENT, "MS_SILENT"),
    (libc::MS_PRIVATE, "MS_PRIVATE"),
    (libc::MS_SLAVE, "MS_SLAVE"),
    (libc::MS_SHARED, "MS_SHARED"),
    (libc::MS_RELATIME, "MS_RELATIME"),
    (libc::MS_STRICTATIME, "MS_STRICTATIME"),
];

/// mount(2).
pub struct Mount<'a> {
    /// What.
    pub source: Option<&'a OsStr>,
    /// Where.
    pub target: &'a OsStr,
    /// The file system's type.
    pub fstype: Option<&'a OsStr>,
    /// `MS_*`.
    pub flags: u64,
    /// The file system's options.
    pub data: Option<&'a OsStr>,
    /// Why, for `--explain`.
    pub why: &'a str,
}

impl fmt::Display for Mount<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "mount({}, {}, {}, {}, {}",
            OrNull(self.source),
            quoted(self.target),
            OrNull(self.fstype),
            Flags { bits: self.flags, table: MOUNT_FLAGS },
            OrNull(self.data)
        )
    }
}

impl Mount<'_> {
    /// Whether it changes how mounts spread, and mounts nothing.
    fn is_propagation(&self) -> bool {
        self.flags & (libc::MS_PRIVATE | libc::MS_SLAVE | libc::MS_SHARED) != 0
    }
}

impl Call for Mount<'_> {
    type Out = ();
    const NAME: &'static str = "mount";
    fn why(&self) -> String {
        self.why.to_owned()
    }
    fn cannot(&self) -> String {
        if self.is_propagation() {
            let name = if self.target == "/" { "root".into() } else { self.target.display().to_string() };
            return format!("cannot change {name} filesystem propagation");
        }
        match self.source {
            Some(source) if self.flags & libc::MS_BIND != 0 => {
                format!("mount {} on {} failed", source.display(), self.target.display())
            }
            _ => format!("mount {} failed", self.target.display()),
        }
    }
    fn hint(&self, errno: nix::errno::Errno) -> Option<String> {
        if self.is_propagation() && self.target == "/" { crate::hint::propagation(errno) } else { None }
    }
    fn enter(&self) -> nix::Result<()> {
        with_optional(self.source, |source| {
            self.target.with_nix_path(|target| {
                with_optional(self.fstype, |fstype| {
                    with_optional(self.data, |data| {
                        #[allow(unsafe_code)]
                        // SAFETY: each pointer is null or a C string that
                        // lives through the call.
                        let result = unsafe {
                            libc::syscall(libc::SYS_mount, source, target.as_ptr(), fstype, self.flags, data)
                        };
                        check(result).map(drop)
                    })
                })
            })?
        })
    }
}

/// umount2(2).
pub struct Umount2<'a> {
    /// Where.
    pub target: &'a OsStr,
    /// `MNT_*`, `UMOUNT_NOFOLLOW`.
    pub flags: i32,
    /// Why, for `--explain`.
    pub why: &'a str,
}

const UMOUNT_FLAGS: &[(u64, &str)] = &[(1, "MNT_FORCE"), (2, "MNT_DETACH"), (4, "MNT_EXPIRE"), (8, "UMOUNT_NOFOLLOW")];

impl fmt::Display for Umount2<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = Flags { bits: self.flags.cast_unsigned(), table: UMOUNT_FLAGS };
        write!(f, "umount2({}, {flags}", quoted(self.target))
    }
}

impl Call for Umount2<'_> {
    type Out = ();
    const NAME: &'static str = "umount2";
    fn why(&self) -> String {
        self.why.to_owned()
    }
    fn cannot(&self) -> String {
        format!("cannot unmount {}", self.target.display())
    }
    fn enter(&self) -> nix::Result<()> {
        self.target.with_nix_path(|target| {
            #[allow(unsafe_code)]
            // SAFETY: the C string lives through the call.
            let result = unsafe { libc::syscall(libc::SYS_umount2, target.as_ptr(), self.flags) };
            check(result).map(drop)
        })?
    }
}
