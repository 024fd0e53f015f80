//! What the tests share: a root of busybox, and ways to run in it.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::disallowed_methods,
    reason = "each test file uses a part of it, with whatever serves"
)]

use chain::testing::{Ran, Scratch, bin, find, run};
use std::ffi::OsStr;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What of busybox the roots have.
const APPLETS: [&str; 24] = [
    "sh", "ls", "cat", "mount", "stat", "tty", "id", "ps", "mkdir", "readlink", "touch", "grep", "head", "dd", "wc",
    "stty", "sleep", "umount", "echo", "test", "df", "mknod", "chroot", "hexdump",
];

/// The tool.
pub fn tool() -> PathBuf {
    bin("rs-mountdev")
}

/// A root folder that is removed at the end. `path` is the root, beside
/// which `outside` stands for the host.
pub struct Stage {
    scratch: Scratch,
}

impl Stage {
    /// A root with busybox in it.
    pub fn new() -> Self {
        let stage = Self::empty();
        let folder = stage.root().join("bin");
        std::fs::create_dir(&folder).expect("bin");
        let busybox = find("busybox").expect("busybox-static is installed");
        // By another process: a child that a test starts meanwhile would hold a
        // file of ours open for writing, and nobody could run it.
        let copied = Command::new("cp").arg(busybox).arg(&folder).status();
        assert!(copied.is_ok_and(|status| status.success()), "a copy of busybox");
        for name in APPLETS {
            symlink("busybox", folder.join(name)).expect("a link to busybox");
        }
        stage
    }

    /// A root with nothing in it.
    pub fn empty() -> Self {
        let scratch = Scratch::new();
        std::fs::create_dir(scratch.join("root")).expect("a root");
        std::fs::create_dir(scratch.join("outside")).expect("an outside");
        std::fs::set_permissions(scratch.path(), PermissionsExt::from_mode(0o755)).expect("open to all");
        Self { scratch }
    }

    pub fn root(&self) -> PathBuf {
        self.scratch.join("root")
    }

    pub fn outside(&self) -> PathBuf {
        self.scratch.join("outside")
    }

    /// Runs sh's `script` with ROOT, OUT and T (the tool) set, in the
    /// namespaces that `flags` of unshare(1) make.
    pub fn sh(&self, flags: &str, script: &str) -> Ran {
        let mut command = Command::new("unshare");
        command.args(flags.split_whitespace()).args(["sh", "-c", script]);
        self.env(&mut command);
        command.stdin(Stdio::null()).output().expect("unshare starts").into()
    }

    pub fn env(&self, command: &mut Command) {
        command.env("ROOT", self.root()).env("OUT", self.outside()).env("T", tool());
    }

    /// The tool's `options` (words for sh), then `script` by the root's own
    /// sh, chrooted, as real root in namespaces of its own.
    pub fn inside(&self, options: &str, script: &str) -> Ran {
        self.within(PRIVILEGED, options, script)
    }

    /// [`Stage::inside`], with these namespaces.
    pub fn within(&self, flags: &str, options: &str, script: &str) -> Ran {
        let line = format!("exec \"$T\" --root=\"$ROOT\" {options} -- chroot \"$ROOT\" /bin/sh -c '{script}'");
        self.sh(flags, &line)
    }

    /// The same with `--pivot`.
    pub fn pivoted(&self, flags: &str, options: &str, script: &str) -> Ran {
        self.sh(flags, &format!("exec \"$T\" --root=\"$ROOT\" {options} --pivot -- /bin/sh -c '{script}'"))
    }

    /// Makes `script` of sh prepare the root (working folder) beforehand.
    pub fn prepare(&self, script: &str) {
        let mut command = Command::new("sh");
        command.args(["-ec", script]).current_dir(self.root());
        self.env(&mut command);
        let ran: Ran = command.output().expect("sh starts").into();
        assert_eq!(ran.status, 0, "{script}: {}", ran.stderr);
    }
}

/// Namespaces of real root.
pub const PRIVILEGED: &str = "-muinpf";
/// Namespaces of a user who is root only inside.
pub const ROOTLESS: &str = "-muinpfr";

/// All of a folder as text: paths, types, modes, sizes, link texts, change
/// times. Equal before and after means that nothing was touched.
pub fn fingerprint(folder: &Path) -> String {
    let format = "%p %y %m %s %l %T@ %C@ %n\\n";
    run("find", [folder.as_os_str(), OsStr::new("-printf"), OsStr::new(format)]).stdout
}

/// Asserts success and gives standard output.
#[track_caller]
pub fn ok(ran: Ran) -> String {
    assert_eq!(ran.status, 0, "stdout {:?} stderr {:?}", ran.stdout, ran.stderr);
    ran.stdout
}

/// Asserts that it was refused: 125, nothing run, one line that says this.
#[track_caller]
pub fn refused(ran: &Ran, says: &str) {
    assert_eq!(ran.status, 125, "stdout {:?} stderr {:?}", ran.stdout, ran.stderr);
    assert_eq!(ran.stdout, "", "something ran");
    assert!(ran.stderr.starts_with("rs-mountdev: "), "{}", ran.stderr);
    let first = ran.stderr.lines().next().unwrap_or_default();
    assert!(first.contains(says), "{:?} lacks {says:?}", ran.stderr);
    let others = ran.stderr.lines().skip(1).filter(|line| !line.starts_with("rs-mountdev: hint: ")).count();
    assert_eq!(others, 0, "more than a line: {:?}", ran.stderr);
}

/// Runs the tool under strace with these `-e` expressions, in the namespaces
/// that `flags` of unshare(1) make.
pub fn straced(flags: &str, expressions: &[String], args: &[&str]) -> Ran {
    let scratch = Scratch::new();
    let mut command = Command::new("unshare");
    command.args(flags.split_whitespace()).args(["strace", "-f", "-qq", "-o"]).arg(scratch.join("strace"));
    for expression in expressions {
        command.arg("-e").arg(expression);
    }
    command.arg(tool()).args(args).stdin(Stdio::null()).output().expect("unshare starts").into()
}

/// Runs a body twice: as root, and rootless.
pub fn both(body: impl Fn(&str)) {
    body(ROOTLESS);
    if chain::testing::have("root") {
        body(PRIVILEGED);
    }
}

/// mountinfo's type and options of what is mounted at `$1` inside.
const MOUNTED: &str = r#"mounted() { while read -r a b c d p o rest; do test "$p" = "$1" && echo "$o ${rest#*- }"; done < /proc/self/mountinfo; :; }; "#;

/// The line of what is mounted at `place` with these options: the mount's
/// options, the type, the source, the file system's options.
pub fn mounted(options: &str, place: &str, flags: &str) -> String {
    let stage = Stage::new();
    ok(stage.within(flags, options, &format!("{MOUNTED} mounted {place}").replace('\'', "\"")))
}
