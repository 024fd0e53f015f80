//! Symbolic links in the root: `dev/ptmx`, `dev/fd` and its like, `--symlink`.

use crate::bind::{Change, Source, bind};
use crate::device::PTMX;
use crate::error::{AtPlace, Error, Why};
use crate::root::{Place, Root, TRIES, refusal};
use crate::verify::{Expected, link_text};
use chain::sys::file::{At, SymlinkAt, UnlinkAt};
use chain::sys::quietly;
use nix::errno::Errno;
use rustix::fs::{FileType, makedev};
use std::ffi::OsStr;
use std::path::Path;

/// Where the node is that makes terminals of the own instance.
const PTMX_NODE: &str = "dev/pts/ptmx";

/// Makes `dev/ptmx` lead to the `ptmx` in `dev/pts`: by a link where there
/// is none; a right one stays, a wrong one is replaced and never followed;
/// over anything else the node is bound.
///
/// # Errors
/// A folder is there, or nothing can be made.
pub fn ptmx(root: &Root) -> Result<Expected, Error> {
    let name = Path::new("dev/ptmx");
    for _ in 0..TRIES {
        let found = match root.find(name) {
            Err(Errno::ENOENT) => {
                make_link(root, OsStr::new("pts/ptmx"), name)?;
                continue;
            }
            found => found.map_err(|errno| Error::refused(name, Why::Errno(errno)))?,
        };
        match found.kind() {
            FileType::Directory => return Err(Error::refused(name, Why::Directory)),
            FileType::Symlink => {
                let text = link_text(&found)?;
                if text == "pts/ptmx" || text == "/dev/pts/ptmx" {
                    return Ok(Expected::Link(name.to_owned(), text));
                }
                remove(root, name)?;
            }
            _ => return bind_ptmx(root, &found),
        }
    }
    Err(Error::refused(name, Why::KeepsChanging))
}

fn bind_ptmx(root: &Root, over: &Place) -> Result<Expected, Error> {
    let node = Path::new(PTMX_NODE);
    let refused = |errno| Error::refused(node, Why::Errno(errno));
    let found = root.find(node).map_err(refused)?;
    let rdev = makedev(PTMX.0, PTMX.1);
    if found.kind() != FileType::CharacterDevice || found.stat.st_rdev != rdev {
        return Err(Error::refused(node, Why::NotThere));
    }
    let mut source = Source::from_fd(found.fd, &found.path).map_err(refused)?;
    source.copy(false, &over.name)?;
    bind(root, source, over, Change::default())?;
    Ok(Expected::Node(over.name.clone(), rdev))
}

/// Makes a link at a fixed place; that something is there is no error.
fn make_link(root: &Root, target: &OsStr, name: &Path) -> Result<(), Error> {
    let (folder, last) = root.parent(name)?;
    let why = "the name that programs use leads to where the thing is";
    let call = SymlinkAt { target, dir: At::In(folder.as_fd()), path: last, why };
    crate::root::quiet_exists(&call).at(name)
}

fn remove(root: &Root, name: &Path) -> Result<(), Error> {
    let (folder, last) = root.parent(name)?;
    let why = "a link of the image that leads elsewhere is not followed: it goes";
    let call = UnlinkAt { dir: At::In(folder.as_fd()), path: last, flags: 0, why };
    match quietly(&call) {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(refusal(&call, errno)).at(name),
    }
}

/// Makes a link in the new `dev`. A link of that text that is there stays.
///
/// # Errors
/// Something else is there, or nothing can be made.
pub fn in_dev(root: &Root, target: &str, name: &Path) -> Result<Expected, Error> {
    make_link(root, OsStr::new(target), name)?;
    let found = root.find(name).map_err(|errno| Error::refused(name, Why::Errno(errno)))?;
    same_link(&found, OsStr::new(target))?;
    Ok(Expected::Link(name.to_owned(), target.into()))
}

/// Makes the link that `--symlink` asks for in `folder`.
///
/// # Errors
/// Something else is there, or nothing can be made.
pub fn users(folder: &Place, target: &OsStr, last: &OsStr, dest: &Path) -> Result<(), Error> {
    let why = "as --symlink says";
    let call = SymlinkAt { target, dir: At::In(folder.as_fd()), path: last, why };
    match quietly(&call) {
        Ok(()) => Ok(()),
        Err(Errno::EEXIST) => {
            let (fd, stat) =
                crate::root::look(folder.as_fd().fd, last).map_err(|errno| Error::refused(dest, Why::Errno(errno)))?;
            let found = Place { fd, stat, name: dest.to_owned(), path: dest.to_owned(), users: true };
            same_link(&found, target)
        }
        Err(errno) => Err(refusal(&call, errno)).at(dest),
    }
}

fn same_link(found: &Place, target: &OsStr) -> Result<(), Error> {
    if found.kind() != FileType::Symlink {
        return Err(Error::refused(&found.name, Why::Errno(Errno::EEXIST)));
    }
    let text = link_text(found)?;
    if text == target { Ok(()) } else { Err(Error::refused(&found.name, Why::OtherLink(text.display().to_string()))) }
}
