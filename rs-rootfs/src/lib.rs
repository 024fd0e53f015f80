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
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// Whether a signal asks this program to stop.
///
/// # Errors
/// Yes.
pub(crate) fn interrupted() -> anyhow::Result<()> {
    match chain::interrupt::caught() {
        Some(signal) => Err(anyhow::Error::new(error::Interrupt(signal))),
        None => Ok(()),
    }
}
