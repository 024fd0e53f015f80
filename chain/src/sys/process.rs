//! The process itself: where it is, what it becomes, whom it starts.

pub use super::inherit::{CloseOnExec, CloseOnExecFrom, SetPGid, SetSid, Umask};

use super::file::Fd;
pub use super::signal::Kill;
use super::{Call, check};
use crate::notation::quoted;
use crate::{startup, trace};
use nix::NixPath;
use nix::errno::Errno;
use nix::unistd::Pid;
use std::convert::Infallible;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fmt;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

/// Declares a call that takes one path.
macro_rules! one_path {
    ($(#[$doc:meta])* $name:ident, $syscall:literal, $number:expr, $cannot:literal, $why:literal) => {
        $(#[$doc])*
        pub struct $name<'a>(pub &'a OsStr);

        impl fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($syscall, "({}"), quoted(self.0))
            }
        }

        impl Call for $name<'_> {
            type Out = ();
            const NAME: &'static str = $syscall;
            fn why(&self) -> String {
                $why.to_owned()
            }
            fn cannot(&self) -> String {
                format!($cannot, self.0.display())
            }
            fn enter(&self) -> nix::Result<()> {
                self.0.with_nix_path(|path| {
                    #[allow(unsafe_code)]
                    // SAFETY: the C string lives through the call.
                    let result = unsafe { libc::syscall($number, path.as_ptr()) };
                    check(result).map(drop)
                })?
            }
        }
    };
}

one_path!(
    /// chdir(2).
    ChDir, "chdir", libc::SYS_chdir, "cannot chdir to '{}'",
    "relative paths start here from now on"
);
one_path!(
    /// chroot(2): does not move the working folder.
    ChRoot, "chroot", libc::SYS_chroot, "cannot change root directory to '{}'",
    "every path that begins with / starts in this folder from now on"
);

/// The environment of the next program.
#[derive(Debug, Clone, Copy)]
pub enum Environment<'a> {
    /// Ours, byte for byte.
    Inherited,
    /// These `NAME=VALUE` words alone.
    Only(&'a [OsString]),
}

#[allow(unsafe_code)]
unsafe extern "C" {
    static environ: *const *const libc::c_char;
}

/// This process's environment, every word as it came, also those without `=`.
pub fn own_environment() -> Vec<OsString> {
    let mut words = Vec::new();
    #[allow(unsafe_code)]
    // SAFETY: `environ` is an array of C strings that ends in NULL, and
    // nothing changes it in a process of one thread.
    unsafe {
        let mut next = environ;
        while !next.is_null() && !(*next).is_null() {
            words.push(OsStr::from_bytes(CStr::from_ptr(*next).to_bytes()).to_owned());
            next = next.add(1);
        }
    }
    words
}

/// execve(2): becomes another program; returns only to report.
pub struct Execve<'a> {
    /// The file.
    pub path: &'a OsStr,
    /// The words it sees, its name first.
    pub argv: &'a [OsString],
    /// Its environment.
    pub env: Environment<'a>,
}

impl Execve<'_> {
    fn variables(&self) -> usize {
        match self.env {
            Environment::Inherited => own_environment().len(),
            Environment::Only(words) => words.len(),
        }
    }

    /// Makes the call.
    ///
    /// # Errors
    /// The kernel's reason; a NUL inside a word is `EINVAL`.
    pub fn become_it(&self) -> Result<Infallible, Errno> {
        startup::close_again();
        super::lastly(self)
    }
}

impl fmt::Display for Execve<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "execve({}, [", quoted(self.path))?;
        for (i, word) in self.argv.iter().enumerate() {
            write!(f, "{}{}", if i == 0 { "" } else { ", " }, quoted(word))?;
        }
        let variables = self.variables();
        write!(f, "], /* {variables} var{} */", if variables == 1 { "" } else { "s" })
    }
}

fn c_strings(words: &[OsString]) -> nix::Result<Vec<CString>> {
    words.iter().map(|word| CString::new(word.as_bytes()).map_err(|_| Errno::EINVAL)).collect()
}

fn pointers(words: &[CString]) -> Vec<*const libc::c_char> {
    words.iter().map(|word| word.as_ptr()).chain([ptr::null()]).collect()
}

impl Call for Execve<'_> {
    type Out = Infallible;
    const NAME: &'static str = "execve";
    fn why(&self) -> String {
        format!("this process becomes {}: same process id, same namespaces, same limits", self.path.display())
    }
    fn cannot(&self) -> String {
        format!("failed to execute {}", self.path.display())
    }
    fn enter(&self) -> nix::Result<Infallible> {
        let path = CString::new(self.path.as_bytes()).map_err(|_| Errno::EINVAL)?;
        let argv = c_strings(self.argv)?;
        let argv = pointers(&argv);
        let only = match self.env {
            Environment::Inherited => None,
            Environment::Only(words) => Some(c_strings(words)?),
        };
        let only = only.as_deref().map(pointers);
        #[allow(unsafe_code)]
        // SAFETY: path, argv and envp end in NUL and live through the call;
        // nothing changes `environ` in a process of one thread.
        unsafe {
            let envp = only.as_ref().map_or(environ, Vec::as_ptr);
            libc::syscall(libc::SYS_execve, path.as_ptr(), argv.as_ptr(), envp);
        }
        Err(Errno::last())
    }
}

/// Which of the two a process is after [`Fork`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forked {
    /// The caller; the child's pid.
    Parent(Pid),
    /// The child.
    Child,
}

impl Forked {
    /// From what clone(2) gave.
    pub(super) fn from_pid(pid: libc::c_long) -> Self {
        if pid == 0 {
            trace::in_child();
            return Self::Child;
        }
        #[expect(clippy::cast_possible_truncation, reason = "pids are ints")]
        Self::Parent(Pid::from_raw(pid as i32))
    }

    /// The parent's pid line; a child has none, as the parent writes it.
    pub(super) fn returned(self) -> String {
        match self {
            Self::Parent(pid) => pid.to_string(),
            Self::Child => String::new(),
        }
    }
}

/// clone(2) as fork: a copy of this process. Only while it has one thread.
/// Holds why it is wanted, for `--explain`.
pub struct Fork<'a>(pub &'a str);

impl fmt::Display for Fork<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("clone(child_stack=NULL, flags=SIGCHLD")
    }
}

impl Call for Fork<'_> {
    type Out = Forked;
    const NAME: &'static str = "clone";
    fn why(&self) -> String {
        self.0.to_owned()
    }
    fn cannot(&self) -> String {
        "fork failed".to_owned()
    }
    fn hint(&self, errno: Errno) -> Option<String> {
        crate::hint::fork(errno)
    }
    fn enter(&self) -> nix::Result<Forked> {
        #[allow(unsafe_code)]
        // SAFETY: without CLONE_VM the child has its own copy of everything,
        // and with a NULL stack it goes on where the parent is; this process
        // has one thread, so no lock is held by anybody who is not copied.
        let pid = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0usize, 0usize, 0usize, 0usize) };
        Ok(Forked::from_pid(check(pid)?))
    }
    fn returned(&self, out: &Forked) -> String {
        out.returned()
    }
}

/// pidfd_open(2): a descriptor that tells when the process has ended, also
/// across pid namespaces. Close-on-exec by itself.
pub struct PidfdOpen(pub Pid);

impl fmt::Display for PidfdOpen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pidfd_open({}, 0", self.0)
    }
}

impl Call for PidfdOpen {
    type Out = OwnedFd;
    const NAME: &'static str = "pidfd_open";
    fn why(&self) -> String {
        "a process of another pid namespace has no number here: this descriptor tells whether it still runs".to_owned()
    }
    fn cannot(&self) -> String {
        "pidfd_open failed".to_owned()
    }
    fn enter(&self) -> nix::Result<OwnedFd> {
        #[allow(unsafe_code)]
        // SAFETY: takes two integers.
        let fd = check(unsafe { libc::syscall(libc::SYS_pidfd_open, self.0.as_raw(), 0) })?;
        #[expect(clippy::cast_possible_truncation, reason = "the kernel's descriptors are ints")]
        #[allow(unsafe_code)]
        // SAFETY: the kernel just gave us this descriptor; nobody else owns it.
        Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
    }
    fn returned(&self, out: &OwnedFd) -> String {
        out.as_raw_fd().to_string()
    }
}

/// fchdir(2).
pub struct FchDir<'a>(pub Fd<'a>);

impl fmt::Display for FchDir<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fchdir({}", self.0)
    }
}

impl Call for FchDir<'_> {
    type Out = ();
    const NAME: &'static str = "fchdir";
    fn why(&self) -> String {
        "the working folder is moved by descriptor: `.` is then this folder, whatever its name leads to".to_owned()
    }
    fn cannot(&self) -> String {
        format!("cannot chdir to '{}'", self.0.path.display())
    }
    fn enter(&self) -> nix::Result<()> {
        nix::unistd::fchdir(self.0.fd)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notation() {
        let argv = [OsString::from("true"), OsString::from("a b")];
        let exec = Execve { path: OsStr::new("/bin/true"), argv: &argv, env: Environment::Only(&[]) };
        assert_eq!(exec.to_string(), r#"execve("/bin/true", ["true", "a b"], /* 0 vars */"#);
        assert_eq!(ChDir(OsStr::new("/")).to_string(), r#"chdir("/""#);
        let kill = |signal| Kill { pid: Pid::from_raw(5), signal }.to_string();
        assert_eq!(kill(libc::SIGKILL), "kill(5, SIGKILL");
        assert_eq!(kill(34), "kill(5, SIGRT_2");
        assert_eq!(kill(70), "kill(5, 70");
    }
}
