//! Sockets of this machine (unix(7)).

use super::file::Fd;
use super::{Call, check};
use crate::notation::quoted;
use nix::errno::Errno;
use std::fmt;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;

/// socket(2): a stream between processes of this machine. Close-on-exec.
pub struct Socket;

impl fmt::Display for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0")
    }
}

impl Call for Socket {
    type Out = OwnedFd;
    const NAME: &'static str = "socket";
    fn why(&self) -> String {
        "a socket is how a service of this machine is talked to".to_owned()
    }
    fn cannot(&self) -> String {
        "cannot make a socket".to_owned()
    }
    fn enter(&self) -> nix::Result<OwnedFd> {
        #[allow(unsafe_code)]
        // SAFETY: takes three integers.
        let fd = unsafe { libc::syscall(libc::SYS_socket, libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0) };
        let fd = RawFd::try_from(check(fd)?).map_err(|_| Errno::EBADF)?;
        #[allow(unsafe_code)]
        // SAFETY: the kernel just gave us this descriptor; nobody else owns it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    }
    fn returned(&self, out: &OwnedFd) -> String {
        out.as_raw_fd().to_string()
    }
}

/// connect(2) to the service behind a path.
pub struct Connect<'a> {
    /// The socket; its path is that of the service.
    pub socket: Fd<'a>,
}

impl Connect<'_> {
    fn path(&self) -> &Path {
        self.socket.path
    }

    /// The length of the address: the family, the path and its NUL.
    fn length(&self) -> usize {
        size_of::<libc::sa_family_t>() + self.path().as_os_str().len() + 1
    }
}

impl fmt::Display for Connect<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (fd, path) = (self.socket.fd.as_raw_fd(), quoted(self.path()));
        write!(f, "connect({fd}, {{sa_family=AF_UNIX, sun_path={path}}}, {}", self.length())
    }
}

impl Call for Connect<'_> {
    type Out = ();
    const NAME: &'static str = "connect";
    fn why(&self) -> String {
        format!("{} leads to the service that is asked", self.path().display())
    }
    fn cannot(&self) -> String {
        format!("cannot connect to {}", self.path().display())
    }
    fn enter(&self) -> nix::Result<()> {
        let address = nix::sys::socket::UnixAddr::new(self.path())?;
        nix::sys::socket::connect(self.socket.fd.as_raw_fd(), &address)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn notation() {
        assert_eq!(Socket.to_string(), "socket(AF_UNIX, SOCK_STREAM|SOCK_CLOEXEC, 0");
        let fd = std::io::stdin();
        let path = Path::new("/run/x");
        let connect = Connect { socket: Fd { fd: fd.as_fd(), path } };
        assert_eq!(connect.to_string(), "connect(0, {sa_family=AF_UNIX, sun_path=\"/run/x\"}, 9");
    }
}
