//! `--fork`: the program runs in a child, and this process waits.

use crate::enter::ended;
use crate::error::Error;
use crate::inside::{self, Parent};
use crate::persist::{Binder, Bound};
use crate::plan::Plan;
use chain::child::{Keyboard, Word, became_program, blocked, end_like, wait, wait_forwarding};
use chain::notation::{Signal, SignalSet};
use chain::sys::process::{Fork, Forked, PidfdOpen};
use chain::sys::signal::{How, SigProcMask};
use chain::{SysError, sys};
use nix::unistd::Pid;
use std::process::ExitCode;

/// What the parent outlives, or hands on.
const SIGNALS: [Signal; 2] = [Signal::INT, Signal::TERM];

/// Runs the program in a child and ends as it ends.
///
/// # Errors
/// The child could not be made, or the files not bound. What fails in the
/// child is said there and shows in the status.
pub fn run(plan: &Plan<'_>, binder: Option<Binder>) -> Result<ExitCode, Error> {
    let options = plan.options;
    let before = blocked().map_err(|errno| SysError { what: "sigprocmask failed".to_owned(), errno, hint: None })?;
    let mut waiting_ones = SignalSet::of(&SIGNALS);
    if options.forward_signals {
        waiting_ones.0 |= SignalSet::of(&[Signal::CHLD]).0;
    }
    sys::make(&SigProcMask {
        how: How::Block,
        set: waiting_ones,
        why: "a signal from the terminal is for the program: this process lives on to hand its status back",
    })?;
    let parent = match options.kill_child {
        Some(signal) => Some(Parent { signal, process: sys::make(&PidfdOpen(Pid::this()))? }),
        None => None,
    };
    // Word goes both ways: "the files are bound", and "the program is not there".
    let words = binder.is_some().then(Word::pair).transpose()?;
    let why = "the first child is born in the new pid and time namespaces; this process stays outside and waits";
    match sys::make(&Fork(why))? {
        Forked::Child => {
            drop(binder);
            let word = words.map(|(_, childs)| childs);
            let status = in_child(plan, before, parent, word.as_ref())
                .map_or_else(|error| ended(&error), |never| match never {});
            if let Some(word) = word {
                // Without it the parent sees all the same that this is no program.
                let _ = word.tell();
            }
            Ok(status.into())
        }
        Forked::Parent(pid) => {
            drop(parent);
            let word = words.map(|(ours, _)| ours);
            in_parent(plan, pid, binder, word)
        }
    }
}

fn in_child(
    plan: &Plan<'_>,
    before: SignalSet,
    parent: Option<Parent>,
    bound: Option<&Word>,
) -> Result<std::convert::Infallible, Error> {
    let why = "the program starts with the signal mask that the caller gave";
    sys::make(&SigProcMask { how: How::Set, set: before, why })?;
    if let Some(parent) = &parent {
        parent.watch()?;
    }
    // The parent has said why, or is gone.
    if let Some(word) = bound
        && !word.heard()?
    {
        return Err(Error::Said { status: crate::FAILURE });
    }
    inside::prepare(plan, parent.as_ref())?;
    drop(parent);
    inside::exec(plan.options)
}

fn in_parent(plan: &Plan<'_>, pid: Pid, binder: Option<Binder>, word: Option<Word>) -> Result<ExitCode, Error> {
    if let Some((binder, word)) = binder.zip(word) {
        match bind(binder, &word) {
            Ok(bound) => settle(pid, bound, &word),
            Err(error) => {
                // Without a word the child ends by itself.
                drop(word);
                let _ = wait(pid);
                return Err(error);
            }
        }
    }
    let (end, what) = if plan.options.forward_signals {
        (wait_forwarding(pid, &SIGNALS, Keyboard::HandedOn), "cannot wait for the program and for signals")
    } else {
        (wait(pid), "waitpid failed")
    };
    match end {
        Ok(end) => Ok(end_like(end).into()),
        Err(errno) => Err(SysError { what: what.to_owned(), errno, hint: None }.into()),
    }
}

/// Binds the files and lets the child go on.
fn bind(binder: Binder, child: &Word) -> Result<Bound, Error> {
    let bound = binder.bind()?;
    child.tell()?;
    Ok(bound)
}

/// Keeps the files bound if the child has become the program. exec closes its
/// end; a child that failed says so first, one that was killed could not.
fn settle(pid: Pid, bound: Bound, child: &Word) {
    let failed = child.heard().unwrap_or(false) || !became_program(pid);
    if !failed && let Err(error) = bound.keep() {
        ended(&error.into());
    }
}
