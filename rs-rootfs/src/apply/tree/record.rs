//! What folders are to be given when everything in them is there. An archive
//! may have very many of them: a record is as small as it can be.

use super::{Id, Tree};
use anyhow::{Result, bail};
use std::cmp::Reverse;

/// Extended attributes: names and values.
pub(in crate::apply) type Attributes = Vec<(Vec<u8>, Vec<u8>)>;

/// The most bytes of access lists that may wait for the end: more than any
/// file system has, less than would hurt.
const MAX_WAITING: usize = 8 << 20;
/// It stays what it is, as chown(2) has it. No time has so many nanoseconds.
const LEAVE: u32 = u32::MAX;

/// What a folder is to be given.
#[derive(Debug, Clone, Copy)]
pub(in crate::apply) struct Record {
    seconds: i64,
    nanos: u32,
    uid: u32,
    gid: u32,
    mode: u16,
    /// Access lists wait for it, in [`Tree::lists`].
    lists: bool,
}

impl Record {
    /// Without an owner or a time those stay.
    pub(in crate::apply) fn new(mode: u32, owner: Option<(u32, u32)>, mtime: Option<(i64, u32)>) -> Self {
        let ((uid, gid), (seconds, nanos)) = (owner.unwrap_or((LEAVE, LEAVE)), mtime.unwrap_or((0, LEAVE)));
        Self { seconds, nanos, uid, gid, mode: u16::try_from(mode & 0o7777).unwrap_or_default(), lists: false }
    }

    pub(in crate::apply) fn mode(&self) -> u32 {
        self.mode.into()
    }

    pub(in crate::apply) fn owner(&self) -> Option<(u32, u32)> {
        (self.uid != LEAVE).then_some((self.uid, self.gid))
    }

    pub(in crate::apply) fn mtime(&self) -> Option<(i64, u32)> {
        (self.nanos != LEAVE).then_some((self.seconds, self.nanos))
    }
}

impl Tree {
    /// From now on `id` is to be given this.
    ///
    /// # Errors
    /// Too many access lists wait.
    pub(in crate::apply) fn record(&mut self, id: Id, record: Record, lists: Attributes) -> Result<()> {
        self.take_record(id);
        self.waiting += weight(&lists);
        if self.waiting > MAX_WAITING {
            bail!("too many access lists of folders");
        }
        self.node_mut(id).record = Some(Record { lists: !lists.is_empty(), ..record });
        if !lists.is_empty() {
            self.lists.insert(id, lists);
        }
        Ok(())
    }

    /// `id` is to be given this, if nothing else is said of it.
    pub(in crate::apply) fn record_if_none(&mut self, id: Id, record: Record) {
        self.node_mut(id).record.get_or_insert(record);
    }

    /// What `id` is to be given, which then is done.
    pub(in crate::apply) fn take_record(&mut self, id: Id) -> Option<(Record, Attributes)> {
        let record = self.node_mut(id).record.take()?;
        let lists = if record.lists { self.lists.remove(&id) } else { None };
        let lists = lists.unwrap_or_default();
        self.waiting -= weight(&lists);
        Some((record, lists))
    }

    /// The folders that are to be given something, each before the one around
    /// it, which was known earlier.
    pub(in crate::apply) fn recorded(&self) -> Vec<Id> {
        let all = 0..Id::try_from(self.nodes.len()).unwrap_or(Id::MAX);
        let mut found: Vec<Id> = all.filter(|id| self.node(*id).record.is_some()).collect();
        found.sort_unstable_by_key(|id| Reverse(self.node(*id).serial));
        found
    }
}

fn weight(lists: &Attributes) -> usize {
    lists.iter().map(|(name, value)| name.len() + value.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_and_lossless() {
        assert_eq!(size_of::<Option<Record>>(), 24);
        let record = Record::new(0o1777, Some((0, 4)), Some((-1, 0)));
        assert_eq!((record.mode(), record.owner(), record.mtime()), (0o1777, Some((0, 4)), Some((-1, 0))));
        let record = Record::new(0, None, None);
        assert_eq!((record.mode(), record.owner(), record.mtime()), (0, None, None));
    }
}
