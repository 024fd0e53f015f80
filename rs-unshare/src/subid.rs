//! Subordinate ids: `/etc/subuid` and `/etc/subgid` (subuid(5)), and the ids
//! that the caller's own user namespace has.

use crate::error::Error;
use crate::idmap::{Of, Wanted};
use crate::value::{Range, RangeSpec, unsigned};
use chain::user::{User, user_by_id};
use nix::errno::Errno;
use std::path::{Path, PathBuf};

/// The ranges that `specs` stand for; `uid` is the caller's effective user.
///
/// # Errors
/// No entry for the user, no file, no line, a line that cannot be read.
pub fn resolve(of: Of, specs: &[RangeSpec], uid: u32) -> Result<Vec<Wanted>, Error> {
    let mut wanted = Vec::new();
    for spec in specs {
        match spec {
            RangeSpec::Ids(range) => wanted.push(Wanted { range: *range, keeps_count: false }),
            RangeSpec::Auto => {
                let (outer, count) = subordinate(of, uid)?;
                wanted.push(Wanted { range: Range { inner: 0, outer, count }, keeps_count: true });
            }
            RangeSpec::SubIds => {
                let (outer, count) = subordinate(of, uid)?;
                wanted.push(Wanted { range: Range { inner: outer, outer, count }, keeps_count: false });
            }
            RangeSpec::All => {
                let path = Path::new("/proc/self").join(of.file());
                wanted.extend(own_map(&read(&path)?).map(|range| Wanted { range, keeps_count: false }));
            }
        }
    }
    Ok(wanted)
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read(path).map(|text| String::from_utf8_lossy(&text).into_owned()).map_err(|error| Error::Unreadable {
        path: path.to_owned(),
        errno: Errno::from_raw(error.raw_os_error().unwrap_or_default()),
    })
}

/// Every line of the caller's own map, to itself.
fn own_map(text: &str) -> impl Iterator<Item = Range> {
    text.lines().filter_map(|line| {
        let mut numbers = line.split_ascii_whitespace().map(str::parse::<u32>);
        let (first, count) = (numbers.next()?.ok()?, numbers.nth(1)?.ok()?);
        Some(Range { inner: first, outer: first, count })
    })
}

/// The first id and the number of ids that `uid` is granted.
fn subordinate(of: Of, uid: u32) -> Result<(u32, u32), Error> {
    let path = PathBuf::from(match of {
        Of::Users => "/etc/subuid",
        Of::Groups => "/etc/subgid",
    });
    let user = user_by_id(uid).ok_or(Error::NoUser { uid })?;
    let text = read(&path)?;
    match find(&text, &user) {
        Some((_, Some(ids))) => Ok(ids),
        Some((line, None)) => Err(Error::BadSubIds { user: user.name, path, line: line.to_owned() }),
        None => Err(Error::NoSubIds { user: user.name, path }),
    }
}

/// The first line of `user`, by name or by number, and its ids, if they can
/// be read. A name is never read as a number: the original takes any for 0.
fn find<'a>(text: &'a str, user: &User) -> Option<(&'a str, Option<(u32, u32)>)> {
    // A carriage return is part of its line, and of no number.
    text.split('\n').find_map(|line| {
        let mut parts = line.splitn(3, ':');
        let (who, first, count) = (parts.next()?, parts.next()?, parts.next()?);
        let theirs = who == user.name || unsigned(who) == Some(user.uid);
        theirs.then(|| (line, unsigned(first).zip(unsigned(count)).filter(|ids| fits(*ids))))
    })
}

/// At least one id, and none beyond the largest.
fn fits((first, count): (u32, u32)) -> bool {
    count > 0 && first.checked_add(count - 1).is_some_and(|last| last < u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str, uid: u32) -> User {
        User { name: name.into(), uid, gid: uid, home: "/".into(), shell: String::new() }
    }

    #[allow(clippy::option_option, reason = "no line, a bad line, a good line")]
    fn ids(text: &str, user: &User) -> Option<Option<(u32, u32)>> {
        find(text, user).map(|(_, ids)| ids)
    }

    #[test]
    fn the_first_line_of_the_user_counts() {
        let me = user("me", 1000);
        assert_eq!(ids("you:1:2\nme:100000:65536\nme:5:5\n", &me), Some(Some((100_000, 65536))));
        assert_eq!(ids("1000:7:8\nme:1:1\n", &me), Some(Some((7, 8))));
        assert_eq!(ids("me\nme:5\nme:5:6\n", &me), Some(Some((5, 6))));
        assert_eq!(ids("me: +5:\t06\n", &me), Some(Some((5, 6))));
        assert_eq!(ids("meme:5:6\n", &me), None);
        assert_eq!(ids("", &me), None);
    }

    #[test]
    fn bad_numbers_are_the_users_line_all_the_same() {
        let me = user("me", 1000);
        for line in [
            "me:a:5",
            "me:5:b",
            "me:-1:5",
            "me:5:",
            "me:5:6:7",
            "me:5:6\r\n",
            "me:5 :6",
            "me:5:0",
            "me:4294967290:10",
            "me::1",
        ] {
            assert_eq!(ids(line, &me), Some(None), "{line}");
        }
    }

    #[test]
    fn a_name_is_not_roots() {
        assert_eq!(ids("somebody:1:2\n", &user("root", 0)), None);
        assert_eq!(ids("somebody:1:2\n0:3:4\n", &user("root", 0)), Some(Some((3, 4))));
    }

    #[test]
    fn own_ids_map_to_themselves() {
        let map: Vec<Range> = own_map("         0       1000          1\n         1     100000      65536\n").collect();
        let line = |first, count| Range { inner: first, outer: first, count };
        assert_eq!(map, [line(0, 1), line(1, 65536)]);
    }
}
