//! Files, folders and descriptors. Everything is relative to a descriptor
//! (`*at`), so that no path is walked twice.

use super::{Call, check};
use crate::notation::{Angled, Flags, Id, Mode, Quoted, quoted};
use nix::NixPath;
use std::ffi::{CStr, OsStr};
use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

/// A descriptor and the path it was opened by, for traces and messages.
#[derive(Debug, Clone, Copy)]
pub struct Fd<'a> {
    /// The descriptor.
    pub fd: BorrowedFd<'a>,
    /// Its path, as opened.
    pub path: &'a Path,
}

impl fmt::Display for Fd<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.fd.as_raw_fd(), Angled(self.path.as_os_str()))
    }
}

/// Where a relative path starts.
#[derive(Debug, Clone, Copy)]
pub enum At<'a> {
    /// The working folder.
    Cwd,
    /// An open folder.
    In(Fd<'a>),
}

impl At<'_> {
    pub(super) fn raw(&self) -> RawFd {
        match self {
            Self::Cwd => libc::AT_FDCWD,
            Self::In(dir) => dir.fd.as_raw_fd(),
        }
    }

    /// The whole path of `name` below this folder, for messages.
    pub fn join(&self, name: &OsStr) -> String {
        match self {
            Self::Cwd => name.display().to_string(),
            Self::In(dir) if name.is_empty() => dir.path.display().to_string(),
            Self::In(dir) => dir.path.join(name).display().to_string(),
        }
    }
}

impl fmt::Display for At<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cwd => f.write_str("AT_FDCWD"),
            Self::In(dir) => dir.fmt(f),
        }
    }
}

/// The flags of open(2) that the chain uses, ascending.
const OPEN_FLAGS: &[(u64, &str)] = &[
    (0o100, "O_CREAT"),
    (0o200, "O_EXCL"),
    (0o400, "O_NOCTTY"),
    (0o1000, "O_TRUNC"),
    (0o2000, "O_APPEND"),
    (0o4000, "O_NONBLOCK"),
    (libc::O_DIRECTORY as u64, "O_DIRECTORY"),
    (libc::O_NOFOLLOW as u64, "O_NOFOLLOW"),
    (0o2_000_000, "O_CLOEXEC"),
    (0o10_000_000, "O_PATH"),
];

struct OpenFlags(i32);

impl fmt::Display for OpenFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let access = match self.0 & libc::O_ACCMODE {
            libc::O_WRONLY => "O_WRONLY",
            libc::O_RDWR => "O_RDWR",
            _ => "O_RDONLY",
        };
        f.write_str(access)?;
        let bits = (self.0 & !libc::O_ACCMODE).cast_unsigned();
        if bits == 0 { Ok(()) } else { write!(f, "|{}", Flags { bits, table: OPEN_FLAGS }) }
    }
}

const AT_FLAGS: &[(u64, &str)] =
    &[(0x100, "AT_SYMLINK_NOFOLLOW"), (0x200, "AT_REMOVEDIR"), (0x400, "AT_SYMLINK_FOLLOW"), (0x1000, "AT_EMPTY_PATH")];

pub(super) fn at_flags(flags: i32) -> Flags<'static, u32> {
    Flags { bits: flags.cast_unsigned(), table: AT_FLAGS }
}

/// openat(2). `O_CLOEXEC` is always added.
pub struct OpenAt<'a> {
    /// Where `path` starts.
    pub dir: At<'a>,
    /// The path.
    pub path: &'a OsStr,
    /// `O_*`.
    pub flags: i32,
    /// The mode of a file that it makes; the umask takes bits away.
    pub mode: u32,
    /// Why, for `--explain`.
    pub why: &'a str,
}

impl<'a> OpenAt<'a> {
    /// Opens `path` for writing.
    pub fn to_write(path: &'a Path, why: &'a str) -> Self {
        Self { dir: At::Cwd, path: path.as_os_str(), flags: libc::O_WRONLY, mode: 0, why }
    }

    fn all_flags(&self) -> i32 {
        self.flags | libc::O_CLOEXEC
    }
}

impl fmt::Display for OpenAt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "openat({}, {}, {}", self.dir, quoted(self.path), OpenFlags(self.all_flags()))?;
        if self.flags & libc::O_CREAT != 0 { write!(f, ", {}", Mode(self.mode)) } else { Ok(()) }
    }
}

impl Call for OpenAt<'_> {
    type Out = OwnedFd;
    const NAME: &'static str = "openat";
    fn why(&self) -> String {
        self.why.to_owned()
    }
    fn cannot(&self) -> String {
        format!("cannot open {}", self.dir.join(self.path))
    }
    fn enter(&self) -> nix::Result<OwnedFd> {
        let fd = self.path.with_nix_path(|path| {
            #[allow(unsafe_code)]
            // SAFETY: `path` is a C string that lives through the call.
            let fd =
                unsafe { libc::syscall(libc::SYS_openat, self.dir.raw(), path.as_ptr(), self.all_flags(), self.mode) };
            check(fd)
        })??;
        #[allow(unsafe_code)]
        // SAFETY: the kernel just gave us this descriptor; nobody else owns it.
        Ok(unsafe { OwnedFd::from_raw_fd(raw(fd)) })
    }
    fn returned(&self, out: &OwnedFd) -> String {
        format!("{}{}", out.as_raw_fd(), Angled(self.dir.join(self.path).as_ref()))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the kernel's descriptors are ints")]
fn raw(fd: libc::c_long) -> RawFd {
    fd as RawFd
}

/// write(2): the whole of `bytes` in one call, as the kernel's control files
/// want it; a shorter write counts as `EIO`.
pub struct Write<'a> {
    /// Where to.
    pub fd: Fd<'a>,
    /// What.
    pub bytes: &'a [u8],
    /// Why, for `--explain`.
    pub why: &'a str,
}

impl fmt::Display for Write<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "write({}, {}, {}", self.fd, Quoted(self.bytes), self.bytes.len())
    }
}

impl Call for Write<'_> {
    type Out = usize;
    const NAME: &'static str = "write";
    fn why(&self) -> String {
        self.why.to_owned()
    }
    fn cannot(&self) -> String {
        format!("cannot write {}", self.fd.path.display())
    }
    fn enter(&self) -> nix::Result<usize> {
        match nix::unistd::write(self.fd.fd, self.bytes)? {
            n if n == self.bytes.len() => Ok(n),
            _ => Err(nix::errno::Errno::EIO),
        }
    }
    fn returned(&self, out: &usize) -> String {
        out.to_string()
    }
}

/// Declares a call on one path below a folder that gives nothing back.
macro_rules! path_call {
    (
        $(#[$doc:meta])* $name:ident, $syscall:literal, $cannot:literal,
        { $( $(#[$fdoc:meta])* $field:ident : $type:ty ),* $(,)? },
        |$self:ident, $f:ident| $notation:expr,
        |$path:ident| $sys:expr
    ) => {
        $(#[$doc])*
        pub struct $name<'a> {
            /// The folder.
            pub dir: At<'a>,
            /// The path below it.
            pub path: &'a OsStr,
            $( $(#[$fdoc])* pub $field: $type, )*
            /// Why, for `--explain`.
            pub why: &'a str,
        }

        impl fmt::Display for $name<'_> {
            fn fmt(&$self, $f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $notation
            }
        }

        impl Call for $name<'_> {
            type Out = ();
            const NAME: &'static str = $syscall;
            fn why(&self) -> String {
                self.why.to_owned()
            }
            fn cannot(&self) -> String {
                format!(concat!($cannot, " {}"), self.dir.join(self.path))
            }
            fn enter(&$self) -> nix::Result<()> {
                $self.path.with_nix_path(|$path: &CStr| {
                    #[allow(unsafe_code)]
                    // SAFETY: every pointer is to a C string that lives
                    // through the call; the rest are integers.
                    let result = unsafe { $sys };
                    check(result).map(drop)
                })?
            }
        }
    };
}

path_call!(
    /// mkdirat(2).
    MkdirAt, "mkdirat", "cannot create directory",
    { /** The mode; the umask takes bits away. */ mode: u32 },
    |self, f| write!(f, "mkdirat({}, {}, {}", self.dir, quoted(self.path), Mode(self.mode)),
    |path| libc::syscall(libc::SYS_mkdirat, self.dir.raw(), path.as_ptr(), self.mode)
);

path_call!(
    /// unlinkat(2): a folder with `AT_REMOVEDIR`.
    UnlinkAt, "unlinkat", "cannot remove",
    { /** `AT_REMOVEDIR` or 0. */ flags: i32 },
    |self, f| write!(f, "unlinkat({}, {}, {}", self.dir, quoted(self.path), at_flags(self.flags)),
    |path| libc::syscall(libc::SYS_unlinkat, self.dir.raw(), path.as_ptr(), self.flags)
);

path_call!(
    /// fchownat(2). `u32::MAX` leaves an id as it is.
    FchownAt, "fchownat", "cannot change the owner of",
    { /** The new uid. */ uid: u32, /** The new gid. */ gid: u32, /** `AT_SYMLINK_NOFOLLOW`, `AT_EMPTY_PATH`. */ flags: i32 },
    |self, f| write!(f, "fchownat({}, {}, {}, {}, {}", self.dir, quoted(self.path), Id(self.uid), Id(self.gid), at_flags(self.flags)),
    |path| libc::syscall(libc::SYS_fchownat, self.dir.raw(), path.as_ptr(), self.uid, self.gid, self.flags)
);

path_call!(
    /// fchmodat(2); follows a symbolic link: for names that are none.
    FchmodAt, "fchmodat", "cannot change the mode of",
    { /** The new mode. */ mode: u32 },
    |self, f| write!(f, "fchmodat({}, {}, {}", self.dir, quoted(self.path), Mode(self.mode)),
    |path| libc::syscall(libc::SYS_fchmodat, self.dir.raw(), path.as_ptr(), self.mode)
);

/// symlinkat(2).
pub struct SymlinkAt<'a> {
    /// The link's text.
    pub target: &'a OsStr,
    /// The folder.
    pub dir: At<'a>,
    /// The link's name below it.
    pub path: &'a OsStr,
    /// Why, for `--explain`.
    pub why: &'a str,
}

impl fmt::Display for SymlinkAt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "symlinkat({}, {}, {}", quoted(self.target), self.dir, quoted(self.path))
    }
}

impl Call for SymlinkAt<'_> {
    type Out = ();
    const NAME: &'static str = "symlinkat";
    fn why(&self) -> String {
        self.why.to_owned()
    }
    fn cannot(&self) -> String {
        format!("cannot create symbolic link {}", self.dir.join(self.path))
    }
    fn enter(&self) -> nix::Result<()> {
        self.target.with_nix_path(|target| {
            self.path.with_nix_path(|path| {
                #[allow(unsafe_code)]
                // SAFETY: both C strings live through the call.
                let result =
                    unsafe { libc::syscall(libc::SYS_symlinkat, target.as_ptr(), self.dir.raw(), path.as_ptr()) };
                check(result).map(drop)
            })
        })??
    }
}

/// Opens `path` for writing, writes `bytes` in one call, closes: the way of
/// the kernel's control files.
///
/// # Errors
/// The step that was refused.
pub fn write_file(path: &Path, bytes: &[u8], why: &str) -> Result<(), crate::SysError> {
    let fd = super::make(&OpenAt::to_write(path, why))?;
    super::make(&Write { fd: Fd { fd: fd.as_fd(), path }, bytes, why }).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notation() {
        let open = OpenAt::to_write(Path::new("/proc/self/uid_map"), "");
        assert_eq!(open.to_string(), "openat(AT_FDCWD, \"/proc/self/uid_map\", O_WRONLY|O_CLOEXEC");
        let make = MkdirAt { dir: At::Cwd, path: OsStr::new("a"), mode: 0o755, why: "" };
        assert_eq!(make.to_string(), "mkdirat(AT_FDCWD, \"a\", 0755");
        let own = FchownAt { dir: At::Cwd, path: OsStr::new("a"), uid: u32::MAX, gid: u32::MAX - 1, flags: 0, why: "" };
        assert_eq!(own.to_string(), "fchownat(AT_FDCWD, \"a\", -1, 4294967294, 0");
        let remove = UnlinkAt { dir: At::Cwd, path: OsStr::new("a"), flags: libc::AT_REMOVEDIR, why: "" };
        assert_eq!(remove.to_string(), "unlinkat(AT_FDCWD, \"a\", AT_REMOVEDIR");
    }
}
