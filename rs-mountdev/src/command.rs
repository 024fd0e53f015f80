//! COMMAND after `--pivot`: the image says what its name leads to.

use crate::error::Error;
use crate::resolve::leads_out;
use crate::root::Root;
use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A program and the interpreters of interpreters, as many as the kernel
/// follows (`exec_binprm`; execve(2), "Interpreter scripts").
const MAX_FILES: usize = 6;
/// What the kernel looks at to see what a file is (`BINPRM_BUF_SIZE`).
const HEAD: usize = 256;
/// elf(5): the segment that names the loader.
const PT_INTERP: u64 = 3;

/// Refuses a COMMAND that a magic link makes a program of the host, as
/// `/proc/self/exe` is this one: from inside it could be rewritten
/// (CVE-2019-5736). The same goes for the interpreter that a script names, the
/// loader that a program names, and the shell, which gets what the kernel does
/// not know (execvp(3)).
///
/// # Errors
/// It leads there, or cannot be read to see where it leads.
pub fn stays_inside(root: &Root, command: &[OsString]) -> Result<(), Error> {
    let Some(program) = command.first() else { return Ok(()) };
    let shell = PathBuf::from(chain::exec::SHELL);
    candidates(program).into_iter().chain([shell]).try_for_each(|file| follow(root, program, file))
}

/// Where exec will look for `program`.
fn candidates(program: &OsStr) -> Vec<PathBuf> {
    if program.as_bytes().contains(&b'/') {
        return vec![program.into()];
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| chain::exec::DEFAULT_PATH.into());
    std::env::split_paths(&path).map(|folder| folder.join(program)).collect()
}

/// Goes from `file` to whatever the kernel would start in its place.
fn follow(root: &Root, program: &OsStr, mut file: PathBuf) -> Result<(), Error> {
    let inside = |file: &Path| {
        let outside = || Error::Outside { program: program.to_owned(), file: file.to_owned() };
        if leads_out(root, file.as_os_str()) { Err(outside()) } else { Ok(()) }
    };
    for _ in 0..MAX_FILES {
        inside(&file)?;
        let opened = open(&file).map_err(|()| Error::Unreadable { program: program.to_owned(), file: file.clone() })?;
        let Some(opened) = opened else { return Ok(()) };
        let mut head = [0; HEAD];
        let Ok(length) = opened.read_at(&mut head, 0) else { return Ok(()) };
        let Some(interpreter) = interpreter(&head[..length]) else {
            return [true, false]
                .into_iter()
                .filter_map(|wide| loader(&opened, wide))
                .try_for_each(|file| inside(&file));
        };
        file = interpreter;
    }
    Ok(())
}

/// Opens what exec could start; `None` for anything else, which it refuses
/// itself.
fn open(file: &Path) -> Result<Option<File>, ()> {
    let Ok(about) = rustix::fs::stat(file) else { return Ok(None) };
    // Anything else may block, or act, when it is opened.
    if FileType::from_raw_mode(about.st_mode) != FileType::RegularFile {
        return Ok(None);
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    match rustix::fs::openat(CWD, file, flags, Mode::empty()) {
        Ok(fd) => Ok(Some(fd.into())),
        Err(_) if rustix::fs::accessat(CWD, file, Access::EXEC_OK, AtFlags::EACCESS).is_ok() => Err(()),
        Err(_) => Ok(None),
    }
}

/// The interpreter that a script's first bytes name, read as the kernel does:
/// it ends at a blank, a tab, a NUL or the end of the line.
fn interpreter(head: &[u8]) -> Option<PathBuf> {
    let blank = |b: &u8| matches!(b, b' ' | b'\t');
    let line = head.strip_prefix(b"#!")?;
    let start = line.iter().position(|b| !blank(b))?;
    let name = line[start..].split(|b| blank(b) || matches!(b, 0 | b'\n')).next()?;
    (!name.is_empty()).then(|| OsStr::from_bytes(name).into())
}

/// The loader that an ELF file names. The kernel goes by the number of the
/// machine: it looks neither at the class nor at the byte order, so a file is
/// to be read both ways.
fn loader(file: &File, wide: bool) -> Option<PathBuf> {
    let of = |wide_one: u64, narrow_one: u64| if wide { wide_one } else { narrow_one };
    let number = |at: u64, size: usize| {
        let mut bytes = [0; 8];
        let start = if cfg!(target_endian = "big") { 8 - size } else { 0 };
        file.read_exact_at(&mut bytes[start..start + size], at).ok()?;
        Some(u64::from_ne_bytes(bytes))
    };
    let word = if wide { 8 } else { 4 };
    if number(0, 4)? != u64::from(u32::from_ne_bytes(*b"\x7fELF")) {
        return None;
    }
    let (table, count) = (number(of(32, 28), word)?, number(of(56, 44), 2)?);
    let headers = (0..count).map_while(|i| table.checked_add(i * of(56, 32)));
    let header = headers.into_iter().find(|at| number(*at, 4) == Some(PT_INTERP))?;
    let field = |at: u64| number(header.checked_add(at)?, word);
    let length = usize::try_from(field(of(32, 16))?).ok()?.min(libc::PATH_MAX as usize);
    let mut name = vec![0; length];
    file.read_exact_at(&mut name, field(of(8, 4))?).ok()?;
    name.truncate(name.iter().position(|b| *b == 0)?);
    Some(OsString::from_vec(name).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interpreters_are_read_as_the_kernel_does() {
        let of = |head: &[u8]| interpreter(head).map(|name| name.into_os_string().into_vec());
        for (head, name) in [
            (&b"#!/bin/sh\n"[..], &b"/bin/sh"[..]),
            (b"#! \t/bin/sh -e\n", b"/bin/sh"),
            (b"#!/bin/sh\t-e", b"/bin/sh"),
            (b"#!/bin/sh\0\n", b"/bin/sh"),
            (b"#!/bin/sh\r\n", b"/bin/sh\r"),
            (b"#!sh", b"sh"),
        ] {
            assert_eq!(of(head).as_deref(), Some(name));
        }
        for none in [&b"#!\n/bin/sh"[..], b"#! \t \n", b"#!", b"# !/bin/sh", b"", b"\x7fELF"] {
            assert_eq!(of(none), None);
        }
    }

    #[test]
    fn the_loader_of_this_hosts_shell() {
        let shell = std::fs::read("/bin/sh").expect("a shell");
        let loader = loader(&File::open("/bin/sh").expect("readable"), cfg!(target_pointer_width = "64"));
        let name = loader.expect("a loader").into_os_string().into_vec();
        assert!(name.starts_with(b"/") && shell.windows(name.len()).any(|part| part == name));
        assert_eq!(super::loader(&File::open("/etc/passwd").expect("readable"), true), None);
    }
}
