//! Folders: made at once, given their owner, mode and time at the end.

use super::Unpacker;
use super::file::{Attribute, made};
use super::tree::{self, Id, Missing, Record, error, open_folder};
use crate::tar::Entry;
use anyhow::bail;
use chain::sys;
use chain::sys::file::{Fd, MkdirAt};
use chain::sys::xattr::RemoveAttribute;
use nix::errno::Errno;
use nix::fcntl::{OFlag, readlinkat};
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;

/// The most bytes of access lists that may wait for the end: more than any
/// file system has, less than would hurt.
const MAX_WAITING: usize = 8 << 20;

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
        let call = |tree: &tree::Tree, slot| {
            let why = "a folder of the archive; who may enter it is set when everything is in it";
            let mode = mode & 0o777 | 0o700;
            made(&MkdirAt { dir: tree.at(slot), path: OsStr::from_bytes(name), mode, why })
        };
        match call(&self.tree, slot) {
            Ok(()) => return Ok(Some(self.tree.add(parent, name, true))),
            Err((Errno::EEXIST, _)) => {}
            Err((_, error)) => return Err(error.into()),
        }
        match self.tree.enter(slot, name) {
            Ok(_) => return Ok(Some(self.tree.add(parent, name, false))),
            Err(errno @ Errno::EXDEV) => {
                return Err(error("cannot enter", self.tree.path(parent).join(OsStr::from_bytes(name)), errno));
            }
            Err(_) => {}
        }
        if self.rules.keep_dirlinks && self.leads_to_folder(parent, name)? {
            return Ok(None);
        }
        self.remove(parent, name)?;
        let slot = self.tree.open(parent)?;
        call(&self.tree, slot).map_err(|(_, error)| error)?;
        Ok(Some(self.tree.add(parent, name, true)))
    }

    /// Whether `name` is a link that leads to a folder inside DIR.
    fn leads_to_folder(&mut self, parent: Id, name: &[u8]) -> anyhow::Result<bool> {
        let slot = self.tree.open(parent)?;
        if readlinkat(self.tree.fd(slot), name).is_err() {
            return Ok(false);
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
        let record = Record { mode: entry.mode, owner, mtime: Some(entry.mtime), lists };
        if let Some(old) = self.tree.node_mut(id).record.replace(record) {
            self.waiting -= weight(&old.lists);
        }
        Ok(())
    }

    /// Replaces the attributes of a folder; gives those that must wait.
    fn set_attributes(&mut self, id: Id, entry: &Entry) -> anyhow::Result<Vec<(Vec<u8>, Vec<u8>)>> {
        let slot = self.tree.open(id)?;
        let path = self.tree.path(id);
        let fd = open_folder(self.tree.fd(slot), b".", OFlag::O_RDONLY)
            .map_err(|errno| error("cannot open", &path, errno))?;
        let folder = Fd { fd: fd.as_fd(), path: &path };
        if self.tree.node(id).attributes {
            self.remove_attributes(folder)?;
        }
        let (lists, rest): (Vec<_>, Vec<_>) =
            entry.attributes.iter().partition(|(name, _)| name.starts_with(b"system.posix_acl_"));
        for (name, value) in rest {
            self.attribute(folder, name, value)?;
        }
        self.tree.node_mut(id).attributes = !entry.attributes.is_empty();
        let lists: Vec<(Vec<u8>, Vec<u8>)> = lists.into_iter().cloned().collect();
        self.waiting += weight(&lists);
        if self.waiting > MAX_WAITING {
            bail!("too many access lists of folders");
        }
        Ok(lists)
    }

    /// Removes the attributes that an older layer gave.
    fn remove_attributes(&mut self, folder: Fd<'_>) -> anyhow::Result<()> {
        let mut names = vec![0; 1 << 16];
        let Ok(length) = rustix::fs::flistxattr(folder.fd, &mut names) else { return Ok(()) };
        for name in names[..length].split(|b| *b == 0) {
            let ours = !name.is_empty() && Attribute::of(name, self.tree.privilege()) == Attribute::Set;
            if ours {
                sys::make(&RemoveAttribute { fd: folder, name: OsStr::from_bytes(name) })?;
            }
        }
        Ok(())
    }
}

fn weight(lists: &[(Vec<u8>, Vec<u8>)]) -> usize {
    lists.iter().map(|(name, value)| name.len() + value.len()).sum()
}
