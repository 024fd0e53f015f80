//! The local store: what was pulled, under names that are its digests.
//!
//! | Path | Holds |
//! |---|---|
//! | `version` | `1`; a store of another version is refused |
//! | `lock` | flock: shared for users, exclusive for `gc` |
//! | `blobs/sha256/HEX` | layers as they came, configurations, manifests; 0400 |
//! | `blobs/sha256/HEX.part` | a download under way, locked by who writes it |
//! | `layers/sha256/HEX` | layers uncompressed, under their diff ids |
//! | `refs/HOST/NAME/:TAG` | the digest that a tag led to (`@DIGEST` where there was no tag) |
//! | `containers/ID.json` | what `create` made |
//!
//! Rules, so that the store survives `kill -9` and a power cut at any moment:
//! a file gets its bytes under a temporary name, is synced, renamed, and then
//! its folder is synced; nothing names a file before that file is in place
//! (layers, configuration, manifest, reference, in this order); a file with a
//! final name never changes; what is removed is unnamed first. What such an
//! end leaves behind is a temporary file or an unnamed blob: `gc` takes both.

mod blobs;
mod containers;
mod damage;
mod gc;
mod images;
mod part;
mod refs;
mod unnamed;

pub use blobs::matches;
pub use containers::{Container, NoContainer};
pub use gc::Freed;
pub use images::{Missing, Stored};
pub use part::Part;
pub use refs::Tagged;
pub use unnamed::Unnamed;

use blobs::{blob_name, folder};
use damage::Damage;

use crate::document;
use anyhow::{Context, bail};
use chain::SysError;
use chain::sys::durable::{Flock, Fsync, Rename};
use chain::sys::file::{At, FchmodAt, Fd, MkdirAt, OpenAt, UnlinkAt};
use chain::sys::{make, quietly};
use nix::errno::Errno;
use std::ffi::OsStr;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

const VERSION: &str = "1\n";
const FOLDERS: [&str; 8] =
    ["blobs", "blobs/sha256", "blobs/sha512", "layers", "layers/sha256", "layers/sha512", "refs", "containers"];
/// What temporary files begin with.
const TEMPORARY: &str = ".tmp-";
const KEEP: &str = "What was fetched once is not fetched again: keep it below a folder that is ours alone";

/// An open store. As long as it is, `gc` waits.
pub struct Store {
    path: PathBuf,
    dir: OwnedFd,
    lock: OwnedFd,
    damage: Damage,
}

/// Where the store is: `$RS_ROOTFS_STORE`, `/var/lib/rs-rootfs` for root,
/// else below `$XDG_DATA_HOME`.
///
/// # Errors
/// There is no home folder.
pub fn place() -> anyhow::Result<PathBuf> {
    let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(path) = var("RS_ROOTFS_STORE") {
        return Ok(std::path::absolute(path)?);
    }
    let user = nix::unistd::geteuid();
    if user.is_root() {
        return Ok("/var/lib/rs-rootfs".into());
    }
    let home = || var("HOME").or_else(|| Some(chain::user::user_by_id(user.as_raw())?.home.into()));
    let data = var("XDG_DATA_HOME").or_else(|| Some(home()?.join(".local/share")));
    Ok(data.context("cannot find the store: neither RS_ROOTFS_STORE nor HOME is set")?.join("rs-rootfs"))
}

impl Store {
    /// Opens the store, and makes it if it is not there.
    ///
    /// # Errors
    /// The kernel's reasons; a folder that is something else.
    pub fn open() -> anyhow::Result<Self> {
        Self::open_at(&place()?, libc::LOCK_SH)
    }

    /// Opens the store alone: waits until nobody uses it.
    ///
    /// # Errors
    /// See [`open`](Self::open).
    pub fn open_alone() -> anyhow::Result<Self> {
        Self::open_at(&place()?, libc::LOCK_EX)
    }

    fn open_at(path: &Path, operation: i32) -> anyhow::Result<Self> {
        make_folders(path)?;
        let flags = libc::O_RDONLY | libc::O_DIRECTORY;
        let open = |dir, name, flags| make(&OpenAt { dir, path: name, flags, mode: 0o600, why: KEEP });
        let dir = open(At::Cwd, path.as_os_str(), flags)?;
        let at = At::In(Fd { fd: dir.as_fd(), path });
        let about = fs::metadata(path).with_context(|| path.display().to_string())?;
        let new = refuse_others(path)?;
        if new && about.permissions().mode() & 0o077 != 0 {
            make(&FchmodAt { dir: At::Cwd, path: path.as_os_str(), mode: 0o700, why: "Others have no business here" })?;
        }
        let lock = open(at, OsStr::new("lock"), libc::O_RDWR | libc::O_CREAT | libc::O_NOFOLLOW)?;
        let store = Self { path: path.to_owned(), dir, lock, damage: Damage::default() };
        if new {
            store.flock(libc::LOCK_EX)?;
            store.set_up()?;
        }
        store.flock(operation)?;
        Ok(store)
    }

    fn flock(&self, operation: i32) -> Result<(), SysError> {
        let path = self.path.join("lock");
        make(&Flock { fd: Fd { fd: self.lock.as_fd(), path: &path }, operation })
    }

    /// Makes what is missing of a new store; its version comes last.
    fn set_up(&self) -> anyhow::Result<()> {
        for folder in FOLDERS {
            self.make_folder(folder)?;
        }
        if !self.path.join("version").exists() {
            self.put("", "version", VERSION.as_bytes(), 0o400)?;
        }
        Ok(())
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn at(&self) -> At<'_> {
        At::In(Fd { fd: self.dir.as_fd(), path: &self.path })
    }

    fn make_folder(&self, name: &str) -> Result<(), SysError> {
        let call = MkdirAt { dir: self.at(), path: OsStr::new(name), mode: 0o700, why: KEEP };
        match quietly(&call) {
            Ok(()) | Err(Errno::EEXIST) => Ok(()),
            Err(errno) => Err(refused(&call, errno)),
        }
    }

    /// Opens `name` below the store so that it is made or written.
    fn open_file(&self, name: &str, flags: i32, mode: u32) -> Result<OwnedFd, SysError> {
        make(&OpenAt { dir: self.at(), path: OsStr::new(name), flags: flags | libc::O_NOFOLLOW, mode, why: KEEP })
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), SysError> {
        make(&Rename { dir: self.at(), from: OsStr::new(from), to: OsStr::new(to), flags: 0 })
    }

    fn sync(&self, fd: &impl AsFd, name: &str) -> Result<(), SysError> {
        let path = self.path.join(name);
        make(&Fsync { fd: Fd { fd: fd.as_fd(), path: &path } })
    }

    /// Keeps other processes from changing the names in `folder` as long as
    /// the answer lives.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn lock_folder(&self, folder: &str) -> Result<OwnedFd, SysError> {
        let fd = self.open_file(folder, libc::O_RDONLY | libc::O_DIRECTORY, 0)?;
        let path = self.path.join(folder);
        make(&Flock { fd: Fd { fd: fd.as_fd(), path: &path }, operation: libc::LOCK_EX })?;
        Ok(fd)
    }

    /// Makes the names in `folder` last.
    fn sync_folder(&self, folder: &str) -> Result<(), SysError> {
        let name = if folder.is_empty() { "." } else { folder };
        let fd = self.open_file(name, libc::O_RDONLY | libc::O_DIRECTORY, 0)?;
        self.sync(&fd, folder)
    }

    fn remove(&self, name: &str) -> Result<(), SysError> {
        let call = UnlinkAt { dir: self.at(), path: OsStr::new(name), flags: 0, why: "Nothing names it any more" };
        match quietly(&call) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(refused(&call, errno)),
        }
    }
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

fn refused(call: &impl chain::sys::Call, errno: Errno) -> SysError {
    SysError { what: call.cannot(), errno, hint: call.hint(errno) }
}

/// Makes `path` and the folders above it that are missing.
fn make_folders(path: &Path) -> Result<(), SysError> {
    let missing: Vec<&Path> = path.ancestors().take_while(|folder| fs::symlink_metadata(folder).is_err()).collect();
    for folder in missing.into_iter().rev() {
        let call = MkdirAt { dir: At::Cwd, path: folder.as_os_str(), mode: 0o700, why: KEEP };
        match quietly(&call) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(refused(&call, errno)),
        }
    }
    Ok(())
}

/// Whether the folder is still to be set up; refuses one that holds something
/// else than a store of our version.
fn refuse_others(path: &Path) -> anyhow::Result<bool> {
    match fs::read(path.join("version")) {
        Ok(version) if version == VERSION.as_bytes() => return Ok(false),
        Ok(version) => {
            let version = String::from_utf8_lossy(&version[..version.len().min(32)]).trim().to_owned();
            bail!("cannot use the store {}: it has version '{version}', not {}", path.display(), VERSION.trim());
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => bail!("cannot use the store {}: {}", path.display(), crate::reason(&error)),
    }
    let list =
        fs::read_dir(path).map_err(|e| anyhow::anyhow!("cannot open {}: {}", path.display(), crate::reason(&e)))?;
    for entry in list {
        let name = entry?.file_name();
        let text = name.to_string_lossy();
        if text != "lock" && text != "version" && !text.starts_with(TEMPORARY) && !FOLDERS.contains(&&*text) {
            bail!("cannot use the store {}: it is not empty, and no store", path.display());
        }
    }
    Ok(true)
}

/// Reads a JSON file of the store; `None` if it is not there.
fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> anyhow::Result<Option<T>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(document::json(&bytes).with_context(|| path.display().to_string())?)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => bail!("cannot read {}: {}", path.display(), crate::reason(&error)),
    }
}
