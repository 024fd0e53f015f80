//! A blob on its way into the store.

use super::{Store, blob_name, folder, join};
use crate::digest::{Digest, Hasher};
use anyhow::{Context, bail};
use chain::SysError;
use chain::sys::durable::{Flock, SetLength, write_all_at};
use chain::sys::file::{FchmodAt, Fd};
use chain::sys::make;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;

/// `HEX.part`, locked: what came so far of a blob, and its hash.
pub struct Part<'a> {
    store: &'a Store,
    digest: Digest,
    name: String,
    file: File,
    hasher: Hasher,
    length: u64,
}

impl Store {
    /// Starts to fetch the blob `digest` of `size` bytes, or goes on where an
    /// earlier attempt ended; waits while another process fetches it. `None`:
    /// the store has it (by now).
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn part(&self, digest: &Digest, size: u64) -> anyhow::Result<Option<Part<'_>>> {
        let name = format!("{}.part", blob_name(digest));
        loop {
            if self.blob(digest).is_some() {
                return Ok(None);
            }
            let file = File::from(self.open_file(&name, libc::O_RDWR | libc::O_CREAT, 0o600)?);
            let path = self.path().join(&name);
            make(&Flock { fd: Fd { fd: file.as_fd(), path: &path }, operation: libc::LOCK_EX })?;
            // Who held the lock before may have named the file, or removed it.
            let ours = file.metadata()?;
            let same = fs::symlink_metadata(&path).is_ok_and(|it| (it.dev(), it.ino()) == (ours.dev(), ours.ino()));
            if !same {
                continue;
            }
            let mut part = Part {
                store: self,
                digest: digest.clone(),
                name,
                file,
                hasher: Hasher::new(digest.algorithm()),
                length: 0,
            };
            part.take_in(ours.len(), size)?;
            return Ok(Some(part));
        }
    }
}

impl Part<'_> {
    /// Hashes what is there; more than the whole is nothing.
    fn take_in(&mut self, there: u64, size: u64) -> anyhow::Result<()> {
        if there > size {
            return Ok(self.restart()?);
        }
        self.length = self.hasher.read(&self.file).with_context(|| self.name.clone())?;
        Ok(())
    }

    /// How many bytes there are.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// A second descriptor on it, to read what is written.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn reader(&self) -> anyhow::Result<File> {
        let path = self.store.path().join(&self.name);
        File::open(&path).with_context(|| path.display().to_string())
    }

    /// Appends `bytes`.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), SysError> {
        self.hasher.update(bytes);
        let path = self.store.path().join(&self.name);
        write_all_at(Fd { fd: self.file.as_fd(), path: &path }, bytes, self.length)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Forgets what came.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn restart(&mut self) -> Result<(), SysError> {
        let path = self.store.path().join(&self.name);
        make(&SetLength { fd: Fd { fd: self.file.as_fd(), path: &path }, length: 0 })?;
        self.hasher = Hasher::new(self.digest.algorithm());
        self.length = 0;
        Ok(())
    }

    /// Whether what came is the blob.
    pub fn is_right(&self) -> bool {
        self.hasher.clone().finish() == self.digest
    }

    /// Checks the digest over the whole and gives the blob its name. What is
    /// wrong is removed.
    ///
    /// # Errors
    /// Another digest; the kernel's reason.
    pub fn finish(self) -> anyhow::Result<()> {
        let got = self.hasher.finish();
        if got != self.digest {
            self.store.remove(&self.name)?;
            bail!("blob {}: wrong digest, the bytes are {got}", self.digest);
        }
        let own = OsStr::new(&self.name);
        make(&FchmodAt { dir: self.store.at(), path: own, mode: 0o400, why: "What has its final name never changes" })?;
        self.store.sync(&self.file, &self.name)?;
        let folder = folder("blobs", &self.digest);
        self.store.rename(&self.name, &join(&folder, self.digest.hex()))?;
        Ok(self.store.sync_folder(&folder)?)
    }
}
