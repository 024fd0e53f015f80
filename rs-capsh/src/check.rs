//! The words that fail where something does not hold.

use crate::error::Problem;
use crate::identity::number;
use crate::names;
use crate::state::{Next, Outcome, State, current, has, unreadable};
use chain::capability::name_of;
use chain::sys::caps;
use nix::unistd::{getgid, getuid};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

fn holds(it_does: bool, else_say: impl FnOnce() -> String) -> Outcome {
    if it_does { Ok(Next::GoOn) } else { Err(Problem::Not(else_say())) }
}

fn named(name: &OsStr) -> Result<u32, Problem> {
    names::whole(name.as_bytes()).ok_or_else(|| Problem::Name(name.to_owned()))
}

/// `--has-a=NAME`. A number that the kernel does not know passes, as it does
/// in the original.
pub(crate) fn has_a(_: &mut State, name: &OsStr) -> Outcome {
    let number = named(name)?;
    holds(caps::ambient(number).map_err(unreadable)? != Some(false), || {
        format!("{} is not in the ambient set", name_of(number))
    })
}

/// `--has-b=NAME`. A number that the kernel does not know passes.
pub(crate) fn has_b(_: &mut State, name: &OsStr) -> Outcome {
    let number = named(name)?;
    holds(caps::bounded(number).map_err(unreadable)? != Some(false), || {
        format!("{} is not in the bounding set", name_of(number))
    })
}

/// `--has-i=NAME`.
pub(crate) fn has_i(_: &mut State, name: &OsStr) -> Outcome {
    let number = named(name)?;
    holds(has(current()?.inheritable, number), || format!("{} is not inheritable", name_of(number)))
}

/// `--has-p=NAME`.
pub(crate) fn has_p(_: &mut State, name: &OsStr) -> Outcome {
    let number = named(name)?;
    holds(has(current()?.permitted, number), || format!("{} is not permitted", name_of(number)))
}

/// `--dropped=NAME`. A number that the kernel does not know passes.
pub(crate) fn dropped(_: &mut State, name: &OsStr) -> Outcome {
    let number = named(name)?;
    holds(caps::bounded(number).map_err(unreadable)? != Some(true), || {
        format!("{} is in the bounding set", name_of(number))
    })
}

/// `--supports=NAME`: the running kernel has it.
pub(crate) fn supports(state: &mut State, name: &OsStr) -> Outcome {
    let number = named(name)?;
    holds(number < state.count()?, || format!("this kernel has no {}", name_of(number)))
}

/// `--has-ambient`: the running kernel has an ambient set.
pub(crate) fn has_ambient(_: &mut State) -> Outcome {
    holds(caps::ambient(0).map_err(unreadable)?.is_some(), || "this kernel has no ambient set".to_owned())
}

/// `--has-no-new-privs`.
pub(crate) fn has_no_new_privs(_: &mut State) -> Outcome {
    holds(caps::no_new_privs(), || "no-new-privs is not set".to_owned())
}

/// `--is-uid=N`: the real one.
pub(crate) fn is_uid(_: &mut State, value: &OsStr) -> Outcome {
    let (want, is) = (number(value)?, getuid().as_raw());
    holds(want == is, || format!("the user id is {is}"))
}

/// `--is-gid=N`: the real one.
pub(crate) fn is_gid(_: &mut State, value: &OsStr) -> Outcome {
    let (want, is) = (number(value)?, getgid().as_raw());
    holds(want == is, || format!("the group id is {is}"))
}
