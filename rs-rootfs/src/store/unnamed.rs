//! Files of the store that are not whole yet.

use super::{Store, TEMPORARY, folder, join, refused};
use crate::digest::Digest;
use chain::SysError;
use chain::sys::durable::write_all_at;
use chain::sys::file::{FchmodAt, Fd, OpenAt};
use chain::sys::{make, quietly};
use nix::errno::Errno;
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU32, Ordering};

impl Store {
    /// Starts a file of `folder` that [`finish`](Unnamed::finish) will name.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn begin(&self, folder: &str) -> Result<Unnamed<'_>, SysError> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = join(folder, &format!("{TEMPORARY}{}-{number}", std::process::id()));
            let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
            let call = OpenAt { dir: self.at(), path: OsStr::new(&name), flags, mode: 0o600, why: super::KEEP };
            match quietly(&call) {
                Ok(fd) => return Ok(Unnamed { store: self, fd, name, length: 0, done: false }),
                // Left by one that was killed and had our process id, as all
                // have that come first in a new pid namespace.
                Err(Errno::EEXIST) => {}
                Err(errno) => return Err(refused(&call, errno)),
            }
        }
    }

    /// Puts the whole of `bytes` at `folder`/`name`.
    pub(super) fn put(&self, folder: &str, name: &str, bytes: &[u8], mode: u32) -> Result<(), SysError> {
        let mut file = self.begin(folder)?;
        file.write(bytes)?;
        file.finish(folder, name, mode)
    }
}

/// A file of the store that has no name yet. Dropped, it is gone.
pub struct Unnamed<'a> {
    store: &'a Store,
    fd: OwnedFd,
    name: String,
    length: u64,
    done: bool,
}

impl Unnamed<'_> {
    /// Appends `bytes`.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), SysError> {
        let path = self.store.path.join(&self.name);
        write_all_at(Fd { fd: self.fd.as_fd(), path: &path }, bytes, self.length)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Names it, for good.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn finish(mut self, folder: &str, name: &str, mode: u32) -> Result<(), SysError> {
        let own = OsStr::new(&self.name);
        make(&FchmodAt { dir: self.store.at(), path: own, mode, why: "What has its final name never changes" })?;
        self.store.sync(&self.fd, &self.name)?;
        self.store.rename(&self.name, &join(folder, name))?;
        self.done = true;
        self.store.sync_folder(folder)
    }

    /// Names it as the uncompressed layer `diff_id`.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn finish_layer(self, diff_id: &Digest) -> Result<(), SysError> {
        self.finish(&folder("layers", diff_id), diff_id.hex(), 0o400)
    }
}

impl Drop for Unnamed<'_> {
    fn drop(&mut self) {
        if !self.done {
            let _ = self.store.remove(&self.name);
        }
    }
}
