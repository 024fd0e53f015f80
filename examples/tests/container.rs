//! The chain form: it limits, it fails closed, it starts in little memory.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

mod common;

use chain::testing::{Ran, bin, needs, run};
use common::{Stage, top};
use std::fs;
use std::path::{Path, PathBuf};

/// A root file system from the host, and a control group; both go with it.
struct Container {
    stage: Stage,
    id: String,
}

impl Container {
    fn new() -> Self {
        let stage = Stage::new();
        let id = run(bin("rs-uuidgen"), [""; 0]).stdout.trim().to_owned();
        let container = Self { stage, id };
        let root = container.root();
        let made = run(bin("rs-rootfs"), ["unpack".as_ref(), "host:".as_ref(), root.as_os_str()]);
        assert_eq!(made.status, 0, "{}", made.stderr);
        let made = run(bin("rs-cgcreate"), ["-g", &format!("cpu,memory:{}", container.id)]);
        assert_eq!(made.status, 0, "{}", made.stderr);
        container
    }

    fn root(&self) -> PathBuf {
        self.stage.tmp().join("root")
    }

    fn set(&self, rule: &str) {
        let set = run(bin("rs-cgset"), ["-r", rule, &self.id]);
        assert_eq!(set.status, 0, "{rule}: {}", set.stderr);
    }

    /// Runs `script` with `$ID`, `$ROOTFS` and the tools in PATH.
    fn sh(&self, script: &str) -> Ran {
        self.sh_with(bin("rs-unshare").parent().expect("a folder"), script)
    }

    fn sh_with(&self, tools: &Path, script: &str) -> Ran {
        let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap_or_default());
        let mut command = self.stage.command("sh");
        command.args(["-c", script]).env("PATH", path).env("ID", &self.id).env("ROOTFS", self.root());
        command.output().expect("sh starts").into()
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        run(bin("rs-cgdelete"), ["-g", &format!("cpu,memory:{}", self.id)]);
        let _ = fs::remove_dir_all(self.root());
        if !std::thread::panicking() {
            assert_eq!(self.stage.left(&self.id), Vec::<String>::new());
        }
    }
}

const CGEXEC: &str = "rs-cgexec -g cpu,memory:$ID";
const UNSHARE: &str = "rs-unshare -muinpfr --hostname=$ID";
const MOUNTDEV: &str = "rs-mountdev --root=$ROOTFS --proc --ptmx --null --";
const CAPSH: &str = "rs-capsh --chroot=$ROOTFS --drop=cap_sys_chroot";
const PAYLOAD: &str = "--exec sh -c 'echo ran; echo ran >/ran'";

#[test]
fn the_whole_chain_runs() {
    needs!("root");
    let container = Container::new();
    let ran = container.sh(&format!("{CGEXEC} {UNSHARE} {MOUNTDEV} {CAPSH} {PAYLOAD}"));
    assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), (0, "ran\n", ""));
    // The article's way to name the payload, too.
    let ran = container.sh(&format!("CMD='echo a b'; {CGEXEC} {UNSHARE} {MOUNTDEV} {CAPSH} -- -c \"exec $CMD\""));
    assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), (0, "a b\n", ""));
}

/// What is wrong, the five parts of the chain, its status, what standard error
/// says.
#[rustfmt::skip]
const BROKEN: &[(&str, [&str; 5], i32, &str)] = &[
    ("no such group", ["rs-cgexec -g cpu,memory:$ID.not", UNSHARE, MOUNTDEV, CAPSH, PAYLOAD], 82, "rs-cgexec: "),
    ("no such controller", ["rs-cgexec -g bogus:$ID", UNSHARE, MOUNTDEV, CAPSH, PAYLOAD], 87, "bogus"),
    ("no group given", ["rs-cgexec -g cpu", UNSHARE, MOUNTDEV, CAPSH, PAYLOAD], 129, "rs-cgexec: "),
    ("the next link is missing", [CGEXEC, "rs-not-there", MOUNTDEV, CAPSH, PAYLOAD], 255, "rs-not-there"),
    ("unknown option", [CGEXEC, "rs-unshare -muinpfr --bogus", MOUNTDEV, CAPSH, PAYLOAD], 1, "--bogus"),
    ("host name without UTS", [CGEXEC, "rs-unshare -minpfr --hostname=x", MOUNTDEV, CAPSH, PAYLOAD], 1, "UTS"),
    ("host name too long", [CGEXEC, LONG_NAME, MOUNTDEV, CAPSH, PAYLOAD], 1, "rs-unshare: "),
    ("unmapped id", [CGEXEC, "rs-unshare -muinpfr --setuid=4242", MOUNTDEV, CAPSH, PAYLOAD], 1, "4242"),
    ("no such user", [CGEXEC, "rs-unshare -muinpfr --map-user=no-such-user", MOUNTDEV, CAPSH, PAYLOAD], 1, "no-such-user"),
    ("missing root", [CGEXEC, UNSHARE, "rs-mountdev --root=$ROOTFS.not --proc --null --", CAPSH, PAYLOAD], 125, "rs-mountdev: "),
    ("empty root", [CGEXEC, UNSHARE, "rs-mountdev --root= --proc --null --", CAPSH, PAYLOAD], 125, "rs-mountdev: "),
    ("host as root", [CGEXEC, UNSHARE, "rs-mountdev --root=/ --proc --null --", CAPSH, PAYLOAD], 125, "rs-mountdev: "),
    ("no terminal", [CGEXEC, UNSHARE, "rs-mountdev --root=$ROOTFS --proc --tty --", CAPSH, PAYLOAD], 125, "--tty"),
    ("a device that is none", [NO_DEVICE, UNSHARE, MOUNTDEV, CAPSH, PAYLOAD], 125, "null"),
    ("no new root", [CGEXEC, UNSHARE, MOUNTDEV, "rs-capsh --chroot=$ROOTFS/not", PAYLOAD], 1, "rs-capsh: "),
    ("no such capability", [CGEXEC, UNSHARE, MOUNTDEV, "rs-capsh --chroot=$ROOTFS --drop=cap_bogus", PAYLOAD], 1, "cap_bogus"),
    ("shell missing", [CGEXEC, UNSHARE, MOUNTDEV, "rs-capsh --chroot=$ROOTFS --shell=/bin/not", "-- -c 'echo ran'"], 1, "/bin/not"),
    ("payload missing", [CGEXEC, UNSHARE, MOUNTDEV, CAPSH, "--exec not-there"], 127, "not-there"),
    ("payload not executable", [CGEXEC, UNSHARE, MOUNTDEV, CAPSH, "--exec /etc/passwd"], 126, "/etc/passwd"),
    ("payload missing, by the shell", [CGEXEC, UNSHARE, MOUNTDEV, CAPSH, "-- -c 'exec not-there'"], 127, "not-there"),
];
const LONG_NAME: &str =
    "rs-unshare -muinpfr --hostname=xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
const NO_DEVICE: &str = "unshare -m sh -c 'mount --bind /etc/passwd /dev/null && exec \"$@\"' sh \
    rs-cgexec -g cpu,memory:$ID";

#[test]
fn nothing_runs_after_a_step_that_failed() {
    needs!("root");
    let container = Container::new();
    for (what, chain, status, said) in BROKEN {
        let ran = container.sh(&chain.join(" "));
        assert_eq!((ran.status, ran.stdout.as_str()), (*status, ""), "{what}: {}", ran.stderr);
        assert!(ran.stderr.contains(said), "{what}: {}", ran.stderr);
        assert!(ran.stderr.lines().count() <= 2, "{what}: more than a line and a hint: {}", ran.stderr);
        assert!(!container.root().join("ran").exists(), "{what}: the payload ran");
    }
}

#[test]
fn a_container_starts_under_a_limit_of_1_mb() {
    needs!("root");
    let container = Container::new();
    container.set("memory.limit_in_bytes=1M");
    let root = container.root();
    // The payload must fit as well: the smallest there is.
    let small = Path::new(env!("CARGO_TARGET_TMPDIR")).join("small");
    let built = run("cc", ["-Os", "-static", "-o", small.to_str().expect("UTF-8"), "-x", "c", "tests/small.c"]);
    assert_eq!(built.status, 0, "{}", built.stderr);
    fs::copy(&small, root.join("bin/small")).expect("copied");
    // What is shipped is optimised; a debug build is ten times its size.
    let tools = bin("rs-unshare").parent().expect("a folder").with_file_name("release");
    assert!(tools.join("rs-unshare").exists(), "cargo build --release comes first");
    // Pages of a file are charged to whoever reads them first: on a machine
    // in use that was somebody else.
    for file in
        ["rs-cgexec", "rs-unshare", "rs-mountdev", "rs-capsh"].map(|name| tools.join(name)).iter().chain([&small])
    {
        fs::read(file).expect("read");
    }
    let ran = container.sh_with(&tools, &format!("{CGEXEC} {UNSHARE} {MOUNTDEV} {CAPSH} --exec small"));
    assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), (0, "started\n", ""));
}

#[test]
fn the_example_limits_and_cleans_up() {
    needs!("root");
    let container = Container::new();
    let example = top().join("examples/container");
    let example = example.display();
    let ran = container.sh(&format!("'{example}' \"$ROOTFS\" sh -c 'hostname; echo $$; exit 5'"));
    let mut lines = ran.stdout.lines();
    let id = lines.next().unwrap_or_default().to_owned();
    assert_eq!((ran.status, lines.next()), (5, Some("1")), "{}", ran.stderr);
    // Over the limit of memory: killed. 30 % of a CPU: throttled.
    let hog = "a=xxxxxxxxxxxxxxxx; while :; do a=$a$a; done";
    let ran =
        container.sh(&format!("'{example}' \"$ROOTFS\" sh -c '(exec sh -c \"{}\"); echo $?'", hog.replace('$', "\\$")));
    assert_eq!(ran.stdout, "137\n", "{}", ran.stderr);
    let find = run("find", ["/sys/fs/cgroup", "-type", "d", "-name", &id]);
    assert_eq!(find.stdout, "", "the group is gone");
}

#[test]
fn a_signal_leaves_nothing_of_the_example() {
    needs!("root");
    let container = Container::new();
    let example = top().join("examples/container");
    // To the script alone: it ends with the container, and tidies up.
    for (signal, status) in [("HUP", 129), ("TERM", 143)] {
        let ran = container.sh(&format!(
            "'{}' \"$ROOTFS\" sh -c 'hostname; echo ready; sleep 1' >\"$ROOTFS/out\" & script=$!
             until grep -q ready \"$ROOTFS/out\"; do sleep 0.1; done
             kill -{signal} $script; wait $script; echo $?; cat \"$ROOTFS/out\"; rm \"$ROOTFS/out\"",
            example.display()
        ));
        let lines: Vec<&str> = ran.stdout.lines().collect();
        let [shown, id, "ready"] = lines[..] else { panic!("{signal}: {ran:?}") };
        assert_eq!(shown, status.to_string(), "{signal}");
        let find = run("find", ["/sys/fs/cgroup", "-type", "d", "-name", id]);
        assert_eq!(find.stdout, "", "{signal}: the group is gone");
    }
}
