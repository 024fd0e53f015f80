//! One thing to do in the root: what it needs, what it does, what must be
//! there in the end.

use crate::bind::{Change, Source, bind, reopen};
use crate::cgroup;
use crate::device::{self, Device, PTMX, TTY, copied, flags, is_device};
use crate::error::{AtPlace, Error, Why};
use crate::fresh::{Fresh, PLAIN};
use crate::options::{BindKind, UserStep};
use crate::resolve::{Missing, resolve};
use crate::root::{Place, Root, mount_id};
use crate::tty::{self, Terminal};
use crate::value::{Access, DevicePair, TmpfsArg};
use crate::verify::Expected;
use crate::{link, mask};
use chain::hint::children_elsewhere;
use chain::sys::mount::tree::MountAttr;
use nix::errno::Errno;
use rustix::fs::{FileType, makedev};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

/// One thing to do.
#[derive(Debug)]
pub enum Action {
    /// A new file system at a fixed place.
    Fresh(PathBuf, Fresh),
    /// The cgroup file systems.
    Cgroup(Access),
    /// A device of the host at its usual place.
    Node(Device),
    /// The terminal.
    Terminal {
        /// There is a devpts of its own: the place is `dev/console`.
        devpts: bool,
        /// `dev/tty` is bound too.
        node: bool,
        /// Without a terminal nothing is done.
        try_only: bool,
    },
    /// `dev/ptmx` to the own instance.
    Ptmx,
    /// The host's `dev/pts/ptmx`.
    HostPtmx,
    /// A link in the new `dev`: the text, the place.
    Link(&'static str, PathBuf),
    /// What the user named.
    User(UserStep),
    /// A file of the host on the same path, read-only.
    HostFile(&'static str),
    /// A path to hide.
    Hide(OsString),
    /// A path to make read-only; whether it must be there.
    Protect(OsString, bool),
}

/// What an action works with, opened before the first mount.
#[derive(Debug)]
pub enum Opened {
    /// Nothing is needed.
    Nothing,
    /// The action is left out.
    Skip,
    /// What is bound.
    Source(Source),
    /// The terminal, and `/dev/tty`.
    Terminal(Box<Terminal>, Option<Box<Source>>),
}

/// What the actions share.
#[derive(Debug)]
pub struct Work {
    /// The root.
    pub root: Root,
    /// What must be there in the end.
    pub expected: Vec<Expected>,
    /// The ids of the mounts that the user named: what they cover need not be
    /// there any more.
    pub users: Vec<u64>,
}

impl Action {
    /// Opens and checks what the action needs from the host.
    ///
    /// # Errors
    /// It is missing, or not what it should be.
    pub fn open(&self) -> Result<Opened, Error> {
        Ok(match self {
            // It would show the processes outside, and nothing would fail.
            Self::Fresh(place, fs) if fs.fstype == "proc" && children_elsewhere() => {
                return Err(Error::refused(place, Why::OuterPids));
            }
            Self::Node(device) => Opened::Source(device.source(&device.place())?),
            Self::Terminal { devpts, node, try_only } => open_terminal(*devpts, *node, *try_only)?,
            Self::HostPtmx => Opened::Source(host_ptmx()?),
            Self::HostFile(path) => Opened::Source(host_file(path)?),
            Self::Hide(path) => Opened::Source(device::NULL.source(Path::new(path))?),
            Self::User(UserStep::Bind(source, dest, kind)) => open_bind(source, dest, *kind)?,
            Self::User(UserStep::Device(pair)) => Opened::Source(open_device(pair)?),
            _ => Opened::Nothing,
        })
    }

    /// Does it.
    ///
    /// # Errors
    /// What is in the way, or the kernel's reason.
    pub fn act(&self, work: &mut Work, opened: Opened) -> Result<(), Error> {
        match (self, opened) {
            (_, Opened::Skip) => Ok(()),
            (Self::Fresh(place, fs), _) => work.fresh(place, fs),
            (Self::Cgroup(access), _) => cgroup::mount(work, *access),
            (Self::Node(device), Opened::Source(source)) => work.node(&device.place(), source),
            (Self::Terminal { devpts, .. }, Opened::Terminal(terminal, node)) => {
                work.terminal(*devpts, *terminal, node)
            }
            (Self::Ptmx, _) => {
                work.expected.push(link::ptmx(&work.root)?);
                Ok(())
            }
            (Self::HostPtmx, Opened::Source(source)) => {
                work.node(Path::new("dev/pts/ptmx"), source)?;
                work.expected.push(link::ptmx(&work.root)?);
                Ok(())
            }
            (Self::Link(target, name), _) => {
                work.expected.push(link::in_dev(&work.root, target, name)?);
                Ok(())
            }
            (Self::HostFile(path), Opened::Source(source)) => {
                let set = PLAIN.and(MountAttr::RDONLY);
                work.bind_users(OsStr::new(path), source, Change { set, ..Change::default() })
            }
            (Self::Hide(path), Opened::Source(null)) => {
                mask::hide(&work.root, path, null)?.iter().for_each(|place| work.covers(place));
                Ok(())
            }
            (Self::Protect(path, required), _) => mask::protect(&work.root, path, *required),
            (Self::User(step), opened) => work.user(step, opened),
            // `open` gives each of the others its source.
            (Self::Node(_) | Self::Terminal { .. } | Self::HostPtmx | Self::HostFile(_) | Self::Hide(_), _) => Ok(()),
        }
    }
}

fn open_terminal(devpts: bool, node: bool, try_only: bool) -> Result<Opened, Error> {
    let place = if devpts { "dev/console" } else { "--tty" };
    match tty::find(Path::new(place)) {
        Ok(terminal) => {
            let node = if node { Some(Box::new(TTY.source(&TTY.place())?)) } else { None };
            Ok(Opened::Terminal(Box::new(terminal), node))
        }
        Err(Error::Refused { why: Why::NoTerminal | Why::NamelessTerminal | Why::TerminalUnreachable(_), .. })
            if try_only =>
        {
            Ok(Opened::Skip)
        }
        Err(Error::Refused { why: why @ (Why::NoTerminal | Why::NamelessTerminal), .. }) => {
            Err(Error::refused("--tty", why))
        }
        Err(error) => Err(error),
    }
}

fn host_ptmx() -> Result<Source, Error> {
    let path = Path::new("/dev/pts/ptmx");
    let source = Source::open_itself(path).map_err(|errno| Error::refused(path, Why::Errno(errno)))?;
    if source.kind() != FileType::CharacterDevice || source.stat.st_rdev != makedev(PTMX.0, PTMX.1) {
        return Err(Error::refused(path, Why::WrongDevice));
    }
    copied(source, path)
}

fn host_file(path: &str) -> Result<Source, Error> {
    let path = Path::new(path);
    let source = Source::open(path).map_err(|errno| Error::refused(path, Why::Errno(errno)))?;
    if source.kind() == FileType::Directory {
        return Err(Error::refused(path, Why::Directory));
    }
    copied(source, path)
}

fn open_bind(source: &OsStr, dest: &OsStr, kind: BindKind) -> Result<Opened, Error> {
    match Source::open(Path::new(source)) {
        Ok(mut opened) => {
            opened.copy(true, Path::new(dest))?;
            Ok(Opened::Source(opened))
        }
        Err(Errno::ENOENT | Errno::ENOTDIR) if kind.try_only => Ok(Opened::Skip),
        Err(errno) => Err(Error::refused(source, Why::Errno(errno))),
    }
}

fn open_device(pair: &DevicePair) -> Result<Source, Error> {
    let source =
        Source::open(Path::new(&pair.source)).map_err(|errno| Error::refused(&pair.source, Why::Errno(errno)))?;
    if !is_device(&source) {
        return Err(Error::refused(&pair.source, Why::NotDevice));
    }
    copied(source, Path::new(&pair.dest))
}

impl Work {
    fn fresh(&mut self, name: &Path, fs: &Fresh) -> Result<(), Error> {
        let place = self.root.folder(name)?;
        fs.mount_on(&place)?;
        self.expected.push(Expected::Fs(name.to_owned(), fs.fstype));
        if matches!(fs.fstype, "proc" | "sysfs") {
            self.root.keep_users_out(name)?;
        }
        Ok(())
    }

    /// Binds a device at a fixed place.
    fn node(&mut self, name: &Path, source: Source) -> Result<(), Error> {
        let place = self.root.node(name)?;
        let change = flags(&source, name)?;
        self.expected.push(Expected::Node(name.to_owned(), source.stat.st_rdev));
        bind(&self.root, source, &place, change).map(drop)
    }

    fn terminal(&mut self, devpts: bool, terminal: Terminal, node: Option<Box<Source>>) -> Result<(), Error> {
        if let Some(node) = node {
            self.node(&TTY.place(), *node)?;
        }
        let own = terminal.name.strip_prefix("/").unwrap_or(&terminal.name);
        let place = if devpts { Path::new("dev/console") } else { own };
        self.expected.push(Expected::same(place, &terminal.source.stat));
        self.node(place, terminal.source)
    }

    fn user(&mut self, step: &UserStep, opened: Opened) -> Result<(), Error> {
        match (step, opened) {
            (UserStep::Bind(_, dest, kind), Opened::Source(source)) => {
                let clear = if kind.devices { flags(&source, Path::new(dest))?.clear } else { MountAttr::NONE };
                let mut set = MountAttr::NOSUID;
                if !kind.devices {
                    set = set.and(MountAttr::NODEV);
                }
                if kind.read_only {
                    set = set.and(MountAttr::RDONLY);
                }
                self.bind_users(dest, source, Change { set, clear, recursive: true })
            }
            (UserStep::Device(pair), Opened::Source(source)) => {
                let change = flags(&source, Path::new(&pair.dest))?;
                self.bind_users(&pair.dest, source, change)
            }
            (UserStep::Tmpfs(TmpfsArg { dest, options, attr }), _) => {
                let place = self.users_place(dest, Missing::Folder)?;
                let why = "a file system in memory that only this container has";
                Fresh::new("tmpfs", options.clone(), *attr, why).mount_on(&place)?;
                self.covers(&place);
                Ok(())
            }
            (UserStep::Dir(dest), _) => self.users_place(dest, Missing::Folder).map(drop),
            (UserStep::Symlink(target, dest), _) => self.symlink(target, dest),
            (UserStep::Bind(..) | UserStep::Device(_), _) => Ok(()),
        }
    }

    fn bind_users(&mut self, dest: &OsStr, source: Source, change: Change) -> Result<(), Error> {
        let missing = if source.kind() == FileType::Directory { Missing::Folder } else { Missing::File };
        let place = self.users_place(dest, missing)?;
        let mount = bind(&self.root, source, &place, change)?;
        self.users.extend(mount_id(mount.as_fd()));
        Ok(())
    }

    /// Notes what the user has had mounted on `place`.
    fn covers(&mut self, place: &Place) {
        let mount = reopen(&self.root, place).ok().and_then(|again| mount_id(again.fd.as_fd()));
        self.users.extend(mount);
    }

    /// Whether `name` is on, or below, a mount that the user named.
    fn is_users(&self, name: &Path) -> bool {
        let ways: Vec<&Path> = name.ancestors().filter(|way| !way.as_os_str().is_empty()).collect();
        let mounts = ways.iter().filter_map(|way| mount_id(self.root.find(way).ok()?.fd.as_fd()));
        mounts.into_iter().any(|id| self.users.contains(&id))
    }

    /// The place that the user's `dest` leads to, of the wanted kind.
    fn users_place(&self, dest: &OsStr, missing: Missing) -> Result<Place, Error> {
        let place = resolve(&self.root, dest, missing)?;
        let is_folder = place.kind() == FileType::Directory;
        match missing {
            Missing::Folder if !is_folder => return Err(Error::refused(dest, Why::NotDirectory)),
            Missing::File if is_folder => return Err(Error::refused(dest, Why::Directory)),
            _ => {}
        }
        if self.root.keeps_users_out(place.fd.as_fd()) {
            return Err(Error::refused(dest, Why::InKernelFs));
        }
        Ok(place)
    }

    fn symlink(&self, target: &OsStr, dest: &OsStr) -> Result<(), Error> {
        let path = Path::new(dest);
        let last = path.file_name().ok_or_else(|| Error::refused(dest, Why::IsRoot))?;
        let parent = path.parent().unwrap_or(Path::new(""));
        let parent = parent.strip_prefix("/").unwrap_or(parent);
        let folder = match self.users_place(parent.as_os_str(), Missing::Folder) {
            // Nothing goes on the root, but a link may go into it.
            Err(Error::Refused { why: Why::IsRoot, .. }) => {
                self.root.find(Path::new("")).map_err(|errno| Error::refused(dest, Why::Errno(errno)))?
            }
            place => place?,
        };
        link::users(&folder, target, last, path)
    }

    /// Walks to everything that was mounted and sees that it is there.
    ///
    /// # Errors
    /// Something is not.
    pub fn verify(&self) -> Result<(), Error> {
        self.expected.iter().try_for_each(|expected| match expected.verify(&self.root) {
            Err(_) if self.is_users(expected.place()) => Ok(()),
            result => result,
        })
    }

    /// Puts a copy of the root's mount on the root itself and goes on there.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn cover_root(&mut self) -> Result<(), Error> {
        const PLACE: &str = "--root";
        let fd = rustix::io::fcntl_dupfd_cloexec(self.root.as_fd().fd, 3).at(PLACE)?;
        let mut source = Source::from_fd(fd, self.root.given()).map_err(|e| self.root.refused(Why::Errno(e)))?;
        source.copy(true, Path::new(PLACE))?;
        let place = self.root.find(Path::new("")).map_err(|e| self.root.refused(Why::Errno(e)))?;
        let fd = bind(&self.root, source, &place, Change::default())?;
        self.root.go_on_with(fd);
        Ok(())
    }
}

/// `place: what`, for `--verbose` and `--dry-run`.
impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fresh(place, fs) => write!(f, "{}: mount a new {}", place.display(), fs.fstype),
            Self::Cgroup(Access::Ro) => f.write_str("sys/fs/cgroup: mount the cgroup file systems, read-only"),
            Self::Cgroup(Access::Rw) => f.write_str("sys/fs/cgroup: mount the cgroup file systems"),
            Self::Node(device) => write!(f, "dev/{0}: bind /dev/{0}", device.name),
            Self::Terminal { devpts, node, try_only } => {
                f.write_str(if *node { "dev/tty: bind /dev/tty; " } else { "" })?;
                f.write_str(if *devpts {
                    "dev/console: bind the terminal"
                } else {
                    "--tty: bind the terminal at its own path"
                })?;
                f.write_str(if *try_only { ", if there is one" } else { "" })
            }
            Self::Ptmx => f.write_str("dev/ptmx: lead to pts/ptmx"),
            Self::HostPtmx => f.write_str("dev/pts/ptmx: bind /dev/pts/ptmx"),
            Self::Link(target, place) => write!(f, "{}: link to {target}", place.display()),
            Self::HostFile(path) => write!(f, "{}: bind {path}, read-only", path.trim_start_matches('/')),
            Self::Hide(path) => write!(f, "{}: hide, if it is there", path.display()),
            Self::Protect(path, required) => {
                write!(f, "{}: make read-only", path.display())?;
                f.write_str(if *required { "" } else { ", if it is there" })
            }
            Self::User(UserStep::Bind(source, dest, kind)) => {
                write!(f, "{}: bind {}", dest.display(), source.display())?;
                f.write_str(if kind.read_only { ", read-only" } else { "" })?;
                f.write_str(if kind.devices { ", with devices" } else { "" })?;
                f.write_str(if kind.try_only { ", if it is there" } else { "" })
            }
            Self::User(UserStep::Device(pair)) => write!(f, "{}: bind {}", pair.dest.display(), pair.source.display()),
            Self::User(UserStep::Tmpfs(arg)) => write!(f, "{}: mount a new tmpfs", arg.dest.display()),
            Self::User(UserStep::Dir(dest)) => write!(f, "{}: make a folder", dest.display()),
            Self::User(UserStep::Symlink(target, dest)) => {
                write!(f, "{}: link to {}", dest.display(), target.display())
            }
        }
    }
}
