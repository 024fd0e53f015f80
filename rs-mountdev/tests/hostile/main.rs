//! Roots that an enemy made: what is set up ends inside them or is refused,
//! and nothing outside is touched.
#![allow(clippy::disallowed_methods)]

mod cases;
#[path = "../stage/mod.rs"]
mod stage;

use cases::Then::{Prints, Refused};
use cases::{CASES, Case};
use chain::testing::needs;
use stage::{PRIVILEGED, ROOTLESS, Stage, fingerprint, ok, refused};

fn trial(case: &Case, flags: &str) {
    let stage = Stage::new();
    stage.prepare("echo precious > \"$OUT/file\"; mkdir \"$OUT/folder\"");
    stage.prepare(case.prepare);
    let before = fingerprint(&stage.outside());
    let mine = std::fs::read_link(stage.root().join("dev")).is_err();
    let started = std::time::Instant::now();
    match &case.then {
        Refused(says) => refused(&stage.within(flags, case.options, "echo ran"), says),
        Prints(script, wanted) => {
            assert_eq!(ok(stage.within(flags, case.options, script)), *wanted);
            // What the root had is not changed either, where it is a file.
            if case.prepare.contains("echo mine") && mine {
                assert_eq!(std::fs::read_to_string(stage.root().join("dev/null")).expect("the file"), "mine\n");
            }
        }
    }
    assert!(started.elapsed().as_secs() < 30, "{}: it waited for something", case.name);
    assert_eq!(fingerprint(&stage.outside()), before, "{}: the outside was touched", case.name);
}

fn all(flags: &str) {
    let mut wrong = Vec::new();
    for case in CASES {
        if flags == ROOTLESS && case.options.contains("--host-ptmx") {
            continue;
        }
        if std::panic::catch_unwind(|| trial(case, flags)).is_err() {
            wrong.push(case.name);
        }
    }
    assert_eq!(wrong, Vec::<&str>::new());
}

#[test]
fn hostile_roots_as_root() {
    needs!("root", "python3");
    assert!(CASES.len() >= 80, "{}", CASES.len());
    all(PRIVILEGED);
}

#[test]
fn hostile_roots_rootless() {
    needs!("userns", "python3");
    all(ROOTLESS);
}

#[test]
fn devices_and_whiteouts_are_bound_over() {
    needs!("root");
    // In the node's place a device of another number: nothing may open it.
    for (node, device) in
        [("null", "c 0 0"), ("null", "c 4 64"), ("null", "b 7 200"), ("null", "c 1 3"), ("zero", "c 5 0")]
    {
        let stage = Stage::new();
        stage.prepare(&format!("mkdir dev; mknod dev/{node} {device}"));
        let out = ok(stage.inside(&format!("--{node}"), &format!("stat -c %t:%T /dev/{node}")));
        assert_eq!(out, if node == "null" { "1:3\n" } else { "1:5\n" });
    }
    for device in ["c 0 0", "c 5 2", "c 1 3"] {
        let stage = Stage::new();
        stage.prepare(&format!("mkdir dev; mknod dev/ptmx {device}"));
        assert_eq!(
            ok(stage.inside("--ptmx", "exec 3<>/dev/ptmx; ls /dev/pts; stat -c %t:%T /dev/ptmx")),
            "0\nptmx\n5:2\n"
        );
    }
    // A folder's place.
    for place in ["proc", "dev"] {
        let stage = Stage::new();
        stage.prepare(&format!("mknod {place} c 0 0"));
        refused(&stage.inside("--proc --null", "echo ran"), &format!("{place}: is not a directory"));
    }
}

#[test]
fn places_that_are_mounts_already() {
    needs!("userns");
    for flags in [PRIVILEGED, ROOTLESS] {
        if flags == PRIVILEGED && !chain::testing::have("root") {
            continue;
        }
        let stage = Stage::new();
        stage.prepare("mkdir dev proc; touch \"$OUT/file\"");
        let before = fingerprint(&stage.outside());
        let begin = "cd \"$ROOT\"; mount -t tmpfs t dev; mount -t proc p proc; touch dev/null; mount --bind /dev/zero dev/null;";
        let end = "exec \"$T\" --root=. --propagation=private --proc --null --ptmx --pivot -- /bin/sh -c 'stat -c %t:%T /dev/null; ls /dev /dev/pts'";
        let out = ok(stage.sh(flags, &format!("{begin} {end}")));
        assert_eq!(out, "1:3\n/dev:\nnull\nptmx\npts\n\n/dev/pts:\nptmx\n", "{flags}");
        refused(&stage.sh(flags, &format!("{begin} ln -s \"$OUT\" dev/pts; {end}")), "dev/pts: is a symbolic link");
        assert_eq!(fingerprint(&stage.outside()), before);
    }
}

#[test]
fn a_sticky_folder_of_a_stranger_with_protected_files() {
    needs!("root");
    // O_CREAT on it would be EACCES even for root (fs.protected_regular).
    let stage = Stage::new();
    stage.prepare("mkdir -m 1777 dev; chown 1234 dev; touch dev/null; chown 2345 dev/null; mknod dev/zero c 1 5; chown 3456 dev/zero");
    assert_eq!(ok(stage.inside("--null --zero", "stat -c %t:%T /dev/null /dev/zero")), "1:3\n1:5\n");
}

#[test]
fn a_hard_link_keeps_its_times() {
    needs!("userns");
    let stage = Stage::new();
    stage.prepare("echo x > \"$OUT/f\"; touch -d 2001-01-01 \"$OUT/f\"; mkdir dev; ln \"$OUT/f\" dev/null");
    let before = fingerprint(&stage.outside());
    ok(stage.within(ROOTLESS, "--null", "echo y > /dev/null"));
    assert_eq!(fingerprint(&stage.outside()), before);
}

#[test]
fn the_host_s_null_must_be_one() {
    needs!("root");
    let stage = Stage::new();
    let script = "mount --bind /dev/zero /dev/null; exec \"$T\" --root=\"$ROOT\" --null -- echo ran";
    refused(&stage.sh("-m", script), "/dev/null: is not that device on this host");
    let script = "mount --bind /etc/passwd /dev/null; exec \"$T\" --root=\"$ROOT\" --inaccessible=/bin -- echo ran";
    refused(&stage.sh("-m", script), "/dev/null: is not that device on this host");
}

#[test]
fn a_source_without_devices_is_cleared_or_refused() {
    needs!("root", "strace");
    let stage = Stage::new();
    let nodev = "mount -t tmpfs -o nodev t /mnt; touch /mnt/null; mount --bind /dev/null /mnt/null; mount -o remount,bind,nodev /mnt/null; mount --bind /mnt/null /dev/null;";
    // As its owner we may clear the flag on the copy.
    let script =
        format!("{nodev} exec \"$T\" --root=\"$ROOT\" --null -- sh -c 'echo x > \"$ROOT/dev/null\" && echo fine'");
    assert_eq!(ok(stage.sh("-m", &script)), "fine\n");
    // In a user namespace the flag is locked; kernels before 5.12 say so too.
    for kernel in ["", "strace -f -o \"$OUT/s\" -e inject=mount_setattr:error=ENOSYS"] {
        let script =
            format!("{nodev} exec unshare -mr {kernel} sh -c 'exec \"$T\" --root=\"$ROOT\" --null -- echo ran'");
        refused(&stage.sh("-m", &script), "dev/null: is on a mount with nodev that cannot be changed here");
    }
}

#[test]
fn descriptors_and_working_folders_do_not_lead_out() {
    needs!("userns");
    // CVE-2016-8649, CVE-2024-21626: an inherited folder of the host.
    let stage = Stage::new();
    let script = "cd /; exec 7</ 8</etc; exec \"$T\" --root=\"$ROOT\" --proc --pivot -- /bin/sh -c 'ls /proc/self/fd; readlink /proc/self/cwd'";
    assert_eq!(ok(stage.sh(ROOTLESS, script)), "0\n1\n2\n3\n/\n");
}

#[test]
fn names_make_no_lines_of_their_own() {
    needs!("userns");
    let stage = Stage::new();
    stage.prepare("ln -s 'x\nforged' l");
    for (options, says) in [
        ("--root=\"$ROOT\" --symlink t l -- true", "l: exists and leads to x\\nforged\n"),
        ("--root=\"$ROOT\" --read-only-path=\"$NAME\" -- true", "a\\nb: No such file or directory\n"),
        ("--root=\"$ROOT/$NAME\" --null -- true", "/a\\nb: No such file or directory\n"),
        (
            "--root=\"$ROOT\" --dir=\"/proc/$NAME\" --proc -- true",
            "/proc/a\\nb: is inside a file system of the kernel\n",
        ),
        ("--root=\"$ROOT\" --bind /nonexistent \"$NAME\" -- true", "/nonexistent: No such file or directory\n"),
        ("--root=\"$ROOT\" --null -- \"/$NAME\"", "failed to execute /a\\nb: No such file or directory\n"),
    ] {
        let ran = stage.sh(ROOTLESS, &format!("NAME=$(printf 'a\\nb'); exec \"$T\" {options}"));
        assert!(matches!(ran.status, 125 | 127), "{options}: {ran:?}");
        assert!(ran.stderr.ends_with(says) && ran.stderr.lines().count() == 1, "{options}: {}", ran.stderr);
    }
}

#[test]
fn links_of_an_empty_root_variable() {
    // `$ROOTFS` empty: the shell's recipe replaced the host's own /dev/ptmx.
    needs!("userns");
    let stage = Stage::new();
    refused(
        &stage.sh(ROOTLESS, "exec \"$T\" --root=\"$NOTHING\" --dev --proc -- echo ran"),
        "--root: the path is empty",
    );
    refused(
        &stage.sh(ROOTLESS, "exec \"$T\" --root=\"$NOTHING\"/ --dev --proc -- echo ran"),
        "--root: /: is the root of this process",
    );
}
