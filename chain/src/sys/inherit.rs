//! What the next program inherits beside its environment: the umask,
//! descriptors, the session, the process group.

use super::{Call, check};
use crate::notation::Mode;
use nix::unistd::Pid;
use std::fmt;
use std::os::fd::RawFd;

/// umask(2): gives the mask that was there.
pub struct Umask {
    /// Permissions that new files do not get.
    pub mask: u32,
    /// Why, for `--explain`.
    pub why: &'static str,
}

impl fmt::Display for Umask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "umask({}", Mode(self.mask))
    }
}

impl Call for Umask {
    type Out = u32;
    const NAME: &'static str = "umask";
    fn why(&self) -> String {
        self.why.to_owned()
    }
    fn cannot(&self) -> String {
        "cannot set the umask".to_owned()
    }
    fn enter(&self) -> nix::Result<u32> {
        #[allow(unsafe_code)]
        // SAFETY: takes one integer and touches no memory of ours.
        let old = check(unsafe { libc::syscall(libc::SYS_umask, self.mask) })?;
        Ok(u32::try_from(old).unwrap_or(0))
    }
    fn returned(&self, out: &u32) -> String {
        Mode(*out).to_string()
    }
}

/// setsid(2): a session of its own, without a controlling terminal.
pub struct SetSid;

impl fmt::Display for SetSid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("setsid(")
    }
}

impl Call for SetSid {
    type Out = Pid;
    const NAME: &'static str = "setsid";
    fn why(&self) -> String {
        "without the caller's terminal as its own it cannot put words into the caller's input (TIOCSTI)".to_owned()
    }
    fn cannot(&self) -> String {
        "cannot start a new session".to_owned()
    }
    fn enter(&self) -> nix::Result<Pid> {
        nix::unistd::setsid()
    }
    fn returned(&self, out: &Pid) -> String {
        out.to_string()
    }
}

/// setpgid(2): moves a process to a group of its own.
pub struct SetPGid {
    /// Whom: a child, or 0 for this process.
    pub pid: Pid,
    /// Why, for `--explain`.
    pub why: &'static str,
}

impl fmt::Display for SetPGid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "setpgid({}, 0", self.pid)
    }
}

impl Call for SetPGid {
    type Out = ();
    const NAME: &'static str = "setpgid";
    fn why(&self) -> String {
        self.why.to_owned()
    }
    fn cannot(&self) -> String {
        "cannot start a new process group".to_owned()
    }
    fn enter(&self) -> nix::Result<()> {
        nix::unistd::setpgid(self.pid, Pid::from_raw(0))
    }
}

/// close_range(2) with `CLOSE_RANGE_CLOEXEC`, from a descriptor on: the next
/// program gets none of them. Linux 5.11; `ENOSYS` or `EINVAL` before.
pub struct CloseOnExecFrom(pub u32);

impl fmt::Display for CloseOnExecFrom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "close_range({}, {}, CLOSE_RANGE_CLOEXEC", self.0, u32::MAX)
    }
}

impl Call for CloseOnExecFrom {
    type Out = ();
    const NAME: &'static str = "close_range";
    fn why(&self) -> String {
        "an open folder of the host would be a way out of the new root: none is handed on".to_owned()
    }
    fn cannot(&self) -> String {
        "cannot close the descriptors".to_owned()
    }
    fn enter(&self) -> nix::Result<()> {
        #[allow(unsafe_code)]
        // SAFETY: with CLOSE_RANGE_CLOEXEC nothing is closed now; takes integers only.
        let result = unsafe { libc::syscall(libc::SYS_close_range, self.0, u32::MAX, 4 as libc::c_uint) };
        check(result).map(drop)
    }
}

/// fcntl(2) with `F_SETFD` and `FD_CLOEXEC`: one descriptor is not handed on.
pub struct CloseOnExec(pub RawFd);

impl fmt::Display for CloseOnExec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fcntl({}, F_SETFD, FD_CLOEXEC", self.0)
    }
}

impl Call for CloseOnExec {
    type Out = ();
    const NAME: &'static str = "fcntl";
    fn why(&self) -> String {
        CloseOnExecFrom(0).why()
    }
    fn cannot(&self) -> String {
        format!("cannot close descriptor {}", self.0)
    }
    fn enter(&self) -> nix::Result<()> {
        #[allow(unsafe_code)]
        // SAFETY: takes integers only, and closes nothing now.
        let result = unsafe { libc::syscall(libc::SYS_fcntl, self.0, libc::F_SETFD, libc::FD_CLOEXEC) };
        check(result).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notation() {
        assert_eq!(Umask { mask: 0, why: "" }.to_string(), "umask(000");
        assert_eq!(CloseOnExecFrom(3).to_string(), "close_range(3, 4294967295, CLOSE_RANGE_CLOEXEC");
        assert_eq!(CloseOnExec(4).to_string(), "fcntl(4, F_SETFD, FD_CLOEXEC");
        assert_eq!(SetSid.to_string(), "setsid(");
        assert_eq!(SetPGid { pid: Pid::from_raw(5), why: "" }.to_string(), "setpgid(5, 0");
    }
}
