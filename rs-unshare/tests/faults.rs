//! Each call of the tool made to fail, at each place where it is made: the
//! right status, one message, the program not started, nothing left.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

use chain::testing::{Ran, Scratch, bin, needs, run};
use std::collections::{HashMap, HashSet};
use std::process::Command;

/// What a run under injection showed.
struct Injected {
    ran: Ran,
    /// The call that was made to fail, if it was one of ours.
    call: Option<String>,
    /// How many of our processes it was made to fail in: each may say so.
    processes: usize,
}

/// Runs the tool on `args` and lets the `when`th `call` of each of its
/// processes fail with `errno`. `timeout` ends what hangs.
fn inject(args: &[String], call: &str, errno: &str, when: u32) -> Injected {
    let scratch = Scratch::new();
    let log = scratch.join("log");
    let mut command = Command::new("timeout");
    command.args(["-k", "1", "20", "strace", "-f", "-qq", "-s", "200", "-e", "signal=none", "-o"]).arg(&log);
    command.arg("-e").arg(format!("trace={call},execve"));
    command.arg("-e").arg(format!("inject={call}:error={errno}:when={when}"));
    let ran: Ran = command.arg(bin("rs-unshare")).args(args).output().expect("strace starts").into();
    let log = std::fs::read_to_string(&log).unwrap_or_default();
    let calls = ours(&log);
    let processes = calls.iter().map(|(pid, _, _)| *pid).collect::<HashSet<_>>().len();
    let call = calls.into_iter().find(|(_, _, reads)| !reads).map(|(_, call, _)| call);
    Injected { ran, call, processes }
}

/// The injected calls that the program's own processes made, not those of the
/// payload, after its exec; and whether a call only reads.
fn ours(log: &str) -> Vec<(&str, String, bool)> {
    let mut calls = Vec::new();
    let mut started = false;
    let mut payload = HashSet::new();
    let mut begun = HashMap::new();
    for line in log.lines() {
        let Some((pid, call)) = line.split_once(' ') else { continue };
        let mut call = call.trim_start().to_owned();
        // Where two processes call at once strace writes a line in two parts.
        if let Some(begin) = call.strip_suffix(" <unfinished ...>") {
            begun.insert(pid, begin.to_owned());
            continue;
        }
        if call.starts_with("<... ")
            && let Some((_, end)) = call.split_once(" resumed>")
        {
            call = begun.remove(pid).unwrap_or_default() + end;
        }
        if call.starts_with("execve(") && call.ends_with(" = 0") {
            if started {
                payload.insert(pid);
            }
            started = true;
        }
        let reads = ["O_RDONLY", "PR_CAPBSET_READ", "SIG_BLOCK, NULL", "[RT_1 RT_2]", "write(2, ", "rt_sigaction("];
        // Its refusal is how the child's exec is seen.
        let asks = call.starts_with("setpgid(") && !call.starts_with("setpgid(0");
        let reads = asks || reads.iter().any(|word| call.contains(word));
        if call.ends_with("(INJECTED)") && !payload.contains(pid) {
            calls.push((pid, call, reads));
        }
    }
    calls
}

/// Options that together make every call, and a file each may bind.
fn scenarios(file: &str) -> Vec<Vec<String>> {
    let uts = format!("--uts={file}");
    let lines: [&[&str]; 10] = [
        &["-rmuinC", "--propagation", "slave", "--hostname=x"],
        &["-rpf", "--mount-proc", "--kill-child", "-S", "0"],
        &["--map-users=0:0:10", "--map-groups=0:0:10", "--setgroups=deny", "-f"],
        &[&uts, "-f"],
        &[&uts, "-m"],
        &["--owner=5:6", "-r"],
        &["-R", "/", "-w", "tmp", "-G", "5", "-S", "5"],
        &["-c", "--keep-caps"],
        &["-rT", "--monotonic", "5", "--boottime", "6"],
        &["--forward-signals"],
    ];
    lines.iter().map(|line| line.iter().map(|word| (*word).to_owned()).collect()).collect()
}

#[test]
fn each_call_may_fail_at_each_place() {
    needs!("root", "strace");
    let scratch = Scratch::new();
    let file = scratch.join("f");
    std::fs::write(&file, "").expect("a file");
    run("chmod", ["777", &scratch.path().display().to_string()]);
    let file = file.display().to_string();
    let mark = scratch.join("ran");
    let mut hit = HashSet::new();
    // An emulated machine takes a second for each run; a fault is the same
    // there.
    let emulated = std::env::var("RS_LANE").is_ok_and(|lane| lane.starts_with('v'));
    for options in scenarios(&file).into_iter().take(if emulated { 2 } else { usize::MAX }) {
        let mut args = options.clone();
        args.extend(["touch".to_owned(), mark.display().to_string()]);
        for (call, _) in rs_unshare::pages()[0].calls {
            // strace starts us with the first execve.
            let first = if *call == "execve" { 2 } else { 1 };
            for when in first..first + 8 {
                let injected = inject(&args, call, "EPERM", when);
                let _ = run("umount", [&file]);
                let ran_it = std::fs::remove_file(&mark).is_ok();
                let Some(line) = &injected.call else {
                    if injected.ran.status == 0 && when > first {
                        break;
                    }
                    continue;
                };
                hit.insert(*call);
                judge(&options, line, &injected, ran_it);
                assert_no_process(&mark.display().to_string());
            }
        }
    }
    if emulated {
        return;
    }
    for call in ["unshare", "mount", "clone", "openat", "write", "chroot", "chdir", "setuid", "setgid", "setgroups"] {
        assert!(hit.contains(call), "{call} was never made to fail");
    }
    for call in ["execve", "capset", "prctl", "pidfd_open", "sethostname", "rt_sigprocmask", "setpgid"] {
        assert!(hit.contains(call), "{call} was never made to fail");
    }
}

fn judge(options: &[String], line: &str, injected: &Injected, ran_it: bool) {
    let ran = &injected.ran;
    let told = format!("{options:?}\n{line}\nstatus {}\n{}", ran.status, ran.stderr);
    let status = if line.starts_with("execve") { 126 } else { 1 };
    assert_eq!(ran.status, status, "{told}");
    assert!(!ran_it, "the program ran: {told}");
    assert!(ran.stderr.lines().all(|line| line.starts_with("rs-unshare: ")), "{told}");
    let messages = ran.stderr.lines().filter(|line| !line.starts_with("rs-unshare: hint: ")).count();
    assert!((1..=injected.processes).contains(&messages), "{messages} messages: {told}");
}

/// None of our processes is left: each has the mark among its words.
fn assert_no_process(mark: &str) {
    let left = || {
        let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
        processes
            .filter(|entry| {
                std::fs::read(entry.path().join("cmdline"))
                    .is_ok_and(|words| String::from_utf8_lossy(&words).contains(mark) && words.starts_with(b"/"))
            })
            .count()
    };
    // A helper ends when it sees that its parent has: a moment later.
    for _ in 0..200 {
        if left() == 0 {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    panic!("{} processes are left", left());
}

/// The helpers wait for word: without it nothing may be taken for done, and
/// nobody may wait for ever.
#[test]
fn processes_that_cannot_speak_with_each_other() {
    needs!("root", "strace");
    let scratch = Scratch::new();
    let file = scratch.join("f");
    std::fs::write(&file, "").expect("a file");
    run("chmod", ["777", &scratch.path().display().to_string()]);
    let uts = format!("--uts={}", file.display());
    let mark = scratch.join("ran").display().to_string();
    for call in ["socketpair", "sendto"] {
        for (options, times) in [(vec!["--map-users=0:0:10"], 1), (vec!["--owner=5:6", "-r"], 1), (vec![&uts, "-f"], 3)]
        {
            for when in 1..=times {
                let args: Vec<String> = options.iter().copied().chain(["touch", &mark]).map(str::to_owned).collect();
                let injected = inject(&args, call, "EIO", when);
                let bound = run("umount", [&file]).status == 0;
                let told = format!("{args:?} {call} {when}: {}", injected.ran.stderr);
                assert!(injected.call.is_some(), "not made to fail: {told}");
                assert!(!bound && std::fs::remove_file(&mark).is_err(), "{told}");
                assert_eq!(injected.ran.status, 1, "{told}");
                let words = "rs-unshare: cannot speak with another of our own processes: ";
                assert!(injected.ran.stderr.starts_with(words) && injected.ran.stderr.lines().count() == 1, "{told}");
                assert_no_process(&mark);
            }
        }
    }
}

#[test]
fn a_full_system_is_told_with_the_files_that_bound_it() {
    needs!("root", "strace");
    let ran = chain::testing::inject(&bin("rs-unshare"), &["-mu", "echo", "ran"], "unshare", "ENOSPC", 1);
    assert_eq!((ran.status, ran.stdout.as_str()), (1, ""));
    assert!(
        ran.stderr.contains("/proc/sys/user/max_mnt_namespaces, /proc/sys/user/max_uts_namespaces"),
        "{}",
        ran.stderr
    );
    let ran = chain::testing::inject(&bin("rs-unshare"), &["-f", "echo", "ran"], "clone", "EAGAIN", 1);
    assert_eq!((ran.status, ran.stdout.as_str()), (1, ""));
    assert!(ran.stderr.contains("RLIMIT_NPROC") && ran.stderr.contains("pids.max"), "{}", ran.stderr);
    let ran = chain::testing::inject(&bin("rs-unshare"), &["-f", "echo", "ran"], "clone", "ENOMEM", 1);
    let reason = chain::error::strerror(nix::errno::Errno::ENOMEM);
    assert_eq!(ran.stderr, format!("rs-unshare: fork failed: {reason}\n"));
}

#[test]
fn a_wait_that_fails_is_called_by_its_name() {
    needs!("strace");
    for (option, call, message) in [
        ("-f", "wait4", "waitpid failed"),
        ("--forward-signals", "rt_sigtimedwait", "cannot wait for the program and for signals"),
    ] {
        let ran = chain::testing::inject(&bin("rs-unshare"), &[option, "sleep", "0.3"], call, "EINVAL", 1);
        assert_eq!((ran.status, ran.stderr), (1, format!("rs-unshare: {message}: Invalid argument\n")));
    }
}
