//! After the last mount: walk again from the root and see that what was
//! mounted is what COMMAND will find.

use crate::error::{AtPlace, Error, Why, errno};
use crate::root::{Place, Root};
use rustix::fs::{FileType, FsWord, Stat};
use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The magic number of a file system (statfs(2)).
pub const fn magic(fstype: &str) -> Option<FsWord> {
    Some(match fstype.as_bytes() {
        b"proc" => 0x9fa0,
        b"sysfs" => 0x6265_6572,
        b"devpts" => 0x1cd1,
        b"tmpfs" => 0x0102_1994,
        b"mqueue" => 0x1980_0202,
        _ => return None,
    })
}

/// Every procfs's root has this inode number.
const PROC_ROOT: u64 = 1;

/// What must be at a place in the end.
#[derive(Debug, Clone)]
pub enum Expected {
    /// A file system of this type.
    Fs(PathBuf, &'static str),
    /// A device of this number.
    Node(PathBuf, u64),
    /// This very file.
    File(PathBuf, (u64, u64)),
    /// A symbolic link of this text.
    Link(PathBuf, OsString),
}

impl Expected {
    /// The very file that `stat` describes, at `place`.
    pub fn same(place: &Path, stat: &Stat) -> Self {
        Self::File(place.to_owned(), (stat.st_dev, stat.st_ino))
    }

    /// Where, from the root.
    pub fn place(&self) -> &Path {
        match self {
            Self::Fs(place, _) | Self::Node(place, _) | Self::File(place, _) | Self::Link(place, _) => place,
        }
    }

    /// Walks to the place, following nothing, and looks.
    ///
    /// # Errors
    /// It is not there, or something else is.
    pub fn verify(&self, root: &Root) -> Result<(), Error> {
        let place = self.place();
        let found = root.find(place).map_err(|errno| Error::refused(place, Why::Errno(errno)))?;
        if self.is(&found).at(place)? { Ok(()) } else { Err(Error::refused(place, Why::NotThere)) }
    }

    fn is(&self, found: &Place) -> rustix::io::Result<bool> {
        Ok(match self {
            Self::Fs(_, fstype) => {
                let number = rustix::fs::fstatfs(&found.fd)?.f_type;
                magic(fstype).is_none_or(|wanted| wanted == number)
                    && found.kind() == FileType::Directory
                    && (*fstype != "proc" || found.stat.st_ino == PROC_ROOT)
            }
            Self::Node(_, rdev) => {
                matches!(found.kind(), FileType::CharacterDevice | FileType::BlockDevice) && found.stat.st_rdev == *rdev
            }
            Self::File(_, identity) => (found.stat.st_dev, found.stat.st_ino) == *identity,
            Self::Link(_, text) => {
                found.kind() == FileType::Symlink
                    && rustix::fs::readlinkat(&found.fd, c"", Vec::new())?.as_bytes() == text.as_bytes()
            }
        })
    }
}

/// The text of the link that is open as `place`.
///
/// # Errors
/// It is none.
pub fn link_text(place: &Place) -> Result<OsString, Error> {
    let text = rustix::fs::readlinkat(&place.fd, c"", Vec::new());
    let text = text.map_err(|e| Error::refused(&place.name, Why::Errno(errno(e))))?;
    Ok(OsString::from_vec(text.into_bytes()))
}
