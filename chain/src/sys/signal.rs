//! Signals (signal(7)) and what a process does when its parent dies.
//!
//! Raw calls: the kernel's signal sets have 64 bits, and the C library keeps
//! two signals to itself that a caller may nevertheless have blocked.

use super::{Call, check};
use crate::notation::{Signal, SignalSet};
use nix::unistd::Pid;
use std::fmt;
use std::ptr;

/// The size of the kernel's signal set, in bytes.
const SET_SIZE: usize = 8;

/// kill(2).
pub struct Kill {
    /// Whom.
    pub pid: Pid,
    /// With what; a number, as nix knows no real-time signals.
    pub signal: i32,
}

impl fmt::Display for Kill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "kill({}, {}", self.pid, Signal(self.signal))
    }
}

impl Call for Kill {
    type Out = ();
    const NAME: &'static str = "kill";
    fn why(&self) -> String {
        format!("process {} is to get {}", self.pid, Signal(self.signal))
    }
    fn cannot(&self) -> String {
        format!("cannot send {} to process {}", Signal(self.signal), self.pid)
    }
    fn enter(&self) -> nix::Result<()> {
        #[allow(unsafe_code)]
        // SAFETY: takes two integers.
        check(unsafe { libc::syscall(libc::SYS_kill, self.pid.as_raw(), self.signal) }).map(drop)
    }
}

/// How [`SigProcMask`] changes the mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// Adds the signals.
    Block,
    /// Takes them out.
    Unblock,
    /// Blocks these alone.
    Set,
}

/// rt_sigprocmask(2): which signals wait.
pub struct SigProcMask {
    /// How.
    pub how: How,
    /// The signals.
    pub set: SignalSet,
    /// Why, for `--explain`.
    pub why: &'static str,
}

impl fmt::Display for SigProcMask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let how = match self.how {
            How::Block => "SIG_BLOCK",
            How::Unblock => "SIG_UNBLOCK",
            How::Set => "SIG_SETMASK",
        };
        write!(f, "rt_sigprocmask({how}, {}, NULL, {SET_SIZE}", self.set)
    }
}

impl Call for SigProcMask {
    type Out = ();
    const NAME: &'static str = "rt_sigprocmask";
    fn why(&self) -> String {
        self.why.to_owned()
    }
    fn cannot(&self) -> String {
        "sigprocmask failed".to_owned()
    }
    fn enter(&self) -> nix::Result<()> {
        let how = match self.how {
            How::Block => libc::SIG_BLOCK,
            How::Unblock => libc::SIG_UNBLOCK,
            How::Set => libc::SIG_SETMASK,
        };
        let none = ptr::null_mut::<u64>();
        #[allow(unsafe_code)]
        // SAFETY: the set is 8 bytes, as the size says, and is only read.
        check(unsafe { libc::syscall(libc::SYS_rt_sigprocmask, how, &raw const self.set.0, none, SET_SIZE) }).map(drop)
    }
}

/// The signals that are blocked now.
///
/// # Errors
/// None that a caller can bring about.
pub fn blocked() -> nix::Result<SignalSet> {
    let mut set = 0u64;
    let none = ptr::null::<u64>();
    #[allow(unsafe_code)]
    // SAFETY: the kernel fills the 8 bytes of `set`.
    check(unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_BLOCK, none, &raw mut set, SET_SIZE) })?;
    Ok(SignalSet(set))
}

/// Waits for a signal of `set`, which is blocked. Whether the kernel itself
/// sent it, as it does for a terminal.
///
/// # Errors
/// `EINTR` after a stop.
pub fn wait_for(set: SignalSet) -> nix::Result<(Signal, bool)> {
    #[allow(unsafe_code)]
    // SAFETY: plain data, which the kernel fills.
    let mut about: libc::siginfo_t = unsafe { std::mem::zeroed() };
    let none = ptr::null::<u8>();
    #[allow(unsafe_code)]
    // SAFETY: the set is 8 bytes, `about` is the kernel's structure; no time
    // limit is asked for.
    let got = unsafe { libc::syscall(libc::SYS_rt_sigtimedwait, &raw const set.0, &raw mut about, none, SET_SIZE) };
    check(got).map(|number| (Signal(i32::try_from(number).unwrap_or(0)), about.si_code == libc::SI_KERNEL))
}

/// The kernel's `struct sigaction` without a handler and, as a process that
/// installs none returns from none, without a restorer. The mask is last but
/// for MIPS, which this does not run on.
#[repr(C)]
#[derive(Default)]
struct Disposition {
    handler: usize,
    flags: libc::c_ulong,
    restorer: usize,
    mask: u64,
}

/// Whether `signal` is at its default.
pub fn is_default(signal: Signal) -> bool {
    let mut old = Disposition::default();
    let none = ptr::null::<Disposition>();
    #[allow(unsafe_code)]
    // SAFETY: the kernel fills `old`, which is at least as large as its own.
    let result = unsafe { libc::syscall(libc::SYS_rt_sigaction, signal.0, none, &raw mut old, SET_SIZE) };
    result == 0 && old.handler == libc::SIG_DFL
}

/// rt_sigaction(2): puts a signal back to its default, or has it ignored.
pub struct SigAction {
    /// Which.
    pub signal: Signal,
    /// Whether it is ignored from here on.
    pub ignore: bool,
    /// Why, for `--explain`.
    pub why: &'static str,
}

impl fmt::Display for SigAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let handler = if self.ignore { "SIG_IGN" } else { "SIG_DFL" };
        let action = format!("{{sa_handler={handler}, sa_mask=[], sa_flags=0}}");
        write!(f, "rt_sigaction({}, {action}, NULL, {SET_SIZE}", self.signal)
    }
}

impl Call for SigAction {
    type Out = ();
    const NAME: &'static str = "rt_sigaction";
    fn why(&self) -> String {
        self.why.to_owned()
    }
    fn cannot(&self) -> String {
        let to = if self.ignore { "be ignored" } else { "its default" };
        format!("cannot set {} to {to}", self.signal)
    }
    fn enter(&self) -> nix::Result<()> {
        let handler = if self.ignore { libc::SIG_IGN } else { libc::SIG_DFL };
        let wanted = Disposition { handler, ..Disposition::default() };
        let none = ptr::null_mut::<Disposition>();
        #[allow(unsafe_code)]
        // SAFETY: installs no handler; the kernel only reads `wanted`.
        check(unsafe { libc::syscall(libc::SYS_rt_sigaction, self.signal.0, &raw const wanted, none, SET_SIZE) })
            .map(drop)
    }
}

/// prctl(PR_SET_PDEATHSIG): the signal this process gets when its parent
/// dies. Forgotten by the kernel when ids change and in every child.
pub struct ParentDeathSignal(pub Signal);

impl fmt::Display for ParentDeathSignal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "prctl(PR_SET_PDEATHSIG, {}", self.0)
    }
}

impl Call for ParentDeathSignal {
    type Out = ();
    const NAME: &'static str = "prctl";
    fn why(&self) -> String {
        format!("when the parent dies this process gets {}; the kernel forgets that when ids change", self.0)
    }
    fn cannot(&self) -> String {
        format!("cannot ask for {} at the parent's death", self.0)
    }
    fn enter(&self) -> nix::Result<()> {
        #[allow(unsafe_code)]
        // SAFETY: takes integers.
        check(unsafe { libc::syscall(libc::SYS_prctl, libc::PR_SET_PDEATHSIG, self.0.0, 0, 0, 0) }).map(drop)
    }
}

/// prctl(PR_SET_DUMPABLE): whether this process leaves a core and its files
/// below `/proc` are its user's, not root's. Until exec or a change of ids.
pub struct SetDumpable {
    /// Whether.
    pub on: bool,
    /// Why, for `--explain`.
    pub why: &'static str,
}

impl fmt::Display for SetDumpable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "prctl(PR_SET_DUMPABLE, SUID_DUMP_{}", if self.on { "USER" } else { "DISABLE" })
    }
}

impl Call for SetDumpable {
    type Out = ();
    const NAME: &'static str = "prctl";
    fn why(&self) -> String {
        self.why.to_owned()
    }
    fn cannot(&self) -> String {
        "cannot change whether this process may be dumped".to_owned()
    }
    fn enter(&self) -> nix::Result<()> {
        #[allow(unsafe_code)]
        // SAFETY: takes integers.
        check(unsafe { libc::syscall(libc::SYS_prctl, libc::PR_SET_DUMPABLE, i32::from(self.on), 0, 0, 0) }).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notation() {
        let two = SignalSet::of(&[Signal::TERM, Signal::INT]);
        let block = SigProcMask { how: How::Block, set: two, why: "" };
        assert_eq!(block.to_string(), "rt_sigprocmask(SIG_BLOCK, [INT TERM], NULL, 8");
        assert_eq!(ParentDeathSignal(Signal::KILL).to_string(), "prctl(PR_SET_PDEATHSIG, SIGKILL");
        let kill = |signal| Kill { pid: Pid::from_raw(5), signal }.to_string();
        assert_eq!(kill(libc::SIGKILL), "kill(5, SIGKILL");
        assert_eq!(kill(34), "kill(5, SIGRT_2");
        assert_eq!(kill(70), "kill(5, 70");
        let dumpable = |on| SetDumpable { on, why: "" }.to_string();
        assert_eq!(dumpable(true), "prctl(PR_SET_DUMPABLE, SUID_DUMP_USER");
        assert_eq!(dumpable(false), "prctl(PR_SET_DUMPABLE, SUID_DUMP_DISABLE");
        let action = |ignore| SigAction { signal: Signal::CHLD, ignore, why: "" }.to_string();
        assert_eq!(action(false), "rt_sigaction(SIGCHLD, {sa_handler=SIG_DFL, sa_mask=[], sa_flags=0}, NULL, 8");
        assert_eq!(action(true), "rt_sigaction(SIGCHLD, {sa_handler=SIG_IGN, sa_mask=[], sa_flags=0}, NULL, 8");
    }

    #[test]
    fn masks_are_read_as_they_are() {
        let before = blocked().expect("a mask");
        let usr1 = SignalSet::of(&[Signal(libc::SIGUSR1)]);
        super::super::make(&SigProcMask { how: How::Block, set: usr1, why: "" }).expect("blocked");
        assert_eq!(blocked().expect("a mask").0, before.0 | usr1.0);
        super::super::make(&SigProcMask { how: How::Set, set: before, why: "" }).expect("as before");
        assert_eq!(blocked(), Ok(before));
    }
}
