//! What is to be done, with all values looked up: whatever can fail before
//! anything is made has failed by then.

use crate::error::Error;
use crate::idmap::{Of, Outside, Single, lines};
use crate::options::{Inside, Mapping, Options};
use crate::subid::resolve;
use crate::value::{Range, SetGroups};
use chain::sys::namespace::Namespaces;
use nix::unistd::{getegid, geteuid};

/// When the word for `/proc/self/setgroups` is written. The kernel takes
/// `deny` only before there is a group map.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SetGroupsAt {
    /// Never.
    Never,
    /// `deny`, right before this process's own group map; a kernel without
    /// the file needs it not.
    OwnMap,
    /// `deny`, by the helper, before it writes the group map.
    Outside,
    /// This word, after the maps.
    After(SetGroups),
}

/// What is to be done.
#[derive(Debug)]
pub struct Plan<'a> {
    /// As asked for.
    pub options: &'a Options,
    /// The caller is root to its own user namespace.
    pub privileged: bool,
    /// The maps that the helper writes.
    pub outside: Outside,
    /// The user map that the program's own process writes; may be empty.
    pub users: Vec<Range>,
    /// The group map that the program's own process writes; may be empty.
    pub groups: Vec<Range>,
    /// When setgroups is decided.
    pub setgroups: SetGroupsAt,
}

impl<'a> Plan<'a> {
    /// Checks what only shows in the whole line, and looks ids up.
    ///
    /// # Errors
    /// Options that exclude or need each other, subordinate ids that are not
    /// there.
    pub fn new(options: &'a Options) -> Result<Self, Error> {
        let clocks = options.monotonic.is_some() || options.boottime.is_some();
        if clocks && !options.kinds.has(Namespaces::TIME) {
            return Err(Error::NoTimeNamespace);
        }
        // Without a namespace of its own it would be the real host's name.
        if options.hostname.is_some() && !options.kinds.has(Namespaces::UTS) {
            return Err(Error::NoUtsNamespace);
        }
        let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
        let map = |of, mapping: &Mapping, own| -> Result<_, Error> {
            let ranges = resolve(of, &mapping.ranges, uid)?;
            let lines = lines(single(mapping, own), &ranges);
            // A user who has left its ids behind can map nobody any more.
            let outside = !mapping.ranges.is_empty() || options.owner.is_some();
            Ok(if outside { (lines, Vec::new()) } else { (Vec::new(), lines) })
        };
        let (users_outside, users) = map(Of::Users, &options.users, uid)?;
        let (groups_outside, groups) = map(Of::Groups, &options.groups, gid)?;
        let setgroups = setgroups_at(options.setgroups, !groups.is_empty(), !groups_outside.is_empty())?;
        let deny = setgroups == SetGroupsAt::Outside;
        let outside = Outside { users: users_outside, deny, groups: groups_outside };
        Ok(Self { options, privileged: uid == 0, outside, users, groups, setgroups })
    }
}

/// The caller's own id and what it becomes.
fn single(mapping: &Mapping, own: u32) -> Option<Single> {
    mapping.own.map(|inside| match inside {
        Inside::Same => Single { inner: own, outer: own },
        Inside::Id(inner) => Single { inner, outer: own },
    })
}

fn setgroups_at(word: Option<SetGroups>, own_map: bool, helper_map: bool) -> Result<SetGroupsAt, Error> {
    match word {
        Some(SetGroups::Allow) if own_map => Err(Error::SetGroupsAllowed),
        _ if own_map => Ok(SetGroupsAt::OwnMap),
        Some(SetGroups::Deny) if helper_map => Ok(SetGroupsAt::Outside),
        Some(word) => Ok(SetGroupsAt::After(word)),
        None => Ok(SetGroupsAt::Never),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deny_is_written_once_and_before_the_map() {
        let at = |word, own, helper_map| setgroups_at(word, own, helper_map).ok();
        let (allow, deny) = (Some(SetGroups::Allow), Some(SetGroups::Deny));
        assert_eq!(at(None, false, false), Some(SetGroupsAt::Never));
        assert_eq!(at(None, true, false), Some(SetGroupsAt::OwnMap));
        assert_eq!(at(deny, true, false), Some(SetGroupsAt::OwnMap));
        assert_eq!(at(allow, true, false), None);
        assert_eq!(at(deny, false, true), Some(SetGroupsAt::Outside));
        assert_eq!(at(allow, false, true), Some(SetGroupsAt::After(SetGroups::Allow)));
        assert_eq!(at(deny, false, false), Some(SetGroupsAt::After(SetGroups::Deny)));
    }
}
