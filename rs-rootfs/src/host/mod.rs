//! `host:`: a root file system out of this host's own programs, their
//! libraries and what those need. No network, no privilege, no program run.

mod busybox;
mod elf;
mod library;
mod plan;

use crate::apply::{Contents, Privilege, Unpacker};
use crate::layout::open_regular;
use crate::tar::{Entry, Kind};
use anyhow::{Context, bail, ensure};
use plan::{Item, Plan};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What a root gets when nobody says what.
const PROGRAMS: &[&str] = &[
    "sh", "bash", "ls", "cat", "mkdir", "mount", "umount", "hostname", "id", "ps", "uname", "echo", "sleep", "tty",
    "env", "true", "false",
];

/// Where programs are looked for after `$PATH`.
const FOLDERS: &[&str] = &["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// Copies what `list` names, or the default programs, by `unpacker`.
///
/// # Errors
/// A program that was named is not there, or cannot be copied.
pub fn unpack(list: &OsStr, unpacker: &mut Unpacker, privilege: &Privilege) -> anyhow::Result<()> {
    let mut plan = Plan::new();
    plan.base()?;
    if list.is_empty() {
        for program in PROGRAMS.iter().filter_map(|name| find(OsStr::new(name))) {
            plan.program(&program)?;
        }
    }
    for word in list.as_bytes().split(|b| *b == b',').map(OsStr::from_bytes).filter(|_| !list.is_empty()) {
        let program = if word.as_bytes().contains(&b'/') { Some(absolute(word)?) } else { find(word) };
        let program = program.filter(|path| path.exists());
        let program = program.with_context(|| format!("program '{}' is not on this host", shown(word)))?;
        ensure!(!program.is_dir(), "'{}' is a folder, no program", shown(word));
        plan.program(&program)?;
    }
    plan.extras()?;
    let own = match privilege {
        Privilege::User => (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw()),
        _ => (0, 0),
    };
    for (path, item) in plan.into_items() {
        crate::interrupted()?;
        make(&path, &item, own, unpacker).with_context(|| format!("entry {}", shown(path.as_os_str())))?;
    }
    Ok(())
}

fn shown(name: &OsStr) -> String {
    crate::apply::shown(name.as_bytes())
}

fn absolute(word: &OsStr) -> anyhow::Result<PathBuf> {
    std::path::absolute(word).map_err(|error| anyhow::anyhow!("{}: {}", shown(word), crate::reason(&error)))
}

/// `name` in `$PATH`, then where programs usually are.
fn find(name: &OsStr) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(FOLDERS.iter().map(PathBuf::from));
    let is_program = |file: &PathBuf| {
        file.is_absolute() && fs::metadata(file).is_ok_and(|about| about.is_file() && about.mode() & 0o111 != 0)
    };
    folders.map(|folder| folder.join(name)).find(is_program)
}

/// Makes one thing of the plan.
fn make(path: &Path, item: &Item, own: (u32, u32), unpacker: &mut Unpacker) -> anyhow::Result<()> {
    let now = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        (i64::try_from(since.as_secs()).unwrap_or_default(), since.subsec_nanos())
    };
    let mut entry = Entry {
        path: path.as_os_str().as_bytes().to_vec(),
        uid: own.0,
        gid: own.1,
        mtime: now(),
        mode: 0o755,
        ..Entry::default()
    };
    match item {
        Item::Folder(mode) => {
            (entry.kind, entry.mode) = (Kind::Folder, *mode);
            unpacker.make(&entry, Contents::Bytes(b""))
        }
        Item::Link(text) => {
            (entry.kind, entry.link) = (Kind::Link, text.as_bytes().to_vec());
            unpacker.make(&entry, Contents::Bytes(b""))
        }
        Item::Text(text) => {
            entry.mode = 0o644;
            unpacker.make(&entry, Contents::Bytes(text.as_bytes()))
        }
        Item::Copy => {
            let file = open_regular(path)?;
            let about = file.metadata().map_err(|error| anyhow::anyhow!("{}", crate::reason(&error)))?;
            entry.mode = about.mode() & 0o777;
            entry.mtime = (about.mtime(), u32::try_from(about.mtime_nsec()).unwrap_or_default());
            entry.size = about.len();
            unpacker.make(&entry, Contents::Copy(&file, path))
        }
    }
}

/// The program that the first line of a script names, and what env is to
/// find.
fn interpreters(line: &[u8]) -> anyhow::Result<Vec<PathBuf>> {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).map(OsStr::from_bytes);
    let Some(program) = words.next().map(PathBuf::from) else { return Ok(Vec::new()) };
    if !program.is_absolute() {
        bail!("its first line names no whole path: {}", shown(program.as_os_str()));
    }
    let mut found = vec![program];
    if found[0].file_name() == Some(OsStr::new("env")) {
        let wanted: Option<OsString> =
            words.find(|word| !word.as_bytes().starts_with(b"-") && !word.as_bytes().contains(&b'=')).map(Into::into);
        if let Some(name) = wanted {
            found.push(find(&name).with_context(|| format!("its program '{}' is not on this host", shown(&name)))?);
        }
    }
    Ok(found)
}
