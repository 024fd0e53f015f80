//! Names and ids of users and groups.
//!
//! Read from `/etc/passwd` and `/etc/group` by ourselves: a static program
//! has no name service switch, and inside a new root loading one would run
//! the image's libraries.

use nix::errno::Errno;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;

/// A database larger than this is somebody's trap, not a database.
const MAX: u64 = 16 << 20;

/// A line of `/etc/passwd` (passwd(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Login name.
    pub name: String,
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Home folder.
    pub home: String,
    /// Login shell; may be empty.
    pub shell: String,
}

/// A line of `/etc/group` (group(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// Name.
    pub name: String,
    /// Group id.
    pub gid: u32,
    /// The names of the users who have it as a supplementary group.
    pub members: Vec<String>,
}

fn parse_user(line: &str) -> Option<User> {
    let mut part = line.split(':');
    let (name, _, uid, gid, _) = (part.next()?, part.next()?, part.next()?, part.next()?, part.next()?);
    Some(User {
        name: name.to_owned(),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        home: part.next()?.to_owned(),
        shell: part.next().unwrap_or_default().to_owned(),
    })
}

fn parse_group(line: &str) -> Option<Group> {
    let mut part = line.split(':');
    let (name, _, gid) = (part.next()?, part.next()?, part.next()?);
    let members = part.next().unwrap_or_default();
    Some(Group {
        name: name.to_owned(),
        gid: gid.parse().ok()?,
        members: members.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
    })
}

/// The text of a database. What is missing or no regular file has no entries.
fn database(path: &str) -> Result<String, Errno> {
    let errno = |error: std::io::Error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw);
    let mut text = Vec::new();
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    #[allow(clippy::disallowed_methods, reason = "opened to read")]
    let file = match options.open(path).map_err(errno) {
        Err(Errno::ENOENT | Errno::ENOTDIR) => return Ok(String::new()),
        file => file?,
    };
    if file.metadata().is_ok_and(|about| about.is_file()) {
        file.take(MAX + 1).read_to_end(&mut text).map_err(errno)?;
    }
    if text.len() as u64 > MAX { Err(Errno::EFBIG) } else { Ok(String::from_utf8_lossy(&text).into_owned()) }
}

/// The first user for whom `wanted` holds.
fn find_user(wanted: impl Fn(&User) -> bool) -> Option<User> {
    database("/etc/passwd").ok()?.lines().filter_map(parse_user).find(wanted)
}

fn find_group(wanted: impl Fn(&Group) -> bool) -> Option<Group> {
    database("/etc/group").ok()?.lines().filter_map(parse_group).find(wanted)
}

/// The user called `name`.
pub fn user_by_name(name: &str) -> Option<User> {
    find_user(|user| user.name == name)
}

/// The user with id `uid`.
pub fn user_by_id(uid: u32) -> Option<User> {
    find_user(|user| user.uid == uid)
}

/// The group called `name`.
pub fn group_by_name(name: &str) -> Option<Group> {
    find_group(|group| group.name == name)
}

/// The group with id `gid`.
pub fn group_by_id(gid: u32) -> Option<Group> {
    find_group(|group| group.gid == gid)
}

/// The groups of user `name`: `primary` first, then those that list it, in
/// the order of the file, each as often as it stands there (getgrouplist(3)).
///
/// # Errors
/// `/etc/group` is there and cannot be read, or not whole: `EFBIG`.
pub fn groups_of(name: &str, primary: u32) -> Result<Vec<u32>, Errno> {
    let mut groups = vec![primary];
    for group in database("/etc/group")?.lines().filter_map(parse_group) {
        if group.gid != primary && group.members.iter().any(|member| member == name) {
            groups.push(group.gid);
        }
    }
    Ok(groups)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines() {
        let user = parse_user("root:x:0:0:root:/root:/bin/sh").expect("a user");
        assert_eq!((user.uid, user.home.as_str(), user.shell.as_str()), (0, "/root", "/bin/sh"));
        assert_eq!(parse_user("root:x:zero:0:root:/root:/bin/sh"), None);
        let group = parse_group("adm:x:4:syslog,,me").expect("a group");
        assert_eq!(group.members, ["syslog", "me"]);
        assert_eq!(parse_group("short"), None);
    }
}
