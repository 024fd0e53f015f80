//! Advice: printed where its cause is brought about, and not where the same
//! error has another cause. What no machine can be made to show (several threads
//! in a static program) is tested in chain/src/hint.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

use chain::testing::{Ran, Scratch, bin, inject, needs, run, sh};
use std::path::Path;

/// Runs `script` with the tool in `$U`, and a folder for all users in `$D`.
fn script(text: &str) -> Ran {
    let scratch = Scratch::new();
    let folder = scratch.path().display().to_string();
    let copy = scratch.join("rs-unshare");
    // By a program: a descriptor of ours that is open for writing might be in
    // the child of another test when the copy is executed.
    run("cp", [&bin("rs-unshare"), &copy]);
    run("chmod", ["777", &folder]);
    let text = format!("D={folder}; U={}; cd $D\n{text}", copy.display());
    sh(Path::new("/nonexistent"), &text)
}

/// The hint line of a failed run, without its prefix.
fn hint(ran: &Ran) -> &str {
    assert_eq!((ran.status, ran.stdout.as_str()), (1, ""), "{}", ran.stderr);
    ran.stderr.lines().find_map(|line| line.split_once("hint: ").map(|(_, text)| text)).unwrap_or("")
}

#[track_caller]
fn hints(text: &str, wanted: &str) {
    let ran = script(text);
    assert!(hint(&ran).contains(wanted), "want {wanted:?}: {}", ran.stderr);
}

#[track_caller]
fn no_hint(text: &str) {
    let ran = script(text);
    assert_ne!(ran.stderr, "");
    assert_eq!(hint(&ran), "", "{}", ran.stderr);
}

/// Runs what follows as an ordinary user.
const NOBODY: &str = "setpriv --reuid 65534 --regid 65534 --clear-groups";

#[test]
fn an_ordinary_user_without_a_user_namespace() {
    needs!("root", "setpriv");
    hints(&format!("{NOBODY} $U -m true"), "add --map-root-user (-r)");
    needs!("strace");
    // Refused for another reason, to somebody who has the capability.
    assert_eq!(hint(&inject(&bin("rs-unshare"), &["-m", "true"], "unshare", "EPERM", 1)), "");
}

#[test]
fn limits_on_namespaces() {
    needs!("userns");
    let none = "unshare -r sh -c 'echo 0 > /proc/sys/user/max_uts_namespaces; exec \"$0\" \"$@\"' $U -u true";
    hints(none, "/proc/sys/user/max_uts_namespaces is 0: raise it");
    let none = "unshare -r sh -c 'echo 0 > /proc/sys/user/max_user_namespaces; exec \"$0\" \"$@\"' $U -r true";
    hints(none, "/proc/sys/user/max_user_namespaces is 0: raise it");
    let nested = "n=0; set -- $U -r true; while [ $n -lt 33 ]; do set -- $U -r \"$@\"; n=$((n + 1)); done; \"$@\"";
    hints(nested, "nested more than 32 deep");
    let ran = script(none);
    assert!(!ran.stderr.to_lowercase().contains("disk"), "{}", ran.stderr);
    needs!("strace");
    let other = inject(&bin("rs-unshare"), &["-r", "true"], "unshare", "ENOMEM", 1);
    assert_eq!(hint(&other), "");
}

/// A seccomp filter, as instructions: unshare gives EPERM where its first
/// argument has one of `flags`; with none, always.
fn filter(flags: Option<u32>) -> Vec<u8> {
    const LOAD: u16 = 0x20;
    const EQUALS: u16 = 0x15;
    const ANY_BIT: u16 = 0x45;
    const RETURN: u16 = 0x06;
    const ALLOW: u32 = 0x7fff_0000;
    const EPERM: u32 = 0x0005_0001;
    let number = u32::try_from(libc::SYS_unshare).expect("a small number");
    let program: Vec<(u16, u8, u8, u32)> = match flags {
        None => vec![(LOAD, 0, 0, 0), (EQUALS, 0, 1, number), (RETURN, 0, 0, EPERM), (RETURN, 0, 0, ALLOW)],
        Some(flags) => vec![
            (LOAD, 0, 0, 0),
            (EQUALS, 0, 3, number),
            (LOAD, 0, 0, 16),
            (ANY_BIT, 0, 1, flags),
            (RETURN, 0, 0, EPERM),
            (RETURN, 0, 0, ALLOW),
        ],
    };
    let bytes =
        |(code, yes, no, k): (u16, u8, u8, u32)| [&code.to_ne_bytes()[..], &[yes, no], &k.to_ne_bytes()].concat();
    program.into_iter().flat_map(bytes).collect()
}

#[test]
fn a_seccomp_filter() {
    needs!("root", "bwrap");
    let scratch = Scratch::new();
    let under = |flags: Option<u32>, options: &str| {
        let file = scratch.join("filter");
        std::fs::write(&file, filter(flags)).expect("a file");
        script(&format!("bwrap --dev-bind / / --cap-add ALL --seccomp 9 $U {options} true 9<{}", file.display()))
    };
    let ran = under(None, "-U");
    assert!(hint(&ran).contains("seccomp filter forbids unshare"), "{}", ran.stderr);
    // A filter is there, but refuses something else than unshare as a whole.
    let ran = under(Some(0x1000_0000), "-U");
    assert!(!ran.stderr.contains("seccomp"), "{}", ran.stderr);
    // No flags, no call, nothing to refuse.
    assert_eq!(under(None, "").status, 0);
}

/// An ordinary user's `-r`, refused by a filter on new user namespaces, on a
/// machine whose `/proc` tells that `sysctl` has `value`, and that AppArmor
/// calls the process `label`.
fn refused_user(sysctl: &str, value: &str, label: &str) -> Ran {
    let scratch = Scratch::new();
    let file = scratch.join("filter");
    std::fs::write(&file, filter(Some(0x1000_0000))).expect("a file");
    script(&format!(
        "export U; bwrap --dev-bind / / --cap-add ALL --seccomp 9 sh -c '
            mount -t tmpfs a /proc/$$/attr && mkdir /proc/$$/attr/apparmor && echo \"{label}\" > /proc/$$/attr/apparmor/current
            mount -t tmpfs k /proc/sys/kernel && echo {value} > /proc/sys/kernel/{sysctl}
            exec {NOBODY} $U -r true' 9<{}",
        file.display()
    ))
}

#[test]
fn what_distributions_add() {
    needs!("root", "bwrap", "setpriv");
    let apparmor = "apparmor_restrict_unprivileged_userns";
    for label in ["unconfined", "unprivileged_userns (enforce)"] {
        let ran = refused_user(apparmor, "1", label);
        assert!(hint(&ran).starts_with("AppArmor restricts user namespaces"), "{}", ran.stderr);
    }
    assert_eq!(hint(&refused_user(apparmor, "1", "rs-unshare (unconfined)")), "");
    assert_eq!(hint(&refused_user(apparmor, "0", "unconfined")), "");
    let debian = "unprivileged_userns_clone";
    let ran = refused_user(debian, "0", "unconfined");
    assert!(hint(&ran).contains("unprivileged_userns_clone is 0: set it to 1"), "{}", ran.stderr);
    assert_eq!(hint(&refused_user(debian, "1", "unconfined")), "");
}

/// The tool's `options` where one call fails as strace is told, on the machine
/// that `stage` makes. strace stands aside, so the number of the process, which
/// `stage` knows as `$$`, stays.
fn staged(stage: &str, who: &str, strace: &str, options: &str) -> Ran {
    script(&format!(
        "export U; unshare -m sh -c '{stage}; exec {who} strace -D -qq -o /dev/null {strace} $U {options} true' \
         2>&1 >/dev/null | grep -v ^strace: >&2; exit 1"
    ))
}

#[test]
fn apparmor_where_it_lets_the_namespace_be_made() {
    needs!("root", "strace", "setpriv");
    let ubuntu = |value: u8| {
        format!(
            "mount -t tmpfs a /proc/$$/attr; mkdir /proc/$$/attr/apparmor; mount -t tmpfs k /proc/sys/kernel
             echo unconfined > /proc/$$/attr/apparmor/current
             echo {value} > /proc/sys/kernel/apparmor_restrict_unprivileged_userns"
        )
    };
    for (strace, options) in [
        ("-e inject=write:error=EPERM:when=1", "-r"),
        ("-P /proc/self/setgroups -e inject=openat:error=EACCES", "-r"),
        ("-e inject=mount:error=EACCES:when=1", "-rm"),
    ] {
        let ran = staged(&ubuntu(1), NOBODY, strace, options);
        assert!(hint(&ran).starts_with("AppArmor restricts user namespaces"), "{}", ran.stderr);
        assert_eq!(hint(&staged(&ubuntu(0), NOBODY, strace, options)), "");
        // Who has the capability is not restricted.
        assert_eq!(hint(&staged(&ubuntu(1), "", strace, options)), "");
    }
}

#[test]
fn what_other_machines_have_or_lack() {
    needs!("root", "strace");
    let refused = |stage: &str, errno: &str, options: &str| {
        staged(stage, "", &format!("-e inject=unshare:error={errno}:when=1"), options)
    };
    let selinux = |enforce: u8| {
        format!("mount -t tmpfs t /sys/fs; mkdir /sys/fs/selinux; echo {enforce} > /sys/fs/selinux/enforce")
    };
    let ran = refused(&selinux(1), "EACCES", "-U");
    assert!(hint(&ran).contains("user_namespace create"), "{}", ran.stderr);
    assert_eq!(hint(&refused(&selinux(0), "EACCES", "-U")), "");
    let ran = refused("mount -t tmpfs t /proc/$$/ns", "EINVAL", "-T");
    assert_eq!(hint(&ran), "this kernel has no time namespaces: /proc/self/ns/time is missing");
    assert_eq!(hint(&refused(":", "EINVAL", "-T")), "");
}

#[test]
fn a_chroot() {
    needs!("root");
    let inside = |options: &str| {
        format!("mkdir r; cp $U r/u; cp /bin/busybox r/true; mkdir r/proc; chroot r /u {options} /true")
    };
    hints(&inside("-U"), "the caller is in a chroot");
    hints(&inside("-m").replace("chroot r", "chroot --userspec=65534:65534 r"), "the caller is in a chroot");
    hints(&inside("-m"), "--propagation unchanged");
    let fine = script(&inside("-m --propagation unchanged"));
    assert_eq!(fine.status, 0, "{}", fine.stderr);
    needs!("strace");
    assert_eq!(hint(&inject(&bin("rs-unshare"), &["-U", "true"], "unshare", "EPERM", 1)), "");
    assert_eq!(hint(&inject(&bin("rs-unshare"), &["-m", "true"], "mount", "EINVAL", 1)), "");
}

#[test]
fn ids_that_are_not_mapped() {
    needs!("userns");
    hints("unshare -U $U -U true", "not mapped in its user namespace");
    // A user namespace, the advice elsewhere, is no way out here.
    hints("unshare -U $U -m true", "not mapped in its user namespace");
    assert_eq!(script("unshare -r $U -U true").status, 0);
}

#[test]
fn a_second_pid_namespace_without_a_fork_between() {
    needs!("userns");
    hints("unshare -rp $U -p true", "add --fork to the outer unshare");
    assert_eq!(script("unshare -rpf $U -p true").status, 0);
    needs!("root", "strace");
    assert_eq!(hint(&inject(&bin("rs-unshare"), &["-p", "true"], "unshare", "EINVAL", 1)), "");
}

#[test]
fn a_file_of_a_pid_namespace_without_a_child() {
    needs!("root");
    hints("touch f; $U --pid=f true", "add --fork (-f)");
    no_hint("$U --pid=/nonexistent true");
    no_hint("$U -f --pid=/nonexistent true");
}

#[test]
fn a_file_of_a_mount_namespace_on_a_shared_mount() {
    needs!("root");
    let stage = "mkdir d; mount -t tmpfs t d && mount --make-$1 d && touch d/f && $U --mount=d/f true";
    let on = |kind: &str| format!("export U D; unshare -m sh -c '{stage}' sh {kind}");
    hints(&on("shared"), "is on a shared mount");
    // On a private one it works, or newer kernels refuse by chance.
    let ran = script(&on("private"));
    assert!(!ran.stderr.contains("hint"), "{}", ran.stderr);
}

#[test]
fn no_proc() {
    needs!("root");
    let without = "export U; unshare -m sh -c 'mount -t tmpfs none /proc; exec $U -r true'";
    hints(without, "nothing is mounted on /proc");
    needs!("strace");
    let ran = inject(&bin("rs-unshare"), &["-r", "true"], "write", "EINVAL", 1);
    assert_eq!(hint(&ran), "", "{}", ran.stderr);
}

#[test]
fn proc_in_a_user_namespace() {
    needs!("userns");
    hints("$U -r --mount-proc true", "add --pid --fork");
    hints("unshare -r $U --mount-proc true", "add --pid --fork");
    hints("$U -rp --mount-proc true", "not in the new pid namespace, its children are: add --fork (-f)");
    no_hint("$U -rpf --mount-proc=/nonexistent true");
    needs!("root");
    let masked = "export U; unshare -m sh -c '
        while umount -l /proc 2>/dev/null; do :; done; mount -t proc proc /proc; mount --bind /dev/null /proc/version
        exec $U -rpf --mount-proc true'";
    // The emulated machines keep the proc of their start image somewhere out of
    // reach: one that can be seen whole lets the kernel allow it.
    let emulated = std::env::var("RS_LANE").is_ok_and(|lane| lane.starts_with('v'));
    if !emulated || script(masked).status != 0 {
        hints(masked, "is covered at /proc/version");
        hints(&masked.replace("$U -rpf", "unshare -rpf $U"), "is covered at /proc/version");
    }
}

#[test]
fn setgroups_where_a_single_group_is_mapped() {
    needs!("userns");
    hints("$U -r -G 0 true", "map the groups by a range (--map-auto, --map-groups), not by -r");
    needs!("root", "strace");
    let ran = inject(&bin("rs-unshare"), &["-G", "0", "true"], "setgroups", "EPERM", 1);
    assert_eq!(hint(&ran), "", "{}", ran.stderr);
}

#[test]
fn a_user_that_is_not_mapped() {
    needs!("userns");
    hints("$U -r -S 5 true", "uid 5 is not mapped in this user namespace");
    needs!("root", "setpriv");
    no_hint(&format!("{NOBODY} $U -S 5 true"));
    hints("$U --map-groups=0:0:5 -G 7 true", "gid 7 is not mapped in this user namespace");
}

#[test]
fn maps_that_the_kernel_does_not_take() {
    needs!("root");
    hints("$U --map-users=0:0:9 --map-users=5:20:9 true", "0:0:9 and 5:20:9 have the same ids inside");
    hints("$U $(for n in $(seq 341); do echo --map-users=$n:$n:1; done) true", "the map has 341 lines");
}

#[test]
fn an_offset_beyond_the_clocks() {
    needs!("userns");
    hints("$U -rT --monotonic -99999999999 true", "an offset of -99999999999 s");
    needs!("strace");
    let ran = inject(&bin("rs-unshare"), &["-rT", "--monotonic", "1", "true"], "write", "EACCES", 1);
    assert_eq!(hint(&ran), "", "{}", ran.stderr);
}

#[test]
fn a_caller_that_cannot_be_dumped() {
    needs!("root", "setpriv");
    // As a setuid program would start it: two users at once.
    hints(
        "setpriv --ruid 65534 --euid 1000 --regid 65534 --clear-groups $U -r true",
        "does not belong to this process's user",
    );
    assert_eq!(script(&format!("{NOBODY} $U -r true")).status, 0);
}

#[test]
fn no_processes_left() {
    needs!("root", "setpriv", "prlimit");
    hints(&format!("{NOBODY} prlimit --nproc=0 $U -f true"), "RLIMIT_NPROC");
}

/// A file of subordinate ids in place of the machine's, for one command.
fn with_subids(users: &str, groups: &str, command: &str) -> String {
    format!(
        "printf '{users}' > subuid; printf '{groups}' > subgid; export U D; unshare -m sh -c '\
         mount --bind subuid /etc/subuid && mount --bind subgid /etc/subgid && {command}'"
    )
}

const GRANTED: &str = "nobody:200000:65536\\n";

fn both_files(command: &str) -> String {
    with_subids(GRANTED, GRANTED, command)
}

#[test]
fn subordinate_ids() {
    needs!("root", "setpriv", "newuidmap");
    let both = both_files;
    let fine = script(&both(&format!("{NOBODY} $U -r --map-auto cat /proc/self/uid_map /proc/self/gid_map")));
    let lines: Vec<Vec<&str>> = fine.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines, [["0", "65534", "1"], ["1", "200000", "65536"]].repeat(2), "{}", fine.stderr);
    let alone = script(&both(&format!(
        "{NOBODY} $U --map-auto sh -c \"cat /proc/self/uid_map; id -u; cat /proc/self/setgroups\""
    )));
    assert_eq!(alone.stdout.split_whitespace().collect::<Vec<_>>(), ["0", "200000", "65536", "65534", "allow"]);
    let own = script(&both(&format!("{NOBODY} $U -c --map-auto cat /proc/self/uid_map")));
    let lines: Vec<Vec<&str>> = own.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(lines.contains(&vec!["65534", "65534", "1"]) && lines.contains(&vec!["0", "200000", "65534"]), "{lines:?}");
    let same = script(&both(&format!("{NOBODY} $U --map-subids cat /proc/self/uid_map")));
    assert_eq!(same.stdout.split_whitespace().collect::<Vec<_>>(), ["200000", "200000", "65536"], "{}", same.stderr);

    hints(&with_subids("other:1:2\\n", GRANTED, &format!("{NOBODY} $U --map-auto true")), "usermod --add-subuids");
    let ran = script(&with_subids(GRANTED, "other:1:2\\n", &format!("{NOBODY} $U --map-auto true")));
    assert!(ran.stderr.starts_with("rs-unshare: no line matching user \"nobody\" in /etc/subgid\n"), "{}", ran.stderr);
    no_hint(&with_subids("nobody:x:5\\n", GRANTED, &format!("{NOBODY} $U --map-auto true")));
    // Only root's own line is root's.
    let ran = script(&with_subids("somebody:1:2\\n", "somebody:1:2\\n", "$U --map-auto true"));
    assert!(ran.stderr.starts_with("rs-unshare: no line matching user \"root\""), "{}", ran.stderr);
    // This one has no entry in /etc/passwd.
    no_hint("setpriv --reuid 54321 --regid 54321 --clear-groups $U --map-auto true");
}

#[test]
fn newuidmap() {
    needs!("root", "setpriv", "newuidmap");
    let with = |path: &str, make: &str| {
        with_subids(GRANTED, GRANTED, &format!("{make}; exec {NOBODY} env PATH={path} $U --map-auto /bin/true"))
    };
    let barred = script(&both_files(&format!("exec setpriv --no-new-privs {} $U --map-auto true", &NOBODY[8..])));
    assert_eq!(barred.status, 1, "{}", barred.stderr);
    assert!(barred.stderr.contains("no_new_privs is set"), "{}", barred.stderr);
    let missing = script(&with("/nonexistent", ":"));
    assert_eq!(missing.status, 127);
    assert!(missing.stderr.contains("failed to execute newuidmap: No such file or directory\n"), "{}", missing.stderr);
    assert!(missing.stderr.contains("in the package uidmap"), "{}", missing.stderr);
    let plain = script(&with("$D/bin", "mkdir bin; touch bin/newuidmap"));
    assert_eq!(plain.status, 126, "{}", plain.stderr);
    assert!(!plain.stderr.contains("package"), "{}", plain.stderr);
    let powerless = script(&with("$D/bin", "mkdir bin; cp $(command -v newuidmap) bin/; chmod 755 bin/newuidmap"));
    assert_eq!(powerless.status, 1, "{}", powerless.stderr);
    assert!(powerless.stderr.contains("has neither the setuid bit nor a file capability"), "{}", powerless.stderr);
    let more = script(&with_subids(GRANTED, GRANTED, &format!("exec {NOBODY} $U --map-users=0:5:6 true")));
    assert_eq!(more.status, 1);
    assert!(more.stderr.contains("not allowed") && !more.stderr.contains("hint"), "{}", more.stderr);
    let no_groups = "mkdir bin; cp -p $(command -v newuidmap) bin/";
    assert_eq!(script(&with("$D/bin", no_groups)).status, 127);
    let killed = "mkdir bin; printf \"#!/bin/sh\\nkill -KILL \\$\\$\\n\" > bin/newuidmap; chmod 755 bin/newuidmap";
    let ran = script(&with("$D/bin", killed));
    assert_eq!((ran.status, ran.stdout.as_str()), (1, ""), "{}", ran.stderr);
    let own = "mkdir bin; printf \"#!/bin/sh\\nexit 42\\n\" > bin/newuidmap; chmod 755 bin/newuidmap";
    assert_eq!(script(&with("$D/bin", own)).status, 42);
}
