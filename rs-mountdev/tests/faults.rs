//! Every call made to fail: the right status, one line, nothing run.
#![allow(clippy::disallowed_methods)]

mod stage;

use chain::testing::{Ran, needs};
use stage::{ROOTLESS, Stage, ok, straced};

const EVERYTHING: [&str; 17] = [
    "--dev",
    "--proc",
    "--sys",
    "--mqueue",
    "--mask-defaults",
    "--read-only",
    "--tmpfs=/run",
    "--dir=/x/y",
    "--symlink",
    "t",
    "/x/l",
    "--ro-bind",
    "/etc",
    "/e",
    "--new-session",
    "--propagation=private",
    "--pivot",
];

/// Runs with the `when`th `call` failing.
fn with_fault(call: &str, errno: &str, when: usize, stage: &Stage, options: &[&str]) -> Ran {
    let root = format!("--root={}", stage.root().display());
    let args = [&[root.as_str()], options, &["--", "/bin/sh", "-c", "echo ran; stat -c %t:%T /dev/null"]].concat();
    straced(ROOTLESS, &[format!("trace={call}"), format!("inject={call}:error={errno}:when={when}")], &args)
}

#[test]
fn nothing_runs_after_a_call_that_failed() {
    needs!("userns", "strace");
    let stage = Stage::new();
    let mut refusals = 0;
    for (call, _) in
        rs_mountdev::CALLS.iter().filter(|(call, _)| !["execve", "fcntl", "openat", "unlinkat"].contains(call))
    {
        for when in 1.. {
            let ran = with_fault(call, "EIO", when, &stage, &EVERYTHING);
            if ran.status == 0 {
                assert_eq!(ran.stdout, "ran\n1:3\n", "{call} {when}");
                assert!(when > 1, "{call} is never made");
                break;
            }
            assert_eq!((ran.status, ran.stdout.as_str()), (125, ""), "{call} {when}: {}", ran.stderr);
            assert!(ran.stderr.starts_with("rs-mountdev: "), "{call} {when}: {}", ran.stderr);
            assert!(ran.stderr.contains("Input/output error"), "{call} {when}: {}", ran.stderr);
            assert_eq!(ran.stderr.lines().count(), 1, "{call} {when}: {}", ran.stderr);
            refusals += 1;
            // The many calls of one kind are made by the same lines.
            if when > 12 {
                break;
            }
            clean(&stage);
        }
        clean(&stage);
    }
    assert!(refusals > 60, "{refusals}");
}

/// Folders and stubs are made again by each run.
fn clean(stage: &Stage) {
    stage.prepare("rm -rf dev proc sys run x e");
}

#[test]
fn stubs_and_wrong_links_that_cannot_be_made_or_removed() {
    needs!("userns", "strace");
    let stage = Stage::new();
    stage.prepare("mkdir dev; ln -s /nowhere dev/ptmx");
    let ran = with_fault("unlinkat", "EIO", 1, &stage, &["--ptmx"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (125, ""), "{}", ran.stderr);
    assert!(ran.stderr.starts_with("rs-mountdev: dev/ptmx: cannot remove "), "{}", ran.stderr);
}

#[test]
fn exec_that_fails() {
    needs!("userns", "strace");
    let stage = Stage::new();
    for (errno, status) in [("EACCES", 126), ("ENOENT", 127), ("ENOMEM", 126), ("E2BIG", 126)] {
        let root = format!("--root={}", stage.root().display());
        // The exec that starts us is not counted.
        let fault = ["trace=execve".to_owned(), format!("inject=execve:error={errno}:when=1")];
        let ran = straced("-mr", &fault, &[&root, "--null", "/bin/echo", "ran"]);
        assert_eq!((ran.status, ran.stdout.as_str()), (status, ""), "{errno} {}", ran.stderr);
    }
}

#[test]
fn looking_that_fails_never_lets_something_wrong_run() {
    needs!("userns", "strace");
    let stage = Stage::new();
    for call in
        ["openat", "openat2", "fstat", "newfstatat", "fstatfs", "statfs", "readlink", "readlinkat", "statx", "fcntl"]
    {
        for errno in ["EIO", "ENOENT", "EMFILE"] {
            for when in [1, 2, 4, 9, 20, 45] {
                let ran = with_fault(call, errno, when, &stage, &["--dev", "--proc", "--tmpfs=/run", "--pivot"]);
                if ran.stderr.starts_with("rs-mountdev: ") {
                    assert!((125..=127).contains(&ran.status), "{call} {errno} {when} {ran:?}");
                    assert_eq!(ran.stdout, "", "{call} {errno} {when}");
                } else if let Some(number) = ran.stdout.lines().nth(1) {
                    // The payload's own calls fail too; what it saw must be right.
                    assert_eq!(number, "1:3", "{call} {errno} {when}");
                }
                assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
            }
        }
    }
}

/// The calls that kernels before 5.2, 5.6, 5.11 and 5.12 do not have.
const NEW: [&str; 9] =
    ["fsopen", "fsconfig", "fsmount", "move_mount", "open_tree", "mount_setattr", "openat2", "close_range", "statx"];

/// Runs with all of `calls` missing.
fn without(calls: &[&str], flags: &str, stage: &Stage, options: &[&str], script: &str) -> Ran {
    let root = format!("--root={}", stage.root().display());
    let args = [&[root.as_str()], options, &["--", "/bin/sh", "-c", script]].concat();
    let list = calls.join(",");
    straced(flags, &[format!("trace={list}"), format!("inject={list}:error=ENOSYS")], &args)
}

/// What a container looks like, but for ids and the order of mounts.
const LOOK: &str = "while read -r id up dev root point opts rest; do echo $root $point $opts ${rest#*- }; done < /proc/self/mountinfo; \
    ls -l /dev | while read -r m n u g a b rest; do echo $m $a $b; done; ls /proc/self/fd; ls /run /x /e | head -n 3; touch /e/x; touch /x/z; \
    echo x > /dev/null; exec 3<>/dev/ptmx; ls /dev/pts";

#[test]
fn older_kernels_give_the_same_container() {
    needs!("userns", "strace");
    let options = [
        "--dev",
        "--proc",
        "--sys",
        "--mqueue",
        "--mask-defaults",
        "--read-only",
        "--tmpfs=/run:size=1m,noexec",
        "--ro-bind",
        "/etc",
        "/e",
        "--dir=/x/y",
        "--device=/dev/zero:/run/zero",
        "--inaccessible=/x/y",
        "--pivot",
    ];
    let mut users = vec![ROOTLESS];
    if chain::testing::have("root") {
        users.push(stage::PRIVILEGED);
    }
    for flags in users {
        let stage = Stage::new();
        let sorted = |ran: Ran| {
            assert_eq!(ran.status, 0, "{}", ran.stderr);
            // The old call makes the file system read-only too, not only the mount.
            let flag = |line: &str| line.replace("sysfs ro", "sysfs rw").replace("tmpfs ro,", "tmpfs rw,");
            let mut lines: Vec<String> = ran.stdout.lines().map(flag).collect();
            lines.sort();
            lines
        };
        // Once before, so that the stubs are there each time.
        without(&["fspick"], flags, &stage, &options, LOOK);
        let wanted = sorted(without(&["fspick"], flags, &stage, &options, LOOK));
        assert!(wanted.len() > 40, "{wanted:?}");
        let mut sets: Vec<Vec<&str>> = NEW.iter().map(|call| vec![*call]).collect();
        sets.push(NEW.to_vec());
        sets.push(vec!["mount_setattr", "openat2", "close_range"]);
        for missing in sets {
            let found = sorted(without(&missing, flags, &stage, &options, LOOK));
            let differ = |a: &[String], b: &[String]| a.iter().filter(|l| !b.contains(l)).cloned().collect::<Vec<_>>();
            assert_eq!(differ(&found, &wanted), differ(&wanted, &found), "{flags} without {missing:?}");
        }
    }
}

#[test]
fn older_kernels_make_read_only_what_is_mounted_below() {
    needs!("userns", "strace");
    let stage = Stage::new();
    stage.prepare("mkdir \"$OUT/sub\" \"$OUT/sub/sub\"");
    let script = "mount -t tmpfs t \"$OUT/sub\"; mkdir \"$OUT/sub/s\"; mount -t tmpfs t \"$OUT/sub/s\"; \
        exec strace -f -qq -o /dev/null -e trace=mount_setattr,open_tree -e inject=mount_setattr,open_tree:error=ENOSYS \
        \"$T\" --root=\"$ROOT\" --ro-bind \"$OUT\" /data --pivot -- /bin/sh -c 'touch /data/x; touch /data/sub/x; touch /data/sub/s/x; echo end'";
    let ran = stage.sh(ROOTLESS, script);
    assert_eq!(ran.stdout, "end\n", "{}", ran.stderr);
    assert_eq!(ran.stderr.matches("Read-only file system").count(), 3, "{}", ran.stderr);
}

#[test]
fn older_kernels_keep_the_flags_that_are_there() {
    needs!("userns", "strace");
    let stage = Stage::new();
    for calls in ["mount_setattr", "open_tree,mount_setattr,move_mount"] {
        let script = format!(
            "mount -t tmpfs t \"$OUT\"; mount -o remount,bind,noexec,noatime,nosymfollow \"$OUT\"; \
             exec strace -f -qq -o /dev/null -e trace={calls} -e inject={calls}:error=ENOSYS \
             \"$T\" --root=\"$ROOT\" --ro-bind \"$OUT\" /data -- grep -o \" $ROOT/data [^ ]*\" /proc/self/mountinfo"
        );
        let out = ok(stage.sh("-mr", &script));
        assert!(out.ends_with("/data ro,nosuid,nodev,noexec,noatime,nosymfollow\n"), "{calls}: {out}");
    }
}

#[test]
fn older_kernels_refuse_hostile_roots_too() {
    needs!("userns", "strace");
    let stage = Stage::new();
    stage.prepare(
        "ln -s \"$OUT\" proc; mkdir dev; ln -s \"$OUT/x\" dev/null; ln -s \"$OUT\" out; ln -s /../../etc up; mkdir etc",
    );
    let before = stage::fingerprint(&stage.outside());
    for (options, place) in
        [(&["--proc"][..], "proc: is a symbolic link"), (&["--null"], "dev/null: is a symbolic link")]
    {
        stage::refused(&without(&NEW, ROOTLESS, &stage, options, "echo ran"), place);
    }
    // Users' paths are walked by hand, and stay inside.
    let look = "ls /etc; readlink /up";
    assert_eq!(
        ok(without(&NEW, ROOTLESS, &stage, &["--bind", "/usr", "/up/made/here", "--pivot"], look)),
        "made\n/../../etc\n"
    );
    stage::refused(
        &without(&NEW, ROOTLESS, &stage, &["--tmpfs=/out"], "echo ran"),
        "/out: is a symbolic link to nothing",
    );
    assert_eq!(stage::fingerprint(&stage.outside()), before);
}

#[test]
fn older_kernels_without_proc_say_so() {
    needs!("userns", "strace");
    let stage = Stage::new();
    let script = "mount -t tmpfs t /proc; exec strace -f -qq -o /dev/null -e trace=fsopen,open_tree -e inject=fsopen,open_tree:error=ENOSYS \
        \"$T\" --root=\"$ROOT\" --propagation=private --null -- echo ran";
    let ran = stage.sh("-mr", script);
    if ran.stderr.contains("strace") {
        return;
    }
    stage::refused(&ran, "dev/null: needs /proc to be mounted");
}
