//! `cargo xtask TASK`: man pages, completions, packages, and whether the
//! documents are true. Never shipped, so that the tools carry no generator.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a task of the developer's, not a tool")]

mod completions;
mod dist;
mod documents;
mod man;
mod musl;
mod package;
mod pages;
mod readme;

use anyhow::{Result, bail};
use std::path::PathBuf;
use std::process::ExitCode;

const USAGE: &str = "\
Usage: cargo xtask TASK

  man          write the man pages to target/man
  completions  write the completions of bash, zsh and fish to target/completions
  documents    write both and check them, the README's commands, the translations
  dist         build the static programs and their archive, to target/dist
  deb          build the Debian package, to target/dist
";

fn task(name: Option<&str>) -> Result<()> {
    match name {
        Some("man") => man::write(&target().join("man")).map(drop),
        Some("completions") => {
            let folder = target().join("completions");
            completions::write(&folder)?;
            completions::write_originals(&folder).map(drop)
        }
        Some("documents") => documents::check(),
        Some("dist") => dist::dist(),
        Some("deb") => package::deb().map(|file| println!("  {}", file.display())),
        Some("help" | "--help" | "-h") => {
            print!("{USAGE}");
            Ok(())
        }
        Some(other) => bail!("no task '{other}'\n{USAGE}"),
        None => bail!("missing task\n{USAGE}"),
    }
}

fn main() -> ExitCode {
    match task(std::env::args().nth(1).as_deref()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// The top of the clone.
fn top() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("a member is below the top").to_owned()
}

/// Where cargo builds to.
fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| top().join("target"), PathBuf::from)
}
