//! Everything printed comes out once, and before what the program prints,
//! whatever standard output is and however the program is started.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

use chain::testing::{Scratch, bin, needs, run};
use std::fs::{File, OpenOptions};
use std::process::{Command, Output, Stdio};

const MODES: &str = "Supported modes: NOPRIV PURE1E_INIT PURE1E HYBRID\n";

/// Words that print, then start a program that prints and ends with 7 (or, as
/// a second capsh, cannot do its last word).
const WAYS: [(&[&str], i32); 6] = [
    (&["--shell=/bin/sh", "--modes", "--", "-c", "echo program; exit 7"], 7),
    (&["--shell=/bin/sh", "--modes", "-+", "-c", "echo program; exit 7"], 7),
    (&["--modes", "==", "--shell=/bin/sh", "--", "-c", "echo program; exit 7"], 7),
    (&["--modes", "=+", "--shell=/bin/sh", "-+", "-c", "echo program; exit 7"], 7),
    (&["--modes", "--exec", "sh", "-c", "echo program; exit 7"], 7),
    (&["--modes", "--forkfor=9", "--killit=9", "--exec", "sh", "-c", "echo program; exit 7"], 7),
];

fn capsh(words: &[&str], stdout: Stdio) -> Output {
    Command::new(bin("rs-capsh")).args(words).stdin(Stdio::null()).stdout(stdout).output().expect("it starts")
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn to_a_pipe() {
    for (words, status) in WAYS {
        let output = capsh(words, Stdio::piped());
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{MODES}program\n"), "{words:?}");
        assert_eq!((output.status.code(), stderr(&output)), (Some(status), String::new()), "{words:?}");
    }
}

#[test]
fn to_a_file_written_and_appended() {
    let scratch = Scratch::new();
    for (words, status) in WAYS {
        let path = scratch.join("out");
        let output = capsh(words, File::create(&path).unwrap().into());
        assert_eq!(output.status.code(), Some(status), "{words:?}");
        let output = capsh(words, OpenOptions::new().append(true).open(&path).unwrap().into());
        assert_eq!(output.status.code(), Some(status), "{words:?}");
        let once = format!("{MODES}program\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), once.repeat(2), "{words:?}");
    }
}

#[test]
fn to_a_terminal() {
    needs!("script");
    for (words, status) in WAYS {
        let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
        let line = format!("{} {}", bin("rs-capsh").display(), quoted.join(" "));
        let ran = run("script", ["-qec", &line, "/dev/null"]);
        assert_eq!(ran.stdout.replace('\r', ""), format!("{MODES}program\n"), "{words:?}");
        assert_eq!(ran.status, status, "{words:?}");
    }
}

/// The program runs all the same, and what is lost is told, once for each
/// capsh that lost something.
#[test]
fn to_a_full_device() {
    for (words, status) in WAYS {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = capsh(words, full.into());
        let said = stderr(&output);
        assert_eq!(output.status.code(), Some(status), "{words:?}: {said}");
        assert_eq!(said.matches("rs-capsh: write error: No space left on device\n").count(), 1, "{words:?}: {said}");
        assert!(!said.contains("panicked"), "{said}");
    }
}

#[test]
fn to_a_closed_descriptor() {
    let us = bin("rs-capsh");
    for (words, _) in WAYS {
        let quoted: Vec<String> = words.iter().map(|word| format!("'{}'", word.replace("echo program", ":"))).collect();
        let ran = run("sh", ["-c", &format!("{} {} >&-", us.display(), quoted.join(" "))]);
        assert_eq!((ran.status, ran.stdout.as_str()), (7, ""), "{words:?}: {}", ran.stderr);
        assert_eq!(ran.stderr, "rs-capsh: write error: Bad file descriptor\n", "{words:?}");
    }
    // The program finds it closed too: not our /dev/null.
    for start in ["--exec", "--shell=/bin/ls --"] {
        let program = if start == "--exec" { "ls " } else { "" };
        let line = format!("{} {start} {program}-l /proc/self/fd/ <&- >&- 2>err; cat err", us.display());
        let scratch = Scratch::new();
        let ran = run("sh", ["-c", &format!("cd {}; {line}", scratch.path().display())]);
        assert!(!ran.stdout.contains("/dev/null"), "{}", ran.stdout);
    }
}

#[test]
fn without_a_program_lost_output_is_a_failure() {
    for words in [&["--print"][..], &["--help"], &["--modes", "--decode=1"], &["--license"], &["--explain=0"]] {
        let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = capsh(words, full.into());
        let said = stderr(&output);
        assert_eq!(
            (output.status.code(), said.as_str()),
            (Some(1), "rs-capsh: write error: No space left on device\n")
        );
    }
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output = capsh(&["--quiet"], full.into());
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()), "nothing printed, nothing lost");
}

#[test]
fn a_closed_pipe_ends_it_silently() {
    use std::os::unix::process::ExitStatusExt;
    for words in [&["--print"][..], &["--modes", "--exec", "echo", "no"], &["--suggest="]] {
        let (reading, writing) = std::io::pipe().unwrap();
        drop(reading);
        let output = capsh(words, writing.into());
        assert_eq!(output.status.signal(), Some(SIGPIPE), "{words:?}");
        assert_eq!(stderr(&output), "");
    }
    // Whoever ignores the signal gets the error instead, and so does the
    // program.
    let line = format!(
        "trap '' PIPE; ({} --modes --shell=/bin/sh -- -c 'grep SigIgn /proc/self/status >&2'; echo $? >&2) | :",
        bin("rs-capsh").display()
    );
    let ran = run("bash", ["-c", &line]);
    assert!(ran.stderr.contains("1000\n0\n") && ran.stderr.contains("SigIgn:"), "{}", ran.stderr);
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
}

const SIGPIPE: i32 = 13;

/// A child of ours prints nothing of what we printed.
#[test]
fn children_say_nothing_twice() {
    let words = ["--modes", "--mode=HYBRID", "--forkfor=1", "--modes", "--killit=0", "--modes"];
    needs!("root");
    let output = capsh(&words, Stdio::piped());
    assert_eq!(String::from_utf8_lossy(&output.stdout), MODES.repeat(3));
    assert_eq!(output.status.code(), Some(0));
}

/// Output and errors to one place keep their order.
#[test]
fn errors_come_after_what_was_printed() {
    let us = bin("rs-capsh");
    let ran = run("sh", ["-c", &format!("{} --modes --supports=63 2>&1", us.display())]);
    assert_eq!(ran.stdout, format!("{MODES}rs-capsh: --supports=63: this kernel has no 63\n"));
    let ran = run("sh", ["-c", &format!("{} --modes --shell=/nosuch -+ 2>&1", us.display())]);
    assert_eq!(ran.stdout, format!("{MODES}rs-capsh: -+: failed to execute /nosuch: No such file or directory\n"));
    assert_eq!(ran.status, 1);
}
