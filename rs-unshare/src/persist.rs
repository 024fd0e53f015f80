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
/// caller's paths, on the caller's mounts.
#[derive(Debug)]
pub struct Binder {
    bind: Helper,
    undo: Helper,
}

/// The files are bound.
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
        let undo = Helper::start(why, || {
            take_back(files);
            0
        })?;
        let bind = Helper::start(why, || bind_all(files, me, fork).map_or_else(|error| report(&error), |()| 0))?;
        Ok(Some(Self { bind, undo }))
    }

    /// Has the files bound. A failure leaves none of them bound.
    ///
    /// # Errors
    /// The helper has said why, or was killed.
    pub fn bind(self) -> Result<Bound, Error> {
        let bound = Bound(self.undo);
        match self.bind.work() {
            Ok(End::Exited(0)) => Ok(bound),
            Ok(End::Exited(status)) => Err(Error::Said { status }),
            Ok(End::Killed(signal)) => {
                bound.take_back();
                Err(Error::HelperKilled { task: "binds the namespaces", signal: Signal(signal) })
            }
            Err(error) => {
                bound.take_back();
                Err(error.into())
            }
        }
    }
}

impl Bound {
    /// Unmounts the files again: the command failed.
    pub fn take_back(self) {
        // What cannot be unmounted was not bound; the first cause is reported.
        let _ = self.0.work();
    }
}

fn bind_all(files: &[File], pid: Pid, fork: bool) -> Result<(), Error> {
    for (done, file) in files.iter().enumerate() {
        let source = OsString::from(format!("/proc/{pid}/ns/{}", file.name));
        let mount = Mount {
            source: Some(&source),
            target: &file.file,
            fstype: None,
            flags: libc::MS_BIND,
            data: None,
            why: "a namespace lives as long as something holds it: a process in it, or this file",
        };
        if let Err(error) = sys::make(&mount) {
            take_back(&files[..done]);
            return Err(Error::advised(error, |errno| advice(file, errno, fork)));
        }
    }
    Ok(())
}

fn take_back(files: &[File]) {
    for file in files.iter().rev() {
        let why = "the command failed: nothing of it stays";
        let _ = sys::quietly(&Umount2 { target: &file.file, flags: libc::MNT_DETACH, why });
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
