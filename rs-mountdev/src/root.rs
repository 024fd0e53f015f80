//! The root folder, and the fixed places in it. No symbolic link of the
//! image is ever followed here: one component at a time, by descriptor, and
//! what was opened is looked at before it is used.

use crate::error::{AtPlace, Error, Why, errno};
use chain::SysError;
use chain::mountinfo::{self, MountEntry};
use chain::sys::file::{At, Fd, MkdirAt, OpenAt};
use chain::sys::quietly;
use nix::errno::Errno;
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat, StatxFlags};
use std::ffi::OsStr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// How often a place that changes while it is looked at is looked at again.
pub const TRIES: usize = 128;

/// How to open without following or reading: `O_PATH|O_NOFOLLOW`. On a link
/// it gives the link itself, so the type must be looked at.
const LOOK: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// The root folder.
#[derive(Debug)]
pub struct Root {
    fd: OwnedFd,
    given: PathBuf,
    /// The ids of mounts of proc, sysfs and cgroups.
    kernel_mounts: Vec<u64>,
}

/// Something in the root to mount on.
#[derive(Debug)]
pub struct Place {
    /// It, opened with `O_PATH`.
    pub fd: OwnedFd,
    /// What it was when it was opened.
    pub stat: Stat,
    /// Its path from the root, for messages.
    pub name: PathBuf,
    /// Its whole path, for messages.
    pub path: PathBuf,
    /// Whether the path is the user's, whose links are followed in the root.
    pub users: bool,
}

impl Place {
    /// It, for a call.
    pub fn as_fd(&self) -> Fd<'_> {
        Fd { fd: self.fd.as_fd(), path: &self.path }
    }

    /// Its type.
    pub fn kind(&self) -> FileType {
        kind(&self.stat)
    }
}

/// The type of a file.
pub fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Opens `name` in `folder` without following it, and looks what it is.
///
/// # Errors
/// The kernel's reason.
pub fn look(folder: BorrowedFd<'_>, name: &OsStr) -> Result<(OwnedFd, Stat), Errno> {
    let fd = rustix::fs::openat(folder, name, LOOK, Mode::empty()).map_err(errno)?;
    let stat = rustix::fs::fstat(&fd).map_err(errno)?;
    Ok((fd, stat))
}

/// The id of the mount that `fd` is on (statx(2) since Linux 5.8, else
/// `/proc/self/fdinfo`). `None` where neither tells.
pub fn mount_id(fd: BorrowedFd<'_>) -> Option<u64> {
    if let Ok(about) = rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)
        && about.stx_mask & StatxFlags::MNT_ID.bits() != 0
    {
        return Some(about.stx_mnt_id);
    }
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).ok()?;
    text.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok())
}

/// Whether `fd` is on a file system of the kernel's: all that is left to go by
/// where no mount has a number.
fn is_kernel_fs(fd: BorrowedFd<'_>) -> bool {
    /// statfs(2).
    const SYSFS: rustix::fs::FsWord = 0x6265_6572;
    const CGROUP: [rustix::fs::FsWord; 2] = [0x0027_e0eb, 0x6367_7270];
    let number = rustix::fs::fstatfs(fd).map(|about| about.f_type);
    number.map_or(true, |it| it == rustix::fs::PROC_SUPER_MAGIC || it == SYSFS || CGROUP.contains(&it))
}

impl Root {
    /// Opens the folder that `--root` names. The caller's path is trusted:
    /// links in it are followed.
    ///
    /// # Errors
    /// It is empty, no folder, or this process's own root.
    pub fn open(given: &OsStr) -> Result<Self, Error> {
        if given.is_empty() {
            return Err(Error::refused("--root", Why::Empty));
        }
        let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, given, folder, Mode::empty()).at(format!("--root: {}", given.display()))?;
        let root = Self { fd, given: given.into(), kernel_mounts: Vec::new() };
        let slash = rustix::fs::openat(CWD, c"/", folder, Mode::empty()).at("/")?;
        if root.is(slash.as_fd())? {
            return Err(root.refused(Why::IsSlash));
        }
        Ok(root)
    }

    /// The root as its path leads there now: after it was covered, another
    /// mount of the same folder.
    ///
    /// # Errors
    /// The path leads elsewhere.
    pub fn again(&self) -> Result<Place, Error> {
        let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, &self.given, folder, Mode::empty()).at(&self.given)?;
        let stat = rustix::fs::fstat(&fd).at(&self.given)?;
        Ok(self.place((fd, stat), Path::new(""), false))
    }

    /// A refusal of the root as a whole.
    pub fn refused(&self, why: Why) -> Error {
        Error::refused(format!("--root: {}", self.given.display()), why)
    }

    /// The folder, for a call.
    pub fn as_fd(&self) -> Fd<'_> {
        Fd { fd: self.fd.as_fd(), path: &self.given }
    }

    /// Goes on with `fd` as the root: the same folder, on another mount.
    pub fn go_on_with(&mut self, fd: OwnedFd) {
        self.fd = fd;
    }

    /// Notes the mount at `name` as one in which nothing of the user's may be
    /// made or mounted (CVE-2019-16884).
    ///
    /// # Errors
    /// It is gone.
    pub fn keep_users_out(&mut self, name: &Path) -> Result<(), Error> {
        let found = self.find(name).map_err(|errno| Error::refused(name, Why::Errno(errno)))?;
        self.kernel_mounts.extend(mount_id(found.fd.as_fd()));
        Ok(())
    }

    /// Whether `fd` is on such a mount.
    pub fn keeps_users_out(&self, fd: BorrowedFd<'_>) -> bool {
        mount_id(fd).map_or_else(|| is_kernel_fs(fd), |id| self.kernel_mounts.contains(&id))
    }

    /// The path as given.
    pub fn given(&self) -> &Path {
        &self.given
    }

    /// Whether `other` is this very folder on this very mount.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn is(&self, other: BorrowedFd<'_>) -> Result<bool, Error> {
        let (a, b) = (rustix::fs::fstat(&self.fd).at(&self.given)?, rustix::fs::fstat(other).at(&self.given)?);
        let same_folder = (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino);
        Ok(same_folder && mount_id(self.fd.as_fd()) == mount_id(other))
    }

    /// Whether the working folder is this root or below it; also where that
    /// cannot be seen.
    pub fn holds_working_folder(&self) -> bool {
        let up = |folder: BorrowedFd<'_>, name| look(folder, OsStr::new(name)).ok();
        let Some(mut at) = up(CWD, ".") else { return true };
        loop {
            let Some(above) = up(at.0.as_fd(), "..") else { return true };
            if self.is(at.0.as_fd()).unwrap_or(true) {
                return true;
            }
            let same = (above.1.st_dev, above.1.st_ino) == (at.1.st_dev, at.1.st_ino);
            if same && mount_id(above.0.as_fd()) == mount_id(at.0.as_fd()) {
                return false;
            }
            at = above;
        }
    }

    /// Refuses a root whose mount, or one below it, is shared with other
    /// mount namespaces: the new mounts would appear there too.
    ///
    /// # Errors
    /// It is shared; `/proc` is not there to tell.
    pub fn refuse_shared(&self) -> Result<(), Error> {
        let mounts = mountinfo::read().map_err(|e| self.refused(e.into()))?;
        let id = mount_id(self.fd.as_fd()).ok_or_else(|| self.refused(Why::NoProc))?;
        let path =
            std::fs::read_link(format!("/proc/self/fd/{}", self.fd.as_raw_fd())).map_err(|e| self.refused(e.into()))?;
        let below = |mount: &&MountEntry| mount.id != id && mount.point.starts_with(&path);
        let own = mounts.iter().find(|mount| mount.id == id);
        match own.into_iter().chain(mounts.iter().filter(below)).find(|mount| mount.shared.is_some()) {
            Some(mount) => Err(self.refused(Why::Shared(mount.point.display().to_string()))),
            None => Ok(()),
        }
    }

    fn path(&self, name: &Path) -> PathBuf {
        // join("") would add a slash.
        if name.as_os_str().is_empty() { self.given.clone() } else { self.given.join(name) }
    }

    /// The `Place` for what was opened as `name`.
    pub fn place(&self, (fd, stat): (OwnedFd, Stat), name: &Path, users: bool) -> Place {
        Place { fd, stat, name: name.to_owned(), path: self.path(name), users }
    }

    /// What is at `name`, no link on the way followed; nothing is made.
    ///
    /// # Errors
    /// The kernel's reason; `ENOTDIR` for a link on the way, `ELOOP` never.
    pub fn find(&self, name: &Path) -> Result<Place, Errno> {
        let mut at = look(self.fd.as_fd(), OsStr::new("."))?;
        for component in name {
            at = look(at.0.as_fd(), component)?;
        }
        Ok(self.place(at, name, false))
    }

    /// The folder at `name`, made (0755) with those above where missing.
    ///
    /// # Errors
    /// Anything else is there, or it cannot be made.
    pub fn folder(&self, name: &Path) -> Result<Place, Error> {
        let mut at = look(self.fd.as_fd(), OsStr::new(".")).map_err(|e| Error::refused(name, Why::Errno(e)))?;
        let mut done = PathBuf::new();
        for component in name {
            let parent = self.path(&done);
            done.push(component);
            at = folder_in(Fd { fd: at.0.as_fd(), path: &parent }, component, &done)?;
        }
        Ok(self.place(at, name, false))
    }

    /// The folder that `name` is in (made where missing), and its last part.
    ///
    /// # Errors
    /// See [`Root::folder`].
    pub fn parent<'a>(&self, name: &'a Path) -> Result<(Place, &'a OsStr), Error> {
        let folder = self.folder(name.parent().unwrap_or(Path::new("")))?;
        Ok((folder, name.file_name().unwrap_or_default()))
    }

    /// What is at `name` to bind a device or file over: anything but a
    /// folder or a link; an empty file (0444) is made where it is missing. It
    /// is never opened but with `O_PATH`: a fifo would block, a device act.
    ///
    /// # Errors
    /// A folder or a link is there, or nothing can be made.
    pub fn node(&self, name: &Path) -> Result<Place, Error> {
        let (folder, last) = self.parent(name)?;
        let found = look_or_make(folder.as_fd(), last, name, || make_stub(folder.as_fd(), last))?;
        match kind(&found.1) {
            FileType::Directory => Err(Error::refused(name, Why::Directory)),
            FileType::Symlink => Err(Error::refused(name, Why::SymbolicLink)),
            _ => Ok(self.place(found, name, false)),
        }
    }
}

/// The folder `component` of `parent`, made where it is missing.
fn folder_in(parent: Fd<'_>, component: &OsStr, done: &Path) -> Result<(OwnedFd, Stat), Error> {
    let make_it = || {
        let why = "a file system needs a folder to be mounted on";
        quiet_exists(&MkdirAt { dir: At::In(parent), path: component, mode: 0o755, why })
    };
    let found = look_or_make(parent, component, done, make_it)?;
    match kind(&found.1) {
        FileType::Directory => Ok(found),
        FileType::Symlink => Err(Error::refused(done, Why::SymbolicLink)),
        _ => Err(Error::refused(done, Why::NotDirectory)),
    }
}

/// Opens `name` in `folder`; where it is missing calls `make_it` and looks
/// again, as somebody else may make or remove it at the same time.
fn look_or_make(
    folder: Fd<'_>,
    name: &OsStr,
    place: &Path,
    make_it: impl Fn() -> Result<(), SysError>,
) -> Result<(OwnedFd, Stat), Error> {
    for _ in 0..TRIES {
        match look(folder.fd, name) {
            Ok(found) => return Ok(found),
            Err(Errno::ENOENT) => make_it().at(place)?,
            Err(reason) => return Err(Error::refused(place, Why::Errno(reason))),
        }
    }
    Err(Error::refused(place, Why::KeepsChanging))
}

/// Makes an empty file to bind over. Read-only: a writable one would be a
/// plain file for a later container that binds nothing here.
///
/// # Errors
/// The kernel's reason; that it exists is none.
pub fn make_stub(folder: Fd<'_>, name: &OsStr) -> Result<(), SysError> {
    let flags = libc::O_RDONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
    let why = "a bind needs a file to be put over; O_EXCL follows no link";
    quiet_exists(&OpenAt { dir: At::In(folder), path: name, flags, mode: 0o444, why })
}

/// Makes `call`; that what it makes exists is no error.
///
/// # Errors
/// Those of the call.
pub fn quiet_exists<C: chain::sys::Call>(call: &C) -> Result<(), SysError> {
    match quietly(call) {
        Ok(_) | Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(refusal(call, errno)),
    }
}

/// The name of a descriptor for calls that take paths, `/proc/self/fd/N`, if
/// the outer `/proc` is one.
///
/// # Errors
/// There is no procfs.
pub fn magic(fd: BorrowedFd<'_>, place: &Path) -> Result<PathBuf, Error> {
    let folder = Path::new("/proc/self/fd");
    match rustix::fs::statfs(folder) {
        Ok(about) if about.f_type == rustix::fs::PROC_SUPER_MAGIC => Ok(folder.join(fd.as_raw_fd().to_string())),
        _ => Err(Error::refused(place, Why::NoProc)),
    }
}

/// The error of a call that was refused.
pub fn refusal<C: chain::sys::Call>(call: &C, errno: Errno) -> SysError {
    SysError { what: call.cannot(), errno, hint: call.hint(errno) }
}
