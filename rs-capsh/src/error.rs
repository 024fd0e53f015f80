//! What ends a run of capsh early.

use crate::text;
use chain::inside::Refused;
use chain::{Failure, SysError};
use std::ffi::{OsStr, OsString};

/// Every failure of capsh itself; also of a shell that cannot be started.
pub const FAILURE: u8 = 1;

/// Why a word could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The kernel refused a call.
    #[error(transparent)]
    Sys(#[from] SysError),
    /// The program of `--exec` did not start.
    #[error(transparent)]
    Exec(Refused),
    /// The shell, or capsh again, did not start.
    #[error(transparent)]
    Start(Refused),
    /// The same in a child, in its own words: a message and a hint.
    #[error("{message}")]
    Child {
        /// What was wrong.
        message: String,
        /// What to do, if it knew.
        hint: Option<String>,
    },
    /// `==` did not find capsh.
    #[error("cannot find {} in PATH", .0.display())]
    Itself(OsString),
    /// `--exec` is the last word.
    #[error("no program to execute")]
    NoProgram,
    /// The value is no number, or has more than 32 bits.
    #[error("'{}' is not a number from 0 to 4294967295", .0.display())]
    Number(OsString),
    /// The value names no capability.
    #[error("'{}' is not the name of a capability", .0.display())]
    Name(OsString),
    /// The value is no capability text or IAB text.
    #[error("malformed: {0}")]
    Text(#[from] text::Mistake),
    /// No such user in the database.
    #[error("no user is called '{}'", .0.display())]
    User(OsString),
    /// No such group in the database.
    #[error("no group is called '{}'", .0.display())]
    Group(OsString),
    /// A check that does not hold.
    #[error("{0}")]
    Not(String),
    /// `--forkfor` with a child that is still there.
    #[error("there is a child already: --killit ends it")]
    ChildThere,
    /// `--killit` without a child.
    #[error("there is no child: --forkfor makes one")]
    NoChild,
    /// The child ended in another way than by the signal.
    #[error("the child {0}")]
    ChildEnded(String),
}

impl Problem {
    /// One thing to do about it, if a probe confirmed the cause.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Exec(error) | Self::Start(error) => error.hint(),
            Self::Sys(error) => error.hint.clone(),
            Self::Child { hint, .. } => hint.clone(),
            _ => None,
        }
    }
}

/// A word that could not be done: it is named, then why.
#[derive(Debug, thiserror::Error)]
#[error("{}: {problem}", word.display())]
pub struct Error {
    /// The whole word.
    pub word: OsString,
    /// What was wrong.
    pub problem: Problem,
}

impl Error {
    /// `problem` of `word`.
    pub(crate) fn of(word: &OsStr, problem: Problem) -> Self {
        Self { word: word.to_owned(), problem }
    }
}

impl Failure for Error {
    fn status(&self) -> u8 {
        match &self.problem {
            Problem::Exec(error) => error.status(),
            _ => FAILURE,
        }
    }
    fn hint(&self) -> Option<String> {
        self.problem.hint()
    }
}
