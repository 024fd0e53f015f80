//! `--trace` tells what strace sees, of every process of ours.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

use chain::testing::{Scratch, against_strace, bin, needs, run};

/// Every call that the tool says it makes, but for the one that the Rust
/// runtime makes before main too.
fn calls() -> Vec<&'static str> {
    let page = &rs_unshare::pages()[0];
    page.calls.iter().map(|(name, _)| *name).filter(|name| *name != "rt_sigaction").collect()
}

fn same(args: &[&str]) {
    assert_eq!(against_strace(&bin("rs-unshare"), args, &calls()), Vec::<String>::new(), "{args:?}");
}

#[test]
fn of_the_one_process() {
    needs!("root", "strace");
    same(&["true"]);
    same(&["-muinUC", "true"]);
    same(&["-rm", "--propagation", "slave", "true"]);
    same(&["-c", "--keep-caps", "true"]);
    same(&["-u", "--hostname=a b", "-S", "5", "-G", "6", "true"]);
    same(&["-R", "/", "-w", "tmp", "true"]);
    same(&["-rT", "--monotonic", "5", "--boottime", "-6", "true"]);
}

#[test]
fn of_the_child_too() {
    needs!("root", "strace");
    same(&["-muinpfr", "--mount-proc", "true"]);
    same(&["--kill-child=TERM", "-S", "5", "true"]);
    same(&["--forward-signals", "true"]);
    same(&["-f", "sh", "-c", "exit 3"]);
    same(&["-f", "sh", "-c", "kill -TERM $$"]);
    same(&["-f", "sh", "-c", "kill -KILL $$"]);
}

#[test]
fn of_the_helpers_too() {
    needs!("root", "strace");
    same(&["--map-users=0:0:10", "--map-groups=0:0:10", "--setgroups=deny", "true"]);
    same(&["--owner=5:6", "-r", "true"]);
    let scratch = Scratch::new();
    let file = scratch.join("f");
    std::fs::write(&file, "").expect("a file");
    let uts = format!("--uts={}", file.display());
    for args in [vec![uts.as_str(), "true"], vec!["-f", &uts, "true"], vec!["-f", &uts, "/nonexistent"]] {
        same(&args);
        let _ = run("umount", [&file]);
    }
    let ran = run(bin("rs-unshare"), ["--trace", "-f", &uts, "/nonexistent"]);
    assert!(ran.stderr.contains("/f\", MNT_DETACH|UMOUNT_NOFOLLOW) = 0\n"), "{}", ran.stderr);
}

#[test]
fn of_what_fails() {
    needs!("root", "strace");
    same(&["/nonexistent"]);
    same(&["-w", "/nonexistent", "true"]);
    same(&["-r", "-S", "5", "true"]);
    same(&["-m", "--mount-proc=/nonexistent", "true"]);
    same(&["-f", "-R", "/nonexistent", "true"]);
    same(&["--map-users=0:0:10", "--map-users=5:5:10", "true"]);
}

#[test]
fn explain_says_why_before_each_call() {
    needs!("userns");
    let ran = run(bin("rs-unshare"), ["--explain", "-rmu", "--hostname=x", "/bin/true"]);
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert!(lines.len() >= 10 && lines.len().is_multiple_of(2), "{}", ran.stderr);
    for pair in lines.chunks(2) {
        assert!(pair[0].starts_with("# ") && pair[0].len() > 30, "{pair:?}");
        assert!(pair[1].contains(") = "), "{pair:?}");
    }
}

#[test]
fn the_variable_turns_it_on() {
    needs!("userns");
    let traced = std::process::Command::new(bin("rs-unshare")).args(["-U", "true"]).env("RS_TRACE", "trace").output();
    let stderr = String::from_utf8(traced.expect("it starts").stderr).expect("UTF-8");
    assert!(stderr.starts_with("unshare(CLONE_NEWUSER) = 0\n"), "{stderr}");
}
