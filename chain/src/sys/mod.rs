//! Every call that changes something, as a value that knows its notation, its
//! lesson and its error. Tools make calls through [`make`] and know nothing
//! of tracing, so message, trace and lesson cannot drift apart.
#![allow(clippy::disallowed_methods, reason = "this is the room that may")]

/// Declares a call on one descriptor that gives nothing back. Before the
/// modules, which see it from here on.
macro_rules! fd_call {
    (
        $(#[$doc:meta])* $name:ident, $syscall:literal, $cannot:literal, $why:literal,
        { $( $(#[$fdoc:meta])* $field:ident : $type:ty ),* $(,)? },
        |$self:ident, $f:ident| $notation:expr, $sys:expr
    ) => {
        $(#[$doc])*
        pub struct $name<'a> {
            /// The file.
            pub fd: Fd<'a>,
            $( $(#[$fdoc])* pub $field: $type, )*
        }

        impl fmt::Display for $name<'_> {
            fn fmt(&$self, $f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $notation
            }
        }

        impl Call for $name<'_> {
            type Out = ();
            const NAME: &'static str = $syscall;
            fn why(&self) -> String {
                $why.to_owned()
            }
            fn cannot(&self) -> String {
                format!(concat!($cannot, " {}"), self.fd.path.display())
            }
            fn enter(&$self) -> nix::Result<()> {
                #[allow(unsafe_code)]
                // SAFETY: the descriptor is open as long as `self`; the rest
                // are integers.
                let result = unsafe { $sys };
                check(result).map(drop)
            }
        }
    };
}

pub mod caps;
pub mod cgroup;
pub mod contents;
pub mod durable;
pub mod file;
pub mod host;
pub mod identity;
pub mod inherit;
pub mod inode;
pub mod mount;
pub mod namespace;
pub mod process;
pub mod signal;
pub mod socket;
pub mod xattr;

use crate::error::SysError;
use crate::trace;
use nix::errno::Errno;
use std::fmt;

/// One call that changes something. `Display` writes it as strace does, up to
/// the closing parenthesis.
pub trait Call: fmt::Display {
    /// What it gives when it succeeds.
    type Out;
    /// The system call's name, for the strace filter and the man page.
    const NAME: &'static str;
    /// Why it is made: one sentence, for `--explain`.
    fn why(&self) -> String;
    /// The error's words, up to the reason: `cannot X OBJECT`.
    fn cannot(&self) -> String;
    /// One thing to do about `errno`, if a probe of this machine confirms the
    /// cause.
    fn hint(&self, _errno: Errno) -> Option<String> {
        None
    }
    /// Asks the kernel: the only line that does.
    ///
    /// # Errors
    /// What the kernel answers.
    fn enter(&self) -> nix::Result<Self::Out>;
    /// The result as strace writes it.
    fn returned(&self, _out: &Self::Out) -> String {
        "0".to_owned()
    }
}

/// Makes `call`: explains it, asks the kernel, shows the result.
///
/// # Errors
/// The call's own words, the kernel's reason and, where a probe confirms the
/// cause, a hint.
pub fn make<C: Call>(call: &C) -> Result<C::Out, SysError> {
    quietly(call).map_err(|errno| SysError { what: call.cannot(), errno, hint: call.hint(errno) })
}

/// [`make`] for a caller that expects a refusal and goes another way: it is
/// traced alike, but no message is made.
///
/// # Errors
/// The kernel's reason alone.
pub fn quietly<C: Call>(call: &C) -> Result<C::Out, Errno> {
    trace::why(call);
    let result = call.enter();
    trace::result(call, result.as_ref().map_err(|errno| *errno));
    result
}

/// [`quietly`] for a call that leaves nobody to write its line if it succeeds:
/// the line comes before, and a second one after a refusal.
///
/// # Errors
/// The kernel's reason alone.
pub fn lastly<C: Call>(call: &C) -> Result<C::Out, Errno> {
    trace::why(call);
    trace::no_result(call);
    let result = call.enter();
    if let Err(errno) = result {
        trace::result(call, Err(errno));
    }
    result
}

/// The kernel's reason in a libc-style return value.
pub(crate) fn check(result: libc::c_long) -> nix::Result<libc::c_long> {
    Errno::result(result)
}
