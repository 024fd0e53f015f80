//! COMMAND after `--pivot`: the image says what its name leads to.

use crate::error::Error;
use crate::resolve::leads_out;
use crate::root::Root;
use rustix::fs::{CWD, FileType, Mode, OFlags};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Interpreters of interpreters at most, as the kernel has it (execve(2)).
const MAX_INTERPRETERS: usize = 5;

/// Refuses a COMMAND that a magic link makes a program of the host, as
/// `/proc/self/exe` is this one: from inside it could be rewritten
/// (CVE-2019-5736). The same goes for the interpreter that a script names.
///
/// # Errors
/// It leads there.
pub fn stays_inside(root: &Root, command: &[OsString]) -> Result<(), Error> {
    let Some(program) = command.first() else { return Ok(()) };
    for candidate in candidates(program) {
        let mut file = candidate;
        for _ in 0..MAX_INTERPRETERS {
            if leads_out(root, file.as_os_str()) {
                return Err(Error::Outside { program: program.clone(), file });
            }
            let Some(interpreter) = interpreter(&file) else { break };
            file = interpreter;
        }
    }
    Ok(())
}

/// Where exec will look for `program`.
fn candidates(program: &OsStr) -> Vec<PathBuf> {
    if program.as_bytes().contains(&b'/') {
        return vec![program.into()];
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| chain::exec::DEFAULT_PATH.into());
    std::env::split_paths(&path).map(|folder| folder.join(program)).collect()
}

/// What the kernel, or exec itself, starts for the script `file`; `None` for
/// what is none, or cannot be read.
fn interpreter(file: &Path) -> Option<PathBuf> {
    let about = rustix::fs::stat(file).ok()?;
    // Anything else may block, or act, when it is opened.
    if FileType::from_raw_mode(about.st_mode) != FileType::RegularFile {
        return None;
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(CWD, file, flags, Mode::empty()).ok()?;
    let mut head = [0; 256];
    let length = rustix::io::read(&opened, &mut head).ok()?;
    let head = &head[..length];
    if head.starts_with(b"\x7fELF") {
        return None;
    }
    // Without a `#!` it is for the shell.
    let Some(line) = head.strip_prefix(b"#!") else { return Some(chain::exec::SHELL.into()) };
    let line = line.split(|b| *b == b'\n').next()?.trim_ascii();
    let word = line.split(|b| matches!(b, b' ' | b'\t')).next()?;
    Some(OsStr::from_bytes(word).into())
}
