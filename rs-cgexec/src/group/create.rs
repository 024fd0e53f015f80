//! Making groups, and giving them to somebody.

use super::{Control, kind, tree, words};
use crate::hierarchy::{Host, Target, Version};
use crate::spec::Spec;
use crate::status::{Error, INVALID, NOT_ALLOWED, SYSTEM};
use chain::SysError;
use chain::sys;
use chain::sys::file::{At, FchmodAt, FchownAt, MkdirAt};
use nix::errno::Errno;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A user and a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ids {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
}

/// Whose a new group is, and who may do what with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    /// The caller: the owner of what nobody else is named for.
    pub caller: Ids,
    /// `-a`: of the directory and everything below.
    pub all: Option<Ids>,
    /// `-t`: of the file that takes processes.
    pub tasks: Option<Ids>,
    /// `-d`.
    pub dir_mode: Option<u32>,
    /// `-f`.
    pub file_mode: Option<u32>,
    /// `-s`.
    pub tasks_mode: Option<u32>,
}

/// Makes the group that `spec` names in each of its hierarchies. Where one
/// fails, what this made is removed again.
///
/// # Errors
/// An unknown controller or one named twice (91), a refused directory (87),
/// any other refusal (96).
pub fn create(host: &Host, spec: &Spec, default_group: bool, access: &Access) -> Result<(), Error> {
    let mut seen: Vec<&String> = Vec::new();
    for name in &spec.controllers {
        if seen.contains(&name) {
            return Err(crate::hierarchy::twice(name));
        }
        seen.push(name);
    }
    let path = host.path(&spec.group, default_group)?;
    let targets = host.targets(spec, INVALID)?;
    // The top group was there before us, and so was all that is below it.
    if path.as_os_str().is_empty() {
        return Ok(());
    }
    let mut made = Vec::new();
    for target in &targets {
        if let Err(error) = create_one(target, spec, &path, access, &mut made) {
            for dir in made.iter().rev() {
                let _ = super::delete::rmdir(dir);
            }
            return Err(error);
        }
    }
    Ok(())
}

fn create_one(
    target: &Target<'_>,
    spec: &Spec,
    path: &Path,
    access: &Access,
    made: &mut Vec<PathBuf>,
) -> Result<(), Error> {
    let v2 = target.hierarchy.version == Version::V2;
    let mut needs = target.needs.clone();
    let mut dir = target.hierarchy.mounts[0].clone();
    if v2 && spec.is_all() {
        needs = available(&dir, path);
    }
    for part in path.components() {
        if v2 {
            pass_on(&dir, &needs)?;
        }
        dir.push(part);
        if mkdir(&dir).map_err(Error::step(NOT_ALLOWED))? {
            made.push(dir.clone());
        }
    }
    give(&dir, v2, access).map_err(Error::step(SYSTEM))
}

/// The controllers of the deepest group on the way that is there already.
fn available(mount: &Path, path: &Path) -> Vec<String> {
    let mut dir = mount.to_owned();
    for part in path.parent().into_iter().flat_map(Path::components) {
        if !dir.join(part).is_dir() {
            break;
        }
        dir.push(part);
    }
    words(&dir.join("cgroup.controllers"))
}

/// Makes a directory unless it is there. Whether it was made.
fn mkdir(dir: &Path) -> Result<bool, SysError> {
    if dir.is_dir() {
        return Ok(false);
    }
    let why = "a directory in a cgroup file system is a group; the kernel fills it with control files";
    match sys::make(&MkdirAt { dir: At::Cwd, path: dir.as_os_str(), mode: 0o775, why }) {
        Ok(()) => Ok(true),
        // Somebody was faster; but a control file is no group.
        Err(error) if error.errno == Errno::EEXIST && dir.is_dir() => Ok(false),
        Err(error) if error.errno == Errno::EEXIST => Err(SysError { errno: Errno::ENOTDIR, ..error }),
        Err(error) => Err(error),
    }
}

/// Turns `needs` on for the children of `dir`, one controller a write; what
/// is on already stays untouched, as a delegated user may not write it.
fn pass_on(dir: &Path, needs: &[String]) -> Result<(), Error> {
    let file = dir.join("cgroup.subtree_control");
    let on = words(&file);
    let off: Vec<&String> = needs.iter().filter(|need| !on.contains(need)).collect();
    if off.is_empty() {
        return Ok(());
    }
    refuse_with_processes(dir, off[0])?;
    let why = "on cgroup v2 a group has a controller only if its parent passes it on";
    let control = Control::open(&file, why).map_err(Error::step(SYSTEM))?;
    for need in off {
        control.write(format!("+{need}").as_bytes(), why).map_err(|mut source| {
            source.hint = match source.errno {
                Errno::ENOENT => {
                    let have = words(&dir.join("cgroup.controllers")).join(" ");
                    Some(format!("{} has the controllers '{have}', not {need}", dir.display()))
                }
                _ => source.hint,
            };
            Error::Step { source, status: SYSTEM }
        })?;
    }
    Ok(())
}

/// A domain group that holds processes cannot pass controllers on; for the
/// threaded ones the kernel would, and make children that nobody can enter.
fn refuse_with_processes(dir: &Path, need: &str) -> Result<(), Error> {
    let domain = kind(dir).is_some_and(|kind| kind == "domain");
    let holds = || fs::read(dir.join("cgroup.procs")).is_ok_and(|text| !text.is_empty());
    if !domain || !holds() {
        return Ok(());
    }
    let source = SysError {
        what: format!("cannot turn on {need} in {}", dir.join("cgroup.subtree_control").display()),
        errno: Errno::EBUSY,
        hint: Some(format!(
            "{} holds processes: move them into a subgroup of their own first (cgclassify)",
            dir.display()
        )),
    };
    Err(Error::Step { source, status: SYSTEM })
}

/// Gives the group its owners and modes.
fn give(leaf: &Path, v2: bool, access: &Access) -> Result<(), SysError> {
    let owner = access.all.unwrap_or(access.caller);
    let tasks = access.tasks.unwrap_or(access.caller);
    for dir in tree(leaf) {
        chown(&dir, owner)?;
        chmod(&dir, access.dir_mode)?;
        for file in files(&dir) {
            let entrance = entrance(&file, v2);
            let (ids, mode) = match entrance {
                false => (owner, access.file_mode),
                true if v2 => {
                    let ids = access.all.or(access.tasks).unwrap_or(access.caller);
                    (ids, access.file_mode.or(access.tasks_mode))
                }
                true if dir == leaf => (tasks, access.tasks_mode),
                true => (owner, None),
            };
            chown(&file, ids)?;
            chmod(&file, mode)?;
        }
    }
    Ok(())
}

/// Whether `file` is what takes processes.
fn entrance(file: &Path, v2: bool) -> bool {
    let names: &[&str] = if v2 { &["cgroup.procs", "cgroup.threads"] } else { &["tasks"] };
    file.file_name().is_some_and(|name| names.iter().any(|one| name == *one))
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
    let is_file = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_file());
    entries.filter_map(Result::ok).filter(is_file).map(|entry| entry.path()).collect()
}

/// A subgroup may go away while the tree is walked.
fn unless_gone(result: Result<(), SysError>) -> Result<(), SysError> {
    match result {
        Err(error) if matches!(error.errno, Errno::ENOENT | Errno::ENODEV) => Ok(()),
        result => result,
    }
}

/// Changes the owner, where it is another.
fn chown(path: &Path, ids: Ids) -> Result<(), SysError> {
    if fs::symlink_metadata(path).is_ok_and(|now| now.uid() == ids.uid && now.gid() == ids.gid) {
        return Ok(());
    }
    let why = "who owns a group's files may set its limits, make subgroups, move processes in";
    let call = FchownAt { dir: At::Cwd, path: path.as_os_str(), uid: ids.uid, gid: ids.gid, flags: 0, why };
    unless_gone(sys::make(&call))
}

/// Changes the mode. What the owner may not do now, nobody may: a read-only
/// file stays one.
fn chmod(path: &Path, mode: Option<u32>) -> Result<(), SysError> {
    let Some(mode) = mode else { return Ok(()) };
    let Ok(now) = fs::symlink_metadata(path) else { return Ok(()) };
    let owner = now.mode() & 0o700;
    let mode = mode & (owner | owner >> 3 | owner >> 6 | 0o7000);
    let why = "the mode says what group and others may do with it";
    unless_gone(sys::make(&FchmodAt { dir: At::Cwd, path: path.as_os_str(), mode, why }))
}
