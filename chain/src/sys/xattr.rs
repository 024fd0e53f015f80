//! Extended attributes of files (xattr(7)), through no symbolic link unless
//! the name says so.

use super::file::Fd;
use super::{Call, check};
use crate::notation::{Quoted, quoted};
use nix::NixPath;
use nix::errno::Errno;
use std::ffi::{CStr, OsStr};
use std::fmt;
use std::os::fd::AsRawFd;

/// What an attribute of the kernel's own seldom goes beyond: no memory has to
/// be found for it.
const USUAL: usize = 256;
/// No attribute of the kernel's file systems is larger (`XATTR_SIZE_MAX`).
const MAX: usize = 65536;

/// The attribute `name` of `path`; `None` where it has none or its file
/// system knows no attributes.
///
/// # Errors
/// What else the kernel answers.
pub fn get(path: &OsStr, name: &CStr) -> nix::Result<Option<Vec<u8>>> {
    read(|value| rustix::fs::lgetxattr(path, name, value))
}

/// [`get`] of the file that `path` leads to, symbolic links followed.
///
/// # Errors
/// See [`get`].
pub fn get_through_links(path: &OsStr, name: &CStr) -> nix::Result<Option<Vec<u8>>> {
    read(|value| rustix::fs::getxattr(path, name, value))
}

fn read(get: impl Fn(&mut [u8]) -> rustix::io::Result<usize>) -> nix::Result<Option<Vec<u8>>> {
    let read = |value: &mut [u8]| {
        let length = get(value)?;
        Ok(value[..length].to_vec())
    };
    let answer = match read(&mut [0; USUAL]) {
        Err(rustix::io::Errno::RANGE) => read(&mut vec![0; MAX]),
        answer => answer,
    };
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(rustix::io::Errno::NODATA | rustix::io::Errno::NOTSUP) => Ok(None),
        Err(errno) => Err(Errno::from_raw(errno.raw_os_error())),
    }
}

/// Why an archive's attributes come so late, for `--explain`.
pub const AFTER_OWNER: &str = "after the owner, as a change of owner takes file capabilities away";

/// The value of an attribute as strace writes it: a NUL at the end is taken for
/// that of a string.
fn shown(value: &[u8]) -> Quoted<'_> {
    Quoted(value.strip_suffix(&[0]).unwrap_or(value))
}

/// lsetxattr(2): gives a file an attribute, or another value of it.
pub struct SetXattr<'a> {
    /// The file.
    pub path: &'a OsStr,
    /// The attribute's name.
    pub name: &'a CStr,
    /// Its value.
    pub value: &'a [u8],
    /// Why, for `--explain`.
    pub why: &'a str,
}

impl fmt::Display for SetXattr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, length) = (Quoted(self.name.to_bytes()), self.value.len());
        write!(f, "lsetxattr({}, {name}, {}, {length}, 0", quoted(self.path), shown(self.value))
    }
}

impl Call for SetXattr<'_> {
    type Out = ();
    const NAME: &'static str = "lsetxattr";
    fn why(&self) -> String {
        self.why.to_owned()
    }
    fn cannot(&self) -> String {
        format!("cannot set {} of {}", self.name.to_string_lossy(), self.path.display())
    }
    fn enter(&self) -> nix::Result<()> {
        self.path.with_nix_path(|path| {
            #[allow(unsafe_code)]
            // SAFETY: both C strings live through the call; the pointer and
            // the length of the value are of one slice.
            let result = unsafe {
                let (value, length) = (self.value.as_ptr(), self.value.len());
                libc::syscall(libc::SYS_lsetxattr, path.as_ptr(), self.name.as_ptr(), value, length, 0)
            };
            check(result).map(drop)
        })?
    }
}

/// lremovexattr(2): takes an attribute from a file.
pub struct RemoveXattr<'a> {
    /// The file.
    pub path: &'a OsStr,
    /// The attribute's name.
    pub name: &'a CStr,
    /// Why, for `--explain`.
    pub why: &'a str,
}

impl fmt::Display for RemoveXattr<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "lremovexattr({}, {}", quoted(self.path), Quoted(self.name.to_bytes()))
    }
}

impl Call for RemoveXattr<'_> {
    type Out = ();
    const NAME: &'static str = "lremovexattr";
    fn why(&self) -> String {
        self.why.to_owned()
    }
    fn cannot(&self) -> String {
        format!("cannot remove {} of {}", self.name.to_string_lossy(), self.path.display())
    }
    fn enter(&self) -> nix::Result<()> {
        self.path.with_nix_path(|path| {
            #[allow(unsafe_code)]
            // SAFETY: both C strings live through the call.
            let result = unsafe { libc::syscall(libc::SYS_lremovexattr, path.as_ptr(), self.name.as_ptr()) };
            check(result).map(drop)
        })?
    }
}

/// fsetxattr(2): gives an open file an extended attribute.
pub struct SetAttribute<'a> {
    /// The file.
    pub fd: Fd<'a>,
    /// The attribute's name, with its class.
    pub name: &'a OsStr,
    /// Its value.
    pub value: &'a [u8],
}

impl fmt::Display for SetAttribute<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.value.len();
        write!(f, "fsetxattr({}, {}, {}, {length}, 0", self.fd, quoted(self.name), shown(self.value))
    }
}

impl Call for SetAttribute<'_> {
    type Out = ();
    const NAME: &'static str = "fsetxattr";
    fn why(&self) -> String {
        AFTER_OWNER.to_owned()
    }
    fn cannot(&self) -> String {
        format!("cannot set attribute {} of {}", self.name.display(), self.fd.path.display())
    }
    fn enter(&self) -> nix::Result<()> {
        self.name.with_nix_path(|name| {
            let value = self.value;
            #[allow(unsafe_code)]
            // SAFETY: the C string and the value live through the call; the
            // length is the value's.
            let result = unsafe {
                libc::syscall(
                    libc::SYS_fsetxattr,
                    self.fd.fd.as_raw_fd(),
                    name.as_ptr(),
                    value.as_ptr(),
                    value.len(),
                    0,
                )
            };
            check(result).map(drop)
        })?
    }
}

/// fremovexattr(2).
pub struct RemoveAttribute<'a> {
    /// The file.
    pub fd: Fd<'a>,
    /// The attribute's name, with its class.
    pub name: &'a OsStr,
}

impl fmt::Display for RemoveAttribute<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fremovexattr({}, {}", self.fd, quoted(self.name))
    }
}

impl Call for RemoveAttribute<'_> {
    type Out = ();
    const NAME: &'static str = "fremovexattr";
    fn why(&self) -> String {
        "the newer entry has no such attribute: a lower layer's must not stay".to_owned()
    }
    fn cannot(&self) -> String {
        format!("cannot remove attribute {} of {}", self.name.display(), self.fd.path.display())
    }
    fn enter(&self) -> nix::Result<()> {
        self.name.with_nix_path(|name| {
            #[allow(unsafe_code)]
            // SAFETY: the C string lives through the call.
            let result = unsafe { libc::syscall(libc::SYS_fremovexattr, self.fd.fd.as_raw_fd(), name.as_ptr()) };
            check(result).map(drop)
        })?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::path::Path;

    #[test]
    fn notation() {
        let (path, name) = (OsStr::new("f"), c"security.capability");
        let set = SetXattr { path, name, value: &[1, 0, 0, 2], why: "" };
        assert_eq!(set.to_string(), r#"lsetxattr("f", "security.capability", "\1\0\0\2", 4, 0"#);
        let set = SetXattr { value: &[1, 0, 0, 0], ..set };
        assert_eq!(set.to_string(), r#"lsetxattr("f", "security.capability", "\1\0\0", 4, 0"#);
        let file = std::fs::File::open("/").expect("a folder");
        let (n, fd) = (file.as_raw_fd(), Fd { fd: file.as_fd(), path: Path::new("f") });
        let set = |value| SetAttribute { fd, name: OsStr::new("user.a"), value }.to_string();
        assert_eq!(set(b"v\0\x01x"), format!("fsetxattr({n}<f>, \"user.a\", \"v\\0\\1x\", 4, 0"));
        assert_eq!(set(b"v\0"), format!("fsetxattr({n}<f>, \"user.a\", \"v\", 2, 0"));
        let remove = RemoveXattr { path, name, why: "" };
        assert_eq!(remove.to_string(), r#"lremovexattr("f", "security.capability""#);
    }
}
