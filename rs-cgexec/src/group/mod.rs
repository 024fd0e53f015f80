//! Groups: making them, entering them, removing them.

pub mod attach;
pub mod create;
pub mod delete;
pub mod fork;

use crate::hierarchy::text;
use crate::status::Error;
use chain::SysError;
use chain::sys::file::{Fd, OpenAt, Write};
use chain::sys::{self};
use nix::errno::Errno;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

/// The words of a control file; none where it cannot be read.
pub fn words(file: &Path) -> Vec<String> {
    text(file).split_ascii_whitespace().map(str::to_owned).collect()
}

/// `cgroup.type` of a v2 group; `None` for the top group, which has none.
pub fn kind(dir: &Path) -> Option<String> {
    fs::read_to_string(dir.join("cgroup.type")).ok().map(|text| text.trim_end().to_owned())
}

/// Whether there is a group at `dir`.
///
/// # Errors
/// The caller may not look into it, or not even see it.
pub fn exists(dir: &Path) -> Result<bool, SysError> {
    // The dot asks for the right to search the directory itself, too.
    match fs::metadata(dir.join(".")) {
        Ok(_) => Ok(true),
        Err(error) => match Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)) {
            Errno::ENOENT | Errno::ENOTDIR => Ok(false),
            errno => Err(SysError { what: format!("cannot access {}", dir.display()), errno, hint: None }),
        },
    }
}

/// The groups right below `dir`, in the directory's own order. A group that
/// goes away meanwhile has none.
pub fn children(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let is_dir = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    entries.filter_map(Result::ok).filter(is_dir).map(|entry| entry.path()).collect()
}

/// `dir` and every group below it, parents first.
pub fn tree(dir: &Path) -> Vec<PathBuf> {
    let mut all = vec![dir.to_owned()];
    for child in children(dir) {
        all.append(&mut tree(&child));
    }
    all
}

/// A control file, open for writing.
pub(crate) struct Control<'a> {
    fd: OwnedFd,
    path: &'a Path,
}

impl<'a> Control<'a> {
    pub(crate) fn open(path: &'a Path, why: &str) -> Result<Self, SysError> {
        sys::make(&OpenAt::to_write(path, why)).map(|fd| Self { fd, path })
    }

    pub(crate) fn write(&self, bytes: &[u8], why: &str) -> Result<(), SysError> {
        let call = Write { fd: Fd { fd: self.fd.as_fd(), path: self.path }, bytes, why };
        sys::make(&call).map(drop)
    }
}

/// Tries again for 100 ms while the kernel is still busy with a process that
/// has just ended.
pub(crate) fn while_busy<T>(mut attempt: impl FnMut() -> Result<T, SysError>) -> Result<T, SysError> {
    for _ in 0..50 {
        match attempt() {
            Err(error) if error.errno == Errno::EBUSY => std::thread::sleep(std::time::Duration::from_millis(2)),
            result => return result,
        }
    }
    attempt()
}

/// The result of many steps that do not stop at an error: each is reported
/// as it comes, the last one's status is left.
#[derive(Debug, Default)]
pub struct Last(Option<u8>);

impl Last {
    /// Reports what `result` has to say.
    pub fn note(&mut self, result: Result<(), Error>) {
        if let Err(error) = result {
            self.0 = Some(chain::error::report(&error));
        }
    }

    /// The status of the last error, reported before.
    ///
    /// # Errors
    /// If there was one.
    pub fn end(self) -> Result<(), Error> {
        self.0.map_or(Ok(()), |status| Err(Error::Reported(status)))
    }
}
