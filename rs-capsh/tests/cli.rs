//! The command line: statuses and messages, to the letter.

#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

use chain::testing::{Scratch, bin, needs, run, sh};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// Words, status, standard error; nothing on standard output.
const REFUSED: &[(&[&str], i32, &str)] = &[
    (&["--uid=5x"], 1, "--uid=5x: '5x' is not a number from 0 to 4294967295"),
    (&["--uid="], 1, "--uid=: '' is not a number from 0 to 4294967295"),
    (&["--uid=4294967296"], 1, "--uid=4294967296: '4294967296' is not a number from 0 to 4294967295"),
    (&["--gid=-1"], 1, "--gid=-1: '-1' is not a number from 0 to 4294967295"),
    (&["--drop=chown"], 1, "--drop=chown: 'chown' is not the name of a capability"),
    (&["--has-p=cap_chown2"], 1, "--has-p=cap_chown2: 'cap_chown2' is not the name of a capability"),
    (&["--explain=64"], 1, "--explain=64: '64' is not the name of a capability"),
    (&["--caps=cap_chown+"], 1, "--caps=cap_chown+: malformed: expected e, i or p at byte 10"),
    (&["--caps=+p"], 1, "--caps=+p: malformed: expected the name of a capability at byte 0"),
    (&["--caps==p x=e"], 1, "--caps==p x=e: malformed: expected the name of a capability at byte 3"),
    (&["--iab=cap_chown cap_kill"], 1, "--iab=cap_chown cap_kill: malformed: expected a comma at byte 9"),
    (&["--inh=cap_chown=p"], 1, "--inh=cap_chown=p: malformed: expected a comma or the end at byte 9"),
    (&["--user=no such"], 1, "--user=no such: no user is called 'no such'"),
    (&["--groups=7,nosuch"], 1, "--groups=7,nosuch: no group is called 'nosuch'"),
    (&["--groups=7x"], 1, "--groups=7x: '7x' is not a number from 0 to 4294967295"),
    (&["--supports=63"], 1, "--supports=63: this kernel has no 63"),
    (&["--has-no-new-privs"], 1, "--has-no-new-privs: no-new-privs is not set"),
    (&["--killit=9"], 1, "--killit=9: there is no child: --forkfor makes one"),
    (&["--forkfor=1", "--killit=70"], 1, "--killit=70: cannot send 70 to process PID: Invalid argument"),
    (&["--forkfor=1", "--forkfor=1"], 1, "--forkfor=1: there is a child already: --killit ends it"),
    (&["--forkfor=1", "--killit=18"], 1, "--killit=18: the child exited with status 0"),
    (&["--shell=/nosuch", "--"], 1, "--: failed to execute /nosuch: No such file or directory"),
    (&["--shell=/", "-+"], 1, "-+: failed to execute /: Permission denied"),
    (&["--shell=/bin/sh", "-+", "-c", "kill -9 $$"], 1, "-+: the child was killed by signal 9"),
    (&["--exec"], 1, "--exec: no program to execute"),
    (&["--exec", "/no such"], 127, "--exec: failed to execute /no such: No such file or directory"),
    (&["--exec", "/"], 126, "--exec: failed to execute /: Permission denied"),
    (&["--exec", ""], 127, "--exec: failed to execute : No such file or directory"),
];

/// Replaces what differs from run to run.
fn plain(text: &str) -> String {
    let mut words: Vec<&str> = Vec::new();
    for word in text.split(' ') {
        let number = word.trim_end_matches(':');
        let pid = number.len() > 1 && number.bytes().all(|b| b.is_ascii_digit()) && words.last() == Some(&"process");
        words.push(if pid { "PID:" } else { word });
    }
    words.join(" ")
}

#[test]
fn what_is_refused() {
    for (words, status, message) in REFUSED {
        let ran = run(bin("rs-capsh"), *words);
        assert_eq!((ran.status, ran.stdout.as_str()), (*status, ""), "{words:?}: {}", ran.stderr);
        let first = ran.stderr.lines().next().unwrap_or_default();
        assert_eq!(plain(first), format!("rs-capsh: {message}"), "{words:?}");
        let rest: Vec<&str> = ran.stderr.lines().skip(1).collect();
        assert!(rest.iter().all(|line| line.starts_with("rs-capsh: hint: ")), "{words:?}: {}", ran.stderr);
    }
}

#[test]
fn usage_and_its_status() {
    for (words, status) in [
        (&["--help"][..], 0),
        (&["-h"], 0),
        (&["-h", "--bogus"], 0),
        (&["--bogus"], 1),
        (&[""], 1),
        (&["-"], 1),
        (&["--drop"], 1),
        (&["--quiet", "--help"], 1),
        (&["--modeX"], 1),
        (&["--trace=1"], 1),
        (&["--exec=ls"], 1),
    ] {
        let ran = run(bin("rs-capsh"), words);
        assert_eq!((ran.status, ran.stderr.as_str()), (status, ""), "{words:?}");
        assert!(ran.stdout.contains("Usage: rs-capsh [WORD]..."), "{words:?}: {}", ran.stdout);
    }
    assert_eq!(run(bin("rs-capsh"), [""; 0]), run("true", [""; 0]));
}

#[test]
fn the_usage_is_this() {
    let ran = run(bin("rs-capsh"), ["--help"]);
    assert_eq!(ran.stdout, include_str!("usage.txt"));
}

#[test]
fn a_link_gives_its_name() {
    let scratch = Scratch::new();
    let links = scratch.links(&[("capsh", "rs-capsh"), ("setcap", "rs-setcap"), ("getpcaps", "rs-getpcaps")]);
    assert_eq!(sh(&links, "capsh --uid=x").stderr, "capsh: --uid=x: 'x' is not a number from 0 to 4294967295\n");
    assert!(sh(&links, "capsh --help").stdout.starts_with("Usage: capsh [WORD]...\n"));
    assert!(sh(&links, "setcap x").stderr.starts_with("setcap: "));
    assert!(sh(&links, "getpcaps x").stderr.starts_with("getpcaps: cannot parse pid 'x'\n"));
}

#[test]
fn the_versions_are_told_as_the_help_says() {
    let scratch = Scratch::new();
    let links = scratch.links(&[("setcap", "rs-setcap"), ("getpcaps", "rs-getpcaps"), ("getcap", "rs-getcap")]);
    for (tool, words) in [("setcap", "-q"), ("getpcaps", "--iab"), ("getcap", "-v")] {
        assert!(sh(&links, &format!("{tool} -h")).stdout.contains("  -V, --version  print the version\n"));
        for flag in ["-V", "--version"] {
            let ran = sh(&links, &format!("{tool} {words} {flag} /nonexistent"));
            let version = format!("{tool} (rs-{tool}) {}\n", env!("CARGO_PKG_VERSION"));
            assert_eq!((ran.status, ran.stdout, ran.stderr.as_str()), (0, version, ""), "{tool} {flag}");
            assert_eq!(sh(&links, &format!("{tool} {flag} > /dev/full")).status, 1, "{tool} {flag}");
        }
    }
}

/// Not an empty text, which takes all away where it is forced.
#[test]
fn a_standard_input_that_cannot_be_read_changes_no_file() {
    needs!("root");
    let scratch = Scratch::new();
    let links = scratch.links(&[("setcap", "rs-setcap"), ("getcap", "rs-getcap")]);
    let f = scratch.join("f").display().to_string();
    assert_eq!(sh(&links, &format!("touch {f}; setcap cap_kill=ep {f}")).status, 0);
    for (input, reason) in
        [("<&-", "Bad file descriptor"), ("0>>/dev/null", "Bad file descriptor"), ("</", "Is a directory")]
    {
        for force in ["", "-f"] {
            let ran = sh(&links, &format!("setcap -q {force} - {f} {input}; echo $?; getcap {f}"));
            assert_eq!(ran.stdout, format!("1\n{f} cap_kill=ep\n"), "{force} {input}");
            assert_eq!(ran.stderr, format!("setcap: cannot read standard input: {reason}\n"), "{force} {input}");
        }
    }
}

#[test]
fn bytes_that_are_no_text() {
    let word = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
    for words in [
        vec![word(b"\xff")],
        vec![word(b"--caps=\xff")],
        vec![word(b"--iab=\xff")],
        vec![word(b"--drop=\xff")],
        vec![word(b"--user=\xff")],
        vec![word(b"--groups=\xff")],
        vec![word(b"--uid=\xff")],
        vec![word(b"--chroot=/\xff")],
        vec![word(b"--shell=/\xff"), word(b"--")],
    ] {
        let ran = run(bin("rs-capsh"), &words);
        assert_eq!(ran.status, 1, "{words:?}");
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    }
    let said = output(&[OsStr::from_bytes(b"--mode=\xff")]);
    assert_eq!(said.stdout, b"unsupported mode: \xff\n");
    let said = output(
        &["--exec", "printf", "%s"]
            .map(OsStr::new)
            .into_iter()
            .chain([OsStr::from_bytes(b"a\xff")])
            .collect::<Vec<_>>(),
    );
    assert_eq!(said.stdout, b"a\xff");
}

fn output(words: &[&OsStr]) -> std::process::Output {
    std::process::Command::new(bin("rs-capsh")).args(words).output().expect("it starts")
}

#[test]
fn exec_finds_its_program() {
    let scratch = Scratch::new();
    let folder = scratch.path().display();
    let us = bin("rs-capsh");
    let us = us.display();
    std::fs::write(scratch.join("noline"), "echo ran \"$@\"\n").unwrap();
    let script = format!("chmod +x {folder}/noline; PATH={folder}:$PATH; {us} --exec noline a 'b c'");
    assert_eq!(run("sh", ["-c", &script]).stdout, "ran a b c\n");
    std::fs::write(scratch.join("plain"), "").unwrap();
    for (name, status) in [("plain", 126), ("nothing", 127)] {
        let ran = run("sh", ["-c", &format!("PATH={folder}; {us} --exec {name}")]);
        assert_eq!(ran.status, status, "{}", ran.stderr);
    }
    let ran = run("sh", ["-c", &format!("{us} --modes --exec sh -c 'echo $0 $1; exit 9' --print --")]);
    assert_eq!((ran.status, ran.stdout.lines().last()), (9, Some("--print --")));
}

#[test]
fn advice_rests_on_what_is_seen() {
    needs!("root");
    let hint = |words: &[&str]| {
        let ran = run(bin("rs-capsh"), words);
        assert_eq!(ran.status, 1, "{words:?}");
        ran.stderr.lines().find_map(|line| Some(line.strip_prefix("rs-capsh: hint: ")?.to_owned()))
    };
    let says = |words: &[&str], text: &str| {
        let hint = hint(words).unwrap_or_default();
        assert!(hint.contains(text), "{words:?}: {hint:?}");
    };
    says(&["--addamb=cap_kill"], "both permitted and inheritable");
    says(&["--secbits=0xc0", "--inh=cap_kill", "--addamb=cap_kill"], "no-ambient-raise");
    says(&["--caps=cap_kill=p", "--caps=cap_chown=p"], "never to be regained: cap_chown");
    says(&["--caps=cap_kill=ip cap_chown=e"], "can be in force; missing there: cap_chown");
    says(&["--uid=1", "--secbits=1"], "needs cap_setpcap in force");
    says(&["--secbits=0x2f", "--secbits=0"], "locked, and would change: 0x2f");
    says(&["--drop=63"], "this kernel's capabilities are those from 0 to");
    says(&["--secbits=0x20", "--keep=1"], "keep-caps is locked");
    says(&["--caps=cap_kill=p", "--chroot=/"], "missing there: cap_sys_chroot");
    assert_eq!(hint(&["--groups=4294967295"]), None);
    let ran = run(bin("rs-capsh"), ["--chroot=/no such"]);
    let message =
        "rs-capsh: --chroot=/no such: cannot change root directory to '/no such': No such file or directory\n";
    assert_eq!(ran.stderr, message);
}
