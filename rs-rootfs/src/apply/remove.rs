//! Removing what stands in the way, what a whiteout names, and all of it
//! after a failure: by descriptor, never through a link, never into another
//! mount, without recursion.

use super::Unpacker;
use super::tree::{self, Id, error, open_folder};
use anyhow::bail;
use chain::sys;
use chain::sys::file::{At, FchmodAt, Fd, UnlinkAt};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::fstat;
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What of a folder's contents goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// Everything.
    All,
    /// What the current layer did not make.
    LowerLayers,
    /// What this run made.
    ThisRun,
}

/// A folder on the way down.
struct Frame {
    name: Vec<u8>,
    /// Device and inode: whether `..` leads back to it.
    place: (u64, u64),
    node: Option<Id>,
    what: What,
    /// Its folders that are still to be looked at.
    folders: Vec<Vec<u8>>,
    /// Something in it stays, so it does too.
    stays: bool,
}

const WHY: &str = "it is in the way, or a layer says that it is gone";

impl Unpacker {
    /// Removes `name` in the folder `parent`, with all that is below it.
    pub(super) fn remove(&mut self, parent: Id, name: &[u8]) -> anyhow::Result<()> {
        self.last = None;
        let slot = self.tree.open(parent)?;
        match unlink(self.tree.at(slot), name, 0) {
            Ok(()) | Err(Errno::ENOENT) => return Ok(()),
            Err(Errno::EISDIR | Errno::EPERM) => {}
            Err(errno) => {
                return Err(error("cannot remove", self.tree.path(parent).join(OsStr::from_bytes(name)), errno));
            }
        }
        let node = self.tree.child(parent, name);
        match unlink(self.tree.at(slot), name, libc::AT_REMOVEDIR) {
            Ok(()) => {}
            Err(Errno::ENOTEMPTY | Errno::EEXIST) => {
                let dir = self.tree.fd(slot).try_clone().map_err(|e| anyhow::anyhow!("{}", crate::reason(&e)))?;
                let path = self.tree.path(parent);
                self.remove_folder(&dir, &path, name, node)?;
            }
            Err(errno) => {
                return Err(error("cannot remove", self.tree.path(parent).join(OsStr::from_bytes(name)), errno));
            }
        }
        if let Some(node) = node {
            self.tree.forget(node);
        }
        Ok(())
    }

    fn remove_folder(&mut self, dir: &OwnedFd, path: &Path, name: &[u8], node: Option<Id>) -> anyhow::Result<()> {
        let at = At::In(Fd { fd: dir.as_fd(), path });
        let inside = path.join(OsStr::from_bytes(name));
        let fd = self.open_to_empty(dir, at, name).map_err(|errno| error("cannot remove", &inside, errno))?;
        self.empty(fd, &inside, node, What::All)?;
        unlink(at, name, libc::AT_REMOVEDIR).map_err(|errno| error("cannot remove", &inside, errno))
    }

    /// Opens a folder whose contents are to go; as an ordinary user, gives
    /// ourselves the permission first.
    fn open_to_empty(&self, dir: &OwnedFd, at: At<'_>, name: &[u8]) -> Result<OwnedFd, Errno> {
        match open_folder(dir, name, OFlag::O_RDONLY) {
            Err(Errno::EACCES) => {
                let why = "nobody empties a folder that cannot be read";
                sys::quietly(&FchmodAt { dir: at, path: OsStr::from_bytes(name), mode: 0o700, why })?;
                open_folder(dir, name, OFlag::O_RDONLY)
            }
            other => {
                // To remove something the folder must be writable too.
                if self.tree.privilege() == &super::Privilege::User
                    && let Ok(fd) = &other
                    && fstat(fd)?.st_mode & 0o700 != 0o700
                {
                    let why = "nobody empties a folder that cannot be written";
                    sys::quietly(&FchmodAt { dir: at, path: OsStr::from_bytes(name), mode: 0o700, why })?;
                }
                other
            }
        }
    }

    /// Removes `what` below the open folder `fd`; it stays itself.
    pub(super) fn empty(&mut self, fd: OwnedFd, path: &Path, node: Option<Id>, what: What) -> anyhow::Result<()> {
        self.last = None;
        let mut path = path.to_owned();
        let mut fd = fd;
        let mut frames = vec![self.scan(&fd, &path, Vec::new(), node, what)?];
        while let Some(frame) = frames.last_mut() {
            if let Some(name) = frame.folders.pop() {
                let (node, what) = (frame.node.and_then(|id| self.tree.child(id, &name)), frame.what);
                if what == What::ThisRun && node.is_none() {
                    // This run was never in it.
                    frame.stays = true;
                    continue;
                }
                let what = self.below(node, what);
                if what == What::All && self.gone_at_once(&fd, &path, &name, node)? {
                    continue;
                }
                let inside = path.join(OsStr::from_bytes(&name));
                let at = At::In(Fd { fd: fd.as_fd(), path: &path });
                fd = self.open_to_empty(&fd, at, &name).map_err(|errno| error("cannot remove", &inside, errno))?;
                path = inside;
                frames.push(self.scan(&fd, &path, name, node, what)?);
            } else if let (Some(done), Some(above)) = (frames.pop(), frames.last_mut()) {
                path.pop();
                fd = back(&fd, &path, above.place)?;
                if done.stays || (done.what != What::All && self.stays(done.node, done.what)) {
                    above.stays = true;
                } else {
                    let at = At::In(Fd { fd: fd.as_fd(), path: &path });
                    let inside = path.join(OsStr::from_bytes(&done.name));
                    unlink(at, &done.name, libc::AT_REMOVEDIR)
                        .map_err(|errno| error("cannot remove", inside, errno))?;
                    if let Some(node) = done.node {
                        self.tree.forget(node);
                    }
                }
            }
        }
        Ok(())
    }

    /// What goes inside the folder `node` where `what` goes around it.
    fn below(&self, node: Option<Id>, what: What) -> What {
        match (what, node.map(|id| self.tree.node(id))) {
            // A folder that is not known has nothing of this layer in it.
            (What::All, _) | (What::LowerLayers, None) => What::All,
            (What::LowerLayers, Some(node)) if node.touched != self.layer => What::All,
            (What::ThisRun, Some(node)) if node.made => What::All,
            _ => what,
        }
    }

    /// Whether the folder itself stays, whatever is in it.
    fn stays(&self, node: Option<Id>, what: What) -> bool {
        match (what, node.map(|id| self.tree.node(id))) {
            (What::LowerLayers, Some(node)) => node.touched == self.layer,
            (What::ThisRun, node) => !node.is_some_and(|node| node.made),
            _ => false,
        }
    }

    /// An empty folder needs no look inside.
    fn gone_at_once(&mut self, fd: &OwnedFd, path: &Path, name: &[u8], node: Option<Id>) -> anyhow::Result<bool> {
        match unlink(At::In(Fd { fd: fd.as_fd(), path }), name, libc::AT_REMOVEDIR) {
            Ok(()) => {
                if let Some(node) = node {
                    self.tree.forget(node);
                }
                Ok(true)
            }
            Err(Errno::ENOTEMPTY | Errno::EEXIST | Errno::EACCES) => Ok(false),
            Err(errno) => Err(error("cannot remove", path.join(OsStr::from_bytes(name)), errno)),
        }
    }

    /// Removes what is no folder in `fd`, lists what is one.
    fn scan(&self, fd: &OwnedFd, path: &Path, name: Vec<u8>, node: Option<Id>, what: What) -> anyhow::Result<Frame> {
        let about = fstat(fd).map_err(|errno| error("cannot look at", path, errno))?;
        let mut frame =
            Frame { name, place: (about.st_dev, about.st_ino), node, what, folders: Vec::new(), stays: false };
        let copy = fd.try_clone().map_err(|e| anyhow::anyhow!("{}", crate::reason(&e)))?;
        let mut entries = nix::dir::Dir::from_fd(copy).map_err(|errno| error("cannot read", path, errno))?;
        for entry in entries.iter() {
            let entry = entry.map_err(|errno| error("cannot read", path, errno))?;
            let name = entry.file_name().to_bytes();
            if matches!(name, b"." | b"..") {
                continue;
            }
            let is_folder = match entry.file_type() {
                Some(kind) => kind == nix::dir::Type::Directory,
                None => tree::stat(fd, name).is_ok_and(|about| about.st_mode & libc::S_IFMT == libc::S_IFDIR),
            };
            if is_folder {
                frame.folders.push(name.to_vec());
            } else if self.is_kept(node, name, what) {
                frame.stays = true;
            } else {
                unlink(At::In(Fd { fd: fd.as_fd(), path }), name, 0)
                    .map_err(|errno| error("cannot remove", path.join(OsStr::from_bytes(name)), errno))?;
            }
        }
        Ok(frame)
    }

    fn is_kept(&self, node: Option<Id>, name: &[u8], what: What) -> bool {
        let key = || node.map(|id| self.key(id, name));
        match what {
            What::All => false,
            What::LowerLayers => key().is_some_and(|key| self.made.contains(&key)),
            What::ThisRun => !key().is_some_and(|key| self.made_in_run.contains(&key)),
        }
    }
}

/// Opens the folder that `fd` is in, if it is still the one we came from.
fn back(fd: &OwnedFd, path: &PathBuf, place: (u64, u64)) -> anyhow::Result<OwnedFd> {
    let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let up = nix::fcntl::openat(fd, "..", flags, nix::sys::stat::Mode::empty());
    let up = up.map_err(|errno| error("cannot go back to", path, errno))?;
    let about = fstat(&up).map_err(|errno| error("cannot look at", path, errno))?;
    if (about.st_dev, about.st_ino) != place {
        bail!("{} was moved while it was being removed", path.display());
    }
    Ok(up)
}

fn unlink(dir: At<'_>, name: &[u8], flags: i32) -> Result<(), Errno> {
    sys::quietly(&UnlinkAt { dir, path: OsStr::from_bytes(name), flags, why: WHY })
}
