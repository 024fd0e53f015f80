//! Regular files.

use super::tree::{Id, Tree, disinherit_file};
use super::writer::{self, Empty, Task};
use super::{Contents, Privilege, Unpacker};
use crate::tar::{Entry, Reader};
use anyhow::bail;
use chain::sys;
use chain::sys::durable::{SetLength, WriteAt};
use chain::sys::file::{Fd, OpenAt};
use chain::sys::inode::{Fchmod, Fchown, On, SetTime};
use chain::sys::xattr::SetAttribute;
use nix::errno::Errno;
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

const NEW: i32 = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;

/// The owner that the kernel gives; `None`: that is not known.
type Given = Option<(u32, u32)>;

/// What cannot be set here and was never promised.
const REFUSED_ATTRIBUTE: [Errno; 4] = [Errno::ENOTSUP, Errno::E2BIG, Errno::ENOSPC, Errno::EINVAL];

/// What is done with an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Attribute {
    /// It is set.
    Set,
    /// It means something else on this host.
    Skip,
    /// This user may not set it: counted.
    CannotKeep,
    /// A file capability that this user may not give: counted.
    CannotKeepCapability,
}

impl Attribute {
    pub(super) fn of(name: &[u8], privilege: &Privilege) -> Self {
        let begins = |begin: &str| name.starts_with(begin.as_bytes());
        let class = if begins("user.overlay.") || begins("trusted.overlay.") {
            return Self::Skip;
        } else if begins("user.") {
            return Self::Set;
        } else if name == b"security.capability" {
            Self::CannotKeepCapability
        } else if begins("trusted.") || begins("system.posix_acl_") {
            Self::CannotKeep
        } else {
            return Self::Skip;
        };
        match (privilege, class) {
            (Privilege::Root, _) => Self::Set,
            (Privilege::Namespace(..), class) if !begins("trusted.") => {
                let _ = class;
                Self::Set
            }
            (_, class) => class,
        }
    }
}

impl Unpacker {
    pub(super) fn file(
        &mut self,
        parent: Id,
        name: &[u8],
        entry: &Entry,
        contents: Contents<'_, '_>,
    ) -> anyhow::Result<()> {
        self.within_limit(entry)?;
        let owner = self.owner(entry)?;
        let (fd, given) = self.new_file(parent, name, entry.mode & 0o777)?;
        let owner = owner.filter(|owner| Some(*owner) != given);
        let file = Fd { fd: fd.as_fd(), path: Path::new(OsStr::from_bytes(&entry.path)) };
        match contents {
            Contents::Archive(reader) if self.aside && owner.is_none() && is_plain(entry) => {
                return self.data_aside(&Empty::new(fd, &entry.path), entry, reader);
            }
            Contents::Archive(reader) if entry.sparse.is_some() => self.holes(file, entry, reader)?,
            Contents::Archive(reader) => self.data(file, reader)?,
            Contents::Bytes(bytes) => self.write(file, bytes)?,
            Contents::Copy(from, path) => self.copy(file, Fd { fd: from.as_fd(), path }, entry.size)?,
        }
        self.dress(file, entry, owner)
    }

    fn within_limit(&self, entry: &Entry) -> anyhow::Result<()> {
        let stored = entry.sparse.as_ref().map_or(entry.size, |map| map.iter().map(|segment| segment.length).sum());
        match self.rules.max_size {
            Some(most) if stored > most.saturating_sub(self.written) => bail!("it exceeds --max-size, {most} bytes"),
            _ => Ok(()),
        }
    }

    /// Makes a file that was not there; gives the owner that it has, too, if
    /// that is known.
    pub(super) fn new_file(&mut self, parent: Id, name: &[u8], mode: u32) -> anyhow::Result<(OwnedFd, Given)> {
        let fd = self.in_place::<OpenAt<'_>>(parent, name, |tree: &Tree, slot| {
            let why = "a new file, never one that is there: that could be a link, a pipe, another name of something";
            let call = OpenAt { dir: tree.at(slot), path: OsStr::from_bytes(name), flags: NEW, mode, why };
            made(&call)
        })?;
        let slot = self.tree.open(parent)?;
        if self.tree.heritage(slot).list {
            disinherit_file(Fd { fd: fd.as_fd(), path: Path::new(OsStr::from_bytes(name)) }, mode)?;
        }
        Ok((fd, self.given(slot)))
    }

    /// The owner of what is made in `slot`.
    pub(super) fn given(&self, slot: usize) -> Given {
        self.tree.heritage(slot).gid.map(|gid| (self.own.0, gid))
    }

    fn data(&mut self, file: Fd<'_>, reader: &mut Reader<'_>) -> anyhow::Result<()> {
        loop {
            let bytes = reader.data()?;
            if bytes.is_empty() {
                return Ok(());
            }
            crate::interrupted()?;
            self.write(file, bytes)?;
        }
    }

    /// Has another thread write the contents and set the time.
    fn data_aside(&mut self, file: &Arc<Empty>, entry: &Entry, reader: &mut Reader<'_>) -> anyhow::Result<()> {
        loop {
            let piece = reader.piece()?;
            if piece.is_empty() {
                return self.writer.pass(Task::Stamp(Arc::clone(file), entry.mtime));
            }
            crate::interrupted()?;
            self.written += piece.len() as u64;
            self.writer.pass(Task::Write(Arc::clone(file), piece))?;
        }
    }

    /// Writes all of `bytes` where the file stands.
    pub(super) fn write(&mut self, file: Fd<'_>, bytes: &[u8]) -> anyhow::Result<()> {
        self.written += bytes.len() as u64;
        writer::write(file, bytes)
    }

    /// Writes what is there, where it belongs; the rest is holes.
    fn holes(&mut self, file: Fd<'_>, entry: &Entry, reader: &mut Reader<'_>) -> anyhow::Result<()> {
        let length = i64::try_from(entry.size).unwrap_or(i64::MAX);
        sys::make(&SetLength { fd: file, length })?;
        let mut segments = entry.sparse.iter().flatten().filter(|segment| segment.length > 0).copied();
        let mut current = segments.next();
        loop {
            let mut bytes = reader.data()?;
            if bytes.is_empty() {
                return Ok(());
            }
            crate::interrupted()?;
            self.written += bytes.len() as u64;
            while !bytes.is_empty() {
                let Some(segment) = &mut current else { bail!("its sparse map is too short") };
                let most = usize::try_from(segment.length).unwrap_or(usize::MAX).min(bytes.len());
                let offset = i64::try_from(segment.offset).unwrap_or(i64::MAX);
                let written = sys::make(&WriteAt { fd: file, bytes: &bytes[..most], offset })?;
                segment.offset += written as u64;
                segment.length -= written as u64;
                bytes = &bytes[written..];
                if segment.length == 0 {
                    current = segments.next();
                }
            }
        }
    }

    /// Owner, then mode, then attributes, then time: each of the first two
    /// takes away what comes after it.
    fn dress(&mut self, file: Fd<'_>, entry: &Entry, owner: Option<(u32, u32)>) -> anyhow::Result<()> {
        if let Some((uid, gid)) = owner {
            sys::make(&Fchown { fd: file, uid, gid })?;
        }
        let mode = self.kept_mode(entry.mode);
        if mode & 0o7000 != 0 {
            sys::make(&Fchmod { fd: file, mode })?;
        }
        if !entry.attributes.is_empty() {
            for (name, value) in &entry.attributes {
                self.attribute(file, name, value)?;
            }
        }
        sys::make(&SetTime { on: On::Open(file), time: entry.mtime })?;
        Ok(())
    }

    /// A set-user-ID file that is an ordinary user's would be one for
    /// everybody on the host.
    pub(super) fn kept_mode(&mut self, mode: u32) -> u32 {
        if *self.tree.privilege() == Privilege::User && mode & 0o6000 != 0 {
            self.notes.setuid += 1;
            return mode & !0o6000;
        }
        mode
    }

    /// Sets one attribute of an open file or folder.
    pub(super) fn attribute(&mut self, file: Fd<'_>, name: &[u8], value: &[u8]) -> anyhow::Result<()> {
        if !self.keeps(name) {
            return Ok(());
        }
        let name = OsStr::from_bytes(name);
        let call = SetAttribute { fd: file, name, value };
        match made(&call) {
            Ok(()) => Ok(()),
            Err((errno, error)) => self.attribute_refused(name, errno, error),
        }
    }

    /// Whether an attribute is to be set; counts those that cannot be kept.
    pub(super) fn keeps(&mut self, name: &[u8]) -> bool {
        match Attribute::of(name, self.tree.privilege()) {
            Attribute::Set => return true,
            Attribute::Skip => {}
            Attribute::CannotKeep => self.notes.attributes += 1,
            Attribute::CannotKeepCapability => self.notes.capabilities += 1,
        }
        false
    }

    /// An attribute that the file system cannot hold is a note, not a failure.
    pub(super) fn attribute_refused(
        &mut self,
        name: &OsStr,
        errno: Errno,
        error: chain::SysError,
    ) -> anyhow::Result<()> {
        let of_user = name.as_bytes().starts_with(b"user.");
        let soft = REFUSED_ATTRIBUTE.contains(&errno) && (errno != Errno::EINVAL || of_user);
        let of_namespace = matches!(self.tree.privilege(), Privilege::Namespace(..)) && errno == Errno::EPERM;
        // user.* is for files and folders only.
        if !(soft || of_namespace || (of_user && errno == Errno::EPERM)) {
            return Err(error.into());
        }
        *(if name == "security.capability" { &mut self.notes.capabilities } else { &mut self.notes.attributes }) += 1;
        Ok(())
    }
}

/// Whether nothing but contents and a time is to be given to a file that is
/// worth another thread.
fn is_plain(entry: &Entry) -> bool {
    entry.size >= writer::LARGE && entry.sparse.is_none() && entry.attributes.is_empty() && entry.mode & 0o7000 == 0
}

/// Makes `call`; an error comes with its number.
pub(super) fn made<C: sys::Call>(call: &C) -> Result<C::Out, (Errno, chain::SysError)> {
    sys::make(call).map_err(|error| (error.errno, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes() {
        let of = |name: &str| Attribute::of(name.as_bytes(), &Privilege::Root);
        assert_eq!(of("user.x"), Attribute::Set);
        assert_eq!(of("trusted.x"), Attribute::Set);
        assert_eq!(of("system.posix_acl_default"), Attribute::Set);
        for name in ["security.selinux", "security.ima", "trusted.overlay.opaque", "user.overlay.origin", "x"] {
            assert_eq!(of(name), Attribute::Skip, "{name}");
        }
        let user = |name: &str| Attribute::of(name.as_bytes(), &Privilege::User);
        assert_eq!(user("user.x"), Attribute::Set);
        assert_eq!(user("security.capability"), Attribute::CannotKeepCapability);
        assert_eq!(user("trusted.x"), Attribute::CannotKeep);
    }
}
