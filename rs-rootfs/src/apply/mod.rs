//! Makes the entries of layers below DIR, through descriptors.
//!
//! The rules and where they come from: OCI image-spec 1.1, layer.md, and the
//! list of other unpackers' mistakes in `tests/hostile`. An existing file is
//! never opened, a link at the end of a name never followed, a name never
//! looked up twice.

mod copy;
mod file;
mod finish;
mod folder;
mod ids;
mod link;
mod name;
mod notes;
mod remove;
mod tree;
mod whiteout;
mod writer;

pub use ids::Privilege;
pub(crate) use name::{MAX_NAME, MAX_PART, parts};
pub use notes::Notes;
pub(crate) use tree::{has_default_list, take_lists};

use crate::tar::{Entry, Kind, Reader};
use anyhow::{Context, bail};
use chain::sys;
use chain::sys::process::Umask;
use name::Shown;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::os::fd::OwnedFd;
use std::path::Path;
use tree::{Id, Missing, ROOT, Record, Tree};
use whiteout::Meaning;

/// A name as messages show it.
pub(crate) fn shown(name: &[u8]) -> String {
    Shown(name).to_string()
}

/// How entries are applied.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules {
    /// Names beginning with `.wh.` remove something.
    pub whiteouts: bool,
    /// A folder's entry leaves a link that leads to a folder.
    pub keep_dirlinks: bool,
    /// DIR was not empty: what was there before is kept after a failure.
    pub over: bool,
    /// The most bytes of contents.
    pub max_size: Option<u64>,
}

/// Where a file's contents come from.
pub enum Contents<'a, 'r> {
    /// The archive that its entry is from.
    Archive(&'a mut Reader<'r>),
    /// Memory.
    Bytes(&'a [u8]),
    /// A file of the host, and its path.
    Copy(&'a std::fs::File, &'a Path),
}

/// Unpacks into one folder.
pub struct Unpacker {
    tree: Tree,
    rules: Rules,
    /// Counted from 1.
    layer: u32,
    /// What the current layer made that is no folder; a folder says so itself.
    made: HashSet<u64>,
    /// The same of the whole run, where it may have to be undone by itself.
    made_in_run: HashSet<u64>,
    keys: RandomState,
    notes: Notes,
    written: u64,
    /// The folder that the last name was in: most share it with the one before.
    last: Option<(Vec<u8>, Id)>,
    own: (u32, u32),
    /// Ways of copying that the file systems turned out not to have.
    copying: copy::Ways,
    writer: writer::Writer,
    /// Whether large files are given to it.
    aside: bool,
}

impl Unpacker {
    /// Unpacks into the open folder `root`, called `path` in messages.
    ///
    /// # Errors
    /// It cannot be looked at.
    pub fn new(root: OwnedFd, path: &Path, privilege: Privilege, rules: Rules) -> anyhow::Result<Self> {
        let why = "files get exactly the permissions that the archive gives them";
        sys::make(&Umask { mask: 0, why })?;
        Ok(Self {
            tree: Tree::new(root, path, privilege)?,
            rules,
            layer: 1,
            made: HashSet::new(),
            made_in_run: HashSet::new(),
            keys: RandomState::new(),
            notes: Notes::default(),
            written: 0,
            last: None,
            own: (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw()),
            copying: copy::Ways::default(),
            writer: writer::Writer::default(),
            aside: writer::Writer::helps(),
        })
    }

    /// Applies all that `reader` gives, as the next layer.
    ///
    /// # Errors
    /// The first entry that cannot be made, or must not.
    pub fn layer(&mut self, reader: &mut Reader<'_>) -> anyhow::Result<()> {
        let made = self.entries(reader);
        // What could not be written is the cause of what failed after it.
        self.writer.finish()?;
        made?;
        self.made.clear();
        self.layer += 1;
        Ok(())
    }

    fn entries(&mut self, reader: &mut Reader<'_>) -> anyhow::Result<()> {
        let mut entry = Entry::default();
        while reader.next(&mut entry)? {
            crate::interrupted()?;
            self.make(&entry, Contents::Archive(reader)).with_context(|| format!("entry {}", Shown(&entry.path)))?;
        }
        Ok(())
    }

    /// Makes one entry with these contents.
    ///
    /// # Errors
    /// It cannot be made, or must not.
    pub fn make(&mut self, entry: &Entry, contents: Contents<'_, '_>) -> anyhow::Result<()> {
        if entry.kind == Kind::HardLink {
            link::refuse_below(entry)?;
        }
        let Some((parent, name)) = self.place(entry)? else { return Ok(()) };
        self.tree.touch(parent, self.layer);
        match entry.kind {
            Kind::File => self.file(parent, name, entry, contents),
            Kind::Folder => self.folder(parent, name, entry),
            Kind::HardLink => self.hard_link(parent, name, entry),
            Kind::Link => self.link(parent, name, entry),
            Kind::Char | Kind::Block | Kind::Pipe => self.node(parent, name, entry),
        }
    }

    /// The folder that `entry` belongs in, made if it is missing, and its name
    /// there. `None` when there is nothing more to do.
    fn place<'e>(&mut self, entry: &'e Entry) -> anyhow::Result<Option<(Id, &'e [u8])>> {
        if let Some(found) = self.last_folder(&entry.path) {
            return Ok(Some(found));
        }
        let all = parts(&entry.path)?;
        let Some((name, above)) = all.split_last() else { return self.root(entry).map(|()| None) };
        if self.rules.whiteouts {
            match whiteout::meaning(&all)? {
                Meaning::Entry => {}
                Meaning::Nothing => return Ok(None),
                Meaning::Gone(gone) => return self.white_out(above, Some(gone)).map(|()| None),
                Meaning::Opaque => return self.white_out(above, None).map(|()| None),
            }
        }
        let parent = self.tree.walk(above, Missing::Make)?.context("its folder is gone")?;
        self.remember(&entry.path, parent);
        Ok(Some((parent, *name)))
    }

    /// The entry for DIR itself.
    fn root(&mut self, entry: &Entry) -> anyhow::Result<()> {
        if entry.kind != Kind::Folder {
            bail!("the root of the archive is no folder");
        }
        self.describe(ROOT, entry)
    }

    /// Without another walk: the folder of the last name, if `path` is in it
    /// too and ends in a plain name.
    fn last_folder<'a>(&self, path: &'a [u8]) -> Option<(Id, &'a [u8])> {
        let (above, id) = self.last.as_ref()?;
        let trimmed = path.strip_suffix(b"/").unwrap_or(path);
        let name = trimmed.strip_prefix(above.as_slice())?;
        let plain = !matches!(name, b"" | b"." | b"..")
            && name.len() <= 255
            && path.len() <= MAX_NAME
            && !(self.rules.whiteouts && name.starts_with(b".wh."))
            && !name.iter().any(|b| matches!(b, b'/' | 0));
        plain.then_some((*id, name))
    }

    fn remember(&mut self, path: &[u8], parent: Id) {
        let trimmed = path.strip_suffix(b"/").unwrap_or(path);
        let end = trimmed.iter().rposition(|b| *b == b'/').map_or(0, |slash| slash + 1);
        let mut above = self.last.take().map_or_else(Vec::new, |(above, _)| above);
        above.clear();
        above.extend_from_slice(&path[..end]);
        // `a//b` and `a/./b` are found by a walk.
        let plain = path.last() != Some(&b'.') && !trimmed.ends_with(b"/") && !trimmed.ends_with(b"/.");
        self.last = plain.then_some((above, parent));
    }

    fn key(&self, parent: Id, name: &[u8]) -> u64 {
        self.keys.hash_one((self.tree.node(parent).serial, name))
    }

    /// Notes what later whiteouts of this layer must leave. There is nothing
    /// to remove below the first layer, unless DIR was not empty.
    fn note_made(&mut self, parent: Id, name: &[u8]) {
        if self.rules.whiteouts && (self.layer > 1 || self.rules.over) {
            self.made.insert(self.key(parent, name));
        }
        if self.rules.over {
            self.made_in_run.insert(self.key(parent, name));
        }
    }

    /// Makes something by `call`; what stands in its way is removed first.
    fn in_place<C: sys::Call>(
        &mut self,
        parent: Id,
        name: &[u8],
        call: impl Fn(&Tree, usize) -> Result<C::Out, (nix::errno::Errno, chain::SysError)>,
    ) -> anyhow::Result<C::Out> {
        let slot = self.tree.open(parent)?;
        let made = match call(&self.tree, slot) {
            Err((nix::errno::Errno::EEXIST, _)) => {
                self.remove(parent, name)?;
                let slot = self.tree.open(parent)?;
                call(&self.tree, slot)
            }
            other => other,
        };
        let made = made.map_err(|(_, error)| error)?;
        // At once: what fails with it half-done takes it back.
        self.note_made(parent, name);
        Ok(made)
    }

    /// The owner that `entry` gets; what an ordinary user cannot keep is
    /// counted.
    fn owner(&mut self, entry: &Entry) -> anyhow::Result<Option<(u32, u32)>> {
        let owner = self.tree.privilege().owner(entry.uid, entry.gid)?;
        if owner.is_none() && (entry.uid, entry.gid) != self.own {
            self.notes.owners += 1;
        }
        Ok(owner)
    }

    /// How much was written.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// What was not kept.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Removes what this run made; DIR itself stays, and gets back what it had,
    /// as do folders in it.
    ///
    /// # Errors
    /// Something cannot be removed.
    pub fn undo(&mut self) -> anyhow::Result<()> {
        self.tree.shut();
        let path = self.tree.path(ROOT);
        if *self.tree.privilege() == Privilege::User {
            // It may have its own mode already.
            self.tree.open_root(0o700, "nobody empties a folder that cannot be written");
        }
        let fd = tree::open_folder(self.tree.fd(0), b".", nix::fcntl::OFlag::O_RDONLY)
            .map_err(|errno| tree::error("cannot read", &path, errno))?;
        let what = if self.rules.over { remove::What::ThisRun } else { remove::What::All };
        let emptied = self.empty(fd, &path, Some(ROOT), what);
        self.restore();
        emptied
    }

    /// What DIR is given when no entry describes it.
    pub fn describe_root(&mut self, mode: u32, owner: Option<(u32, u32)>) {
        self.tree.record_if_none(ROOT, Record::new(mode, owner, None));
    }
}
