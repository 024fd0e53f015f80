//! The end: the root becomes `/`, descriptors are not handed on, the session
//! is left.

use crate::error::{AtPlace, Error, Why, errno};
use crate::root::{Root, refusal};
use chain::SysError;
use chain::sys::file::Fd;
use chain::sys::inherit::{CloseOnExec, CloseOnExecFrom, SetSid};
use chain::sys::mount::tree::PivotRoot;
use chain::sys::mount::{Mount, Umount2};
use chain::sys::process::{ChDir, FchDir};
use chain::sys::{Call, make, quietly};
use nix::errno::Errno;
use rustix::fs::{CWD, Mode, OFlags};
use std::ffi::OsStr;
use std::os::fd::AsFd;
use std::path::Path;

/// Makes the root the root of this mount namespace and lets go of the old
/// one (pivot_root(2), "pivot_root(".", ".")"). The working folder is then
/// `/`.
///
/// # Errors
/// The kernel's reason.
pub fn pivot(root: &Root) -> Result<(), Error> {
    const PLACE: &str = "--pivot";
    let folder = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let slash = Path::new("/");
    let old = rustix::fs::openat(CWD, slash, folder, Mode::empty()).at(PLACE)?;
    let dot = OsStr::new(".");
    let no_events = |target, why| Mount {
        source: None,
        target,
        fstype: None,
        flags: libc::MS_REC | libc::MS_SLAVE,
        data: None,
        why,
    };
    make(&no_events(slash.as_os_str(), "the kernel pivots only where the change stays in this namespace")).at(PLACE)?;
    make(&FchDir(root.as_fd())).at(PLACE)?;
    make(&PivotRoot { new: dot, old: dot }).at(PLACE)?;
    make(&FchDir(Fd { fd: old.as_fd(), path: slash })).at(PLACE)?;
    make(&no_events(dot, "unmounting the old root must not reach the outer namespace")).at(PLACE)?;
    let why = "nothing of the old root can be reached any more, and it goes when the last user lets go";
    make(&Umount2 { target: dot, flags: libc::MNT_DETACH, why }).at(PLACE)?;
    make(&ChDir(slash.as_os_str())).at(PLACE)
}

/// Goes to where the path of the working folder leads now: below the root that
/// covers the one it was in, and could leave by `..`.
///
/// # Errors
/// It leads nowhere, or not there.
pub fn covered(root: &Root) -> Result<(), Error> {
    let refused = || root.refused(Why::WorkingFolder);
    let path = nix::unistd::getcwd().map_err(|_| refused())?;
    make(&ChDir(path.as_os_str())).at("--read-only")?;
    if root.holds_working_folder() { Ok(()) } else { Err(refused()) }
}

/// Makes COMMAND inherit descriptors 0 to 2 and `keep` more, no others.
///
/// # Errors
/// The kernel has no such call and `/proc` is not there.
pub fn close_descriptors(keep: u16) -> Result<(), Error> {
    let first = 3 + u32::from(keep);
    let call = CloseOnExecFrom(first);
    match quietly(&call) {
        Ok(()) => return Ok(()),
        // Not there before 5.9, without this flag before 5.11.
        Err(Errno::ENOSYS | Errno::EINVAL | Errno::EPERM) => {}
        Err(errno) => return Err(refusal(&call, errno)).at("--preserve-fds"),
    }
    let open = std::fs::read_dir("/proc/self/fd").map_err(|e| Error::refused("--preserve-fds", e.into()))?;
    let numbers: Vec<i32> = open.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect();
    for fd in numbers.into_iter().filter(|fd| i64::from(*fd) >= i64::from(first)) {
        match quietly(&CloseOnExec(fd)) {
            // The one that read the folder is closed by now.
            Ok(()) | Err(Errno::EBADF) => {}
            Err(errno) => {
                let what = CloseOnExec(fd).cannot();
                return Err(SysError { what, errno, hint: None }).at("--preserve-fds");
            }
        }
    }
    Ok(())
}

/// Leaves the session, and with it the terminal.
///
/// # Errors
/// This process leads its process group, so that it cannot (setsid(2)).
pub fn new_session() -> Result<(), Error> {
    let call = SetSid;
    match quietly(&call) {
        Ok(_) => Ok(()),
        // A session of its own, and no terminal: what was asked for.
        Err(Errno::EPERM) if leads_session() && !has_terminal() => Ok(()),
        Err(errno) => {
            let leads_group = nix::unistd::getpgrp() == nix::unistd::getpid();
            let hint = (errno == Errno::EPERM && leads_group).then(|| {
                "this process leads its process group, and only a member of another's can: start it as a child"
                    .to_owned()
            });
            Err(SysError { what: call.cannot(), errno, hint }).at("--new-session")
        }
    }
}

fn leads_session() -> bool {
    // 0 where the leader is outside of this pid namespace: rustix has no such id.
    nix::unistd::getsid(None).is_ok_and(|session| session == nix::unistd::getpid())
}

/// Whether this session has a controlling terminal: `/dev/tty` opens.
fn has_terminal() -> bool {
    let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::CLOEXEC;
    !matches!(rustix::fs::openat(CWD, c"/dev/tty", flags, Mode::empty()).map_err(errno), Err(Errno::ENXIO))
}
