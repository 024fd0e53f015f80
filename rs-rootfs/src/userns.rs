//! `--userns`: an ordinary user's own user namespace, in which the ids that
//! `/etc/subuid` and `/etc/subgid` grant are there (subuid(5), newuidmap(1)).

use anyhow::{Context, bail};
use chain::child::{self, End, Helper};
use chain::sys;
use chain::sys::namespace::{Namespaces, Unshare};
use chain::user::{User, user_by_id};
use std::ffi::OsString;

/// First id and count.
type Range = (u32, u32);

/// Enters a new user namespace: our own id is root there, the granted ones
/// come behind it. Root has no need of one.
///
/// # Errors
/// No ids are granted, or this machine does not let ordinary users do so.
pub(crate) fn enter() -> anyhow::Result<()> {
    let (uid, gid) = (nix::unistd::geteuid(), nix::unistd::getegid());
    if uid.is_root() {
        return Ok(());
    }
    let user = user_by_id(uid.as_raw()).with_context(|| format!("no user has id {uid}"))?;
    let uids = granted("/etc/subuid", &user)?;
    let gids = granted("/etc/subgid", &user)?;
    let pid = std::process::id();
    let why = "a helper that stays outside maps the ids: from inside one may map nobody but oneself";
    let helper = Helper::start(why, || {
        let map = |program, own, range| run(&[program, &pid.to_string()], own, range);
        map("newuidmap", uid.as_raw(), uids).max(map("newgidmap", gid.as_raw(), gids))
    })?;
    sys::make(&Unshare(Namespaces::USER))?;
    match helper.work() {
        Ok(End::Exited(0)) => Ok(()),
        // It has said why.
        _ => bail!("cannot map the subordinate ids of {}", user.name),
    }
}

/// Runs `program PID 0 OWN 1 1 FIRST COUNT`; gives its status.
fn run(words: &[&str], own: u32, (first, count): Range) -> u8 {
    let numbers = [0, own, 1, 1, first, count];
    let mut command: Vec<OsString> = words.iter().map(OsString::from).collect();
    command.extend(numbers.iter().map(|number| number.to_string().into()));
    let started = child::start("only this setuid program may map other ids than one's own", || {
        let Err(error) = chain::exec(&command);
        chain::error::report(&Missing(error))
    });
    match started.map(child::wait) {
        Ok(Ok(End::Exited(status))) => status,
        _ => 1,
    }
}

/// newuidmap or newgidmap cannot be started.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Missing(chain::ExecError);

impl chain::Failure for Missing {
    fn status(&self) -> u8 {
        self.0.status()
    }
}

/// The first line of `user`, by name or by number.
fn granted(file: &str, user: &User) -> anyhow::Result<Range> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| anyhow::anyhow!("cannot read {file}: {}", crate::reason(&error)))?;
    let own = |who: &str| who == user.name || who.parse() == Ok(user.uid);
    let range = text.lines().find_map(|line| {
        let mut parts = line.split(':');
        let (who, first, count) = (parts.next()?, parts.next()?, parts.next()?);
        own(who).then(|| Some((first.trim().parse().ok()?, count.trim().parse().ok()?)))
    });
    match range {
        Some(Some(range)) => Ok(range),
        Some(None) => bail!("cannot understand the line of {} in {file}", user.name),
        None => bail!("{file} grants {} no ids: usermod --add-subuids or --add-subgids does", user.name),
    }
}
