//! What this process may give to files, decided once and never by trying
//! (user_namespaces(7), "User and group ID mappings").

use anyhow::{Context, bail};
use std::fmt;

/// Who unpacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Privilege {
    /// Root of the whole machine: everything as packed.
    Root,
    /// Root of a user namespace: ids inside its maps.
    Namespace(Map, Map),
    /// Anybody: everything is their own.
    User,
}

/// The ids that a user namespace has: ranges of first id and count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map(Vec<(u32, u32)>);

impl Map {
    /// Reads the text of `/proc/self/uid_map`.
    fn parse(text: &str) -> Option<Self> {
        let range = |line: &str| {
            let mut numbers = line.split_ascii_whitespace().map(str::parse::<u32>);
            let (first, _, count) = (numbers.next()?.ok()?, numbers.next()?.ok()?, numbers.next()?.ok()?);
            Some((first, count))
        };
        text.lines().map(range).collect::<Option<Vec<_>>>().map(Self)
    }

    fn has(&self, id: u32) -> bool {
        self.0.iter().any(|&(first, count)| id >= first && id - first < count)
    }

    /// Whether every id is in it.
    fn is_whole(&self) -> bool {
        self.0 == [(0, u32::MAX)]
    }
}

impl fmt::Display for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (i, (first, count)) in self.0.iter().enumerate() {
            let last = u64::from(*first) + u64::from(*count) - u64::from(*count > 0);
            write!(f, "{}{first}-{last}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl Privilege {
    /// This process's.
    ///
    /// # Errors
    /// `/proc` is not there.
    pub fn of_this_process() -> anyhow::Result<Self> {
        if !nix::unistd::geteuid().is_root() {
            return Ok(Self::User);
        }
        let map = |file: &str| {
            let text = std::fs::read_to_string(file).map_err(|error| anyhow::anyhow!("{}", crate::reason(&error)));
            Map::parse(&text.with_context(|| format!("cannot read {file}"))?)
                .with_context(|| format!("cannot understand {file}"))
        };
        let (uids, gids) = (map("/proc/self/uid_map")?, map("/proc/self/gid_map")?);
        if uids.is_whole() && gids.is_whole() { Ok(Self::Root) } else { Ok(Self::Namespace(uids, gids)) }
    }

    /// The owner that an entry of `uid` and `gid` gets; `None`: our own.
    ///
    /// # Errors
    /// An id that this user namespace does not have.
    pub fn owner(&self, uid: u32, gid: u32) -> anyhow::Result<Option<(u32, u32)>> {
        match self {
            Self::User => return Ok(None),
            Self::Namespace(uids, _) if !uids.has(uid) => {
                bail!("its owner, uid {uid}, is not in this user namespace, which has uids {uids}")
            }
            Self::Namespace(_, gids) if !gids.has(gid) => {
                bail!("its group, gid {gid}, is not in this user namespace, which has gids {gids}")
            }
            Self::Root | Self::Namespace(..) => {}
        }
        Ok(Some((uid, gid)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps() {
        let map = Map::parse("         0       1000          1\n         1     100000      65536\n").expect("a map");
        assert!(map.has(0) && map.has(65536) && !map.has(65537));
        assert_eq!(map.to_string(), "0-0, 1-65536");
        assert!(Map::parse("0 0 4294967295\n").expect("a map").is_whole());
        let inside = Privilege::Namespace(map.clone(), map);
        assert_eq!(inside.owner(5, 7).ok(), Some(Some((5, 7))));
        assert!(inside.owner(70000, 0).is_err_and(|error| error.to_string().contains("70000")));
        assert_eq!(Privilege::User.owner(1, 1).ok(), Some(None));
    }
}
