//! COMMAND after `--pivot`: the image says what its name leads to.

use crate::error::Error;
use chain::exec::Program;
use chain::inside::{self, Refused};
use chain::sys::process::Environment;
use std::ffi::OsString;

/// Refuses a COMMAND that leads out of the new root.
///
/// # Errors
/// See [`inside::check`].
pub fn stays_inside(command: &[OsString]) -> Result<(), Error> {
    let Some(file) = command.first() else { return Ok(()) };
    let program = Program { file, argv: command, env: Environment::Inherited, search: true };
    inside::check(&program).map_err(|refused| match refused {
        Refused::Outside { program, file } => Error::Outside { program, file },
        Refused::Unreadable { program, file } => Error::Unreadable { program, file },
        Refused::Exec(error) => error.into(),
    })
}
