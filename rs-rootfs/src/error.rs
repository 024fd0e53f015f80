//! How a verb ends when it could not do what it was asked.

use chain::{Failure, SysError};
use std::fmt;

/// Why a verb failed.
///
/// Most failures are only ever reported: an [`anyhow::Error`] whose contexts
/// read from the outside in, `SOURCE: layer 2: entry NAME: what`.
#[derive(Debug)]
pub enum Error {
    /// It could not be done.
    Failed(anyhow::Error),
    /// The command line makes no sense.
    Usage(String),
    /// This signal interrupted it; what it had made is removed.
    Interrupted(i32),
}

impl fmt::Display for Error {
    /// One line that no name from an archive can break: control characters
    /// are escaped.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::Failed(error) => crate::told(error),
            Self::Usage(text) => text.clone(),
            Self::Interrupted(signal) => format!("interrupted by signal {signal}"),
        };
        f.write_str(&chain::error::escaped(&text))
    }
}

impl std::error::Error for Error {}

/// A signal came.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("interrupted by signal {0}")]
pub struct Interrupt(pub i32);

impl From<anyhow::Error> for Error {
    fn from(error: anyhow::Error) -> Self {
        match error.chain().find_map(|cause| cause.downcast_ref::<Interrupt>()) {
            Some(interrupt) => Self::Interrupted(interrupt.0),
            None => Self::Failed(error),
        }
    }
}

impl From<SysError> for Error {
    fn from(error: SysError) -> Self {
        Self::Failed(error.into())
    }
}

impl Failure for Error {
    fn status(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => crate::USAGE,
            Self::Interrupted(signal) => u8::try_from(128 + signal).unwrap_or(u8::MAX),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Failed(error) => error.chain().find_map(|e| e.downcast_ref::<SysError>()?.hint.clone()),
            _ => None,
        }
    }
}
