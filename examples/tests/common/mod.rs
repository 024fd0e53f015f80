//! What the tests of the whole container share: a terminal, and a look for
//! what was left behind.
#![allow(dead_code, reason = "each test file uses its part")]

use chain::testing::{Ran, Scratch, find};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// The top of the repository.
pub(crate) fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// Whether `condition` becomes true in `seconds`.
pub(crate) fn within(seconds: u64, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    loop {
        if condition() {
            return true;
        }
        if start.elapsed() > Duration::from_secs(seconds) {
            return false;
        }
        sleep(Duration::from_millis(50));
    }
}

/// A folder of its own for the temporary files of what a test runs, so that
/// anything left in it is that test's.
pub(crate) struct Stage {
    scratch: Scratch,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let scratch = Scratch::new();
        fs::create_dir(scratch.join("tmp")).expect("a new folder");
        for folder in [scratch.path().to_owned(), scratch.join("tmp")] {
            fs::set_permissions(folder, fs::Permissions::from_mode(0o1777)).expect("chmod");
        }
        Self { scratch }
    }

    pub(crate) fn tmp(&self) -> PathBuf {
        self.scratch.join("tmp")
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.scratch.join(name)
    }

    /// A command whose temporary files stand here.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("TMPDIR", self.tmp()).stdin(Stdio::null());
        command
    }

    /// What is still there of a container called `id`: files, mounts,
    /// processes, control groups. Waits a little for the last to go.
    pub(crate) fn left(&self, id: &str) -> Vec<String> {
        let mut left = Vec::new();
        within(10, || {
            left = self.left_now(id);
            left.is_empty()
        });
        left
    }

    fn left_now(&self, id: &str) -> Vec<String> {
        let here = self.tmp().display().to_string();
        let mut left = Vec::new();
        for entry in fs::read_dir(self.tmp()).expect("it is there").flatten() {
            left.push(format!("file {}", entry.path().display()));
        }
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
        left.extend(mounts.lines().filter(|line| line.contains(&here)).map(|line| format!("mount {line}")));
        for process in fs::read_dir("/proc").expect("proc").flatten() {
            let words = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let words = String::from_utf8_lossy(&words).replace('\0', " ");
            if words.contains(&here) || (!id.is_empty() && words.contains(id)) {
                left.push(format!("process {words}"));
            }
        }
        if !id.is_empty() {
            let found =
                Command::new("find").args(["/sys/fs/cgroup", "-type", "d", "-name", id]).output().expect("find");
            left.extend(String::from_utf8_lossy(&found.stdout).lines().map(|line| format!("cgroup {line}")));
        }
        left
    }
}

/// The pid of the process of `stage` whose program is `name`.
pub(crate) fn running(stage: &Stage, name: &str) -> Option<u32> {
    let here = stage.tmp().display().to_string();
    fs::read_dir("/proc").ok()?.flatten().find_map(|entry| {
        let pid = entry.file_name().to_str()?.parse().ok()?;
        let words = fs::read(entry.path().join("cmdline")).ok()?;
        let words = String::from_utf8_lossy(&words);
        let first = words.split('\0').next()?;
        (first.ends_with(name) && words.contains(&here)).then_some(pid)
    })
}

/// The parent of `pid`.
pub(crate) fn parent(pid: u32) -> u32 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("PPid:")).expect("PPid");
    line.trim().parse().expect("a pid")
}

/// A terminal: tmux with a server of its own, killed at the end.
pub(crate) struct Terminal {
    socket: String,
}

impl Terminal {
    /// Opens one of 120 by 40 that runs `script`, and stays when it ends.
    pub(crate) fn open(stage: &Stage, name: &str, script: &str) -> Self {
        let terminal = Self { socket: format!("rs-chain-{name}-{}", std::process::id()) };
        // In a file: the words of this shell would look like something left.
        // One Ctrl-C too many must not take the screen away at the end.
        let file = stage.join(name);
        fs::write(&file, format!("trap : INT\n{script}\nset -- $?; trap '' INT; echo \"[ended $1]\"; exec sleep 1000"))
            .expect("written");
        let file = file.display().to_string();
        terminal.tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "120", "-y", "40", "sh", &file]);
        terminal
    }

    fn tmux(&self, args: &[&str]) -> Ran {
        let tmux = find("tmux").expect("tmux");
        let mut command = Command::new(tmux);
        command.args(["-L", &self.socket]).args(args).env_remove("TMUX").stdin(Stdio::null());
        command.output().expect("tmux starts").into()
    }

    /// Types `text` and Enter.
    pub(crate) fn line(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
        self.key("Enter");
    }

    /// Presses a key by tmux's name for it.
    pub(crate) fn key(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// What has been on the screen, with 1,000 lines of history; lines that
    /// the terminal broke are whole.
    pub(crate) fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-J", "-S", "-1000"]).stdout
    }

    /// Waits until the screen holds `text`.
    pub(crate) fn wait_for(&self, text: &str) -> String {
        let mut screen = String::new();
        let found = within(180, || {
            screen = self.screen();
            screen.contains(text)
        });
        assert!(found, "the screen never showed {text:?}:\n{screen}");
        screen
    }

    /// Changes the window's size.
    pub(crate) fn resize(&self, columns: u32, rows: u32) {
        self.tmux(&["resize-window", "-x", &columns.to_string(), "-y", &rows.to_string()]);
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}
