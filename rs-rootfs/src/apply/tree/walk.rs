//! From a name to the folder that it leads to, part by part.

use super::{Id, ROOT, Record, Tree, error};
use anyhow::bail;
use chain::sys;
use chain::sys::file::{FchownAt, MkdirAt, UnlinkAt};
use nix::errno::Errno;
use nix::fcntl::readlinkat;
use nix::sys::stat::FileStat;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// How many links may be followed in one name (path_resolution(7)).
const MAX_LINKS: u32 = 40;

/// What is to be done where a part of a name is no folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::apply) enum Missing {
    /// Make it one.
    Make,
    /// Say so.
    Tell,
}

/// What a part of a name leads to.
enum Step {
    Folder(Id),
    Link(Vec<u8>),
    Missing,
}

impl Tree {
    /// Walks `parts` from DIR. Links are followed as in a chroot of DIR.
    /// `None` where a part is missing and is not to be made.
    pub(in crate::apply) fn walk(&mut self, parts: &[&[u8]], missing: Missing) -> anyhow::Result<Option<Id>> {
        let (mut here, mut links) = (ROOT, 0);
        // What is left of links, the next part last.
        let mut pending: Vec<Vec<u8>> = Vec::new();
        let mut rest = parts.iter();
        loop {
            let from_link = pending.pop();
            let name = match (&from_link, rest.len()) {
                (Some(name), _) => name.as_slice(),
                (None, 0) => return Ok(Some(here)),
                (None, _) => rest.next().copied().unwrap_or_default(),
            };
            if name == b".." {
                here = self.node(here).parent;
                continue;
            }
            match self.step(here, name, missing)? {
                Step::Folder(id) => here = id,
                Step::Missing => return Ok(None),
                Step::Link(text) => {
                    links += 1;
                    if links > MAX_LINKS {
                        bail!("too many levels of symbolic links");
                    }
                    if text.starts_with(b"/") {
                        here = ROOT;
                    }
                    let parts = text.split(|b| *b == b'/').rev().filter(|part| !matches!(*part, b"" | b"."));
                    pending.extend(parts.map(<[u8]>::to_vec));
                }
            }
        }
    }

    /// From the folder `here` to what is called `name` in it.
    fn step(&mut self, here: Id, name: &[u8], missing: Missing) -> anyhow::Result<Step> {
        if let Some(id) = self.child(here, name) {
            return Ok(Step::Folder(id));
        }
        let slot = self.open(here)?;
        let refused = match self.enter(slot, name) {
            Ok((fd, about)) => return self.found(here, slot, name, fd, &about).map(Step::Folder),
            Err(errno) => errno,
        };
        if matches!(refused, Errno::ELOOP | Errno::ENOTDIR)
            && let Ok(text) = readlinkat(&self.open[slot].fd, name)
        {
            return Ok(Step::Link(text.into_vec()));
        }
        match (refused, missing) {
            (Errno::ENOENT | Errno::ENOTDIR, Missing::Tell) => return Ok(Step::Missing),
            (Errno::ENOENT, Missing::Make) => {}
            (Errno::ENOTDIR, Missing::Make) => {
                let why = "a folder belongs where this file stands";
                sys::make(&UnlinkAt { dir: self.at(slot), path: OsStr::from_bytes(name), flags: 0, why })?;
            }
            (errno, _) => {
                return Err(error("cannot enter", self.open[slot].path.join(OsStr::from_bytes(name)), errno));
            }
        }
        self.make(here, slot, name).map(Step::Folder)
    }

    /// Keeps a folder that was there before. One that would have locked us
    /// out gets its mode back at the end.
    pub(in crate::apply) fn found(
        &mut self,
        parent: Id,
        slot: usize,
        name: &[u8],
        fd: OwnedFd,
        about: &FileStat,
    ) -> anyhow::Result<Id> {
        let path = self.open[slot].path.join(OsStr::from_bytes(name));
        let id = self.add(parent, name, false);
        if self.locks_out(about) {
            self.remember(id, about);
            self.record_if_none(id, Record::new(about.st_mode, None, None));
        }
        self.attach(id, fd, path, about)?;
        Ok(id)
    }

    /// Makes the missing folder `name`: 0755, root's.
    fn make(&mut self, parent: Id, slot: usize, name: &[u8]) -> anyhow::Result<Id> {
        let path = OsStr::from_bytes(name);
        let why = "the archive has no entry for this folder, only for what is in it";
        sys::make(&MkdirAt { dir: self.at(slot), path, mode: 0o755, why })?;
        let id = self.made(parent, slot, name, 0o755)?;
        let given = self.heritage(slot).gid;
        let owner = self.privilege.owner(0, 0).ok().flatten();
        if let Some((uid, gid)) = owner.filter(|(_, root)| Some(*root) != given) {
            let (dir, flags) = (self.at(slot), libc::AT_SYMLINK_NOFOLLOW);
            let why = "it is root's, not of the group of the folder it is in";
            sys::make(&FchownAt { dir, path, uid, gid, flags, why })?;
        }
        Ok(id)
    }
}
