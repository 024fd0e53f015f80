//! The command line up to the verb.

use crate::{Error, TOOL, bundle, docker, unpack, verbs};
use clap::Parser;
use std::ffi::OsString;
use std::process::ExitCode;

/// Make root file systems from images, archives and the host
#[derive(Debug, Parser)]
#[command(after_help = "\
Examples:
  Make a root folder of the host's own shell and a few programs:
    rs-rootfs unpack host: DIR
  Make one of an image in a registry, without a daemon:
    rs-rootfs unpack docker://alpine DIR")]
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
    // Docker's own rules hold for its words, and under its name for all.
    let as_docker = chain::name() == "docker";
    if let Some(status) = docker::main(&words, as_docker) {
        return Ok(status);
    }
    Ok(chain::run_verb(&TOOL, "", words, |cli: &Cli| verb(&cli.verb, cli.words.clone())))
}

/// Options may follow operands.
const UNPACK: chain::Tool = TOOL.operands_anywhere();

/// Puts the configured `default-source` before a DIR that stands alone.
fn with_default_source(mut words: Vec<OsString>) -> Result<Vec<OsString>, Error> {
    // An abbreviation too: one that is ambiguous is refused anyway.
    let takes_value = |word: &OsString| {
        let all = ["--platform", "--max-size", "--jobs"];
        word.len() > 2 && all.iter().any(|option| option.as_bytes().starts_with(word.as_encoded_bytes()))
    };
    let mut operands = Vec::new();
    let mut options = true;
    for (at, word) in words.iter().enumerate() {
        let is_value = options && at > 0 && takes_value(&words[at - 1]);
        if options && word == "--" {
            options = false;
        } else if !is_value && (!options || word == "-" || !word.as_encoded_bytes().starts_with(b"-")) {
            operands.push(at);
        }
    }
    if let [dir] = operands[..]
        && let Some(source) = crate::config::get("default-source")?
    {
        words.insert(dir, source.into());
    }
    Ok(words)
}

/// Runs one verb.
fn verb(verb: &OsString, words: Vec<OsString>) -> Result<ExitCode, Error> {
    let name = verb.to_string_lossy();
    if name == "unpack" {
        return Ok(chain::run_verb(&UNPACK, "unpack", with_default_source(words)?, unpack::run));
    }
    if name == "bundle" {
        return Ok(chain::run_verb(&TOOL, "bundle", words, bundle::run));
    }
    let as_words = || std::iter::once(verb.clone()).chain(words.clone()).collect::<Vec<_>>();
    let found = verbs::run(&name, words.clone()).or_else(|| docker::main(&as_words(), false));
    found.ok_or_else(|| Error::Usage(format!("unknown command '{}'", verb.display())))
}
