//! Paths that the user names: resolved inside the root, links and all, as if
//! it were `/` (openat2(2) with `RESOLVE_IN_ROOT`; before Linux 5.6 by hand).

use crate::error::{Error, Why, errno};
use crate::root::{Place, Root, TRIES, kind, look, make_stub, quiet_exists};
use chain::sys::file::{At, Fd, MkdirAt};
use nix::errno::Errno;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat};
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

/// Symbolic links on one way at most, as the kernel has it.
const MAX_LINKS: usize = 40;

/// What to make where a user's path leads to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// A folder, and those above.
    Folder,
    /// An empty file, and folders above.
    File,
    /// Nothing: it is an error.
    Refuse,
}

/// Resolves `dest` inside `root`.
///
/// # Errors
/// It is the root itself, it dangles, it goes through a magic link, or
/// nothing can be made.
pub fn resolve(root: &Root, dest: &OsStr, missing: Missing) -> Result<Place, Error> {
    let name = Path::new(dest);
    // A slash at the end would want a folder, also where a file was made for
    // it the time before.
    let dest = name.components().as_path().as_os_str();
    let refused = |reason| match reason {
        Refusal::Errno(Errno::EXDEV) => Error::refused(name, Why::MagicLink),
        Refusal::Errno(errno) => Error::refused(name, Why::Errno(errno)),
        Refusal::Dangling => Error::refused(name, Why::Dangling),
        Refusal::KernelFs => Error::refused(name, Why::InKernelFs),
        Refusal::Step(error) => error,
    };
    let found = match by_kernel(root, dest) {
        Some(Ok(found)) => found,
        Some(Err(Errno::ENOENT)) | None => Walk::new(root, dest, missing).run().map_err(refused)?,
        Some(Err(errno)) => return Err(refused(errno.into())),
    };
    if root.is(found.0.as_fd())? {
        return Err(Error::refused(name, Why::IsRoot));
    }
    let inside = name.strip_prefix("/").unwrap_or(name);
    Ok(Place { users: true, ..root.place(found, inside, true) })
}

/// By openat2; `None` where there is no such call (or an old seccomp filter
/// that does not know it).
fn by_kernel(root: &Root, dest: &OsStr) -> Option<Result<(OwnedFd, Stat), Errno>> {
    let open = |how| {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        rustix::fs::openat2(root.as_fd().fd, dest, flags, Mode::empty(), how).map_err(errno)
    };
    for _ in 0..TRIES {
        match open(ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS) {
            Ok(fd) => return Some(rustix::fs::fstat(&fd).map_err(errno).map(|stat| (fd, stat))),
            Err(Errno::ENOSYS | Errno::EPERM) => return None,
            // Something was renamed meanwhile, and the path has `..`.
            Err(Errno::EAGAIN) => {}
            // A loop or a magic link: which of them is all that this asks.
            Err(Errno::ELOOP) => {
                let is_loop = matches!(open(ResolveFlags::IN_ROOT), Err(Errno::ELOOP));
                return Some(Err(if is_loop { Errno::ELOOP } else { Errno::EXDEV }));
            }
            Err(errno) => return Some(Err(errno)),
        }
    }
    Some(Err(Errno::EAGAIN))
}

enum Refusal {
    Errno(Errno),
    Dangling,
    KernelFs,
    Step(Error),
}

impl From<Errno> for Refusal {
    fn from(errno: Errno) -> Self {
        Self::Errno(errno)
    }
}

/// A component still to walk, and whether a link's text brought it.
struct Component {
    name: OsString,
    from_link: bool,
}

/// The walk by hand. `..` goes back on the stack of folders that were
/// opened, so it can never go above the root.
struct Walk<'a> {
    root: &'a Root,
    dest: &'a Path,
    missing: Missing,
    stack: Vec<(OwnedFd, Stat)>,
    /// The names of what is on the stack above the root, for messages.
    names: Vec<OsString>,
    rest: VecDeque<Component>,
    links: usize,
}

impl<'a> Walk<'a> {
    fn new(root: &'a Root, dest: &'a OsStr, missing: Missing) -> Self {
        let mut walk = Self {
            root,
            dest: Path::new(dest),
            missing,
            stack: Vec::new(),
            names: Vec::new(),
            rest: VecDeque::new(),
            links: 0,
        };
        walk.put_in_front(dest, false);
        walk
    }

    fn put_in_front(&mut self, text: &OsStr, from_link: bool) {
        for (i, part) in text.as_bytes().split(|b| *b == b'/').rev().enumerate() {
            // At the end of a text these say that it leads to a folder.
            let is_empty = part.is_empty() || part == b".";
            if is_empty && i > 0 {
                continue;
            }
            let name = if is_empty { OsStr::new(".") } else { OsStr::from_bytes(part) };
            self.rest.push_front(Component { name: name.to_owned(), from_link });
        }
    }

    fn run(mut self) -> Result<(OwnedFd, Stat), Refusal> {
        // One byte of the kernel's limit is for the end.
        if self.dest.as_os_str().len() > libc::PATH_MAX.unsigned_abs() as usize - 1 {
            return Err(Errno::ENAMETOOLONG.into());
        }
        let start = look(self.root.as_fd().fd, OsStr::new("."))?;
        self.stack.push(start);
        while let Some(component) = self.rest.pop_front() {
            if component.name == "." {
                continue;
            }
            if component.name == ".." {
                if self.stack.len() > 1 {
                    self.stack.pop();
                    self.names.pop();
                }
                continue;
            }
            let found = self.open(&component)?;
            match kind(&found.1) {
                FileType::Symlink => self.follow(&found)?,
                FileType::Directory => {
                    self.stack.push(found);
                    self.names.push(component.name);
                }
                _ if self.rest.is_empty() => return Ok(found),
                _ => return Err(Errno::ENOTDIR.into()),
            }
        }
        self.stack.pop().ok_or(Refusal::Errno(Errno::ENOENT))
    }

    fn follow(&mut self, link: &(OwnedFd, Stat)) -> Result<(), Refusal> {
        let about = rustix::fs::fstatfs(&link.0).map_err(errno)?;
        // Those of procfs may lead anywhere, whatever their text says.
        if about.f_type == rustix::fs::PROC_SUPER_MAGIC {
            return Err(Errno::EXDEV.into());
        }
        self.links += 1;
        if self.links > MAX_LINKS {
            return Err(Errno::ELOOP.into());
        }
        let text = rustix::fs::readlinkat(&link.0, c"", Vec::new()).map_err(errno)?;
        let text = OsString::from_vec(text.into_bytes());
        if text.as_bytes().starts_with(b"/") {
            self.stack.truncate(1);
            self.names.clear();
        }
        self.put_in_front(&text, true);
        Ok(())
    }

    /// The component in the innermost folder, made where it is missing.
    fn open(&self, component: &Component) -> Result<(OwnedFd, Stat), Refusal> {
        let Some((folder, _)) = self.stack.last() else { return Err(Errno::ENOENT.into()) };
        for _ in 0..TRIES {
            match look(folder.as_fd(), &component.name) {
                Err(Errno::ENOENT) => self.make(folder, component)?,
                found => return found.map_err(Refusal::Errno),
            }
        }
        Err(Refusal::Errno(Errno::EAGAIN))
    }

    fn make(&self, folder: &OwnedFd, component: &Component) -> Result<(), Refusal> {
        if component.from_link {
            return Err(Refusal::Dangling);
        }
        if self.missing == Missing::Refuse {
            return Err(Errno::ENOENT.into());
        }
        if self.root.keeps_users_out(folder.as_fd()) {
            return Err(Refusal::KernelFs);
        }
        let mut path = self.root.given().to_owned();
        path.extend(&self.names);
        let parent = Fd { fd: folder.as_fd(), path: &path };
        let made = if self.rest.is_empty() && self.missing == Missing::File {
            make_stub(parent, &component.name)
        } else {
            let why = "a mount needs a place to be put over";
            quiet_exists(&MkdirAt { dir: At::In(parent), path: &component.name, mode: 0o755, why })
        };
        made.map_err(|source| Refusal::Step(Error::Step { place: self.dest.display().to_string(), source }))
    }
}
