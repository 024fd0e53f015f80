//! A tree as the kernel shows it, and what two of them differ in.

use rs_rootfs::digest::Digest;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// One name of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: &'static str,
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    /// Bytes of a file, the device of a node.
    pub(crate) size: u64,
    /// A file's digest, a link's text.
    pub(crate) contents: String,
    pub(crate) mtime: (i64, i64),
    pub(crate) attributes: Vec<(String, Vec<u8>)>,
    /// The first name of the file that this is another name of.
    pub(crate) same_as: Option<String>,
}

/// By their names below the root, which is `.`, escaped.
pub(crate) type Tree = BTreeMap<String, Entry>;

/// Reads the tree below `root`; no link is followed.
pub(crate) fn read(root: &Path) -> Tree {
    let mut names = vec![PathBuf::new()];
    let mut waiting = vec![PathBuf::new()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(root.join(&folder)).expect("a folder") {
            let entry = entry.expect("an entry");
            let name = folder.join(entry.file_name());
            if entry.file_type().expect("a type").is_dir() {
                waiting.push(name.clone());
            }
            names.push(name);
        }
    }
    names.sort();
    let mut first = HashMap::new();
    names.iter().map(|name| (shown(name), entry(root, name, &mut first))).collect()
}

fn shown(name: &Path) -> String {
    let text = name.as_os_str().as_bytes().escape_ascii().to_string();
    if text.is_empty() { ".".to_owned() } else { text }
}

fn entry(root: &Path, name: &Path, first: &mut HashMap<(u64, u64), String>) -> Entry {
    let path = root.join(name);
    let about = fs::symlink_metadata(&path).expect("it was listed");
    let kind = about.file_type();
    let (kind, size, contents) = if kind.is_file() {
        ("file", about.size(), Digest::of(&fs::read(&path).expect("a file")).to_string())
    } else if kind.is_dir() {
        ("folder", 0, String::new())
    } else if kind.is_symlink() {
        ("link", 0, shown(&fs::read_link(&path).expect("a link")))
    } else if kind.is_fifo() {
        ("pipe", 0, String::new())
    } else if kind.is_char_device() {
        ("char", about.rdev(), String::new())
    } else {
        assert!(kind.is_block_device(), "{}: a socket", path.display());
        ("block", about.rdev(), String::new())
    };
    let same_as = (kind != "folder" && about.nlink() > 1)
        .then(|| first.entry((about.dev(), about.ino())).or_insert_with(|| shown(name)).clone());
    Entry {
        kind,
        mode: about.mode() & 0o7777,
        owner: (about.uid(), about.gid()),
        size,
        contents,
        mtime: (about.mtime(), about.mtime_nsec()),
        attributes: attributes(&path),
        same_as,
    }
}

fn attributes(path: &Path) -> Vec<(String, Vec<u8>)> {
    let mut list = vec![0; 1 << 16];
    let length = rustix::fs::llistxattr(path, &mut list).unwrap_or(0);
    let names = list[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let read = |name: &[u8]| {
        let mut value = vec![0; 1 << 16];
        let length = rustix::fs::lgetxattr(path, name, &mut value).expect("it was listed");
        value.truncate(length);
        (name.escape_ascii().to_string(), value)
    };
    let mut found: Vec<_> = names.map(read).collect();
    found.sort();
    found
}

/// A line for each name that is not the same in both.
pub(crate) fn differences(ours: &Tree, theirs: &Tree) -> Vec<String> {
    let mut names: Vec<&String> = ours.keys().chain(theirs.keys()).collect();
    names.sort();
    names.dedup();
    let differ = names.into_iter().filter(|name| ours.get(*name) != theirs.get(*name));
    differ.map(|name| format!("{name}\n  ours   {:?}\n  theirs {:?}", ours.get(name), theirs.get(name))).collect()
}
