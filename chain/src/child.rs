//! Children: waiting for one, and ending as it ended.

use nix::errno::Errno;
use nix::unistd::Pid;

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It exited with this status.
    Exited(u8),
    /// This signal killed it; a number, as nix knows no real-time signals.
    Killed(i32),
}

/// Waits until `pid` has ended; stops and continues do not count.
///
/// # Errors
/// `ECHILD` where there is no such child.
pub fn wait(pid: Pid) -> Result<End, Errno> {
    let mut status = 0;
    loop {
        #[allow(unsafe_code)]
        // SAFETY: `status` is a valid place for the answer.
        let got = unsafe { libc::waitpid(pid.as_raw(), &raw mut status, 0) };
        match Errno::result(got) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
            Ok(_) if libc::WIFEXITED(status) => {
                return Ok(End::Exited(u8::try_from(libc::WEXITSTATUS(status)).unwrap_or(u8::MAX)));
            }
            Ok(_) if libc::WIFSIGNALED(status) => return Ok(End::Killed(libc::WTERMSIG(status))),
            Ok(_) => {}
        }
    }
}

/// Ends as a child ended: gives its status, or dies of the same signal, so
/// that a shell sees the same. Where the kernel does not let the signal kill
/// us (process 1 of a pid namespace): 128 + its number.
pub fn end_like(end: End) -> u8 {
    match end {
        End::Exited(status) => status,
        End::Killed(signal) => {
            die_of(signal);
            u8::try_from(128 + signal).unwrap_or(u8::MAX)
        }
    }
}

/// Sends `number` to this process, at its default and unblocked; leaves no
/// core of ours beside the child's.
fn die_of(number: i32) {
    #[allow(unsafe_code)]
    // SAFETY: plain calls on this process with valid, initialised arguments.
    unsafe {
        let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
        libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0);
        if number != libc::SIGKILL {
            libc::signal(number, libc::SIG_DFL);
        }
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, number);
        libc::sigprocmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut());
        libc::kill(libc::getpid(), number);
    }
}
