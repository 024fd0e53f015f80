//! Capabilities, securebits and no-new-privs (capabilities(7), prctl(2)).
//!
//! The `caps` crate sets one set at a time and knows 41 names; capset(2)
//! takes three sets of 64 bits at once, so the calls are our own.

mod prctl;

pub use prctl::{
    AmbientClear, AmbientLower, AmbientRaise, BoundingDrop, NoNewPrivs, SetKeepCaps, SetSecureBits, ambient, bounded,
    count, no_new_privs, secure_bits, secure_bits_known,
};

use super::{Call, check};
use crate::capability::{CAPABILITIES, capability, name_of};
use crate::hint;
use nix::errno::Errno;
use std::fmt;

/// The number of cap_setpcap: what changing the other sets asks for.
pub const SETPCAP: u32 = 8;
/// The number of cap_setgid.
pub const SETGID: u32 = 6;
/// The number of cap_setuid.
pub const SETUID: u32 = 7;
/// The number of cap_sys_chroot.
pub const SYS_CHROOT: u32 = 18;

/// The three sets of a process that capset(2) changes; bit N is capability N.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CapSets {
    /// In force now.
    pub effective: u64,
    /// May be put into force.
    pub permitted: u64,
    /// May be kept over exec.
    pub inheritable: u64,
}

#[repr(C)]
struct Header {
    version: u32,
    pid: i32,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Data {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

/// `_LINUX_CAPABILITY_VERSION_3`: two halves of 32 bits.
const VERSION_3: u32 = 0x2008_0522;

fn low(set: u64) -> u32 {
    u32::try_from(set & 0xffff_ffff).unwrap_or(0)
}

fn high(set: u64) -> u32 {
    u32::try_from(set >> 32).unwrap_or(0)
}

/// capget(2) of the caller.
///
/// # Errors
/// None that a caller can bring about; the kernel's answer is handed on.
pub fn get() -> nix::Result<CapSets> {
    get_of(0)
}

/// capget(2) of process `pid`; 0 is the caller.
///
/// # Errors
/// `ESRCH` where there is no such process, `EINVAL` for a negative number.
pub fn get_of(pid: i32) -> nix::Result<CapSets> {
    let mut header = Header { version: VERSION_3, pid };
    let mut data = [Data::default(); 2];
    #[allow(unsafe_code)]
    // SAFETY: version 3 fills exactly two `Data`, which `data` is.
    check(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) })?;
    let join = |of: fn(&Data) -> u32| u64::from(of(&data[0])) | u64::from(of(&data[1])) << 32;
    Ok(CapSets {
        effective: join(|d| d.effective),
        permitted: join(|d| d.permitted),
        inheritable: join(|d| d.inheritable),
    })
}

/// A set as strace writes it: `1<<CAP_CHOWN|1<<CAP_KILL`; what has no name as
/// the bits of the upper half.
struct Set(u64);

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0");
        }
        let named = (1 << CAPABILITIES.len()) - 1;
        let mut separator = "";
        for number in (0..).take(CAPABILITIES.len()).filter(|number| self.0 >> number & 1 == 1) {
            write!(f, "{separator}1<<{}", Name(number))?;
            separator = "|";
        }
        // strace looks at the upper half by itself.
        let unknown = (self.0 & !named) >> 32;
        let comment = if (self.0 & named) >> 32 == 0 { " /* CAP_??? */" } else { "" };
        if unknown == 0 { Ok(()) } else { write!(f, "{separator}{unknown:#x}{comment}") }
    }
}

/// A capability's name in capitals, as strace writes it.
struct Name(u32);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match capability(self.0) {
            Some(known) => f.write_str(&known.name.to_uppercase()),
            None => write!(f, "{:#x} /* CAP_??? */", self.0),
        }
    }
}

/// The names in `set`, comma separated, for messages: all of them only where
/// they are few.
fn named(set: u64) -> String {
    let names: Vec<String> = (0..64).filter(|number| set >> number & 1 == 1).map(name_of).collect();
    match names.len() {
        0 => "none".to_owned(),
        1..=4 => names.join(", "),
        n => format!("{n} of them"),
    }
}

/// capset(2) of the caller: all three sets at once.
pub struct CapSet(pub CapSets);

impl fmt::Display for CapSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "capset({{version=_LINUX_CAPABILITY_VERSION_3, pid=0}}, {{effective={}, permitted={}, inheritable={}}}",
            Set(self.0.effective),
            Set(self.0.permitted),
            Set(self.0.inheritable)
        )
    }
}

impl Call for CapSet {
    type Out = ();
    const NAME: &'static str = "capset";
    fn why(&self) -> String {
        let Self(CapSets { effective, permitted, inheritable }) = self;
        format!(
            "root's power is cut into capabilities; in force from here on: {}; may be put in force: {}; \
             may be inherited by a program whose file says so: {}",
            named(*effective),
            named(*permitted),
            named(*inheritable)
        )
    }
    fn cannot(&self) -> String {
        "cannot set the capabilities".to_owned()
    }
    /// What of the wanted sets goes past capset(2)'s rules.
    fn hint(&self, errno: Errno) -> Option<String> {
        let now = get().ok().filter(|_| errno == Errno::EPERM)?;
        let wanted = self.0;
        let past = |set: u64, limit: u64| Some(set & !limit).filter(|rest| *rest != 0).map(named);
        if let Some(names) = past(wanted.permitted, now.permitted) {
            return Some(format!("not permitted to this process, and never to be regained: {names}"));
        }
        if let Some(names) = past(wanted.effective, wanted.permitted) {
            return Some(format!("only what is permitted can be in force; missing there: {names}"));
        }
        let names = past(wanted.inheritable, now.inheritable | now.permitted)?;
        let setpcap = if hint::capable(SETPCAP) { "" } else { ", or without cap_setpcap in force" };
        Some(format!("cannot be made inheritable without being in the bounding set{setpcap}: {names}"))
    }
    fn enter(&self) -> nix::Result<()> {
        let header = Header { version: VERSION_3, pid: 0 };
        let half = |of: fn(u64) -> u32| Data {
            effective: of(self.0.effective),
            permitted: of(self.0.permitted),
            inheritable: of(self.0.inheritable),
        };
        let data = [half(low), half(high)];
        #[allow(unsafe_code)]
        // SAFETY: version 3 reads exactly two `Data`, which `data` is.
        check(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) }).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As strace 6.1 wrote the same calls.
    #[test]
    fn notation() {
        let sets =
            |effective, permitted, inheritable| CapSet(CapSets { effective, permitted, inheritable }).to_string();
        let head = "capset({version=_LINUX_CAPABILITY_VERSION_3, pid=0}, ";
        assert_eq!(
            sets(1, 1 | 1 << 40 | 1 << 63, 0),
            format!(
                "{head}{{effective=1<<CAP_CHOWN, permitted=1<<CAP_CHOWN|1<<CAP_CHECKPOINT_RESTORE|0x80000000, inheritable=0}}"
            )
        );
        assert_eq!(sets(1 << 42, 0, 0), format!("{head}{{effective=0x400 /* CAP_??? */, permitted=0, inheritable=0}}"));
    }
}
