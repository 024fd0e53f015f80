//! The mounts of this process's mount namespace, from
//! `/proc/self/mountinfo` (proc_pid_mountinfo(5)).

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

/// One mount: a line of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountEntry {
    /// Its id, as statx(2) gives it.
    pub id: u64,
    /// The id of the mount that it is on.
    pub parent: u64,
    /// The part of its file system that it shows.
    pub root: PathBuf,
    /// Where it is, from this process's root.
    pub point: PathBuf,
    /// The mount's own options, joined by commas.
    pub options: OsString,
    /// The peer group that its mounts propagate to, if it is shared.
    pub shared: Option<u64>,
    /// The type of the file system.
    pub fstype: OsString,
    /// What it is mounted from.
    pub source: OsString,
    /// The file system's options, joined by commas.
    pub super_options: OsString,
}

/// All mounts that this process can reach, in the kernel's order.
///
/// # Errors
/// `/proc` is not mounted, or not readable.
pub fn read() -> std::io::Result<Vec<MountEntry>> {
    let text = std::fs::read("/proc/self/mountinfo")?;
    Ok(text.split(|b| *b == b'\n').filter_map(parse).collect())
}

/// One line; `None` for what is none.
pub fn parse(line: &[u8]) -> Option<MountEntry> {
    let mut fields = line.split(|b| *b == b' ');
    let mut next = || fields.next();
    let (id, parent) = (number(next()?)?, number(next()?)?);
    let _device = next()?;
    let (root, point) = (unescaped(next()?), unescaped(next()?));
    let options = unescaped(next()?);
    let mut shared = None;
    loop {
        let field = next()?;
        if field == b"-" {
            break;
        }
        if let Some(group) = field.strip_prefix(b"shared:") {
            shared = number(group);
        }
    }
    let (fstype, source) = (unescaped(next()?), unescaped(next()?));
    let super_options = next().map(unescaped).unwrap_or_default();
    Some(MountEntry {
        id,
        parent,
        root: root.into(),
        point: point.into(),
        options,
        shared,
        fstype,
        source,
        super_options,
    })
}

fn number(field: &[u8]) -> Option<u64> {
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// `\040` and its like as the bytes they stand for.
fn unescaped(field: &[u8]) -> OsString {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [first, tail @ ..] = rest {
        if let (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..]) = (first, tail) {
            out.push((a - b'0') * 64 + (b - b'0') * 8 + (c - b'0'));
            rest = after;
        } else {
            out.push(*first);
            rest = tail;
        }
    }
    OsString::from_vec(out)
}

impl MountEntry {
    /// Whether `word` is among the mount's own options.
    pub fn has(&self, word: &str) -> bool {
        self.options.as_bytes().split(|b| *b == b',').any(|option| option == word.as_bytes())
    }

    /// The words of the file system's options.
    pub fn super_words(&self) -> impl Iterator<Item = &OsStr> {
        self.super_options.as_bytes().split(|b| *b == b',').map(OsStr::from_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line() {
        let line = b"36 35 98:0 /mnt1 /m\\040n\\134t rw,noatime master:1 shared:7 - ext3 /dev/root rw,errors=continue";
        let entry = parse(line).expect("a mount");
        assert_eq!((entry.id, entry.parent, entry.shared), (36, 35, Some(7)));
        assert_eq!(entry.point, PathBuf::from("/m n\\t"));
        assert!(entry.has("noatime") && !entry.has("no"));
        assert_eq!(entry.super_words().collect::<Vec<_>>(), ["rw", "errors=continue"]);
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b"36 35 98:0 / /mnt rw - "), None);
    }
}
