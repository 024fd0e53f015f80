//! Reading tar, all formats, as strictly as its readers must agree: names are
//! bytes, every number is checked, nothing is allocated from a declared size.
//!
//! Facts from tar(5) of libarchive, POSIX pax, and GNU tar's manual ("Basic
//! Tar Format", "Sparse Formats").

mod header;
mod pax;
mod reader;
mod sparse;

pub use reader::Reader;
pub use sparse::Segment;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Kind {
    /// A regular file.
    #[default]
    File,
    /// Another name for a file.
    HardLink,
    /// A symbolic link.
    Link,
    /// A character device.
    Char,
    /// A block device.
    Block,
    /// A folder.
    Folder,
    /// A named pipe.
    Pipe,
}

/// One entry: what its headers say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its name, as it stands in the archive.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// Permission bits, `07777` at most.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Seconds since 1970, and nanoseconds.
    pub mtime: (i64, u32),
    /// Size in bytes; of a sparse file, with its holes.
    pub size: u64,
    /// Target of a link.
    pub link: Vec<u8>,
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// Extended attributes: name and value.
    pub attributes: Vec<(Vec<u8>, Vec<u8>)>,
    /// Where a sparse file has data, ascending.
    pub sparse: Option<Vec<Segment>>,
}

/// Why an archive is refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stream behind it failed.
    #[error(transparent)]
    Stream(#[from] anyhow::Error),
    /// Nothing at all.
    #[error("the archive is empty: not one byte")]
    Empty,
    /// It ends where more was announced.
    #[error("the archive is cut off in the middle of {0}")]
    Cut(&'static str),
    /// The sum does not fit the header.
    #[error("bad header checksum: this is no tar archive, or a damaged one")]
    Checksum,
    /// A field that is no number, or too large a one.
    #[error("bad {field} in the header: {what}")]
    Number {
        /// Which field.
        field: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// A type that has no place in a file system.
    #[error("unsupported entry type '{}'", [*.0].escape_ascii())]
    Type(u8),
    /// A PAX record that breaks the rules.
    #[error("bad extended header: {0}")]
    Pax(&'static str),
    /// More than an archive may have.
    #[error("{0}")]
    Limit(&'static str),
    /// A sparse map that does not fit its file.
    #[error("bad sparse map: {0}")]
    Sparse(&'static str),
    /// A header that two readers may read differently.
    #[error("ambiguous header: {0}")]
    Ambiguous(&'static str),
}
