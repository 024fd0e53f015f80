//! What the words of one run share, and the ways in which they change the
//! process's sets.

use crate::error::Problem;
use crate::names;
use chain::output::write_stdout;
use chain::say;
use chain::sys::caps::{self, AmbientClear, CapSet, CapSets, SETPCAP};
use chain::sys::{make, quietly};
use nix::errno::Errno;
use nix::unistd::Pid;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// What a word leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// The next word.
    GoOn,
    /// The usage text, and the end.
    Usage,
    /// The end, with this status.
    End(u8),
}

/// What doing a word gives.
pub type Outcome = Result<Next, Problem>;

/// What earlier words set up for later ones.
#[derive(Debug)]
pub struct State {
    /// How many capabilities the running kernel has, if it told.
    count: nix::Result<u32>,
    /// The program of `--` and `-+`.
    pub shell: OsString,
    /// `--quiet` was given: `==` hands it on.
    pub quiet: bool,
    /// The fix-ups of `--caps`, `--drop` and `--inh` are off.
    pub strict: bool,
    /// `--user` leaves the environment alone.
    pub noenv: bool,
    /// `--chroot` was done: no program of the old root is to be started.
    pub new_root: bool,
    /// The child of `--forkfor`.
    pub child: Option<Pid>,
    /// The caller had SIGCHLD ignored, and a child was made.
    pub sigchld_was_ignored: bool,
    /// The environment of the next program, where it is not ours.
    pub environment: Option<Vec<OsString>>,
    /// Why standard output could not be written, if it could not.
    pub lost: Option<Errno>,
}

impl State {
    /// The state before the first word.
    pub fn new() -> Self {
        Self {
            count: caps::count(),
            shell: "/bin/bash".into(),
            quiet: false,
            strict: false,
            noenv: false,
            new_root: false,
            child: None,
            sigchld_was_ignored: false,
            environment: None,
            lost: None,
        }
    }

    /// How many capabilities the running kernel has.
    ///
    /// # Errors
    /// What a filter of system calls may answer.
    pub fn count(&self) -> Result<u32, Problem> {
        self.count.map_err(unreadable)
    }

    /// [`print`](Self::print), for a line with a word of the user's in it,
    /// byte for byte.
    pub fn print_with(&mut self, before: &str, word: &OsStr, after: &str) -> Next {
        self.print([before.as_bytes(), word.as_bytes(), after.as_bytes()].concat())
    }

    /// Prints `text` at once: it is out before any later word acts. A write
    /// that fails is told once and remembered; the words go on, as the
    /// original's do.
    pub fn print(&mut self, text: impl AsRef<[u8]>) -> Next {
        if self.lost.is_none()
            && let Err(errno) = write_stdout(text.as_ref())
        {
            say(&format!("write error: {}", chain::error::strerror(errno)));
            self.lost = Some(errno);
        }
        Next::GoOn
    }
}

impl Default for State {
    fn default() -> Self {
        Self::new()
    }
}

/// The sets of this process.
///
/// # Errors
/// What the kernel answers.
pub fn current() -> Result<CapSets, Problem> {
    caps::get().map_err(unreadable)
}

/// What is said where the kernel does not tell what this process has.
pub(crate) fn unreadable(errno: Errno) -> Problem {
    let what = "cannot read the capabilities".to_owned();
    Problem::Sys(chain::SysError { what, errno, hint: None })
}

/// Whether `number` is in `set`.
pub fn has(set: u64, number: u32) -> bool {
    number < 64 && set >> number & 1 == 1
}

/// The bounding set of a kernel of `count` capabilities.
///
/// # Errors
/// What a filter of system calls may answer.
pub fn bounding(count: u32) -> Result<u64, Problem> {
    set_of(count, caps::bounded)
}

/// The ambient set; `None` where the kernel has none.
///
/// # Errors
/// What a filter of system calls may answer.
pub fn ambient(count: u32) -> Result<Option<u64>, Problem> {
    match caps::ambient(0).map_err(unreadable)? {
        Some(_) => set_of(count, caps::ambient).map(Some),
        None => Ok(None),
    }
}

/// The numbers below `count` that `has` tells of.
fn set_of(count: u32, has: fn(u32) -> nix::Result<Option<bool>>) -> Result<u64, Problem> {
    (0..count).try_fold(0, |set, number| {
        let bit = u64::from(has(number).map_err(unreadable)? == Some(true));
        Ok(set | bit << number)
    })
}

/// Empties the ambient set; no call where it is empty, so that it works with
/// the set locked.
///
/// # Errors
/// What the kernel answers.
pub fn clear_ambient(count: u32) -> Result<(), Problem> {
    if ambient(count)?.is_some_and(|set| set != 0) {
        make(&AmbientClear)?;
    }
    Ok(())
}

/// Acts with capability `number` in force, then puts the sets back as they
/// were. Where it is in force already nothing is borrowed.
///
/// # Errors
/// The borrowing, the act, the giving back: the first that failed.
pub fn borrowing(number: u32, act: impl FnOnce() -> Result<(), Problem>) -> Result<(), Problem> {
    let before = current()?;
    if has(before.effective, number) {
        return act();
    }
    make(&CapSet(CapSets { effective: before.effective | 1 << number, ..before }))?;
    let acted = act();
    let back = make(&CapSet(before));
    acted?;
    Ok(back?)
}

/// Acts with capability `number` in force; afterwards, also when the act
/// failed, nothing is in force any more. What changing the user and the mode
/// do.
///
/// # Errors
/// The raising, the act, the emptying: the first that failed.
pub fn then_powerless(number: u32, act: impl FnOnce() -> Result<(), Problem>) -> Result<(), Problem> {
    let before = current()?;
    let raised = CapSets { effective: before.effective | 1 << number, ..before };
    let acted = match make(&CapSet(raised)) {
        Ok(()) => act(),
        Err(error) => Err(error.into()),
    };
    let emptied = make(&CapSet(CapSets { effective: 0, ..current()? }));
    acted?;
    Ok(emptied?)
}

/// Sets all three sets to `wanted`. Unless `strict`, cap_setpcap is put in
/// force first where it may be, so that the inheritable set can grow beyond
/// the permitted one; what is in force afterwards is what is wanted.
///
/// # Errors
/// What the kernel answers to the wanted sets.
pub fn set_with_fix_up(wanted: CapSets, strict: bool) -> Result<(), Problem> {
    let now = current()?;
    if !strict && !has(now.effective, SETPCAP) {
        let raised = CapSets { effective: now.effective | 1 << SETPCAP, ..now };
        // A refusal is no matter: the wanted sets may not need it.
        let _ = quietly(&CapSet(raised));
    }
    Ok(make(&CapSet(wanted))?)
}

/// Drops capability `number` from the bounding set.
///
/// # Errors
/// What the kernel answers.
pub fn drop_bounded(number: u32) -> Result<(), Problem> {
    Ok(make(&caps::BoundingDrop(number))?)
}

/// The capabilities of a `LIST`: `all`, or names one by one, empty elements
/// skipped. A bad name comes out where it stands, after those before it.
pub fn elements(list: &[u8], count: u32) -> Vec<Result<u32, Problem>> {
    if list == b"all" {
        return (0..count).map(Ok).collect();
    }
    let name =
        |element: &[u8]| names::whole(element).ok_or_else(|| Problem::Name(OsStr::from_bytes(element).to_owned()));
    list.split(|b| *b == b',').filter(|element| !element.is_empty()).map(name).collect()
}
