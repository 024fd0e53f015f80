//! DIR: found empty or made, and made to appear whole or not at all.

use crate::apply::{has_default_list, take_lists};
use anyhow::{Context, bail, ensure};
use chain::sys;
use chain::sys::durable::Rename;
use chain::sys::file::{At, Fd, MkdirAt, UnlinkAt};
use chain::sys::inode::Fchmod;
use chain::{SysError, error::strerror};
use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat};
use nix::sys::stat::{Mode, fstat};
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

const FOLDER: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

/// Where a root file system is unpacked.
pub(crate) struct Target {
    path: PathBuf,
    root: OwnedFd,
    how: How,
    whole: bool,
}

enum How {
    /// It is built under another name beside, and renamed when it is whole.
    Made { parent: OwnedFd, name: OsString, built: OsString },
    /// It was there, empty, with this mode.
    Empty(u32),
    /// It was there, and whatever was in it.
    Over,
}

impl Target {
    /// Opens `path`, or makes it. A link there is followed, once for all.
    pub(crate) fn prepare(path: &Path, force: bool) -> anyhow::Result<Self> {
        let root = match open(path, FOLDER, Mode::empty()) {
            Ok(root) => root,
            Err(Errno::ENOENT) => return Self::make(path),
            Err(errno) => {
                return Err(SysError { what: format!("cannot open {}", path.display()), errno, hint: None }.into());
            }
        };
        if force {
            return Ok(Self { path: path.to_owned(), root, how: How::Over, whole: false });
        }
        ensure!(is_empty(&root, path)?, "cannot unpack into {}: {}", path.display(), strerror(Errno::ENOTEMPTY));
        let mode = fstat(&root).with_context(|| path.display().to_string())?.st_mode & 0o7777;
        let target = Self { path: path.to_owned(), root, how: How::Empty(mode), whole: false };
        target.set_mode(0o700);
        Ok(target)
    }

    fn make(path: &Path) -> anyhow::Result<Self> {
        // A link that leads to nothing yet.
        let path = match std::fs::read_link(path) {
            Ok(text) => path.parent().unwrap_or(Path::new("")).join(text),
            Err(_) => path.to_owned(),
        };
        let cannot = |errno| SysError { what: cannot_make(&path), errno, hint: None };
        let Some(name) = path.file_name() else { bail!(cannot(Errno::ENOENT)) };
        let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let parent = open(above, FOLDER, Mode::empty()).map_err(cannot)?;
        for attempt in 0..1000 {
            let built = OsString::from(format!(".rs-rootfs.{}.{attempt}", std::process::id()));
            let dir = At::In(Fd { fd: parent.as_fd(), path: above });
            let why = "it is built under another name, closed to others, until it is whole";
            match sys::quietly(&MkdirAt { dir, path: &built, mode: 0o700, why }) {
                Ok(()) => {}
                Err(Errno::EEXIST) => continue,
                Err(errno) => bail!(cannot(errno)),
            }
            let root = match open_built(&parent, &built) {
                Ok(root) => root,
                Err(error) => {
                    remove_built(dir, &built);
                    return Err(error.context(cannot_make(&path)));
                }
            };
            let how = How::Made { parent, name: name.to_owned(), built };
            return Ok(Self { path, root, how, whole: false });
        }
        bail!(cannot(Errno::EEXIST))
    }

    /// The path that it has, or will have.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Its descriptor, to work with.
    pub(crate) fn root(&self) -> anyhow::Result<OwnedFd> {
        self.root.try_clone().map_err(|error| anyhow::anyhow!("{}", crate::reason(&error)))
    }

    /// Whether something in it was not made by this run.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.how, How::Over)
    }

    /// The mode that it has when the archive says nothing of it: its own, or
    /// that of a missing folder. `None`: it is not touched.
    pub(crate) fn mode(&self) -> Option<(u32, bool)> {
        match self.how {
            How::Made { .. } => Some((0o755, true)),
            How::Empty(mode) => Some((mode, false)),
            How::Over => None,
        }
    }

    fn above(&self) -> &Path {
        self.path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    fn set_mode(&self, mode: u32) {
        // Somebody else's folder keeps its mode: that is theirs to say.
        if let Ok(fd) = openat(&self.root, ".", OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty())
        {
            let _ = sys::quietly(&Fchmod { fd: Fd { fd: fd.as_fd(), path: &self.path }, mode });
        }
    }

    /// It is whole: it gets its name. It still goes if it is not
    /// [kept](Self::keep).
    pub(crate) fn rename(&mut self) -> anyhow::Result<()> {
        let How::Made { parent, name, built } = &self.how else { return Ok(()) };
        let dir = At::In(Fd { fd: parent.as_fd(), path: self.above() });
        let call = |flags| Rename { dir, from: built, to: name, flags };
        match sys::quietly(&call(libc::RENAME_NOREPLACE)) {
            Ok(()) => {}
            // Not every file system has the flag.
            Err(Errno::EINVAL) => sys::make(&call(0))?,
            Err(errno) => return Err(SysError { what: cannot_make(&self.path), errno, hint: None }.into()),
        }
        if let How::Made { name, built, .. } = &mut self.how {
            built.clone_from(name);
        }
        Ok(())
    }

    /// It stays.
    pub(crate) fn keep(mut self) {
        self.whole = true;
    }
}

impl Drop for Target {
    /// It was given up and is empty again: it goes, if it was made.
    fn drop(&mut self) {
        if self.whole {
            return;
        }
        match &self.how {
            How::Made { parent, built, .. } => {
                remove_built(At::In(Fd { fd: parent.as_fd(), path: self.above() }), built);
            }
            How::Empty(mode) => self.set_mode(*mode),
            How::Over => {}
        }
    }
}

/// Opens what was just made, and takes from it what it was handed down: it is
/// the root of a file system, not a part of the folder around it.
fn open_built(parent: &OwnedFd, built: &OsStr) -> anyhow::Result<OwnedFd> {
    let root = openat(parent, built, FOLDER | OFlag::O_NOFOLLOW, Mode::empty())
        .map_err(|errno| anyhow::anyhow!("{}", strerror(errno)))?;
    if has_default_list(&root) {
        take_lists(&root)?;
    }
    Ok(root)
}

fn remove_built(dir: At<'_>, built: &OsStr) {
    let why = "a half of a root is worth nothing";
    let _ = sys::quietly(&UnlinkAt { dir, path: built, flags: libc::AT_REMOVEDIR, why });
}

fn cannot_make(path: &Path) -> String {
    format!("cannot create directory {}", path.display())
}

fn is_empty(root: &OwnedFd, path: &Path) -> anyhow::Result<bool> {
    let cannot = |errno| SysError { what: format!("cannot read {}", path.display()), errno, hint: None };
    let fd =
        openat(root, ".", OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC, Mode::empty()).map_err(cannot)?;
    let mut entries = nix::dir::Dir::from_fd(fd).map_err(cannot)?;
    for entry in entries.iter() {
        // One that cannot be read is not skipped: it would come again and again.
        if !matches!(entry.map_err(cannot)?.file_name().to_bytes(), b"." | b"..") {
            return Ok(false);
        }
    }
    Ok(true)
}
