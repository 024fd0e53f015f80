//! Our `--dev --proc --sys --shm --mqueue` beside what runc, crun, bwrap and
//! docker make here: every entry of `/dev`, every mount. What is different
//! is listed, here and in the man page's DIFFERENCES.
#![allow(clippy::disallowed_methods)]

mod stage;

use chain::testing::{Ran, needs, run};
use stage::{PRIVILEGED, Stage, ok};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Prints what is in `/dev` and what is mounted.
const LOOK: &str = "cd /dev; for f in * */*; do case $f in fd/*|\\*/\\*) ;; *) echo dev/$f $(/bin/busybox stat -c \"%F %t:%T %a\" $f) $(/bin/busybox readlink $f);; esac; done; \
    while read -r id up number root point options rest; do echo mount $point $options ${rest#*- }; done < /proc/self/mountinfo";

type Tree = BTreeMap<String, String>;

/// Entries of `/dev` by name; mounts by place, only those that all can have.
fn tree(text: &str) -> Tree {
    let mut tree = Tree::new();
    for line in text.lines() {
        if let Some((place, about)) = line.strip_prefix("mount ").and_then(|line| line.split_once(' ')) {
            let wanted = ["/proc", "/dev", "/dev/pts", "/dev/shm", "/dev/mqueue", "/sys"];
            if wanted.contains(&place) {
                // Options of the mount, the type.
                let words: Vec<&str> = about.split(' ').collect();
                tree.insert(format!("mount {place}"), format!("{} {}", words[0], words[1]));
            }
        } else if let Some((name, about)) = line.split_once(' ') {
            tree.insert(name.to_owned(), about.trim().to_owned());
        }
    }
    tree
}

fn ours(stage: &Stage) -> Tree {
    let script = LOOK.replace('\'', "'\\''");
    tree(&ok(stage.pivoted(PRIVILEGED, "--dev --proc --sys --shm --mqueue", &script)))
}

/// `name: theirs | ours` for each that differs.
fn differences(theirs: &Tree, ours: &Tree) -> Vec<String> {
    let names: std::collections::BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    let show = |tree: &Tree, name: &str| tree.get(name).cloned().unwrap_or_else(|| "-".to_owned());
    names
        .into_iter()
        .filter(|name| theirs.get(*name) != ours.get(*name))
        .map(|name| format!("{name}: {} | {}", show(theirs, name), show(ours, name)))
        .collect()
}

/// What an OCI runtime makes of its own `spec`.
fn oci(stage: &Stage, runtime: &str, options: &[&str]) -> Ran {
    let bundle = stage.outside();
    let made: Ran = Command::new(runtime).arg("spec").current_dir(&bundle).output().expect("it starts").into();
    assert_eq!(made.status, 0, "{}", made.stderr);
    let config = std::fs::read_to_string(bundle.join("config.json")).expect("a configuration");
    let words = format!("\"args\": [\"/bin/sh\", \"-c\", {LOOK:?}]");
    let start = config.find("\"args\"").expect("args");
    let end = start + config[start..].find(']').expect("their end") + 1;
    let root = format!("\"path\": \"{}\"", stage.root().display());
    let config = format!("{}{words}{}", &config[..start], &config[end..]);
    let config = config.replace("\"terminal\": true", "\"terminal\": false").replace("\"path\": \"rootfs\"", &root);
    std::fs::write(bundle.join("config.json"), config).expect("the configuration");
    // crun knows no hybrid of cgroup versions: it is shown the second alone.
    let alone = "test -d /sys/fs/cgroup/unified && mount -t cgroup2 c /sys/fs/cgroup; exec \"$@\"";
    let alone = if runtime == "crun" { alone } else { "exec \"$@\"" };
    let mut command = Command::new("timeout");
    command.args(["-k", "1", "30", "unshare", "-m", "sh", "-c", alone, "sh", runtime]).args(options);
    command.arg("--root").arg(bundle.join("state")).args(["run", &format!("rs-mountdev.{}", std::process::id())]);
    command.current_dir(&bundle).stdin(Stdio::null()).output().expect("it starts").into()
}

const MOUNTS: [&str; 2] = [
    "mount /dev: rw,nosuid tmpfs | rw,nosuid,nodev,noexec,relatime tmpfs",
    "mount /proc: rw,relatime proc | rw,nosuid,nodev,noexec,relatime proc",
];

#[test]
fn runc() {
    needs!("root", "runc");
    let stage = Stage::new();
    let theirs = tree(&ok(oci(&stage, "runc", &[])));
    assert_eq!(differences(&theirs, &ours(&stage)), MOUNTS);
}

#[test]
fn crun() {
    needs!("root", "crun");
    let stage = Stage::new();
    let theirs = tree(&ok(oci(&stage, "crun", &["--cgroup-manager=disabled"])));
    let core = "dev/core: symbolic link 0:0 777 /proc/kcore | -";
    assert_eq!(differences(&theirs, &ours(&stage)), [core, MOUNTS[0], MOUNTS[1]]);
}

#[test]
fn bwrap() {
    needs!("root", "bwrap");
    let stage = Stage::new();
    let root = stage.root().display().to_string();
    let ran = run(
        "bwrap",
        [
            "--unshare-all",
            "--bind",
            &root,
            "/",
            "--proc",
            "/proc",
            "--dev",
            "/dev",
            "--mqueue",
            "/dev/mqueue",
            "/bin/sh",
            "-c",
            LOOK,
        ],
    );
    let wanted = [
        // /proc/kcore is not for a container.
        "dev/core: symbolic link 0:0 777 /proc/kcore | -",
        // Theirs is a folder of dev, without a limit of its own.
        "dev/shm: directory 0:0 755 | directory 0:0 1777",
        "mount /dev: rw,nosuid,nodev,relatime tmpfs | rw,nosuid,nodev,noexec,relatime tmpfs",
        "mount /dev/mqueue: rw,relatime mqueue | rw,nosuid,nodev,noexec,relatime mqueue",
        "mount /dev/shm: - | rw,nosuid,nodev,noexec,relatime tmpfs",
        // It has no option for it.
        "mount /sys: - | ro,nosuid,nodev,noexec,relatime sysfs",
    ];
    assert_eq!(differences(&tree(&ok(ran)), &ours(&stage)), wanted);
}

/// A Docker daemon of its own, which ends with the test.
struct Daemon {
    child: Child,
    socket: String,
}

impl Daemon {
    fn start(folder: &Path) -> Self {
        let socket = format!("unix://{}", folder.join("socket").display());
        // The daemon binds its data on itself, and leaves that behind.
        let mut command = Command::new("unshare");
        command.args([
            "--mount",
            "dockerd",
            "--iptables=false",
            "--ip6tables=false",
            "--bridge=none",
            "--host",
            &socket,
        ]);
        command.arg("--data-root").arg(folder.join("data")).arg("--exec-root").arg(folder.join("exec"));
        command.arg("--pidfile").arg(folder.join("pid"));
        let log = std::fs::File::create(folder.join("log")).expect("a log");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("dockerd starts");
        let daemon = Self { child, socket };
        let started = Instant::now();
        while daemon.docker(&["version"]).status != 0 {
            let log = || std::fs::read_to_string(folder.join("log")).unwrap_or_default();
            assert!(started.elapsed() < Duration::from_mins(2), "no docker daemon: {}", log());
            std::thread::sleep(Duration::from_millis(200));
        }
        daemon
    }

    fn docker(&self, words: &[&str]) -> Ran {
        run("docker", [&["--host", &self.socket], words].concat())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        run("kill", [self.child.id().to_string()]);
        let _ = self.child.wait();
    }
}

#[test]
fn docker() {
    needs!("root", "docker", "dockerd");
    // Once, on this machine: its daemon is not for an emulated one.
    if std::env::var("RS_LANE").is_ok_and(|lane| lane.starts_with('v')) {
        return;
    }
    let stage = Stage::new();
    let daemon = Daemon::start(&stage.outside());
    let archive = stage.outside().join("root.tar");
    ok(run("tar", ["-C", &stage.root().display().to_string(), "-cf", &archive.display().to_string(), "."]));
    ok(daemon.docker(&["import", &archive.display().to_string(), "image"]));
    let ran = daemon.docker(&["run", "--rm", "--network=none", "image", "/bin/sh", "-c", LOOK]);
    assert_eq!(differences(&tree(&ok(ran)), &ours(&stage)), [MOUNTS[0]]);
}
