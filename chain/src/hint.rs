//! Read-only probes of this machine that advice may rest on. No probe, no
//! advice: a hint that names the wrong cause costs more than none.

mod mount;
mod namespace;

pub(crate) use mount::no_pivot;
pub use mount::{fresh, mount};
pub use namespace::{Cause, children_elsewhere, id_unmapped, in_chroot, refused, shared_mount};
pub(crate) use namespace::{before_user_namespace, control_file, id_map, no_proc, propagation, unshare};

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// The contents of `/proc/sys/NAME`, trimmed.
pub fn sysctl(name: &str) -> Option<String> {
    fs::read_to_string(Path::new("/proc/sys").join(name)).ok().map(|text| text.trim().to_owned())
}

/// Field `key` of `/proc/self/status`.
pub fn status(key: &str) -> Option<String> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    text.lines().find_map(|line| Some(line.strip_prefix(key)?.strip_prefix(':')?.trim().to_owned()))
}

/// Whether capability `number` is in force.
pub fn capable(number: u32) -> bool {
    crate::sys::caps::get().is_ok_and(|sets| sets.effective >> number & 1 == 1)
}

/// Why `file`, a program that acts with its owner's rights, has none: neither
/// the setuid bit nor a file capability, a nosuid mount, or a caller that may
/// gain no privilege.
pub fn powerless(file: &Path) -> Option<&'static str> {
    use nix::sys::statvfs::{FsFlags, statvfs};
    let about = fs::metadata(file).ok()?;
    let mut value = [0u8; 64];
    let with_capability = rustix::fs::getxattr(file, "security.capability", &mut value).is_ok();
    if about.permissions().mode() & 0o4000 == 0 && !with_capability {
        return Some("it has neither the setuid bit nor a file capability");
    }
    if statvfs(file).is_ok_and(|mount| mount.flags().contains(FsFlags::ST_NOSUID)) {
        return Some("it is on a file system that is mounted nosuid");
    }
    (status("NoNewPrivs").as_deref() == Some("1")).then_some("no_new_privs is set for this process")
}

/// Whether the running kernel is older than Linux `major.minor`; not, where
/// its release cannot be read.
pub fn kernel_before(major: u32, minor: u32) -> bool {
    let Ok(name) = nix::sys::utsname::uname() else { return false };
    let release = name.release().to_string_lossy();
    let mut numbers = release.split(['.', '-', '+']).map(str::parse::<u32>);
    match (numbers.next(), numbers.next()) {
        (Some(Ok(first)), Some(Ok(second))) => (first, second) < (major, minor),
        _ => false,
    }
}

/// Why no child could be made.
pub(crate) fn fork(errno: Errno) -> Option<String> {
    (errno == Errno::EAGAIN).then(|| {
        "a limit on processes is reached: RLIMIT_NPROC of the user (ulimit -u), or pids.max of the cgroup".to_owned()
    })
}

/// Why `file` could not be executed.
pub(crate) fn exec(file: &Path, errno: Errno) -> Option<String> {
    match errno {
        Errno::ENOENT => missing_interpreter(file, 0),
        Errno::EACCES => not_executable(file),
        _ => None,
    }
}

/// So many scripts may name one another (`BINPRM_MAX_RECURSION`, execve(2)).
const MAX_SCRIPTS: usize = 5;

/// The file is there, so what is missing is what it names: the program of its
/// `#!` line or its ELF loader (execve(2), ENOENT); or what that program names
/// in turn.
fn missing_interpreter(file: &Path, scripts: usize) -> Option<String> {
    let mut head = vec![0; 4096];
    let mut opened = fs::OpenOptions::new();
    opened.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    #[allow(clippy::disallowed_methods, reason = "opened to read")]
    let length = opened.open(file).ok()?.read(&mut head).ok()?;
    head.truncate(length);
    let (interpreter, what) = match head.strip_prefix(b"#!") {
        Some(line) => {
            let line = line.split(|b| *b == b'\n').next()?.trim_ascii();
            (line.split(u8::is_ascii_whitespace).next()?.to_vec(), "its #! line names")
        }
        None => (elf_loader(&head)?, "its ELF loader is"),
    };
    let interpreter = Path::new(OsStr::from_bytes(&interpreter));
    if access(interpreter, AccessFlags::F_OK).is_ok() {
        let goes_on = head.starts_with(b"#!") && scripts < MAX_SCRIPTS;
        return goes_on.then(|| missing_interpreter(interpreter, scripts + 1)).flatten();
    }
    Some(format!("{} exists, but {what} {}, which does not", file.display(), interpreter.display()))
}

/// `PT_INTERP` of a little-endian ELF file of 32 or 64 bits, from its first
/// bytes (elf(5)).
fn elf_loader(head: &[u8]) -> Option<Vec<u8>> {
    const PT_INTERP: usize = 3;
    let number = |at: usize, size: usize| -> Option<usize> {
        let bytes = head.get(at..at.checked_add(size)?)?;
        bytes.iter().rev().try_fold(0usize, |sum, byte| sum.checked_mul(256)?.checked_add((*byte).into()))
    };
    // Where the table of headers is said, and offset and length in a header.
    let (wide, table, entries, offset, length) = match head.get(..6)? {
        b"\x7fELF\x02\x01" => (8, 32, 54, 8, 32),
        b"\x7fELF\x01\x01" => (4, 28, 42, 4, 16),
        _ => return None,
    };
    let (table, size, count) = (number(table, wide)?, number(entries, 2)?, number(entries + 2, 2)?);
    (0..count).find_map(|i| {
        let header = table.checked_add(i.checked_mul(size)?)?;
        if number(header, 4)? != PT_INTERP {
            return None;
        }
        let start = number(header.checked_add(offset)?, wide)?;
        let name = head.get(start..start.checked_add(number(header.checked_add(length)?, wide)?)?)?;
        Some(name.split(|b| *b == 0).next()?.to_vec())
    })
}

/// Which of the two: no execute bit, or a mount with noexec.
fn not_executable(file: &Path) -> Option<String> {
    let about = fs::metadata(file).ok()?;
    if !about.is_file() {
        return None;
    }
    if about.permissions().mode() & 0o111 == 0 {
        return Some(format!("{} has no execute permission: chmod +x it", file.display()));
    }
    let mount = nix::sys::statvfs::statvfs(file).ok()?;
    mount
        .flags()
        .contains(nix::sys::statvfs::FsFlags::ST_NOEXEC)
        .then(|| format!("{} is on a file system that is mounted noexec", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The beginning of an ELF file that names `/ld`: its header, one entry of
    /// its table, the name.
    fn elf(class: u8, table: (usize, u8), entries: usize, fields: (usize, usize)) -> Vec<u8> {
        let mut head = vec![0; 256];
        head[..6].copy_from_slice(&[0x7f, b'E', b'L', b'F', class, 1]);
        head[table.0] = table.1;
        (head[entries], head[entries + 2]) = (56, 1);
        let header = usize::from(table.1);
        (head[header], head[header + fields.0], head[header + fields.1]) = (3, 200, 4);
        head[200..204].copy_from_slice(b"/ld\0");
        head
    }

    #[test]
    fn loaders_of_both_widths() {
        assert_eq!(elf_loader(&elf(2, (32, 64), 54, (8, 32))).as_deref(), Some(&b"/ld"[..]));
        assert_eq!(elf_loader(&elf(1, (28, 52), 42, (4, 16))).as_deref(), Some(&b"/ld"[..]));
        let mut cut = elf(2, (32, 64), 54, (8, 32));
        cut.truncate(202);
        assert_eq!(elf_loader(&cut), None);
        assert_eq!(elf_loader(b"#!/bin/sh\n"), None);
    }
}
