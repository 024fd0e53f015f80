//! The folders below DIR that are known, and their descriptors.
//!
//! A name is walked part by part, each opened below the one before, so that
//! nothing can lead out of DIR and no path is looked up twice. What was found
//! to be a folder stays known until this process removes it; about two
//! hundred of them stay open.

mod before;
mod inherit;
mod record;
mod walk;

pub(super) use before::Before;
pub(super) use inherit::{Heritage, disinherit_file};
pub(crate) use inherit::{has_default_list, take_lists};
pub(super) use record::{Attributes, Record};
pub(super) use walk::Missing;

use super::ids::Privilege;
use anyhow::ensure;
use chain::sys::file::{At, FchmodAt, Fd};
use chain::{SysError, sys};
use hashbrown::HashTable;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, OpenHow, ResolveFlag, openat, openat2};
use nix::sys::stat::{FileStat, Mode, fstat};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::hash::{BuildHasher, RandomState};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A known folder: its place in [`Tree`].
pub(super) type Id = u32;
/// DIR itself.
pub(super) const ROOT: Id = 0;
/// How many folders stay open.
const OPEN: usize = 200;
/// The longest path of one; a name can have 4095 bytes.
const MAX_PATH: usize = 64 << 10;
/// No descriptor.
const CLOSED: u16 = u16::MAX;

/// What is known of a folder.
pub(super) struct Node {
    pub(super) parent: Id,
    pub(super) name: Box<[u8]>,
    /// Never given twice, unlike ids; higher than that of the folder around.
    pub(super) serial: u64,
    /// The last layer that made it or something below it.
    pub(super) touched: u32,
    /// Made in this run, not found.
    pub(super) made: bool,
    /// Has, or may have, extended attributes.
    pub(super) attributes: bool,
    /// Its place among the open ones.
    slot: u16,
    /// What it is to be given at the end.
    record: Option<Record>,
}

/// An open folder.
struct Open {
    fd: OwnedFd,
    path: PathBuf,
    heritage: Heritage,
    node: Id,
    used: u64,
}

/// See the module.
pub(super) struct Tree {
    nodes: Vec<Node>,
    free: Vec<Id>,
    table: HashTable<Id>,
    hasher: RandomState,
    open: Vec<Open>,
    capacity: usize,
    clock: u64,
    serial: u64,
    device: u64,
    /// Our own group.
    gid: u32,
    privilege: Privilege,
    /// Access lists that wait for the end: a default one would change the
    /// modes of what is made.
    lists: HashMap<Id, Attributes>,
    /// How many bytes those are.
    waiting: usize,
    before: HashMap<Id, Before>,
}

impl Tree {
    /// The tree below `root`, an open folder whose path is `path`.
    pub(super) fn new(root: OwnedFd, path: &Path, privilege: Privilege) -> anyhow::Result<Self> {
        let about = fstat(&root).map_err(|errno| error("cannot look at", path, errno))?;
        let limit = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE);
        let limit = limit.map_or(OPEN, |(soft, _)| usize::try_from(soft / 2).unwrap_or(OPEN));
        let mut tree = Self {
            nodes: Vec::new(),
            free: Vec::new(),
            table: HashTable::new(),
            hasher: RandomState::new(),
            open: Vec::new(),
            capacity: limit.clamp(4, OPEN),
            clock: 0,
            serial: 0,
            device: about.st_dev,
            gid: nix::unistd::getegid().as_raw(),
            privilege,
            lists: HashMap::new(),
            waiting: 0,
            before: HashMap::new(),
        };
        tree.add(ROOT, b"", false);
        tree.attach(ROOT, root, path.to_owned(), &about)?;
        tree.remember(ROOT, &about);
        tree.unlock_root(&about);
        Ok(tree)
    }

    pub(super) fn privilege(&self) -> &Privilege {
        &self.privilege
    }

    pub(super) fn node(&self, id: Id) -> &Node {
        &self.nodes[id as usize]
    }

    pub(super) fn node_mut(&mut self, id: Id) -> &mut Node {
        &mut self.nodes[id as usize]
    }

    /// The folder `name` in `parent`, if it is known.
    pub(super) fn child(&self, parent: Id, name: &[u8]) -> Option<Id> {
        self.table.find(self.hash(parent, name), |id| self.is(*id, parent, name)).copied()
    }

    fn is(&self, id: Id, parent: Id, name: &[u8]) -> bool {
        let node = self.node(id);
        node.parent == parent && *node.name == *name
    }

    fn hash(&self, parent: Id, name: &[u8]) -> u64 {
        self.hasher.hash_one((parent, name))
    }

    /// From now on `name` in `parent` is known to be a folder.
    pub(super) fn add(&mut self, parent: Id, name: &[u8], made: bool) -> Id {
        self.serial += 1;
        let node = Node {
            parent,
            name: name.into(),
            serial: self.serial,
            touched: 0,
            made,
            attributes: !made,
            slot: CLOSED,
            record: None,
        };
        let id = if let Some(id) = self.free.pop() {
            self.nodes[id as usize] = node;
            id
        } else {
            self.nodes.push(node);
            // A node takes more than a hundred bytes: memory ends first.
            Id::try_from(self.nodes.len() - 1).unwrap_or(Id::MAX)
        };
        if id != ROOT {
            let hash = self.hash(parent, name);
            let (nodes, hasher) = (&self.nodes, &self.hasher);
            self.table.insert_unique(hash, id, |id| {
                let node = &nodes[*id as usize];
                hasher.hash_one((node.parent, &*node.name))
            });
        }
        id
    }

    /// The folder `id` is no more; all that was known below it was forgotten
    /// before.
    pub(super) fn forget(&mut self, id: Id) {
        let hash = self.hash(self.node(id).parent, &self.node(id).name);
        if let Ok(entry) = self.table.find_entry(hash, |other| *other == id) {
            entry.remove();
        }
        let slot = std::mem::replace(&mut self.node_mut(id).slot, CLOSED);
        if slot != CLOSED {
            self.close(slot.into());
        }
        self.take_record(id);
        self.before.remove(&id);
        let node = self.node_mut(id);
        (node.serial, node.name) = (0, Box::default());
        self.free.push(id);
    }

    fn close(&mut self, slot: usize) {
        self.open.swap_remove(slot);
        if let Some(moved) = self.open.get(slot) {
            let id = moved.node;
            self.node_mut(id).slot = u16::try_from(slot).unwrap_or(CLOSED);
        }
    }

    /// Keeps `fd` as that of `id`; closes the one used longest ago if there
    /// are too many.
    ///
    /// # Errors
    /// Links upon links led so deep that the paths alone would fill the memory.
    fn attach(&mut self, id: Id, fd: OwnedFd, path: PathBuf, about: &FileStat) -> anyhow::Result<()> {
        ensure!(path.as_os_str().len() <= MAX_PATH, "a folder that is too deep below DIR");
        if self.open.len() >= self.capacity {
            let oldest = (1..self.open.len()).min_by_key(|slot| self.open[*slot].used);
            if let Some(slot) = oldest {
                let node = self.open[slot].node;
                self.node_mut(node).slot = CLOSED;
                self.close(slot);
            }
        }
        let heritage = self.heritage_of(id, &fd, about);
        self.clock += 1;
        self.node_mut(id).slot = u16::try_from(self.open.len()).unwrap_or(CLOSED);
        self.open.push(Open { fd, path, heritage, node: id, used: self.clock });
        Ok(())
    }

    /// Closes all but DIR: what comes now needs descriptors of its own.
    pub(super) fn shut(&mut self) {
        while let Some(open) = self.open.get(1) {
            let id = open.node;
            self.node_mut(id).slot = CLOSED;
            self.close(1);
        }
    }

    /// Opens `id`, and what is needed above it; gives its place for
    /// [`at`](Self::at).
    pub(super) fn open(&mut self, id: Id) -> anyhow::Result<usize> {
        self.clock += 1;
        if self.node(id).slot == CLOSED {
            let mut above = vec![id];
            while self.node(self.node(above[above.len() - 1]).parent).slot == CLOSED {
                above.push(self.node(above[above.len() - 1]).parent);
            }
            for id in above.into_iter().rev() {
                let (parent, name) = (self.node(id).parent, self.node(id).name.clone());
                let slot = self.node(parent).slot.into();
                let (fd, about) = self.enter(slot, &name).map_err(|errno| {
                    error("cannot enter", self.open[slot].path.join(OsStr::from_bytes(&name)), errno)
                })?;
                let path = self.open[slot].path.join(OsStr::from_bytes(&name));
                self.attach(id, fd, path, &about)?;
            }
        }
        let slot = usize::from(self.node(id).slot);
        self.open[slot].used = self.clock;
        Ok(slot)
    }

    /// The open folder in `slot`.
    pub(super) fn at(&self, slot: usize) -> At<'_> {
        let open = &self.open[slot];
        At::In(Fd { fd: open.fd.as_fd(), path: &open.path })
    }

    /// Its descriptor.
    pub(super) fn fd(&self, slot: usize) -> &OwnedFd {
        &self.open[slot].fd
    }

    /// What it hands down to what is made in it.
    pub(super) fn heritage(&self, slot: usize) -> Heritage {
        self.open[slot].heritage
    }

    /// Opens the folder `name` in the open one: no link, no other mount.
    pub(super) fn enter(&self, slot: usize, name: &[u8]) -> Result<(OwnedFd, FileStat), Errno> {
        let fd = open_folder(&self.open[slot].fd, name, OFlag::O_PATH)?;
        let about = fstat(&fd)?;
        if about.st_dev != self.device {
            return Err(Errno::EXDEV);
        }
        self.unlock(slot, name, &about);
        Ok((fd, about))
    }

    /// As an ordinary user a folder that was there before may lock us out:
    /// it does not until the end.
    fn unlock(&self, slot: usize, name: &[u8], about: &FileStat) {
        if self.locks_out(about) {
            let mode = about.st_mode & 0o7777;
            let (dir, path) = (self.at(slot), OsStr::from_bytes(name));
            let _ = sys::quietly(&FchmodAt { dir, path, mode: mode | 0o700, why: "to get in until it is done" });
        }
    }

    fn locks_out(&self, about: &FileStat) -> bool {
        self.privilege == Privilege::User && about.st_mode & 0o700 != 0o700
    }

    /// Notes that layer `layer` made something in `id`.
    pub(super) fn touch(&mut self, mut id: Id, layer: u32) {
        while self.node(id).touched != layer {
            self.node_mut(id).touched = layer;
            id = self.node(id).parent;
        }
    }

    /// Whether `id` is `folder`, or somewhere below it.
    pub(super) fn is_within(&self, mut id: Id, folder: Id) -> bool {
        while id != folder && id != ROOT {
            id = self.node(id).parent;
        }
        id == folder
    }

    /// The path of `id` below DIR, for messages.
    pub(super) fn path(&self, mut id: Id) -> PathBuf {
        let mut names = Vec::new();
        while id != ROOT {
            names.push(id);
            id = self.node(id).parent;
        }
        let mut path = self.open[0].path.clone();
        path.extend(names.into_iter().rev().map(|id| OsStr::from_bytes(&self.node(id).name)));
        path
    }
}

/// Opens the folder `name` in `dir`: neither a link nor the top of a mount.
pub(super) fn open_folder(dir: &OwnedFd, name: &[u8], how: OFlag) -> Result<OwnedFd, Errno> {
    let flags = how | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let only = ResolveFlag::RESOLVE_NO_XDEV | ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_BENEATH;
    match openat2(dir, name, OpenHow::new().flags(flags).resolve(only)) {
        // Older than Linux 5.6, a filter that does not know the call, or a
        // rename somewhere at the wrong moment.
        Err(Errno::ENOSYS | Errno::EPERM | Errno::EAGAIN) => open_folder_without_openat2(dir, name, flags),
        other => other,
    }
}

fn open_folder_without_openat2(dir: &OwnedFd, name: &[u8], flags: OFlag) -> Result<OwnedFd, Errno> {
    let fd = openat(dir, name, flags | OFlag::O_NOFOLLOW, Mode::empty())?;
    if mount_id(&fd) == mount_id(dir) { Ok(fd) } else { Err(Errno::EXDEV) }
}

/// The mount that `fd` is on (proc(5), fdinfo).
fn mount_id(fd: &OwnedFd) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd())).ok()?;
    text.lines().find_map(|line| line.strip_prefix("mnt_id:")).map(|id| id.trim().to_owned())
}

/// `cannot X PATH: reason`.
pub(super) fn error(cannot: &str, path: impl AsRef<Path>, errno: Errno) -> anyhow::Error {
    if errno == Errno::EXDEV {
        return anyhow::anyhow!("{cannot} {}: something else is mounted there", path.as_ref().display());
    }
    SysError { what: format!("{cannot} {}", path.as_ref().display()), errno, hint: None }.into()
}

/// What is at `name` in `dir`, not following a link.
pub(super) fn stat(dir: &OwnedFd, name: &[u8]) -> Result<FileStat, Errno> {
    nix::sys::stat::fstatat(dir, name, AtFlags::AT_SYMLINK_NOFOLLOW)
}

/// What an entry needs is not there.
pub(super) fn missing(what: &str) -> anyhow::Error {
    anyhow::anyhow!("{what}: {}", chain::error::strerror(Errno::ENOENT))
}
