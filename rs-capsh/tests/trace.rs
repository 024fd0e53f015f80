//! `--trace` tells what strace sees, and nothing else.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

use chain::testing::{Scratch, against_strace, bin, needs, run};

const CALLS: &[&str] = &[
    "capset",
    "prctl",
    "setuid",
    "setgid",
    "setgroups",
    "chroot",
    "chdir",
    "clone",
    "kill",
    "execve",
    "lsetxattr",
    "lremovexattr",
];

fn check(program: &str, words: &[&str]) {
    assert_eq!(against_strace(&bin(program), words, CALLS), Vec::<String>::new(), "{words:?}");
}

#[test]
fn as_root() {
    needs!("root", "strace");
    for words in [
        &["--drop=cap_sys_chroot,cap_kill", "--exec", "true"][..],
        &["--chroot=/", "--drop=cap_sys_chroot", "--shell=/bin/sh", "--", "-c", "exit 0"],
        &["--drop=all"],
        &["--caps=cap_setpcap=p", "--drop=cap_kill", "--inh=cap_kill"],
        &["--caps=63,41=p cap_kill=eip"],
        &["--caps=bad"],
        &["--inh=cap_kill,cap_bpf", "--addamb=cap_kill,cap_bpf", "--delamb=cap_bpf", "--noamb", "--addamb=63"],
        &["--iab=^cap_kill,!cap_chown,!%cap_bpf", "--iab="],
        &["--user=nobody", "--inh=cap_kill", "--addamb=cap_kill", "--exec", "/bin/true", "a\"b\\\u{e9}\n"],
        &["--cap-uid=7", "--chroot=/"],
        &["--gid=4", "--groups=1,2,77", "--groups=", "--uid=4294967295"],
        &["--keep=1", "--uid=5", "--keep=0", "--keep=7"],
        &["--secbits=0x2f", "--secbits=0"],
        &["--secbits=0xf01"],
        &["--secbits=0x100000"],
        &["--mode=PURE1E"],
        &["--mode=NOPRIV"],
        &["--no-new-privs", "--shell=/nosuch", "--"],
        &["--exec", "/nosuch"],
        &["--forkfor=9", "--killit=9"],
        &["--forkfor=9", "--killit=34"],
    ] {
        check("rs-capsh", words);
    }
}

#[test]
fn of_a_child() {
    needs!("strace");
    check("rs-capsh", &["--shell=/bin/true", "-+"]);
}

#[test]
fn as_anybody() {
    needs!("strace");
    for words in
        [&["--no-new-privs", "--exec", "true"][..], &["--caps=", "--drop=cap_kill"], &["--caps=", "--mode=PURE1E"]]
    {
        check("rs-capsh", words);
    }
}

#[test]
fn of_setcap() {
    needs!("root", "strace");
    let scratch = Scratch::new();
    let file = scratch.join("f");
    std::fs::write(&file, "").unwrap();
    let file = file.to_str().unwrap();
    check("rs-setcap", &["cap_kill,cap_checkpoint_restore=ep", file, "-n", "1000", "=i", file, "-r", file]);
}

#[test]
fn explain_says_why_before_each_call() {
    needs!("root");
    let ran =
        run(bin("rs-capsh"), ["--explain", "--drop=cap_sys_chroot", "--keep=1", "--uid=1", "--exec", "/bin/true"]);
    let lines: Vec<&str> = ran.stderr.lines().collect();
    assert_eq!((ran.status, lines.len()), (0, 8), "{}", ran.stderr);
    for pair in lines.chunks(2) {
        assert!(pair[0].starts_with("# ") && pair[0].len() > 20 && pair[1].contains(") = "), "{pair:?}");
    }
    let known = chain::capability::capability(18).unwrap();
    assert!(lines[0].contains(known.lets), "the lesson is the description's: {}", lines[0]);
    assert_eq!(lines[1], "prctl(PR_CAPBSET_DROP, CAP_SYS_CHROOT) = 0");
}

#[test]
fn the_environment_turns_it_on_too() {
    let traced = |value: &str| {
        let words = ["-c", r#"RS_TRACE=$0 exec "$1" --caps= --no-new-privs"#, value];
        run("sh", words.map(std::ffi::OsString::from).into_iter().chain([bin("rs-capsh").into()])).stderr
    };
    assert!(traced("trace").ends_with("prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) = 0\n"));
    assert!(traced("explain").lines().filter(|line| line.starts_with("# ")).count() >= 2);
    assert_eq!(traced("no"), "");
}
