//! The contents of a file: written, copied inside the kernel, shared with
//! another file.

use super::file::Fd;
use super::{Call, check};
use crate::notation::Quoted;
use std::fmt;
use std::os::fd::AsRawFd;

/// write(2), where the file stands: may write less than all.
pub struct WriteData<'a> {
    /// Where to.
    pub fd: Fd<'a>,
    /// What.
    pub bytes: &'a [u8],
}

impl fmt::Display for WriteData<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "write({}, {}, {}", self.fd, Quoted(self.bytes), self.bytes.len())
    }
}

impl Call for WriteData<'_> {
    type Out = usize;
    const NAME: &'static str = "write";
    fn why(&self) -> String {
        "the file's contents".to_owned()
    }
    fn cannot(&self) -> String {
        format!("cannot write {}", self.fd.path.display())
    }
    fn enter(&self) -> nix::Result<usize> {
        nix::unistd::write(self.fd.fd, self.bytes)
    }
    fn returned(&self, out: &usize) -> String {
        out.to_string()
    }
}

/// copy_file_range(2): from and to where both files stand; may copy less.
pub struct CopyFileRange<'a> {
    /// Read from.
    pub from: Fd<'a>,
    /// Written to.
    pub to: Fd<'a>,
    /// At most so many bytes.
    pub length: usize,
}

impl fmt::Display for CopyFileRange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "copy_file_range({}, NULL, {}, NULL, {}, 0", self.from, self.to, self.length)
    }
}

impl Call for CopyFileRange<'_> {
    type Out = usize;
    const NAME: &'static str = "copy_file_range";
    fn why(&self) -> String {
        "the kernel copies by itself, without a round through this process".to_owned()
    }
    fn cannot(&self) -> String {
        format!("cannot copy {} to {}", self.from.path.display(), self.to.path.display())
    }
    fn enter(&self) -> nix::Result<usize> {
        let none = std::ptr::null_mut::<i64>();
        let (from, to) = (self.from.fd.as_raw_fd(), self.to.fd.as_raw_fd());
        #[allow(unsafe_code)]
        // SAFETY: both offsets are NULL, which means the files' own.
        let result = unsafe { libc::syscall(libc::SYS_copy_file_range, from, none, to, none, self.length, 0) };
        check(result).map(libc::c_long::cast_unsigned).map(|n| usize::try_from(n).unwrap_or(0))
    }
    fn returned(&self, out: &usize) -> String {
        out.to_string()
    }
}

fd_call!(
    /// ioctl(2) FICLONE: the file shares the blocks of `from` until one of
    /// them is written.
    CloneFile, "ioctl", "cannot clone into",
    "where the file system can, both files share their blocks until one is written",
    { /** Whose contents. */ from: Fd<'a> },
    |self, f| write!(f, "ioctl({}, BTRFS_IOC_CLONE or FICLONE, {}", self.fd, self.from.fd.as_raw_fd()),
    libc::syscall(libc::SYS_ioctl, self.fd.fd.as_raw_fd(), libc::FICLONE, self.from.fd.as_raw_fd())
);
