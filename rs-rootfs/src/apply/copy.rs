//! Copies of the host's files: shared blocks, else the kernel's own copy,
//! else through this process. Never a hard link: the root could change the
//! host.

use super::Unpacker;
use anyhow::anyhow;
use chain::sys;
use chain::sys::contents::{CloneFile, CopyFileRange};
use chain::sys::file::Fd;
use nix::errno::Errno;

/// How much is copied at a time.
const AT_ONCE: usize = 1 << 20;

/// What was tried and is not possible between these file systems.
#[derive(Debug, Default)]
pub(super) struct Ways {
    no_clone: bool,
    no_range: bool,
}

impl Unpacker {
    /// Copies the whole of `from`, which has `size` bytes, into the new, empty
    /// `to`.
    pub(super) fn copy(&mut self, to: Fd<'_>, from: Fd<'_>, size: u64) -> anyhow::Result<()> {
        if !self.copying.no_clone {
            match sys::quietly(&CloneFile { fd: to, from }) {
                Ok(()) => {
                    self.written += size;
                    return Ok(());
                }
                Err(_) => self.copying.no_clone = true,
            }
        }
        while !self.copying.no_range {
            crate::interrupted()?;
            let call = CopyFileRange { from, to, length: AT_ONCE };
            match sys::quietly(&call) {
                Ok(0) => return Ok(()),
                Ok(copied) => self.written += copied as u64,
                Err(Errno::ENOSYS | Errno::EXDEV | Errno::EINVAL | Errno::EOPNOTSUPP | Errno::EPERM) => {
                    self.copying.no_range = true;
                }
                Err(errno) => return Err(super::tree::error("cannot copy", from.path, errno)),
            }
        }
        let mut block = vec![0; AT_ONCE];
        loop {
            crate::interrupted()?;
            match nix::unistd::read(from.fd, &mut block) {
                Ok(0) => return Ok(()),
                Ok(length) => self.write(to, &block[..length])?,
                Err(Errno::EINTR) => {}
                Err(errno) => {
                    return Err(anyhow!("cannot read {}: {}", from.path.display(), chain::error::strerror(errno)));
                }
            }
        }
    }
}
