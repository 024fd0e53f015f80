//! What the kernel shows of a program that rs-capsh started.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

use chain::testing::{Ran, Scratch, bin, needs, run};

/// The fields of /proc/self/status that `words` give a program.
fn status(words: &[&str], field: &str) -> String {
    let grep = ["--exec", "cat", "/proc/self/status"];
    let ran = run(bin("rs-capsh"), words.iter().chain(&grep));
    assert_eq!(ran.status, 0, "{words:?}: {}", ran.stderr);
    let line = ran.stdout.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(":\t"));
    line.unwrap_or_default().to_owned()
}

#[test]
fn sets() {
    needs!("root");
    let bit = |number: u32| format!("{:016x}", 1u64 << number);
    let dropped = u64::from_str_radix(&status(&["--drop=cap_sys_chroot"], "CapBnd"), 16).unwrap();
    assert_eq!(dropped >> 18 & 1, 0);
    assert_eq!(status(&["--drop=all"], "CapBnd"), format!("{:016x}", 0));
    assert_eq!(status(&["--drop=all"], "CapEff"), format!("{:016x}", 0), "root gains nothing outside the bounding set");
    assert_eq!(status(&["--inh=cap_kill"], "CapInh"), bit(5));
    let ambient = ["--user=nobody", "--inh=cap_kill", "--addamb=cap_kill"];
    for field in ["CapAmb", "CapEff", "CapPrm", "CapInh"] {
        assert_eq!(status(&ambient, field), bit(5), "{field}");
    }
    assert_eq!(status(&["--secbits=0x2f", "--caps=cap_kill=ep"], "CapEff"), format!("{:016x}", 0));
    assert_eq!(status(&["--iab=^cap_kill,!cap_chown", "--cap-uid=9"], "CapAmb"), format!("{:016x}", 0));
    assert_eq!(status(&["--secbits=4", "--iab=^cap_kill", "--cap-uid=9"], "CapAmb"), bit(5));
    assert_eq!(status(&["--no-new-privs"], "NoNewPrivs"), "1");
    assert_eq!(status(&["--mode=NOPRIV"], "CapBnd"), format!("{:016x}", 0));
}

#[test]
fn ids() {
    needs!("root");
    assert_eq!(status(&["--gid=5", "--groups=6,7", "--uid=8"], "Uid"), "8\t8\t8\t8");
    assert_eq!(status(&["--gid=5", "--groups=6,7", "--uid=8"], "Gid"), "5\t5\t5\t5");
    assert_eq!(status(&["--gid=5", "--groups=6,7", "--uid=8"], "Groups").trim(), "6 7");
    assert_eq!(status(&["--user=nobody"], "Uid"), "65534\t65534\t65534\t65534");
}

/// Another /etc/group, of so many bytes; its last line is the user's.
fn with_group_file(bytes: u64) -> Ran {
    let scratch = Scratch::new();
    let line = "\nextra:x:4242:nobody\n";
    let file = std::fs::File::create(scratch.join("group")).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, line.as_bytes(), bytes - line.len() as u64).unwrap();
    let mounted = format!("mount --bind {}/group /etc/group && exec \"$@\"", scratch.path().display());
    let us = bin("rs-capsh").display().to_string();
    run("unshare", ["-m", "sh", "-c", &mounted, "sh", &us, "--user=nobody", "--exec", "id", "-G"])
}

#[test]
fn no_group_of_a_user_is_lost() {
    needs!("root");
    let ran = with_group_file(16 << 20);
    assert_eq!(ran.stdout, "65534 4242\n", "{}", ran.stderr);
    let ran = with_group_file((16 << 20) + 1);
    assert_eq!((ran.status, ran.stdout.as_str()), (1, ""));
    assert_eq!(ran.stderr, "rs-capsh: --user=nobody: cannot read /etc/group: File too large\n");
}

#[test]
fn a_new_root() {
    needs!("root", "busybox");
    let scratch = Scratch::new();
    std::fs::create_dir(scratch.join("bin")).unwrap();
    std::fs::copy(chain::testing::find("busybox").unwrap(), scratch.join("bin/sh")).unwrap();
    std::fs::copy(bin("rs-capsh"), scratch.join("bin/capsh")).unwrap();
    let root = format!("--chroot={}", scratch.path().display());
    let inside = |words: &[&str]| -> Ran {
        let mut all = vec![root.as_str(), "--drop=cap_sys_chroot"];
        all.extend(words);
        run(bin("rs-capsh"), all)
    };
    let ran = inside(&["--exec", "sh", "-c", "pwd; echo *; test ! -e /proc"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (0, "/\nbin\n"), "{}", ran.stderr);
    // Nothing of the host's is needed: no libraries, no /proc, no /etc.
    let ran = inside(&["--exec", "capsh", "--print", "==", "--modes"]);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    assert!(ran.stdout.contains("uid=0(???) euid=0(???)\ngid=0(???)\n"), "{}", ran.stdout);
    assert!(ran.stdout.ends_with("Supported modes: NOPRIV PURE1E_INIT PURE1E HYBRID\n"), "{}", ran.stdout);
    assert_eq!(inside(&["--exec", "capsh", "--chroot=/"]).status, 1, "there is no way out");
}

/// After a change of root there may be no /proc. What the C library reads
/// there before main is not ours.
#[test]
fn nothing_below_proc_is_read() {
    needs!("strace");
    let scratch = Scratch::new();
    let us = bin("rs-capsh");
    for words in [&["--print"][..], &["--mode", "--exec", "nosuch"], &["--groups=root"], &["--drop=63"]] {
        let trace = scratch.join("trace");
        let strace = ["-f", "-qq", "-e", "trace=%file", "-o", trace.to_str().unwrap(), us.to_str().unwrap()];
        run("strace", strace.iter().chain(words));
        let seen = std::fs::read_to_string(&trace).unwrap();
        assert!(seen.contains("execve("), "{seen}");
        let ours =
            |line: &&str| line.contains("\"/proc") && !["self/exe", "self/maps"].iter().any(|f| line.contains(f));
        assert_eq!(seen.lines().filter(ours).collect::<Vec<_>>(), [""; 0], "{words:?}");
    }
}

#[test]
fn nothing_else_changes() {
    let us = bin("rs-capsh");
    let us = us.display();
    let look = "umask; pwd; ulimit -n; env | sort | grep -v '^_='; ls /proc/self/fd; \
                grep -E 'Sig|Shd|NoNew|Seccomp|Groups' /proc/self/status | grep -v SigQ";
    let with = |start: &str| {
        let script = format!(
            "umask 027; ulimit -n 99; trap '' INT PIPE; cd /tmp; X=y; export X; {start} -c '{}'",
            look.replace('\'', "'\\''")
        );
        run("sh", ["-c", &script]).stdout
    };
    let plain = with("/bin/sh");
    for start in ["--exec /bin/sh", "--shell=/bin/sh --", "--shell=/bin/sh -+", "== --shell=/bin/sh --"] {
        assert_eq!(with(&format!("{us} {start}")), plain, "{start}");
    }
}

#[test]
fn the_environment_byte_for_byte() {
    let us = bin("rs-capsh");
    let mut command = std::process::Command::new(&us);
    command.args(["--shell=/usr/bin/env", "--", "-0"]).env_clear();
    command.envs([("Z", "1"), ("A", ""), ("Z=Y", "2"), ("M", "a\nb=c")]);
    let output = command.output().expect("it starts");
    let mut plain = std::process::Command::new("/usr/bin/env");
    plain.arg("-0").env_clear().envs([("Z", "1"), ("A", ""), ("Z=Y", "2"), ("M", "a\nb=c")]);
    assert_eq!(output.stdout, plain.output().expect("it starts").stdout);
}

#[test]
fn a_user_brings_home_and_name_along() {
    needs!("root");
    let words = ["-i", "A=1", "USER=x", "B=2", "--"];
    let us = bin("rs-capsh");
    let us = us.to_str().unwrap();
    let env = |more: &[&str]| {
        let capsh = [us, "--user=nobody", "--shell=/usr/bin/env", "--"];
        run("env", words.iter().take(4).chain(more).chain(&capsh)).stdout
    };
    assert_eq!(env(&[]), "A=1\nUSER=nobody\nB=2\nHOME=/nonexistent\n");
    assert_eq!(env(&["HOME=/h"]), "A=1\nUSER=nobody\nB=2\nHOME=/nonexistent\n");
}

/// The kernel keeps no status for whoever ignores SIGCHLD; the program is to
/// find the signal ignored all the same.
#[test]
fn a_caller_that_ignores_sigchld_loses_nothing() {
    for words in [
        &["--shell=/bin/grep", "-+"][..],
        &["--forkfor=9", "--killit=9", "--shell=/bin/grep", "--"],
        &["--forkfor=9", "--killit=9", "--exec", "grep"],
    ] {
        let ran = |then: &[&str]| {
            let us = bin("rs-capsh");
            let start = ["--ignore-signal=CHLD", us.to_str().unwrap()];
            run("env", start.iter().chain(words).chain(then))
        };
        let found = ran(&["SigIgn", "/proc/self/status"]);
        assert_eq!(found.status, 0, "{words:?}: {}", found.stderr);
        let mask = found.stdout.trim_start_matches("SigIgn:").trim();
        assert_eq!(u64::from_str_radix(mask, 16).unwrap() >> 16 & 1, 1, "{words:?}: {mask}");
        assert_eq!(ran(&["no such line", "/proc/self/status"]).status, 1, "{words:?}");
    }
}

#[test]
fn a_child_of_forkfor_can_be_seen_and_ends() {
    let us = bin("rs-capsh");
    let script =
        format!("{} --forkfor=2 --shell=/bin/sh -+ -c 'cat /proc/$PPID/task/$PPID/children' | wc -w", us.display());
    // The sleeper and the shell; a kernel without the file shows none.
    let seen: u32 = run("sh", ["-c", &script]).stdout.trim().parse().unwrap();
    assert!(matches!(seen, 0 | 2), "{seen}");
}
