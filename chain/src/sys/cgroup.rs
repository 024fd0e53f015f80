//! Processes and control groups (cgroups(7)). A group itself is a directory
//! with files: [`file`](super::file) has the calls for those.

use super::file::Fd;
use super::process::Forked;
use super::{Call, check};
use std::fmt;
use std::os::fd::AsRawFd;

/// clone3(2) with `CLONE_INTO_CGROUP`: a copy of this process, born in a v2
/// group, so that nothing has to be moved. Linux 5.7; `ENOSYS`, `E2BIG` or
/// `EINVAL` before. Only while it has one thread.
pub struct ForkInto<'a> {
    /// The group's directory; `O_PATH` is enough.
    pub group: Fd<'a>,
    /// Why, for `--explain`.
    pub why: &'a str,
}

/// The kernel's `struct clone_args` of Linux 5.7.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Absent from libc for some targets.
const CLONE_INTO_CGROUP: u64 = 1 << 33;

impl fmt::Display for ForkInto<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let size = size_of::<CloneArgs>();
        write!(
            f,
            "clone3({{flags=CLONE_INTO_CGROUP, exit_signal=SIGCHLD, stack=NULL, stack_size=0, cgroup={}}}, {size}",
            self.group
        )
    }
}

impl Call for ForkInto<'_> {
    type Out = Forked;
    const NAME: &'static str = "clone3";
    fn why(&self) -> String {
        self.why.to_owned()
    }
    fn cannot(&self) -> String {
        format!("cannot start a process in {}", self.group.path.display())
    }
    fn enter(&self) -> nix::Result<Forked> {
        let args = CloneArgs {
            flags: CLONE_INTO_CGROUP,
            exit_signal: u64::from(libc::SIGCHLD.cast_unsigned()),
            cgroup: u64::from(self.group.fd.as_raw_fd().cast_unsigned()),
            ..CloneArgs::default()
        };
        #[allow(unsafe_code)]
        // SAFETY: the size is that of `args`, which lives through the call;
        // without CLONE_VM and a stack the child goes on here with its own
        // copy of everything, of a process of one thread.
        let pid = unsafe { libc::syscall(libc::SYS_clone3, &raw const args, size_of::<CloneArgs>()) };
        Ok(Forked::from_pid(check(pid)?))
    }
    fn returned(&self, out: &Forked) -> String {
        out.returned()
    }
}
