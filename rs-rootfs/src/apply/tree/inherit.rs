//! What a folder hands down to what is made in it: a group, the set-group-ID
//! bit (inode(7)), and access lists, which decide about modes as well
//! (acl(5)). An archive knows of none of that.

use super::{Id, Tree, error};
use anyhow::Result;
use chain::SysError;
use chain::sys;
use chain::sys::file::{At, FchmodAt, Fd};
use chain::sys::inode::Fchmod;
use chain::sys::xattr::{self, RemoveAttribute, RemoveXattr};
use nix::errno::Errno;
use nix::fcntl::{OFlag, openat};
use nix::sys::stat::{FileStat, Mode};
use std::ffi::{CStr, OsStr, OsString};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const ACCESS: &CStr = c"system.posix_acl_access";
const DEFAULT: &CStr = c"system.posix_acl_default";
const WHY: &str = "the archive has no such list: the folder around handed it down";
const WHY_MODE: &str = "the folder around decided about its mode";

/// See the module.
#[derive(Debug, Clone, Copy)]
pub(in crate::apply) struct Heritage {
    /// The group of what is made; `None`: it depends on how the file system
    /// is mounted (`grpid`).
    pub(in crate::apply) gid: Option<u32>,
    /// Folders get the set-group-ID bit.
    pub(super) setgid: bool,
    /// There may be a default access list.
    pub(in crate::apply) list: bool,
}

impl Tree {
    /// What the open folder `id` hands down. One that this run made has no
    /// lists before the end.
    pub(super) fn heritage_of(&self, id: Id, fd: &OwnedFd, about: &FileStat) -> Heritage {
        let setgid = about.st_mode & libc::S_ISGID != 0;
        let gid = (setgid || about.st_gid == self.gid).then_some(about.st_gid);
        Heritage { gid, setgid, list: !self.node(id).made && has_default_list(fd) }
    }

    /// The folder `name` was just made in `slot`: it has `mode`, whatever it
    /// was handed down.
    pub(in crate::apply) fn made(&mut self, parent: Id, slot: usize, name: &[u8], mode: u32) -> Result<Id> {
        // Known at once: what fails with it half-done takes it back.
        let id = self.add(parent, name, true);
        let Heritage { setgid, list, .. } = self.heritage(slot);
        if list {
            self.disinherit(slot, name, mode)?;
        } else if setgid {
            self.set_mode(slot, name, mode, WHY_MODE)?;
        }
        Ok(id)
    }

    /// What was just made in `slot`, and is no file, gets rid of the lists
    /// that it was handed down, if any.
    pub(in crate::apply) fn disinherit(&self, slot: usize, name: &[u8], mode: u32) -> Result<()> {
        if !self.heritage(slot).list {
            return Ok(());
        }
        take_lists_of(&Path::new(&by_number(self.fd(slot))).join(OsStr::from_bytes(name)))?;
        self.set_mode(slot, name, mode, WHY_MODE)
    }

    /// Gives a mode to `name`, which is no file and, should somebody just have
    /// made it one, no link.
    pub(in crate::apply) fn set_mode(&self, slot: usize, name: &[u8], mode: u32, why: &str) -> Result<()> {
        let cannot = |errno| error("cannot change the mode of", self.at(slot).join(OsStr::from_bytes(name)), errno);
        let flags = OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let fd = openat(self.fd(slot), name, flags, Mode::empty()).map_err(cannot)?;
        let path = format!("/proc/self/fd/{}", fd.as_raw_fd());
        sys::quietly(&FchmodAt { dir: At::Cwd, path: OsStr::new(&path), mode, why }).map_err(cannot)
    }
}

/// [`Tree::disinherit`] for an open file.
pub(in crate::apply) fn disinherit_file(file: Fd<'_>, mode: u32) -> Result<()> {
    let name = OsStr::from_bytes(ACCESS.to_bytes());
    had(sys::quietly(&RemoveAttribute { fd: file, name }), file.path)?;
    Ok(sys::make(&Fchmod { fd: file, mode })?)
}

/// Whether things made in the open folder get access lists. Where that cannot
/// be known they may.
pub(crate) fn has_default_list(folder: &OwnedFd) -> bool {
    xattr::get(&by_number(folder), DEFAULT).map_or(true, |list| list.is_some())
}

/// Takes both lists from the open folder.
pub(crate) fn take_lists(folder: &OwnedFd) -> Result<()> {
    take_lists_of(Path::new(&by_number(folder)))
}

fn take_lists_of(path: &Path) -> Result<()> {
    [ACCESS, DEFAULT]
        .into_iter()
        .try_for_each(|name| had(sys::quietly(&RemoveXattr { path: path.as_os_str(), name, why: WHY }), path))
}

/// None is as good as one that is gone.
fn had(removed: Result<(), Errno>, path: &Path) -> Result<()> {
    match removed {
        Ok(()) | Err(Errno::ENODATA | Errno::ENOTSUP) => Ok(()),
        Err(errno) => {
            let what = format!("cannot remove the access list of {}", path.display());
            Err(SysError { what, errno, hint: None }.into())
        }
    }
}

/// A path to an open folder, which may be open for its name only.
fn by_number(folder: &OwnedFd) -> OsString {
    format!("/proc/self/fd/{}/.", folder.as_raw_fd()).into()
}
