//! What belongs in the root: found first, made afterwards.

use super::busybox::applets;
use super::elf::Elf;
use super::interpreters;
use super::library::{Folders, built_in, expanded};
use anyhow::{Context, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

/// Links on the way to one file.
const MAX_LINKS: u32 = 40;
/// Scripts in each other.
const MAX_SCRIPTS: u32 = 5;

/// One thing in the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Item {
    /// A folder with this mode.
    Folder(u32),
    /// A link with this text.
    Link(OsString),
    /// A file with this text.
    Text(&'static str),
    /// A copy of the host's file of the same path.
    Copy,
}

/// See the module. Paths are absolute, on the host as in the root.
pub(super) struct Plan {
    items: BTreeMap<PathBuf, Item>,
    folders: Folders,
    /// Files whose libraries are in the plan already.
    done: BTreeSet<PathBuf>,
    /// A library lies where the loader looks only when told.
    needs_cache: bool,
    /// The C library, if one is brought.
    libc: Option<(PathBuf, Elf)>,
}

impl Plan {
    pub(super) fn new() -> Self {
        Self {
            items: BTreeMap::new(),
            folders: Folders::of_this_host(),
            done: BTreeSet::new(),
            needs_cache: false,
            libc: None,
        }
    }

    /// In an order in which every folder comes before what is in it.
    pub(super) fn into_items(self) -> impl Iterator<Item = (PathBuf, Item)> {
        self.items.into_iter()
    }

    /// Folders and files that every root has.
    ///
    /// # Errors
    /// The host's own folders cannot be looked at.
    pub(super) fn base(&mut self) -> anyhow::Result<()> {
        for name in ["bin", "sbin", "lib", "lib64"] {
            let path = Path::new("/").join(name);
            match fs::read_link(&path) {
                Ok(_) => match self.bring(&path) {
                    // A link that leads nowhere does so in the root, too.
                    Err(_) if path.try_exists().is_ok_and(|there| !there) => {}
                    brought => drop(brought?),
                },
                // It is no link.
                Err(error) if error.kind() == ErrorKind::InvalidInput => self.add(path, Item::Folder(0o755)),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => bail!("{}: {}", path.display(), crate::reason(&error)),
            }
        }
        let folders =
            ["usr", "usr/bin", "usr/sbin", "usr/lib", "proc", "sys", "dev", "dev/pts", "dev/shm", "etc", "run", "var"];
        for name in folders {
            self.add(Path::new("/").join(name), Item::Folder(0o755));
        }
        for (name, mode) in [("tmp", 0o1777), ("var/tmp", 0o1777), ("root", 0o700)] {
            self.add(Path::new("/").join(name), Item::Folder(mode));
        }
        let files = [
            ("passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n"),
            ("group", "root:x:0:\nnobody:x:65534:\n"),
            ("nsswitch.conf", "passwd: files\ngroup: files\nshadow: files\nhosts: files\n"),
            ("hostname", "localhost\n"),
            ("hosts", ""),
            ("resolv.conf", ""),
        ];
        for (name, text) in files {
            self.add(Path::new("/etc").join(name), Item::Text(text));
        }
        Ok(())
    }

    /// What was planned first stays.
    fn add(&mut self, path: PathBuf, item: Item) {
        self.items.entry(path).or_insert(item);
    }

    /// Adds `path`, every folder above it and every link on the way; gives
    /// the file at the end.
    fn bring(&mut self, path: &Path) -> anyhow::Result<PathBuf> {
        let mut here = PathBuf::from("/");
        let parts = |path: &Path| path.components().rev().map(|c| c.as_os_str().to_owned()).collect::<Vec<_>>();
        let mut pending = parts(path);
        let mut links = 0;
        while let Some(part) = pending.pop() {
            match Path::new(&part).components().next() {
                Some(Component::RootDir) => here = PathBuf::from("/"),
                Some(Component::ParentDir) => drop(here.pop()),
                Some(Component::Normal(name)) => {
                    let next = here.join(name);
                    let about = fs::symlink_metadata(&next);
                    let about =
                        about.map_err(|error| anyhow::anyhow!("{}: {}", next.display(), crate::reason(&error)))?;
                    if about.is_symlink() {
                        links += 1;
                        if links > MAX_LINKS {
                            bail!("{}: too many levels of symbolic links", path.display());
                        }
                        let text = fs::read_link(&next)
                            .map_err(|error| anyhow::anyhow!("{}: {}", next.display(), crate::reason(&error)))?;
                        pending.extend(parts(&text));
                        self.add(next, Item::Link(text.into_os_string()));
                        continue;
                    }
                    let item = if about.is_dir() { Item::Folder(0o755) } else { Item::Copy };
                    if !about.is_dir() && !about.is_file() {
                        bail!("{} is neither a file nor a folder", next.display());
                    }
                    self.add(next.clone(), item);
                    here = next;
                }
                _ => {}
            }
        }
        Ok(here)
    }

    /// Adds a program and all that it needs to run.
    pub(super) fn program(&mut self, path: &Path) -> anyhow::Result<()> {
        self.program_within(path, MAX_SCRIPTS)
    }

    fn program_within(&mut self, path: &Path, scripts: u32) -> anyhow::Result<()> {
        let real = self.bring(path)?;
        let file =
            File::open(&real).map_err(|error| anyhow::anyhow!("{}: {}", real.display(), crate::reason(&error)))?;
        if let Some(elf) = Elf::read(&file) {
            if let Some(interpreter) = &elf.interpreter {
                self.bring(Path::new(interpreter)).with_context(|| format!("the loader of {}", path.display()))?;
            }
            if real.file_name() == Some(OsStr::new("busybox")) {
                self.applets(&real, file)?;
            }
            return self.libraries(&real, &elf, &[]);
        }
        let mut head = Vec::new();
        let _ = file.take(4096).read_to_end(&mut head);
        let Some(line) = head.strip_prefix(b"#!") else { return Ok(()) };
        if scripts == 0 {
            bail!("{}: too many scripts that run each other", path.display());
        }
        let line = line.split(|b| *b == b'\n').next().unwrap_or_default();
        for program in interpreters(line).with_context(|| path.display().to_string())? {
            self.program_within(&program, scripts - 1)?;
        }
        Ok(())
    }

    fn applets(&mut self, real: &Path, file: File) -> anyhow::Result<()> {
        let mut bytes = Vec::new();
        file.take(16 << 20)
            .read_to_end(&mut bytes)
            .map_err(|e| anyhow::anyhow!("{}: {}", real.display(), crate::reason(&e)))?;
        let folder = real.parent().unwrap_or(Path::new("/"));
        for name in applets(&bytes).into_iter().filter(|name| *name != "busybox") {
            self.add(folder.join(name), Item::Link("busybox".into()));
        }
        Ok(())
    }

    /// Adds the libraries of `real`; `above` are the folders of the DT_RPATHs
    /// of those that load it.
    fn libraries(&mut self, real: &Path, elf: &Elf, above: &[PathBuf]) -> anyhow::Result<()> {
        if !self.done.insert(real.to_owned()) {
            return Ok(());
        }
        let origin = real.parent().unwrap_or(Path::new("/"));
        let folders =
            |list: &Option<OsString>| list.as_ref().map_or_else(Vec::new, |list| expanded(list, origin, elf.machine));
        let mut inherited = Vec::new();
        let mut own = Vec::new();
        if elf.runpath.is_none() {
            inherited = folders(&elf.rpath);
            inherited.extend_from_slice(above);
            own.clone_from(&inherited);
        }
        own.extend(folders(&elf.runpath));
        for name in &elf.needed {
            let found = self.folders.find(name, elf.machine, &own);
            // musl's loader is its C library, under another name.
            let is_musl_libc = name.as_bytes().starts_with(b"libc.musl-") || name == "libc.so";
            let Some(found) = found else {
                if is_musl_libc && elf.interpreter.is_some() {
                    continue;
                }
                bail!("cannot find {}, which {} needs", name.display(), real.display());
            };
            self.library(&found, &inherited)?;
        }
        Ok(())
    }

    fn library(&mut self, path: &Path, above: &[PathBuf]) -> anyhow::Result<()> {
        let real = self.bring(path)?;
        let Some(elf) = File::open(&real).ok().and_then(|file| Elf::read(&file)) else { return Ok(()) };
        if path.parent().is_some_and(|folder| !built_in(elf.machine).iter().any(|known| known == folder)) {
            self.needs_cache = true;
        }
        if path.file_name() == Some(OsStr::new("libc.so.6")) {
            self.libc = Some((real.clone(), elf.clone()));
        }
        self.libraries(&real, &elf, above)
    }

    /// What no file names and yet is needed.
    pub(super) fn extras(&mut self) -> anyhow::Result<()> {
        if let Some((real, elf)) = self.libc.clone() {
            // Loaded when a thread is cancelled; names of users before 2.34.
            let mut wanted = vec!["libgcc_s.so.1"];
            if is_before_2_34(&real) {
                wanted.extend(["libnss_files.so.2", "libnss_compat.so.2"]);
            }
            for name in wanted {
                if let Some(found) = self.folders.find(OsStr::new(name), elf.machine, &[]) {
                    self.library(&found, &[])?;
                }
            }
        }
        for terminal in ["linux", "xterm", "xterm-256color", "screen", "tmux", "vt100", "dumb"] {
            for folder in ["/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo"] {
                let file = Path::new(folder).join(&terminal[..1]).join(terminal);
                if file.is_file() {
                    self.bring(&file)?;
                }
            }
        }
        if self.needs_cache {
            let files = std::mem::take(&mut self.folders.files);
            for file in files.iter().map(PathBuf::as_path).chain([Path::new("/etc/ld.so.cache")]) {
                if file.is_file() {
                    self.bring(file)?;
                }
            }
        }
        Ok(())
    }
}

/// Older ones had their number in their name: `libc-2.31.so`.
fn is_before_2_34(libc: &Path) -> bool {
    let name = libc.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let minor = name.strip_prefix("libc-2.").and_then(|rest| rest.strip_suffix(".so"));
    minor.and_then(|minor| minor.parse::<u32>().ok()).is_some_and(|minor| minor < 34)
}
