//! Folders: made at once, given their owner, mode and time at the end.

use super::Unpacker;
use super::file::{Attribute, made};
use super::tree::{self, Attributes, Id, Missing, Record, error, open_folder};
use crate::tar::Entry;
use chain::sys;
use chain::sys::file::{Fd, MkdirAt};
use chain::sys::xattr::RemoveAttribute;
use nix::errno::Errno;
use nix::fcntl::{OFlag, readlinkat};
use nix::sys::stat::fstat;
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

/// No value of an attribute and no list of their names is longer
/// (`XATTR_SIZE_MAX`, `XATTR_LIST_MAX`).
const MAX_ATTRIBUTE: usize = 1 << 16;

impl Unpacker {
    pub(super) fn folder(&mut self, parent: Id, name: &[u8], entry: &Entry) -> anyhow::Result<()> {
        let id = match self.tree.child(parent, name) {
            Some(known) => known,
            None => match self.new_folder(parent, name, entry.mode)? {
                Some(id) => id,
                None => return Ok(()),
            },
        };
        self.tree.touch(id, self.layer);
        self.describe(id, entry)
    }

    /// Makes a folder, or finds it; `None` where a link that leads to one is
    /// to stay. Nothing locks us out until the end.
    fn new_folder(&mut self, parent: Id, name: &[u8], mode: u32) -> anyhow::Result<Option<Id>> {
        let slot = self.tree.open(parent)?;
        let mode = mode & 0o777 | 0o700;
        let call = |tree: &tree::Tree, slot| {
            let why = "a folder of the archive; who may enter it is set when everything is in it";
            made(&MkdirAt { dir: tree.at(slot), path: OsStr::from_bytes(name), mode, why })
        };
        match call(&self.tree, slot) {
            Ok(()) => return self.tree.made(parent, slot, name, mode).map(Some),
            Err((Errno::EEXIST, _)) => {}
            Err((_, error)) => return Err(error.into()),
        }
        match self.tree.enter(slot, name) {
            Ok((fd, about)) => return self.tree.found(parent, slot, name, fd, &about).map(Some),
            // Something else has the name.
            Err(Errno::ENOTDIR | Errno::ELOOP) => {}
            Err(errno) => {
                return Err(error("cannot enter", self.tree.path(parent).join(OsStr::from_bytes(name)), errno));
            }
        }
        if self.rules.keep_dirlinks && self.leads_to_folder(parent, name)? {
            return Ok(None);
        }
        self.remove(parent, name)?;
        let slot = self.tree.open(parent)?;
        call(&self.tree, slot).map_err(|(_, error)| error)?;
        self.tree.made(parent, slot, name, mode).map(Some)
    }

    /// Whether `name` is a link that leads to a folder inside DIR.
    fn leads_to_folder(&mut self, parent: Id, name: &[u8]) -> anyhow::Result<bool> {
        let slot = self.tree.open(parent)?;
        match readlinkat(self.tree.fd(slot), name) {
            Ok(_) => {}
            Err(Errno::EINVAL) => return Ok(false),
            Err(errno) => {
                return Err(error("cannot read", self.tree.path(parent).join(OsStr::from_bytes(name)), errno));
            }
        }
        let mut above = Vec::new();
        let mut id = parent;
        while id != tree::ROOT {
            above.push(self.tree.node(id).name.clone());
            id = self.tree.node(id).parent;
        }
        let mut parts: Vec<&[u8]> = above.iter().rev().map(|part| &**part).collect();
        parts.push(name);
        Ok(self.tree.walk(&parts, Missing::Tell)?.is_some())
    }

    /// Notes what `entry` says of the folder `id`; its attributes are set now,
    /// as nothing made in it depends on them.
    pub(super) fn describe(&mut self, id: Id, entry: &Entry) -> anyhow::Result<()> {
        let owner = self.owner(entry)?;
        let mut lists = Vec::new();
        if self.tree.node(id).attributes || !entry.attributes.is_empty() {
            lists = self.set_attributes(id, entry)?;
        }
        self.tree.record(id, Record::new(entry.mode, owner, Some(entry.mtime)), lists)
    }

    /// Replaces the attributes of a folder; gives those that must wait.
    fn set_attributes(&mut self, id: Id, entry: &Entry) -> anyhow::Result<Attributes> {
        let slot = self.tree.open(id)?;
        let path = self.tree.path(id);
        let fd = open_folder(self.tree.fd(slot), b".", OFlag::O_RDONLY)
            .map_err(|errno| error("cannot open", &path, errno))?;
        let folder = Fd { fd: fd.as_fd(), path: &path };
        if self.tree.node(id).attributes {
            self.remember_attributes(id, folder)?;
            self.remove_attributes(folder)?;
        }
        let (lists, rest): (Vec<_>, Vec<_>) =
            entry.attributes.iter().partition(|(name, _)| name.starts_with(b"system.posix_acl_"));
        for (name, value) in rest {
            self.attribute(folder, name, value)?;
        }
        self.tree.node_mut(id).attributes = !entry.attributes.is_empty();
        Ok(lists.into_iter().cloned().collect())
    }

    /// A folder that was there, and is about to be changed, gets them and all
    /// else back if this run fails.
    fn remember_attributes(&mut self, id: Id, folder: Fd<'_>) -> anyhow::Result<()> {
        if self.tree.node(id).made {
            return Ok(());
        }
        let about = fstat(folder.fd).map_err(|errno| error("cannot look at", folder.path, errno))?;
        self.tree.remember(id, &about);
        let mut value = vec![0; MAX_ATTRIBUTE];
        let read = |name: Vec<u8>| {
            let length = rustix::fs::fgetxattr(folder.fd, &name, &mut value)?;
            Ok((name, value[..length].to_vec()))
        };
        let attributes: rustix::io::Result<_> = self.attributes(folder)?.into_iter().map(read).collect();
        let attributes =
            attributes.map_err(|errno| error("cannot read the attributes of", folder.path, number(errno)))?;
        self.tree.remember_attributes(id, attributes);
        Ok(())
    }

    /// The names of those attributes that an archive could give.
    fn attributes(&self, folder: Fd<'_>) -> anyhow::Result<Vec<Vec<u8>>> {
        let mut names = vec![0; MAX_ATTRIBUTE];
        let length = match rustix::fs::flistxattr(folder.fd, &mut names) {
            Ok(length) => length,
            Err(rustix::io::Errno::NOTSUP) => 0,
            Err(errno) => return Err(error("cannot read the attributes of", folder.path, number(errno))),
        };
        let ours = |name: &&[u8]| !name.is_empty() && Attribute::of(name, self.tree.privilege()) == Attribute::Set;
        Ok(names[..length].split(|b| *b == 0).filter(ours).map(<[u8]>::to_vec).collect())
    }

    /// Removes the attributes that an older layer gave.
    pub(super) fn remove_attributes(&mut self, folder: Fd<'_>) -> anyhow::Result<()> {
        for name in self.attributes(folder)? {
            sys::make(&RemoveAttribute { fd: folder, name: OsStr::from_bytes(&name) })?;
        }
        Ok(())
    }
}

fn number(errno: rustix::io::Errno) -> Errno {
    Errno::from_raw(errno.raw_os_error())
}
