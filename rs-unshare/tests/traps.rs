//! What a Rust program does wrong by itself, one test each.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

use chain::testing::{Ran, Scratch, bin, needs, run, sh};
use std::path::Path;

fn script(text: &str) -> Ran {
    sh(Path::new("/nonexistent"), &text.replace("UNSHARE", &bin("rs-unshare").display().to_string()))
}

#[test]
fn sigpipe_is_as_the_caller_had_it() {
    let masks =
        |ran: Ran| u64::from_str_radix(ran.stdout.split_whitespace().nth(1).unwrap_or("x"), 16).expect("a mask");
    let sigpipe = 1 << 12;
    for fork in ["", "-f"] {
        let default = masks(script(&format!("exec UNSHARE {fork} grep SigIgn /proc/self/status")));
        assert_eq!(default & sigpipe, 0, "{fork}");
        let ignored = masks(script(&format!("trap '' PIPE; exec UNSHARE {fork} grep SigIgn /proc/self/status")));
        assert_eq!(ignored & sigpipe, sigpipe, "{fork}");
    }
    // The pipe's reader goes: nothing is printed, the status is the signal's.
    let ran = script("{ UNSHARE yes; echo $? >&2; } | head -1");
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("y\n", "141\n"));
}

#[test]
fn closed_descriptors_stay_closed() {
    let list =
        |close: &str, fork: &str| script(&format!("UNSHARE {fork} sh -c 'ls -l /proc/self/fd' {close} | cat")).stdout;
    for fork in ["", "-f"] {
        assert!(!list("<&-", fork).contains(" 0 -> /dev/null"), "{}", list("<&-", fork));
        assert!(!list("2>&-", fork).contains(" 2 -> /dev/null"), "{}", list("2>&-", fork));
    }
}

#[test]
fn no_descriptor_is_added() {
    needs!("root");
    let scratch = Scratch::new();
    let file = scratch.join("f");
    std::fs::write(&file, "").expect("a file");
    let uts = format!("--uts={}", file.display());
    let user = format!("--user={}", file.display());
    // bash's [ and a glob open no descriptor of their own but the glob's.
    let count = ["sh", "-c", "set -- /proc/$$/fd/*; echo $#"];
    let plain = run(bin("rs-unshare"), count).stdout;
    for options in [
        vec!["-f"],
        vec!["--kill-child"],
        vec!["--forward-signals"],
        vec!["--map-users=0:0:5", "-f"],
        vec!["--owner=5:5"],
        vec![uts.as_str()],
        vec![&uts, "-f", "--kill-child"],
        vec![&user, "-f"],
    ] {
        let ran = run(bin("rs-unshare"), options.iter().chain(&count));
        let _ = run("umount", [&file]);
        assert_eq!(ran.stdout, plain, "{options:?} {}", ran.stderr);
    }
}

#[test]
fn the_time_namespace_is_not_lost() {
    needs!("userns");
    let ran = run(bin("rs-unshare"), ["-rTf", "--boottime", "1000000000", "cat", "/proc/uptime"]);
    assert!(ran.stdout.starts_with("100"), "{}", ran.stdout);
}

#[test]
fn capabilities_are_counted_without_proc() {
    needs!("userns", "busybox");
    let scratch = Scratch::new();
    std::fs::create_dir_all(scratch.join("bin")).expect("a folder");
    run("cp", ["/bin/busybox", &scratch.join("bin").display().to_string()]);
    let root = scratch.path().display().to_string();
    let ran = run(bin("rs-unshare"), ["-c", "--keep-caps", "-R", &root, "/bin/busybox", "echo", "ran"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (0, "ran\n"), "{}", ran.stderr);
}

#[test]
fn a_script_without_an_interpreters_line_runs() {
    let scratch = Scratch::new();
    let file = scratch.join("script");
    let file = file.display().to_string();
    script(&format!("echo 'echo $0 $1' > {file}; chmod 755 {file}"));
    assert_eq!(run(bin("rs-unshare"), [&file, "x"]).stdout, format!("{file} x\n"));
}

#[test]
fn each_map_is_written_once_and_at_once() {
    needs!("root", "strace");
    let scratch = Scratch::new();
    let trace = scratch.join("trace");
    let out = trace.display().to_string();
    for options in [vec!["-r"], vec!["--map-users=0:0:5", "--map-users=5:5:5", "--map-groups=all"]] {
        let mut args = vec!["-f", "-y", "-e", "trace=write", "-o", &out];
        let program = bin("rs-unshare").display().to_string();
        args.push(&program);
        args.extend(options);
        args.push("true");
        assert_eq!(run("strace", args).status, 0);
        let text = std::fs::read_to_string(&trace).expect("a trace");
        for map in ["uid_map", "gid_map"] {
            assert_eq!(text.lines().filter(|line| line.contains(map)).count(), 1, "{text}");
        }
    }
}

#[test]
fn there_is_one_thread_and_little_before_the_call() {
    needs!("root", "strace");
    let scratch = Scratch::new();
    let trace = scratch.join("trace");
    let out = trace.display().to_string();
    let program = bin("rs-unshare").display().to_string();
    assert_eq!(run("strace", ["-f", "-o", &out, &program, "-m", "true"]).status, 0);
    let text = std::fs::read_to_string(&trace).expect("a trace");
    let before: Vec<&str> = text.lines().take_while(|line| !line.contains("unshare(CLONE_NEWNS)")).collect();
    assert!(!before.iter().any(|line| line.contains("clone")), "{text}");
    // How memory comes is the C library's affair.
    let memory = ["mmap(", "munmap(", "mprotect(", "brk("];
    let before: Vec<&str> = before.into_iter().filter(|line| !memory.iter().any(|call| line.contains(call))).collect();
    assert!(before.len() < 40, "{} calls:\n{}", before.len(), before.join("\n"));
}

#[test]
fn a_small_stack_is_enough() {
    assert_eq!(script("ulimit -s 128; UNSHARE -f echo ran").stdout, "ran\n");
}

#[test]
fn values_that_clap_would_read_otherwise() {
    needs!("userns");
    let scratch = Scratch::new();
    for name in ["=d", "--fork", "-x"] {
        std::fs::create_dir(scratch.join(name)).expect("a folder");
    }
    let folder = scratch.path().display();
    let unshare = bin("rs-unshare");
    let unshare = unshare.display();
    let pwd = |options: &str| script(&format!("cd {folder} && {unshare} {options} pwd")).stdout;
    assert_eq!(pwd("-w=d"), format!("{folder}/=d\n"));
    assert_eq!(pwd("--wd --fork"), format!("{folder}/--fork\n"));
    assert_eq!(pwd("-w -x"), format!("{folder}/-x\n"));
    assert_eq!(pwd("-w / -w ./-x"), format!("{folder}/-x\n"));
    assert_eq!(script("UNSHARE -f -f -- echo -- -h").stdout, "-- -h\n");
}
