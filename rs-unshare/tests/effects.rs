//! What the kernel shows of the program: namespaces, ids, clocks, mounts; and
//! the same tool in other places than a plain root shell.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

use chain::testing::{Ran, Scratch, bin, needs, run, sh};
use std::path::Path;

fn ours(args: &[&str]) -> Ran {
    run(bin("rs-unshare"), args)
}

/// Runs `script` in a folder of its own, the tool in `$U`.
fn script(text: &str) -> Ran {
    let scratch = Scratch::new();
    sh(
        Path::new("/nonexistent"),
        &format!("U={}; cd {}\n{text}", bin("rs-unshare").display(), scratch.path().display()),
    )
}

fn lines(ran: &Ran) -> Vec<String> {
    let words = |line: &str| line.split_whitespace().collect::<Vec<_>>().join(" ");
    ran.stdout.lines().map(words).collect()
}

#[test]
fn each_letter_makes_its_own_namespace_alone() {
    needs!("root");
    let kinds = [("m", "mnt"), ("u", "uts"), ("i", "ipc"), ("n", "net"), ("U", "user"), ("C", "cgroup")];
    let all = "cd /proc/self/ns; for n in cgroup ipc mnt net user uts; do readlink $n; done";
    let outside = run("sh", ["-c", all]).stdout;
    for (letter, name) in kinds {
        let inside = ours(&[&format!("-{letter}"), "sh", "-c", all]).stdout;
        let different: Vec<&str> = outside
            .lines()
            .zip(inside.lines())
            .filter(|(a, b)| a != b)
            .map(|(a, _)| a.split(':').next().unwrap_or_default())
            .collect();
        assert_eq!(different, [name]);
    }
}

#[test]
fn the_host_name_is_the_namespaces() {
    needs!("userns");
    let before = run("uname", ["-n"]).stdout;
    assert_eq!(ours(&["-ru", "--hostname=in side", "uname", "-n"]).stdout, "in side\n");
    assert_eq!(run("uname", ["-n"]).stdout, before);
    let long = "x".repeat(65);
    let ran = ours(&["-ru", "--hostname", &long, "echo", "ran"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (1, ""));
    assert_eq!(ran.stderr, format!("rs-unshare: cannot set the host name to {long}: Invalid argument\n"));
}

#[test]
fn clocks() {
    needs!("userns");
    let ran = ours(&[
        "-rTf",
        "--monotonic=100",
        "--boottime",
        "1000000000",
        "sh",
        "-c",
        "cat /proc/self/timens_offsets; cat /proc/uptime",
    ]);
    let seen = lines(&ran);
    assert_eq!(seen[..2], ["monotonic 100 0", "boottime 1000000000 0"], "{}", ran.stderr);
    assert!(seen[2].starts_with("1000"), "{seen:?}");
}

#[test]
fn owner() {
    needs!("root", "nsenter", "setpriv");
    let ran = script(
        "touch f; mount --bind f f; mount --make-private f
         $U --owner 1234:1235 --map-users=0:1234:1 --map-groups=0:1235:1 --net=f sh -c 'id -u; id -g; id -G'
         setpriv --reuid 1234 --regid 1235 --clear-groups nsenter --user=/proc/self/ns/user true; echo $?
         umount f; umount f",
    );
    assert_eq!(lines(&ran)[..3], ["0", "0", "0"], "{}", ran.stderr);
    // Who owns the namespace may enter it, although it has no right here.
    let ran = script(
        "$U --owner 1234:1235 -n sleep 20 & p=$!; until [ \"$(readlink /proc/$p/ns/net)\" != \"$(readlink /proc/self/ns/net)\" ]; do sleep 0.02; done
         setpriv --reuid 1234 --regid 1235 --clear-groups nsenter -U --preserve-credentials -n -t $p ls /sys >/dev/null; echo $?; kill $p",
    );
    assert_eq!(ran.stdout, "0\n", "{}", ran.stderr);
    let ran = ours(&["--owner=1234:1235", "-r", "cat", "/proc/self/uid_map"]);
    assert_eq!(lines(&ran), ["0 0 1"]);
    assert_eq!(lines(&ours(&["--owner=1234:1235", "-r", "-S", "0", "-G", "0", "id", "-u"])), ["0"]);
    // Its control files are the owner's to write.
    let ran = ours(&["--owner=5:6", "-Tf", "--monotonic=7", "--setgroups=deny", "cat", "/proc/self/timens_offsets"]);
    assert_eq!(lines(&ran)[0], "monotonic 7 0", "{}", ran.stderr);
    for (word, map) in [("deny", "--map-users=all"), ("deny", "--map-groups=0:6:1"), ("allow", "--map-groups=0:6:1")] {
        let ran = ours(&["--owner=5:6", map, "--setgroups", word, "cat", "/proc/self/setgroups"]);
        assert_eq!(lines(&ran), [word], "{}", ran.stderr);
    }
}

#[test]
fn keep_caps() {
    needs!("userns");
    let field = |args: &[&str], field: &str| {
        let ran = ours(&[args, &["grep", field, "/proc/self/status"]].concat());
        ran.stdout.split_whitespace().nth(1).unwrap_or_default().to_owned()
    };
    let full = field(&["-r"], "CapEff");
    assert_ne!(full, "0000000000000000");
    assert_eq!(field(&["--map-user=1000", "--keep-caps"], "CapEff"), full);
    assert_eq!(field(&["--map-user=1000", "--keep-caps"], "CapAmb"), full);
    assert_eq!(field(&["--map-user=1000"], "CapEff"), "0000000000000000");
}

#[test]
fn propagation() {
    needs!("root");
    let stage = |options: &str| {
        script(&format!(
            "mkdir d; export U; unshare -m sh -c 'mount -t tmpfs t d; mount --make-shared d; mkdir d/a d/b
             $U -m {options} sh -c \"mount -t tmpfs a d/a\"; mountpoint -q d/a && echo out || echo in'"
        ))
        .stdout
    };
    assert_eq!(stage(""), "in\n");
    assert_eq!(stage("--propagation private"), "in\n");
    assert_eq!(stage("--propagation slave"), "in\n");
    // What was shared keeps its peers outside.
    assert_eq!(stage("--propagation shared"), "out\n");
    assert_eq!(stage("--propagation unchanged"), "out\n");
}

#[test]
fn binfmt_misc() {
    needs!("userns", "busybox");
    let ran = script("$U -rpf --mount-binfmt ls /proc/sys/fs/binfmt_misc");
    if chain::hint::kernel_before(6, 7) {
        assert_eq!(ran.status, 1);
        assert!(ran.stderr.contains("since Linux 6.7") || ran.stderr.contains("modprobe"), "{}", ran.stderr);
        return;
    }
    if !std::fs::read_to_string("/proc/filesystems").expect("a list").contains("binfmt_misc") {
        assert!(ran.stderr.contains("modprobe binfmt_misc"), "{}", ran.stderr);
        return;
    }
    assert_eq!(ran.stdout, "register\nstatus\n", "{}", ran.stderr);
    let stage = "printf '#!/bin/sh\\necho interpreted \"$@\"\\n' > i; printf MAGIC. > p; chmod 755 i p; mkdir d; ";
    let ran = script(&format!("{stage} $U -rpf -l \":t:M::MAGIC::$PWD/i:\" ./p x"));
    assert_eq!(ran.stdout, "interpreted ./p x\n", "{}", ran.stderr);
    let ran = script(&format!("{stage} $U -rpf --mount-binfmt=$PWD/d -l \":t:M::MAGIC::$PWD/i:\" sh -c './p x; ls d'"));
    assert_eq!(ran.stdout, "interpreted ./p x\nregister\nstatus\nt\n", "{}", ran.stderr);
    // The interpreter is the caller's, although the root is another.
    let ran = script(&format!(
        "{stage} mkdir -p r/bin r/proc; cp /bin/busybox r/bin/busybox; cp p r/p; cp /bin/busybox echo
         $U -rpf -R r -l \":t:M::MAGIC::$PWD/echo:F\" /p x"
    ));
    assert_eq!(ran.stdout, "/p x\n", "{}", ran.stderr);
    for definition in ["bad", "''"] {
        let ran = script(&format!("$U -rpf -l {definition} echo ran"));
        assert_eq!((ran.status, ran.stdout.as_str()), (1, ""));
        assert!(ran.stderr.contains("/proc/sys/fs/binfmt_misc/register: Invalid argument"), "{}", ran.stderr);
    }
}

/// A root with busybox and the tool, and `script` run in a chroot to it. A
/// chroot allows no user namespace, but everything else.
#[test]
fn in_a_chroot() {
    needs!("root", "busybox");
    let inside = |text: &str| {
        let text = text.replace('\'', "'\\''");
        script(&format!(
            "mkdir -p r/bin r/proc r/d; cp /bin/busybox $U r/bin/; for a in sh cat echo id pwd true; do ln -s busybox r/bin/$a; done
             unshare -m sh -c 'mount -t proc proc r/proc; exec chroot r /bin/sh -c \"$0\"' '{text}'"
        ))
    };
    let told = |text: &str| inside(text).stdout;
    assert_eq!(told("rs-unshare -uinC echo x"), "x\n");
    assert_eq!(told("rs-unshare -pf sh -c 'echo $$'"), "1\n");
    assert_eq!(told("rs-unshare -mpf --propagation unchanged --mount-proc=/d cat /d/1/comm"), "cat\n");
    assert_eq!(told("rs-unshare -S 5 -G 6 sh -c 'id -u; id -g'"), "5\n6\n");
    assert_eq!(told("rs-unshare -u --hostname=x cat /proc/sys/kernel/hostname"), "x\n");
    assert_eq!(told("rs-unshare -R d /bin/sh; echo $?; rs-unshare /; echo $?"), "127\n126\n");
    assert_eq!(told("echo x > f; rs-unshare -u=f 2>/dev/null; echo $?; rs-unshare --uts=f true; echo $?"), "1\n0\n");
    assert_eq!(told("rs-unshare -r true 2>/dev/null; echo $?"), "1\n");
    assert_eq!(told("echo 'echo in' | SHELL= rs-unshare"), "in\n");
}

#[test]
fn in_a_user_namespace() {
    needs!("userns");
    let inner = bin("rs-unshare").display().to_string();
    let ran = ours(&["-r", &inner, "-muinpfr", "--mount-proc", "sh", "-c", "id -u; echo $$; cat /proc/self/uid_map"]);
    assert_eq!(lines(&ran), ["0", "1", "0 0 1"], "{}", ran.stderr);
    let ran = ours(&["-r", &inner, "--map-users=all", "--map-groups=all", "cat", "/proc/self/uid_map"]);
    assert_eq!(lines(&ran), ["0 0 1"], "{}", ran.stderr);
    // Only the ids that are there can be handed on.
    let ran = ours(&["-r", &inner, "--map-users=0:5:1", "echo", "ran"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (1, ""));
    assert!(ran.stderr.contains("/uid_map: Operation not permitted"), "{}", ran.stderr);
}

#[test]
fn as_an_ordinary_user() {
    needs!("userns");
    let me = nix::unistd::getuid().to_string();
    let ran = ours(&["-r", "cat", "/proc/self/uid_map"]);
    assert_eq!(lines(&ran), [format!("0 {me} 1")]);
    let ran = ours(&["-c", "id", "-u"]);
    assert_eq!(lines(&ran), [me.as_str()]);
    assert_eq!(ours(&["-muinpfr", "--mount-proc", "true"]).status, 0);
}

/// The numbers that `file` grants `user`, if it has a line.
fn granted(file: &str, user: &str) -> Option<(u32, u32)> {
    let text = std::fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| {
        let mut parts = line.strip_prefix(user)?.strip_prefix(':')?.split(':');
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    })
}

#[test]
fn as_an_ordinary_user_with_subordinate_ids_or_without() {
    needs!("user", "userns", "newuidmap");
    let (uid, gid) = (nix::unistd::getuid().as_raw(), nix::unistd::getgid().as_raw());
    let name = run("id", ["-un"]).stdout.trim().to_owned();
    let ran = ours(&["-r", "--map-auto", "cat", "/proc/self/uid_map", "/proc/self/gid_map"]);
    let (Some(users), Some(groups)) = (granted("/etc/subuid", &name), granted("/etc/subgid", &name)) else {
        assert_eq!((ran.status, ran.stdout.as_str()), (1, ""), "{}", ran.stderr);
        assert!(ran.stderr.contains(&format!("no line matching user \"{name}\" in /etc/sub")), "{}", ran.stderr);
        assert!(ran.stderr.contains("hint: give the user a range: usermod --add-subuids"), "{}", ran.stderr);
        return;
    };
    let map = |own, (first, count)| [format!("0 {own} 1"), format!("1 {first} {count}")];
    assert_eq!(lines(&ran), [map(uid, users), map(gid, groups)].concat(), "{}", ran.stderr);
    // Whoever has such ids can be any of them, and own files as them.
    let ran = ours(&["--map-auto", "-S", "5", "-G", "6", "sh", "-c", "id -u; id -g; id -G; cat /proc/self/setgroups"]);
    assert_eq!(lines(&ran), ["5", "6", "6", "allow"], "{}", ran.stderr);
    let ran = ours(&["--map-subids", "cat", "/proc/self/uid_map"]);
    assert_eq!(lines(&ran), [format!("{0} {0} {1}", users.0, users.1)], "{}", ran.stderr);
    let ran = ours(&["--map-auto", "-rmpf", "--mount-proc", "sh", "-c", "echo $$; id -u"]);
    assert_eq!(lines(&ran), ["1", "0"], "{}", ran.stderr);
    // newuidmap's own words are enough, and its status is ours.
    let ran = ours(&[&format!("--map-users=0:{}:{}", users.0, users.1 + 1), "echo", "ran"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (1, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("not allowed") && !ran.stderr.contains("hint"), "{}", ran.stderr);
}

#[test]
fn a_persistent_user_namespace_and_a_persistent_mount_namespace() {
    needs!("root", "nsenter");
    let ran = script(
        "touch u n; $U -r --user=u --net=n --map-users=0:0:9 true; echo $?
         nsenter --user=u --net=n cat /proc/self/uid_map; umount u n; echo $?",
    );
    assert_eq!(lines(&ran), ["0", "0 0 1", "1 1 8", "0"], "{}", ran.stderr);
    // Newer kernels refuse this by chance where the caller's mount namespace
    // is not the first; then nothing is bound and the program does not run.
    let ran = script(
        "mkdir d; export U; unshare -m sh -c 'mount -t tmpfs t d; touch d/f; $U --mount=d/f echo ran; echo $?; grep -c \" $PWD/d/f \" /proc/self/mountinfo'",
    );
    assert!(ran.stdout == "ran\n0\n1\n" || ran.stdout == "1\n0\n", "{} {}", ran.stdout, ran.stderr);
}
