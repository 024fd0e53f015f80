//! New file systems: made and flagged before anybody can see them, then put
//! on a folder that is held open.

use crate::bind::{is_missing, old_mount};
use crate::error::{AtPlace, Error};
use crate::root::{Place, magic, refusal};
use crate::value::FsOption;
use chain::SysError;
use chain::sys::file::Fd;
use chain::sys::mount::Mount;
use chain::sys::mount::fresh::{FsConfig, FsMount, FsOpen, Setting};
use chain::sys::mount::tree::{MountAttr, MoveMount};
use chain::sys::quietly;
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::os::fd::AsFd;
use std::path::Path;

/// nosuid, nodev and noexec.
pub const PLAIN: MountAttr = MountAttr::NOSUID.and(MountAttr::NODEV).and(MountAttr::NOEXEC);

/// A new file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fresh {
    /// Its type; also what it is said to be mounted from.
    pub fstype: &'static str,
    /// Its options.
    pub options: Vec<FsOption>,
    /// Tried instead where the kernel finds those invalid.
    pub otherwise: Option<Vec<FsOption>>,
    /// The mount's flags.
    pub attr: MountAttr,
    /// Why, for `--explain`.
    pub why: &'static str,
}

/// Why one way of mounting did not work.
enum Stopped {
    /// The kernel does not have these calls.
    Missing,
    /// It does, and refused.
    Refused(SysError),
}

impl Fresh {
    /// One without alternatives.
    pub fn new(fstype: &'static str, options: Vec<FsOption>, attr: MountAttr, why: &'static str) -> Self {
        Self { fstype, options, otherwise: None, attr, why }
    }

    /// Makes it and mounts it on `place`.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn mount_on(&self, place: &Place) -> Result<(), Error> {
        match (self.attempt(&self.options, place), &self.otherwise) {
            (Err(Error::Step { source, .. }), Some(otherwise)) if source.errno == Errno::EINVAL => {
                self.attempt(otherwise, place)
            }
            (result, _) => result,
        }
    }

    fn attempt(&self, options: &[FsOption], place: &Place) -> Result<(), Error> {
        match self.by_descriptor(options, place) {
            Ok(()) => Ok(()),
            Err(Stopped::Refused(source)) => Err(source).at(&place.name),
            Err(Stopped::Missing) => self.by_name(options, place),
        }
    }

    fn by_descriptor(&self, options: &[FsOption], place: &Place) -> Result<(), Stopped> {
        let fstype = OsStr::new(self.fstype);
        let fs = step(&FsOpen { fstype, why: self.why })?;
        let fs = Fd { fd: fs.as_fd(), path: Path::new(fstype) };
        step(&FsConfig { fs, setting: Setting::Text(OsStr::new("source"), fstype) })?;
        for FsOption { key, value } in options {
            let setting = value.as_deref().map_or(Setting::Flag(key), |value| Setting::Text(key, value));
            step(&FsConfig { fs, setting })?;
        }
        step(&FsConfig { fs, setting: Setting::Create })?;
        let mount = step(&FsMount { fs, attr: self.attr })?;
        step(&MoveMount { mount: Fd { fd: mount.as_fd(), path: &place.path }, target: place.as_fd() })
    }

    /// Before Linux 5.2: one mount(2).
    fn by_name(&self, options: &[FsOption], place: &Place) -> Result<(), Error> {
        let target = magic(place.fd.as_fd(), &place.name)?;
        let mut data = OsString::new();
        for FsOption { key, value } in options {
            if !data.is_empty() {
                data.push(",");
            }
            data.push(key);
            if let Some(value) = value {
                data.push("=");
                data.push(value);
            }
        }
        let fstype = OsStr::new(self.fstype);
        let call = Mount {
            source: Some(fstype),
            target: target.as_os_str(),
            fstype: Some(fstype),
            flags: self.attr.as_ms(),
            data: (!data.is_empty()).then_some(data.as_os_str()),
            why: self.why,
        };
        old_mount(&call, format!("cannot make a {}", self.fstype), &place.name)
    }
}

fn step<C: chain::sys::Call>(call: &C) -> Result<C::Out, Stopped> {
    quietly(call).map_err(
        |errno| {
            if is_missing(errno) { Stopped::Missing } else { Stopped::Refused(refusal(call, errno)) }
        },
    )
}
