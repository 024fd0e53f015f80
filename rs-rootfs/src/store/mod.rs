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

mod containers;
mod gc;
mod images;
mod part;
mod refs;

pub use containers::{Container, NoContainer};
pub use gc::Freed;
pub use images::{Missing, Stored};
pub use part::Part;
pub use refs::Tagged;

use crate::digest::{Digest, Hasher};
use crate::document;
use anyhow::{Context, bail};
use chain::SysError;
use chain::sys::durable::{Flock, Fsync, Rename, write_all_at};
use chain::sys::file::{At, FchmodAt, Fd, MkdirAt, OpenAt, UnlinkAt};
use chain::sys::{make, quietly};
use nix::errno::Errno;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

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
        let store = Self { path: path.to_owned(), dir, lock };
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

    /// A name for a file that is not whole yet, in `folder`.
    fn temporary(folder: &str) -> String {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        join(folder, &format!("{TEMPORARY}{}-{number}", std::process::id()))
    }

    /// Starts a file of `folder` that [`finish`](Self::finish) will name.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn begin(&self, folder: &str) -> Result<Unnamed<'_>, SysError> {
        let name = Self::temporary(folder);
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL;
        let fd = self.open_file(&name, flags, 0o600)?;
        Ok(Unnamed { store: self, fd, name, length: 0, done: false })
    }

    /// Puts the whole of `bytes` at `folder`/`name`.
    fn put(&self, folder: &str, name: &str, bytes: &[u8], mode: u32) -> Result<(), SysError> {
        let mut file = self.begin(folder)?;
        file.write(bytes)?;
        file.finish(folder, name, mode)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), SysError> {
        make(&Rename { dir: self.at(), from: OsStr::new(from), to: OsStr::new(to), flags: 0 })
    }

    fn sync(&self, fd: &impl AsFd, name: &str) -> Result<(), SysError> {
        let path = self.path.join(name);
        make(&Fsync { fd: Fd { fd: fd.as_fd(), path: &path } })
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

    /// The blob with this digest, if it is there.
    pub fn blob(&self, digest: &Digest) -> Option<File> {
        File::open(self.path.join(blob_name(digest))).ok()
    }

    /// The whole of a small blob.
    ///
    /// # Errors
    /// It is larger than `max`, or cannot be read; `None`: not there.
    pub fn small_blob(&self, digest: &Digest, max: u64) -> anyhow::Result<Option<Vec<u8>>> {
        let Some(file) = self.blob(digest) else { return Ok(None) };
        let mut bytes = Vec::new();
        file.take(max + 1).read_to_end(&mut bytes).with_context(|| digest.to_string())?;
        if bytes.len() as u64 > max {
            bail!("{digest}: larger than {max} bytes");
        }
        if !matches(digest, &bytes) {
            bail!("{digest}: what the store holds under this name is something else; remove it, or run 'gc'");
        }
        Ok(Some(bytes))
    }

    /// Hashes a stored blob again; one that is not what its name says is
    /// removed, so that it is fetched anew.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn verify_blob(&self, digest: &Digest) -> anyhow::Result<()> {
        let Some(file) = self.blob(digest) else { return Ok(()) };
        let mut hasher = Hasher::new(digest.algorithm());
        hasher.read(file).with_context(|| digest.to_string())?;
        if hasher.finish() != *digest {
            self.remove(&blob_name(digest))?;
        }
        Ok(())
    }

    /// Keeps `bytes`, whose digest was checked.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn put_blob(&self, digest: &Digest, bytes: &[u8]) -> Result<(), SysError> {
        if self.blob(digest).is_some() {
            return Ok(());
        }
        self.put(&folder("blobs", digest), digest.hex(), bytes, 0o400)
    }

    /// The uncompressed layer with this diff id, if it is there.
    pub fn layer(&self, diff_id: &Digest) -> Option<File> {
        File::open(self.layer_path(diff_id)).ok()
    }

    /// Where an uncompressed layer is, or would be.
    pub fn layer_path(&self, diff_id: &Digest) -> PathBuf {
        self.path.join(join(&folder("layers", diff_id), diff_id.hex()))
    }
}

/// A file of the store that has no name yet. Dropped, it is gone.
pub struct Unnamed<'a> {
    store: &'a Store,
    fd: OwnedFd,
    name: String,
    length: u64,
    done: bool,
}

impl Unnamed<'_> {
    /// Appends `bytes`.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), SysError> {
        let path = self.store.path.join(&self.name);
        write_all_at(Fd { fd: self.fd.as_fd(), path: &path }, bytes, self.length)?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Names it, for good.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn finish(mut self, folder: &str, name: &str, mode: u32) -> Result<(), SysError> {
        let own = OsStr::new(&self.name);
        make(&FchmodAt { dir: self.store.at(), path: own, mode, why: "What has its final name never changes" })?;
        self.store.sync(&self.fd, &self.name)?;
        self.store.rename(&self.name, &join(folder, name))?;
        self.done = true;
        self.store.sync_folder(folder)
    }

    /// Names it as the uncompressed layer `diff_id`.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn finish_layer(self, diff_id: &Digest) -> Result<(), SysError> {
        self.finish(&folder("layers", diff_id), diff_id.hex(), 0o400)
    }
}

impl Drop for Unnamed<'_> {
    fn drop(&mut self) {
        if !self.done {
            let _ = self.store.remove(&self.name);
        }
    }
}

/// Whether `bytes` are what `digest` says.
pub fn matches(digest: &Digest, bytes: &[u8]) -> bool {
    let mut hasher = Hasher::new(digest.algorithm());
    hasher.update(bytes);
    hasher.finish() == *digest
}

fn folder(kind: &str, digest: &Digest) -> String {
    format!("{kind}/{}", digest.algorithm().name())
}

fn blob_name(digest: &Digest) -> String {
    join(&folder("blobs", digest), digest.hex())
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
