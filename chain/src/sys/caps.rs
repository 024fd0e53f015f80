//! Capabilities, securebits and no-new-privs (capabilities(7), prctl(2)).
//!
//! The `caps` crate sets one set at a time and knows 41 names; capset(2)
//! takes three sets of 64 bits at once, so the calls are our own.

use super::{Call, check};
use std::fmt;

/// The names of the capabilities, by number, as the kernel's
/// `include/uapi/linux/capability.h` lists them (Linux 5.9 and later).
pub const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

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
    let mut header = Header { version: VERSION_3, pid: 0 };
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

/// A set as strace writes it: `1<<CAP_CHOWN|1<<CAP_KILL`.
struct Set(u64);

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 {
            return f.write_str("0");
        }
        let mut separator = "";
        let mut rest = self.0;
        for (number, name) in NAMES.iter().enumerate() {
            if self.0 >> number & 1 == 1 {
                write!(f, "{separator}1<<{name}")?;
                separator = "|";
                rest &= !(1 << number);
            }
        }
        if rest == 0 { Ok(()) } else { write!(f, "{separator}{rest:#x}") }
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
        "what root may do is cut into capabilities; these are the ones in force from here on".to_owned()
    }
    fn cannot(&self) -> String {
        "cannot set the capabilities".to_owned()
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

/// A capability's name in capitals, or its number.
pub struct Name(pub u32);

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.get(self.0 as usize) {
            Some(name) => f.write_str(name),
            None => write!(f, "{:#x} /* CAP_??? */", self.0),
        }
    }
}

/// The second argument of prctl(PR_CAP_AMBIENT) that raises.
const PR_CAP_AMBIENT_RAISE: u64 = 2;

fn prctl(option: i32, a: u64, b: u64) -> nix::Result<()> {
    #[allow(unsafe_code)]
    // SAFETY: the options used here take integers only.
    check(unsafe { libc::syscall(libc::SYS_prctl, option, a, b, 0u64, 0u64) }).map(drop)
}

/// Whether capability `number` is in the bounding set; `None` where the
/// kernel does not know the number.
pub fn bounded(number: u32) -> Option<bool> {
    #[allow(unsafe_code)]
    // SAFETY: takes integers and only reads.
    let answer = unsafe { libc::syscall(libc::SYS_prctl, libc::PR_CAPBSET_READ, u64::from(number), 0, 0, 0) };
    match answer {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// How many capabilities the running kernel has, without `/proc`.
pub fn count() -> u32 {
    (0..64).find(|n| bounded(*n).is_none()).unwrap_or(64)
}

/// prctl(PR_CAPBSET_DROP): takes one capability out of the bounding set.
pub struct BoundingDrop(pub u32);

impl fmt::Display for BoundingDrop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "prctl(PR_CAPBSET_DROP, {}", Name(self.0))
    }
}

impl Call for BoundingDrop {
    type Out = ();
    const NAME: &'static str = "prctl";
    fn why(&self) -> String {
        format!("no program started from here on can gain {} again, not even a setuid root one", Name(self.0))
    }
    fn cannot(&self) -> String {
        format!("cannot drop {} from the bounding set", Name(self.0).to_string().to_lowercase())
    }
    fn enter(&self) -> nix::Result<()> {
        prctl(libc::PR_CAPBSET_DROP, self.0.into(), 0)
    }
}

/// prctl(PR_CAP_AMBIENT_RAISE): the capability survives exec of an ordinary
/// program.
pub struct AmbientRaise(pub u32);

impl fmt::Display for AmbientRaise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, {}, 0, 0", Name(self.0))
    }
}

impl Call for AmbientRaise {
    type Out = ();
    const NAME: &'static str = "prctl";
    fn why(&self) -> String {
        format!("{} is handed on to the next program, which has no file capabilities of its own", Name(self.0))
    }
    fn cannot(&self) -> String {
        format!("cannot raise {} in the ambient set", Name(self.0).to_string().to_lowercase())
    }
    fn enter(&self) -> nix::Result<()> {
        prctl(libc::PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, self.0.into())
    }
}
