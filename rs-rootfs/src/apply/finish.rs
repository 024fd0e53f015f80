//! What folders are given when everything in them is there.

use super::Unpacker;
use super::tree::{Before, Id, ROOT, Record, error, open_folder};
use chain::sys;
use chain::sys::file::Fd;
use chain::sys::inode::{Fchmod, Fchown, On, SetTime};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::stat::{FileStat, fstat};
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;

impl Unpacker {
    /// Gives every folder its owner, mode, access lists and time, the deepest
    /// first: what is made in a folder changes its time.
    ///
    /// # Errors
    /// A folder cannot be given what the archive says.
    pub fn finish(&mut self) -> anyhow::Result<()> {
        self.writer.finish()?;
        for id in self.tree.recorded() {
            crate::interrupted()?;
            let Some((record, lists)) = self.tree.take_record(id) else { continue };
            let path = self.tree.path(id);
            let fd = self.reopen(id).map_err(|errno| error("cannot open", &path, errno))?;
            let about = fstat(&fd).map_err(|errno| error("cannot look at", &path, errno))?;
            self.give(Fd { fd: fd.as_fd(), path: &path }, &about, &record, &lists)?;
        }
        Ok(())
    }

    /// Gives folders that were there before what they had, as far as that is
    /// possible.
    pub(super) fn restore(&mut self) {
        for (id, Before { record, attributes }) in self.tree.changed() {
            let path = self.tree.path(id);
            let Ok(fd) = self.reopen(id) else { continue };
            let folder = Fd { fd: fd.as_fd(), path: &path };
            // Before the mode, which may not let us write them.
            if let Some(attributes) = attributes {
                let _ = self.remove_attributes(folder);
                for (name, value) in &attributes {
                    let _ = self.attribute(folder, name, value);
                }
            }
            if let Ok(about) = fstat(&fd) {
                let _ = self.give(folder, &about, &record, &[]);
            }
        }
    }

    fn reopen(&mut self, id: Id) -> Result<OwnedFd, Errno> {
        if id == ROOT {
            return open_folder(self.tree.fd(0), b".", OFlag::O_RDONLY);
        }
        let (parent, name) = (self.tree.node(id).parent, self.tree.node(id).name.clone());
        let slot = self.tree.open(parent).map_err(|_| Errno::ENOENT)?;
        open_folder(self.tree.fd(slot), OsStr::from_bytes(&name).as_bytes(), OFlag::O_RDONLY)
    }

    fn give(
        &mut self,
        folder: Fd<'_>,
        about: &FileStat,
        record: &Record,
        lists: &[(Vec<u8>, Vec<u8>)],
    ) -> anyhow::Result<()> {
        if let Some((uid, gid)) = record.owner()
            && (about.st_uid, about.st_gid) != (uid, gid)
        {
            sys::make(&Fchown { fd: folder, uid, gid })?;
        }
        if about.st_mode & 0o7777 != record.mode() {
            sys::make(&Fchmod { fd: folder, mode: record.mode() })?;
        }
        for (name, value) in lists {
            self.attribute(folder, name, value)?;
        }
        if let Some(time) = record.mtime() {
            sys::make(&SetTime { on: On::Open(folder), time })?;
        }
        Ok(())
    }
}
