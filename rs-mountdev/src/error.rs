//! Why COMMAND was not started.

use chain::error::{escaped, strerror};
use chain::exec::ExecError;
use chain::inside::Refused;
use chain::output::OutputError;
use chain::{Failure, SysError};
use nix::errno::Errno;
use std::fmt;
use std::path::Path;

/// The status of every failure before COMMAND runs.
pub const FAILURE: u8 = 125;

/// Why COMMAND was not started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// What is at a place, or in an option, cannot be worked with.
    #[error("{place}: {}", escaped(&why.to_string()))]
    Refused {
        /// The place in the root, or the option.
        place: String,
        /// What is wrong with it.
        why: Why,
    },
    /// The kernel refused a step.
    #[error("{place}: {}", escaped(&source.to_string()))]
    Step {
        /// The place in the root, or the option.
        place: String,
        /// Which call, and why.
        source: SysError,
    },
    /// COMMAND itself.
    #[error("{}", escaped(&.0.to_string()))]
    Exec(#[from] ExecError),
    /// After `--pivot`: COMMAND leads out of the new root.
    #[error("{}", escaped(&.0.to_string()))]
    Inside(#[from] Refused),
    /// `--dry-run` could not print.
    #[error(transparent)]
    Output(#[from] OutputError),
}

/// What is wrong with a place or an option.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// The kernel's reason, from a call that only looks.
    Errno(Errno),
    /// An empty path.
    Empty,
    /// The root is this process's own.
    IsSlash,
    /// DEST is the root.
    IsRoot,
    /// A symbolic link where none is followed.
    SymbolicLink,
    /// A link to nothing.
    Dangling,
    /// A link of procfs on the way, which may lead anywhere.
    MagicLink,
    /// Something else where a folder is wanted.
    NotDirectory,
    /// A folder where something else is wanted.
    Directory,
    /// The source is no device.
    NotDevice,
    /// The source is not the device of that name.
    WrongDevice,
    /// The source's mount forbids devices, and that cannot be changed here.
    NoDev,
    /// It is below one of the file systems that this run mounted.
    InKernelFs,
    /// Somebody keeps changing it.
    KeepsChanging,
    /// After all is done, what was mounted is not there.
    NotThere,
    /// The mount is shared with other namespaces.
    Shared(String),
    /// None of the standard descriptors is a terminal.
    NoTerminal,
    /// The terminal is only open as `/dev/tty`, which is no name of its own.
    NamelessTerminal,
    /// The terminal's name leads elsewhere.
    TerminalUnreachable(String),
    /// Another link than the wanted one.
    OtherLink(String),
    /// The outer proc is missing.
    NoProc,
    /// This process is not in the new pid namespace.
    OuterPids,
    /// The path no longer leads to the root after it was covered.
    WorkingFolder,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Errno(errno) => return f.write_str(&strerror(*errno)),
            Self::Shared(point) => {
                return write!(f, "the mount at {point} is shared: new mounts would appear in other namespaces");
            }
            Self::TerminalUnreachable(name) => return write!(f, "the terminal is not reachable as {name}"),
            Self::OtherLink(text) => return write!(f, "exists and leads to {text}"),
            Self::Empty => "the path is empty",
            Self::IsSlash => "is the root of this process",
            Self::IsRoot => "is the root itself",
            Self::SymbolicLink => "is a symbolic link",
            Self::Dangling => "is a symbolic link to nothing",
            Self::MagicLink => "leads through a link of procfs",
            Self::NotDirectory => "is not a directory",
            Self::Directory => "is a directory",
            Self::NotDevice => "is not a device",
            Self::WrongDevice => "is not that device on this host",
            Self::NoDev => "is on a mount with nodev that cannot be changed here",
            Self::InKernelFs => "is inside a file system of the kernel",
            Self::KeepsChanging => "keeps changing",
            Self::NotThere => "is not what was mounted there",
            Self::NoTerminal => "there is no terminal",
            Self::NamelessTerminal => "the terminal is open as /dev/tty alone, which is not its name",
            Self::NoProc => "needs /proc to be mounted",
            Self::OuterPids => "would show the processes outside: only children are in the new pid namespace",
            Self::WorkingFolder => "leads below the new mount; give an absolute path",
        };
        f.write_str(text)
    }
}

/// What a file of the outer `/proc` answers.
impl From<std::io::Error> for Why {
    fn from(error: std::io::Error) -> Self {
        match error.raw_os_error() {
            None | Some(libc::ENOENT) => Self::NoProc,
            Some(number) => Self::Errno(Errno::from_raw(number)),
        }
    }
}

impl Error {
    /// `why` at `place`.
    pub fn refused(place: impl AsRef<Path>, why: Why) -> Self {
        Self::Refused { place: shown(place.as_ref()), why }
    }
}

/// A place in the root, for messages: a line, whatever its name, as the image
/// has a say in some. The root itself is called by its option.
fn shown(place: &Path) -> String {
    if place.as_os_str().is_empty() { "--root".to_owned() } else { line(place) }
}

/// A name, without what would end the line.
fn line(name: impl AsRef<Path>) -> String {
    escaped(&name.as_ref().display().to_string())
}

/// Names the place of a refused call.
pub trait AtPlace<T> {
    /// The same result, its error with the place in front.
    ///
    /// # Errors
    /// Those of the call.
    fn at(self, place: impl AsRef<Path>) -> Result<T, Error>;
}

impl<T> AtPlace<T> for Result<T, SysError> {
    fn at(self, place: impl AsRef<Path>) -> Result<T, Error> {
        self.map_err(|source| Error::Step { place: shown(place.as_ref()), source })
    }
}

impl<T> AtPlace<T> for rustix::io::Result<T> {
    fn at(self, place: impl AsRef<Path>) -> Result<T, Error> {
        self.map_err(|e| Error::refused(place, Why::Errno(errno(e))))
    }
}

/// The same number in the type that messages are made from.
pub fn errno(error: rustix::io::Errno) -> Errno {
    Errno::from_raw(error.raw_os_error())
}

impl Failure for Error {
    fn status(&self) -> u8 {
        match self {
            Self::Exec(error) => error.status(),
            Self::Inside(refused) => refused.status(),
            _ => FAILURE,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Step { source, .. } => source.hint.clone(),
            Self::Exec(error) => error.hint(),
            Self::Inside(refused) => refused.hint(),
            Self::Refused { why: Why::Shared(_), .. } => {
                Some("--propagation=private keeps them here; --propagation=unchanged allows it".to_owned())
            }
            Self::Refused { why: Why::OuterPids, .. } => {
                Some("a process that made a pid namespace has to fork (unshare --fork)".to_owned())
            }
            _ => None,
        }
    }
}
