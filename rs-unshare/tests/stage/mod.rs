//! A stage for what may be left behind: who still runs, what is still bound.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

use chain::testing::{Scratch, bin, run};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Waits up to fifteen seconds until `done`.
pub(crate) fn soon(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(15), "not seen: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The processes with `mark` among their words that are the tool's: strace,
/// sh and the like have it too. Zombies have no words.
pub(crate) fn processes(mark: &str) -> Vec<u32> {
    let of = |entry: std::fs::DirEntry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let words = std::fs::read(entry.path().join("cmdline")).ok()?;
        let text = String::from_utf8_lossy(&words).into_owned();
        (text.split('\0').next()?.ends_with("rs-unshare") && text.contains(mark)).then_some(pid)
    };
    std::fs::read_dir("/proc").expect("/proc").flatten().filter_map(of).collect()
}

pub(crate) fn kill(pid: u32, signal: &str) {
    assert_eq!(run("kill", [format!("-{signal}"), pid.to_string()]).status, 0);
}

pub(crate) fn bound(file: &Path) -> bool {
    std::fs::read_to_string("/proc/self/mountinfo").expect("mounts").contains(&format!(" {} ", file.display()))
}

/// A stage: a file that may be bound, and a mark that is in every command.
pub(crate) struct Stage {
    pub(crate) scratch: Scratch,
    pub(crate) file: std::path::PathBuf,
    pub(crate) mark: String,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let scratch = Scratch::new();
        let file = scratch.join("f");
        std::fs::write(&file, "").expect("a file");
        let mark = scratch.join("mark").display().to_string();
        Self { scratch, file, mark }
    }

    pub(crate) fn uts(&self) -> String {
        format!("--uts={}", self.file.display())
    }

    /// Starts the tool, in a process group of its own, under strace, which
    /// holds each `call` up for `microseconds` before it is made.
    pub(crate) fn slowly(&self, call: &str, microseconds: u32, args: &[&str]) -> Child {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-e"]).arg(format!("trace={call}"));
        command.arg("-e").arg(format!("inject={call}:delay_enter={microseconds}"));
        command.arg("-o").arg(self.scratch.join("log")).arg("setsid").arg(bin("rs-unshare")).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().expect("strace starts")
    }

    pub(crate) fn nothing_is_left(&self) {
        soon("no process", || processes(&self.mark).is_empty());
        assert!(!bound(&self.file), "{} is bound", self.file.display());
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for pid in processes(&self.mark) {
            let _ = run("kill", ["-KILL".to_owned(), pid.to_string()]);
        }
        while bound(&self.file) && run("umount", [&self.file]).status == 0 {}
    }
}
