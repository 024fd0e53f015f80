//! Finding the next program and becoming it, as execvp(3) does, with the
//! statuses 126 and 127 of POSIX's shell.

use crate::error::{Failure, strerror};
use crate::hint;
use crate::sys::process::{Environment, Execve};
use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// PATH where there is none (execvp(3) as util-linux has it).
pub const DEFAULT_PATH: &str = "/bin:/usr/bin";
/// Runs scripts that have no `#!` line.
pub const SHELL: &str = "/bin/sh";

/// A folder of PATH that is longer is passed over.
const PATH_MAX: usize = libc::PATH_MAX as usize;

/// The next program was not started.
#[derive(Debug, Clone, thiserror::Error)]
#[error("failed to execute {}: {}", program.display(), strerror(*errno))]
pub struct ExecError {
    /// Its name, as given.
    pub program: OsString,
    /// The file that was tried last, where one was found.
    pub file: Option<PathBuf>,
    /// The kernel's reason.
    pub errno: Errno,
}

impl Failure for ExecError {
    /// 127: not found. 126: found, but not startable.
    fn status(&self) -> u8 {
        if self.errno == Errno::ENOENT { 127 } else { 126 }
    }
    fn hint(&self) -> Option<String> {
        hint::exec(self.file.as_deref()?, self.errno)
    }
}

/// A program to become.
#[derive(Debug, Clone, Copy)]
pub struct Program<'a> {
    /// What to look for: with a `/` as it is, else in PATH.
    pub file: &'a OsStr,
    /// The words it sees, its name first.
    pub argv: &'a [OsString],
    /// Its environment. PATH is taken from it.
    pub env: Environment<'a>,
    /// Whether a name without `/` is looked for in PATH, and a script without a
    /// `#!` line is run by sh: execvp(3), not execv(3).
    pub search: bool,
}

/// Becomes `command`, its first word found in PATH.
///
/// # Errors
/// Returns only to report. An empty command is not found.
pub fn exec(command: &[OsString]) -> Result<Infallible, ExecError> {
    Program::of(command).become_it()
}

/// With these a search through PATH goes on (execvp(3)); with any other it
/// ends.
fn is_not_there(errno: Errno) -> bool {
    matches!(errno, Errno::ENOENT | Errno::ENOTDIR | Errno::ESTALE | Errno::ENODEV | Errno::ETIMEDOUT)
}

/// `file` in each folder of `path`.
fn in_path(path: &OsStr, file: &OsStr) -> impl Iterator<Item = OsString> {
    path.as_bytes().split(|b| *b == b':').filter(|folder| folder.len() < PATH_MAX).map(|folder| {
        let mut candidate = folder.to_vec();
        if !candidate.is_empty() {
            candidate.push(b'/');
        }
        candidate.extend_from_slice(file.as_bytes());
        OsString::from_vec(candidate)
    })
}

impl<'a> Program<'a> {
    /// `command`, its first word to be found in PATH, with our environment.
    pub fn of(command: &'a [OsString]) -> Self {
        let file = command.first().map_or(OsStr::new(""), OsString::as_os_str);
        Self { file, argv: command, env: Environment::Inherited, search: true }
    }

    /// Becomes the program.
    ///
    /// # Errors
    /// Returns only to report.
    pub fn become_it(&self) -> Result<Infallible, ExecError> {
        let failed = |errno, file| ExecError { program: self.file.to_owned(), file, errno };
        if self.file.is_empty() {
            return Err(failed(Errno::ENOENT, None));
        }
        if !self.search {
            let Err(errno) = Execve { path: self.file, argv: self.argv, env: self.env }.become_it();
            return Err(failed(errno, Some(self.file.into())));
        }
        if self.file.as_bytes().contains(&b'/') {
            let Err(errno) = self.attempt(self.file);
            return Err(failed(errno, Some(self.file.into())));
        }
        let mut refused = None;
        let path = self.path();
        for candidate in in_path(&path, self.file) {
            // Asking first keeps a search through PATH one line in the trace.
            if access(candidate.as_os_str(), AccessFlags::F_OK).is_err_and(is_not_there) {
                continue;
            }
            let Err(errno) = self.attempt(&candidate);
            match errno {
                Errno::EACCES if !matches!(refused, Some((Errno::EACCES, _))) => refused = Some((errno, candidate)),
                Errno::ENOENT if refused.is_none() => refused = Some((errno, candidate)),
                Errno::EACCES => {}
                errno if is_not_there(errno) => {}
                _ => return Err(failed(errno, Some(candidate.into()))),
            }
        }
        match refused {
            Some((errno, file)) => Err(failed(errno, Some(file.into()))),
            None => Err(failed(Errno::ENOENT, None)),
        }
    }

    /// The files that may be tried, in their order.
    pub(crate) fn candidates(&self) -> Vec<OsString> {
        if !self.search || self.file.as_bytes().contains(&b'/') {
            return vec![self.file.to_owned()];
        }
        in_path(&self.path(), self.file).collect()
    }

    fn path(&self) -> OsString {
        let found = match self.env {
            Environment::Inherited => std::env::var_os("PATH"),
            Environment::Only(words) => words.iter().find_map(|word| {
                let value = word.as_bytes().strip_prefix(b"PATH=")?;
                Some(OsStr::from_bytes(value).to_owned())
            }),
        };
        found.unwrap_or_else(|| DEFAULT_PATH.into())
    }

    fn attempt(&self, file: &OsStr) -> Result<Infallible, Errno> {
        let Err(errno) = Execve { path: file, argv: self.argv, env: self.env }.become_it();
        if errno != Errno::ENOEXEC {
            return Err(errno);
        }
        let mut argv = vec![OsString::from(SHELL), file.to_owned()];
        argv.extend_from_slice(self.argv.get(1..).unwrap_or_default());
        Execve { path: OsStr::new(SHELL), argv: &argv, env: self.env }.become_it()
    }
}
