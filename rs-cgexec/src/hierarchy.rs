//! What is mounted where: the hierarchies of a v1, hybrid or v2 host.
//!
//! `/proc/cgroups` names the controllers that v1 knows, the mount table says
//! where they are; paths are never guessed (cgroups(7)).

use crate::spec::{Spec, relative};
use crate::status::{Error, INVALID, SYSTEM};
use chain::SysError;
use nix::errno::Errno;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

/// The group that libcgroup's tools put before names, when it is there.
pub(crate) const DEFAULT_GROUP: &str = "/var/run/libcgroup/systemd";

/// The interface that a hierarchy speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Version {
    /// One hierarchy for each set of controllers.
    V1 = 1,
    /// One hierarchy for all.
    V2 = 2,
}

/// What is mounted altogether.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// v1 alone.
    Legacy,
    /// v1 and v2.
    Hybrid,
    /// v2 alone.
    Unified,
}

/// One mounted tree of groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    /// What its files are like.
    pub version: Version,
    /// Its mount points; the first is the one that is used.
    pub mounts: Vec<PathBuf>,
    /// Its controllers in table order; `name=…` is one of them.
    pub controllers: Vec<String>,
}

impl Hierarchy {
    /// The directory of the group `path`, relative to the mount point.
    pub fn dir(&self, path: &Path) -> PathBuf {
        if path.as_os_str().is_empty() { self.mounts[0].clone() } else { self.mounts[0].join(path) }
    }

    fn holds(&self, controller: &str) -> bool {
        self.controllers.iter().any(|one| one == controller)
    }
}

/// A line of `/proc/cgroups`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The controller.
    pub name: String,
    /// The number of its v1 hierarchy, 0 for none.
    pub number: u32,
}

/// A hierarchy that a list of controllers leads to.
#[derive(Debug)]
pub struct Target<'h> {
    /// The hierarchy.
    pub hierarchy: &'h Hierarchy,
    /// The names that led there.
    pub asked: Vec<String>,
    /// The v2 controllers that those stand for: what a parent must pass on.
    pub needs: Vec<String>,
}

/// All that is mounted, in mount table order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// The hierarchies.
    pub hierarchies: Vec<Hierarchy>,
    /// The controllers that v1 knows, mounted or not.
    pub known: Vec<Known>,
    /// Whether a v1 hierarchy is mounted that distributions hide
    /// (`name=systemd`).
    hidden_v1: bool,
}

impl Host {
    /// Reads the mount table. A host without any hierarchy is no error here.
    ///
    /// # Errors
    /// The table cannot be read: 96.
    pub fn read() -> Result<Self, Error> {
        let cgroups = match read(Path::new("/proc/cgroups")) {
            // A kernel without v1 has no such file.
            Err(Error::Step { source, .. }) if source.errno == Errno::ENOENT => Vec::new(),
            cgroups => cgroups?,
        };
        let mounts = read(Path::new("/proc/self/mountinfo"))?;
        let controllers = |mount: &Path| text(&mount.join("cgroup.controllers"));
        Ok(Self::parse(&String::from_utf8_lossy(&cgroups), &mounts, controllers))
    }

    /// [`Host::read`] for a tool that has nothing to do where nothing is mounted.
    ///
    /// # Errors
    /// Nothing is mounted (81), or whether anything is cannot be read (96).
    pub fn mounted() -> Result<Self, Error> {
        Self::read().and_then(|host| if host.hierarchies.is_empty() { Err(Error::NothingMounted) } else { Ok(host) })
    }

    fn parse(cgroups: &str, mountinfo: &[u8], v2_controllers: impl Fn(&Path) -> String) -> Self {
        let known: Vec<Known> = cgroups.lines().filter_map(known).collect();
        let mut host = Self { hierarchies: Vec::new(), known, hidden_v1: false };
        for mount in mountinfo.split(|b| *b == b'\n').filter_map(mount) {
            let (version, controllers) = match mount.kind {
                b"cgroup" => (Version::V1, host.v1_controllers(mount.options)),
                b"cgroup2" => {
                    let text = v2_controllers(&mount.point);
                    (Version::V2, text.split_ascii_whitespace().map(str::to_owned).collect())
                }
                _ => continue,
            };
            if version == Version::V1 && controllers.iter().all(|name| name == "name=systemd") {
                host.hidden_v1 = true;
                continue;
            }
            let same = |h: &&mut Hierarchy| {
                h.version == version && (version == Version::V2 || controllers.iter().any(|c| h.holds(c)))
            };
            match host.hierarchies.iter_mut().find(same) {
                Some(first) => first.mounts.push(mount.point),
                None => host.hierarchies.push(Hierarchy { version, mounts: vec![mount.point], controllers }),
            }
        }
        host
    }

    /// The controllers that the options of a v1 mount name, in table order.
    fn v1_controllers(&self, options: &[u8]) -> Vec<String> {
        let words: Vec<&[u8]> = options.split(|b| *b == b',').collect();
        let known = self.known.iter().filter(|known| words.contains(&known.name.as_bytes()));
        let named = words.iter().filter(|word| word.starts_with(b"name="));
        known
            .map(|known| known.name.clone())
            .chain(named.map(|word| String::from_utf8_lossy(word).into_owned()))
            .collect()
    }

    /// What is mounted altogether.
    pub fn mode(&self) -> Mode {
        let has = |version| self.hierarchies.iter().any(|h| h.version == version);
        match (has(Version::V1) || self.hidden_v1, has(Version::V2)) {
            (true, true) => Mode::Hybrid,
            (false, true) => Mode::Unified,
            _ => Mode::Legacy,
        }
    }

    /// The v2 hierarchy.
    pub fn v2(&self) -> Option<&Hierarchy> {
        self.hierarchies.iter().find(|h| h.version == Version::V2)
    }

    /// The hierarchy that holds `controller`, by that very name.
    pub fn find(&self, controller: &str) -> Option<&Hierarchy> {
        if controller == "cgroup" {
            return self.v2();
        }
        self.hierarchies.iter().find(|h| h.holds(controller))
    }

    /// The hierarchy that `controller` leads to, and the name it has there.
    /// Names of the other version count where they have a counterpart; on a
    /// pure v2 host some v1 controllers have nothing to enable (`None`).
    pub fn resolve(&self, controller: &str) -> Option<(&Hierarchy, Option<&'static str>)> {
        let other = match controller {
            "blkio" => Some(("io", Version::V2)),
            "cpuacct" => Some(("cpu", Version::V2)),
            "io" => Some(("blkio", Version::V1)),
            "freezer" | "devices" | "net_cls" | "net_prio" | "perf_event" if self.mode() == Mode::Unified => {
                return self.v2().map(|h| (h, None));
            }
            _ => None,
        };
        let (name, version) = other?;
        self.find(name).filter(|h| h.version == version).map(|h| (h, Some(name)))
    }

    /// All that `*` stands for: the v1 controllers where there are any, else
    /// those of v2.
    pub fn all(&self) -> Vec<String> {
        let v1 = self.known.iter().filter(|known| known.number > 0 && self.find(&known.name).is_some());
        let v1: Vec<String> = v1.map(|known| known.name.clone()).collect();
        if !v1.is_empty() {
            return v1;
        }
        self.v2().map(|h| h.controllers.clone()).unwrap_or_default()
    }

    /// The hierarchies that `spec` leads to, each once, in the order of its
    /// list.
    ///
    /// # Errors
    /// A controller that is nowhere, with `status`.
    pub fn targets(&self, spec: &Spec, status: u8) -> Result<Vec<Target<'_>>, Error> {
        let unknown = |controller: &str| Error::Unknown { controller: controller.to_owned(), status };
        if spec.controllers.is_empty() {
            let hierarchy = self.v2().ok_or_else(|| unknown("cgroup"))?;
            return Ok(vec![Target { hierarchy, asked: vec!["cgroup".to_owned()], needs: Vec::new() }]);
        }
        let names = if spec.is_all() { self.all() } else { spec.controllers.clone() };
        if names.is_empty() {
            return match self.v2() {
                Some(hierarchy) => Ok(vec![Target { hierarchy, asked: vec!["*".to_owned()], needs: Vec::new() }]),
                None => Err(unknown("*")),
            };
        }
        let mut targets: Vec<Target<'_>> = Vec::new();
        for name in names {
            let (hierarchy, need) = match self.find(&name) {
                Some(hierarchy) => (hierarchy, Some(name.as_str())),
                None => self.resolve(&name).ok_or_else(|| unknown(&name))?,
            };
            let at = targets.iter().position(|target| target.hierarchy == hierarchy).unwrap_or(targets.len());
            if at == targets.len() {
                targets.push(Target { hierarchy, asked: Vec::new(), needs: Vec::new() });
            }
            let v2 = hierarchy.version == Version::V2;
            if let Some(need) = need.filter(|need| v2 && *need != "cgroup") {
                let needs = &mut targets[at].needs;
                if !needs.iter().any(|one| one == need) {
                    needs.push(need.to_owned());
                }
            }
            targets[at].asked.push(name);
        }
        Ok(targets)
    }

    /// The path of the group called `name`, relative to the mount points.
    /// `default_group` says whether the group that `cgcreate -S` noted comes
    /// before names that do not begin with a `/`.
    ///
    /// # Errors
    /// A name with `..`.
    pub fn path(&self, name: &OsStr, default_group: bool) -> Result<PathBuf, Error> {
        let path = relative(name)?;
        let below = !name.as_bytes().starts_with(b"/") || name == "/";
        match self.default_group().filter(|_| default_group && below) {
            Some(group) => Ok(if path.as_os_str().is_empty() { group } else { group.join(path) }),
            None => Ok(path),
        }
    }

    /// The noted group, if it is there.
    fn default_group(&self) -> Option<PathBuf> {
        let text = bytes(Path::new(DEFAULT_GROUP));
        let group = relative(OsStr::from_bytes(text.trim_ascii())).ok()?;
        let there = !group.as_os_str().is_empty() && self.hierarchies.iter().any(|h| h.dir(&group).is_dir());
        there.then_some(group)
    }
}

/// A small file of the kernel's. Room for all of it from the start: the
/// kernel then answers once.
fn contents(file: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(8192);
    fs::File::open(file)?.take(u64::MAX).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// [`contents`] of a file that nothing can be done without.
fn read(file: &Path) -> Result<Vec<u8>, Error> {
    contents(file).map_err(|error| {
        let errno = Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
        let source = SysError { what: format!("cannot read {}", file.display()), errno, hint: None };
        Error::Step { source, status: SYSTEM }
    })
}

/// [`contents`], none of what cannot be read.
pub(crate) fn bytes(file: &Path) -> Vec<u8> {
    contents(file).unwrap_or_default()
}

/// [`bytes`] as text.
pub(crate) fn text(file: &Path) -> String {
    String::from_utf8(bytes(file)).unwrap_or_default()
}

/// The same controller twice in one list.
pub(crate) fn twice(controller: &str) -> Error {
    Error::Argument { message: format!("controller '{controller}' is named twice"), status: INVALID }
}

fn known(line: &str) -> Option<Known> {
    let mut words = line.split_ascii_whitespace();
    let name = words.next().filter(|name| !name.starts_with('#'))?;
    Some(Known { name: name.to_owned(), number: words.next()?.parse().ok()? })
}

struct Mount<'a> {
    point: PathBuf,
    kind: &'a [u8],
    options: &'a [u8],
}

/// A line of mountinfo: the fifth word is the mount point; type, source and
/// super block options follow a lone `-` (proc_pid_mountinfo(5)).
fn mount(line: &[u8]) -> Option<Mount<'_>> {
    let mut words = line.split(|b| *b == b' ');
    let point = words.nth(4)?;
    words.find(|word| *word == b"-")?;
    let kind = words.next()?;
    let options = words.nth(1)?;
    Some(Mount { point: unescaped(point), kind, options })
}

/// `\040` and the like as the bytes they stand for.
fn unescaped(text: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = tail;
        let octal = |digits: &[u8]| digits.iter().try_fold(0u32, |sum, b| Some(sum * 8 + char::from(*b).to_digit(8)?));
        let escape = (*first == b'\\').then(|| tail.get(..3)).flatten().and_then(octal);
        match escape.and_then(|code| u8::try_from(code).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[3..];
            }
            None => bytes.push(*first),
        }
    }
    OsString::from_vec(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CGROUPS: &str = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n\
        cpuset\t3\t1\t1\ncpu\t1\t1\t1\ncpuacct\t1\t1\t1\nmemory\t4\t1\t1\nnet_cls\t0\t1\t1\n";
    const HYBRID: &[u8] = b"31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n\
        32 31 0:29 / /a\\040b rw,relatime shared:1 - cgroup cgroup rw,cpuacct,cpu\n\
        34 31 0:31 / /cpuset rw - cgroup cgroup rw,cpuset\n\
        40 31 0:37 / /systemd rw - cgroup cgroup rw,name=systemd\n\
        42 31 0:39 / /foo rw - cgroup cgroup rw,name=foo\n\
        41 31 0:38 / /unified rw - cgroup2 cgroup2 rw\n\
        43 31 0:29 / /again rw - cgroup cgroup rw,cpuacct,cpu\n";

    fn hybrid() -> Host {
        Host::parse(CGROUPS, HYBRID, |_| "hugetlb\n".to_owned())
    }

    #[test]
    fn mounts() {
        let host = hybrid();
        assert_eq!(host.mode(), Mode::Hybrid);
        let cpu = host.find("cpu").expect("cpu");
        assert_eq!(cpu.mounts, [Path::new("/a b"), Path::new("/again")]);
        assert_eq!(cpu.controllers, ["cpu", "cpuacct"]);
        assert_eq!(host.find("name=systemd"), None);
        assert_eq!(host.find("name=foo").map(|h| h.dir(Path::new("x"))), Some("/foo/x".into()));
        assert_eq!(host.find("hugetlb"), host.v2());
        assert_eq!(host.find("memory"), None);
        assert_eq!(host.all(), ["cpuset", "cpu", "cpuacct"]);
        assert!(host.resolve("net_cls").is_none());
    }

    #[test]
    fn v1_names_on_a_v2_host() {
        let info = b"1 2 0:3 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
        let host = Host::parse("", info, |_| "cpuset cpu io memory pids\n".to_owned());
        assert_eq!(host.mode(), Mode::Unified);
        assert_eq!(host.resolve("blkio").and_then(|(_, name)| name), Some("io"));
        assert_eq!(host.resolve("cpuacct").and_then(|(_, name)| name), Some("cpu"));
        assert_eq!(host.resolve("freezer").map(|(_, name)| name), Some(None));
        assert!(host.resolve("bogus").is_none());
        let spec = Spec::parse(OsStr::new("cpu,cpuacct,freezer,blkio:x")).expect("a spec");
        let targets = host.targets(&spec, 91).expect("all known");
        assert_eq!(targets.len(), 1);
        assert_eq!(targets[0].needs, ["cpu", "io"]);
    }
}
