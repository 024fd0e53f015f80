//! What an entry of a tree is beside its contents: links and nodes, owner,
//! mode, times. By descriptor, or by a name that is not followed.

use super::file::{At, Fd, at_flags};
use super::{Call, check};
use crate::notation::{Id, Mode, quoted};
use nix::NixPath;
use std::ffi::OsStr;
use std::fmt;
use std::os::fd::AsRawFd;

/// linkat(2): another name for the same file; a symbolic link at the end of
/// `old` is linked itself.
pub struct LinkAt<'a> {
    /// Where `old` starts.
    pub from: At<'a>,
    /// The name there is.
    pub old: &'a OsStr,
    /// Where `new` starts.
    pub to: At<'a>,
    /// The name to make.
    pub new: &'a OsStr,
}

impl fmt::Display for LinkAt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "linkat({}, {}, {}, {}, 0", self.from, quoted(self.old), self.to, quoted(self.new))
    }
}

impl Call for LinkAt<'_> {
    type Out = ();
    const NAME: &'static str = "linkat";
    fn why(&self) -> String {
        "two names of the archive are one file: one inode, counted twice".to_owned()
    }
    fn cannot(&self) -> String {
        format!("cannot link {} to {}", self.to.join(self.new), self.from.join(self.old))
    }
    fn enter(&self) -> nix::Result<()> {
        self.old.with_nix_path(|old| {
            self.new.with_nix_path(|new| {
                #[allow(unsafe_code)]
                // SAFETY: both C strings live through the call.
                let result = unsafe {
                    libc::syscall(libc::SYS_linkat, self.from.raw(), old.as_ptr(), self.to.raw(), new.as_ptr(), 0)
                };
                check(result).map(drop)
            })
        })??
    }
}

/// mknodat(2): a device node or a pipe.
pub struct MknodAt<'a> {
    /// The folder.
    pub dir: At<'a>,
    /// The node's name below it.
    pub path: &'a OsStr,
    /// `S_IFCHR`, `S_IFBLK` or `S_IFIFO`, and the permissions; the umask takes
    /// bits away.
    pub mode: u32,
    /// Major and minor number of a device.
    pub device: (u32, u32),
}

impl MknodAt<'_> {
    fn is_device(&self) -> bool {
        matches!(self.mode & libc::S_IFMT, libc::S_IFCHR | libc::S_IFBLK)
    }
}

/// A mode with its file type, as strace writes it: `S_IFCHR|0666`.
struct NodeMode(u32);

impl fmt::Display for NodeMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.0 & libc::S_IFMT {
            libc::S_IFCHR => "S_IFCHR",
            libc::S_IFBLK => "S_IFBLK",
            libc::S_IFIFO => "S_IFIFO",
            _ => "S_IFREG",
        };
        f.write_str(kind)?;
        for (bit, name) in [(0o4000, "S_ISUID"), (0o2000, "S_ISGID"), (0o1000, "S_ISVTX")] {
            if self.0 & bit != 0 {
                write!(f, "|{name}")?;
            }
        }
        write!(f, "|{:#}", Mode(self.0 & 0o777))
    }
}

impl fmt::Display for MknodAt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mknodat({}, {}, {}", self.dir, quoted(self.path), NodeMode(self.mode))?;
        let hex = |n: u32| if n == 0 { "0".to_owned() } else { format!("{n:#x}") };
        if self.is_device() {
            write!(f, ", makedev({}, {})", hex(self.device.0), hex(self.device.1))?;
        }
        Ok(())
    }
}

impl Call for MknodAt<'_> {
    type Out = ();
    const NAME: &'static str = "mknodat";
    fn why(&self) -> String {
        if self.is_device() {
            "a device node is a name for a driver of the kernel: only its two numbers count".to_owned()
        } else {
            "a named pipe: two processes that open it meet".to_owned()
        }
    }
    fn cannot(&self) -> String {
        format!("cannot create node {}", self.dir.join(self.path))
    }
    fn enter(&self) -> nix::Result<()> {
        let device = if self.is_device() { libc::makedev(self.device.0, self.device.1) } else { 0 };
        self.path.with_nix_path(|path| {
            #[allow(unsafe_code)]
            // SAFETY: the C string lives through the call.
            let result = unsafe { libc::syscall(libc::SYS_mknodat, self.dir.raw(), path.as_ptr(), self.mode, device) };
            check(result).map(drop)
        })?
    }
}

fd_call!(
    /// fchown(2).
    Fchown, "fchown", "cannot change the owner of",
    "the archive says whose it is, by number: names mean other ids on other machines",
    { /** The new uid. */ uid: u32, /** The new gid. */ gid: u32 },
    |self, f| write!(f, "fchown({}, {}, {}", self.fd, Id(self.uid), Id(self.gid)),
    libc::syscall(libc::SYS_fchown, self.fd.fd.as_raw_fd(), self.uid, self.gid)
);

fd_call!(
    /// fchmod(2).
    Fchmod, "fchmod", "cannot change the mode of",
    "after the owner, as a change of owner takes the set-user-ID bit away",
    { /** The new mode. */ mode: u32 },
    |self, f| write!(f, "fchmod({}, {}", self.fd, Mode(self.mode)),
    libc::syscall(libc::SYS_fchmod, self.fd.fd.as_raw_fd(), self.mode)
);

/// What a call is made on.
#[derive(Debug, Clone, Copy)]
pub enum On<'a> {
    /// An open file.
    Open(Fd<'a>),
    /// A name below a folder; a link is not followed.
    Name(At<'a>, &'a OsStr),
}

impl On<'_> {
    fn path(&self) -> String {
        match self {
            Self::Open(fd) => fd.path.display().to_string(),
            Self::Name(dir, name) => dir.join(name),
        }
    }
}

/// utimensat(2): the time of the last change; that of the last access stays.
pub struct SetTime<'a> {
    /// Whose.
    pub on: On<'a>,
    /// Seconds since 1970, and nanoseconds.
    pub time: (i64, u32),
}

/// A time as strace writes it, with the date it means in UTC.
struct TimeSpec(i64, u32);

impl fmt::Display for TimeSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(seconds, nanos) = *self;
        write!(f, "{{tv_sec={seconds}, tv_nsec={nanos}}}")?;
        if seconds == 0 && nanos == 0 {
            return Ok(());
        }
        let (year, month, day) = civil(seconds.div_euclid(86400));
        let rest = seconds.rem_euclid(86400);
        write!(f, " /* {year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60)?;
        if nanos != 0 {
            write!(f, ".{nanos:09}")?;
        }
        f.write_str("+0000 */")
    }
}

/// The date that is `days` after 1970-01-01, in the Gregorian calendar: years
/// counted from March, in eras of 400 (146097 days).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day_of_year - (153 * from_march + 2) / 5 + 1)
}

impl fmt::Display for SetTime<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = TimeSpec(self.time.0, self.time.1);
        match &self.on {
            On::Open(fd) => write!(f, "utimensat({fd}, NULL, [UTIME_OMIT, {time}], 0"),
            On::Name(dir, name) => {
                let flags = at_flags(libc::AT_SYMLINK_NOFOLLOW);
                write!(f, "utimensat({dir}, {}, [UTIME_OMIT, {time}], {flags}", quoted(name))
            }
        }
    }
}

impl Call for SetTime<'_> {
    type Out = ();
    const NAME: &'static str = "utimensat";
    fn why(&self) -> String {
        "last of all, as everything before it counts as a change".to_owned()
    }
    fn cannot(&self) -> String {
        format!("cannot set the time of {}", self.on.path())
    }
    fn enter(&self) -> nix::Result<()> {
        // The kernel's own structure: 64 bits, whatever the C library's.
        let times: [[i64; 2]; 2] = [[0, libc::UTIME_OMIT], [self.time.0, i64::from(self.time.1)]];
        let set = |dir: i32, path: *const libc::c_char, flags: i32| {
            #[allow(unsafe_code)]
            // SAFETY: `times` is two timespecs of a 64-bit kernel, `path` is
            // NULL or a C string; both live through the call.
            let result = unsafe { libc::syscall(libc::SYS_utimensat, dir, path, times.as_ptr(), flags) };
            check(result).map(drop)
        };
        match &self.on {
            On::Open(fd) => set(fd.fd.as_raw_fd(), std::ptr::null(), 0),
            On::Name(dir, name) => {
                name.with_nix_path(|name| set(dir.raw(), name.as_ptr(), libc::AT_SYMLINK_NOFOLLOW))?
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::path::Path;

    #[test]
    fn notation() {
        let file = std::fs::File::open("/").expect("a folder");
        let fd = Fd { fd: file.as_fd(), path: Path::new("f") };
        let n = file.as_raw_fd();
        let name = |name| On::Name(At::Cwd, OsStr::new(name));
        let time = |on, seconds, nanos| SetTime { on, time: (seconds, nanos) }.to_string();
        assert_eq!(
            time(On::Open(fd), 0, 0),
            format!("utimensat({n}<f>, NULL, [UTIME_OMIT, {{tv_sec=0, tv_nsec=0}}], 0")
        );
        assert_eq!(
            time(name("a"), 1_700_000_000, 5),
            "utimensat(AT_FDCWD, \"a\", [UTIME_OMIT, {tv_sec=1700000000, tv_nsec=5} /* 2023-11-14T22:13:20.000000005+0000 */], AT_SYMLINK_NOFOLLOW"
        );
        assert!(time(name("a"), -5, 999).contains("/* 1969-12-31T23:59:55.000000999+0000 */"));
        let node = |mode, device| MknodAt { dir: At::Cwd, path: OsStr::new("n"), mode, device }.to_string();
        assert_eq!(node(libc::S_IFCHR | 0o666, (1, 3)), "mknodat(AT_FDCWD, \"n\", S_IFCHR|0666, makedev(0x1, 0x3)");
        assert_eq!(node(libc::S_IFCHR, (0, 0)), "mknodat(AT_FDCWD, \"n\", S_IFCHR|000, makedev(0, 0)");
        assert_eq!(node(libc::S_IFIFO | 0o4644, (0, 0)), "mknodat(AT_FDCWD, \"n\", S_IFIFO|S_ISUID|0644");
    }
}
