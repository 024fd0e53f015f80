//! What the tests of all tools share. Only with feature `testing`.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]
#![allow(clippy::missing_panics_doc, reason = "a test ends by panicking")]

mod kernel;
mod parity;

pub use crate::needs;
pub use kernel::Kernel;
pub use parity::{Tally, parity};

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

/// Runs `program --trace args` under strace and checks that both tell the
/// same: nothing made up, nothing hidden. `calls` are the `Call::NAME`s of
/// the tool. Returns what is different, empty if nothing is.
///
/// From strace's: the exec that starts us, reading opens, writes to standard
/// descriptors and all after the exec that succeeded go; from ours the `#`
/// lines and the paths after descriptors; pids and pointers from both.
pub fn against_strace(program: &Path, args: &[&str], calls: &[&str]) -> Vec<String> {
    against_strace_under(&[], program, args, calls)
}

/// [`against_strace`], strace itself run by `wrapper`: `["unshare", "-m"]`.
pub fn against_strace_under(wrapper: &[&str], program: &Path, args: &[&str], calls: &[&str]) -> Vec<String> {
    let scratch = Scratch::new();
    let file = scratch.join("strace");
    let mut words = wrapper.iter().copied().chain(["strace"]);
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    command.args(["-f", "-qq", "-s", "65535", "-e", "signal=none", "-e"]);
    command.arg(format!("trace={}", calls.join(","))).arg("-o").arg(&file).arg(program);
    let ran =
        command.arg("--trace").args(args).stdin(Stdio::null()).stdout(Stdio::null()).output().expect("strace starts");
    let theirs = std::fs::read_to_string(&file).unwrap_or_default();
    let ours = String::from_utf8_lossy(&ran.stderr).into_owned();
    difference(&normal_strace(&theirs), &normal_ours(&ours, calls))
}

/// A line of a trace, and the process it is of; the first has no name.
type Line = (String, String);

/// Each process's lines have an order of their own: who of two is first is
/// chance.
fn difference(theirs: &[Line], ours: &[Line]) -> Vec<String> {
    let sorted = |lines: &[Line]| {
        let mut lines = lines.to_vec();
        lines.sort_by(|a, b| a.0.cmp(&b.0));
        lines
    };
    if sorted(theirs) == sorted(ours) {
        return Vec::new();
    }
    let shown = |who: &str, lines: &[Line]| -> Vec<String> {
        lines.iter().map(|(pid, line)| format!("{who} {pid:7} {line}")).collect()
    };
    [shown("strace:", theirs), shown("ours:  ", ours)].concat()
}

/// `5</a/path>` as `5`, wherever a descriptor stands.
fn without_paths(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut quoted = false;
    let mut rest = line.char_indices().peekable();
    let mut previous = ' ';
    while let Some((_, c)) = rest.next() {
        if quoted && c == '\\' {
            out.push(c);
            if let Some((_, next)) = rest.next() {
                out.push(next);
            }
            continue;
        }
        if c == '"' {
            quoted = !quoted;
        }
        // `1<<CAP_CHOWN` is no descriptor.
        let shift = rest.peek().is_some_and(|(_, next)| *next == '<');
        if !quoted && c == '<' && !shift && previous.is_ascii_digit() {
            for (_, c) in rest.by_ref() {
                if c == '>' {
                    break;
                }
            }
            previous = '>';
            continue;
        }
        out.push(c);
        previous = c;
    }
    out
}

fn normal_strace(text: &str) -> Vec<Line> {
    let first = text.split(' ').next().unwrap_or_default();
    let mut lines = Vec::new();
    let mut pending: std::collections::HashMap<String, String> = std::collections::HashMap::new();
    let mut payload: std::collections::HashSet<String> = std::collections::HashSet::new();
    let mut started = false;
    for line in text.lines() {
        let Some((pid, line)) = line.split_once(' ') else { continue };
        let mut line = line.trim_start().to_owned();
        if let Some(begin) = line.strip_suffix(" <unfinished ...>") {
            pending.insert(pid.to_owned(), begin.to_owned());
            continue;
        }
        if line.starts_with("<... ")
            && let Some((_, end)) = line.split_once(" resumed>")
        {
            line = format!("{}{end}", pending.remove(pid).unwrap_or_default());
        }
        let Some((call, result)) = line.rsplit_once(" = ") else { continue };
        let line = format!("{} = {}", call.trim_end(), result);
        if payload.contains(pid) {
            continue;
        }
        if call.starts_with("execve(") {
            if !started {
                started = true;
                continue;
            }
            if result == "0" {
                payload.insert(pid.to_owned());
            }
        }
        let reading = call.starts_with("openat(") && call.contains("O_RDONLY") && !call.contains("O_CREAT");
        let other = [
            "write(1, ",
            "write(2, ",
            "rt_sigprocmask(SIG_BLOCK, NULL, ",
            "rt_sigprocmask(SIG_UNBLOCK, [RT_1 RT_2], ",
            "prctl(PR_CAPBSET_READ, ",
            "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, ",
            "prctl(PR_GET_",
        ];
        if !reading && !other.iter().any(|begin| call.starts_with(begin)) {
            lines.push((if pid == first { String::new() } else { pid.to_owned() }, pointers_out(&line)));
        }
    }
    lines
}

/// `0x7ffc... /* 23 vars */` as `/* 23 vars */`.
fn pointers_out(line: &str) -> String {
    // The environment is on the stack, or on the heap where it is a new one.
    match (line.rfind("], 0x"), line.rfind(" /* ")) {
        (Some(start), Some(end)) if start < end => format!("{}],{}", &line[..start], &line[end..]),
        _ => line.to_owned(),
    }
}

fn normal_ours(text: &str, calls: &[&str]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for line in text.lines() {
        let (pid, line) = line.strip_prefix("[pid ").and_then(|rest| rest.split_once("] ")).unwrap_or(("", line));
        if !calls.iter().any(|call| line.strip_prefix(call).is_some_and(|rest| rest.starts_with('('))) {
            continue;
        }
        let reading = line.starts_with("openat(") && line.contains("O_RDONLY") && !line.contains("O_CREAT");
        if reading {
            continue;
        }
        let line = without_paths(line);
        // The exec that returned after all has a second line.
        if let Some(last) = lines.iter().rposition(|(of, _)| of == pid)
            && let Some(begin) = lines[last].1.strip_suffix(" = ?")
            && line.strip_prefix(begin).is_some_and(|rest| rest.starts_with(" = -1"))
        {
            lines.remove(last);
        }
        lines.push((pid.to_owned(), line));
    }
    for (_, line) in &mut lines {
        if line.starts_with("execve(")
            && let Some(begin) = line.strip_suffix("?")
        {
            *line = format!("{begin}0");
        }
    }
    lines
}

/// Runs `program args` while strace makes the `when`th call of `call` fail
/// with `errno`. `execve` counts from 2: strace starts us with the first.
pub fn inject(program: &Path, args: &[&str], call: &str, errno: &str, when: u32) -> Ran {
    let scratch = Scratch::new();
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(scratch.join("strace"));
    command.arg("-e").arg(format!("trace={call}")).arg("-e").arg(format!("inject={call}:error={errno}:when={when}"));
    command.arg(program).args(args).stdin(Stdio::null());
    command.output().expect("strace starts").into()
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
