//! Why the program was not started.

use chain::child::End;
use chain::error::strerror;
use chain::exec::ExecError;
use chain::hint::Cause;
use chain::notation::Signal;
use chain::sys::namespace::Namespaces;
use chain::{Failure, SysError};
use nix::errno::Errno;
use std::path::PathBuf;

/// Why the program was not started.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `--monotonic` or `--boottime` without `--time`.
    #[error("options --monotonic and --boottime require unsharing of a time namespace (-T)")]
    NoTimeNamespace,
    /// `--hostname` without `--uts`.
    #[error("option --hostname requires unsharing of a UTS namespace (-u)")]
    NoUtsNamespace,
    /// A group mapped without privilege, and setgroups(2) wanted.
    #[error("options --setgroups=allow and --map-group are mutually exclusive")]
    SetGroupsAllowed,
    /// The effective user has no entry, so no subordinate ids either.
    #[error("user id {uid} has no entry in /etc/passwd: its subordinate ids cannot be looked up")]
    NoUser {
        /// The effective user id.
        uid: u32,
    },
    /// A file of subordinate ids, or an id map, cannot be read.
    #[error("cannot open {}: {}", path.display(), strerror(*errno))]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The kernel's reason.
        errno: Errno,
    },
    /// No line for the user.
    #[error("no line matching user \"{user}\" in {}", path.display())]
    NoSubIds {
        /// The user's name.
        user: String,
        /// The file.
        path: PathBuf,
    },
    /// A line whose numbers cannot be used.
    #[error("cannot read the line of user \"{user}\" in {}: {line}", path.display())]
    BadSubIds {
        /// The user's name.
        user: String,
        /// The file.
        path: PathBuf,
        /// The line.
        line: String,
    },
    /// unshare(2) was refused.
    #[error("unshare failed: {} ({})", strerror(*errno), kinds.names().collect::<Vec<_>>().join(", "))]
    Unshare {
        /// What was asked for.
        kinds: Namespaces,
        /// The kernel's reason.
        errno: Errno,
        /// What a probe found.
        cause: Option<Cause>,
    },
    /// A helper was killed before it was done.
    #[error("the process that {task} was killed by {signal}")]
    HelperKilled {
        /// What it was to do.
        task: &'static str,
        /// By what.
        signal: Signal,
    },
    /// Another of our processes has said why, and has ended with this status.
    #[error("said already")]
    Said {
        /// Its status.
        status: u8,
    },
    /// The kernel refused another step.
    #[error(transparent)]
    Step(#[from] SysError),
    /// The program could not be executed.
    #[error(transparent)]
    Exec(#[from] ExecError),
}

impl Error {
    /// A step, with advice that names this tool's options.
    pub(crate) fn advised(mut error: SysError, hint: impl FnOnce(Errno) -> Option<String>) -> Self {
        error.hint = hint(error.errno).or(error.hint);
        Self::Step(error)
    }

    /// A helper that ended without having done its `task`; unless it was
    /// killed it has said why.
    pub(crate) fn of_helper(task: &'static str, end: End) -> Self {
        match end {
            End::Exited(status) => Self::Said { status },
            End::Killed(signal) => Self::HelperKilled { task, signal: Signal(signal) },
        }
    }
}

impl Failure for Error {
    fn status(&self) -> u8 {
        match self {
            Self::Exec(error) => error.status(),
            Self::Said { status } => *status,
            _ => crate::FAILURE,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::Step(error) => error.hint.clone(),
            Self::Exec(error) => error.hint(),
            Self::Unshare { cause, .. } => cause.as_ref().map(refused),
            Self::NoSubIds { user, .. } => Some(format!(
                "give the user a range: usermod --add-subuids FIRST-LAST --add-subgids FIRST-LAST {user}; users of a \
                 directory service are not in this file: name the range, --map-users=INNER:OUTER:COUNT"
            )),
            _ => None,
        }
    }
}

/// The advice on a refused unshare(2), with this tool's options.
fn refused(cause: &Cause) -> String {
    match cause {
        Cause::NoPrivilege => {
            "an ordinary user needs a user namespace as well: add --map-root-user (-r), or be root".to_owned()
        }
        Cause::Unmapped => format!("{cause} (unshare -r or -c in the outer one)"),
        Cause::PidForChildren => {
            "the caller's children are already born in another pid namespace: add --fork to the outer unshare"
                .to_owned()
        }
        cause => cause.to_string(),
    }
}
