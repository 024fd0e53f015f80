//! The devices that every container has, and where they come from.

use crate::bind::{Change, Source};
use crate::error::{AtPlace, Error, Why};
use chain::sys::mount::tree::MountAttr;
use rustix::fs::{FileType, major, makedev, minor};
use std::path::{Path, PathBuf};

/// A device of the host that every program may expect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Device {
    /// Its name in `dev`.
    pub name: &'static str,
    /// Its number (Linux, Documentation/admin-guide/devices.txt).
    pub number: (u32, u32),
}

impl Device {
    /// Its path in the root.
    pub fn place(&self) -> PathBuf {
        Path::new("dev").join(self.name)
    }

    /// Its number as a file has it.
    pub fn rdev(&self) -> u64 {
        makedev(self.number.0, self.number.1)
    }

    /// The host's, verified by its number: a name proves nothing.
    ///
    /// # Errors
    /// It is missing, or something else.
    pub fn source(&self, place: &Path) -> Result<Source, Error> {
        let path = Path::new("/dev").join(self.name);
        let source = Source::open_itself(&path).map_err(|errno| Error::refused(&path, Why::Errno(errno)))?;
        if source.kind() != FileType::CharacterDevice || source.stat.st_rdev != self.rdev() {
            return Err(Error::refused(&path, Why::WrongDevice));
        }
        copied(source, place)
    }
}

/// `source` with its mount copied, as a device's.
///
/// # Errors
/// The kernel's reason.
pub fn copied(mut source: Source, place: &Path) -> Result<Source, Error> {
    source.copy(false, place)?;
    Ok(source)
}

/// The null device, which also hides files.
pub const NULL: Device = Device { name: "null", number: (1, 3) };
/// Reads as zeros.
pub const ZERO: Device = Device { name: "zero", number: (1, 5) };
/// Writes fail with `ENOSPC`.
pub const FULL: Device = Device { name: "full", number: (1, 7) };
/// Random bytes.
pub const RANDOM: Device = Device { name: "random", number: (1, 8) };
/// Random bytes.
pub const URANDOM: Device = Device { name: "urandom", number: (1, 9) };
/// The controlling terminal of whoever opens it.
pub const TTY: Device = Device { name: "tty", number: (5, 0) };

/// Makes a terminal: number 5:2.
pub const PTMX: (u32, u32) = (5, 2);

/// The flags of a bound device: never nodev, which would make it useless.
///
/// # Errors
/// The kernel does not tell which are there.
pub fn flags(source: &Source, place: &Path) -> Result<Change, Error> {
    let clear = if source.allows_devices().at(place)? { MountAttr::NONE } else { MountAttr::NODEV };
    Ok(Change { set: MountAttr::NOSUID.and(MountAttr::NOEXEC), clear, recursive: false })
}

/// Whether `source` is a device at all.
pub fn is_device(source: &Source) -> bool {
    matches!(source.kind(), FileType::CharacterDevice | FileType::BlockDevice)
}

/// Whether a number is that of a name for other terminals: `/dev/tty`,
/// `/dev/ptmx`.
pub fn stands_for_others(rdev: u64) -> bool {
    major(rdev) == 5 && matches!(minor(rdev), 0 | 2)
}
