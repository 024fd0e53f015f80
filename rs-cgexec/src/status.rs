//! Why a tool of the family ends, and libcgroup's number for it.
//!
//! libcgroup's error 50000 + n leaves `main` as it is; the shell sees 80 + n.

use crate::convert::Refusal;
use chain::exec::ExecError;
use chain::output::OutputError;
use chain::{Failure, SysError};
use std::ffi::OsString;
use std::path::PathBuf;

/// A wrong command line.
pub const USAGE: u8 = 129;
/// The mode or the list cannot be read, or the program cannot be started.
pub const BAD: u8 = 255;
/// The controller is not enabled for that v2 group, or nothing is mounted.
pub const NOT_ENABLED: u8 = 81;
/// The group does not exist.
pub const NO_GROUP: u8 = 82;
/// The controller is not mounted (cgset).
pub const NOT_MOUNTED: u8 = 84;
/// A control file may not be opened: EPERM.
pub const NOT_OWNER: u8 = 85;
/// A control file may not be opened, a directory not be made.
pub const NOT_ALLOWED: u8 = 87;
/// The same parameter twice.
pub const TWICE: u8 = 90;
/// An argument makes no sense.
pub const INVALID: u8 = 91;
/// General failure.
pub const FAILED: u8 = 93;
/// No such file in the group, or it is not for us to write.
pub const NO_FILE: u8 = 95;
/// The system said no; errno is in the message.
pub const SYSTEM: u8 = 96;
/// There are no rules.
pub const NO_RULES: u8 = 99;
/// The host's cgroup version has no equivalent.
pub const NO_EQUIVALENT: u8 = 111;

/// What a tool of the family could not do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The command line is wrong in a way that only its whole shows.
    #[error("{0}")]
    Usage(String),
    /// An argument or the group's state makes the step impossible.
    #[error("{message}")]
    Argument {
        /// The whole message.
        message: String,
        /// The original's number for it.
        status: u8,
    },
    /// There is no hierarchy at all.
    #[error("Cgroup is not mounted")]
    NothingMounted,
    /// The controller is in no mounted hierarchy.
    #[error("controller '{controller}' is not mounted or unknown")]
    Unknown {
        /// Its name, as given.
        controller: String,
        /// The original's number for it: it differs from tool to tool.
        status: u8,
    },
    /// The group is not there.
    #[error("group '{}' does not exist: {} is not there", group.display(), dir.display())]
    NoGroup {
        /// As given.
        group: OsString,
        /// Where it would be.
        dir: PathBuf,
        /// The original's number for it.
        status: u8,
    },
    /// The parent does not pass the controller on.
    #[error("controller '{controller}' is not enabled for {}", dir.display())]
    NotEnabled {
        /// The controller.
        controller: String,
        /// The group.
        dir: PathBuf,
    },
    /// The kernel refused a step.
    #[error("{source}")]
    Step {
        /// Which, and why.
        source: SysError,
        /// The original's number for it.
        status: u8,
    },
    /// The kernel refused to move a process across the border of what was
    /// delegated to the caller (cgroups(7), "delegation containment").
    #[error(
        "{source}: the caller is outside the subtree delegated to it: moving it needs write access to {} too",
        file.display()
    )]
    NotDelegated {
        /// The write that was refused.
        source: SysError,
        /// `cgroup.procs` of the nearest common ancestor.
        file: PathBuf,
        /// One way out.
        way: String,
    },
    /// A parameter could not be read, set or translated.
    #[error("{}: {refusal}", dir.display())]
    Value {
        /// The group.
        dir: PathBuf,
        /// What was wrong.
        refusal: Refusal,
        /// The original's number for it.
        status: u8,
        /// What a look at the group's parent showed.
        hint: Option<String>,
    },
    /// The program was not started.
    #[error(transparent)]
    Exec(#[from] ExecError),
    /// Standard output could not be written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// All was reported already; this is the status that is left to give.
    #[error("not all was done")]
    Reported(u8),
}

impl Error {
    /// Gives a refused step its number.
    pub(crate) fn step(status: u8) -> impl Fn(SysError) -> Self {
        move |source| Self::Step { source, status }
    }
}

impl Failure for Error {
    fn status(&self) -> u8 {
        match self {
            Self::Usage(_) => USAGE,
            Self::Argument { status, .. }
            | Self::Unknown { status, .. }
            | Self::NoGroup { status, .. }
            | Self::Step { status, .. }
            | Self::Value { status, .. }
            | Self::Reported(status) => *status,
            Self::NothingMounted | Self::NotEnabled { .. } => NOT_ENABLED,
            Self::NotDelegated { .. } => SYSTEM,
            Self::Exec(_) => BAD,
            Self::Output(error) => error.status(),
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Step { source, .. } => source.hint.clone(),
            Self::NotDelegated { way, .. } => Some(way.clone()),
            Self::NotEnabled { controller, dir } => {
                let parent = dir.parent()?.join("cgroup.subtree_control");
                Some(format!("turn it on in the parent: write +{controller} to {}", parent.display()))
            }
            Self::Value { hint, .. } => hint.clone(),
            Self::Exec(error) => error.hint(),
            _ => None,
        }
    }
}
