//! Messages: `NAME: cannot X OBJECT: reason`, one line, one write, once.

use crate::errno_text::TEXTS;
use crate::name::name;
use nix::errno::Errno;
use std::fmt;
use std::io::IsTerminal;
use std::os::fd::AsFd;

/// An error that a tool may end with.
pub trait Failure: std::error::Error {
    /// The exit status it gives.
    fn status(&self) -> u8;
    /// One thing to do about it, if a probe of this machine confirmed the
    /// cause.
    fn hint(&self) -> Option<String> {
        None
    }
}

/// The kernel refused a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SysError {
    /// The words before the reason: what could not be done, to what.
    pub what: String,
    /// The kernel's reason.
    pub errno: Errno,
    /// What a probe of the machine found, and what to do.
    pub hint: Option<String>,
}

impl fmt::Display for SysError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what, strerror(self.errno))
    }
}

impl std::error::Error for SysError {}

/// glibc's text for `errno`, which the originals print, whichever C library
/// this program has.
pub fn strerror(errno: Errno) -> String {
    let number = errno as i32;
    let text = usize::try_from(number).ok().and_then(|number| TEXTS.get(number)).copied().unwrap_or_default();
    if text.is_empty() { format!("Unknown error {number}") } else { text.to_owned() }
}

/// `text` with control characters escaped, for names that come from outside
/// and are shown on a terminal.
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Writes `NAME: message` to standard error, in one write.
pub fn say(message: &str) {
    say_lines(&[message]);
}

fn say_lines(messages: &[&str]) {
    let terminal = std::io::stderr().is_terminal();
    let mut lines = String::new();
    for message in messages {
        lines.push_str(name());
        lines.push_str(": ");
        if terminal {
            lines.push_str(&escaped(message));
        } else {
            lines.push_str(message);
        }
        lines.push('\n');
    }
    write_stderr(&lines);
}

/// One write(2) of `text` to standard error; lines of two processes then
/// never mix. Nobody is left to tell if it fails.
pub fn write_stderr(text: &str) {
    let _ = nix::unistd::write(std::io::stderr().as_fd(), text.as_bytes());
}

/// Prints `failure`, and its hint on a line of its own, and gives the status.
pub fn report(failure: &dyn Failure) -> u8 {
    let message = failure.to_string();
    match failure.hint() {
        Some(hint) => say_lines(&[&message, &format!("hint: {hint}")]),
        None => say_lines(&[&message]),
    }
    failure.status()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reason_is_the_c_librarys() {
        assert_eq!(strerror(Errno::EPERM), "Operation not permitted");
        assert_eq!(strerror(Errno::ENOTTY), "Inappropriate ioctl for device");
    }

    #[test]
    fn control_characters_never_reach_a_terminal() {
        assert_eq!(escaped("a\x1b[2Jb\n"), "a\\u{1b}[2Jb\\n");
    }
}
