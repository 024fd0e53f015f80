//! Namespaces that stay: binding `/proc/PID/ns/NAME` on a file of the
//! caller's keeps a namespace alive without a process in it.

use crate::error::Error;
use crate::options::File;
use chain::child::{End, Helper, number_in_proc};
use chain::error::report;
use chain::notation::Signal;
use chain::sys::mount::{Mount, Umount2};
use chain::sys::namespace::Namespaces;
use chain::{SysError, hint, say, sys};
use nix::errno::Errno;
use nix::unistd::Pid;
use std::fs::{Metadata, canonicalize, metadata, symlink_metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Two helpers that stay in the caller's namespaces: the files are the
/// caller's paths, on the caller's mounts. One binds, the other takes back.
#[derive(Debug)]
pub struct Binder {
    bind: Helper,
    undo: Helper,
}

/// What the helper that takes back is called.
const GUARD: &str = "takes the files back";

/// The files are bound, until this is dropped or this process is killed.
#[derive(Debug)]
pub struct Bound(Option<Helper>);

impl Binder {
    /// Makes the helpers, if there is a file.
    ///
    /// # Errors
    /// No child could be made.
    pub fn start(files: &[File], fork: bool) -> Result<Option<Self>, SysError> {
        if files.is_empty() {
            return Ok(None);
        }
        let me = number_in_proc()?;
        let why = "the files of persistent namespaces are on the caller's mounts, which this process is about to leave: \
                   a copy of it stays";
        let undo = Helper::guard(why, || files.iter().filter_map(|file| place(me, file)).collect(), take_back)?;
        let bind = Helper::start(why, || bind_all(files, me, fork).map_or_else(|error| report(&error), |()| 0))?;
        Ok(Some(Self { bind, undo }))
    }

    /// Has the files bound. A failure leaves none of them bound.
    ///
    /// # Errors
    /// A helper has said why, or was killed.
    pub fn bind(mut self) -> Result<Bound, Error> {
        if let Some(end) = self.undo.arm()? {
            return Err(Error::of_helper(GUARD, end));
        }
        let bound = Bound(Some(self.undo));
        match self.bind.work()? {
            End::Exited(0) => Ok(bound),
            end => Err(Error::of_helper("binds the namespaces", end)),
        }
    }
}

impl Bound {
    /// Leaves the files bound for good.
    ///
    /// # Errors
    /// The helper cannot be told, and has taken them back.
    pub fn keep(mut self) -> Result<(), SysError> {
        self.0.take().map_or(Ok(()), Helper::dismiss)
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if let Some(Ok(End::Killed(signal))) = self.0.take().map(Helper::release) {
            say(&format!("the process that {GUARD} was killed by {}: they may stay bound", Signal(signal)));
        }
    }
}

/// What tells a file, and so a namespace, from every other.
type Identity = (u64, u64);

fn identity(about: &Metadata) -> Identity {
    (about.dev(), about.ino())
}

/// The namespace of process `pid` that `file` is for, as `/proc` counts.
fn source(pid: Pid, file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/{pid}/ns/{}", file.name))
}

/// Where `file` is, links followed as the bind follows them, and what is seen
/// there once it is bound. Without either nothing will be.
fn place(pid: Pid, file: &File) -> Option<(PathBuf, Identity)> {
    Some((canonicalize(&file.file).ok()?, identity(&metadata(source(pid, file)).ok()?)))
}

fn bind_all(files: &[File], pid: Pid, fork: bool) -> Result<(), Error> {
    for file in files {
        let source = source(pid, file);
        let mount = Mount {
            source: Some(source.as_os_str()),
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

/// Unmounts the namespaces, and nothing else: whoever bound them may have been
/// killed before, and others may have mounted there since.
fn take_back(places: Vec<(PathBuf, Identity)>) {
    let why = "the command failed: nothing of it stays";
    // A file that was named twice is bound twice.
    for (path, namespace) in places.into_iter().rev() {
        if symlink_metadata(&path).is_ok_and(|about| identity(&about) == namespace) {
            let flags = libc::MNT_DETACH | libc::UMOUNT_NOFOLLOW;
            let _ = sys::quietly(&Umount2 { target: path.as_os_str(), flags, why });
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
