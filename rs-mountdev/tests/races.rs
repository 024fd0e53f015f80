//! An enemy exchanges a place with a link that leads out, as fast as it can,
//! while the tool works; and two containers are made in one root at once.
//!
//! The right outcomes are "mounted inside the root" and "refused". Each run
//! is a thread in a mount namespace of its own, which is looked at
//! afterwards, also when the tool refused.
#![allow(clippy::disallowed_methods)]

mod stage;

use chain::sys::{make, namespace};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use stage::{Stage, fingerprint, tool};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

const RUNS: usize = 1000;
const ROUNDS: usize = 200;

/// Whether this process may make mount namespaces (root, or `unshare -r`).
fn may() -> bool {
    chain::hint::capable(21)
}

/// What a run left in its namespace.
struct After {
    status: Option<i32>,
    stderr: String,
    mounts: Vec<PathBuf>,
}

/// Runs the tool in a new mount namespace of this thread.
fn once(stage: &Stage, options: &[&str]) -> After {
    thread::scope(|scope| {
        let run = scope.spawn(|| {
            make(&namespace::Unshare(namespace::Namespaces::MOUNT)).expect("a mount namespace");
            let mut command = Command::new(tool());
            command.arg("--propagation=private").arg("--root").arg(stage.root()).args(options);
            command.arg("--").arg(stage.root().join("bin/busybox")).arg("true");
            let output = command.stdin(Stdio::null()).output().expect("the tool starts");
            let text = std::fs::read("/proc/thread-self/mountinfo").expect("mountinfo");
            let mounts = text.split(|b| *b == b'\n').filter_map(chain::mountinfo::parse).map(|entry| entry.point);
            After {
                status: output.status.code(),
                stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
                mounts: mounts.collect(),
            }
        });
        run.join().expect("the run")
    })
}

/// Exchanges the two names until told to stop.
fn exchange(a: &Path, b: &Path, stop: &AtomicBool) -> usize {
    let mut times = 0;
    while !stop.load(Ordering::Relaxed) {
        if renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).is_ok() {
            times += 1;
        }
        if times % 16 == 0 {
            thread::yield_now();
        }
    }
    times
}

/// `place` is exchanged with a link to `target` below the outside.
fn race(place: &str, target: &str, prepare: &str, options: &[&str]) {
    let stage = Stage::new();
    stage.prepare("echo precious > \"$OUT/file\"; mkdir -p \"$OUT/folder/t\"; touch \"$OUT/null\"");
    stage.prepare(prepare);
    let evil = format!("{place}.evil");
    std::os::unix::fs::symlink(stage.outside().join(target), stage.root().join(&evil)).expect("a link");
    let before = fingerprint(&stage.outside());
    let stop = AtomicBool::new(false);
    let (mut done, mut refused) = (0, 0);
    let (a, b) = (stage.root().join(place), stage.root().join(&evil));
    let times = thread::scope(|scope| {
        let enemy = scope.spawn(|| exchange(&a, &b, &stop));
        for _ in 0..RUNS {
            let after = once(&stage, options);
            let out = after.mounts.iter().find(|point| point.starts_with(stage.outside()));
            if out.is_some() || !matches!(after.status, Some(0 | 125)) {
                stop.store(true, Ordering::Relaxed);
            }
            assert_eq!(out, None, "ESCAPED: {}", after.stderr);
            match after.status {
                Some(0) => done += 1,
                Some(125) => refused += 1,
                other => panic!("{other:?} {}", after.stderr),
            }
        }
        stop.store(true, Ordering::Relaxed);
        enemy.join().expect("the enemy")
    });
    assert_eq!(fingerprint(&stage.outside()), before, "the outside was touched");
    chain::say(&format!(
        "race on {place}: {RUNS} runs, {done} mounted, {refused} refused, {times} exchanges, no escape"
    ));
    assert!(times > RUNS, "the enemy was too slow: {times}");
    assert!(refused > 0 && done > 0, "no race: {done} {refused}");
}

macro_rules! races {
    ($($name:ident: $place:literal, $target:literal, $prepare:literal, $options:expr;)*) => {
        $(
            #[test]
            fn $name() {
                // A procfs of this pid namespace is for real root alone.
                if !may() || $options.contains(&"--proc") && !chain::testing::have("root") {
                    return chain::testing::skip("root");
                }
                race($place, $target, $prepare, &$options);
            }
        )*
    };
}

races! {
    dev_is_exchanged: "dev", "folder", "mkdir -p dev/pts", ["--null"];
    proc_is_exchanged: "proc", "folder", "mkdir proc", ["--proc"];
    pts_is_exchanged: "dev/pts", "folder", "mkdir -p dev/pts", ["--ptmx"];
    null_is_exchanged: "dev/null", "file", "mkdir dev; touch dev/null", ["--null"];
    a_bind_target_is_exchanged: "a/b", "folder", "mkdir -p a/b/t", ["--ro-bind", "/etc", "/a/b/t"];
}

#[test]
fn two_containers_in_one_root_at_once() {
    if !may() {
        return chain::testing::skip("root");
    }
    let stage = Stage::new();
    // A file of the stage's own: one that another program replaces meanwhile,
    // as useradd does /etc/passwd, cannot be mounted any more.
    let source = stage.outside().join("p");
    std::fs::write(&source, "p").expect("a source");
    let source = source.to_str().expect("a plain path");
    let options = ["--ptmx", "--null", "--zero", "--shm", "--tmpfs=/run/x", "--bind", source, "/etc/p"];
    for round in 0..ROUNDS {
        let both = thread::scope(|scope| {
            let runs = [0, 1].map(|_| scope.spawn(|| once(&stage, &options)));
            runs.map(|run| run.join().expect("a run"))
        });
        for after in both {
            assert_eq!((after.status, after.stderr.as_str()), (Some(0), ""), "round {round}");
            let inside = after.mounts.iter().filter(|point| point.starts_with(stage.root())).count();
            assert_eq!(inside, 6, "round {round}: {:?}", after.mounts);
        }
        // Everything is made anew in each round: that is where they meet.
        for made in ["dev", "run", "etc"] {
            std::fs::remove_dir_all(stage.root().join(made)).expect("what they made");
        }
    }
    chain::say(&format!("two containers in one root: {ROUNDS} rounds"));
}
