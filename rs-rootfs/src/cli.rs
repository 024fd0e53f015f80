//! The command line up to the verb.

use crate::{Error, TOOL, unpack};
use clap::Parser;
use std::ffi::OsString;
use std::process::ExitCode;

/// Make root file systems from images, archives and the host
#[derive(Debug, Parser)]
pub struct Cli {
    /// unpack, create, export, rm, list, inspect, gc, config, bundle
    verb: OsString,
    /// its options and operands: see 'rs-rootfs VERB --help'
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<OsString>,
}

/// Finds the verb and hands it its words.
///
/// # Errors
/// None: every verb reports its own.
pub fn main(words: Vec<OsString>) -> Result<ExitCode, Error> {
    Ok(chain::run_verb(&TOOL, "", words, |cli: &Cli| verb(&cli.verb, cli.words.clone())))
}

/// Options may follow operands.
const UNPACK: chain::Tool = TOOL.operands_anywhere();

/// Runs one verb.
fn verb(verb: &OsString, words: Vec<OsString>) -> Result<ExitCode, Error> {
    match verb.to_str() {
        Some("unpack") => Ok(chain::run_verb(&UNPACK, "unpack", words, unpack::run)),
        // The docker verbs: `container`, create, export, rm, remove.
        // The store's: list, inspect, gc, config. And bundle.
        _ => Err(Error::Usage(format!("unknown command '{}'", verb.display()))),
    }
}
