//! Who the process is: users and groups (credentials(7)).
//!
//! The raw calls change this thread alone; a link of the chain has one.

use super::{Call, check};
use crate::notation::Id;
use std::fmt;
use std::ptr;

/// setuid(2).
pub struct SetUid(pub u32);

impl fmt::Display for SetUid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "setuid({}", Id(self.0))
    }
}

impl Call for SetUid {
    type Out = ();
    const NAME: &'static str = "setuid";
    fn why(&self) -> String {
        format!("become user {}, who owns what the program makes; leaving user 0 gives up capabilities", self.0)
    }
    fn cannot(&self) -> String {
        format!("cannot set the user id to {}: setuid failed", self.0)
    }
    fn enter(&self) -> nix::Result<()> {
        #[allow(unsafe_code)]
        // SAFETY: takes one integer.
        check(unsafe { libc::syscall(libc::SYS_setuid, self.0) }).map(drop)
    }
}

/// setgid(2).
pub struct SetGid(pub u32);

impl fmt::Display for SetGid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "setgid({}", Id(self.0))
    }
}

impl Call for SetGid {
    type Out = ();
    const NAME: &'static str = "setgid";
    fn why(&self) -> String {
        format!("become group {}; supplementary groups are another call", self.0)
    }
    fn cannot(&self) -> String {
        format!("cannot set the group id to {}: setgid failed", self.0)
    }
    fn enter(&self) -> nix::Result<()> {
        #[allow(unsafe_code)]
        // SAFETY: takes one integer.
        check(unsafe { libc::syscall(libc::SYS_setgid, self.0) }).map(drop)
    }
}

/// The supplementary groups, in the kernel's order. The call itself: glibc
/// would read `/proc` for the largest number of them.
///
/// # Errors
/// What a filter of system calls may answer.
pub fn groups() -> nix::Result<Vec<u32>> {
    #[allow(unsafe_code)]
    // SAFETY: with room for none the kernel only counts.
    let count = check(unsafe { libc::syscall(libc::SYS_getgroups, 0, ptr::null_mut::<u32>()) })?;
    let mut groups = vec![0u32; usize::try_from(count).unwrap_or(0)];
    #[allow(unsafe_code)]
    // SAFETY: the length and the pointer are of one vector.
    check(unsafe { libc::syscall(libc::SYS_getgroups, groups.len(), groups.as_mut_ptr()) })?;
    Ok(groups)
}

/// setgroups(2): the supplementary groups.
pub struct SetGroups<'a>(pub &'a [u32]);

impl fmt::Display for SetGroups<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let groups: Vec<String> = self.0.iter().map(|id| Id(*id).to_string()).collect();
        write!(f, "setgroups({}, [{}]", groups.len(), groups.join(", "))
    }
}

impl Call for SetGroups<'_> {
    type Out = ();
    const NAME: &'static str = "setgroups";
    fn why(&self) -> String {
        "a supplementary group left over would still open its files".to_owned()
    }
    fn cannot(&self) -> String {
        "setgroups failed".to_owned()
    }
    fn enter(&self) -> nix::Result<()> {
        #[allow(unsafe_code)]
        // SAFETY: the pointer and the length are of one slice.
        check(unsafe { libc::syscall(libc::SYS_setgroups, self.0.len(), self.0.as_ptr()) }).map(drop)
    }
}
