//! `export`: a container's files as an archive.

use super::archive::{Sink, write};
use super::flags::Words;
use super::{Called, Ended, find, image, operand, startup};
use crate::store::Store;
use anyhow::{Context, Result, bail};
use chain::error::strerror;
use chain::sys::durable::{Rename, write_all_at};
use chain::sys::file::{At, Fd, OpenAt, UnlinkAt};
use chain::sys::{Call, make, quietly};
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::IsTerminal;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

/// Runs it.
pub(super) fn run(_: &Called, words: &Words) -> Result<(), Ended> {
    let to = words.get("output").filter(|to| !to.is_empty());
    match to {
        Some(to) => check_output(Path::new(to))?,
        None if std::io::stdout().is_terminal() => {
            return Err(Ended::new("cowardly refusing to save to a terminal. Use the -o flag or redirect", 1));
        }
        None => {}
    }
    let word = operand(&words.operands[0])?;
    if word.is_empty() {
        return Err(Ended::new("invalid container name or ID: value is empty", 1));
    }
    let store = Store::open()?;
    let container = find(&store, word)?;
    let stored = store.manifest(&container.manifest)?.context("the container's image is not in the store any more")?;
    let layers = image::files(&store, &stored)?;
    let mut tree = image::merge(&store, &stored, &layers, container.created)?;
    startup::apply(&mut tree, &container.working_dir)?;
    match to {
        Some(to) => {
            // From here on there is something to clean up.
            chain::interrupt::catch();
            let mut file = NewFile::begin(Path::new(to))?;
            write(&tree, &layers, &mut file)?;
            Ok(file.finish()?)
        }
        None => write(&tree, &layers, &mut Stdout).map_err(|error| match error.downcast_ref::<Unwritable>() {
            Some(unwritable) => Ended::new(unwritable.to_string(), 1),
            None => error.into(),
        }),
    }
}

/// What can be known of FILE before anything is looked up.
fn check_output(to: &Path) -> Result<(), Ended> {
    let refuse = |why: String| Err(Ended::new(format!("failed to export container: {why}"), 1));
    let parent = || to.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // What ends in a slash is a folder, or nothing.
    let folder = if to.as_os_str().as_bytes().ends_with(b"/") { to.components().as_path() } else { parent() };
    let is_folder = match fs::metadata(folder) {
        Ok(about) if about.is_dir() => Ok(()),
        Ok(_) => Err(strerror(Errno::ENOTDIR)),
        Err(error) => Err(crate::reason(&error)),
    };
    if let Err(reason) = is_folder {
        return refuse(format!("invalid output path: stat {}: {}", folder.display(), reason.to_lowercase()));
    }
    // The name itself is replaced, whatever it led to.
    let Ok(about) = fs::symlink_metadata(to) else { return Ok(()) };
    let kind = about.file_type();
    let what = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_dir() => "directory",
        () if kind.is_symlink() => "symbolic link directly",
        () if kind.is_fifo() => "named pipe (FIFO)",
        () if kind.is_socket() => "socket",
        () if kind.is_char_device() => "character device file",
        () => "block device file",
    };
    refuse(format!("cannot write to a {what}"))
}

/// Standard output.
struct Stdout;

/// Why it took no more.
#[derive(Debug, thiserror::Error)]
#[error("write /dev/stdout: {}", strerror(*.0).to_lowercase())]
struct Unwritable(Errno);

impl Sink for Stdout {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        chain::output::write_stdout(bytes).map_err(|errno| Unwritable(errno).into())
    }
}

/// A file that gets its name when it is whole.
struct NewFile {
    path: PathBuf,
    temporary: PathBuf,
    file: OwnedFd,
    length: u64,
    done: bool,
}

impl NewFile {
    fn begin(path: &Path) -> Result<Self> {
        let name = path.file_name().context("no file name")?;
        let mut own = OsString::from(".tmp-");
        own.push(name);
        own.push(format!("{}", std::process::id()));
        let why = "A half-written archive never bears the name";
        let flags = libc::O_WRONLY | libc::O_CREAT | libc::O_EXCL;
        loop {
            let temporary = path.with_file_name(&own);
            let call = OpenAt { dir: At::Cwd, path: temporary.as_os_str(), flags, mode: 0o600, why };
            match quietly(&call) {
                Ok(file) => return Ok(Self { path: path.to_owned(), temporary, file, length: 0, done: false }),
                // Left by one that was killed, in whose place we are.
                Err(Errno::EEXIST) => own.push("_"),
                Err(errno) => bail!("{}: {}", call.cannot(), strerror(errno)),
            }
        }
    }

    fn finish(mut self) -> Result<()> {
        let (from, to): (&OsStr, &OsStr) = (self.temporary.as_os_str(), self.path.as_os_str());
        make(&Rename { dir: At::Cwd, from, to, flags: 0 })?;
        self.done = true;
        Ok(())
    }
}

impl Sink for NewFile {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        crate::interrupted()?;
        write_all_at(Fd { fd: self.file.as_fd(), path: &self.temporary }, bytes, self.length)?;
        self.length += bytes.len() as u64;
        Ok(())
    }
}

impl Drop for NewFile {
    fn drop(&mut self) {
        if !self.done {
            let why = "The archive is not whole";
            let _ = quietly(&UnlinkAt { dir: At::Cwd, path: self.temporary.as_os_str(), flags: 0, why });
        }
    }
}
