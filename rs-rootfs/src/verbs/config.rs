//! `config`: settings that last.

use super::print;
use crate::{Error, config};
use clap::Parser;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::process::ExitCode;

/// Read or change settings
#[derive(Debug, Parser)]
#[command(after_help = "\
Keys: default-source, insecure, jobs, max-size, mirrors.HOST, platform.
An empty VALUE takes a setting away. Several mirrors are separated by commas.

Example: rs-rootfs config set mirrors.docker.io http://127.0.0.1:5000")]
pub struct Config {
    /// list (the default), get KEY, set KEY VALUE
    words: Vec<OsString>,
}

/// Runs it.
pub(super) fn run(cli: &Config) -> Result<ExitCode, Error> {
    let words: Vec<String> = cli.words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] | ["list"] => {
            let mut text = String::new();
            for (key, value) in config::all()? {
                let _ = writeln!(text, "{key} = {}", chain::error::escaped(&value));
            }
            print(&text)
        }
        ["get", key] => match config::get(key)? {
            Some(value) => print(&format!("{}\n", chain::error::escaped(&value))),
            // As git config: no message, the status tells.
            None => Ok(ExitCode::FAILURE),
        },
        ["set", key, value] => {
            config::set(key, value)?;
            Ok(ExitCode::SUCCESS)
        }
        ["get", ..] => Err(Error::Usage("config get: one KEY is needed".to_owned())),
        ["set", ..] => Err(Error::Usage("config set: a KEY and a VALUE are needed".to_owned())),
        [other, ..] => Err(Error::Usage(format!("config: unknown command '{other}'"))),
    }
}
