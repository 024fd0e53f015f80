//! Reading and setting parameters, in the host's own version or through the
//! table of [`convert`](crate::convert).

mod set;

use crate::convert::{self, Match, Refusal};
use crate::group::{exists, words};
use crate::hierarchy::{Hierarchy, Host, Mode, Version};
use crate::status::{Error, SYSTEM};
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
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
    /// Why `file` of the group at `dir` does not serve: there is no such file,
    /// no such group, or that cannot be seen.
    fn missing(&self, dir: PathBuf, file: &str, status: u8) -> Error {
        match exists(&dir) {
            Ok(true) => missing_file(&dir, file, status),
            Ok(false) => Error::NoGroup { group: self.name.to_owned(), dir, status },
            Err(source) => Error::Step { source, status },
        }
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
        Err(match first {
            Some((there, found)) => self.missing(there, &found.target.unwrap_or(found.name), statuses.1),
            None => self.missing(dir, name, statuses.1),
        })
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
}

fn files_of(dir: &Path) -> impl Fn(&str) -> Result<String, Errno> + use<> {
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
