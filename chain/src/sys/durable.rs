//! What makes a file survive: a lock while it is written, its bytes at their
//! place, on the disk before its name says that it is whole.

use super::file::{At, Fd};
use super::{Call, check};
use crate::notation::{Flags, Quoted, quoted};
use nix::NixPath;
use std::ffi::OsStr;
use std::fmt;
use std::os::fd::AsRawFd;

fd_call!(
    /// fsync(2), of a file or of a folder's names.
    Fsync, "fsync", "cannot write to the disk:",
    "What is in memory only is lost with the power: wait until the disk has it",
    {},
    |self, f| write!(f, "fsync({}", self.fd),
    libc::syscall(libc::SYS_fsync, self.fd.fd.as_raw_fd())
);

fd_call!(
    /// ftruncate(2).
    SetLength, "ftruncate", "cannot set the length of",
    "Cut the file, or let it grow by a hole that takes no space",
    { /** The new length in bytes. */ length: i64 },
    |self, f| write!(f, "ftruncate({}, {}", self.fd, self.length),
    libc::syscall(libc::SYS_ftruncate, self.fd.fd.as_raw_fd(), self.length)
);

fd_call!(
    /// flock(2): a lock that ends with the descriptor, also when the process
    /// is killed.
    Flock, "flock", "cannot lock",
    "Keep others away as long as the descriptor is open; the kernel frees the lock however we end",
    { /** `LOCK_SH`, `LOCK_EX`, with `LOCK_NB` or without. */ operation: i32 },
    |self, f| write!(f, "flock({}, {}", self.fd, Flags { bits: self.operation.cast_unsigned(), table: LOCKS }),
    libc::syscall(libc::SYS_flock, self.fd.fd.as_raw_fd(), self.operation)
);

const LOCKS: &[(u64, &str)] = &[(1, "LOCK_SH"), (2, "LOCK_EX"), (4, "LOCK_NB"), (8, "LOCK_UN")];

/// pwrite64(2): as many of `bytes` as the kernel takes.
pub struct WriteAt<'a> {
    /// Where to.
    pub fd: Fd<'a>,
    /// What.
    pub bytes: &'a [u8],
    /// From which byte of the file on.
    pub offset: i64,
}

impl fmt::Display for WriteAt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pwrite64({}, {}, {}, {}", self.fd, Quoted(self.bytes), self.bytes.len(), self.offset)
    }
}

impl Call for WriteAt<'_> {
    type Out = usize;
    const NAME: &'static str = "pwrite64";
    fn why(&self) -> String {
        "Put the bytes at their own place: a second attempt writes over the first".to_owned()
    }
    fn cannot(&self) -> String {
        format!("cannot write {}", self.fd.path.display())
    }
    fn enter(&self) -> nix::Result<usize> {
        #[allow(unsafe_code)]
        // SAFETY: the buffer lives through the call and has this length.
        let result = unsafe {
            libc::syscall(
                libc::SYS_pwrite64,
                self.fd.fd.as_raw_fd(),
                self.bytes.as_ptr(),
                self.bytes.len(),
                self.offset,
            )
        };
        Ok(usize::try_from(check(result)?).unwrap_or_default())
    }
    fn returned(&self, out: &usize) -> String {
        out.to_string()
    }
}

/// renameat2(2): puts a whole new file in the place of an old one, or of none,
/// in one step.
pub struct Rename<'a> {
    /// The folder of both names.
    pub dir: At<'a>,
    /// The old name.
    pub from: &'a OsStr,
    /// The new one.
    pub to: &'a OsStr,
    /// `RENAME_*` or 0.
    pub flags: u32,
}

const RENAMES: &[(u64, &str)] = &[(1, "RENAME_NOREPLACE"), (2, "RENAME_EXCHANGE")];

impl fmt::Display for Rename<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = Flags { bits: self.flags, table: RENAMES };
        write!(f, "renameat2({}, {}, {}, {}, {flags}", self.dir, quoted(self.from), self.dir, quoted(self.to))
    }
}

impl Call for Rename<'_> {
    type Out = ();
    const NAME: &'static str = "renameat2";
    fn why(&self) -> String {
        "Give the whole file its name in one step: nobody ever sees half of it".to_owned()
    }
    fn cannot(&self) -> String {
        format!("cannot rename {} to {}", self.dir.join(self.from), self.dir.join(self.to))
    }
    fn enter(&self) -> nix::Result<()> {
        let dir = match self.dir {
            At::Cwd => libc::AT_FDCWD,
            At::In(dir) => dir.fd.as_raw_fd(),
        };
        self.from.with_nix_path(|from| {
            self.to.with_nix_path(|to| {
                #[allow(unsafe_code)]
                // SAFETY: both C strings live through the call.
                let result =
                    unsafe { libc::syscall(libc::SYS_renameat2, dir, from.as_ptr(), dir, to.as_ptr(), self.flags) };
                check(result).map(drop)
            })
        })??
    }
}

/// Writes all of `bytes` from `offset` on.
///
/// # Errors
/// The kernel's reason, `ENOSPC` for one.
pub fn write_all_at(fd: Fd<'_>, mut bytes: &[u8], mut offset: u64) -> Result<(), crate::SysError> {
    while !bytes.is_empty() {
        let call = WriteAt { fd, bytes, offset: i64::try_from(offset).unwrap_or(i64::MAX) };
        let written = super::make(&call)?;
        if written == 0 {
            return Err(crate::SysError { what: call.cannot(), errno: nix::errno::Errno::EIO, hint: None });
        }
        bytes = &bytes[written..];
        offset += written as u64;
    }
    Ok(())
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
        assert_eq!(Flock { fd, operation: libc::LOCK_EX | libc::LOCK_NB }.to_string(), "flock(0</a>, LOCK_EX|LOCK_NB");
        assert_eq!(WriteAt { fd, bytes: b"x\n", offset: 7 }.to_string(), "pwrite64(0</a>, \"x\\n\", 2, 7");
        let rename = Rename { dir: At::Cwd, from: OsStr::new("a"), to: OsStr::new("b"), flags: 1 };
        assert_eq!(rename.to_string(), "renameat2(AT_FDCWD, \"a\", AT_FDCWD, \"b\", RENAME_NOREPLACE");
    }
}
