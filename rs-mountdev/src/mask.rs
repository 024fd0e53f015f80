//! Paths of `proc` and `sys` that tell too much or change the host, and how
//! a path is hidden or made read-only.

use crate::bind::{Change, Source, bind};
use crate::error::{Error, Why};
use crate::fresh::{Fresh, PLAIN};
use crate::resolve::{Missing, resolve};
use crate::root::{Place, Root};
use crate::value::FsOption;
use chain::sys::mount::tree::MountAttr;
use nix::errno::Errno;
use rustix::fs::FileType;
use std::ffi::OsStr;
use std::path::Path;

/// What docker hides: the OCI's examples and two more.
pub const HIDDEN: &[&str] = &[
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
];

/// What docker makes read-only.
pub const READ_ONLY: &[&str] = &["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// `path` in the root, or nothing where nothing is there.
fn existing(root: &Root, path: &OsStr) -> Result<Option<Place>, Error> {
    match resolve(root, path, Missing::Refuse) {
        Ok(place) => Ok(Some(place)),
        Err(Error::Refused { why: Why::Errno(Errno::ENOENT | Errno::ENOTDIR) | Why::Dangling, .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Hides `path`: a folder under an empty read-only tmpfs, anything else under
/// `null`, the host's verified null device. What is missing is hidden. Gives
/// the place, if there is one.
///
/// # Errors
/// The kernel's reason.
pub fn hide(root: &Root, path: &OsStr, null: Source) -> Result<Option<Place>, Error> {
    let Some(place) = existing(root, path)? else { return Ok(None) };
    if place.kind() == FileType::Directory {
        empty_folder().mount_on(&place)?;
    } else {
        let change = crate::device::flags(&null, &place.name)?;
        bind(root, null, &place, change)?;
    }
    Ok(Some(place))
}

fn empty_folder() -> Fresh {
    let options = |inodes| {
        vec![FsOption::new("mode", "0555"), FsOption::new("nr_blocks", "1"), FsOption::new("nr_inodes", inodes)]
    };
    Fresh {
        // Some old kernels find one inode too few.
        otherwise: Some(options("2")),
        ..Fresh::new(
            "tmpfs",
            options("1"),
            PLAIN.and(MountAttr::RDONLY),
            "an empty folder that nobody can write hides this one",
        )
    }
}

/// Makes `path`, and what is mounted below, read-only. Where it is missing:
/// an error if `required`.
///
/// # Errors
/// The kernel's reason.
pub fn protect(root: &Root, path: &OsStr, required: bool) -> Result<(), Error> {
    let place = match existing(root, path)? {
        Some(place) => place,
        None if required => return Err(Error::refused(Path::new(path), Why::Errno(Errno::ENOENT))),
        None => return Ok(()),
    };
    let refused = |errno| Error::refused(path, Why::Errno(errno));
    let again = rustix::io::fcntl_dupfd_cloexec(&place.fd, 3).map_err(|e| refused(crate::error::errno(e)))?;
    let mut source = Source::from_fd(again, &place.path).map_err(refused)?;
    source.copy(true, &place.name)?;
    bind(root, source, &place, Change { set: MountAttr::RDONLY, clear: MountAttr::NONE, recursive: true }).map(drop)
}
