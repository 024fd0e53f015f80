//! `cgexec --fork`: a child that is born in the group.
//!
//! Moving a process into a v2 group takes a global lock and costs
//! milliseconds; being born there costs nothing (clone(2),
//! `CLONE_INTO_CGROUP`).

use super::attach::{Place, Who};
use crate::hierarchy::Version;
use crate::status::{Error, NOT_ALLOWED};
use crate::systemd;
use chain::child::{Keyboard, blocked, default_sigchld, end_like, start, start_in, wait_forwarding};
use chain::notation::{Signal, SignalSet};
use chain::sys::file::{At, Fd, OpenAt};
use chain::sys::signal::{How, SigProcMask};
use chain::{SysError, error, sys};
use nix::errno::Errno;
use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;

/// What a caller may send to us and means for the program.
const HANDED_ON: [Signal; 9] = [
    Signal(libc::SIGHUP),
    Signal::INT,
    Signal(libc::SIGQUIT),
    Signal(libc::SIGUSR1),
    Signal(libc::SIGUSR2),
    Signal(libc::SIGALRM),
    Signal::TERM,
    Signal(libc::SIGCONT),
    Signal(libc::SIGWINCH),
];

/// Starts `program` in `places`, in place of a scope's idle process if
/// `replace_idle`, and ends as it ends.
///
/// # Errors
/// What [`Place::attach`] has, for the v2 group; what happens in the child is
/// reported there and comes back as its status.
pub fn run(places: &[Place<'_>], program: &[OsString], replace_idle: bool) -> Result<ExitCode, Error> {
    let step = Error::step(NOT_ALLOWED);
    default_sigchld().map_err(&step)?;
    let before = blocked().map_err(|errno| step(mask_error(errno)))?;
    let why = "signals wait until the child is there to get them";
    let set = SignalSet(SignalSet::of(&HANDED_ON).0 | SignalSet::of(&[Signal::CHLD]).0);
    sys::make(&SigProcMask { how: How::Block, set, why }).map_err(&step)?;
    let become_it = |places: &[&Place<'_>]| match enter(places, before, program) {
        Err(failure) => error::report(&failure),
        Ok(never) => match never {},
    };
    let (v2, v1): (Vec<_>, Vec<_>) = places.iter().partition(|place| place.target.hierarchy.version == Version::V2);
    // A later group of the same hierarchy wins.
    let born = match v2.last() {
        Some(place) => {
            v2.iter().try_for_each(|place| place.check_v2())?;
            let group = open(place)?;
            let group = Fd { fd: group.as_fd(), path: &place.dir };
            let why = "the program is born in the group: nothing has to be moved, which would take a global lock";
            match start_in(group, why, &|| become_it(&v1)) {
                // A kernel before 5.7, or a filter that knows no clone3.
                Err(old) if matches!(old.errno, Errno::ENOSYS | Errno::E2BIG | Errno::EINVAL | Errno::EPERM) => None,
                Err(refused) => return Err(place.refused_v2(refused, Who::Myself)),
                Ok(pid) => Some(pid),
            }
        }
        None => None,
    };
    let pid = if let Some(pid) = born {
        pid
    } else {
        let all: Vec<&Place<'_>> = places.iter().collect();
        let why = "the program runs as a child; this process stays to hand signals on";
        start(why, || become_it(&all)).map_err(&step)?
    };
    if replace_idle {
        for place in places {
            systemd::replace_idle(&place.dir);
        }
    }
    let end = wait_forwarding(pid, &HANDED_ON, Keyboard::ReachesBoth).map_err(|errno| step(mask_error(errno)))?;
    Ok(end_like(end).into())
}

fn mask_error(errno: Errno) -> SysError {
    SysError { what: "cannot wait for the program".to_owned(), errno, hint: None }
}

/// The child: enters what it was not born in, becomes the program.
fn enter(places: &[&Place<'_>], mask: SignalSet, program: &[OsString]) -> Result<std::convert::Infallible, Error> {
    places.iter().try_for_each(|place| place.attach(Who::Myself))?;
    let why = "the program gets the signal mask that the caller had";
    sys::make(&SigProcMask { how: How::Set, set: mask, why }).map_err(Error::step(NOT_ALLOWED))?;
    Ok(chain::exec(program)?)
}

fn open(place: &Place<'_>) -> Result<OwnedFd, Error> {
    let why = "a descriptor names the group to be born in";
    let flags = libc::O_PATH | libc::O_DIRECTORY;
    let call = OpenAt { dir: At::Cwd, path: place.dir.as_os_str(), flags, mode: 0, why };
    sys::make(&call).map_err(|source| match source.errno {
        Errno::ENOENT => place.missing(),
        _ => Error::Step { source, status: NOT_ALLOWED },
    })
}
