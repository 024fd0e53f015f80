//! Root file systems from images, archives and the host.
//!
//! How the parts meet:
//!
//! ```text
//! SOURCE ──source::open──▶ image::Image ──unpack──▶ DIR
//!            layout    (oci:)              stream   inflates and hashes, in threads of its own
//!            archive   (oci-archive:, …)   tar      reads entries
//!            registry  (docker://)         apply    makes them, through descriptors
//!            daemon    (docker-daemon:)
//!            plain tar, `-`                host:    has no image, it writes through apply
//! ```
//!
//! An [`image::Image`] is a list of layers and something that opens each of
//! them as a stream. Whoever makes one says for each layer which digest, size
//! and diff id are still to be checked; whoever reads it checks those and
//! knows nothing of where the bytes come from.
#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::disallowed_methods))]

pub mod apply;
mod archive;
pub mod bundle;
pub mod cli;
mod compress;
pub mod config;
pub mod credentials;
pub mod daemon;
pub mod digest;
pub mod docker;
pub mod document;
mod documents;
pub mod error;
mod helper;
pub mod host;
pub mod image;
mod layout;
pub mod platform;
pub mod progress;
pub mod reference;
pub mod registry;
pub mod source;
pub mod store;
pub mod stream;
pub mod tar;
mod target;
pub mod unpack;
mod userns;
pub mod verbs;

pub use documents::pages;
pub use error::Error;

use std::process::ExitCode;

/// The status of a wrong command line.
pub const USAGE: u8 = 125;

/// The tool. Every verb has a command line of its own.
pub const TOOL: chain::Tool = chain::Tool::new("rs-rootfs", USAGE);

/// The whole program.
pub fn main() -> ExitCode {
    chain::run_words(&TOOL, cli::main)
}

/// The C library's words for `error`, without `(os error N)`.
pub(crate) fn reason(error: &std::io::Error) -> String {
    if let Some(errno) = error.raw_os_error() {
        return chain::error::strerror(nix::errno::Errno::from_raw(errno));
    }
    // Libraries wrap one to give it another kind.
    error.get_ref().and_then(|inner| inner.downcast_ref()).map_or_else(|| error.to_string(), reason)
}

/// Whether `path`, which cannot be opened, is as good as not there: $HOME may
/// be another user's, as setpriv(1) and su(1) leave it, or no folder at all. A
/// file that is seen and cannot be read is there.
pub(crate) fn is_absent(path: &std::path::Path, error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound, PermissionDenied};
    match error.kind() {
        NotFound | NotADirectory => true,
        PermissionDenied => std::fs::symlink_metadata(path).is_err(),
        _ => false,
    }
}

/// `error` and its causes in one line, the kernel's in the C library's words.
pub(crate) fn told(error: &anyhow::Error) -> String {
    let words = |cause: &(dyn std::error::Error + 'static)| match cause.downcast_ref() {
        Some(error) => reason(error),
        None => cause.to_string(),
    };
    error.chain().map(words).collect::<Vec<_>>().join(": ")
}

/// Whether a signal asks this program to stop.
///
/// # Errors
/// Yes.
pub(crate) fn interrupted() -> anyhow::Result<()> {
    match chain::interrupt::caught() {
        Some(signal) => {
            progress::clear();
            Err(anyhow::Error::new(error::Interrupt(signal)))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Error, ErrorKind};

    #[test]
    fn reasons() {
        let own = |errno| Error::from_raw_os_error(errno);
        assert_eq!(super::reason(&own(2)), "No such file or directory");
        assert_eq!(super::reason(&Error::new(ErrorKind::TimedOut, own(11))), "Resource temporarily unavailable");
        assert_eq!(super::reason(&Error::other("a word")), "a word");
        let told = anyhow::Error::new(own(5)).context("FILE");
        assert_eq!(super::told(&told), "FILE: Input/output error");
    }
}
