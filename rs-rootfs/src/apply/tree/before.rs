//! What folders that were there had before this run changed it: one that
//! fails gives it back.

use super::{Attributes, Id, ROOT, Record, Tree};
use chain::sys;
use chain::sys::file::{At, FchmodAt};
use nix::sys::stat::FileStat;
use std::cmp::Reverse;
use std::ffi::OsStr;
use std::os::fd::AsRawFd;

/// See the module.
pub(in crate::apply) struct Before {
    pub(in crate::apply) record: Record,
    /// All of them, if some were to be replaced.
    pub(in crate::apply) attributes: Option<Attributes>,
}

impl Tree {
    /// The folder `id`, which looks like `about`, is about to be changed.
    pub(in crate::apply) fn remember(&mut self, id: Id, about: &FileStat) {
        if self.node(id).made {
            return;
        }
        // Every other folder's time has changed already.
        let mtime = (id == ROOT).then(|| (about.st_mtime, u32::try_from(about.st_mtime_nsec).unwrap_or_default()));
        let record = Record::new(about.st_mode, Some((about.st_uid, about.st_gid)), mtime);
        self.before.entry(id).or_insert(Before { record, attributes: None });
    }

    /// As are its attributes.
    pub(in crate::apply) fn remember_attributes(&mut self, id: Id, attributes: Attributes) {
        if let Some(before) = self.before.get_mut(&id) {
            before.attributes.get_or_insert(attributes);
        }
    }

    /// The folders that were changed, and what they had, each before the one
    /// around it.
    pub(in crate::apply) fn changed(&mut self) -> Vec<(Id, Before)> {
        let mut found: Vec<_> = std::mem::take(&mut self.before).into_iter().collect();
        found.sort_unstable_by_key(|(id, _)| Reverse(self.node(*id).serial));
        found
    }

    /// As an ordinary user DIR itself may lock us out: it does not until the
    /// end.
    pub(super) fn unlock_root(&mut self, about: &FileStat) {
        if self.locks_out(about) {
            self.record_if_none(ROOT, Record::new(about.st_mode, None, None));
            self.open_root(about.st_mode & 0o7777 | 0o700, "to get in until it is done");
        }
    }

    /// DIR is open for its name only, which needs no permissions.
    pub(in crate::apply) fn open_root(&self, mode: u32, why: &str) {
        let open = format!("/proc/self/fd/{}", self.fd(0).as_raw_fd());
        let _ = sys::quietly(&FchmodAt { dir: At::Cwd, path: OsStr::new(&open), mode, why });
    }
}
