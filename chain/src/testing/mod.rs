//! What the tests of all tools share. Only with feature `testing`.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]
#![allow(clippy::missing_panics_doc, reason = "a test ends by panicking")]

mod kernel;
mod parity;
mod strace;

pub use crate::needs;
pub use kernel::Kernel;
pub use parity::{Tally, parity};
pub use strace::{against_strace, against_strace_under, inject};

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Says aloud that a test is skipped, and why. Fails instead where `RS_MUST`
/// is set, unless the need cannot be met in this lane of `check`: see
/// [`lane_has`]. `check` sees to it that each test runs in some lane.
pub fn skip(need: &str) {
    let thread = std::thread::current();
    skip_named(need, thread.name().unwrap_or("main"));
}

/// [`skip`] for a part of a test that has a name of its own.
fn skip_named(need: &str, name: &str) {
    let lane = std::env::var("RS_LANE").unwrap_or_default();
    let must = std::env::var_os("RS_MUST").is_some() && lane_has(&lane, need);
    assert!(!must, "RS_MUST is set, and this machine lacks: {need}");
    // Past the test runner's capture, so that it is seen. One form for check.
    crate::error::write_stderr(&format!("skipped: {name}: needs {need}\n"));
}

/// Whether `need` can be met in `lane` (`RS_LANE`, which `check` sets) at all:
///
/// | lane     | is                                     | cannot have      |
/// |----------|----------------------------------------|------------------|
/// | `root`   | root, on this machine                  | `user`           |
/// | `musl`   | the same, with the shipped programs    | `user`           |
/// | `user`   | an ordinary user, on this machine      | `root`           |
/// | `userns` | inside `unshare -r`                    | `root`, `user`   |
/// | `v2`     | root in a machine with cgroup v2 alone | `user`, `v1`     |
/// | `v1`     | root in a machine with cgroup v1 alone | `user`, `v2`     |
///
/// `v2-user` and `v1-user` are those machines for an ordinary user. This
/// machine has `v1` or `v2`, never both. Programs can be had everywhere.
fn lane_has(lane: &str, need: &str) -> bool {
    let (machine, who) = match lane.split_once('-') {
        Some((machine, who)) => (machine, who),
        None if lane.starts_with('v') => (lane, "root"),
        None => ("", lane),
    };
    match need {
        "root" => !matches!(who, "user" | "userns"),
        "user" => !matches!(who, "root" | "musl" | "userns"),
        "v1" | "v2" => machine == need,
        _ => true,
    }
}

/// Whether what `need` names is here: `root`, `user` (not root), `v1`, `v2`
/// (where the memory controller is), `userns`, else a program in PATH.
pub fn have(need: &str) -> bool {
    match need {
        "root" => nix::unistd::geteuid().is_root() && in_first_user_namespace(),
        "user" => !nix::unistd::geteuid().is_root(),
        "v1" => !v2() && Path::new("/proc/cgroups").exists(),
        "v2" => v2(),
        "userns" => {
            Command::new("unshare").args(["-U", "true"]).stderr(Stdio::null()).status().is_ok_and(|s| s.success())
        }
        program => find(program).is_some(),
    }
}

fn in_first_user_namespace() -> bool {
    std::fs::read_to_string("/proc/self/uid_map")
        .is_ok_and(|map| map.split_ascii_whitespace().collect::<Vec<_>>() == ["0", "0", "4294967295"])
}

fn v2() -> bool {
    std::fs::read_to_string("/sys/fs/cgroup/cgroup.controllers").is_ok_and(|text| text.contains("memory"))
}

/// `program` in PATH.
pub fn find(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Returns from the test, aloud, unless this machine has all that is named:
/// `needs!("root", "strace")`.
#[macro_export]
macro_rules! needs {
    ($($need:expr),+ $(,)?) => {
        $( if !$crate::testing::have($need) { return $crate::testing::skip($need); } )+
    };
}

/// The built program `name`: in the folder `RS_BIN` if that is set (`check`
/// tests the shipped programs so), else beside the test's own.
pub fn bin(name: &str) -> PathBuf {
    let file = std::env::var_os("RS_BIN").map_or_else(beside, PathBuf::from).join(name);
    // What is not shipped is beside the test in any case.
    let file = if file.exists() { file } else { beside().join(name) };
    assert!(file.exists(), "{} is not built: cargo build --workspace --bins", file.display());
    file
}

/// The folder that cargo builds programs to.
fn beside() -> PathBuf {
    let mut folder = std::env::current_exe().expect("the test's own path");
    folder.pop();
    if folder.ends_with("deps") {
        folder.pop();
    }
    folder
}

/// What a run gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// The exit status, 128 + n after signal n.
    pub status: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        use std::os::unix::process::ExitStatusExt;
        Self {
            status: output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap_or_default()),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

/// Runs `program` with `args`, nothing on its standard input.
pub fn run<S: AsRef<OsStr>>(program: impl AsRef<OsStr>, args: impl IntoIterator<Item = S>) -> Ran {
    Command::new(program).args(args).stdin(Stdio::null()).output().expect("it starts").into()
}

/// Runs `script` under sh with `folder` in front of PATH.
pub fn sh(folder: &Path, script: &str) -> Ran {
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = Command::new("sh");
    command.args(["-c", script]).env("PATH", path).stdin(Stdio::null());
    command.output().expect("sh starts").into()
}

/// A folder that is removed at the end of the test, also when it fails.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes one below the system's folder for such.
    pub fn new() -> Self {
        use std::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("rs-chain.{}.{number}", std::process::id()));
        std::fs::create_dir(&folder).expect("a new folder");
        Self(folder)
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A path below it.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }

    /// A folder of links: each `name` to the built program `target`.
    pub fn links(&self, names: &[(&str, &str)]) -> PathBuf {
        let folder = self.join("links");
        std::fs::create_dir_all(&folder).expect("a new folder");
        for (name, target) in names {
            std::os::unix::fs::symlink(bin(target), folder.join(name)).expect("a new link");
        }
        folder
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if std::fs::remove_dir_all(&self.0).is_err() {
            // A folder that shuts out its owner.
            let _ = Command::new("chmod").args(["-R", "u+rwX"]).arg(&self.0).output();
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_each_lane_can_have() {
        let lacks = |lane| {
            ["root", "user", "v1", "v2", "strace"].into_iter().filter(|n| !lane_has(lane, n)).collect::<Vec<_>>()
        };
        assert_eq!(lacks("root"), ["user", "v1", "v2"]);
        assert_eq!(lacks("musl"), lacks("root"));
        assert_eq!(lacks("user"), ["root", "v1", "v2"]);
        assert_eq!(lacks("userns"), ["root", "user", "v1", "v2"]);
        assert_eq!(lacks("v2"), ["user", "v1"]);
        assert_eq!(lacks("v2-user"), ["root", "v1"]);
        assert_eq!(lacks("v1"), ["user", "v2"]);
        assert_eq!(lacks(""), ["v1", "v2"]);
    }
}
