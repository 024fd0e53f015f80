//! `rs-getcap FILE...` shows the capabilities of files.

use crate::file::{ATTRIBUTE, FileCaps};
use crate::{names, text};
use chain::error::strerror;
use chain::output::{OutputError, write_stdout};
use chain::sys::xattr;
use chain::{Tool, say};
use clap::{ArgAction, Parser, ValueHint};
use nix::errno::Errno;
use std::ffi::OsString;
use std::fs::{self, DirEntry, FileType};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// A wrong command line, or lost output.
const FAILURE: u8 = 1;

/// rs-getcap.
pub const TOOL: Tool = Tool::new("rs-getcap", FAILURE).additions(&["help", "version"]).operands_anywhere();

/// Show the capabilities of files
#[derive(Debug, Parser)]
#[command(name = "rs-getcap", after_help = "Example: rs-getcap -r /usr/bin")]
#[allow(missing_docs, reason = "the help says it")]
pub struct Cli {
    /// look into folders too; symbolic links are not followed
    #[arg(short, action = ArgAction::SetTrue)]
    recursive: bool,
    /// show files without capabilities too
    #[arg(short, action = ArgAction::SetTrue)]
    verbose: bool,
    /// show the user who is root of their namespace
    #[arg(short = 'n', action = ArgAction::SetTrue)]
    namespaced: bool,
    /// show the license
    #[arg(short, action = ArgAction::SetTrue)]
    license: bool,
    /// the files
    #[arg(value_name = "FILE", required_unless_present = "license", value_hint = ValueHint::AnyPath)]
    files: Vec<OsString>,
}

/// Shows what the command line asks for. What cannot be read is told, and
/// does not change the status.
///
/// # Errors
/// Standard output that cannot be written.
pub fn run(cli: &Cli) -> Result<ExitCode, OutputError> {
    if cli.license {
        print(crate::license_text().as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    let shower = Shower { cli, count: names::count_to_show() };
    for file in &cli.files {
        if cli.recursive {
            shower.tree(file)?;
        } else {
            let path = Path::new(file);
            kind_of(path).map_or(Ok(()), |kind| shower.show(path, kind))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn print(line: &[u8]) -> Result<(), OutputError> {
    write_stdout(line).map_err(|errno| OutputError { errno, status: FAILURE })
}

/// A folder's name without the slashes after it, which would double.
fn without_slashes(file: &OsString) -> PathBuf {
    let mut bytes = file.as_bytes();
    while bytes.len() > 1 && bytes.ends_with(b"/") {
        bytes = &bytes[..bytes.len() - 1];
    }
    OsString::from_vec(bytes.to_vec()).into()
}

/// What `path` is, a link by itself; where that is not to be learnt it is
/// told.
fn kind_of(path: &Path) -> Option<FileType> {
    fs::symlink_metadata(path).map_err(|error| complain(path, &error)).ok().map(|about| about.file_type())
}

/// An entry of `folder`, with what the folder tells of it.
fn with_kind(folder: &Path, entry: io::Result<DirEntry>) -> Option<(PathBuf, FileType)> {
    let entry = entry.map_err(|error| complain(folder, &error)).ok()?;
    let path = entry.path();
    let kind = entry.file_type().map_err(|error| complain(&path, &error)).ok()?;
    Some((path, kind))
}

fn complain(path: &Path, error: &io::Error) {
    let errno = error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
    say(&format!("{}: {}", path.display(), strerror(errno)));
}

struct Shower<'a> {
    cli: &'a Cli,
    count: u32,
}

impl Shower<'_> {
    /// Shows `root` and, where it is a folder, all below it, a folder before
    /// what is in it. As deep as folders go: the names are kept, not a stack.
    fn tree(&self, root: &OsString) -> Result<(), OutputError> {
        // A slash after what is no folder is wrong.
        if kind_of(root.as_ref()).is_none() {
            return Ok(());
        }
        let root = without_slashes(root);
        let Some(kind) = kind_of(&root) else { return Ok(()) };
        let mut waiting = vec![(root, kind)];
        while let Some((path, kind)) = waiting.pop() {
            self.show(&path, kind)?;
            if !kind.is_dir() {
                continue;
            }
            match fs::read_dir(&path) {
                Ok(entries) => {
                    let first = waiting.len();
                    waiting.extend(entries.filter_map(|entry| with_kind(&path, entry)));
                    waiting[first..].reverse();
                }
                Err(error) => complain(&path, &error),
            }
        }
        Ok(())
    }

    /// Shows one file.
    fn show(&self, path: &Path, kind: FileType) -> Result<(), OutputError> {
        // Below a folder the original asks also devices and the like.
        let may_have = kind.is_file() || self.cli.recursive && !kind.is_dir() && !kind.is_symlink();
        if !may_have {
            if self.cli.verbose {
                line(path, " (Not a regular file)")?;
            }
            return Ok(());
        }
        match xattr::get(path.as_os_str(), ATTRIBUTE) {
            Ok(Some(bytes)) => match FileCaps::from_bytes(&bytes) {
                Some(caps) => line(path, &self.written(&caps))?,
                None => say(&format!("{}: capabilities of an unknown form", path.display())),
            },
            Ok(None) if self.cli.verbose => line(path, "")?,
            Ok(None) => {}
            Err(errno) => say(&format!("{}: {}", path.display(), strerror(errno))),
        }
        Ok(())
    }

    fn written(&self, caps: &FileCaps) -> String {
        let text = text::write(&caps.sets(), self.count);
        if self.cli.namespaced && caps.root != 0 {
            format!(" {text} [rootid={}]", caps.root)
        } else {
            format!(" {text}")
        }
    }
}

/// One line in one write; the name byte for byte.
fn line(path: &Path, rest: &str) -> Result<(), OutputError> {
    print(&[path.as_os_str().as_bytes(), rest.as_bytes(), b"\n"].concat())
}
