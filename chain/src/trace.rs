//! `--trace` and `--explain`: the calls a tool makes, in strace's notation,
//! on standard error.
//!
//! `RS_TRACE=trace` or `RS_TRACE=explain` in the environment turns it on for
//! every link of a chain; the flag only for the tool that has it.

use crate::child::number_in_proc;
use crate::error::{strerror, write_stderr};
use crate::sys::Call;
use nix::errno::Errno;
use nix::unistd::Pid;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

static LEVEL: AtomicU8 = AtomicU8::new(0);
/// The number of this process, if it is a forked child; else 0.
static CHILD: AtomicU32 = AtomicU32::new(0);

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    /// Nothing.
    Off = 0,
    /// A line for each call.
    Trace = 1,
    /// Before it, a line that says why.
    Explain = 2,
}

/// Raises the level; a flag and the environment may both ask.
pub fn raise(level: Level) {
    LEVEL.fetch_max(level as u8, Ordering::Relaxed);
}

/// Takes the level that `RS_TRACE` asks for.
pub(crate) fn from_environment() {
    match std::env::var_os("RS_TRACE") {
        Some(word) if word == "trace" => raise(Level::Trace),
        Some(word) if word == "explain" => raise(Level::Explain),
        _ => {}
    }
}

/// Whether calls are shown.
pub fn on() -> bool {
    LEVEL.load(Ordering::Relaxed) >= Level::Trace as u8
}

fn explaining() -> bool {
    LEVEL.load(Ordering::Relaxed) >= Level::Explain as u8
}

/// From now on lines begin with `[pid N] `: this is a forked child. N is its
/// number in the mounted `/proc`, as strace counts: inside a new pid namespace
/// getpid would say 1, and later there may be another `/proc`, or none.
pub(crate) fn in_child() {
    if on() {
        CHILD.store(number_in_proc().unwrap_or_else(|_| Pid::this()).as_raw().cast_unsigned(), Ordering::Relaxed);
    }
}

/// The number that [`in_child`] took, or 0.
pub(crate) fn number() -> u32 {
    CHILD.load(Ordering::Relaxed)
}

/// Takes `number` back after a child that shared this memory.
pub(crate) fn set_number(number: u32) {
    CHILD.store(number, Ordering::Relaxed);
}

fn prefix() -> String {
    match CHILD.load(Ordering::Relaxed) {
        0 => String::new(),
        pid => format!("[pid {pid}] "),
    }
}

/// Says why `call` is about to be made.
pub(crate) fn why(call: &impl Call) {
    if explaining() {
        write_stderr(&format!("{}# {}\n", prefix(), call.why()));
    }
}

/// Writes the line of `call`.
pub(crate) fn result<C: Call>(call: &C, result: Result<&C::Out, Errno>) {
    if on() {
        let end = match result {
            Ok(out) => call.returned(out),
            Err(errno) => format!("-1 {errno:?} ({})", strerror(errno)),
        };
        // A child of fork has no line of its own: the parent writes the call.
        if !end.is_empty() {
            write_stderr(&format!("{}{call}) = {end}\n", prefix()));
        }
    }
}

/// Writes the line of a call that does not return when it succeeds.
pub(crate) fn no_result(call: &impl Call) {
    if on() {
        write_stderr(&format!("{}{call}) = ?\n", prefix()));
    }
}
