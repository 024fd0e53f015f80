//! A second thread for the contents of large files: the kernel spends most
//! of an unpacking on copying them into new pages, and needs only a
//! descriptor for that. Whatever has a name is made by the first thread, in
//! the archive's order.

use super::name::Shown;
use crate::stream::Piece;
use anyhow::{Context, anyhow};
use chain::sys;
use chain::sys::contents::WriteData;
use chain::sys::file::Fd;
use chain::sys::inode::{On, SetTime};
use nix::sys::resource::{Resource, getrlimit};
use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

/// How long a file is that is worth passing on, in bytes.
pub(super) const LARGE: u64 = 64 << 10;
/// How many tasks may wait; each holds a descriptor and a block of the stream.
const QUEUE: usize = 16;

/// A file that was made and is still empty.
pub(super) struct Empty {
    fd: OwnedFd,
    path: Vec<u8>,
}

impl Empty {
    /// Its name is only for messages.
    pub(super) fn new(fd: OwnedFd, path: &[u8]) -> Arc<Self> {
        Arc::new(Self { fd, path: path.to_vec() })
    }

    fn fd(&self) -> Fd<'_> {
        Fd { fd: self.fd.as_fd(), path: Path::new(OsStr::from_bytes(&self.path)) }
    }
}

/// What is to be done with a file, one after the other.
pub(super) enum Task {
    /// More of its contents.
    Write(Arc<Empty>, Piece),
    /// All of them were written: the time of its last change.
    Stamp(Arc<Empty>, (i64, u32)),
}

impl Task {
    fn perform(&self) -> anyhow::Result<()> {
        match self {
            Self::Write(file, piece) => write(file.fd(), piece),
            Self::Stamp(file, time) => Ok(sys::make(&SetTime { on: On::Open(file.fd()), time: *time })?),
        }
        .with_context(|| format!("entry {}", Shown(&self.file().path)))
    }

    fn file(&self) -> &Empty {
        match self {
            Self::Write(file, _) | Self::Stamp(file, _) => file,
        }
    }
}

/// Writes all of `bytes` where the file stands.
pub(super) fn write(file: Fd<'_>, mut bytes: &[u8]) -> anyhow::Result<()> {
    while !bytes.is_empty() {
        let written = sys::make(&WriteData { fd: file, bytes })?;
        bytes = &bytes[written..];
    }
    Ok(())
}

/// See the module. The thread runs from the first task to [`Writer::finish`].
#[derive(Default)]
pub(super) struct Writer(Option<(SyncSender<Task>, JoinHandle<anyhow::Result<()>>)>);

impl Writer {
    /// Whether another thread is of use here: not on one processor, nor where
    /// every call is shown in its order, nor where descriptors are scarce.
    pub(super) fn helps() -> bool {
        let descriptors = getrlimit(Resource::RLIMIT_NOFILE).is_ok_and(|(soft, _)| soft >= 8 * QUEUE as u64);
        let processors = std::thread::available_parallelism().is_ok_and(|count| count.get() > 1);
        descriptors && processors && !chain::trace::on()
    }

    /// Passes `task` on.
    ///
    /// # Errors
    /// The thread cannot be started or has failed; [`Writer::finish`] says why.
    pub(super) fn pass(&mut self, task: Task) -> anyhow::Result<()> {
        if self.0.is_none() {
            let (tasks, from) = sync_channel(QUEUE);
            let thread = std::thread::Builder::new().name("write".to_owned()).spawn(move || perform_all(&from));
            let thread = thread.map_err(|error| anyhow!("cannot start a thread: {}", crate::reason(&error)))?;
            self.0 = Some((tasks, thread));
        }
        let passed = self.0.as_ref().map(|(tasks, _)| tasks.send(task));
        passed.and_then(Result::ok).context("the writing thread failed")
    }

    /// Waits until everything is written.
    ///
    /// # Errors
    /// The first thing that could not be.
    pub(super) fn finish(&mut self) -> anyhow::Result<()> {
        let Some((tasks, thread)) = self.0.take() else { return Ok(()) };
        drop(tasks);
        thread.join().map_err(|_| anyhow!("the writing thread failed"))?
    }
}

fn perform_all(tasks: &Receiver<Task>) -> anyhow::Result<()> {
    tasks.iter().try_for_each(|task| task.perform())
}
