//! Namespaces that stay: binding `/proc/PID/ns/NAME` on a file of the
//! caller's keeps a namespace alive without a process in it.

use crate::error::Error;
use crate::options::File;
use chain::child::{End, Helper};
use chain::error::report;
use chain::notation::Signal;
use chain::sys::mount::{Mount, Umount2};
use chain::sys::namespace::Namespaces;
use chain::{SysError, hint, sys};
use nix::errno::Errno;
use nix::unistd::Pid;
use std::ffi::OsString;
use std::path::Path;

/// Two helpers that stay in the caller's namespaces: the files are the
/// caller's paths, on the caller's mounts. One binds, the other takes back.
#[derive(Debug)]
pub struct Binder {
    bind: Helper,
    undo: Helper,
}

/// The files are bound, until this is dropped or this process is killed.
#[derive(Debug)]
pub struct Bound(Helper);

impl Binder {
    /// Makes the helpers, if there is a file.
    ///
    /// # Errors
    /// No child could be made.
    pub fn start(files: &[File], fork: bool) -> Result<Option<Self>, SysError> {
        if files.is_empty() {
            return Ok(None);
        }
        let me = Pid::this();
        let why = "the files of persistent namespaces are on the caller's mounts, which this process is about to leave: \
                   a copy of it stays";
        let before: Vec<_> = files.iter().map(seen).collect();
        let undo = Helper::guard(why, || take_back(files, &before))?;
        let bind = Helper::start(why, || bind_all(files, me, fork).map_or_else(|error| report(&error), |()| 0))?;
        Ok(Some(Self { bind, undo }))
    }

    /// Has the files bound. A failure leaves none of them bound.
    ///
    /// # Errors
    /// The helper has said why, or was killed.
    pub fn bind(self) -> Result<Bound, Error> {
        let bound = Bound(self.undo);
        match self.bind.work()? {
            End::Exited(0) => Ok(bound),
            End::Exited(status) => Err(Error::Said { status }),
            End::Killed(signal) => Err(Error::HelperKilled { task: "binds the namespaces", signal: Signal(signal) }),
        }
    }
}

impl Bound {
    /// Leaves the files bound for good.
    ///
    /// # Errors
    /// The helper cannot be told, and has taken them back.
    pub fn keep(self) -> Result<(), SysError> {
        self.0.dismiss()
    }
}

/// What is seen at the file: its device and its number. A bind shows another.
fn seen(file: &File) -> Option<(libc::dev_t, libc::ino_t)> {
    nix::sys::stat::stat(file.file.as_os_str()).ok().map(|about| (about.st_dev, about.st_ino))
}

fn bind_all(files: &[File], pid: Pid, fork: bool) -> Result<(), Error> {
    for file in files {
        let source = OsString::from(format!("/proc/{pid}/ns/{}", file.name));
        let mount = Mount {
            source: Some(&source),
            target: &file.file,
            fstype: None,
            flags: libc::MS_BIND,
            data: None,
            why: "a namespace lives as long as something holds it: a process in it, or this file",
        };
        sys::make(&mount).map_err(|error| Error::advised(error, |errno| advice(file, errno, fork)))?;
    }
    Ok(())
}

/// Unmounts what is not as `before`: whoever bound it may have been killed,
/// and what was mounted there already stays.
fn take_back(files: &[File], before: &[Option<(libc::dev_t, libc::ino_t)>]) {
    let why = "the command failed: nothing of it stays";
    for (file, before) in files.iter().zip(before).rev() {
        // A file that was named twice is bound twice.
        while seen(file) != *before {
            if sys::quietly(&Umount2 { target: &file.file, flags: libc::MNT_DETACH, why }).is_err() {
                break;
            }
        }
    }
}

fn advice(file: &File, errno: Errno, fork: bool) -> Option<String> {
    match errno {
        Errno::ENOENT if file.kind == Namespaces::PID && !fork && Path::new(&file.file).exists() => {
            Some("a new pid namespace does not exist before its first process: add --fork (-f)".to_owned())
        }
        Errno::EINVAL if file.kind == Namespaces::MOUNT => {
            let point = hint::shared_mount(Path::new(&file.file))?;
            Some(format!(
                "{} is on a shared mount, to which a mount namespace cannot be bound: mount --make-private {}",
                file.file.display(),
                point.display()
            ))
        }
        _ => None,
    }
}
