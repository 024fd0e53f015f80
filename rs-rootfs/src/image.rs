//! An image as whoever unpacks it sees it.

use crate::digest::Digest;
use crate::document::Config;
use std::io::Read;

/// Layers in order, and where their bytes come from.
pub struct Image {
    /// The sha256 of its configuration; a plain tar has none.
    pub id: Option<Digest>,
    /// Its configuration; a plain tar has none.
    pub config: Option<Config>,
    /// Lowest first.
    pub layers: Vec<Layer>,
    /// Opens each of them.
    pub contents: Box<dyn Contents>,
    /// Whether names beginning with `.wh.` mean removal: not in a plain tar.
    pub whiteouts: bool,
}

/// What is still to be checked of a layer while it is read.
#[derive(Debug, Clone, Default)]
pub struct Layer {
    /// Size and digest of the bytes as [`Contents::open`] gives them. `None`:
    /// they were checked when they were stored, or there is no promise.
    pub blob: Option<Blob>,
    /// The digest of the same bytes decompressed. `None`: checked, or none.
    pub diff_id: Option<Digest>,
}

/// Content and its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blob {
    /// What its bytes hash to.
    pub digest: Digest,
    /// How many there are.
    pub size: u64,
}

/// What opens the layers of an image. Called from a thread of its own, once
/// for each layer, in order; it may wait there for a download.
pub trait Contents: Send {
    /// The bytes of layer `index`, compressed or not: the reader looks at
    /// their magic. A reader that fails is a failed unpack.
    ///
    /// # Errors
    /// Why they cannot be had.
    fn open(&mut self, index: usize) -> anyhow::Result<Box<dyn Read + Send>>;
}

/// What all sources are told.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The platform asked for; `None` is the host's.
    pub platform: Option<crate::platform::Platform>,
    /// Plain http and bad certificates are allowed.
    pub insecure: bool,
    /// What the store holds is hashed again.
    pub verify: bool,
    /// Nothing is said but errors.
    pub quiet: bool,
    /// Downloads at a time; `None` is three.
    pub jobs: Option<usize>,
}
