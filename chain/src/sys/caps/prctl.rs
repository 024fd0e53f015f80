//! The sets and switches that prctl(2) reads and changes: the bounding and
//! the ambient set, keep-caps, securebits, no-new-privs.

use super::super::{Call, check};
use super::{Name, SETPCAP, get};
use crate::capability::{capability, name_of};
use crate::hint;
use crate::notation::Flags;
use nix::errno::Errno;
use std::fmt;

/// The second arguments of `prctl(PR_CAP_AMBIENT)`.
mod ambient_option {
    pub(super) const IS_SET: u64 = 1;
    pub(super) const RAISE: u64 = 2;
    pub(super) const LOWER: u64 = 3;
    pub(super) const CLEAR_ALL: u64 = 4;
}

/// The securebits and their locks, ascending (linux/securebits.h).
const SECURE_BITS: &[(u64, &str)] = &[
    (0x01, "SECBIT_NOROOT"),
    (0x02, "SECBIT_NOROOT_LOCKED"),
    (0x04, "SECBIT_NO_SETUID_FIXUP"),
    (0x08, "SECBIT_NO_SETUID_FIXUP_LOCKED"),
    (0x10, "SECBIT_KEEP_CAPS"),
    (0x20, "SECBIT_KEEP_CAPS_LOCKED"),
    (0x40, "SECBIT_NO_CAP_AMBIENT_RAISE"),
    (0x80, "SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED"),
];

/// no-ambient-raise among the securebits.
const NO_AMBIENT_RAISE: u32 = 0x40;

fn prctl(option: i32, a: u64, b: u64) -> nix::Result<libc::c_long> {
    #[allow(unsafe_code)]
    // SAFETY: the options used here take integers only.
    check(unsafe { libc::syscall(libc::SYS_prctl, option, a, b, 0u64, 0u64) })
}

/// Reads; `None` where the kernel does not know what is asked for. Another
/// error is no such answer: whoever took a refusal for "not set" would leave
/// set what was to be cleared.
fn read(option: i32, a: u64, b: u64) -> nix::Result<Option<libc::c_long>> {
    match prctl(option, a, b) {
        Err(Errno::EINVAL) => Ok(None),
        answer => answer.map(Some),
    }
}

/// Whether capability `number` is in the bounding set; `None` where the
/// kernel does not know the number.
///
/// # Errors
/// What a filter of system calls may answer.
pub fn bounded(number: u32) -> nix::Result<Option<bool>> {
    Ok(read(libc::PR_CAPBSET_READ, number.into(), 0)?.map(|answer| answer == 1))
}

/// How many capabilities the running kernel has, without `/proc`.
///
/// # Errors
/// What a filter of system calls may answer.
pub fn count() -> nix::Result<u32> {
    for number in 0..64 {
        if bounded(number)?.is_none() {
            return Ok(number);
        }
    }
    Ok(64)
}

/// Whether capability `number` is in the ambient set; `None` where the kernel
/// does not know the number, or has no such set (before Linux 4.3).
///
/// # Errors
/// What a filter of system calls may answer.
pub fn ambient(number: u32) -> nix::Result<Option<bool>> {
    Ok(read(libc::PR_CAP_AMBIENT, ambient_option::IS_SET, number.into())?.map(|answer| answer == 1))
}

/// The securebits of this process; 0 where the kernel has none.
///
/// # Errors
/// What a filter of system calls may answer.
pub fn secure_bits() -> nix::Result<u32> {
    Ok(read(libc::PR_GET_SECUREBITS, 0, 0)?.and_then(|bits| u32::try_from(bits).ok()).unwrap_or(0))
}

/// Whether one of `bits` is among the securebits, for advice.
fn has_secure_bit(bits: u32) -> bool {
    secure_bits().is_ok_and(|now| now & bits != 0)
}

/// The securebits that have a name here, with their locks.
pub fn secure_bits_known() -> u32 {
    SECURE_BITS.iter().fold(0, |all, (bit, _)| all | u32::try_from(*bit).unwrap_or(0))
}

/// Whether no-new-privs is set.
pub fn no_new_privs() -> bool {
    prctl(libc::PR_GET_NO_NEW_PRIVS, 0, 0).is_ok_and(|answer| answer == 1)
}

/// The advice for a call that cap_setpcap in force would have allowed.
fn wants_setpcap(errno: Errno) -> Option<String> {
    (errno == Errno::EPERM && !hint::capable(SETPCAP))
        .then(|| "it needs cap_setpcap in force, which this process does not have".to_owned())
}

/// The advice for a number that the running kernel does not have.
fn unknown_to_kernel(number: u32, errno: Errno) -> Option<String> {
    let count = count().ok().filter(|count| errno == Errno::EINVAL && number >= *count)?;
    Some(format!("this kernel's capabilities are those from 0 to {}", count.saturating_sub(1)))
}

/// `CAP_CHOWN (it lets a process give …)`, for the lessons.
fn lesson(number: u32) -> String {
    match capability(number) {
        Some(known) => format!("{} (it lets a process {})", Name(number), known.lets),
        None => format!("capability {number}"),
    }
}

/// Declares a call of prctl(2) on one number.
macro_rules! prctl_call {
    (
        $(#[$doc:meta])* $name:ident,
        |$self:ident, $f:ident| $notation:expr,
        why: $why:expr, cannot: $cannot:expr, hint: |$errno:ident| $hint:expr, enter: $enter:expr
    ) => {
        $(#[$doc])*
        pub struct $name(pub u32);

        impl fmt::Display for $name {
            fn fmt(&$self, $f: &mut fmt::Formatter<'_>) -> fmt::Result {
                $notation
            }
        }

        impl Call for $name {
            type Out = ();
            const NAME: &'static str = "prctl";
            fn why(&$self) -> String {
                $why
            }
            fn cannot(&$self) -> String {
                $cannot
            }
            fn hint(&$self, $errno: Errno) -> Option<String> {
                $hint
            }
            fn enter(&$self) -> nix::Result<()> {
                $enter.map(drop)
            }
        }
    };
}

prctl_call!(
    /// PR_CAPBSET_DROP: takes one capability out of the bounding set.
    BoundingDrop,
    |self, f| write!(f, "prctl(PR_CAPBSET_DROP, {}", Name(self.0)),
    why: format!("no program started from here on can gain {}, not even a set-user-id one of root's", lesson(self.0)),
    cannot: format!("cannot drop {} from the bounding set", name_of(self.0)),
    hint: |errno| wants_setpcap(errno).or_else(|| unknown_to_kernel(self.0, errno)),
    enter: prctl(libc::PR_CAPBSET_DROP, self.0.into(), 0)
);

prctl_call!(
    /// PR_CAP_AMBIENT_RAISE: the capability survives exec of an ordinary
    /// program.
    AmbientRaise,
    |self, f| write!(f, "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, {}, 0, 0", Name(self.0)),
    why: format!("an ordinary program started next keeps {}", lesson(self.0)),
    cannot: format!("cannot raise {} in the ambient set", name_of(self.0)),
    hint: |errno| {
        if errno != Errno::EPERM {
            return unknown_to_kernel(self.0, errno);
        }
        let has = get().ok()?;
        if (has.permitted & has.inheritable) >> self.0 & 1 == 0 {
            return Some("it must be both permitted and inheritable first".to_owned());
        }
        has_secure_bit(NO_AMBIENT_RAISE).then(|| "the securebit no-ambient-raise is set".to_owned())
    },
    enter: prctl(libc::PR_CAP_AMBIENT, ambient_option::RAISE, self.0.into())
);

prctl_call!(
    /// PR_CAP_AMBIENT_LOWER: an ordinary program started next does not have
    /// the capability.
    AmbientLower,
    |self, f| write!(f, "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, {}, 0, 0", Name(self.0)),
    why: format!("an ordinary program started next does not keep {}", lesson(self.0)),
    cannot: format!("cannot lower {} in the ambient set", name_of(self.0)),
    hint: |errno| unknown_to_kernel(self.0, errno),
    enter: prctl(libc::PR_CAP_AMBIENT, ambient_option::LOWER, self.0.into())
);

prctl_call!(
    /// PR_SET_KEEPCAPS: 1 keeps the permitted set over a change of user, until
    /// exec.
    SetKeepCaps,
    |self, f| write!(f, "prctl(PR_SET_KEEPCAPS, {}", self.0),
    why: match self.0 {
        0 => "leaving user 0 gives up every capability, as it always did".to_owned(),
        _ => "what is permitted stays so when user 0 becomes another user, until the next exec".to_owned(),
    },
    cannot: format!("cannot set keep-caps to {}", self.0),
    hint: |errno| (errno == Errno::EPERM && has_secure_bit(0x20))
        .then(|| "the securebit keep-caps is locked".to_owned()),
    enter: prctl(libc::PR_SET_KEEPCAPS, self.0.into(), 0)
);

prctl_call!(
    /// PR_SET_SECUREBITS: how much user 0 is worth to the kernel.
    SetSecureBits,
    |self, f| {
        let bits = self.0;
        f.write_str("prctl(PR_SET_SECUREBITS, ")?;
        if bits != 0 && bits & secure_bits_known() == 0 {
            return write!(f, "{bits:#x} /* SECBIT_??? */");
        }
        Flags { bits, table: SECURE_BITS }.fmt(f)
    },
    why: "the securebits say whether user 0 gets capabilities by being user 0; a locked bit stays as it is for good"
        .to_owned(),
    cannot: format!("cannot set the securebits to {:#x}", self.0),
    hint: |errno| wants_setpcap(errno).or_else(|| {
        let now = secure_bits().ok()?;
        let locked = (now >> 1) & 0x5555_5555;
        let changed = (now ^ self.0) & (locked | locked << 1);
        (errno == Errno::EPERM && changed != 0).then(|| format!("locked, and would change: {changed:#x}"))
    }),
    enter: prctl(libc::PR_SET_SECUREBITS, self.0.into(), 0)
);

/// PR_CAP_AMBIENT_CLEAR_ALL: nothing survives exec of an ordinary program.
pub struct AmbientClear;

impl fmt::Display for AmbientClear {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0")
    }
}

impl Call for AmbientClear {
    type Out = ();
    const NAME: &'static str = "prctl";
    fn why(&self) -> String {
        "an ordinary program started next keeps no capability by inheritance".to_owned()
    }
    fn cannot(&self) -> String {
        "cannot clear the ambient set".to_owned()
    }
    fn enter(&self) -> nix::Result<()> {
        prctl(libc::PR_CAP_AMBIENT, ambient_option::CLEAR_ALL, 0).map(drop)
    }
}

/// PR_SET_NO_NEW_PRIVS: no exec from here on gives more than the process has.
pub struct NoNewPrivs;

impl fmt::Display for NoNewPrivs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0")
    }
}

impl Call for NoNewPrivs {
    type Out = ();
    const NAME: &'static str = "prctl";
    fn why(&self) -> String {
        "set-user-id bits and file capabilities mean nothing to this process and its children from here on".to_owned()
    }
    fn cannot(&self) -> String {
        "cannot set no-new-privs".to_owned()
    }
    fn enter(&self) -> nix::Result<()> {
        prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As strace 6.1 wrote the same calls.
    #[test]
    fn notation() {
        assert_eq!(BoundingDrop(18).to_string(), "prctl(PR_CAPBSET_DROP, CAP_SYS_CHROOT");
        assert_eq!(BoundingDrop(41).to_string(), "prctl(PR_CAPBSET_DROP, 0x29 /* CAP_??? */");
        assert_eq!(AmbientRaise(3).to_string(), "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_FOWNER, 0, 0");
        assert_eq!(
            AmbientLower(45).to_string(),
            "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, 0x2d /* CAP_??? */, 0, 0"
        );
        assert_eq!(AmbientClear.to_string(), "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0");
        assert_eq!(SetKeepCaps(2).to_string(), "prctl(PR_SET_KEEPCAPS, 2");
        assert_eq!(NoNewPrivs.to_string(), "prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0");
    }

    #[test]
    fn notation_of_secure_bits() {
        let text = |bits| SetSecureBits(bits).to_string().replace("prctl(PR_SET_SECUREBITS, ", "");
        assert_eq!(text(0), "0");
        assert_eq!(text(0x21), "SECBIT_NOROOT|SECBIT_KEEP_CAPS_LOCKED");
        assert_eq!(text(0x100), "0x100 /* SECBIT_??? */");
        assert_eq!(text(0xf01), "SECBIT_NOROOT|0xf00");
    }
}
