//! New file systems, made before they are attached (fsopen(2), fsconfig(2),
//! fsmount(2)): their flags are on them before anybody can see them.

use super::tree::{MountAttr, owned};
use crate::notation::{Angled, OrNull, quoted};
use crate::sys::file::Fd;
use crate::sys::{Call, check};
use nix::NixPath;
use nix::errno::Errno;
use std::ffi::{CStr, OsStr};
use std::fmt;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;

/// fsopen(2): the beginning of a new file system. Linux 5.2; `ENOSYS` before.
pub struct FsOpen<'a> {
    /// Its type.
    pub fstype: &'a OsStr,
    /// Why, for `--explain`.
    pub why: &'a str,
}

impl fmt::Display for FsOpen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fsopen({}, FSOPEN_CLOEXEC", quoted(self.fstype))
    }
}

impl Call for FsOpen<'_> {
    type Out = OwnedFd;
    const NAME: &'static str = "fsopen";
    fn why(&self) -> String {
        self.why.to_owned()
    }
    fn cannot(&self) -> String {
        format!("cannot make a {}", self.fstype.display())
    }
    fn hint(&self, errno: Errno) -> Option<String> {
        crate::hint::fresh(self.fstype, errno)
    }
    fn enter(&self) -> nix::Result<OwnedFd> {
        self.fstype.with_nix_path(|fstype| {
            #[allow(unsafe_code)]
            // SAFETY: the C string lives through the call. 1 is FSOPEN_CLOEXEC.
            owned(unsafe { libc::syscall(libc::SYS_fsopen, fstype.as_ptr(), 1 as libc::c_uint) })
        })?
    }
    fn returned(&self, out: &OwnedFd) -> String {
        format!("{}{}", out.as_raw_fd(), Angled(self.fstype))
    }
}

/// What one fsconfig(2) says.
#[derive(Debug, Clone, Copy)]
pub enum Setting<'a> {
    /// `key` alone.
    Flag(&'a OsStr),
    /// `key=value`.
    Text(&'a OsStr, &'a OsStr),
    /// All is said: make it.
    Create,
}

impl<'a> Setting<'a> {
    fn parts(&self) -> (libc::c_uint, &'static str, Option<&'a OsStr>, Option<&'a OsStr>) {
        match *self {
            Self::Flag(key) => (0, "FSCONFIG_SET_FLAG", Some(key), None),
            Self::Text(key, value) => (1, "FSCONFIG_SET_STRING", Some(key), Some(value)),
            Self::Create => (6, "FSCONFIG_CMD_CREATE", None, None),
        }
    }
}

/// fsconfig(2): one option of a new file system, or its creation.
pub struct FsConfig<'a> {
    /// What fsopen gave; its path is the type.
    pub fs: Fd<'a>,
    /// What to say.
    pub setting: Setting<'a>,
}

impl fmt::Display for FsConfig<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, command, key, value) = self.setting.parts();
        write!(f, "fsconfig({}, {command}, {}, {}, 0", self.fs, OrNull(key), OrNull(value))
    }
}

impl Call for FsConfig<'_> {
    type Out = ();
    const NAME: &'static str = "fsconfig";
    fn why(&self) -> String {
        match self.setting {
            Setting::Flag(key) => format!("it is to be {}", key.display()),
            Setting::Text(key, value) => format!("its {} is {}", key.display(), value.display()),
            Setting::Create => "the kernel makes the file system: still nobody can see it".to_owned(),
        }
    }
    fn cannot(&self) -> String {
        let fstype = self.fs.path.display();
        match self.setting {
            Setting::Flag(key) => format!("cannot make a {fstype} with '{}'", key.display()),
            Setting::Text(key, value) => format!("cannot make a {fstype} with '{}={}'", key.display(), value.display()),
            Setting::Create => format!("cannot make a {fstype}"),
        }
    }
    fn hint(&self, errno: Errno) -> Option<String> {
        said(&self.fs).or_else(|| crate::hint::fresh(self.fs.path.as_os_str(), errno))
    }
    fn enter(&self) -> nix::Result<()> {
        let (command, _, key, value) = self.setting.parts();
        let fd = self.fs.fd.as_raw_fd();
        with_optional(key, |key| {
            with_optional(value, |value| {
                #[allow(unsafe_code)]
                // SAFETY: key and value are null or C strings that live
                // through the call; these commands read no more of them.
                let result = unsafe { libc::syscall(libc::SYS_fsconfig, fd, command, key, value, 0 as libc::c_int) };
                check(result).map(drop)
            })
        })
    }
}

/// The kernel's own words on what is wrong, which it keeps in the
/// descriptor: `e devpts: Invalid gid '5'`.
fn said(fs: &Fd<'_>) -> Option<String> {
    let mut line = [0; 256];
    let length = nix::unistd::read(fs.fd, &mut line).ok()?;
    let line = String::from_utf8_lossy(&line[..length]);
    let line = line.trim_end();
    Some(format!("the kernel says: {}", line.strip_prefix("e ").unwrap_or(line)))
}

/// fsmount(2): a mount of a file system that was just made, attached nowhere.
pub struct FsMount<'a> {
    /// What fsopen gave; its path is the type.
    pub fs: Fd<'a>,
    /// The mount's flags.
    pub attr: MountAttr,
}

impl fmt::Display for FsMount<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fsmount({}, FSMOUNT_CLOEXEC, {}", self.fs, self.attr)
    }
}

impl Call for FsMount<'_> {
    type Out = OwnedFd;
    const NAME: &'static str = "fsmount";
    fn why(&self) -> String {
        "a mount of it, with its flags from birth: nothing can use it before they are there".to_owned()
    }
    fn cannot(&self) -> String {
        format!("cannot make a mount of the {}", self.fs.path.display())
    }
    fn hint(&self, errno: Errno) -> Option<String> {
        crate::hint::fresh(self.fs.path.as_os_str(), errno)
    }
    fn enter(&self) -> nix::Result<OwnedFd> {
        let fd = self.fs.fd.as_raw_fd();
        #[allow(unsafe_code)]
        // SAFETY: takes integers only. 1 is FSMOUNT_CLOEXEC.
        owned(unsafe { libc::syscall(libc::SYS_fsmount, fd, 1 as libc::c_uint, self.attr.0) })
    }
    fn returned(&self, out: &OwnedFd) -> String {
        format!("{}{}", out.as_raw_fd(), Angled(self.fs.path.as_os_str()))
    }
}

/// `text` as a C string for `f`, or a null pointer.
pub(super) fn with_optional<T>(
    text: Option<&OsStr>,
    f: impl FnOnce(*const libc::c_char) -> nix::Result<T>,
) -> nix::Result<T> {
    match text {
        None => f(ptr::null()),
        Some(text) => text.with_nix_path(|text: &CStr| f(text.as_ptr()))?,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::path::Path;

    #[test]
    fn notation() {
        let stdin = std::io::stdin();
        let fs = Fd { fd: stdin.as_fd(), path: Path::new("tmpfs") };
        let config = |setting| FsConfig { fs, setting }.to_string();
        assert_eq!(FsOpen { fstype: OsStr::new("proc"), why: "" }.to_string(), "fsopen(\"proc\", FSOPEN_CLOEXEC");
        assert_eq!(
            config(Setting::Text(OsStr::new("mode"), OsStr::new("0755"))),
            "fsconfig(0<tmpfs>, FSCONFIG_SET_STRING, \"mode\", \"0755\", 0"
        );
        assert_eq!(config(Setting::Flag(OsStr::new("ro"))), "fsconfig(0<tmpfs>, FSCONFIG_SET_FLAG, \"ro\", NULL, 0");
        assert_eq!(config(Setting::Create), "fsconfig(0<tmpfs>, FSCONFIG_CMD_CREATE, NULL, NULL, 0");
        assert_eq!(FsMount { fs, attr: MountAttr::NONE }.to_string(), "fsmount(0<tmpfs>, FSMOUNT_CLOEXEC, 0");
    }
}
