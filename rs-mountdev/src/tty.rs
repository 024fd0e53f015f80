//! The terminal: found by descriptor, bound by name after checking that the
//! name leads to the same device (ttyname(3) believes too much).

use crate::bind::Source;
use crate::device::{copied, stands_for_others};
use crate::error::{AtPlace, Error, Why};
use rustix::fs::FileType;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};

/// The terminal that COMMAND is started on.
#[derive(Debug)]
pub struct Terminal {
    /// Its path on the host.
    pub name: PathBuf,
    /// It.
    pub source: Source,
}

/// The terminal of descriptor 0, 1 or 2: the first that is one. `place` is
/// where it will be bound, for messages.
///
/// # Errors
/// There is none, its name leads elsewhere here, or it has no name here but
/// `/dev/tty`.
pub fn find(place: &Path) -> Result<Terminal, Error> {
    let mut why = Why::NoTerminal;
    let standard = [rustix::stdio::stdin(), rustix::stdio::stdout(), rustix::stdio::stderr()];
    let terminals =
        (0u8..).zip(standard).filter(|(number, fd)| !chain::startup::was_closed(*number) && is_terminal(*fd));
    for (number, fd) in terminals {
        let stat = rustix::fs::fstat(fd).at(place)?;
        // `/dev/tty` stands for a terminal, and is not its name.
        if stands_for_others(stat.st_rdev) {
            why = Why::NamelessTerminal;
            continue;
        }
        let name =
            std::fs::read_link(format!("/proc/self/fd/{number}")).map_err(|e| Error::refused(place, e.into()))?;
        let unreachable = || Error::refused(place, Why::TerminalUnreachable(name.display().to_string()));
        let source = Source::open_itself(&name).map_err(|_| unreachable())?;
        let same =
            (source.stat.st_dev, source.stat.st_ino, source.stat.st_rdev) == (stat.st_dev, stat.st_ino, stat.st_rdev);
        if source.kind() != FileType::CharacterDevice || !same {
            return Err(unreachable());
        }
        return Ok(Terminal { source: copied(source, place)?, name });
    }
    Err(Error::refused(place, why))
}

fn is_terminal(fd: BorrowedFd<'_>) -> bool {
    rustix::termios::isatty(fd)
}
