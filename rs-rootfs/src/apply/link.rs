//! Links of both kinds, device nodes, pipes.

use super::file::made;
use super::name::{MAX_NAME, Shown, parts};
use super::tree::{self, Id, Missing};
use super::{Privilege, Unpacker};
use crate::tar::{Entry, Kind};
use anyhow::{Context, bail};
use chain::sys;
use chain::sys::file::{At, FchownAt, Fd, SymlinkAt};
use chain::sys::inode::{LinkAt, MknodAt, On, SetTime};
use chain::sys::xattr::{AFTER_OWNER, SetXattr};
use nix::errno::Errno;
use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Refuses a hard link that is below its own target, before a folder is made
/// of that.
pub(super) fn refuse_below(entry: &Entry) -> anyhow::Result<()> {
    let target = || format!("its target {}", Shown(&entry.link));
    let (path, link) = (parts(&entry.path)?, parts(&entry.link).with_context(target)?);
    if !link.is_empty() && path.len() > link.len() && path.starts_with(&link) {
        bail!("{} is above it", target());
    }
    Ok(())
}

impl Unpacker {
    /// A symbolic link; its text is kept byte for byte, wherever it leads.
    pub(super) fn link(&mut self, parent: Id, name: &[u8], entry: &Entry) -> anyhow::Result<()> {
        if entry.link.is_empty() || entry.link.len() > MAX_NAME {
            bail!("a link text of {} bytes", entry.link.len());
        }
        let owner = self.owner(entry)?;
        self.in_place::<SymlinkAt<'_>>(parent, name, |tree, slot| {
            let (target, path) = (OsStr::from_bytes(&entry.link), OsStr::from_bytes(name));
            made(&SymlinkAt { target, dir: tree.at(slot), path, why: "a link is a text; nobody follows it here" })
        })?;
        self.dress_name(parent, name, entry, owner, None)
    }

    /// Another name for a file that an earlier entry made, or a lower layer.
    pub(super) fn hard_link(&mut self, parent: Id, name: &[u8], entry: &Entry) -> anyhow::Result<()> {
        let target = || format!("its target {}", Shown(&entry.link));
        let all = parts(&entry.link).with_context(target)?;
        let Some((old, above)) = all.split_last() else { bail!("{} is a folder", target()) };
        let from = self.tree.walk(above, Missing::Tell)?.ok_or_else(|| tree::missing(&target()))?;
        if from == parent && *old == name {
            let slot = self.tree.open(parent)?;
            return match tree::stat(self.tree.fd(slot), name) {
                Ok(about) if about.st_mode & libc::S_IFMT == libc::S_IFDIR => bail!("{} is a folder", target()),
                Ok(_) => Ok(()),
                Err(_) => Err(tree::missing(&target())),
            };
        }
        if self.tree.child(parent, name).is_some_and(|folder| self.tree.is_within(from, folder)) {
            bail!("{} is below itself", target());
        }
        let slot = self.tree.open(from)?;
        let fd = self.tree.fd(slot).try_clone().map_err(|error| anyhow::anyhow!("{}", crate::reason(&error)))?;
        match tree::stat(&fd, old) {
            Ok(about) if about.st_mode & libc::S_IFMT == libc::S_IFDIR => bail!("{} is a folder", target()),
            Ok(_) => {}
            Err(_) => return Err(tree::missing(&target())),
        }
        let path = self.tree.path(from);
        self.in_place::<LinkAt<'_>>(parent, name, |tree, slot| {
            let from = At::In(Fd { fd: fd.as_fd(), path: &path });
            made(&LinkAt { from, old: OsStr::from_bytes(old), to: tree.at(slot), new: OsStr::from_bytes(name) })
        })
    }

    /// A device node or a pipe. Without the privilege a device is an empty
    /// file, on which one can be bound later.
    pub(super) fn node(&mut self, parent: Id, name: &[u8], entry: &Entry) -> anyhow::Result<()> {
        let kind = match entry.kind {
            Kind::Char => libc::S_IFCHR,
            Kind::Block => libc::S_IFBLK,
            _ => libc::S_IFIFO,
        };
        let owner = self.owner(entry)?;
        let mode = self.kept_mode(entry.mode);
        // 0:0 is no device but overlayfs's whiteout: everybody may make it.
        let may = *self.tree.privilege() == Privilege::Root || entry.kind == Kind::Pipe || entry.device == (0, 0);
        let is_made = may && self.make_node(parent, name, kind | mode & 0o777, entry)?;
        if !is_made {
            self.notes.devices += 1;
            self.new_file(parent, name, mode & 0o777)?;
        }
        self.dress_name(parent, name, entry, owner, (mode & 0o7000 != 0).then_some(mode))
    }

    /// False where the kernel does not let us, whoever we are.
    fn make_node(&mut self, parent: Id, name: &[u8], mode: u32, entry: &Entry) -> anyhow::Result<bool> {
        let refused = std::cell::Cell::new(false);
        let result = self.in_place::<MknodAt<'_>>(parent, name, |tree, slot| {
            let path = OsStr::from_bytes(name);
            let result = made(&MknodAt { dir: tree.at(slot), path, mode, device: entry.device });
            refused.set(matches!(result, Err((Errno::EPERM, _))));
            result
        });
        if refused.get() && entry.kind != Kind::Pipe {
            return Ok(false);
        }
        result?;
        let slot = self.tree.open(parent)?;
        self.tree.disinherit(slot, name, mode & 0o777)?;
        Ok(true)
    }

    /// What [`dress`](Self::dress) does, for what is not opened.
    fn dress_name(
        &mut self,
        parent: Id,
        name: &[u8],
        entry: &Entry,
        owner: Option<(u32, u32)>,
        mode: Option<u32>,
    ) -> anyhow::Result<()> {
        let slot = self.tree.open(parent)?;
        let (dir, path) = (self.tree.at(slot), OsStr::from_bytes(name));
        if let Some((uid, gid)) = owner.filter(|owner| Some(*owner) != self.given(slot)) {
            let why = "the archive says whose it is, by number: names mean other ids on other machines";
            sys::make(&FchownAt { dir, path, uid, gid, flags: libc::AT_SYMLINK_NOFOLLOW, why })?;
        }
        if let Some(mode) = mode {
            let why = "after the owner, as a change of owner takes the set-user-ID bit away";
            self.tree.set_mode(slot, name, mode, why)?;
        }
        if !entry.attributes.is_empty() {
            self.name_attributes(parent, name, entry)?;
        }
        let slot = self.tree.open(parent)?;
        sys::make(&SetTime { on: On::Name(self.tree.at(slot), path), time: entry.mtime })?;
        Ok(())
    }

    fn name_attributes(&mut self, parent: Id, name: &[u8], entry: &Entry) -> anyhow::Result<()> {
        let slot = self.tree.open(parent)?;
        let mut path = OsString::from(format!("/proc/self/fd/{}", self.tree.fd(slot).as_raw_fd()));
        path = Path::new(&path).join(OsStr::from_bytes(name)).into_os_string();
        for (name, value) in &entry.attributes {
            if !self.keeps(name) {
                continue;
            }
            let with_end = CString::new(name.as_slice())?;
            let call = SetXattr { path: &path, name: &with_end, value, why: AFTER_OWNER };
            if let Err((errno, error)) = made(&call) {
                self.attribute_refused(OsStr::from_bytes(name), errno, error)?;
            }
        }
        Ok(())
    }
}
