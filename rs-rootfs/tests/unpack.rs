//! `rs-rootfs unpack`: its command line, its statuses, what it leaves, and
//! the calls it makes.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

use chain::testing::{Ran, Scratch, against_strace, bin, inject, needs, run, sh};
use nix::sys::signal::{Signal, kill};
use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What a whole tree needs: every kind of entry.
const SCRIPT: &str = "set -e; mkdir tree; cd tree; mkdir -p a/b usr/bin; ln -s usr/bin bin; echo text > a/file
ln a/file a/hard; ln -s ../a/file bin/link; mkfifo pipe; printf x > a/b/mode; chmod 4755 a/b/mode; chown 12:34 a/b/mode
chmod 2750 usr/bin; touch -d @-1.25 a/old; chmod 0 a/old; truncate -s 10M hole; printf data >> hole
setfattr -n user.x -v value a/file 2>/dev/null || :; touch -d @1234567890.5 a usr
test \"$(id -u)\" != 0 || mknod null c 1 3";

/// Every `Call::NAME` on the way from an archive to a tree.
const CALLS: &[&str] = &[
    "umask",
    "mkdirat",
    "openat",
    "write",
    "pwrite64",
    "ftruncate",
    "symlinkat",
    "linkat",
    "mknodat",
    "fchown",
    "fchownat",
    "fchmod",
    "fchmodat",
    "fsetxattr",
    "utimensat",
    "unlinkat",
    "renameat2",
];

fn unpack<S: AsRef<OsStr>>(words: impl IntoIterator<Item = S>) -> Ran {
    let words: Vec<_> = words.into_iter().map(|word| word.as_ref().to_owned()).collect();
    run(bin("rs-rootfs"), std::iter::once(OsStr::new("unpack").to_owned()).chain(words))
}

/// A tree made by `SCRIPT` and an archive of it.
fn archive(scratch: &Scratch) -> PathBuf {
    let tar = "tar --format=posix --numeric-owner --xattrs -S -C tree -cf tree.tar .";
    let script = format!("cd {}; {SCRIPT}; cd ..; {tar}", scratch.path().display());
    let ran = run("sh", ["-c", &script]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    scratch.join("tree.tar")
}

/// All that is below `folder`, as one text.
fn picture(folder: &Path) -> String {
    let format = "%P %y %m %U:%G %s %T@ %l %n\\n";
    let script = format!(
        "cd '{}' && find . -printf '{format}' | sed '/ d /s/ [0-9]* \\([0-9.-]* \\)/ \\1/' | sort;
         find . -type f -print0 | sort -z | xargs -0 cat | sha256sum; getfattr -Rd -m- . 2>/dev/null",
        folder.display()
    );
    run("sh", ["-c", &script]).stdout
}

#[test]
fn statuses() {
    let scratch = Scratch::new();
    let dir = scratch.join("d");
    let status = |words: &[&str]| unpack(words).status;
    for wrong in [
        &["--nonsense"][..],
        &[],
        &["x"],
        &["x", "y", "z"],
        &["--max-size=x", "a", "b"],
        &["--jobs=0", "a", "b"],
        &["--platform=a/b/c/d", "a", "b"],
    ] {
        let ran = unpack(wrong);
        assert_eq!((ran.status, ran.stdout.as_str()), (125, ""), "{wrong:?}: {}", ran.stderr);
        assert!(ran.stderr.starts_with("rs-rootfs: "), "{}", ran.stderr);
        assert!(ran.stderr.ends_with("Try 'rs-rootfs unpack --help' for more information.\n"), "{}", ran.stderr);
    }
    assert_eq!(status(&["--help"]), 0);
    let ran = unpack(["nothing".as_ref(), dir.as_os_str()]);
    assert_eq!(ran.status, 1);
    assert_eq!(
        ran.stderr,
        "rs-rootfs: nothing: No such file or directory; an image in a registry is docker://nothing\n"
    );
    assert!(!dir.exists());
    assert_eq!(run(bin("rs-rootfs"), ["nonsense"]).status, 125);
}

#[test]
fn help_fits_a_screen() {
    let ran = unpack(["--help"]);
    assert!(ran.stdout.lines().count() <= 40, "{}", ran.stdout);
    assert!(ran.stdout.lines().all(|line| line.chars().count() <= 80), "{}", ran.stdout);
    assert_eq!(ran.stdout, unpack(["-h"]).stdout);
}

#[test]
fn dir_must_be_empty_or_new() {
    needs!("root");
    let scratch = Scratch::new();
    let tar = archive(&scratch);
    let dir = scratch.join("d");
    let to = |dir: &Path| unpack([tar.as_os_str(), dir.as_os_str()]);
    fs::create_dir(&dir).expect("new");
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o711)).expect("ours");
    fs::write(dir.join("there"), "x").expect("new");
    let ran = to(&dir);
    assert_eq!(ran.status, 1);
    assert!(ran.stderr.contains("Directory not empty"), "{}", ran.stderr);
    assert_eq!(fs::read_dir(&dir).expect("there").count(), 1);
    fs::remove_file(dir.join("there")).expect("ours");
    assert_eq!(to(&dir).status, 0);
    assert!(to(&scratch.join("no/such")).stderr.contains("No such file or directory"));
    assert!(to(&tar).stderr.contains("Not a directory"));
    // A link is followed once.
    fs::create_dir(scratch.join("e")).expect("new");
    std::os::unix::fs::symlink("e", scratch.join("link")).expect("new");
    assert_eq!(to(&scratch.join("link")).status, 0);
    assert!(scratch.join("e/a/file").exists());
    std::os::unix::fs::symlink("later", scratch.join("dangling")).expect("new");
    assert_eq!(to(&scratch.join("dangling")).status, 0);
    assert!(scratch.join("later/a/file").exists());
}

#[test]
fn force_unpacks_over_and_takes_back_only_its_own() {
    needs!("root");
    let scratch = Scratch::new();
    let dir = scratch.join("d");
    fs::create_dir_all(dir.join("a/own")).expect("new");
    fs::write(dir.join("a/own/file"), "mine").expect("new");
    let tar = archive(&scratch);
    let mut bytes = fs::read(&tar).expect("there");
    assert_eq!(unpack(["--force".as_ref(), tar.as_os_str(), dir.as_os_str()]).status, 0);
    assert_eq!(fs::read_to_string(dir.join("a/own/file")).expect("kept"), "mine");
    let over = scratch.join("over");
    fs::create_dir_all(over.join("a")).expect("new");
    fs::write(over.join("a/mine"), "mine").expect("new");
    bytes.truncate(bytes.len() - 20000);
    fs::write(&tar, bytes).expect("ours");
    let ran = unpack(["--force".as_ref(), tar.as_os_str(), over.as_os_str()]);
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    let left = run("find", [over.as_os_str()]).stdout;
    assert_eq!(left.lines().count(), 3, "{left}");
}

#[test]
fn equals_tar() {
    needs!("root", "tar", "getfattr");
    let scratch = Scratch::new();
    let tar = archive(&scratch);
    let ours = scratch.join("ours");
    let ran = unpack([tar.as_os_str(), ours.as_os_str()]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
    assert_eq!(picture(&ours), picture(&scratch.join("tree")));
    let hole = fs::metadata(ours.join("hole")).expect("there");
    assert!(hole.blocks() * 512 < 1 << 20, "no hole: {} blocks", hole.blocks());
    for pack in ["gzip", "zstd -q", "xz"] {
        let script = format!(
            "{pack} < {0} | {1} unpack --json - {0}.d && rm -r {0}.d",
            tar.display(),
            bin("rs-rootfs").display()
        );
        let ran = run("sh", ["-c", &script]);
        assert_eq!(ran.status, 0, "{pack}: {}", ran.stderr);
        assert!(ran.stdout.contains("\"layers\":1"), "{}", ran.stdout);
    }
}

#[test]
fn umask_and_locale_change_nothing() {
    needs!("root", "getfattr");
    let scratch = Scratch::new();
    let tar = archive(&scratch);
    let dir = scratch.join("d");
    let script = format!("umask 077; {} unpack {} {}", bin("rs-rootfs").display(), tar.display(), dir.display());
    assert_eq!(run("sh", ["-c", &script]).status, 0);
    assert_eq!(picture(&dir), picture(&scratch.join("tree")));
}

#[test]
fn an_ordinary_user_gets_what_can_be_kept() {
    needs!("root", "setpriv");
    let scratch = Scratch::new();
    let tar = archive(&scratch);
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o777)).expect("ours");
    let as_nobody = |words: &[&str]| {
        let words = [&["--reuid=65534", "--regid=65534", "--clear-groups", "--"], words].concat();
        run("setpriv", words)
    };
    let tool = bin("rs-rootfs").display().to_string();
    let (tar, dir) = (tar.display().to_string(), scratch.join("d").display().to_string());
    let ran = as_nobody(&[&tool, "unpack", &tar, &dir]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(ran.stderr.ends_with(" not kept\n") && ran.stderr.contains("1 device node"), "{}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 1);
    let about = fs::metadata(scratch.join("d/a/b/mode")).expect("there");
    assert_eq!((about.mode() & 0o7777, about.uid()), (0o755, 65534));
    assert!(fs::symlink_metadata(scratch.join("d/null")).expect("there").is_file());
    let strict = scratch.join("s").display().to_string();
    let ran = as_nobody(&[&tool, "unpack", "--strict", &tar, &strict]);
    assert_eq!(ran.status, 1);
    assert!(!scratch.join("s").exists());
    assert_eq!(as_nobody(&["rm", "-r", &dir]).status, 0);
}

/// Starts to unpack an archive of which the second half does not come.
fn half(scratch: &Scratch, dir: &Path) -> Child {
    let bytes = fs::read(archive(scratch)).expect("there");
    let mut command = Command::new(bin("rs-rootfs"));
    command.args(["unpack", "-"]).arg(dir).stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let to = child.stdin.as_mut().expect("a pipe");
    to.write_all(&bytes[..700]).expect("it reads");
    child
}

#[test]
fn a_signal_leaves_nothing() {
    needs!("root");
    for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM] {
        let scratch = Scratch::new();
        let mut child = half(&scratch, &scratch.join("d"));
        std::thread::sleep(Duration::from_millis(300));
        let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
        let begun = Instant::now();
        kill(pid, signal).expect("it runs");
        let _open = child.stdin.take();
        let ran: Ran = child.wait_with_output().expect("it ends").into();
        assert_eq!(ran.status, 128 + signal as i32, "{}", ran.stderr);
        assert!(begun.elapsed() < Duration::from_secs(5));
        let left: Vec<_> = fs::read_dir(scratch.path()).expect("there").flatten().map(|e| e.file_name()).collect();
        assert!(left.len() == 2, "{left:?}");
    }
}

#[test]
fn a_cut_stream_leaves_nothing() {
    needs!("root");
    let scratch = Scratch::new();
    let ran: Ran = half(&scratch, &scratch.join("d")).wait_with_output().expect("it ends").into();
    assert_eq!(ran.status, 1);
    assert!(ran.stderr.contains("cut off"), "{}", ran.stderr);
    assert!(!scratch.join("d").exists());
}

#[test]
fn a_full_disk_is_told_and_undone() {
    needs!("root", "mount");
    let scratch = Scratch::new();
    let big = Command::new("sh")
        .arg("-c")
        .arg(format!("cd {}; head -c 3000000 /dev/zero | tr '\\0' x > f; tar cf f.tar f", scratch.path().display()))
        .status();
    assert!(big.is_ok_and(|status| status.success()));
    let script = format!(
        "mkdir m; mount -t tmpfs -o size=1M none m; {} unpack f.tar m/d; echo $?; ls -A m; umount m",
        bin("rs-rootfs").display()
    );
    let ran = run("unshare", ["-m", "sh", "-c", &format!("cd {}; {script}", scratch.path().display())]);
    assert_eq!(ran.stdout, "1\n", "{}", ran.stderr);
    assert!(ran.stderr.contains("No space left on device"), "{}", ran.stderr);
}

#[test]
fn a_file_beyond_the_limit_is_told_and_undone() {
    needs!("root");
    let scratch = Scratch::new();
    let script = format!(
        "cd {}; truncate -s 3M f; tar cf f.tar f; ulimit -f 1000; {} unpack f.tar d; echo $?; ls -A",
        scratch.path().display(),
        bin("rs-rootfs").display()
    );
    let ran = run("sh", ["-c", &script]);
    assert_eq!(ran.stdout, "1\nf\nf.tar\n", "{}", ran.stderr);
    assert_eq!(ran.stderr, "rs-rootfs: f.tar: layer 1: entry f: cannot write f: File too large\n");
}

#[test]
fn another_mount_below_is_not_crossed() {
    needs!("root", "mount");
    let scratch = Scratch::new();
    let tar = archive(&scratch);
    let script = format!(
        "mkdir -p d/a other; mount --bind other d/a; {} unpack --force {} d; echo $?; ls -A other",
        bin("rs-rootfs").display(),
        tar.display()
    );
    let ran = run("unshare", ["-m", "sh", "-c", &format!("cd {}; {script}", scratch.path().display())]);
    assert_eq!(ran.stdout, "1\n", "{}", ran.stderr);
    assert!(ran.stderr.contains("mounted"), "{}", ran.stderr);
}

#[test]
fn host_runs() {
    needs!("root", "chroot");
    let scratch = Scratch::new();
    let dir = scratch.join("d");
    let ran = unpack(["host:".as_ref(), dir.as_os_str()]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
    let script = "id -u; ls / | grep -c . 2>/dev/null || ls / >/dev/null && echo ok; uname; true && cat /etc/passwd";
    let ran = run("chroot", [dir.as_os_str(), "/bin/sh".as_ref(), "-c".as_ref(), script.as_ref()]);
    assert!(ran.stdout.starts_with("0\n") && ran.stdout.contains("root:x:0:0"), "{}{}", ran.stdout, ran.stderr);
    let ran = unpack(["host:no-such-program".as_ref(), scratch.join("e").as_os_str()]);
    assert_eq!(ran.stderr, "rs-rootfs: host:no-such-program: program 'no-such-program' is not on this host\n");
    let ran = unpack(["host:sh,/etc".as_ref(), scratch.join("e").as_os_str()]);
    assert_eq!(ran.stderr, "rs-rootfs: host:sh,/etc: '/etc' is a folder, no program\n");
    assert!(!scratch.join("e").exists());
    let hard = run("find", [dir.as_os_str(), "-type".as_ref(), "f".as_ref(), "-links".as_ref(), "+1".as_ref()]);
    assert_eq!(hard.stdout, "");
}

#[test]
fn shared_blocks_count_as_bytes() {
    needs!("root", "strace");
    let scratch = Scratch::new();
    // A file system that can share blocks is rare: the kernel's answer is made up.
    let script = "strace -f -qq -o /dev/null -e inject=ioctl:retval=0 $0 unpack $1 host:true $2";
    let unpack = |option: &str, dir: &str| {
        let dir = scratch.join(dir);
        run("sh", ["-c".as_ref(), script.as_ref(), bin("rs-rootfs").as_os_str(), option.as_ref(), dir.as_os_str()])
    };
    let bytes = unpack("--json", "d")
        .stdout
        .rsplit_once("bytes\":")
        .and_then(|(_, rest)| rest.split('}').next()?.split(',').next()?.parse::<u64>().ok());
    assert!(bytes.is_some_and(|bytes| bytes > 100_000), "{bytes:?}");
    assert_eq!(unpack("--max-size=100000", "e").status, 1);
}

#[test]
fn trace_is_what_strace_sees() {
    needs!("root", "strace");
    let scratch = Scratch::new();
    let tar = archive(&scratch);
    // The hole's data alone would fill the comparison.
    let dir = scratch.join("d");
    let (tool, tar, dir) = (bin("rs-rootfs"), tar.display().to_string(), dir.display().to_string());
    let difference = against_strace(&tool, &["unpack", &tar, &dir], CALLS);
    assert_eq!(difference, Vec::<String>::new());
    // The host's files are copied by the kernel.
    let host = scratch.join("host").display().to_string();
    let calls = [CALLS, &["copy_file_range", "ioctl"]].concat();
    assert_eq!(against_strace(&tool, &["unpack", "host:sh", &host], &calls), Vec::<String>::new());
}

#[test]
fn odd_owners_modes_and_values_are_traced_as_strace_does() {
    needs!("root", "strace", "tar", "setcap", "setfattr");
    let scratch = Scratch::new();
    let script = "mkdir t && cd t && : >small && : >far && : >able && mkdir shut && ln -s x link
        chmod 7 small && chmod 70 shut && chown 4294967294:2147483648 far && chown -h 3000000000:4 link
        setcap cap_net_raw+ep able && setfattr -n user.end -v 0x7600 far && setfattr -n trusted.nul -v 0x00 shut
        tar --xattrs --xattrs-include='*' --sort=name -cf ../t.tar .";
    let made = sh(Path::new("/usr/sbin"), &format!("cd {} && {script}", scratch.path().display()));
    assert_eq!(made.status, 0, "{}", made.stderr);
    let (tar, dir) = (scratch.join("t.tar").display().to_string(), scratch.join("d").display().to_string());
    let difference = against_strace(&bin("rs-rootfs"), &["unpack", &tar, &dir], CALLS);
    assert_eq!(difference, Vec::<String>::new());
}

#[test]
fn every_refused_call_is_told_and_undone() {
    needs!("root", "strace");
    let scratch = Scratch::new();
    let tar = archive(&scratch);
    let dir = scratch.join("d");
    let words = ["unpack".to_owned(), tar.display().to_string(), dir.display().to_string()];
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    for call in CALLS.iter().filter(|call| !matches!(**call, "openat" | "write" | "unlinkat" | "fchmodat" | "fchownat"))
    {
        for when in [1, 2] {
            let ran = inject(&bin("rs-rootfs"), &words, call, "EIO", when);
            let made = ran.status == 0;
            assert!(made || ran.status == 1, "{call} {when}: {} {}", ran.status, ran.stderr);
            assert_eq!(dir.exists(), made, "{call} {when}: {}", ran.stderr);
            assert!(made || ran.stderr.starts_with("rs-rootfs: "), "{call} {when}: {}", ran.stderr);
            assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
            let _ = fs::remove_dir_all(&dir);
        }
    }
    let left: Vec<_> = fs::read_dir(scratch.path()).expect("there").flatten().map(|e| e.file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
}
