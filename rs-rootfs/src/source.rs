//! What an image is named by on the command line, and how it is opened.

use crate::image::{Image, Options};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Where a root file system comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `docker://REF`: a registry.
    Registry(OsString),
    /// `docker-daemon:REF`: a running Docker daemon.
    Daemon(OsString),
    /// `docker-archive:PATH[:REF|:@N]`: what `docker save` writes.
    DockerArchive(OsString),
    /// `oci:DIR[:TAG|@DIGEST]`.
    Layout(OsString),
    /// `oci-archive:PATH[:TAG]`.
    LayoutArchive(OsString),
    /// `host:[PROGRAM,...]`.
    Host(OsString),
    /// A tar, or a folder that is a layout.
    Path(OsString),
    /// `-`.
    Stdin,
}

impl Source {
    /// Reads the word on the command line. Every word is a source: one
    /// without a known beginning is a path.
    pub fn from_word(word: &OsStr) -> Self {
        let bytes = word.as_bytes();
        let after = |begin: &str| bytes.strip_prefix(begin.as_bytes()).map(|rest| OsStr::from_bytes(rest).to_owned());
        if bytes == b"-" {
            return Self::Stdin;
        }
        let kinds: [(&str, fn(OsString) -> Self); 6] = [
            ("docker://", Self::Registry),
            ("docker-daemon:", Self::Daemon),
            ("docker-archive:", Self::DockerArchive),
            ("oci:", Self::Layout),
            ("oci-archive:", Self::LayoutArchive),
            ("host:", Self::Host),
        ];
        let found = kinds.into_iter().find_map(|(begin, kind)| Some(kind(after(begin)?)));
        found.unwrap_or_else(|| Self::Path(word.to_owned()))
    }
}

/// Opens `source`. Nothing but the store is written.
///
/// # Errors
/// It is not there, or is no image.
pub fn open(source: &Source, options: &Options) -> anyhow::Result<Image> {
    match source {
        Source::Registry(name) => crate::registry::open(name, options),
        Source::Daemon(_) => anyhow::bail!("docker-daemon: is not there yet"),
        _ => anyhow::bail!("not there yet"),
    }
}
