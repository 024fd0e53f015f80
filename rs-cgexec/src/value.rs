//! Reading and setting parameters, in the host's own version or through the
//! table of [`convert`](crate::convert).

use crate::convert::{self, How, Match, Refusal};
use crate::group::{Control, children, tree, words};
use crate::hierarchy::{Hierarchy, Host, Mode, Version};
use crate::status::{Error, NO_FILE, NOT_MOUNTED, SYSTEM};
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A parameter and what it is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// `CONTROLLER.rest`.
    pub name: String,
    /// What is written, as it is.
    pub value: OsString,
}

/// What stands before the first dot; `None` without a dot.
pub fn controller(name: &str) -> Option<&str> {
    name.split_once('.').map(|(controller, _)| controller)
}

/// How a parameter is reached in a group.
enum Way {
    /// The file of that name.
    Direct(PathBuf),
    /// A file of the other version in this directory.
    Through(PathBuf, Box<Match>),
}

/// Pairs that the kernel, or the arithmetic, takes in one order only.
const PAIRS: [[&str; 2]; 2] =
    [["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"], ["memory.max", "memory.swap.max"]];

/// Parameters of one group.
#[derive(Debug)]
pub struct Parameters<'h> {
    /// What is mounted.
    pub host: &'h Host,
    /// The group's name, as typed.
    pub name: &'h OsStr,
    /// The group, relative to the mount points.
    pub path: PathBuf,
}

impl Parameters<'_> {
    fn missing_group(&self, dir: PathBuf, status: u8) -> Error {
        Error::NoGroup { group: self.name.to_owned(), dir, status }
    }

    /// Finds the file behind `name`. `statuses`: for a controller that is not
    /// mounted, for a file or group that is not there.
    fn way(&self, name: &str, statuses: (u8, u8)) -> Result<Way, Error> {
        let own = controller(name).and_then(|controller| self.host.find(controller));
        let mut dir = own.map(|hierarchy| hierarchy.dir(&self.path));
        if let Some(file) = dir.as_ref().map(|dir| dir.join(name)).filter(|file| fs::symlink_metadata(file).is_ok()) {
            return Ok(Way::Direct(file));
        }
        let mut first = None;
        for found in convert::matches(name) {
            let Some(other) = self.counterpart(&found, own) else { continue };
            let there = other.dir(&self.path);
            let exists = |file: &str| there.join(file).exists();
            let serves = found.target.as_deref().is_none_or(exists) && there.is_dir();
            dir.get_or_insert_with(|| there.clone());
            if serves {
                return Ok(Way::Through(there, Box::new(found)));
            }
            first.get_or_insert((there, found));
        }
        let Some(dir) = dir else {
            let controller = controller(name).unwrap_or(name).to_owned();
            return Err(Error::Unknown { controller, status: statuses.0 });
        };
        match first {
            Some((there, _)) if !there.is_dir() => Err(self.missing_group(there, statuses.1)),
            Some((there, found)) => {
                let file = found.target.unwrap_or(found.name);
                Err(missing_file(&there, &file, statuses.1))
            }
            None if !dir.is_dir() => Err(self.missing_group(dir, statuses.1)),
            None => Err(missing_file(&dir, name, statuses.1)),
        }
    }

    /// The hierarchy in which the counterpart of `found` lies; for a name
    /// without one, where it would lie if the host had none of its version.
    fn counterpart<'a>(&'a self, found: &Match, own: Option<&'a Hierarchy>) -> Option<&'a Hierarchy> {
        let of_host = |h: &&Hierarchy| h.version == found.host();
        if let Some(target) = &found.target {
            return self.host.find(controller(target)?).filter(of_host);
        }
        if own.is_some() {
            return own.filter(of_host);
        }
        match (found.host(), self.host.mode()) {
            (Version::V2, Mode::Unified) => self.host.v2(),
            _ => None,
        }
    }

    /// The value of `name`, without the last newline.
    ///
    /// # Errors
    /// 96 for whatever stands in the way, 111 without an equivalent.
    pub fn get(&self, name: &str) -> Result<Vec<u8>, Error> {
        match self.way(name, (SYSTEM, SYSTEM))? {
            Way::Direct(file) => {
                let text = match fs::read(&file) {
                    Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::PermissionDenied) => {
                        return Err(refused_read(&file, name, &error));
                    }
                    // It takes and tells nothing (`memory.force_empty`).
                    text => text.unwrap_or_default(),
                };
                Ok(text.strip_suffix(b"\n").map(<[u8]>::to_vec).unwrap_or(text))
            }
            Way::Through(dir, found) => {
                convert::show(&found, &files_of(&dir)).map(String::into_bytes).map_err(|refusal| refused(&dir, refusal))
            }
        }
    }

    /// Applies `rules` in order. What was written before a failure stays.
    ///
    /// # Errors
    /// The first failure.
    pub fn set(&self, rules: &[Rule]) -> Result<(), Error> {
        let mut done = vec![false; rules.len()];
        for at in 0..rules.len() {
            if done[at] {
                continue;
            }
            done[at] = true;
            if let Some(both) = self.set_quota_and_period(rules, &mut done, at) {
                both?;
                continue;
            }
            let Err(error) = self.set_one(&rules[at]) else { continue };
            // One of a pair may only have to wait for the other.
            let other = PAIRS
                .iter()
                .find(|pair| pair.contains(&rules[at].name.as_str()))
                .and_then(|pair| (at + 1..rules.len()).find(|i| !done[*i] && pair.contains(&rules[*i].name.as_str())));
            let Some(other) = other.filter(|_| may_wait(&error)) else { return Err(error) };
            done[other] = true;
            self.set_one(&rules[other])?;
            self.set_one(&rules[at])?;
        }
        Ok(())
    }

    fn set_one(&self, rule: &Rule) -> Result<(), Error> {
        match self.way(&rule.name, (NOT_MOUNTED, NO_FILE))? {
            Way::Direct(file) => write(&file, rule.value.as_bytes()),
            Way::Through(dir, found) => {
                let value = rule.value.to_string_lossy();
                let steps = convert::plan(&found, &value, &files_of(&dir)).map_err(|refusal| refused(&dir, refusal))?;
                steps.iter().try_for_each(|step| {
                    let result = write(&dir.join(&step.file), step.value.as_bytes());
                    match result {
                        Err(Error::Step { source, .. }) if Some(source.errno) == step.forgiven => Ok(()),
                        result => result,
                    }
                })
            }
        }
    }

    /// v1's quota and period are one file on v2: set in one command they are
    /// one write, so that no step is refused for the sake of the other.
    fn set_quota_and_period(&self, rules: &[Rule], done: &mut [bool], at: usize) -> Option<Result<(), Error>> {
        const NAMES: [&str; 2] = ["cpu.cfs_quota_us", "cpu.cfs_period_us"];
        let own = NAMES.iter().position(|name| *name == rules[at].name)?;
        let other = (at + 1..rules.len()).find(|i| !done[*i] && rules[*i].name == NAMES[1 - own])?;
        let Ok(Way::Through(dir, found)) = self.way(&rules[at].name, (NOT_MOUNTED, NO_FILE)) else { return None };
        let partner =
            convert::matches(NAMES[1 - own]).find(|found| matches!(found.row.how, How::Quota | How::Period))?;
        done[other] = true;
        let real = files_of(&dir);
        let both = || {
            let first = convert::plan(&found, &rules[at].value.to_string_lossy(), &real)?;
            let after = |file: &str| {
                first.iter().find(|step| step.file == file).map_or_else(|| real(file), |step| Ok(step.value.clone()))
            };
            convert::plan(&partner, &rules[other].value.to_string_lossy(), &after)
        };
        let steps = both().map_err(|refusal| refused(&dir, refusal));
        Some(
            steps.and_then(|steps| {
                steps.iter().try_for_each(|step| write(&dir.join(&step.file), step.value.as_bytes()))
            }),
        )
    }

    /// [`set`](Self::set) for the group and every group below it.
    ///
    /// # Errors
    /// The first failure.
    pub fn set_tree(&self, rules: &[Rule]) -> Result<(), Error> {
        for rule in rules {
            let own = controller(&rule.name)
                .and_then(|name| self.host.find(name))
                .or_else(|| convert::matches(&rule.name).find_map(|found| self.counterpart(&found, None)));
            let Some(hierarchy) = own else { return self.set_one(rule) };
            let top = hierarchy.dir(&self.path);
            if rule.name == "cgroup.subtree_control" {
                set_subtree_control(&top, &rule.value)?;
                continue;
            }
            for dir in tree(&top) {
                let path = dir.strip_prefix(&hierarchy.mounts[0]).unwrap_or(&dir).to_owned();
                Parameters { host: self.host, name: self.name, path }.set_one(rule)?;
            }
        }
        Ok(())
    }
}

/// `+x` from the top down leaving out the leaves, `-x` from the bottom up.
fn set_subtree_control(top: &Path, value: &OsStr) -> Result<(), Error> {
    for word in value.as_bytes().split(|b| *b == b' ').filter(|word| !word.is_empty()) {
        let mut dirs = tree(top);
        if word.starts_with(b"-") {
            dirs.reverse();
        } else {
            dirs.retain(|dir| dir == top || !children(dir).is_empty());
        }
        for dir in dirs {
            write(&dir.join("cgroup.subtree_control"), word)?;
        }
    }
    Ok(())
}

fn may_wait(error: &Error) -> bool {
    match error {
        Error::Step { source, .. } => source.errno == Errno::EINVAL,
        Error::Value { refusal: Refusal::Invalid { .. }, .. } => true,
        _ => false,
    }
}

fn files_of(dir: &Path) -> impl Fn(&str) -> Result<String, Errno> {
    let dir = dir.to_owned();
    move |file| fs::read_to_string(dir.join(file)).map_err(|error| errno(&error))
}

fn errno(error: &std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}

fn refused_read(file: &Path, name: &str, error: &std::io::Error) -> Error {
    refused(file.parent().unwrap_or(file), Refusal::Read { file: name.to_owned(), errno: errno(error) })
}

fn refused(dir: &Path, refusal: Refusal) -> Error {
    let status = refusal.status();
    Error::Value { dir: dir.to_owned(), refusal, status, hint: None }
}

/// The file is not there; on v2 mostly because the parent does not pass the
/// controller on.
fn missing_file(dir: &Path, name: &str, status: u8) -> Error {
    let control = dir.join("../cgroup.subtree_control");
    let controller = controller(name).unwrap_or(name);
    let v2 = control.exists() && controller != "cgroup";
    let hint = (v2 && !words(&control).iter().any(|on| on == controller)).then(|| {
        let parent = dir.parent().unwrap_or(dir).join("cgroup.subtree_control");
        format!("controller {controller} is off for this group: write +{controller} to {}", parent.display())
    });
    Error::Value { dir: dir.to_owned(), refusal: Refusal::Missing(name.to_owned()), status, hint }
}

/// Whether `file` is on cgroup v2, each of whose groups has this neighbour.
fn on_v2(file: &Path) -> bool {
    file.with_file_name("cgroup.controllers").exists()
}

/// Writes a parameter in one write, without a newline.
fn write(file: &Path, value: &[u8]) -> Result<(), Error> {
    let why = "a limit is a file of the group: the kernel reads what is written to it in one piece";
    let read_only = || fs::symlink_metadata(file).is_ok_and(|about| about.mode() & 0o222 == 0);
    let control = Control::open(file, why).map_err(|source| {
        let status = if read_only() { SYSTEM } else { NO_FILE };
        Error::Step { source, status }
    })?;
    match control.write(value, why) {
        // A v1 setting that newer kernels have retired. On v2 it is a refusal.
        Err(retired) if retired.errno == Errno::EOPNOTSUPP && !on_v2(file) => Ok(()),
        result => result.map_err(Error::step(SYSTEM)),
    }
}
