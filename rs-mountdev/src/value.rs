//! The values of options, from the words given.

use chain::sys::mount::tree::MountAttr;
use chain::table::Wrong;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// A value that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// `--device` with a third part.
    #[error("'{}' has a third part: a bind cannot limit access", .0.display())]
    ThirdPart(OsString),
    /// Nothing where a path belongs.
    #[error("the path is empty")]
    EmptyPath,
    /// No size.
    #[error("'{0}' is no size in bytes (k, m, g may follow)")]
    Size(String),
    /// No count.
    #[error("'{0}' is no number from 0 to 65535")]
    Count(String),
    /// None of the words that there are.
    #[error("'{0}' is none of {1}")]
    NoneOf(String, &'static str),
    /// No option of procfs.
    #[error("'{0}' is none of hidepid=0..4, gid=N, subset=pid, ro")]
    Proc(String),
}

impl From<ValueError> for Wrong {
    fn from(error: ValueError) -> Self {
        Self(error.to_string())
    }
}

/// How mounts are to propagate between this mount namespace and others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    /// Neither in nor out.
    Private,
    /// In, but not out.
    Slave,
    /// As it is, even if shared.
    Unchanged,
}

/// Whether something can be written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Read-only.
    Ro,
    /// Read and write.
    Rw,
}

/// One option of a file system: `key` or `key=value`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FsOption {
    /// The word before `=`.
    pub key: OsString,
    /// The word after it.
    pub value: Option<OsString>,
}

impl FsOption {
    /// `key=value`.
    pub fn new(key: &str, value: &str) -> Self {
        Self { key: key.into(), value: Some(value.into()) }
    }

    /// `key` alone.
    pub fn flag(key: &str) -> Self {
        Self { key: key.into(), value: None }
    }

    fn from_word(word: &[u8]) -> Self {
        match word.iter().position(|b| *b == b'=') {
            Some(at) => Self { key: os(&word[..at]), value: Some(os(&word[at + 1..])) },
            None => Self { key: os(word), value: None },
        }
    }
}

/// What `--proc-options` says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcOptions {
    /// For the file system.
    pub options: Vec<FsOption>,
    /// `ro`.
    pub read_only: bool,
}

/// What `--device` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DevicePair {
    /// The host's device.
    pub source: OsString,
    /// Its place in the root.
    pub dest: OsString,
}

/// What `--tmpfs` names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TmpfsArg {
    /// Its place in the root.
    pub dest: OsString,
    /// Options of the file system.
    pub options: Vec<FsOption>,
    /// Flags of the mount.
    pub attr: MountAttr,
}

fn os(bytes: &[u8]) -> OsString {
    OsString::from_vec(bytes.to_vec())
}

/// Reads `--propagation`.
///
/// # Errors
/// Another word.
pub fn propagation(how: &OsStr) -> Result<Propagation, ValueError> {
    match how.as_bytes() {
        b"private" => Ok(Propagation::Private),
        b"slave" => Ok(Propagation::Slave),
        b"unchanged" => Ok(Propagation::Unchanged),
        _ => Err(ValueError::NoneOf(how.to_string_lossy().into_owned(), "private, slave, unchanged")),
    }
}

/// Reads `--cgroup`.
///
/// # Errors
/// Another word.
pub fn access(word: &OsStr) -> Result<Access, ValueError> {
    match word.as_bytes() {
        b"ro" => Ok(Access::Ro),
        b"rw" => Ok(Access::Rw),
        _ => Err(ValueError::NoneOf(word.to_string_lossy().into_owned(), "ro, rw")),
    }
}

/// Reads `--proc-options`: names of hidepid become the numbers that kernels
/// before 5.8 know too (proc(5)).
///
/// # Errors
/// A word that is none of them.
pub fn proc_options(list: &OsStr) -> Result<ProcOptions, ValueError> {
    let mut read = ProcOptions::default();
    let list = list.to_string_lossy();
    for word in list.split(',').filter(|word| !word.is_empty()) {
        let wrong = || ValueError::Proc(word.to_owned());
        match word.split_once('=') {
            None if word == "ro" => read.read_only = true,
            Some(("hidepid", level)) => {
                let level = match level {
                    "off" => "0",
                    "noaccess" => "1",
                    "invisible" => "2",
                    "ptraceable" => "4",
                    "0" | "1" | "2" | "3" | "4" => level,
                    _ => return Err(wrong()),
                };
                read.options.push(FsOption::new("hidepid", level));
            }
            Some(("gid", gid)) if gid.parse::<u32>().is_ok() => read.options.push(FsOption::new("gid", gid)),
            Some(("subset", "pid")) => read.options.push(FsOption::new("subset", "pid")),
            _ => return Err(wrong()),
        }
    }
    Ok(read)
}

/// Reads `SRC[:DEST]`.
///
/// # Errors
/// A third part, an empty part.
pub fn device(word: &OsStr) -> Result<DevicePair, ValueError> {
    let parts: Vec<&[u8]> = word.as_bytes().split(|b| *b == b':').collect();
    if parts.iter().any(|part| part.is_empty()) {
        return Err(ValueError::EmptyPath);
    }
    match parts.as_slice() {
        [source] => Ok(DevicePair { source: os(source), dest: os(source) }),
        [source, dest] => Ok(DevicePair { source: os(source), dest: os(dest) }),
        _ => Err(ValueError::ThirdPart(word.to_owned())),
    }
}

/// Reads `DEST[:OPTS]`. Flags of the mount are `ro`, `noexec` and `noatime`,
/// and their opposites; nosuid and nodev are always on. Other words are for
/// the file system (tmpfs(5)).
///
/// # Errors
/// An empty DEST.
pub fn tmpfs(word: &OsStr) -> Result<TmpfsArg, ValueError> {
    let bytes = word.as_bytes();
    let (dest, list) = match bytes.iter().position(|b| *b == b':') {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &[][..]),
    };
    if dest.is_empty() {
        return Err(ValueError::EmptyPath);
    }
    let mut attr = MountAttr::NOSUID.and(MountAttr::NODEV);
    let mut options = vec![FsOption::new("mode", "0755")];
    for word in list.split(|b| *b == b',').filter(|word| !word.is_empty()) {
        match word {
            b"ro" => attr = attr.and(MountAttr::RDONLY),
            b"rw" => attr = attr.without(MountAttr::RDONLY),
            b"noexec" => attr = attr.and(MountAttr::NOEXEC),
            b"exec" => attr = attr.without(MountAttr::NOEXEC),
            b"noatime" => attr = attr.and(MountAttr::NOATIME),
            b"nosuid" | b"nodev" => {}
            _ => {
                let option = FsOption::from_word(word);
                options.retain(|earlier| earlier.key != option.key);
                options.push(option);
            }
        }
    }
    Ok(TmpfsArg { dest: os(dest), options, attr })
}

/// Reads a size in bytes; `k`, `m`, `g` count in steps of 1024.
///
/// # Errors
/// What is no number, is 0 or does not fit.
pub fn size(word: &OsStr) -> Result<u64, ValueError> {
    let text = word.to_string_lossy().to_lowercase();
    let wrong = || ValueError::Size(word.to_string_lossy().into_owned());
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let shift = match &text[digits.len()..] {
        "" | "b" => 0,
        "k" | "kb" => 10,
        "m" | "mb" => 20,
        "g" | "gb" => 30,
        _ => return Err(wrong()),
    };
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u64 = digits.parse().map_err(|_| wrong())?;
    number.checked_mul(1 << shift).filter(|bytes| *bytes > 0).ok_or_else(wrong)
}

/// Reads how many there are.
///
/// # Errors
/// What is no number, or does not fit.
pub fn count(word: &OsStr) -> Result<u16, ValueError> {
    let text = word.to_string_lossy();
    text.parse().map_err(|_| ValueError::Count(text.into_owned()))
}

/// A path that must not be empty.
///
/// # Errors
/// It is.
pub fn path(word: &OsStr) -> Result<OsString, ValueError> {
    if word.is_empty() { Err(ValueError::EmptyPath) } else { Ok(word.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn o(text: &str) -> &OsStr {
        OsStr::new(text)
    }

    #[test]
    fn sizes() {
        assert_eq!(size(o("65536")), Ok(65536));
        assert_eq!(size(o("64m")), Ok(64 << 20));
        assert_eq!(size(o("1G")), Ok(1 << 30));
        for wrong in ["", "0", "-1", "1x", "m", "1.5m", "+1", "99999999999999999999", "20000000000g"] {
            assert!(size(o(wrong)).is_err(), "{wrong}");
        }
    }

    #[test]
    fn devices() {
        let pair = device(o("/dev/fuse")).expect("a device");
        assert_eq!((pair.source, pair.dest), ("/dev/fuse".into(), "/dev/fuse".into()));
        assert_eq!(device(o("/dev/a:/b")).expect("two").dest, "/b");
        assert!(matches!(device(o("/dev/a:/b:rwm")), Err(ValueError::ThirdPart(_))));
        assert_eq!(device(o("/dev/a:")), Err(ValueError::EmptyPath));
    }

    #[test]
    fn tmpfs_options() {
        let arg = tmpfs(o("/run:size=1m,ro,mode=0700")).expect("a tmpfs");
        assert_eq!(arg.dest, "/run");
        assert_eq!(arg.options, [FsOption::new("size", "1m"), FsOption::new("mode", "0700")]);
        assert!(arg.attr.has(MountAttr::RDONLY.and(MountAttr::NOSUID).and(MountAttr::NODEV)));
        assert_eq!(tmpfs(o(":ro")), Err(ValueError::EmptyPath));
    }

    #[test]
    fn options_of_procfs() {
        let read = proc_options(o("hidepid=invisible,gid=4,subset=pid,ro")).expect("options");
        assert!(read.read_only);
        assert_eq!(read.options[0], FsOption::new("hidepid", "2"));
        for wrong in ["hidepid=5", "gid=x", "subset=all", "rw", "hidepid"] {
            assert!(proc_options(o(wrong)).is_err(), "{wrong}");
        }
    }
}
