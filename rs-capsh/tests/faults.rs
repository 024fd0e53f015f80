//! Every call made to fail, each time it is made: the right status and
//! message, no program after a step that failed.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

use chain::testing::{Scratch, bin, inject, needs};

/// Words that end with a program which says so; a call that they make; how
/// often it may fail without harm to what follows (the count of the first
/// one whose failure is an end), and how often it is made.
struct Line {
    words: &'static [&'static str],
    call: &'static str,
    times: std::ops::RangeInclusive<u32>,
    /// Times whose failure is taken as an answer.
    harmless: &'static [u32],
}

const fn line(
    words: &'static [&'static str],
    call: &'static str,
    times: std::ops::RangeInclusive<u32>,
    harmless: &'static [u32],
) -> Line {
    Line { words, call, times, harmless }
}

#[test]
fn nothing_runs_after_a_step_that_failed() {
    needs!("root", "strace");
    for line in [
        line(&["--chroot=/", "--exec", "echo", "ran"], "chroot", 1..=1, &[]),
        line(&["--chroot=/", "--exec", "echo", "ran"], "chdir", 1..=1, &[]),
        line(&["--caps=cap_sys_chroot=p", "--chroot=/", "--exec", "echo", "ran"], "capset", 1..=3, &[]),
        line(&["--uid=0", "--exec", "echo", "ran"], "setuid", 1..=1, &[]),
        line(&["--gid=0", "--groups=1", "--exec", "echo", "ran"], "setgid", 1..=1, &[]),
        line(&["--gid=0", "--groups=1", "--exec", "echo", "ran"], "setgroups", 1..=1, &[]),
        // A change of user: setgid in force, nothing in force, the same for
        // setuid.
        line(&["--user=nobody", "--exec", "echo", "ran"], "capset", 1..=4, &[]),
        line(&["--user=nobody", "--exec", "echo", "ran"], "setgid", 1..=1, &[]),
        line(&["--user=nobody", "--exec", "echo", "ran"], "setgroups", 1..=1, &[]),
        line(&["--user=nobody", "--exec", "echo", "ran"], "setuid", 1..=1, &[]),
        // The first is the borrowing that may be refused.
        line(&["--caps=cap_kill,cap_setpcap=p", "--inh=cap_kill", "--exec", "echo", "ran"], "capset", 1..=3, &[2]),
        line(&["--caps=cap_setpcap=p", "--drop=cap_kill,cap_bpf", "--exec", "echo", "ran"], "capset", 1..=5, &[]),
        line(
            &["--caps=cap_kill,cap_setpcap=p", "--iab=^cap_kill,!cap_chown", "--exec", "echo", "ran"],
            "capset",
            1..=3,
            &[],
        ),
        line(&["--mode=NOPRIV", "--exec", "echo", "ran"], "capset", 1..=3, &[]),
        line(&["--shell=/bin/echo", "-+", "ran"], "clone", 1..=1, &[]),
        line(&["--forkfor=1", "--exec", "echo", "ran"], "clone", 1..=1, &[]),
        line(&["--forkfor=1", "--killit=9", "--exec", "echo", "ran"], "kill", 1..=1, &[]),
    ] {
        for when in line.times {
            if line.harmless.contains(&when) {
                continue;
            }
            let ran = inject(&bin("rs-capsh"), line.words, line.call, "EPERM", when);
            let what = format!("{:?} {} {when}: {ran:?}", line.words, line.call);
            assert_eq!((ran.status, ran.stdout.contains("ran")), (1, false), "{what}");
            let told = ran.stderr.starts_with("rs-capsh: ") || ran.stdout.starts_with("failed to set mode [");
            assert!(told && !ran.stderr.contains("panicked"), "{what}");
        }
    }
}

/// prctl reads too, so that the failing one is found by trying all.
#[test]
fn a_failing_prctl_is_never_overlooked() {
    needs!("root", "strace");
    for words in [
        &["--drop=cap_kill,cap_chown", "--exec", "grep", "Cap", "/proc/self/status"][..],
        &["--inh=cap_kill", "--addamb=cap_kill", "--exec", "grep", "Cap", "/proc/self/status"],
        &["--secbits=0x2f", "--no-new-privs", "--exec", "grep", "Cap\\|NoNew", "/proc/self/status"],
        &["--mode=NOPRIV", "--exec", "grep", "Cap\\|NoNew", "/proc/self/status"],
        &["--iab=^cap_kill,!cap_chown", "--exec", "grep", "Cap", "/proc/self/status"],
        &["--inh=cap_kill", "--addamb=cap_kill", "--noamb", "--exec", "grep", "Cap", "/proc/self/status"],
    ] {
        let good = inject(&bin("rs-capsh"), words, "prctl", "EPERM", 9999);
        assert_eq!(good.status, 0, "{good:?}");
        // 42 reads find out how many capabilities there are; more of them
        // tell which are set.
        for when in (1..=42).step_by(20).chain(42..=52).chain([84, 85]) {
            let ran = inject(&bin("rs-capsh"), words, "prctl", "EPERM", when);
            assert!(!ran.stderr.contains("panicked"), "{ran:?}");
            // Either it was needed, and this is an end; or all is as it is
            // without the failure.
            let same = ran.stdout == good.stdout && ran.status == 0;
            let ended = ran.status == 1 && !ran.stdout.contains("CapEff");
            // What NOPRIV cannot drop is of no use to whom nothing is left.
            let noprivs =
                words[0] == "--mode=NOPRIV" && ran.status == 0 && ran.stdout.contains("CapPrm:\t0000000000000000");
            assert!(same || ended || noprivs, "{words:?} {when}: {ran:?}");
        }
    }
}

#[test]
fn an_exec_that_fails_is_told() {
    needs!("strace");
    for (words, status) in [
        (&["--shell=/bin/echo", "--", "ran"][..], 1),
        (&["--shell=/bin/echo", "-+", "ran"], 1),
        (&["==", "--shell=/bin/echo", "--", "ran"], 1),
        (&["=+", "--shell=/bin/echo", "--", "ran"], 1),
        (&["--exec", "/bin/echo", "ran"], 126),
    ] {
        for errno in ["EACCES", "ENOMEM", "E2BIG"] {
            let ran = [1, 2].map(|when| inject(&bin("rs-capsh"), words, "execve", errno, when));
            // Some straces count the exec that starts us.
            let failed: Vec<_> = ran.iter().filter(|ran| !ran.stdout.contains("ran")).collect();
            assert!(!failed.is_empty(), "{words:?}");
            for ran in failed {
                assert_eq!((ran.status, ran.stdout.as_str()), (status, ""), "{words:?}: {}", ran.stderr);
                assert!(ran.stderr.starts_with("rs-capsh: "), "{words:?}: {}", ran.stderr);
            }
        }
    }
}

#[test]
fn a_file_keeps_what_it_has() {
    needs!("root", "strace");
    let scratch = Scratch::new();
    let file = scratch.join("f");
    std::fs::write(&file, "").unwrap();
    let name = file.to_str().unwrap();
    for errno in ["EPERM", "ENOSPC", "EROFS", "EOPNOTSUPP"] {
        let ran = inject(&bin("rs-setcap"), &["cap_kill=p", name], "lsetxattr", errno, 1);
        assert_eq!(ran.status, 1, "{}", ran.stderr);
        let message = format!("rs-setcap: failed to set capabilities on file '{name}': ");
        assert!(ran.stderr.starts_with(&message), "{}", ran.stderr);
    }
    chain::testing::run(bin("rs-setcap"), ["cap_kill=p", name]);
    let ran = inject(&bin("rs-setcap"), &["-r", name], "lremovexattr", "EPERM", 1);
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    let ran = chain::testing::run(bin("rs-getcap"), [name]);
    assert_eq!(ran.stdout, format!("{name} cap_kill=p\n"));
}
