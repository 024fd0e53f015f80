//! The way into the new namespaces, in the order that the kernel's rules
//! leave: helpers before the namespaces, maps before whatever needs ids, the
//! child after both.

use crate::error::Error;
use crate::idmap::Outside;
use crate::options::Options;
use crate::persist::{Binder, Bound};
use crate::plan::Plan;
use crate::{fork, inside};
use chain::child::{self, End, Helper};
use chain::error::report;
use chain::sys::identity::{SetGid, SetGroups, SetUid};
use chain::sys::namespace::{Namespaces, Unshare, write_control};
use chain::sys::signal::SetDumpable;
use chain::{Failure, hint, sys};
use std::path::Path;
use std::process::ExitCode;

/// Does what `options` ask for and becomes the program, or waits for it.
///
/// # Errors
/// What could not be done; the program was not started.
pub fn become_program(options: &Options) -> Result<ExitCode, Error> {
    match enter(options) {
        // Another of our processes has written the message.
        Err(Error::Said { status }) => Ok(status.into()),
        result => result,
    }
}

fn enter(options: &Options) -> Result<ExitCode, Error> {
    let plan = Plan::new(options)?;
    child::default_sigchld()?;
    let binder = Binder::start(&options.files, options.fork)?;
    let mapper = mapper(&plan)?;
    if let Some((uid, gid)) = options.owner {
        sys::make(&SetGroups(&[]))?;
        sys::make(&SetGid(gid))?;
        sys::make(&SetUid(uid))?;
        let why = "whose ids change may not write its own control files below /proc: this gives them to the owner, who \
                   may enter the namespaces anyway";
        sys::make(&SetDumpable { on: true, why })?;
    }
    unshare(options.kinds)?;
    if let Some(mapper) = mapper {
        map(mapper)?;
    }
    set_clocks(options)?;
    if options.fork {
        return fork::run(&plan, binder);
    }
    let bound = binder.map(Binder::bind).transpose()?;
    inside::prepare(&plan, None)?;
    bound.map_or(Ok(()), Bound::keep)?;
    match inside::exec(options)? {}
}

/// The helper that maps ids with the caller's privilege, if one is needed.
fn mapper(plan: &Plan<'_>) -> Result<Option<Helper>, Error> {
    if plan.outside.is_empty() {
        return Ok(None);
    }
    let me = child::number_in_proc()?;
    let (outside, privileged): (&Outside, bool) = (&plan.outside, plan.privileged);
    let why =
        "only a process outside the new user namespace may map more than the caller's own ids: a copy stays there";
    let helper = Helper::start(why, || match outside.apply(me, privileged) {
        Ok(()) => 0,
        Err(Error::Said { status }) => status,
        Err(error) => report(&error),
    })?;
    Ok(Some(helper))
}

fn map(mapper: Helper) -> Result<(), Error> {
    match mapper.work()? {
        End::Exited(0) => Ok(()),
        end => Err(Error::of_helper("maps the ids", end)),
    }
}

/// One call for all kinds: the user namespace is made first and owns the
/// others. For none there is no call: filters refuse even that.
fn unshare(kinds: Namespaces) -> Result<(), Error> {
    if kinds == Namespaces::NONE {
        return Ok(());
    }
    sys::quietly(&Unshare(kinds)).map_err(|errno| Error::Unshare { kinds, errno, cause: hint::refused(kinds, errno) })
}

/// Sets the clocks of the time namespace, which nobody is in yet.
fn set_clocks(options: &Options) -> Result<(), Error> {
    const CLOCK_MONOTONIC: u8 = 1;
    const CLOCK_BOOTTIME: u8 = 7;
    let path = Path::new("/proc/self/timens_offsets");
    for (clock, offset) in [(CLOCK_BOOTTIME, options.boottime), (CLOCK_MONOTONIC, options.monotonic)] {
        if let Some(seconds) = offset {
            let why = "the clocks of a time namespace can be set until its first process is there";
            write_control(path, &format!("{clock} {seconds} 0"), why)
                .map_err(|error| Error::advised(error, |errno| clock_advice(errno, seconds)))?;
        }
    }
    Ok(())
}

fn clock_advice(errno: nix::errno::Errno, seconds: i64) -> Option<String> {
    (errno == nix::errno::Errno::ERANGE)
        .then(|| format!("an offset of {seconds} s would make the clock negative, or put it more than 146 years ahead"))
}

/// The status of `error`, after saying what it is unless that was said.
pub(crate) fn ended(error: &Error) -> u8 {
    if let Error::Said { status } = error { *status } else { report(error as &dyn Failure) }
}
