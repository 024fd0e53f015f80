//! How strace writes strings, flags and modes (strace(1), "FORMAT").

use std::ffi::OsStr;
use std::fmt::{self, Write};
use std::os::unix::ffi::OsStrExt;

/// Bytes as a C string: `"a\n\0011"`, with the shortest octal escapes.
pub struct Quoted<'a>(pub &'a [u8]);

impl<'a> From<&'a OsStr> for Quoted<'a> {
    fn from(text: &'a OsStr) -> Self {
        Self(text.as_bytes())
    }
}

/// `text` as strace quotes it.
pub fn quoted<T: AsRef<OsStr> + ?Sized>(text: &T) -> Quoted<'_> {
    Quoted(text.as_ref().as_bytes())
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        self.escape(f, b"")?;
        f.write_char('"')
    }
}

/// The path of a descriptor, as strace writes it after the number: `</a\nb>`.
pub struct Angled<'a>(pub &'a OsStr);

impl fmt::Display for Angled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('<')?;
        Quoted(self.0.as_bytes()).escape(f, b"<>")?;
        f.write_char('>')
    }
}

impl Quoted<'_> {
    /// The bytes, those of `more` escaped too.
    fn escape(&self, f: &mut fmt::Formatter<'_>, more: &[u8]) -> fmt::Result {
        for (i, byte) in self.0.iter().enumerate() {
            match byte {
                b'"' => f.write_str("\\\"")?,
                b'\\' => f.write_str("\\\\")?,
                b'\t' => f.write_str("\\t")?,
                b'\n' => f.write_str("\\n")?,
                0x0b => f.write_str("\\v")?,
                0x0c => f.write_str("\\f")?,
                b'\r' => f.write_str("\\r")?,
                b' '..=b'~' if !more.contains(byte) => f.write_char(char::from(*byte))?,
                _ => {
                    let digit_follows =
                        self.0.get(i + 1).is_some_and(|b| (b'0'..=b'7').contains(b) || b.is_ascii_digit());
                    if digit_follows { write!(f, "\\{byte:03o}")? } else { write!(f, "\\{byte:o}")? }
                }
            }
        }
        Ok(())
    }
}

/// `Some` text quoted, `None` as `NULL`.
pub struct OrNull<'a>(pub Option<&'a OsStr>);

impl fmt::Display for OrNull<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(text) => quoted(text).fmt(f),
            None => f.write_str("NULL"),
        }
    }
}

/// Flags joined by `|`, in the order of `table` (ascending bits); what the
/// table does not know as one hexadecimal number, nothing at all as `0`.
pub struct Flags<'a, T: Copy + Into<u64>> {
    /// The bits.
    pub bits: T,
    /// Bits and their names, ascending.
    pub table: &'a [(u64, &'static str)],
}

impl<T: Copy + Into<u64>> fmt::Display for Flags<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest: u64 = self.bits.into();
        let mut first = true;
        for &(bit, name) in self.table {
            if bit != 0 && rest & bit == bit {
                if !first {
                    f.write_char('|')?;
                }
                f.write_str(name)?;
                rest &= !bit;
                first = false;
            }
        }
        if rest != 0 {
            if !first {
                f.write_char('|')?;
            }
            return write!(f, "{rest:#x}");
        }
        if first { f.write_char('0') } else { Ok(()) }
    }
}

/// A file mode: a leading 0 and three digits at least (`0755`).
pub struct Mode(pub u32);

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0>3}", format!("0{:o}", self.0))
    }
}

/// A user's or a group's id: the one that means "none" is -1.
pub struct Id(pub u32);

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == u32::MAX { f.write_str("-1") } else { self.0.fmt(f) }
    }
}

/// The signals of x86 and ARM, by name; where a number has two names the one
/// that strace writes comes first.
pub const SIGNALS: &[(&str, i32)] = &[
    ("HUP", libc::SIGHUP),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("ILL", libc::SIGILL),
    ("TRAP", libc::SIGTRAP),
    ("ABRT", libc::SIGABRT),
    ("IOT", libc::SIGABRT),
    ("BUS", libc::SIGBUS),
    ("FPE", libc::SIGFPE),
    ("KILL", libc::SIGKILL),
    ("USR1", libc::SIGUSR1),
    ("SEGV", libc::SIGSEGV),
    ("USR2", libc::SIGUSR2),
    ("PIPE", libc::SIGPIPE),
    ("ALRM", libc::SIGALRM),
    ("TERM", libc::SIGTERM),
    ("STKFLT", libc::SIGSTKFLT),
    ("CHLD", libc::SIGCHLD),
    ("CLD", libc::SIGCHLD),
    ("CONT", libc::SIGCONT),
    ("STOP", libc::SIGSTOP),
    ("TSTP", libc::SIGTSTP),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("URG", libc::SIGURG),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
    ("VTALRM", libc::SIGVTALRM),
    ("PROF", libc::SIGPROF),
    ("WINCH", libc::SIGWINCH),
    ("IO", libc::SIGIO),
    ("POLL", libc::SIGIO),
    ("PWR", libc::SIGPWR),
    ("SYS", libc::SIGSYS),
];

/// The kernel's first and last real-time signal.
const REAL_TIME: (i32, i32) = (32, 64);

/// A signal by its number: nix's type knows no real-time signals.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signal(pub i32);

impl Signal {
    /// `SIGINT`.
    pub const INT: Self = Self(libc::SIGINT);
    /// `SIGTERM`.
    pub const TERM: Self = Self(libc::SIGTERM);
    /// `SIGKILL`.
    pub const KILL: Self = Self(libc::SIGKILL);
    /// `SIGCHLD`.
    pub const CHLD: Self = Self(libc::SIGCHLD);

    /// Its name without `SIG`, as strace writes it in a set.
    fn short(self) -> String {
        if let Some((name, _)) = SIGNALS.iter().find(|(_, number)| *number == self.0) {
            return (*name).to_owned();
        }
        match self.0 {
            number if number == REAL_TIME.0 => "RTMIN".to_owned(),
            number if number > REAL_TIME.0 && number <= REAL_TIME.1 => format!("RT_{}", number - REAL_TIME.0),
            number => number.to_string(),
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if (1..=REAL_TIME.1).contains(&self.0) { write!(f, "SIG{}", self.short()) } else { self.0.fmt(f) }
    }
}

/// A set of signals: bit N - 1 is signal N.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SignalSet(pub u64);

impl SignalSet {
    /// The set of `signals`.
    pub fn of(signals: &[Signal]) -> Self {
        Self(signals.iter().fold(0, |set, signal| set | 1 << (signal.0 - 1)))
    }
}

impl fmt::Display for SignalSet {
    /// A set that is nearly full is written by what it lacks, as strace does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inverted = self.0.count_ones() >= 64 * 2 / 3;
        let shown = if inverted { !self.0 } else { self.0 };
        let names: Vec<String> = (1..=64).filter(|n| shown >> (n - 1) & 1 == 1).map(|n| Signal(n).short()).collect();
        write!(f, "{}[{}]", if inverted { "~" } else { "" }, names.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_as_strace_writes_them() {
        assert_eq!(Quoted(b"a\"b\\\n\x01\x0211\xc3\xa9").to_string(), r#""a\"b\\\n\1\00211\303\251""#);
    }

    #[test]
    fn signals() {
        assert_eq!(Signal(6).to_string(), "SIGABRT");
        assert_eq!(Signal(34).to_string(), "SIGRT_2");
        assert_eq!(Signal(0).to_string(), "0");
        assert_eq!(SignalSet::of(&[Signal::INT, Signal(17), Signal(34)]).to_string(), "[INT CHLD RT_2]");
        assert_eq!(SignalSet(!(1 << 8)).to_string(), "~[KILL]");
    }

    #[test]
    fn paths_of_descriptors() {
        assert_eq!(Angled(OsStr::new("/a b>\n")).to_string(), "</a b\\76\\n>");
    }

    #[test]
    fn flags_and_modes() {
        let table = &[(1, "A"), (4, "B")];
        assert_eq!(Flags { bits: 5u32, table }.to_string(), "A|B");
        assert_eq!(Flags { bits: 0u32, table }.to_string(), "0");
        assert_eq!(Flags { bits: 9u32, table }.to_string(), "A|0x8");
        let mode = |mode| Mode(mode).to_string();
        assert_eq!([mode(0o4755), mode(0o755), mode(0o22), mode(0o7), mode(0)], ["04755", "0755", "022", "007", "000"]);
        assert_eq!([Id(u32::MAX).to_string(), Id(u32::MAX - 1).to_string()], ["-1", "4294967294"]);
    }
}
