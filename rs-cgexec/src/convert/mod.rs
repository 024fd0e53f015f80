//! Parameters of one cgroup version on a host that has the other.
//!
//! [`TABLE`] is the whole of it: a row for each pair of names, and how a value
//! crosses. Reading and writing look a name up on either side, so that what
//! is written under one name reads back under the other.

mod number;
mod show;
mod table;
mod write;

pub use show::show;
pub use table::{How, Row, TABLE};
pub use write::{Step, plan};

use crate::hierarchy::Version;
use crate::status::{NO_EQUIVALENT, SYSTEM};
use chain::error::strerror;
use nix::errno::Errno;

/// Reads a file of the group in the host's own version.
pub type Files<'a> = &'a dyn Fn(&str) -> Result<String, Errno>;

/// Why a value does not cross.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The host's version cannot say this.
    #[error("{name} has no equivalent in cgroup v{}", *.host as u8)]
    NoEquivalent {
        /// The parameter, as asked for.
        name: String,
        /// What the host speaks.
        host: Version,
    },
    /// The value is none for this parameter, or none in the group's state.
    #[error("{name}: invalid value '{value}': {why}")]
    Invalid {
        /// The parameter, as asked for.
        name: String,
        /// The value, as given.
        value: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// The kernel took the write and did something else.
    #[error("{file} has become '{text}'")]
    NotTaken {
        /// The file.
        file: String,
        /// What it holds.
        text: String,
    },
    /// It tells something and takes nothing.
    #[error("{0} is read-only")]
    ReadOnly(String),
    /// The kernel refused to show a file.
    #[error("cannot read {file}: {}", strerror(*errno))]
    Read {
        /// The file.
        file: String,
        /// The kernel's reason.
        errno: Errno,
    },
    /// The file is not there, under this name or another.
    #[error("there is no {0}")]
    Missing(String),
}

impl Refusal {
    /// The original's number.
    pub fn status(&self) -> u8 {
        match self {
            Self::NoEquivalent { .. } => NO_EQUIVALENT,
            _ => SYSTEM,
        }
    }
}

/// A row that serves a name, and what it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// The row.
    pub row: &'static Row,
    /// The name that was asked for.
    pub name: String,
    /// The version that the name belongs to.
    pub asked: Version,
    /// The counterpart's name in the other version, where there is one.
    pub target: Option<String>,
}

impl Match {
    /// The version that the counterpart belongs to.
    pub fn host(&self) -> Version {
        match self.asked {
            Version::V1 => Version::V2,
            Version::V2 => Version::V1,
        }
    }

    pub(crate) fn no_equivalent(&self) -> Refusal {
        Refusal::NoEquivalent { name: self.name.clone(), host: self.host() }
    }

    pub(crate) fn invalid(&self, value: &str, why: &'static str) -> Refusal {
        Refusal::Invalid { name: self.name.clone(), value: value.to_owned(), why }
    }

    /// The target, which a row that is read or written has.
    pub(crate) fn target(&self) -> Result<&str, Refusal> {
        self.target.as_deref().ok_or_else(|| self.no_equivalent())
    }
}

pub(crate) fn read(files: Files<'_>, file: &str) -> Result<String, Refusal> {
    let text = files(file).map_err(|errno| Refusal::Read { file: file.to_owned(), errno })?;
    Ok(text.trim_end_matches('\n').to_owned())
}

/// The rows that serve `name`, the better first.
pub fn matches(name: &str) -> impl Iterator<Item = Match> {
    TABLE.iter().flat_map(move |row| {
        [(Version::V1, row.v1, row.v2), (Version::V2, row.v2, row.v1)].into_iter().filter_map(
            move |(asked, own, other)| {
                let middle = captured(own, name)?;
                // A name that both versions have is used as it is.
                if own == other {
                    return None;
                }
                let target = (!other.is_empty()).then(|| other.replacen('*', middle, 1));
                Some(Match { row, name: name.to_owned(), asked, target })
            },
        )
    })
}

/// What the `*` of `pattern` stands for in `name`; empty without a `*`.
fn captured<'a>(pattern: &str, name: &'a str) -> Option<&'a str> {
    match pattern.split_once('*') {
        None => (!pattern.is_empty() && pattern == name).then_some(""),
        Some((before, after)) => name.strip_prefix(before)?.strip_suffix(after),
    }
}

#[cfg(test)]
mod tests;
