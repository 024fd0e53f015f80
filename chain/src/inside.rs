//! What is started in a new root: the image says what a name leads to, and
//! must not make it a program of the host.
//!
//! `/proc/self/exe` is the very tool that looks: started inside it could be
//! rewritten there (CVE-2019-5736). So nothing is started by way of a magic
//! link of procfs, be it the program, the interpreter that a script names, the
//! loader that a program names, or the shell, which gets what the kernel does
//! not know (execvp(3)).
//!
//! The process is in the new root by then, so the kernel's own look-up cannot
//! leave it by `..` or a link's text. Looking is one thing, exec another:
//! whoever exchanges the root's files in between is not held back.

use crate::error::{Failure, escaped};
use crate::exec::{ExecError, Program, SHELL};
use nix::errno::Errno;
use rustix::fs::{Access, AtFlags, CWD, FileType, Mode, OFlags, PROC_SUPER_MAGIC, ResolveFlags};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A program and the interpreters of interpreters, as many as the kernel
/// follows (`exec_binprm`; execve(2), "Interpreter scripts").
const MAX_FILES: usize = 6;
/// What the kernel looks at to see what a file is (`BINPRM_BUF_SIZE`).
const HEAD: usize = 256;
/// elf(5): the segment that names the loader.
const PT_INTERP: u64 = 3;
/// Symbolic links on one way at most, as the kernel has it.
const MAX_LINKS: usize = 40;
/// To look at, not to read.
const LOOK: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// Why a program is not started in a new root.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// It leads out.
    #[error("failed to execute {}: {} leads through a link of procfs", line(program), line(file))]
    Outside {
        /// Its name, as given.
        program: OsString,
        /// What of it leads there: itself, its interpreter, its loader, the
        /// shell.
        file: PathBuf,
    },
    /// Where it leads cannot be seen.
    #[error("failed to execute {}: {} cannot be read to see what it starts", line(program), line(file))]
    Unreadable {
        /// Its name, as given.
        program: OsString,
        /// What of it can be started, and not read.
        file: PathBuf,
    },
    /// The kernel's reason, for the looking or for exec.
    #[error(transparent)]
    Exec(#[from] ExecError),
}

/// A name, without what would end the line: the image has a say in it.
fn line(name: impl AsRef<Path>) -> String {
    escaped(&name.as_ref().display().to_string())
}

impl Failure for Refused {
    fn status(&self) -> u8 {
        match self {
            Self::Exec(error) => error.status(),
            Self::Outside { .. } | Self::Unreadable { .. } => 126,
        }
    }
    fn hint(&self) -> Option<String> {
        match self {
            Self::Exec(error) => error.hint(),
            _ => None,
        }
    }
}

/// What is wrong with one file.
enum Why {
    Outside,
    Unreadable,
    Errno(Errno),
}

impl From<rustix::io::Errno> for Why {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::Errno(Errno::from_raw(errno.raw_os_error()))
    }
}

impl From<io::Error> for Why {
    fn from(error: io::Error) -> Self {
        Self::Errno(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
    }
}

/// Refuses a program that leads out of the new root, wherever exec may find
/// it. To be asked last before exec.
///
/// # Errors
/// It leads there, or it cannot be seen where it leads. What exec refuses
/// itself is left to exec.
pub fn check(program: &Program<'_>) -> Result<(), Refused> {
    let files = program.candidates().into_iter().chain(program.search.then(|| SHELL.into()));
    files.map(PathBuf::from).try_for_each(follow).map_err(|(file, why)| {
        let program = program.file.to_owned();
        match why {
            Why::Outside => Refused::Outside { program, file },
            Why::Unreadable => Refused::Unreadable { program, file },
            Why::Errno(errno) => ExecError { program, file: Some(file), errno }.into(),
        }
    })
}

/// Goes from `file` to whatever the kernel would start in its place.
fn follow(mut file: PathBuf) -> Result<(), (PathBuf, Why)> {
    for _ in 0..MAX_FILES {
        match step(&file) {
            Ok(Step::End) => break,
            Ok(Step::Interpreter(next)) => file = next,
            Ok(Step::Loaders(loaders)) => {
                return loaders.into_iter().try_for_each(|file| look(&file).map(drop).map_err(|why| (file, why)));
            }
            Err(why) => return Err((file, why)),
        }
    }
    Ok(())
}

/// What the kernel starts in place of a file.
enum Step {
    /// Nothing: it refuses the file.
    End,
    /// What its first line names.
    Interpreter(PathBuf),
    /// What it may take for the loader; nothing where there is none.
    Loaders(Vec<PathBuf>),
}

fn step(file: &Path) -> Result<Step, Why> {
    let Some(file) = open(file)? else { return Ok(Step::End) };
    let mut head = [0; HEAD];
    let length = file.read_at(&mut head, 0)?;
    if let Some(interpreter) = interpreter(&head[..length]) {
        return Ok(Step::Interpreter(interpreter));
    }
    let loaders = [loader(&file, true)?, loader(&file, false)?];
    Ok(Step::Loaders(loaders.into_iter().flatten().collect()))
}

/// Opens what exec could start; `None` for anything else, which it refuses
/// itself.
fn open(file: &Path) -> Result<Option<File>, Why> {
    let Some(seen) = look(file)? else { return Ok(None) };
    // Anything else may block, or act, when it is opened.
    if FileType::from_raw_mode(rustix::fs::fstat(&seen)?.st_mode) != FileType::RegularFile {
        return Ok(None);
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    if let Some(fd) = unless_exec_fails(rustix::fs::openat(CWD, file, flags, Mode::empty()))? {
        return Ok(Some(fd.into()));
    }
    let may_execute = rustix::fs::accessat(CWD, file, Access::EXEC_OK, AtFlags::EACCESS);
    if unless_exec_fails(may_execute)?.is_some() { Err(Why::Unreadable) } else { Ok(None) }
}

/// `None` for a reason that exec has too. With any other, a disk's or a full
/// table's, it might go another way: that is an error.
fn unless_exec_fails<T>(found: Result<T, impl Into<Why>>) -> Result<Option<T>, Why> {
    match found.map_err(Into::into) {
        Ok(found) => Ok(Some(found)),
        Err(Why::Errno(Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES | Errno::ELOOP | Errno::ENAMETOOLONG)) => {
            Ok(None)
        }
        Err(why) => Err(why),
    }
}

/// What `file` leads to, links followed, magic ones not.
fn look(file: &Path) -> Result<Option<OwnedFd>, Why> {
    let found = match rustix::fs::openat2(CWD, file, LOOK, Mode::empty(), ResolveFlags::NO_MAGICLINKS) {
        // Not there before 5.6, or a filter does not know it.
        Err(rustix::io::Errno::NOSYS | rustix::io::Errno::PERM) => walk(file),
        // A magic link, or a loop: which of them is all that this asks.
        Err(rustix::io::Errno::LOOP) => {
            rustix::fs::openat(CWD, file, LOOK, Mode::empty()).map_err(Why::from).and(Err(Why::Outside))
        }
        found => found.map_err(Why::from),
    };
    unless_exec_fails(found)
}

/// The same by hand.
fn walk(file: &Path) -> Result<OwnedFd, Why> {
    let open =
        |folder: BorrowedFd<'_>, name: &[u8]| rustix::fs::openat(folder, name, LOOK | OFlags::NOFOLLOW, Mode::empty());
    let mut here = open(CWD, b".")?;
    let mut text = file.as_os_str().as_bytes().to_vec();
    // What is still to be walked, the next one last.
    let mut rest: Vec<Vec<u8>> = Vec::new();
    'links: for _ in 0..=MAX_LINKS {
        if text.starts_with(b"/") {
            here = open(CWD, b"/")?;
        }
        rest.extend(text.split(|b| *b == b'/').filter(|name| !name.is_empty()).rev().map(<[u8]>::to_vec));
        while let Some(name) = rest.pop() {
            let next = open(here.as_fd(), &name)?;
            if FileType::from_raw_mode(rustix::fs::fstat(&next)?.st_mode) != FileType::Symlink {
                here = next;
                continue;
            }
            // Those of procfs may lead anywhere, whatever their text says.
            if rustix::fs::fstatfs(&next)?.f_type == PROC_SUPER_MAGIC {
                return Err(Why::Outside);
            }
            text = rustix::fs::readlinkat(&next, c"", Vec::new())?.into_bytes();
            continue 'links;
        }
        return Ok(here);
    }
    Err(Why::Errno(Errno::ELOOP))
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

/// The loader that an ELF file names, if it does. The kernel goes by the number
/// of the machine: it looks neither at the class nor at the byte order, so a
/// file is to be read both ways.
fn loader(file: &File, wide: bool) -> io::Result<Option<PathBuf>> {
    match named_loader(file, wide) {
        // It ends before, or names a place that no file has.
        Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput) => Ok(None),
        named => named,
    }
}

fn named_loader(file: &File, wide: bool) -> io::Result<Option<PathBuf>> {
    let of = |wide_one: u64, narrow_one: u64| if wide { wide_one } else { narrow_one };
    let number = |at: u64, size: usize| -> io::Result<u64> {
        let mut bytes = [0; 8];
        let start = if cfg!(target_endian = "big") { 8 - size } else { 0 };
        file.read_exact_at(&mut bytes[start..start + size], at)?;
        Ok(u64::from_ne_bytes(bytes))
    };
    let word = if wide { 8 } else { 4 };
    if number(0, 4)? != u64::from(u32::from_ne_bytes(*b"\x7fELF")) {
        return Ok(None);
    }
    let (table, count) = (number(of(32, 28), word)?, number(of(56, 44), 2)?);
    for header in (0..count).map(|i| table.saturating_add(i * of(56, 32))) {
        if number(header, 4)? != PT_INTERP {
            continue;
        }
        let field = |at: u64| number(header.saturating_add(at), word);
        let length = field(of(32, 16))?.min(libc::PATH_MAX.unsigned_abs().into());
        let mut name = vec![0; usize::try_from(length).unwrap_or_default()];
        file.read_exact_at(&mut name, field(of(8, 4))?)?;
        let end = name.iter().position(|b| *b == 0);
        return Ok(end.map(|end| OsStr::from_bytes(&name[..end]).into()));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStringExt;

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
        let name = loader.expect("readable").expect("a loader").into_os_string().into_vec();
        assert!(name.starts_with(b"/") && shell.windows(name.len()).any(|part| part == name));
        let none = super::loader(&File::open("/etc/passwd").expect("readable"), true);
        assert_eq!(none.expect("readable"), None);
    }
}
