//! Standard output that never panics and never loses a line.

use crate::error::{Failure, strerror};
use nix::errno::Errno;
use std::os::fd::{AsFd, BorrowedFd};

/// Standard output could not be written.
#[derive(Debug, thiserror::Error)]
#[error("write error: {}", strerror(*errno))]
pub struct OutputError {
    /// The kernel's reason.
    pub errno: Errno,
    /// The exit status of the tool for it.
    pub status: u8,
}

impl Failure for OutputError {
    fn status(&self) -> u8 {
        self.status
    }
}

/// Writes all of `bytes` to standard output at once, unbuffered: what was
/// printed is out before any exec or fork.
///
/// # Errors
/// The kernel's reason (`/dev/full`, a closed descriptor); a closed pipe ends
/// the process by SIGPIPE unless the caller ignored that.
pub fn write_stdout(bytes: &[u8]) -> Result<(), Errno> {
    if crate::startup::was_closed(1) {
        return if bytes.is_empty() { Ok(()) } else { Err(Errno::EBADF) };
    }
    write_all(std::io::stdout().as_fd(), bytes)
}

/// [`write_stdout`], with the status that the tool gives when it fails.
///
/// # Errors
/// See [`write_stdout`].
pub fn print(text: &str, status: u8) -> Result<(), OutputError> {
    write_stdout(text.as_bytes()).map_err(|errno| OutputError { errno, status })
}

fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        match nix::unistd::write(fd, bytes) {
            Ok(0) => return Err(Errno::EIO),
            Ok(n) => bytes = &bytes[n..],
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
    }
    Ok(())
}
