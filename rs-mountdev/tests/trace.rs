//! `--trace` and strace tell the same.
#![allow(clippy::disallowed_methods)]

mod stage;

use chain::testing::{against_strace_under, needs, run};
use stage::{PRIVILEGED, ROOTLESS, Stage, tool};

/// Of all calls: fcntl is a reading call too, and compared in one test alone.
fn calls() -> Vec<&'static str> {
    rs_mountdev::CALLS.iter().map(|(name, _)| *name).filter(|name| *name != "fcntl").collect()
}

#[track_caller]
fn same(flags: &str, stage: &Stage, args: &[&str]) {
    let root = format!("--root={}", stage.root().display());
    let args = [&[root.as_str()], args].concat();
    let wrapper: Vec<&str> = ["unshare"].into_iter().chain(flags.split_whitespace()).collect();
    let difference = against_strace_under(&wrapper, &tool(), &args, &calls());
    assert_eq!(difference, Vec::<String>::new(), "{}", difference.join("\n"));
}

#[test]
fn each_step() {
    needs!("userns", "strace");
    let mut lanes = vec![ROOTLESS];
    if chain::testing::have("root") {
        lanes.push(PRIVILEGED);
    }
    for flags in lanes {
        let stage = Stage::new();
        same(flags, &stage, &["true"]);
        same(flags, &stage, &["--proc", "--ptmx", "--null", "true"]);
        same(
            flags,
            &stage,
            &["--dev", "--sys", "--mqueue", "--mask-defaults", "--read-only", "--propagation=private", "true"],
        );
        same(
            flags,
            &stage,
            &["--tmpfs=/a:size=1m,ro", "--bind", "/etc", "/b c\"\n", "--dir=/x/y", "--symlink", "l", "/x/l", "true"],
        );
        same(flags, &stage, &["--dev", "--proc", "--pivot", "--new-session", "--", "/bin/ls", "/"]);
        same(&format!("{flags} -C"), &stage, &["--proc", "--cgroup=rw", "true"]);
    }
}

#[test]
fn refusals() {
    needs!("userns", "strace");
    let stage = Stage::new();
    same("-mr", &stage, &["--proc", "true"]);
    same(ROOTLESS, &stage, &["--null", "/nonexistent"]);
    stage.prepare("mkdir -p dev; ln -s /nowhere dev/ptmx");
    same(ROOTLESS, &stage, &["--ptmx", "true"]);
}

#[test]
fn every_call_has_a_lesson() {
    needs!("userns");
    let stage = Stage::new();
    let ran = stage.sh(ROOTLESS, "exec \"$T\" --explain --root=\"$ROOT\" --dev --proc --pivot -- /bin/ls /");
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert!(lines.len() > 60, "{}", ran.stderr);
    for pair in lines.chunks(2) {
        assert!(pair[0].starts_with("# ") && pair[0].len() > 10, "{pair:?}");
        let name = pair[1].split('(').next().unwrap_or_default();
        assert!(rs_mountdev::CALLS.iter().any(|(call, _)| *call == name), "{name} is not among CALLS");
    }
}

#[test]
fn the_environment_asks_too() {
    needs!("userns");
    let stage = Stage::new();
    let ran = stage.sh("-mr", "RS_TRACE=trace exec \"$T\" --root=\"$ROOT\" --null -- true");
    assert!(ran.stderr.contains("move_mount("), "{}", ran.stderr);
    assert_eq!(run(tool(), ["--root=", "true"]).stderr.lines().count(), 2 - 1);
}
