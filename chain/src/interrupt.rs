//! Signals that ask a program to stop, for one that has to clean up first.

use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use std::sync::atomic::{AtomicI32, Ordering};

static CAUGHT: AtomicI32 = AtomicI32::new(0);

extern "C" fn remember(signal: i32) {
    // The first one counts.
    let _ = CAUGHT.compare_exchange(0, signal, Ordering::Relaxed, Ordering::Relaxed);
}

/// From now on SIGHUP, SIGINT, SIGQUIT and SIGTERM are only remembered; one
/// that was ignored stays so (nohup(1), background jobs). Waiting calls end
/// with `EINTR`. A file that grows beyond RLIMIT_FSIZE is an error, `EFBIG`,
/// and no longer the end.
pub fn catch() {
    let action = SigAction::new(SigHandler::Handler(remember), SaFlags::empty(), SigSet::empty());
    let refuse = SigAction::new(SigHandler::SigIgn, SaFlags::empty(), SigSet::empty());
    #[allow(unsafe_code)]
    // SAFETY: no handler is installed.
    let _ = unsafe { sigaction(Signal::SIGXFSZ, &refuse) };
    for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM] {
        #[allow(unsafe_code)]
        // SAFETY: the handler does nothing but one atomic operation.
        unsafe {
            if let Ok(old) = sigaction(signal, &action)
                && matches!(old.handler(), SigHandler::SigIgn)
            {
                let _ = sigaction(signal, &old);
            }
        }
    }
}

/// The signal that came since, if one did.
pub fn caught() -> Option<i32> {
    match CAUGHT.load(Ordering::Relaxed) {
        0 => None,
        signal => Some(signal),
    }
}
