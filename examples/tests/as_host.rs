//! The smallest link: what it does to its own process, and what it says.

use chain::testing::{against_strace, bin, inject, needs, run};

const CALLS: &[&str] = &["unshare", "sethostname", "execve"];

#[test]
fn the_program_sees_the_name_and_the_host_keeps_its_own() {
    needs!("root");
    let before = run("uname", ["-n"]).stdout;
    assert_eq!(run(bin("as-host"), ["other", "uname", "-n"]).stdout, "other\n");
    assert_eq!(run("uname", ["-n"]).stdout, before);
}

#[test]
fn trace_is_what_strace_sees() {
    needs!("root", "strace");
    let difference = against_strace(&bin("as-host"), &["a\"b\u{e9}", "true", "x y"], CALLS);
    assert_eq!(difference, Vec::<String>::new());
    let difference = against_strace(&bin("as-host"), &["a", "/nonexistent"], CALLS);
    assert_eq!(difference, Vec::<String>::new());
}

#[test]
fn nothing_runs_after_a_step_that_failed() {
    needs!("root", "strace");
    for call in ["unshare", "sethostname"] {
        let ran = inject(&bin("as-host"), &["other", "echo", "ran"], call, "EPERM", 1);
        assert_eq!((ran.status, ran.stdout.as_str()), (125, ""), "{call}: {}", ran.stderr);
        assert!(ran.stderr.starts_with("as-host: "), "{}", ran.stderr);
    }
}
