//! The words that change who the process is, and where its root is.

use crate::error::Problem;
use crate::number;
use crate::state::{Next, Outcome, State, borrowing, then_powerless};
use chain::sys::caps::{NoNewPrivs, SETGID, SETUID, SYS_CHROOT, SetKeepCaps, SetSecureBits};
use chain::sys::identity::{SetGid, SetGroups, SetUid};
use chain::sys::process::{ChDir, ChRoot, own_environment};
use chain::sys::{make, quietly};
use chain::{SysError, user};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// `value` as a number.
pub(crate) fn number(value: &OsStr) -> Result<u32, Problem> {
    number::whole(value.as_bytes()).ok_or_else(|| Problem::Number(value.to_owned()))
}

/// `--uid=N`: setuid alone, with what the kernel takes away for it.
pub(crate) fn uid(_: &mut State, value: &OsStr) -> Outcome {
    make(&SetUid(number(value)?))?;
    Ok(Next::GoOn)
}

/// `--gid=N`: setgid alone.
pub(crate) fn gid(_: &mut State, value: &OsStr) -> Outcome {
    make(&SetGid(number(value)?))?;
    Ok(Next::GoOn)
}

/// `--groups=G,...`: the supplementary groups.
pub(crate) fn groups(_: &mut State, value: &OsStr) -> Outcome {
    let elements = value.as_bytes().split(|b| *b == b',').filter(|element| !element.is_empty());
    let groups = elements.map(group).collect::<Result<Vec<u32>, Problem>>()?;
    make(&SetGroups(&groups))?;
    Ok(Next::GoOn)
}

fn group(element: &[u8]) -> Result<u32, Problem> {
    let word = OsStr::from_bytes(element);
    if element[0].is_ascii_digit() {
        return number(word);
    }
    let found = word.to_str().and_then(user::group_by_name);
    found.map(|group| group.gid).ok_or_else(|| Problem::Group(word.to_owned()))
}

/// `--cap-uid=N`: another user, with what is permitted kept.
pub(crate) fn cap_uid(_: &mut State, value: &OsStr) -> Outcome {
    keep_and_become(number(value)?)?;
    Ok(Next::GoOn)
}

fn keep_and_become(uid: u32) -> Result<(), Problem> {
    // Refused where the securebit is locked: the capabilities then go, which
    // is what whoever locked it wanted.
    let _ = quietly(&SetKeepCaps(1));
    then_powerless(SETUID, || {
        let became = make(&SetUid(uid));
        let _ = quietly(&SetKeepCaps(0));
        Ok(became?)
    })
}

/// `--user=NAME`: the ids, groups and home of a user; permitted is kept.
pub(crate) fn user(state: &mut State, name: &OsStr) -> Outcome {
    let user = name.to_str().and_then(user::user_by_name).ok_or_else(|| Problem::User(name.to_owned()))?;
    let unread = |errno| SysError { what: "cannot read /etc/group".to_owned(), errno, hint: None };
    let groups = user::groups_of(&user.name, user.gid).map_err(unread)?;
    then_powerless(SETGID, || {
        make(&SetGid(user.gid))?;
        Ok(make(&SetGroups(&groups))?)
    })?;
    keep_and_become(user.uid)?;
    if !state.noenv {
        let environment = state.environment.get_or_insert_with(own_environment);
        set_variable(environment, "HOME", &user.home);
        set_variable(environment, "USER", &user.name);
    }
    Ok(Next::GoOn)
}

/// Sets `name` where it stands, else at the end.
fn set_variable(environment: &mut Vec<OsString>, name: &str, value: &str) {
    let word = OsString::from(format!("{name}={value}"));
    let is_it = |entry: &&mut OsString| {
        entry.as_bytes().strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"="))
    };
    match environment.iter_mut().find(is_it) {
        Some(entry) => *entry = word,
        None => environment.push(word),
    }
}

/// `--keep=N`: keep-caps as prctl(2) has it.
pub(crate) fn keep(_: &mut State, value: &OsStr) -> Outcome {
    make(&SetKeepCaps(number(value)?))?;
    Ok(Next::GoOn)
}

/// `--secbits=N`: the securebits, with cap_setpcap in force or not at all.
pub(crate) fn secbits(_: &mut State, value: &OsStr) -> Outcome {
    make(&SetSecureBits(number(value)?))?;
    Ok(Next::GoOn)
}

/// `--no-new-privs`.
pub(crate) fn no_new_privs(_: &mut State) -> Outcome {
    make(&NoNewPrivs)?;
    Ok(Next::GoOn)
}

/// `--chroot=DIR`: another root, and in it.
pub(crate) fn chroot(state: &mut State, folder: &OsStr) -> Outcome {
    borrowing(SYS_CHROOT, || Ok(make(&ChRoot(folder))?))?;
    make(&ChDir(OsStr::new("/")))?;
    state.new_root = true;
    Ok(Next::GoOn)
}
