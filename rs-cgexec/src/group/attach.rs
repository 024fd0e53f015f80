//! Moving processes into groups.

use super::{Control, exists, kind, words};
use crate::hierarchy::{Host, Target, Version};
use crate::spec::Spec;
use crate::status::{Error, NO_GROUP, NOT_ALLOWED, NOT_OWNER, SYSTEM};
use chain::SysError;
use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Who moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// This process, which has one thread.
    Myself,
    /// Every thread of this process.
    Process(i32),
}

/// A group of one hierarchy, ready to be entered.
#[derive(Debug)]
pub struct Place<'h> {
    /// Its hierarchy, and what led there.
    pub target: Target<'h>,
    /// Its directory.
    pub dir: PathBuf,
    /// Its name, as given.
    pub spec: Spec,
}

/// The groups that `specs` lead to, in order.
///
/// # Errors
/// A controller that is nowhere: 87.
pub fn places<'h>(host: &'h Host, specs: &[Spec], default_group: bool) -> Result<Vec<Place<'h>>, Error> {
    let mut places = Vec::new();
    for spec in specs {
        let path = host.path(&spec.group, default_group)?;
        for target in host.targets(spec, NOT_ALLOWED)? {
            let dir = target.hierarchy.dir(&path);
            places.push(Place { target, dir, spec: spec.clone() });
        }
    }
    Ok(places)
}

impl Place<'_> {
    /// Moves `who` into the group.
    ///
    /// # Errors
    /// A missing group (82), a controller that the group does not have (81),
    /// a control file that may not be opened (85, 87), a refused move (96).
    pub fn attach(&self, who: Who) -> Result<(), Error> {
        match self.target.hierarchy.version {
            Version::V1 => self.attach_v1(who),
            Version::V2 => self.attach_v2(who),
        }
    }

    /// Whether the group has every controller that was asked for by name.
    ///
    /// # Errors
    /// A missing group, a controller that the parent does not pass on.
    pub fn check_v2(&self) -> Result<(), Error> {
        if !exists(&self.dir).map_err(Error::step(NOT_ALLOWED))? {
            return Err(self.missing());
        }
        // The top group's parent is not ours to see; it has what there is.
        let top = self.dir == self.target.hierarchy.mounts[0];
        if top || self.spec.is_all() || self.target.needs.is_empty() {
            return Ok(());
        }
        let enabled = words(&self.dir.join("../cgroup.subtree_control"));
        match self.target.needs.iter().find(|need| !enabled.contains(need)) {
            Some(need) => Err(Error::NotEnabled { controller: need.clone(), dir: self.dir.clone() }),
            None => Ok(()),
        }
    }

    /// The group is not there.
    pub(crate) fn missing(&self) -> Error {
        Error::NoGroup { group: self.spec.group.clone(), dir: self.dir.clone(), status: NO_GROUP }
    }

    fn open<'p>(&self, file: &'p Path, why: &str) -> Result<Control<'p>, Error> {
        Control::open(file, why).map_err(|source| match source.errno {
            Errno::ENOENT if !self.dir.is_dir() => self.missing(),
            Errno::EPERM => Error::Step { source, status: NOT_OWNER },
            _ => Error::Step { source, status: NOT_ALLOWED },
        })
    }

    /// A write of `0` to `tasks` moves the writing thread and needs no global
    /// lock: a hundred times faster than `cgroup.procs`.
    fn attach_v1(&self, who: Who) -> Result<(), Error> {
        let file = self.dir.join("tasks");
        let moved = match who {
            Who::Myself => {
                let why = "on cgroup v1 a 0 in tasks moves the thread that writes it: limits hold from here on";
                let written = match self.open(&file, why) {
                    Ok(tasks) => tasks.write(b"0", why),
                    Err(Error::Step { source, .. }) if source.errno == Errno::ENOENT => Err(source),
                    Err(error) => return Err(error),
                };
                match written {
                    Err(refused) if matches!(refused.errno, Errno::ENOENT | Errno::EINVAL | Errno::EOPNOTSUPP) => {
                        let procs = self.dir.join("cgroup.procs");
                        self.open(&procs, why)?.write(b"0", "a 0 in cgroup.procs moves the process that writes it")
                    }
                    written => written,
                }
            }
            Who::Process(pid) => {
                let why = "each thread moves by itself on cgroup v1";
                let tasks = self.open(&file, why)?;
                threads(pid).iter().try_for_each(|tid| match tasks.write(tid.as_bytes(), why) {
                    // A thread may end meanwhile, the process may not.
                    Err(gone) if gone.errno == Errno::ESRCH && alive(pid) => Ok(()),
                    result => result,
                })
            }
        };
        moved.map_err(|source| Error::Step { source: self.explained(source), status: SYSTEM })
    }

    fn attach_v2(&self, who: Who) -> Result<(), Error> {
        self.check_v2()?;
        // In a threaded group too: cgroup.threads takes one thread, and none
        // from another domain.
        let file = self.dir.join("cgroup.procs");
        let why = "writing a process to this file moves it into the group: limits hold from here on";
        let control = self.open(&file, why)?;
        let id = match who {
            Who::Myself => "0".to_owned(),
            Who::Process(pid) => pid.to_string(),
        };
        control.write(id.as_bytes(), why).map_err(|source| self.refused_v2(source, who))
    }

    /// Finds the cause of a refusal of v2 (cgroups(7)).
    pub(crate) fn refused_v2(&self, mut source: SysError, who: Who) -> Error {
        if source.errno == Errno::EACCES
            && let Some(file) = self.foreign_ancestor(who)
        {
            return Error::NotDelegated { source, file, way: self.way_out(who) };
        }
        let passed_on = words(&self.dir.join("cgroup.subtree_control"));
        source.hint = match source.errno {
            Errno::EBUSY if !passed_on.is_empty() => Some(format!(
                "{} passes controllers on to subgroups ({}), so it holds no processes itself: use a subgroup",
                self.dir.display(),
                passed_on.join(" ")
            )),
            Errno::EOPNOTSUPP if kind(&self.dir).as_deref() == Some("domain invalid") => Some(format!(
                "{} is 'domain invalid': a group above it holds processes; move them into a subgroup of their own",
                self.dir.display()
            )),
            _ => source.hint,
        };
        Error::Step { source, status: SYSTEM }
    }

    /// `cgroup.procs` of the nearest common ancestor of the process's group
    /// and this one, if the caller may not write it.
    fn foreign_ancestor(&self, who: Who) -> Option<PathBuf> {
        let table = match who {
            Who::Myself => "/proc/self/cgroup".to_owned(),
            Who::Process(pid) => format!("/proc/{pid}/cgroup"),
        };
        let text = fs::read(table).ok()?;
        let now = text.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(b"0::/"))?;
        let mount = &self.target.hierarchy.mounts[0];
        let wanted = self.dir.strip_prefix(mount).ok()?;
        let common = Path::new(OsStr::from_bytes(now)).components().zip(wanted.components());
        let common: PathBuf = common.take_while(|(a, b)| a == b).map(|(part, _)| part).collect();
        let file = mount.join(common).join("cgroup.procs");
        access(&file, AccessFlags::W_OK).is_err().then_some(file)
    }

    fn way_out(&self, who: Who) -> String {
        let user_manager = format!("/run/user/{}/systemd/private", nix::unistd::getuid());
        if who == Who::Myself && Path::new(&user_manager).exists() {
            return "start inside a subtree of your own: systemd-run --user --scope -p Delegate=yes -- COMMAND"
                .to_owned();
        }
        let mut list = self.target.asked.join(",");
        if list == "cgroup" {
            list.clear();
        }
        let pid = match who {
            Who::Myself => "$$".to_owned(),
            Who::Process(pid) => pid.to_string(),
        };
        format!(
            "once, as root, move the first process in: sudo cgclassify -g {list}:{} {pid}",
            self.spec.group.display()
        )
    }

    /// Adds what a look at a v1 group shows.
    fn explained(&self, mut source: SysError) -> SysError {
        if source.errno == Errno::ENOSPC && self.target.asked.iter().any(|name| name == "cpuset") {
            let empty = |name: &&str| words(&self.dir.join(name)).is_empty();
            source.hint = ["cpuset.cpus", "cpuset.mems"].iter().find(|name| empty(name)).map(|name| {
                format!("{name} of {} is empty: set it before the first process enters", self.dir.display())
            });
        }
        source
    }
}

/// The threads of `pid`, or itself where it cannot be seen.
fn threads(pid: i32) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().filter_map(Result::ok);
    let tids: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    if tids.is_empty() { vec![pid.to_string()] } else { tids }
}

fn alive(pid: i32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}
