//! Binds: what of the host (or of the root) is shown at a place, and with
//! which flags. Sources are opened before the first mount, so that no step
//! changes what a later one binds.

use crate::error::{AtPlace, Error, Why, errno};
use crate::resolve::{Missing, resolve};
use crate::root::{Place, Root, kind, magic, mount_id, refusal};
use chain::SysError;
use chain::mountinfo;
use chain::sys::file::Fd;
use chain::sys::mount::Mount;
use chain::sys::mount::tree::{CloneTree, MountAttr, MountSetattr, MoveMount};
use chain::sys::quietly;
use nix::errno::Errno;
use rustix::fs::{CWD, FileType, Mode, OFlags, Stat, StatVfsMountFlags};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// What a bind shows.
#[derive(Debug)]
pub struct Source {
    fd: OwnedFd,
    /// A copy of its mount, attached nowhere; none before Linux 5.2.
    tree: Option<OwnedFd>,
    /// What it is.
    pub stat: Stat,
    path: PathBuf,
    recursive: bool,
}

/// The flags that a bind gets, and loses.
#[derive(Debug, Clone, Copy, Default)]
pub struct Change {
    /// To set.
    pub set: MountAttr,
    /// To clear.
    pub clear: MountAttr,
    /// On what is mounted below too.
    pub recursive: bool,
}

impl Change {
    fn is_nothing(self) -> bool {
        (self.set, self.clear) == (MountAttr::NONE, MountAttr::NONE)
    }
}

impl Source {
    /// Opens `path` of the host; links in it are followed.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn open(path: &Path) -> Result<Self, Errno> {
        let fd = rustix::fs::openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).map_err(errno)?;
        Self::from_fd(fd, path)
    }

    /// [`Source::open`], but the last component is not followed.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn open_itself(path: &Path) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Self::from_fd(rustix::fs::openat(CWD, path, flags, Mode::empty()).map_err(errno)?, path)
    }

    /// What `fd` is open on.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn from_fd(fd: OwnedFd, path: &Path) -> Result<Self, Errno> {
        let stat = rustix::fs::fstat(&fd).map_err(errno)?;
        Ok(Self { fd, tree: None, stat, path: path.to_owned(), recursive: false })
    }

    /// What it is.
    pub fn kind(&self) -> FileType {
        kind(&self.stat)
    }

    /// It, for a call.
    pub fn as_fd(&self) -> Fd<'_> {
        Fd { fd: self.fd.as_fd(), path: &self.path }
    }

    /// Makes a copy of its mount, where the kernel can: later changes of the
    /// path no longer matter.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn copy(&mut self, recursive: bool, place: &Path) -> Result<(), Error> {
        let why = "a bind is a second mount of the same files; this copy is attached nowhere yet";
        let call = CloneTree { of: self.as_fd(), recursive, why };
        let tree = match quietly(&call) {
            Ok(tree) => Some(tree),
            Err(reason) if is_missing(reason) => None,
            Err(errno) => Err(refusal(&call, errno)).at(place)?,
        };
        self.tree = tree;
        self.recursive = recursive;
        Ok(())
    }

    /// Whether devices on its mount can be opened.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn allows_devices(&self) -> rustix::io::Result<bool> {
        Ok(!rustix::fs::fstatvfs(&self.fd)?.f_flag.contains(StatVfsMountFlags::NODEV))
    }
}

/// Whether the kernel, or an old seccomp filter, does not know the call.
pub fn is_missing(reason: Errno) -> bool {
    reason == Errno::ENOSYS || reason == Errno::EPERM && chain::hint::status("Seccomp").as_deref() == Some("2")
}

/// Binds `source` on `place`, with `change` on its flags. Gives a descriptor
/// of the new mount's root.
///
/// # Errors
/// The kernel's reason.
pub fn bind(root: &Root, source: Source, place: &Place, change: Change) -> Result<OwnedFd, Error> {
    let Some(tree) = source.tree else {
        return bind_by_name(root, &source, place, change);
    };
    let mount = Fd { fd: tree.as_fd(), path: &source.path };
    let early = set_attr(mount, change, true, &place.name)?;
    let call = MoveMount { mount, target: place.as_fd() };
    match quietly(&call) {
        Ok(()) => {}
        Err(reason) if is_missing(reason) => {
            return bind_by_name(root, &Source { tree: None, ..source }, place, change);
        }
        Err(errno) => Err(refusal(&call, errno)).at(&place.name)?,
    }
    if !early {
        set_attr_late(mount, change, &place.name)?;
    }
    Ok(tree)
}

/// Sets the flags of the mount whose root is `mount`, and where it is the copy
/// of a shared one makes it a `slave`: what a later step, or COMMAND, mounts
/// on it does not appear outside. `false` where the kernel has no such call
/// (before Linux 5.12).
fn set_attr(mount: Fd<'_>, change: Change, slave: bool, place: &Path) -> Result<bool, Error> {
    let Change { set, clear, recursive } = change;
    if change.is_nothing() {
        return Ok(true);
    }
    let call = MountSetattr { mount, set, clear, slave, recursive };
    match quietly(&call) {
        Ok(()) => Ok(true),
        Err(reason) if is_missing(reason) => Ok(false),
        Err(Errno::EPERM) if clear.has(MountAttr::NODEV) => Err(Error::refused(place, Why::NoDev)),
        Err(errno) => Err(refusal(&call, errno)).at(place),
    }
}

/// Changes the flags of an attached mount, whichever call the kernel has.
///
/// # Errors
/// The kernel's reason.
pub fn change_flags(mount: Fd<'_>, change: Change, place: &Path) -> Result<(), Error> {
    if set_attr(mount, change, false, place)? { Ok(()) } else { remount(mount, change, place) }
}

/// Before Linux 5.12: what [`set_attr`] does, on a mount that is attached
/// already.
fn set_attr_late(mount: Fd<'_>, change: Change, place: &Path) -> Result<(), Error> {
    if change.is_nothing() {
        return Ok(());
    }
    let target = magic(mount.fd, place)?;
    let recursive = if change.recursive { libc::MS_REC } else { 0 };
    old_mount(
        &Mount {
            source: None,
            target: target.as_os_str(),
            fstype: None,
            flags: libc::MS_SLAVE | recursive,
            data: None,
            why: "what is mounted on it later does not appear outside, where the same files were mounted",
        },
        "cannot change the propagation of the mount".to_owned(),
        place,
    )?;
    remount(mount, change, place)
}

/// Before Linux 5.2: mount(2) with `MS_BIND`.
fn bind_by_name(root: &Root, source: &Source, place: &Place, change: Change) -> Result<OwnedFd, Error> {
    let from = magic(source.fd.as_fd(), &place.name)?;
    let to = magic(place.fd.as_fd(), &place.name)?;
    let recursive = if source.recursive { libc::MS_REC } else { 0 };
    old_mount(
        &Mount {
            source: Some(from.as_os_str()),
            target: to.as_os_str(),
            fstype: None,
            flags: libc::MS_BIND | recursive,
            data: None,
            why: "the place will show these files; by the name of its descriptor, so that no link is followed",
        },
        format!("cannot bind {}", source.path.display()),
        &place.name,
    )?;
    let again = reopen(root, place)?;
    let covered = mount_id(place.fd.as_fd()).is_some_and(|id| mount_id(again.fd.as_fd()) != Some(id));
    if !covered || (again.stat.st_dev, again.stat.st_ino) != (source.stat.st_dev, source.stat.st_ino) {
        return Err(Error::refused(&place.name, Why::NotThere));
    }
    set_attr_late(again.as_fd(), change, &place.name)?;
    Ok(again.fd)
}

/// Makes an old-style `mount`, whose own words would name a descriptor.
///
/// # Errors
/// The kernel's reason.
pub fn old_mount(call: &Mount<'_>, what: String, place: &Path) -> Result<(), Error> {
    let result = quietly(call).map_err(|errno| {
        let hint = call.fstype.map_or_else(|| chain::hint::mount(errno), |fstype| chain::hint::fresh(fstype, errno));
        SysError { what, errno, hint }
    });
    result.at(place)
}

/// Opens a place again after a mount: the descriptor from before still is
/// what the mount covers.
///
/// # Errors
/// It is gone.
pub fn reopen(root: &Root, place: &Place) -> Result<Place, Error> {
    if place.users {
        return resolve(root, place.name.as_os_str(), Missing::Refuse);
    }
    if place.name.as_os_str().is_empty() {
        return root.again();
    }
    root.find(&place.name).map_err(|errno| Error::refused(&place.name, Why::Errno(errno)))
}

/// Before Linux 5.12: `MS_REMOUNT|MS_BIND`, which clears every flag that it
/// is not given, so those that are there are read first; and one mount at a
/// time.
fn remount(mount: Fd<'_>, change: Change, place: &Path) -> Result<(), Error> {
    remount_one(mount.fd, change, place)?;
    if !change.recursive {
        return Ok(());
    }
    let top = mount_id(mount.fd).ok_or_else(|| Error::refused(place, Why::NoProc))?;
    let mounts = mountinfo::read().map_err(|e| Error::refused(place, e.into()))?;
    let mut family = vec![top];
    // A mount is listed after the one it is on.
    for entry in &mounts {
        if family.contains(&entry.parent) && !family.contains(&entry.id) {
            family.push(entry.id);
        }
    }
    for entry in mounts.iter().filter(|entry| entry.id != top && family.contains(&entry.id)) {
        let fd = walk_outer(&entry.point).map_err(|errno| Error::refused(&entry.point, Why::Errno(errno)))?;
        match mount_id(fd.as_fd()) {
            Some(id) if id == entry.id => remount_one(fd.as_fd(), change, &entry.point)?,
            // Another of the family covers it: nobody can reach it.
            Some(id) if family.contains(&id) => {}
            _ => return Err(Error::refused(&entry.point, Why::KeepsChanging)),
        }
    }
    Ok(())
}

/// Opens a mount point by its path in mountinfo, which has no links.
fn walk_outer(path: &Path) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut at = rustix::fs::openat(CWD, c"/", flags, Mode::empty()).map_err(errno)?;
    for component in path.strip_prefix("/").unwrap_or(path) {
        at = rustix::fs::openat(&at, component, flags, Mode::empty()).map_err(errno)?;
    }
    Ok(at)
}

fn remount_one(mount: BorrowedFd<'_>, change: Change, place: &Path) -> Result<(), Error> {
    let there = flags_of(mount).at(place)?;
    let target = magic(mount, place)?;
    let flags = there.without(change.clear).and(change.set).as_ms();
    let done = old_mount(
        &Mount {
            source: None,
            target: target.as_os_str(),
            fstype: None,
            flags: libc::MS_REMOUNT | libc::MS_BIND | flags,
            data: None,
            why: "flags belong to the mount; this call clears those that it is not given",
        },
        "cannot change the flags of the mount".to_owned(),
        place,
    );
    let cleared = there.has(MountAttr::NODEV) && change.clear.has(MountAttr::NODEV);
    match done {
        Err(Error::Step { source, .. }) if cleared && source.errno == Errno::EPERM => {
            Err(Error::refused(place, Why::NoDev))
        }
        done => done,
    }
}

/// statfs(2); rustix has no name for it. Linux 5.10.
const ST_NOSYMFOLLOW: StatVfsMountFlags = StatVfsMountFlags::from_bits_retain(0x2000);

/// The flags of the mount that `fd` is on.
fn flags_of(fd: BorrowedFd<'_>) -> rustix::io::Result<MountAttr> {
    let there = rustix::fs::fstatvfs(fd)?.f_flag;
    let mut attr = MountAttr::NONE;
    for (flag, bit) in [
        (StatVfsMountFlags::RDONLY, MountAttr::RDONLY),
        (StatVfsMountFlags::NOSUID, MountAttr::NOSUID),
        (StatVfsMountFlags::NODEV, MountAttr::NODEV),
        (StatVfsMountFlags::NOEXEC, MountAttr::NOEXEC),
        (ST_NOSYMFOLLOW, MountAttr::NOSYMFOLLOW),
    ] {
        if there.contains(flag) {
            attr = attr.and(bit);
        }
    }
    Ok(attr)
}
