//! `rs-capsh` changes and shows the capabilities of a process: a drop-in for
//! libcap's capsh(1), with its siblings getpcaps(8), setcap(8), getcap(8).
//!
//! A command line of capsh is a little program: every word acts at once, on
//! this very process, from left to right. [`step`] is the table of words, and
//! each other module holds the words of one kind.
//!
//! [`text`] and [`iab`] are the two notations of capability sets, as pure
//! functions on `u64` sets; they need no privilege and no process.
//!
//! ```
//! let sets = rs_capsh::text::parse(b"cap_chown,cap_kill=ep", 41).unwrap();
//! assert_eq!(rs_capsh::text::write(&sets, 41), "cap_chown,cap_kill=ep");
//! ```
#![forbid(unsafe_code)]

mod check;
mod documents;
pub mod error;
pub mod file;
pub mod getcap;
pub mod getpcaps;
pub mod help;
pub mod iab;
mod identity;
pub mod mode;
pub mod names;
pub mod number;
mod print;
mod program;
pub mod setcap;
mod sets;
pub mod state;
pub mod step;
pub mod text;

pub use documents::pages;

use chain::Tool;
use error::{Error, FAILURE};
use state::{Next, State};
use std::ffi::{OsStr, OsString};
use std::process::ExitCode;
use step::Step;

/// rs-capsh, whose every own failure is status 1.
pub const TOOL: Tool = Tool::new("rs-capsh", FAILURE);

/// Does the words of a command line.
///
/// # Errors
/// The first word that could not be done; those before it have been.
pub fn run(words: &[OsString]) -> Result<ExitCode, Error> {
    let mut state = State::new();
    let status = do_words(&mut state, words)?;
    // Something printed is lost, and has been told so.
    let status = if state.lost.is_some() && status == 0 { FAILURE } else { status };
    Ok(status.into())
}

fn do_words(state: &mut State, words: &[OsString]) -> Result<u8, Error> {
    let Some(first) = words.first() else { return Ok(0) };
    if first != "--quiet"
        && let Some(warning) = state.count().ok().and_then(print::kernel_is_ahead)
    {
        state.print(warning);
    }
    let mut rest = words;
    while let Some((word, after)) = rest.split_first() {
        rest = after;
        let outcome = match step::read(word) {
            Step::Flag(act) => act(state),
            Step::Value(act, value) => act(state, value),
            Step::Program(act) => act(state, after).map(Next::End),
            Step::Unrecognized => {
                state.print_with("unrecognized command [", word, "]\n");
                Ok(Next::Usage)
            }
            Step::Unknown => Ok(Next::Usage),
        };
        match outcome.map_err(|problem| Error::of(word, problem))? {
            Next::GoOn => {}
            Next::End(status) => return Ok(status),
            Next::Usage => return Ok(usage(state, first)),
        }
    }
    Ok(0)
}

/// Prints the usage text. It is an answer where the first word asked for it,
/// else a failure.
fn usage(state: &mut State, first: &OsStr) -> u8 {
    state.print(help::usage(chain::name()));
    if first == "--help" || first == "-h" { 0 } else { FAILURE }
}

/// Under what terms the tools may be used.
pub(crate) fn license_text() -> String {
    format!("{} is free software, under the MIT license or Apache-2.0, as you like.\n", chain::name())
}
