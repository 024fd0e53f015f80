//! What is stored under a digest.

use super::{Store, join};
use crate::digest::{Digest, Hasher};
use crate::document::Descriptor;
use anyhow::{Context, bail};
use chain::SysError;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::PathBuf;

impl Store {
    /// The blob with this digest, if it is there.
    pub fn blob(&self, digest: &Digest) -> Option<File> {
        File::open(self.path.join(blob_name(digest))).ok()
    }

    /// The blob that `wanted` describes, if it is there with all its bytes.
    pub fn whole_blob(&self, wanted: &Descriptor) -> Option<File> {
        self.blob(&wanted.digest).filter(|file| file.metadata().is_ok_and(|about| about.len() == wanted.size))
    }

    /// The whole of a small blob.
    ///
    /// # Errors
    /// It is larger than `max`, something else than its name says, or cannot
    /// be read; `None`: not there.
    pub fn small_blob(&self, digest: &Digest, max: u64) -> anyhow::Result<Option<Vec<u8>>> {
        let file = match File::open(self.path.join(blob_name(digest))) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("blob {digest}")),
        };
        let mut bytes = Vec::new();
        file.take(max + 1).read_to_end(&mut bytes).with_context(|| format!("blob {digest}"))?;
        if bytes.len() as u64 > max {
            bail!("blob {digest}: larger than {max} bytes");
        }
        if !matches(digest, &bytes) {
            bail!("blob {digest}: damaged in the store");
        }
        Ok(Some(bytes))
    }

    /// Hashes a stored blob again; one that is not what its name says is
    /// removed, so that it is fetched anew. Says whether that was so.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn verify_blob(&self, digest: &Digest) -> anyhow::Result<bool> {
        self.verify("blobs", digest)
    }

    /// The same of an uncompressed layer.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn verify_layer(&self, diff_id: &Digest) -> anyhow::Result<bool> {
        self.verify("layers", diff_id)
    }

    fn verify(&self, kind: &str, digest: &Digest) -> anyhow::Result<bool> {
        let name = join(&folder(kind, digest), digest.hex());
        let Ok(file) = File::open(self.path.join(&name)) else { return Ok(false) };
        let mut hasher = Hasher::new(digest.algorithm());
        hasher.read(file).with_context(|| digest.to_string())?;
        let damaged = hasher.finish() != *digest;
        if damaged {
            self.remove(&name)?;
        }
        Ok(damaged)
    }

    /// Keeps `bytes`, whose digest was checked; what is there already is
    /// looked at, and replaced if it is something else.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn put_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<(), SysError> {
        if matches!(self.small_blob(digest, bytes.len() as u64), Ok(Some(_))) {
            return Ok(());
        }
        self.put(&folder("blobs", digest), digest.hex(), bytes, 0o400)
    }

    /// The uncompressed layer with this diff id, if it is there.
    pub fn layer(&self, diff_id: &Digest) -> Option<File> {
        File::open(self.layer_path(diff_id)).ok()
    }

    /// Where an uncompressed layer is, or would be.
    pub fn layer_path(&self, diff_id: &Digest) -> PathBuf {
        self.path.join(join(&folder("layers", diff_id), diff_id.hex()))
    }
}

/// Whether `bytes` are what `digest` says.
pub fn matches(digest: &Digest, bytes: &[u8]) -> bool {
    let mut hasher = Hasher::new(digest.algorithm());
    hasher.update(bytes);
    hasher.finish() == *digest
}

pub(super) fn folder(kind: &str, digest: &Digest) -> String {
    format!("{kind}/{}", digest.algorithm().name())
}

pub(super) fn blob_name(digest: &Digest) -> String {
    join(&folder("blobs", digest), digest.hex())
}
