//! The command line: what is said, where, with which status.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

use chain::error::strerror;
use chain::testing::{Ran, Scratch, bin, needs, run, sh};
use nix::errno::Errno;
use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

fn ours(args: &[&str]) -> Ran {
    run(bin("rs-unshare"), args)
}

/// One line, status 1, and the program did not run.
fn refused(args: &[&str], line: &str) {
    let ran = ours(args);
    assert_eq!((ran.status, ran.stdout.as_str()), (1, ""), "{args:?}: {}", ran.stderr);
    assert_eq!(ran.stderr.lines().next(), Some(format!("rs-unshare: {line}").as_str()), "{args:?}");
}

#[test]
fn help_fits_on_a_screen_and_names_every_option() {
    let help = ours(&["--help"]);
    assert_eq!((help.status, help.stderr.as_str()), (0, ""));
    assert_eq!(ours(&["-h"]), help);
    assert!(help.stdout.lines().count() <= 40, "{} lines", help.stdout.lines().count());
    assert!(help.stdout.lines().all(|line| line.len() <= 80));
    for arg in rs_unshare::pages()[0].command.get_arguments() {
        if let Some(long) = arg.get_long() {
            assert!(help.stdout.contains(&format!("--{long}")), "--{long}");
        }
        if let Some(short) = arg.get_short() {
            assert!(help.stdout.contains(&format!("-{short}, --")), "-{short}");
        }
    }
}

#[test]
fn version_is_one_line() {
    let version = ours(&["-V"]);
    assert_eq!(version.stdout, format!("rs-unshare (rs-unshare) {}\n", env!("CARGO_PKG_VERSION")));
    assert_eq!(ours(&["--version"]), version);
}

#[test]
fn the_links_name_is_in_every_message() {
    let scratch = Scratch::new();
    let links = scratch.links(&[("unshare", "rs-unshare")]);
    let ran = sh(&links, "unshare --bogus; unshare /nonexistent; unshare --help | head -1; unshare -V");
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(ran.stdout, format!("Usage: unshare [OPTION]... [PROGRAM [ARG]...]\nunshare (rs-unshare) {version}\n"));
    assert_eq!(
        ran.stderr,
        "unshare: unrecognized option '--bogus'\nTry 'unshare --help' for more information.\n\
         unshare: failed to execute /nonexistent: No such file or directory\n"
    );
}

#[test]
fn usage_errors_are_getopts() {
    refused(&["--bogus", "true"], "unrecognized option '--bogus'");
    refused(&["-Z", "true"], "invalid option -- 'Z'");
    refused(&["-m=x", "true"], "invalid option -- '='");
    refused(&["-S"], "option requires an argument -- 'S'");
    refused(&["--wd"], "option '--wd' requires an argument");
    refused(&["--fork=1"], "option '--fork' doesn't allow an argument");
}

#[test]
fn values_are_refused_in_the_originals_words() {
    refused(&["-S", "x", "true"], "--setuid: failed to parse uid: 'x'");
    refused(&["-G", "", "true"], "--setgid: failed to parse gid: ''");
    refused(&["--kill-child=9", "true"], "--kill-child: unknown signal: 9");
    refused(&["--propagation", "x", "true"], "--propagation: unsupported propagation mode: x");
    refused(&["--setgroups", "x", "true"], "--setgroups: unsupported --setgroups argument 'x'");
    refused(&["--monotonic", "x", "-T", "true"], "--monotonic: failed to parse monotonic offset: 'x'");
    refused(
        &["--boottime", "1", "true"],
        "options --monotonic and --boottime require unsharing of a time namespace (-T)",
    );
    refused(&["--hostname", "x", "true"], "option --hostname requires unsharing of a UTS namespace (-u)");
    refused(&["-r", "--setgroups=allow", "true"], "options --setgroups=allow and --map-group are mutually exclusive");
    refused(&["--map-users=1:2", "true"], "--map-users: invalid mapping '1:2': it has 2 numbers, not three");
}

#[test]
fn the_first_mistake_counts() {
    refused(&["-S", "x", "--bogus"], "--setuid: failed to parse uid: 'x'");
    refused(&["--bogus", "-S", "x"], "unrecognized option '--bogus'");
    assert_eq!(ours(&["--help", "-S", "x"]).status, 0);
}

#[test]
fn a_value_that_is_not_utf_8_gets_one_clear_line() {
    let bad = std::ffi::OsStr::from_bytes(b"--setuid=\xff");
    let ran: Ran = Command::new(bin("rs-unshare")).arg(bad).arg("true").output().expect("it starts").into();
    assert_eq!(ran.status, 1);
    assert!(ran.stderr.starts_with("rs-unshare: --setuid: failed to parse uid: '"), "{}", ran.stderr);
    assert_eq!(ran.stderr.lines().count(), 2, "{}", ran.stderr);
}

#[test]
fn steps_name_what_they_could_not_do() {
    needs!("root");
    refused(
        &["-R", "/nonexistent", "true"],
        "cannot change root directory to '/nonexistent': No such file or directory",
    );
    refused(&["-w", "/nonexistent", "true"], "cannot chdir to '/nonexistent': No such file or directory");
    refused(&["--mount-proc=/nonexistent", "true"], "mount /nonexistent failed: No such file or directory");
    refused(&["-r", "-S", "5", "true"], "cannot set the user id to 5: setuid failed: Invalid argument");
    refused(&["--setgroups=deny", "true"], "write failed /proc/self/setgroups: Operation not permitted");
    // The text of an errno is the C library's that we are linked with.
    let range = format!("write failed /proc/self/timens_offsets: {}", strerror(Errno::ERANGE));
    refused(&["-T", "--monotonic", "99999999999", "true"], &range);
    let ran = ours(&["--uts=/nonexistent", "true"]);
    assert!(ran.stderr.contains("/ns/uts on /nonexistent failed: No such file or directory"), "{}", ran.stderr);
}

#[test]
fn unshare_names_the_call_and_the_kinds() {
    needs!("root", "strace");
    let ran = chain::testing::inject(&bin("rs-unshare"), &["-mu", "echo", "ran"], "unshare", "ENOMEM", 1);
    assert_eq!((ran.status, ran.stdout.as_str()), (1, ""));
    assert_eq!(ran.stderr, format!("rs-unshare: unshare failed: {} (mnt, uts)\n", strerror(Errno::ENOMEM)));
}

#[test]
fn output_that_cannot_be_written() {
    for option in ["--help", "--version"] {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("/dev/full");
        let ran: Ran = Command::new(bin("rs-unshare")).arg(option).stdout(full).output().expect("it starts").into();
        assert_eq!((ran.status, ran.stderr.as_str()), (1, "rs-unshare: write error: No space left on device\n"));
    }
    let script =
        |text: &str| sh(std::path::Path::new("/"), &text.replace("UNSHARE", &bin("rs-unshare").display().to_string()));
    let closed = script("UNSHARE --help >&-");
    assert_eq!((closed.status, closed.stderr.as_str()), (1, "rs-unshare: write error: Bad file descriptor\n"));
    // A message that cannot be written changes no status.
    assert_eq!(script("UNSHARE /nonexistent 2>/dev/full").status, 127);
    assert_eq!(script("UNSHARE --bogus 2>&-").status, 1);
}

/// Every failure's status.
#[test]
fn statuses() {
    let scratch = Scratch::new();
    let plain = scratch.join("plain");
    std::fs::write(&plain, "echo x\n").expect("a file");
    let plain = plain.display().to_string();
    let table: &[(&[&str], i32)] = &[
        (&["sh", "-c", "exit 42"], 42),
        (&["-f", "sh", "-c", "exit 42"], 42),
        (&["sh", "-c", "kill -TERM $$"], 143),
        (&["-f", "sh", "-c", "kill -TERM $$"], 143),
        (&["-f", "sh", "-c", "kill -KILL $$"], 137),
        (&["/nonexistent"], 127),
        (&["-f", "/nonexistent"], 127),
        (&[""], 127),
        (&["/"], 126),
        (&[&plain], 126),
        (&["--bogus"], 1),
        (&["-S", "x"], 1),
        (&["-w", "/nonexistent", "true"], 1),
        (&["--help"], 0),
    ];
    for (args, status) in table {
        assert_eq!(ours(args).status, *status, "{args:?}");
    }
}

#[test]
fn nothing_on_the_line_is_the_shell() {
    let mut child = Command::new(bin("rs-unshare"))
        .env("SHELL", "/bin/sh")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    child.stdin.take().expect("a pipe").write_all(b"echo $0\n").expect("read");
    let ran: Ran = child.wait_with_output().expect("an end").into();
    assert_eq!((ran.status, ran.stdout.as_str()), (0, "-sh\n"));
}
