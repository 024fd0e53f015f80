//! What the tests of this crate share: links under the originals' names, and
//! groups that are gone when the test is over.
#![allow(clippy::disallowed_methods, dead_code, reason = "tests set the stage with whatever serves")]

use chain::testing::{Scratch, have, sh};
use rs_cgexec::group::tree;
use rs_cgexec::hierarchy::Host;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// Every tool of this crate, by the original's name.
pub(crate) const TOOLS: [&str; 9] =
    ["cgcreate", "cgset", "cgget", "cgexec", "cgclassify", "cgdelete", "lscgroup", "lssubsys", "uuidgen"];

/// The names of a test's groups begin with this.
pub(crate) fn unique(what: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("rs-{what}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A folder of links under the originals' names.
pub(crate) struct Stage {
    scratch: Scratch,
    links: PathBuf,
    /// What the test's groups are called.
    pub(crate) group: String,
}

impl Stage {
    pub(crate) fn new(what: &str) -> Self {
        let scratch = Scratch::new();
        let links: Vec<(String, String)> = TOOLS.iter().map(|name| ((*name).into(), format!("rs-{name}"))).collect();
        let links: Vec<(&str, &str)> = links.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
        let links = scratch.links(&links);
        Self { scratch, links, group: unique(what) }
    }

    /// Copies the tools to where any user may run them.
    pub(crate) fn for_anyone(what: &str) -> Self {
        use std::os::unix::fs::PermissionsExt;
        let stage = Self::new(what);
        let open = |path: &Path| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("ours");
        open(stage.scratch.path());
        open(&stage.links);
        for name in ["cgcreate", "cgset", "cgget", "cgexec", "cgclassify", "cgdelete"] {
            let link = stage.links.join(name);
            let real = std::fs::canonicalize(&link).expect("a built tool");
            std::fs::remove_file(&link).expect("ours");
            std::fs::copy(real, &link).expect("room for a copy");
            open(&link);
        }
        stage
    }

    pub(crate) fn links(&self) -> &Path {
        &self.links
    }

    /// Runs `script` with ours under the originals' names; `$G` is the
    /// test's group.
    pub(crate) fn sh(&self, script: &str) -> chain::testing::Ran {
        sh(self.links(), &format!("G={}\n{script}", self.group))
    }

    /// The same, which must succeed; its standard output.
    pub(crate) fn ok(&self, script: &str) -> String {
        let ran = self.sh(script);
        assert_eq!(ran.status, 0, "{script}: {}{}", ran.stdout, ran.stderr);
        ran.stdout
    }

    /// The directory of the test's group, or of one below, in the hierarchy
    /// of `controller`.
    pub(crate) fn dir(&self, controller: &str) -> PathBuf {
        let host = Host::read().expect("the mount table");
        let hierarchy = host.find(controller).or_else(|| host.v2()).expect("a hierarchy");
        hierarchy.dir(Path::new(&self.group))
    }

    pub(crate) fn read(&self, controller: &str, file: &str) -> String {
        let file = self.dir(controller).join(file);
        std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        remove(&self.group);
    }
}

/// Removes the group `name` everywhere, with what runs in it.
pub(crate) fn remove(name: &str) {
    for hierarchy in &Host::read().expect("the mount table").hierarchies {
        let top = hierarchy.dir(Path::new(name));
        if !top.is_dir() {
            continue;
        }
        let _ = std::fs::write(top.join("freezer.state"), "THAWED");
        for dir in tree(&top).into_iter().rev() {
            for _ in 0..200 {
                for pid in std::fs::read_to_string(dir.join("cgroup.procs")).unwrap_or_default().lines() {
                    if let Ok(pid) = pid.parse() {
                        let kill = nix::sys::signal::Signal::SIGKILL;
                        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), kill);
                    }
                }
                if std::fs::remove_dir(&dir).is_ok() || !dir.exists() {
                    break;
                }
                std::thread::sleep(std::time::Duration::from_millis(5));
            }
        }
    }
}

/// Which version the memory controller is on.
pub(crate) fn v2() -> bool {
    have("v2")
}
