//! The layers of an image merged in memory: names, and where the contents
//! lie. Nothing is unpacked, so that an export needs no privilege.
//!
//! The rules are those by which layers are applied to a folder; here a link
//! cannot lead out, as there is nothing outside.

mod folders;

use crate::apply::{MAX_NAME, MAX_PART, parts};
use crate::tar::{Entry, Kind, Segment};
use anyhow::{Result, bail};
use std::collections::BTreeMap;

/// Links followed on the way to one name.
const LINKS_MAX: usize = 40;
/// The root's place in [`Tree::things`].
pub(crate) const ROOT: usize = 0;

/// What everything has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct About {
    /// Permission bits.
    pub(crate) mode: u32,
    /// Owner.
    pub(crate) uid: u32,
    /// Group.
    pub(crate) gid: u32,
    /// Seconds since 1970.
    pub(crate) mtime: i64,
    /// `security.capability`: the one attribute that is exported.
    pub(crate) capability: Option<Vec<u8>>,
}

/// Where a file's bytes lie.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Contents {
    /// The layer, counted from the lowest.
    pub(crate) layer: usize,
    /// The first byte in its tar.
    pub(crate) offset: u64,
    /// The file's size, holes and all.
    pub(crate) size: u64,
    /// Where it has data; `None`: everywhere.
    pub(crate) segments: Option<Vec<Segment>>,
}

/// What something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    /// Names and what they lead to.
    Folder(BTreeMap<Vec<u8>, Child>),
    /// A file.
    File(Contents),
    /// A symbolic link and its text.
    Link(Vec<u8>),
    /// A device: whether it is a block device, its numbers.
    Device(bool, u32, u32),
    /// A named pipe.
    Pipe,
}

/// A name in a folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Child {
    /// Its place in [`Tree::things`].
    pub(crate) at: usize,
    /// The layer that put the name there, or entered the folder anew.
    layer: usize,
}

/// A file, a folder, …; hard links share one.
#[derive(Debug, Clone)]
pub(crate) struct Thing {
    pub(crate) about: About,
    pub(crate) node: Node,
}

/// A whole root file system.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) things: Vec<Thing>,
    layer: usize,
    /// The time of what nobody gave a time.
    now: i64,
}

impl Tree {
    /// An empty root.
    pub(crate) fn new(now: i64) -> Self {
        let mut tree = Self { things: Vec::new(), layer: 0, now };
        let about = tree.own();
        tree.things.push(Thing { about, node: Node::Folder(BTreeMap::new()) });
        tree
    }

    /// What comes now is of layer `number`.
    pub(crate) fn begin_layer(&mut self, number: usize) {
        self.layer = number;
    }

    /// root's, 0755, made now.
    pub(crate) fn own(&self) -> About {
        About { mode: 0o755, mtime: self.now, ..About::default() }
    }

    /// The names in the folder `at`; none if it is no folder.
    pub(crate) fn children(&self, at: usize) -> Option<&BTreeMap<Vec<u8>, Child>> {
        match &self.things[at].node {
            Node::Folder(children) => Some(children),
            _ => None,
        }
    }

    fn children_mut(&mut self, at: usize) -> Option<&mut BTreeMap<Vec<u8>, Child>> {
        match &mut self.things[at].node {
            Node::Folder(children) => Some(children),
            _ => None,
        }
    }

    fn child(&self, folder: usize, name: &[u8]) -> Option<Child> {
        self.children(folder)?.get(name).copied()
    }

    fn put(&mut self, folder: usize, name: &[u8], at: usize) {
        let layer = self.layer;
        if let Some(children) = self.children_mut(folder) {
            children.insert(name.to_vec(), Child { at, layer });
        }
    }

    fn forget(&mut self, folder: usize, name: &[u8]) {
        if let Some(children) = self.children_mut(folder) {
            children.remove(name);
        }
    }

    fn add(&mut self, folder: usize, name: &[u8], about: About, node: Node) -> usize {
        let at = self.things.len();
        self.things.push(Thing { about, node });
        self.put(folder, name, at);
        at
    }

    /// Applies one entry; `offset` is where its contents begin in the layer.
    ///
    /// # Errors
    /// A name or a link that is refused.
    pub(crate) fn apply(&mut self, entry: &Entry, offset: u64) -> Result<()> {
        let parts = parts(&entry.path)?;
        let Some((name, parents)) = parts.split_last() else {
            if entry.kind != Kind::Folder {
                bail!("the root is no folder");
            }
            self.things[ROOT].about = about(entry);
            return Ok(());
        };
        if parents.iter().any(|part| part.starts_with(b".wh..wh.")) {
            return Ok(());
        }
        if let Some(gone) = name.strip_prefix(b".wh.") {
            return self.white_out(parents, gone);
        }
        let folder = self.walk(parents, true)?.unwrap_or(ROOT);
        self.place(folder, name, entry, offset)
    }

    fn place(&mut self, folder: usize, name: &[u8], entry: &Entry, offset: u64) -> Result<()> {
        let there = self.child(folder, name);
        let node = match entry.kind {
            Kind::Folder => {
                if let Some(child) = there.filter(|child| self.children(child.at).is_some()) {
                    self.things[child.at].about = about(entry);
                    self.put(folder, name, child.at);
                    return Ok(());
                }
                Node::Folder(BTreeMap::new())
            }
            Kind::HardLink => return self.hard_link(folder, name, &entry.link),
            Kind::Link => {
                if entry.link.is_empty() || entry.link.len() > MAX_NAME || entry.link.contains(&0) {
                    bail!("a link's text is empty or too long");
                }
                Node::Link(entry.link.clone())
            }
            Kind::Char | Kind::Block => {
                let (major, minor) = entry.device;
                if major > 4095 || minor > 1_048_575 {
                    bail!("there is no device {major}:{minor}");
                }
                Node::Device(entry.kind == Kind::Block, major, minor)
            }
            Kind::Pipe => Node::Pipe,
            Kind::File => {
                Node::File(Contents { layer: self.layer, offset, size: entry.size, segments: entry.sparse.clone() })
            }
        };
        self.add(folder, name, about(entry), node);
        Ok(())
    }

    /// Another name for the file that `target` names, from the root on.
    fn hard_link(&mut self, folder: usize, name: &[u8], target: &[u8]) -> Result<()> {
        // A folder that is in the way goes first, and with it what is below.
        if self.child(folder, name).is_some_and(|child| self.children(child.at).is_some()) {
            self.forget(folder, name);
        }
        let parts = parts(target)?;
        let (last, parents) = parts.split_last().ok_or_else(|| anyhow::anyhow!("a hard link to the root"))?;
        let found = self.walk(parents, false)?.and_then(|above| self.child(above, last));
        match found {
            Some(child) if self.children(child.at).is_none() => {
                self.put(folder, name, child.at);
                Ok(())
            }
            Some(_) => bail!("a hard link to the folder {}", target.escape_ascii()),
            None => bail!("a hard link to {}, which is not there", target.escape_ascii()),
        }
    }

    fn white_out(&mut self, parents: &[&[u8]], gone: &[u8]) -> Result<()> {
        if gone == b".wh..opq" {
            if let Some(folder) = self.walk(parents, false)? {
                self.clear(folder);
            }
            return Ok(());
        }
        if gone.starts_with(b".wh.") {
            return Ok(());
        }
        if matches!(gone, b"" | b"." | b"..") {
            bail!("a whiteout of nothing, '.' or '..'");
        }
        if let Some(folder) = self.walk(parents, false)?
            && let Some(child) = self.child(folder, gone)
            && !self.keeps(child)
        {
            self.forget(folder, gone);
        }
        Ok(())
    }

    /// Removes what lower layers put into `folder`.
    fn clear(&mut self, folder: usize) {
        let Some(children) = self.children(folder) else { return };
        let all: Vec<(Vec<u8>, Child)> = children.iter().map(|(name, child)| (name.clone(), *child)).collect();
        for (name, child) in all {
            if !self.keeps(child) {
                self.forget(folder, &name);
            }
        }
    }

    /// Removes what lower layers put at or below a name; says whether
    /// something of this layer keeps it. Iterative: folders nest as deep as a
    /// path is long.
    fn keeps(&mut self, top: Child) -> bool {
        let mut order = vec![(top, None)];
        // Where the names of each begin in `order`.
        let mut begin = Vec::new();
        while let Some((child, _)) = order.get(begin.len()).copied() {
            let below: Vec<Child> = self.children(child.at).into_iter().flat_map(|all| all.values().copied()).collect();
            let above = begin.len();
            begin.push(order.len());
            order.extend(below.into_iter().map(|child| (child, Some(above))));
        }
        let mut kept: Vec<bool> = order.iter().map(|(child, _)| child.layer == self.layer).collect();
        for i in (1..order.len()).rev() {
            if kept[i]
                && let Some(above) = order[i].1
            {
                kept[above] = true;
            }
        }
        for (i, (child, _)) in order.iter().enumerate().filter(|(i, _)| kept[*i]) {
            if let Some(children) = self.children_mut(child.at) {
                // By name, in their order: two may be one file.
                let mut names = kept[begin[i]..].iter();
                children.retain(|_, _| names.next().is_some_and(|kept| *kept));
            }
        }
        kept[0]
    }

    /// The folder that `parts` lead to, links followed as in a chroot. With
    /// `make`, what is missing is made, and what is no folder gives way.
    pub(crate) fn walk(&mut self, parts: &[&[u8]], make: bool) -> Result<Option<usize>> {
        let mut links = 0;
        let mut todo: Vec<Vec<u8>> = parts.iter().rev().map(|part| part.to_vec()).collect();
        let mut trail = vec![ROOT];
        while let Some(part) = todo.pop() {
            let here = trail.last().copied().unwrap_or(ROOT);
            match part.as_slice() {
                b"" | b"." => continue,
                b".." => {
                    if trail.len() > 1 {
                        trail.pop();
                    }
                    continue;
                }
                _ => {}
            }
            match self.child(here, &part).map(|child| (child.at, self.things[child.at].node.shape())) {
                Some((at, Shape::Folder)) => trail.push(at),
                Some((_, Shape::Link(text))) => {
                    links += 1;
                    if links > LINKS_MAX {
                        bail!("more than {LINKS_MAX} links on the way");
                    }
                    if text.starts_with(b"/") {
                        trail.truncate(1);
                    }
                    todo.extend(text.split(|b| *b == b'/').rev().map(<[u8]>::to_vec));
                }
                Some((_, Shape::Other)) | None if make => {
                    if part.len() > MAX_PART {
                        bail!("a name of more than {MAX_PART} bytes");
                    }
                    let about = self.own();
                    trail.push(self.add(here, &part, about, Node::Folder(BTreeMap::new())));
                }
                _ => return Ok(None),
            }
        }
        Ok(trail.last().copied())
    }

    /// Puts `node` at `parts`, whose parents are folders or are made so; a
    /// folder that is there stays as it is.
    pub(crate) fn set(&mut self, parts: &[&[u8]], node: Node) -> Result<()> {
        let Some((name, parents)) = parts.split_last() else { return Ok(()) };
        let folder = self.walk(parents, true)?.unwrap_or(ROOT);
        let is_folder = self.child(folder, name).is_some_and(|child| self.children(child.at).is_some());
        if is_folder && matches!(node, Node::Folder(_)) {
            return Ok(());
        }
        let mut about = self.own();
        if matches!(node, Node::Link(_)) {
            about.mode = 0o777;
        }
        self.add(folder, name, about, node);
        if folder != ROOT {
            self.things[folder].about.mtime = self.now;
        }
        Ok(())
    }
}

/// What a walk needs to know.
enum Shape {
    Folder,
    Link(Vec<u8>),
    Other,
}

impl Node {
    fn is_file(&self) -> bool {
        !matches!(self, Self::Folder(_) | Self::Link(_))
    }

    fn shape(&self) -> Shape {
        match self {
            Self::Folder(_) => Shape::Folder,
            Self::Link(text) => Shape::Link(text.clone()),
            _ => Shape::Other,
        }
    }
}

fn about(entry: &Entry) -> About {
    let capability = entry.attributes.iter().find(|(name, _)| name == b"security.capability");
    About {
        // The kernel knows no other mode of a link.
        mode: if entry.kind == Kind::Link { 0o777 } else { entry.mode & 0o7777 },
        uid: entry.uid,
        gid: entry.gid,
        mtime: entry.mtime.0,
        capability: capability.map(|(_, value)| value.clone()),
    }
}
