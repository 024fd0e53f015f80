//! Children: waiting for one, handing signals on to it, ending as it ended,
//! and helpers that wait for word from their parent.

use crate::error::{SysError, say};
use crate::hint;
use crate::notation::{Signal, SignalSet};
use crate::sys::cgroup::BornInto;
use crate::sys::file::Fd;
use crate::sys::process::{Fork, Forked, SetPGid};
use crate::sys::signal::{How, Kill, SetDumpable, SigAction, SigProcMask, is_default, wait_for};
use crate::sys::{lastly, make, quietly};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{Pid, getpgid, getpgrp};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

pub use crate::sys::signal::blocked;

/// How a child ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It exited with this status.
    Exited(u8),
    /// This signal killed it; a number, as nix knows no real-time signals.
    Killed(i32),
}

/// Waits until `pid` has ended; stops and continues do not count.
///
/// # Errors
/// `ECHILD` where there is no such child.
pub fn wait(pid: Pid) -> Result<End, Errno> {
    loop {
        if let Some(end) = ended(pid, 0)? {
            return Ok(end);
        }
    }
}

/// How `pid` ended, if it has. `flags` are waitpid's.
fn ended(pid: Pid, flags: i32) -> Result<Option<End>, Errno> {
    let mut status = 0;
    let got = loop {
        #[allow(unsafe_code)]
        // SAFETY: `status` is a valid place for the answer.
        let got = unsafe { libc::waitpid(pid.as_raw(), &raw mut status, flags) };
        match Errno::result(got) {
            Err(Errno::EINTR) => {}
            got => break got,
        }
    };
    match got {
        Ok(0) => Ok(None),
        Err(errno) => Err(errno),
        Ok(_) if libc::WIFEXITED(status) => {
            Ok(Some(End::Exited(u8::try_from(libc::WEXITSTATUS(status)).unwrap_or(u8::MAX))))
        }
        Ok(_) if libc::WIFSIGNALED(status) => Ok(Some(End::Killed(libc::WTERMSIG(status)))),
        Ok(_) => Ok(None),
    }
}

/// What is done with the signals that a terminal sends to all processes of
/// its foreground group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keyboard {
    /// They are handed on like others: a child of the group gets them twice.
    HandedOn,
    /// A child of this process's own group has them already.
    ReachesBoth,
}

/// Waits until `pid` has ended and hands `signals` on to it meanwhile. They
/// and SIGCHLD are blocked since before the child was made: none is lost.
///
/// # Errors
/// `ECHILD` where there is no such child.
pub fn wait_forwarding(pid: Pid, signals: &[Signal], keyboard: Keyboard) -> Result<End, Errno> {
    let awaited = SignalSet(SignalSet::of(signals).0 | SignalSet::of(&[Signal::CHLD]).0);
    let has_it = || keyboard == Keyboard::ReachesBoth && getpgid(Some(pid)) == Ok(getpgrp());
    loop {
        if let Some(end) = ended(pid, libc::WNOHANG)? {
            return Ok(end);
        }
        match wait_for(awaited) {
            Ok((Signal::CHLD, _)) | Err(Errno::EINTR) => {}
            Ok((_, true)) if has_it() => {}
            // Not waited for yet, so the pid is still the child's: at worst
            // the signal reaches a zombie.
            Ok((signal, _)) => drop(quietly(&Kill { pid, signal: signal.0 })),
            Err(errno) => return Err(errno),
        }
    }
}

/// Ends as a child ended: gives its status, or dies of the same signal, so
/// that a shell sees the same. Where the kernel does not let the signal kill
/// us (process 1 of a pid namespace): 128 + its number.
pub fn end_like(end: End) -> u8 {
    match end {
        End::Exited(status) => status,
        End::Killed(signal) => {
            die_of(Signal(signal));
            u8::try_from(128 + signal).unwrap_or(u8::MAX)
        }
    }
}

/// Sends `signal` to this process, at its default and unblocked; leaves no
/// core of ours beside the child's. What is refused shows in the status.
fn die_of(signal: Signal) {
    let why = "this process ends as its child did: by the same signal";
    let _ =
        quietly(&SetDumpable { on: false, why: "the child's core is the one of interest: this process leaves none" });
    if !is_default(signal) {
        let _ = quietly(&SigAction { signal, ignore: false, why });
    }
    let set = SignalSet::of(&[signal]);
    if blocked().is_ok_and(|blocked| blocked.0 & set.0 != 0) {
        let _ = quietly(&SigProcMask { how: How::Unblock, set, why });
    }
    let _ = lastly(&Kill { pid: Pid::this(), signal: signal.0 });
}

/// Puts SIGCHLD to its default where the caller had it ignored: the kernel
/// would throw the children's statuses away. Whether it had.
///
/// # Errors
/// The kernel's reason.
pub fn default_sigchld() -> Result<bool, SysError> {
    let signal = Signal::CHLD;
    if is_default(signal) {
        return Ok(false);
    }
    let why = "where SIGCHLD is ignored the kernel keeps no child's status";
    make(&SigAction { signal, ignore: false, why }).map(|()| true)
}

/// Has SIGCHLD ignored again, for a program that is to find it as our caller
/// left it.
///
/// # Errors
/// The kernel's reason.
pub fn ignore_sigchld() -> Result<(), SysError> {
    make(&SigAction { signal: Signal::CHLD, ignore: true, why: "the program finds signals as this one found them" })
}

/// One end of a pair through which two of our processes give each other word.
/// An end is closed when its process ends, in whatever way: the other side
/// then knows. Close-on-exec, so a program never gets it.
#[derive(Debug)]
pub struct Word(OwnedFd);

impl Word {
    /// A connected pair.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM`.
    pub fn pair() -> Result<(Self, Self), SysError> {
        use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};
        // Only our own processes see it: nothing to trace.
        socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)
            .map(|(one, other)| (Self(one), Self(other)))
            .map_err(|error| no_word("socketpair", error.raw_os_error()))
    }

    /// Tells the other side; nothing happens if it is gone.
    ///
    /// # Errors
    /// The kernel's reason: the other side still waits.
    pub fn tell(&self) -> Result<(), SysError> {
        use rustix::io::Errno;
        loop {
            match rustix::net::send(&self.0, b".", rustix::net::SendFlags::NOSIGNAL) {
                Err(Errno::INTR) => {}
                Ok(_) | Err(Errno::PIPE | Errno::CONNRESET) => return Ok(()),
                Err(error) => return Err(no_word("send", error.raw_os_error())),
            }
        }
    }

    /// Waits for the other side's word; `false` if it ended without.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn heard(&self) -> Result<bool, SysError> {
        let mut byte = [0];
        loop {
            match nix::unistd::read(&self.0, &mut byte) {
                Err(Errno::EINTR) => {}
                Ok(length) => return Ok(length == 1),
                Err(Errno::ECONNRESET) => return Ok(false),
                Err(errno) => return Err(no_word("read", errno as i32)),
            }
        }
    }
}

fn no_word(call: &str, errno: i32) -> SysError {
    let what = format!("cannot speak with another of our own processes: {call} failed");
    SysError { what, errno: Errno::from_raw(errno), hint: None }
}

/// Whether the child `pid`, which need not run any more, has become another
/// program. One that has not is dead or dying: what group it gets is nobody's
/// affair. No `/proc` is asked, which may be another pid namespace's.
pub fn became_program(pid: Pid) -> bool {
    let why = "the kernel moves no child that has become another program: a refusal shows that it has";
    quietly(&SetPGid { pid, why }).is_err()
}

/// This process's number in the mounted `/proc`, which may be of an outer pid
/// namespace: getpid's is somebody else's there.
///
/// # Errors
/// Nothing is mounted there, or the proc of a pid namespace without this
/// process.
pub fn number_in_proc() -> Result<Pid, SysError> {
    let number = nix::fcntl::readlink("/proc/self")
        .and_then(|link| link.to_str().and_then(|number| number.parse().ok()).ok_or(Errno::EINVAL));
    let error = |errno| SysError { what: "cannot read /proc/self".to_owned(), errno, hint: hint::no_proc(errno) };
    number.map(Pid::from_raw).map_err(error)
}

/// Whether the process behind the pidfd `process` has ended.
pub fn is_gone(process: impl AsFd) -> bool {
    let mut asked = [PollFd::new(process.as_fd(), PollFlags::POLLIN)];
    poll(&mut asked, PollTimeout::ZERO).is_ok_and(|ready| ready > 0)
}

/// The status of a helper that did nothing.
const IDLE: u8 = 1;

/// A child made early, which keeps the namespaces, the ids and the folder
/// that this process is about to leave, waits for word and then does a job.
/// If this process ends first, the helper ends too: without having done it, or,
/// as a guard, by doing it.
#[derive(Debug)]
pub struct Helper {
    pid: Pid,
    word: Option<Word>,
}

impl Helper {
    /// Makes the helper. `job` runs in it, once, after [`Helper::work`]; what
    /// it returns is the helper's exit status.
    ///
    /// # Errors
    /// `EAGAIN` and what else clone(2) and socketpair(2) have.
    pub fn start(why: &str, job: impl FnOnce() -> u8) -> Result<Self, SysError> {
        Self::with_word(why, |word| Ok(if word.heard()? { job() } else { IDLE }))
    }

    /// Makes a helper that, once [`Helper::arm`] had it `look`, does its `job`
    /// unless [`Helper::dismiss`] lets it go: when it is dropped, and when this
    /// process ends in whatever way. Nothing but SIGKILL and SIGSTOP for it
    /// alone disturbs it: not the terminal's signals, nor a pipe that closes.
    ///
    /// # Errors
    /// As [`Helper::start`].
    pub fn guard<S>(why: &str, look: impl FnOnce() -> S, job: impl FnOnce(S)) -> Result<Self, SysError> {
        Self::with_word(why, |word| {
            if !word.heard()? {
                return Ok(IDLE);
            }
            let why = "what ends the others is when this process is needed: it goes on, also where a pipe has closed";
            make(&SigProcMask { how: How::Block, set: SignalSet(!0), why })?;
            let why = "a signal to all of the caller's process group, SIGKILL too, does not reach this process";
            make(&SetPGid { pid: Pid::from_raw(0), why })?;
            let seen = look();
            word.tell()?;
            // What cannot be heard lets nobody go.
            if !word.heard().unwrap_or(false) {
                job(seen);
            }
            Ok(0)
        })
    }

    /// Has a guard look at what it is to guard: only from then on it does. If
    /// it has ended instead, how.
    ///
    /// # Errors
    /// The kernel's reason: nothing is guarded.
    pub fn arm(&mut self) -> Result<Option<End>, SysError> {
        if let Some(word) = &self.word {
            word.tell()?;
            if word.heard()? {
                return Ok(None);
            }
        }
        self.ended().map(Some)
    }

    fn with_word(why: &str, job: impl FnOnce(&Word) -> Result<u8, SysError>) -> Result<Self, SysError> {
        let (ours, theirs) = Word::pair()?;
        let far_end = ours.0.as_raw_fd();
        let pid = start(why, || {
            // With this end open here the helper would never see the other
            // side go.
            let _ = nix::unistd::close(far_end);
            job(&theirs).unwrap_or_else(|error| {
                say(&error.to_string());
                IDLE
            })
        })?;
        Ok(Self { pid, word: Some(ours) })
    }

    /// Lets the helper do its job and waits for it.
    ///
    /// # Errors
    /// `ECHILD`: somebody else has waited for it. It cannot be told: it ends
    /// without having done its job.
    pub fn work(mut self) -> Result<End, SysError> {
        if let Some(word) = &self.word {
            word.tell()?;
        }
        self.ended()
    }

    /// Closes the line to the helper, which ends it, and waits until it has.
    fn ended(&mut self) -> Result<End, SysError> {
        self.word = None;
        wait(self.pid).map_err(|errno| SysError { what: "waitpid failed".to_owned(), errno, hint: None })
    }

    /// Has a guard do its job, and waits until it has ended: how.
    ///
    /// # Errors
    /// `ECHILD`: somebody else has waited for it.
    pub fn release(mut self) -> Result<End, SysError> {
        self.ended()
    }

    /// Lets a guard go and waits until it has.
    ///
    /// # Errors
    /// It cannot be told: it does its job.
    pub fn dismiss(self) -> Result<(), SysError> {
        self.work().map(drop)
    }
}

impl Drop for Helper {
    /// Closes the line to the helper, which ends it, after its job if it is a
    /// guard, and waits until it has: nothing is left behind. In a child of
    /// ours the wait finds no child and is over at once.
    fn drop(&mut self) {
        if self.word.is_some() {
            let _ = self.ended();
        }
    }
}

/// Makes a child that does `job` and exits with what it returns.
///
/// # Errors
/// What clone(2) has.
pub fn start(why: &str, job: impl FnOnce() -> u8) -> Result<Pid, SysError> {
    match make(&Fork(why))? {
        Forked::Parent(pid) => Ok(pid),
        Forked::Child => leave(job()),
    }
}

/// [`start`], with the child born in the v2 control group `group`. It has this
/// process's memory and this process waits until it is another program or has
/// ended: `job` changes nothing that is looked at afterwards.
///
/// # Errors
/// What clone3(2) has.
pub fn start_in(group: Fd<'_>, why: &str, job: &dyn Fn() -> u8) -> Result<Pid, SysError> {
    make(&BornInto { group, job, why })
}

/// Ends this child at once: what is left on its stack belongs to its parent.
fn leave(status: u8) -> ! {
    #[allow(unsafe_code)]
    // SAFETY: no condition; nothing of ours is buffered, so nothing is lost.
    unsafe {
        libc::_exit(status.into())
    }
}
