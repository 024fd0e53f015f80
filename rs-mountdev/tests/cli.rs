//! Exact statuses and messages.
#![allow(clippy::disallowed_methods)]

mod stage;

use chain::testing::{Ran, needs, run};
use stage::{Stage, tool};

fn t(args: &[&str]) -> (i32, String, String) {
    let Ran { status, stdout, stderr } = run(tool(), args);
    (status, stdout, stderr)
}

fn usage(reason: &str) -> (i32, String, String) {
    let text = format!("rs-mountdev: {reason}\nTry 'rs-mountdev --help' for more information.\n");
    (125, String::new(), text)
}

#[test]
fn usage_errors_are_125_and_two_lines() {
    for (args, reason) in [
        (&["--bogus"][..], "unrecognized option '--bogus'"),
        (&["-Z"], "invalid option -- 'Z'"),
        (&["--proc=x", "--root=/tmp", "true"], "option '--proc' doesn't allow an argument"),
        (&["--root"], "option '--root' requires an argument"),
        (&["-R"], "option requires an argument -- 'R'"),
        (&["--root=/tmp"], "missing <COMMAND>..."),
        (&["true"], "missing --root <DIR>"),
        (&["--bind", "a"], "option '--bind' requires two arguments"),
        (
            &["--root=/tmp", "--device=/dev/null:/x:rwm", "true"],
            "--device: '/dev/null:/x:rwm' has a third part: a bind cannot limit access",
        ),
        (&["--root=/tmp", "--device=", "true"], "--device: the path is empty"),
        (&["--root=/tmp", "--shm-size=x", "true"], "--shm-size: 'x' is no size in bytes (k, m, g may follow)"),
        (&["--root=/tmp", "--tmpfs=", "true"], "--tmpfs: the path is empty"),
        (
            &["--root=/tmp", "--proc-options=hidepid=9", "true"],
            "--proc-options: 'hidepid=9' is none of hidepid=0..4, gid=N, subset=pid, ro",
        ),
        (&["--root=/tmp", "--ptmx", "--host-ptmx", "true"], "--host-ptmx cannot be used with --ptmx"),
        (&["--root=/tmp", "--host-ptmx", "--dev", "true"], "--host-ptmx cannot be used with --dev"),
        (&["--root=/tmp", "--bind", "", "/x", "true"], "--bind: the path is empty"),
        (&["--verbose"], "missing --root <DIR>, <COMMAND>..."),
        (&["--root=/tmp", "--cgroup=x", "true"], "--cgroup: 'x' is none of ro, rw"),
        (
            &["--root=/tmp", "--propagation=shared", "true"],
            "--propagation: 'shared' is none of private, slave, unchanged",
        ),
        (&["--root=/tmp", "--preserve-fds=-1", "true"], "--preserve-fds: '-1' is no number from 0 to 65535"),
        (&["--root=/tmp", "--preserve-fds=x", "true"], "--preserve-fds: 'x' is no number from 0 to 65535"),
        (&["--root=/tmp", "--hostname=x", "true"], "unrecognized option '--hostname=x'"),
        (&["--root=/tmp", "--preserve-fds=65536", "true"], "--preserve-fds: '65536' is no number from 0 to 65535"),
    ] {
        assert_eq!(t(args), usage(reason), "{args:?}");
    }
}

#[test]
fn roots_that_are_none() {
    assert_eq!(t(&["--root=", "true"]), (125, String::new(), "rs-mountdev: --root: the path is empty\n".into()));
    for slash in ["/", "//", "/.", "/usr/.."] {
        let (status, _, stderr) = t(&[&format!("--root={slash}"), "true"]);
        assert_eq!((status, stderr), (125, format!("rs-mountdev: --root: {slash}: is the root of this process\n")));
    }
    let (status, _, stderr) = t(&["--root=/nonexistent", "true"]);
    assert_eq!((status, stderr.as_str()), (125, "rs-mountdev: --root: /nonexistent: No such file or directory\n"));
    let (status, _, stderr) = t(&["--root=/etc/passwd", "true"]);
    assert_eq!((status, stderr.as_str()), (125, "rs-mountdev: --root: /etc/passwd: Not a directory\n"));
}

#[test]
fn help_and_version_go_to_stdout() {
    let (status, help, stderr) = t(&["--help"]);
    assert_eq!((status, stderr.as_str()), (0, ""));
    assert_eq!(t(&["-h"]).1, help);
    assert!(help.lines().count() <= 40, "{}", help.lines().count());
    assert!(help.lines().all(|line| line.len() <= 80), "{help}");
    let command = rs_mountdev::pages().remove(0).command;
    for long in command.get_arguments().filter_map(clap::Arg::get_long) {
        assert!(help.contains(&format!("--{long}")), "the help lacks --{long}");
    }
    let (status, version, _) = t(&["--version"]);
    assert_eq!((status, version.starts_with("rs-mountdev (rs-mountdev) ")), (0, true), "{version}");
}

#[test]
fn every_option_can_be_abbreviated() {
    let command = rs_mountdev::pages().remove(0).command;
    let longs: Vec<&str> = command.get_arguments().filter_map(clap::Arg::get_long).collect();
    for long in &longs {
        for prefix in (1..long.len()).map(|end| &long[..end]).filter(|prefix| !longs.contains(prefix)) {
            let fits = |teaching: bool| {
                let kind = longs.iter().filter(|other| ["trace", "explain"].contains(other) == teaching);
                kind.filter(|other| other.starts_with(prefix)).count()
            };
            // The teaching flags never make another's abbreviation ambiguous.
            let wanted = if fits(false) > 0 { fits(false) > 1 } else { fits(true) > 1 };
            let ran = t(&[&format!("--{prefix}")]);
            assert_eq!(ran.2.contains("ambiguous"), wanted, "--{prefix}: {}", ran.2);
        }
    }
}

#[test]
fn statuses_of_the_command() {
    let stage = Stage::empty();
    let root = format!("--root={}", stage.root().display());
    needs!("root");
    let run = |words: &[&str]| t(&[&[root.as_str()], words].concat());
    assert_eq!(run(&["true"]), (0, String::new(), String::new()));
    assert_eq!(run(&["sh", "-c", "exit 7"]).0, 7);
    assert_eq!(run(&["--", "sh", "-c", "kill -9 $$"]).0, 137);
    let missing = (127, String::new(), "rs-mountdev: failed to execute nosuch: No such file or directory\n".into());
    assert_eq!(run(&["nosuch"]), missing);
    assert_eq!(run(&["/nosuch/x"]).0, 127);
    assert_eq!(run(&["/etc"]), (126, String::new(), "rs-mountdev: failed to execute /etc: Permission denied\n".into()));
    assert_eq!(run(&["/etc/passwd"]).0, 126);
    assert_eq!(run(&[""]).0, 127);
    let script = stage.outside().join("script");
    std::fs::write(&script, "#!/no/such/interpreter\n").expect("a script");
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("its mode");
    let (status, _, stderr) = run(&[&script.display().to_string()]);
    assert_eq!(status, 127);
    assert!(stderr.contains("/no/such/interpreter"), "{stderr}");
    // Nothing after the first operand is an option of ours.
    assert_eq!(run(&["echo", "--proc", "--", "-R"]).1, "--proc -- -R\n");
}

#[test]
fn a_dry_run_says_the_steps_in_their_order_and_does_nothing() {
    let stage = Stage::empty();
    let root = stage.root().display().to_string();
    let (status, out, _) = t(&[
        "--dry-run",
        "--pivot",
        "--null",
        "--tmpfs=/run",
        "--bind",
        "/etc",
        "/mnt",
        "--proc",
        "--read-only",
        "--ptmx",
        "--propagation=slave",
        &format!("--root={root}"),
        "id",
        "-u",
        "a b",
        "",
    ]);
    assert_eq!(status, 0);
    let wanted = format!(
        "--propagation: make all mounts slave\n--root: mount it on itself\nproc: mount a new proc\n\
         dev/pts: mount a new devpts\ndev/null: bind /dev/null\ndev/ptmx: lead to pts/ptmx\n/run: mount a new tmpfs\n\
         /mnt: bind /etc\n--read-only: make the root read-only\n\
         --pivot: make it the root of this mount namespace\nrun id -u \"a b\" \"\" with the root {root}\n"
    );
    assert_eq!(out, wanted);
    assert_eq!(std::fs::read_dir(stage.root()).expect("the root").count(), 0);
    let (_, out, _) = t(&["--dry-run", "--dir=a\nb", &format!("--root={root}"), "id"]);
    assert_eq!(out, format!("a\\nb: make a folder\nrun id with the root {root}\n"));
    let words = ["--tty", "--tty-try", "--bind-try", "/a", "/b", "--inaccessible=/c", "--read-only-path=/d", "id"];
    let (_, out, _) = t(&[&["--dry-run", &format!("--root={root}")], &words[..]].concat());
    assert_eq!(
        out,
        format!(
            "dev/tty: bind /dev/tty; --tty: bind the terminal at its own path\n/b: bind /a, if it is there\n\
             /c: hide, if it is there\n/d: make read-only\nrun id with the root {root}\n"
        )
    );
    let (status, _, stderr) = t(&["--dry-run", "--root=/nonexistent", "id"]);
    assert_eq!((status, stderr.contains("No such file")), (125, true));
}

#[test]
fn the_name_is_the_links() {
    let stage = Stage::empty();
    let link = stage.outside().join("setup");
    std::os::unix::fs::symlink(tool(), &link).expect("a link");
    assert_eq!(run(&link, ["--root=", "true"]).stderr, "setup: --root: the path is empty\n");
    assert!(run(&link, ["--help"]).stdout.contains("Usage: setup --root"));
}
