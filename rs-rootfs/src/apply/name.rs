//! Names of an archive: what they may be, and how messages show them.

use std::fmt;

/// The longest name and the longest link text, in bytes (PATH_MAX less NUL).
pub(crate) const MAX_NAME: usize = 4095;
/// The longest part between two slashes (NAME_MAX).
pub(crate) const MAX_PART: usize = 255;

/// Why a name is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadName {
    /// No bytes at all.
    #[error("an empty name")]
    Empty,
    /// It would climb.
    #[error("a name with '..' in it")]
    Climbs,
    /// The kernel takes none such.
    #[error("a name that is too long")]
    Long,
    /// The kernel would end it there.
    #[error("a name with a NUL in it")]
    Nul,
}

/// The parts of `name`: split at slashes, without empty ones and `.`. None at
/// all is the root. A leading slash is dropped with all others.
///
/// # Errors
/// See [`BadName`].
pub(crate) fn parts(name: &[u8]) -> Result<Vec<&[u8]>, BadName> {
    if name.is_empty() {
        return Err(BadName::Empty);
    }
    if name.len() > MAX_NAME {
        return Err(BadName::Long);
    }
    if name.contains(&0) {
        return Err(BadName::Nul);
    }
    let mut found = Vec::with_capacity(16);
    for part in name.split(|b| *b == b'/').filter(|part| !matches!(*part, b"" | b".")) {
        match part {
            b".." => return Err(BadName::Climbs),
            _ if part.len() > MAX_PART => return Err(BadName::Long),
            _ => found.push(part),
        }
    }
    Ok(found)
}

/// A name in a message: what is no UTF-8 and what a terminal would act on is
/// escaped.
pub(crate) struct Shown<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            f.write_str(&chain::error::escaped(chunk.valid()))?;
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &[u8]) -> Result<Vec<String>, BadName> {
        Ok(parts(name)?.iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect())
    }

    #[test]
    fn what_is_a_name() {
        assert_eq!(of(b"//a/./b//"), Ok(vec!["a".into(), "b".into()]));
        assert_eq!(of(b"./"), Ok(vec![]));
        assert_eq!(of(b"/"), Ok(vec![]));
        assert_eq!(of(b""), Err(BadName::Empty));
        assert_eq!(of(b"a/../b"), Err(BadName::Climbs));
        assert_eq!(of(b".."), Err(BadName::Climbs));
        assert_eq!(of(b"..."), Ok(vec!["...".into()]));
        assert_eq!(of(&[b'a'; 256]), Err(BadName::Long));
        assert_eq!(of(&b"a/".repeat(2048)), Err(BadName::Long));
        assert_eq!(of(b"a\0b"), Err(BadName::Nul));
    }

    #[test]
    fn shown() {
        assert_eq!(Shown(b"a\x1b[2J\xff\xc3\xa9\n").to_string(), "a\\u{1b}[2J\\xff\u{e9}\\n");
    }
}
