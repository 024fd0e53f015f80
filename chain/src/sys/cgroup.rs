//! Processes and control groups (cgroups(7)). A group itself is a directory
//! with files: [`file`](super::file) has the calls for those.

use super::file::Fd;
use super::{Call, check};
use crate::trace;
use nix::errno::Errno;
use nix::unistd::Pid;
use std::fmt;
use std::os::fd::AsRawFd;

/// clone3(2) with `CLONE_INTO_CGROUP`: a child that is born in a v2 group, so
/// that nothing has to be moved. Linux 5.7; `ENOSYS`, `E2BIG` or `EINVAL`
/// before. Only while this process has one thread.
///
/// As with vfork(2) the child has this process's memory, and this process
/// waits until the child becomes another program or ends: nothing is copied.
pub struct BornInto<'a> {
    /// The group's directory; `O_PATH` is enough.
    pub group: Fd<'a>,
    /// What the child does; it ends with the status that this gives.
    pub job: &'a dyn Fn() -> u8,
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

/// How much the child has in common with us. Where no assembler brings it on
/// its way it gets a copy.
const SHARED: u64 = if cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
    (libc::CLONE_VM | libc::CLONE_VFORK) as u64
} else {
    0
};

impl fmt::Display for BornInto<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shared = if SHARED == 0 { "" } else { "CLONE_VM|CLONE_VFORK|" };
        let size = size_of::<CloneArgs>();
        write!(
            f,
            "clone3({{flags={shared}CLONE_INTO_CGROUP, exit_signal=SIGCHLD, stack=NULL, stack_size=0, cgroup={}}}, {size}",
            self.group
        )
    }
}

impl Call for BornInto<'_> {
    type Out = Pid;
    const NAME: &'static str = "clone3";
    fn why(&self) -> String {
        self.why.to_owned()
    }
    fn cannot(&self) -> String {
        format!("cannot start a process in {}", self.group.path.display())
    }
    fn enter(&self) -> nix::Result<Pid> {
        let args = CloneArgs {
            flags: SHARED | CLONE_INTO_CGROUP,
            exit_signal: u64::from(libc::SIGCHLD.cast_unsigned()),
            cgroup: u64::from(self.group.fd.as_raw_fd().cast_unsigned()),
            ..CloneArgs::default()
        };
        let number = trace::number();
        #[allow(unsafe_code)]
        // SAFETY: the kernel reads `args`; the process has one thread, and
        // the child leaves the frames it was born in alone: it never returns.
        let pid = check(unsafe { clone3(&args, &self.job) })?;
        trace::set_number(number);
        #[expect(clippy::cast_possible_truncation, reason = "pids are ints")]
        Ok(Pid::from_raw(pid as i32))
    }
    fn returned(&self, out: &Pid) -> String {
        out.to_string()
    }
}

/// The child's whole life, below the frame of [`clone3`] on the same stack.
extern "C" fn live(job: &&dyn Fn() -> u8) -> ! {
    trace::in_child();
    let status = job();
    #[allow(unsafe_code)]
    // SAFETY: no condition; nothing of ours is buffered, so nothing is lost.
    unsafe {
        libc::_exit(status.into())
    }
}

/// Makes the call; the child goes to [`live`] at once. The libc crate's
/// `syscall` would not do: the child would return from it, and what it does
/// then would be written over the frame that the parent returns to.
///
/// # Safety
/// One thread, and no `CLONE_*` in `args` that needs a stack of its own.
#[allow(unsafe_code)]
#[cfg(target_arch = "x86_64")]
unsafe fn clone3(args: &CloneArgs, job: &&dyn Fn() -> u8) -> libc::c_long {
    let mut answer = libc::SYS_clone3;
    // SAFETY: the caller's promise; the child calls with the stack aligned as
    // it is here, and does not come back.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "mov rdi, {job}",
            "call {live}",
            "2:",
            job = in(reg) job,
            live = sym live,
            inout("rax") answer,
            in("rdi") args,
            in("rsi") size_of::<CloneArgs>(),
            // The kernel's; the rest is live's.
            out("rcx") _,
            out("r11") _,
            clobber_abi("C"),
        );
    }
    answered(answer)
}

/// # Safety
/// One thread, and no `CLONE_*` in `args` that needs a stack of its own.
#[allow(unsafe_code)]
#[cfg(target_arch = "aarch64")]
unsafe fn clone3(args: &CloneArgs, job: &&dyn Fn() -> u8) -> libc::c_long {
    let mut answer: libc::c_long;
    // SAFETY: as above.
    unsafe {
        std::arch::asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x0, {job}",
            "bl {live}",
            "2:",
            job = in(reg) job,
            live = sym live,
            in("x8") libc::SYS_clone3,
            inout("x0") args => answer,
            in("x1") size_of::<CloneArgs>(),
            clobber_abi("C"),
        );
    }
    answered(answer)
}

/// # Safety
/// One thread.
#[allow(unsafe_code)]
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe fn clone3(args: &CloneArgs, job: &&dyn Fn() -> u8) -> libc::c_long {
    // SAFETY: without CLONE_VM the child goes on with a copy of everything.
    match unsafe { libc::syscall(libc::SYS_clone3, args, size_of::<CloneArgs>()) } {
        0 => live(job),
        answer => answer,
    }
}

/// The kernel's answer as the C library gives it: errno apart.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn answered(answer: libc::c_long) -> libc::c_long {
    match i32::try_from(answer) {
        Ok(refused @ -4095..=-1) => {
            Errno::from_raw(-refused).set();
            -1
        }
        _ => answer,
    }
}
