//! Removing groups: their processes go to the parent first.

use super::{Control, children, exists, kind, while_busy};
use crate::hierarchy::{Host, Version};
use crate::spec::Spec;
use crate::status::{Error, FAILED, SYSTEM};
use chain::sys;
use chain::sys::file::{At, UnlinkAt};
use chain::{SysError, error};
use nix::errno::Errno;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// What one command removes.
#[derive(Debug)]
pub struct Deletion<'h> {
    host: &'h Host,
    recursive: bool,
    /// What was removed, and the controllers that led there.
    done: BTreeMap<PathBuf, Vec<String>>,
}

impl<'h> Deletion<'h> {
    /// Nothing removed yet.
    pub fn new(host: &'h Host, recursive: bool) -> Self {
        Self { host, recursive, done: BTreeMap::new() }
    }

    /// Removes the group that `spec` names from each of its hierarchies, and
    /// reports what cannot be removed. `Ok` holds the last error's status.
    ///
    /// # Errors
    /// An unknown controller (93): nothing of `spec` is removed.
    pub fn delete(&mut self, spec: &Spec, default_group: bool) -> Result<Option<u8>, Error> {
        let path = self.host.path(&spec.group, default_group)?;
        let mut last = None;
        let mut removed = 0;
        let mut missing = Vec::new();
        for target in self.host.targets(spec, FAILED)? {
            let dir = target.hierarchy.dir(&path);
            match self.done.get_mut(&dir) {
                // The same directory through another controller.
                Some(names) if !target.asked.iter().any(|name| names.contains(name)) => {
                    names.extend(target.asked);
                    continue;
                }
                _ => {}
            }
            let top = path.as_os_str().is_empty();
            match self.delete_dir(&dir, target.hierarchy.version, top) {
                Ok(()) => {
                    removed += 1;
                    self.done.insert(dir, target.asked);
                }
                Err(Error::NoGroup { .. }) if spec.is_all() => missing.push(dir),
                Err(failure) => last = Some(error::report(&failure)),
            }
        }
        // `*`: wherever it is, but somewhere.
        if removed == 0 && last.is_none() && !missing.is_empty() {
            let dir = missing.swap_remove(0);
            last = Some(error::report(&Error::NoGroup { group: spec.group.clone(), dir, status: SYSTEM }));
        }
        Ok(last)
    }

    fn delete_dir(&self, dir: &Path, version: Version, top: bool) -> Result<(), Error> {
        if !exists(dir).map_err(Error::step(SYSTEM))? {
            let group = dir.file_name().unwrap_or_default().to_owned();
            return Err(Error::NoGroup { group, dir: dir.to_owned(), status: SYSTEM });
        }
        if top {
            return if self.recursive { below(dir, dir, version) } else { Ok(()) };
        }
        let below_it = children(dir);
        if !below_it.is_empty() && !self.recursive {
            let hint = Some("it has subgroups; -r removes them too".to_owned());
            let source = SysError { what: format!("cannot remove {}", dir.display()), errno: Errno::EBUSY, hint };
            return Err(Error::Step { source, status: SYSTEM });
        }
        let parent = dir.parent().unwrap_or(dir);
        below(dir, parent, version)?;
        empty_and_remove(dir, parent, version)
    }
}

/// Removes every group below `dir`, bottom up; processes go to `refuge`.
fn below(dir: &Path, refuge: &Path, version: Version) -> Result<(), Error> {
    for child in children(dir) {
        below(&child, refuge, version)?;
        empty_and_remove(&child, refuge, version)?;
    }
    Ok(())
}

/// A process may start between the last look and rmdir: look again.
fn empty_and_remove(dir: &Path, refuge: &Path, version: Version) -> Result<(), Error> {
    for _ in 0..10 {
        evacuate(dir, refuge, version).map_err(Error::step(SYSTEM))?;
        match rmdir(dir) {
            Err(busy) if busy.errno == Errno::EBUSY && !ids(dir, version).is_empty() => {}
            // Somebody else removed it: it is gone, as was asked.
            Err(gone) if gone.errno == Errno::ENOENT => return Ok(()),
            result => return result.map_err(Error::step(SYSTEM)),
        }
    }
    rmdir(dir).map_err(Error::step(SYSTEM))
}

/// Which file of `dir` lists what is to be moved.
fn list(dir: &Path, version: Version) -> &'static str {
    match version {
        Version::V1 => "tasks",
        Version::V2 if kind(dir).as_deref() == Some("threaded") => "cgroup.threads",
        Version::V2 => "cgroup.procs",
    }
}

fn ids(dir: &Path, version: Version) -> Vec<Vec<u8>> {
    let text = fs::read(dir.join(list(dir, version))).unwrap_or_default();
    text.split(|b| *b == b'\n').filter(|id| !id.is_empty()).map(<[u8]>::to_vec).collect()
}

/// Moves all processes of `dir` to `refuge`, those too that are born on the
/// way.
fn evacuate(dir: &Path, refuge: &Path, version: Version) -> Result<(), SysError> {
    for _ in 0..100 {
        let ids = ids(dir, version);
        if ids.is_empty() {
            break;
        }
        for id in ids {
            let moved = match move_to(refuge, list(dir, version), &id) {
                // A thread goes alone only within its domain.
                Err(foreign) if foreign.errno == Errno::EOPNOTSUPP => move_to(refuge, "cgroup.procs", &id),
                moved => moved,
            };
            match moved {
                Err(ended) if ended.errno == Errno::ESRCH => {}
                moved => moved?,
            }
        }
    }
    Ok(())
}

fn move_to(refuge: &Path, name: &str, id: &[u8]) -> Result<(), SysError> {
    let why = "a group that holds a process cannot be removed: it goes to the parent";
    Control::open(&refuge.join(name), why)?.write(id, why).map_err(|refused| SysError {
        what: format!("{}: cannot move process {}", refused.what, OsStr::from_bytes(id).display()),
        ..refused
    })
}

/// rmdir(2) of a group, which may be busy for a moment after its last process
/// has ended.
pub(super) fn rmdir(dir: &Path) -> Result<(), SysError> {
    let why = "removing its directory removes the group: it must hold no process and no subgroup";
    let call = UnlinkAt { dir: At::Cwd, path: dir.as_os_str(), flags: libc::AT_REMOVEDIR, why };
    while_busy(|| sys::make(&call))
}
