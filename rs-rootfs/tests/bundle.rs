//! Bundles, run by the runtimes they are for.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

use chain::testing::{Ran, Scratch, bin, inject, needs, run, sh};
use nix::sys::signal::{Signal, kill};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const REPORT: &str = "id -u; id -g; hostname; while read -r line; do echo map $line; done </proc/self/uid_map; \
    echo pids /proc/[0-9]*; while read -r k v; do case $k in CapBnd:|CapEff:) echo $k $v;; esac; done </proc/self/status; \
    for n in user mnt uts ipc net pid; do ls -l /proc/self/ns/$n; done; echo gone >/dev/null && echo null";

/// What a runtime shows of the bundle from inside, against what the chain
/// asks for.
fn shows(runtime: &str, bundle: &Path) {
    let name = format!("rs-test-{runtime}-{}", std::process::id());
    let ran = run(runtime, ["run".as_ref(), "-b".as_ref(), bundle.as_os_str(), name.as_ref()]);
    assert_eq!(ran.status, 0, "{ran:?}");
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines[..3], ["0", "0", "inside"], "{ran:?}");
    assert_eq!(lines[3].split_whitespace().collect::<Vec<_>>(), ["map", "0", "0", "1"], "{ran:?}");
    assert_eq!(lines[4], "pids /proc/1", "{ran:?}");
    for line in &lines[5..7] {
        let set = line.split_whitespace().nth(1).and_then(|hex| u64::from_str_radix(hex, 16).ok()).expect("a set");
        assert_eq!(set & 1 << 18, 0, "CAP_SYS_CHROOT is there: {line}");
        assert_eq!(set & 1 << 21, 1 << 21, "CAP_SYS_ADMIN is not: {line}");
    }
    for (line, kind) in lines[7..13].iter().zip(["user", "mnt", "uts", "ipc", "net", "pid"]) {
        let ours = std::fs::read_link(format!("/proc/self/ns/{kind}")).expect("a link").display().to_string();
        assert!(line.contains(&format!("{kind}:[")) && !line.ends_with(&ours), "{line} {ours}");
    }
    assert_eq!(lines[13..], ["null"], "{ran:?}");
}

fn bundle(scratch: &Scratch) -> std::path::PathBuf {
    let folder = scratch.join("bundle");
    let target = folder.display().to_string();
    let ran = run(bin("rs-rootfs"), ["bundle", "--hostname=inside", "host:", &target, "--", "sh", "-c", REPORT]);
    assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", ""));
    folder
}

#[test]
fn runc_runs_it() {
    needs!("root", "runc");
    let scratch = Scratch::new();
    shows("runc", &bundle(&scratch));
}

#[test]
fn crun_runs_it() {
    // crun 1.8 wants version 2 of control groups alone, or version 1 alone.
    needs!("root", "v2", "crun");
    let scratch = Scratch::new();
    shows("crun", &bundle(&scratch));
}

#[test]
fn what_cannot_be_finished_leaves_nothing() {
    needs!("root", "strace");
    let scratch = Scratch::new();
    let bundle = scratch.join("b").display().to_string();
    // The settings are the only thing that is written so.
    let ran = inject(&bin("rs-rootfs"), &["bundle", "host:sh", &bundle], "pwrite64", "ENOSPC", 1);
    assert_eq!((ran.status, ran.stderr.lines().count()), (1, 1), "{ran:?}");
    assert!(ran.stderr.contains("config.json: No space left on device"), "{ran:?}");
    assert!(!scratch.join("b").exists());
}

#[test]
fn what_cannot_be_made_leaves_nothing() {
    let scratch = Scratch::new();
    let target = scratch.join("b").display().to_string();
    let ran = run(bin("rs-rootfs"), ["bundle", "/nonexistent", &target]);
    assert_eq!((ran.status, ran.stderr.lines().count()), (1, 1), "{ran:?}");
    assert!(!scratch.join("b").exists());
    let ran = run(bin("rs-rootfs"), ["bundle", "host:", "/usr"]);
    assert_eq!((ran.status, ran.stderr.as_str()), (1, "rs-rootfs: cannot use /usr: it is not empty\n"));
    assert_eq!(run(bin("rs-rootfs"), ["bundle", "host:"]).status, 125);
}

#[test]
fn a_signal_ends_the_wait_for_the_source() {
    let scratch = Scratch::new();
    // A pipe that nobody writes to.
    assert_eq!(run("mkfifo", [scratch.join("pipe")]).status, 0);
    let mut command = Command::new(bin("rs-rootfs"));
    command.arg("bundle").args([scratch.join("pipe"), scratch.join("b")]).stderr(Stdio::piped());
    let child = command.spawn().expect("it starts");
    std::thread::sleep(Duration::from_millis(300));
    let begun = Instant::now();
    kill(nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a pid")), Signal::SIGTERM).expect("it runs");
    let end = std::thread::spawn(move || Ran::from(child.wait_with_output().expect("it ends")));
    while !end.is_finished() && begun.elapsed() < Duration::from_secs(5) {
        std::thread::sleep(Duration::from_millis(10));
    }
    // Whoever still waits for the pipe is let go.
    let _ = sh(Path::new("/"), &format!("timeout 1 sh -c ': >{}'", scratch.join("pipe").display()));
    let ran = end.join().expect("no panic");
    assert_eq!(ran.status, 128 + Signal::SIGTERM as i32, "{ran:?}");
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    assert!(!scratch.join("b").exists());
}

#[test]
fn what_was_not_kept_is_told() {
    needs!("root", "setpriv");
    let scratch = Scratch::new();
    let script = "cd $D && mkdir t && printf x >t/f && tar --owner=7 -cf t.tar -C t . && chown 65534 . || exit
        for quiet in '' --quiet; do
            setpriv --reuid=65534 --regid=65534 --clear-groups -- $R bundle $quiet t.tar b$quiet; ls b$quiet; done";
    let set = format!("D={}; R={};", scratch.path().display(), bin("rs-rootfs").display());
    let ran = sh(Path::new("/"), &format!("{set} {script}"));
    assert_eq!(
        (ran.stdout.as_str(), ran.stderr.as_str()),
        ("config.json\nrootfs\n".repeat(2).as_str(), "rs-rootfs: 2 owners not kept\n")
    );
}
