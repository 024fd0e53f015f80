//! `--cgroup`: the cgroup file systems on `sys/fs/cgroup`, as the host has
//! them: version 2, version 1, or both.

use crate::action::Work;
use crate::bind::{Change, Source, bind, change_flags};
use crate::error::{Error, Why};
use crate::fresh::{Fresh, PLAIN};
use crate::link;
use crate::value::{Access, FsOption};
use crate::verify::Expected;
use chain::mountinfo::{self, MountEntry};
use chain::sys::mount::tree::MountAttr;
use nix::errno::Errno;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where they are, inside and outside.
const PLACE: &str = "sys/fs/cgroup";

/// Mounts them.
///
/// # Errors
/// The host has none, or the kernel refuses.
pub fn mount(work: &mut Work, access: Access) -> Result<(), Error> {
    let place = Path::new(PLACE);
    let mounts = mountinfo::read().map_err(|e| Error::refused(place, e.into()))?;
    let v1: Vec<&MountEntry> = mounts.iter().filter(|mount| mount.fstype == "cgroup").collect();
    let v2 = mounts.iter().find(|mount| mount.fstype == "cgroup2");
    if v1.is_empty() {
        let host = v2.ok_or_else(|| Error::refused(place, Why::Errno(Errno::ENODEV)))?;
        return unified(work, place, access, host);
    }
    let why = "version 1 has a hierarchy for each controller: a folder to hold them";
    let fs = Fresh::new("tmpfs", vec![FsOption::new("mode", "0755")], PLAIN, why);
    fs.mount_on(&work.root.folder(place)?)?;
    work.expected.push(Expected::Fs(place.to_owned(), "tmpfs"));
    let mut done: Vec<String> = Vec::new();
    for host in v1 {
        let Some(name) = folder_name(host).filter(|name| !done.contains(name)) else { continue };
        hierarchy(work, &place.join(&name), host)?;
        // `cpu` leads to `cpu,cpuacct`.
        for controller in name.split(',').filter(|controller| *controller != name) {
            link::in_dev(&work.root, &name, &place.join(controller))?;
        }
        done.push(name);
    }
    if let Some(host) = v2 {
        unified(work, &place.join("unified"), access, host)?;
    }
    let top = work.root.find(place).map_err(|errno| Error::refused(place, Why::Errno(errno)))?;
    change_flags(top.as_fd(), read_only(), place)?;
    work.root.keep_users_out(place)
}

fn read_only() -> Change {
    Change { set: PLAIN.and(MountAttr::RDONLY), ..Change::default() }
}

/// `cpu,cpuacct` or `systemd`: the last part of where the host has it, if it
/// is mounted whole there.
fn folder_name(host: &MountEntry) -> Option<String> {
    let name = host.point.file_name()?.to_str()?;
    host.point.parent()?.ends_with(PLACE).then(|| name.to_owned())
}

/// The words that say which hierarchy of version 1 it is.
fn controllers(host: &MountEntry) -> Vec<FsOption> {
    let word = |word: &OsStr| word.to_string_lossy().into_owned();
    let not_one = ["rw", "ro", "xattr", "clone_children", "noprefix", "cpuset_v2_mode"];
    host.super_words()
        .map(word)
        .filter(|word| !not_one.contains(&word.as_str()) && !word.starts_with("release_agent="))
        .map(|word| match word.split_once('=') {
            Some((key, value)) => FsOption::new(key, value),
            None => FsOption::flag(&word),
        })
        .collect()
}

/// A hierarchy of version 1: always read-only, as `release_agent` names a
/// program that the kernel runs on the host (CVE-2022-0492).
fn hierarchy(work: &mut Work, place: &Path, host: &MountEntry) -> Result<(), Error> {
    let attr = PLAIN.and(MountAttr::RDONLY);
    if own_namespace() {
        let mut options = controllers(host);
        if host.super_words().any(|word| word.as_bytes().starts_with(b"name=")) {
            options.insert(0, FsOption::flag("none"));
        }
        let fs = Fresh::new("cgroup", options, attr, "a cgroup namespace shows the own group as the root");
        if mounted(work, place, &fs)? {
            return Ok(());
        }
    }
    own_group(work, place, host, attr)
}

/// Mounts `fs`, unless the cgroup namespace is inherited: it belongs to a user
/// namespace outside, and nobody but its owner may.
fn mounted(work: &mut Work, place: &Path, fs: &Fresh) -> Result<bool, Error> {
    match fs.mount_on(&work.root.folder(place)?) {
        Err(Error::Step { source, .. }) if source.errno == Errno::EPERM => Ok(false),
        result => {
            result?;
            work.root.keep_users_out(place)?;
            Ok(true)
        }
    }
}

/// Version 2. Where the kernel refuses a new mount, the own group is bound;
/// without a cgroup namespace of its own only to read (CVE-2023-25809).
fn unified(work: &mut Work, place: &Path, access: Access, host: &MountEntry) -> Result<(), Error> {
    let attr = if access == Access::Ro { PLAIN.and(MountAttr::RDONLY) } else { PLAIN };
    if own_namespace() {
        let fs = Fresh::new("cgroup2", Vec::new(), attr, "a cgroup namespace shows the own group as the root");
        match mounted(work, place, &fs) {
            Ok(false) => {}
            Err(Error::Step { source, .. }) if source.errno == Errno::EBUSY => {
                return own_group(work, place, host, attr);
            }
            result => return result.map(drop),
        }
    }
    own_group(work, place, host, PLAIN.and(MountAttr::RDONLY))
}

/// Whether this cgroup namespace is another than the first, which has a fixed
/// inode number (`PROC_CGROUP_INIT_INO`).
fn own_namespace() -> bool {
    const FIRST: &str = "cgroup:[4026531835]";
    std::fs::read_link("/proc/self/ns/cgroup").is_ok_and(|own| own != Path::new(FIRST))
}

/// Binds the group that this process is in.
fn own_group(work: &mut Work, place: &Path, host: &MountEntry, attr: MountAttr) -> Result<(), Error> {
    let group = group_path(host).ok_or_else(|| Error::refused(place, Why::Errno(Errno::ENOENT)))?;
    let mut source = Source::open(&group).map_err(|errno| Error::refused(&group, Why::Errno(errno)))?;
    source.copy(true, place)?;
    let target = work.root.folder(place)?;
    bind(&work.root, source, &target, Change { set: attr, clear: MountAttr::NONE, recursive: true })?;
    work.root.keep_users_out(place)
}

/// Where the host's mount shows this process's group (`/proc/self/cgroup`).
fn group_path(host: &MountEntry) -> Option<PathBuf> {
    let text = std::fs::read_to_string("/proc/self/cgroup").ok()?;
    let words: Vec<String> = host.super_words().map(|word| word.to_string_lossy().into_owned()).collect();
    let path = text.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (_, list, path) = (parts.next()?, parts.next()?, parts.next()?);
        let matches = match (host.fstype == "cgroup2", list) {
            (true, list) => list.is_empty(),
            (false, list) => {
                !list.is_empty() && list.split(',').all(|controller| words.iter().any(|w| w == controller))
            }
        };
        matches.then(|| PathBuf::from(path))
    })?;
    let below = path.strip_prefix(&host.root).ok()?;
    Some(host.point.join(below))
}
