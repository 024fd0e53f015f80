//! What the Rust runtime changes before `main`, and how it is put back.
//!
//! The runtime ignores SIGPIPE and opens `/dev/null` on closed standard
//! descriptors. A link of the chain must hand on what it got, so both are
//! recorded before the runtime starts, from `.init_array`. With musl the
//! runtime's first handler also unblocks two signals, which programs for
//! another C library may use.
#![allow(unsafe_code)]

use nix::errno::Errno;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};

/// SIGPIPE was ignored when the process started.
static SIGPIPE_IGNORED: AtomicBool = AtomicBool::new(false);
/// Bit N: descriptor N was closed when the process started.
static CLOSED: AtomicU8 = AtomicU8::new(0);
/// The signals that were blocked when the process started (musl only).
static BLOCKED: AtomicU64 = AtomicU64::new(0);
/// Signals 33 and 34, musl's own.
const MUSLS: u64 = 0b11 << 32;

// SAFETY: the loader calls every pointer of this section before main, with
// arguments that an `extern "C" fn()` may ignore.
#[used]
#[unsafe(link_section = ".init_array")]
static RECORD: extern "C" fn() = record;

extern "C" fn record() {
    // SAFETY: all calls only read; `set` has the 8 bytes of the kernel's; `old` is a plain structure that
    // sigaction fills, and no other thread exists yet.
    unsafe {
        let mut old: libc::sigaction = std::mem::zeroed();
        if libc::sigaction(libc::SIGPIPE, std::ptr::null(), &raw mut old) == 0 {
            SIGPIPE_IGNORED.store(old.sa_sigaction == libc::SIG_IGN, Ordering::Relaxed);
        }
        if cfg!(target_env = "musl") {
            let mut set = 0u64;
            let none = std::ptr::null::<u64>();
            libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, none, &raw mut set, size_of::<u64>());
            BLOCKED.store(set, Ordering::Relaxed);
        }
        let mut closed = 0;
        for fd in 0..3 {
            if libc::fcntl(fd, libc::F_GETFD) == -1 && Errno::last() == Errno::EBADF {
                closed |= 1 << fd;
            }
        }
        CLOSED.store(closed, Ordering::Relaxed);
    }
}

/// Gives SIGPIPE the disposition that the caller gave it, and blocks what it
/// had blocked.
pub(crate) fn restore_sigpipe() {
    let was = if SIGPIPE_IGNORED.load(Ordering::Relaxed) { libc::SIG_IGN } else { libc::SIG_DFL };
    // SAFETY: installs no handler, only one of the two constants.
    unsafe {
        libc::signal(libc::SIGPIPE, was);
    }
    let unblocked = BLOCKED.load(Ordering::Relaxed) & MUSLS;
    if unblocked != 0 {
        let none = std::ptr::null_mut::<u64>();
        // SAFETY: the kernel reads the 8 bytes of the set.
        unsafe {
            libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, &raw const unblocked, none, size_of::<u64>());
        }
    }
}

/// Whether standard descriptor `fd` (0 to 2) was closed when the process
/// started: what is there now is the runtime's `/dev/null`.
pub fn was_closed(fd: u8) -> bool {
    CLOSED.load(Ordering::Relaxed) & (1 << fd) != 0
}

/// Closes again the standard descriptors that were closed at the start. For
/// the moment before exec: later files of ours would get their numbers.
pub(crate) fn close_again() {
    for fd in 0..3u8 {
        if was_closed(fd) {
            // SAFETY: the descriptor is the runtime's own; nothing uses it
            // between here and exec but a failing exec's message.
            unsafe {
                libc::close(fd.into());
            }
        }
    }
}
