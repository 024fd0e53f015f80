//! The files of persistent namespaces: bound before the program starts, and
//! taken back when it does not, whoever is killed and whatever else is mounted.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

mod stage;

use chain::testing::{Ran, bin, needs, run};
use stage::{Stage, bound, kill, processes, soon};
use std::path::Path;

/// How long a call is held up for something else to happen, in microseconds.
fn a_while() -> u32 {
    // In an emulated machine even kill(1) takes a second to start.
    if std::env::var("RS_LANE").is_ok_and(|lane| lane.starts_with('v')) { 5_000_000 } else { 500_000 }
}

#[test]
fn when_the_parent_is_killed_while_it_binds() {
    needs!("root", "strace");
    let stage = Stage::new();
    let uts = stage.uts();
    let ran = stage.scratch.join("ran").display().to_string();
    let mut strace = stage.slowly("mount", 1_000_000, &["-f", &uts, "touch", &ran, &stage.mark]);
    // The tool, two binders, and the child that waits for them.
    soon("all processes", || processes(&stage.mark).len() == 4);
    kill(*processes(&stage.mark).iter().min().expect("a process"), "KILL");
    strace.wait().expect("an end");
    soon("no process", || processes(&stage.mark).is_empty());
    assert!(!Path::new(&ran).exists(), "the program started although its parent was gone");
}

#[test]
fn when_somebody_is_killed_after_the_files_are_bound() {
    needs!("root", "strace");
    let stage = Stage::new();
    let uts = stage.uts();
    let ran = stage.scratch.join("ran").display().to_string();
    // The parent as it waits for the binder, as it arms the guard, lets the
    // binder go and the child; the child before its exec; the binder itself.
    for (call, when) in [("wait4", 1), ("sendto", 1), ("sendto", 2), ("sendto", 3), ("prctl", 1), ("mount", 1)] {
        let inject = format!("inject={call}:signal=SIGKILL:when={when}");
        let program = bin("rs-unshare").display().to_string();
        let log = stage.scratch.join("log").display().to_string();
        let strace = ["-f", "-qq", "-o", &log, "-e", &format!("trace={call}"), "-e", &inject, &program];
        let told = run("strace", [&strace[..], &["--kill-child", &uts, "touch", &ran, &stage.mark]].concat());
        let log = std::fs::read_to_string(&log).expect("a log");
        assert!(log.contains("killed by SIGKILL"), "{call} {when}: {log}");
        assert_ne!(told.status, 0, "{call} {when}");
        assert!(!Path::new(&ran).exists(), "{call} {when}: the program ran");
        stage.nothing_is_left();
    }
}

#[test]
fn what_others_mounted_there_meanwhile_stays() {
    needs!("root", "strace");
    let stage = Stage::new();
    let other = stage.scratch.join("other");
    std::fs::write(&other, "theirs").expect("a file");
    let mut strace = stage.slowly("chdir", a_while(), &["-f", &stage.uts(), "-w", "/nonexistent", "true", &stage.mark]);
    soon("the bind", || bound(&stage.file));
    assert_eq!(run("mount", [Path::new("--bind"), &other, &stage.file]).status, 0);
    assert_eq!(strace.wait().expect("an end").code(), Some(1));
    soon("no process", || processes(&stage.mark).is_empty());
    assert_eq!(std::fs::read_to_string(&stage.file).expect("a file"), "theirs");
}

#[test]
fn a_link_is_followed_as_the_bind_followed_it() {
    needs!("root", "strace");
    let (stage, theirs) = (Stage::new(), Stage::new());
    let link = stage.scratch.join("link");
    std::os::unix::fs::symlink(&stage.file, &link).expect("a link");
    assert_eq!(run("mount", [Path::new("--bind"), &theirs.file, &theirs.file]).status, 0);
    let uts = format!("--uts={}", link.display());
    let mut strace = stage.slowly("chdir", a_while(), &["-f", &uts, "-w", "/nonexistent", "true", &stage.mark]);
    soon("the bind", || bound(&stage.file));
    std::fs::remove_file(&link).expect("removed");
    std::os::unix::fs::symlink(&theirs.file, &link).expect("a link");
    assert_eq!(strace.wait().expect("an end").code(), Some(1));
    stage.nothing_is_left();
    assert!(bound(&theirs.file), "what others mounted is gone");
}

#[test]
fn when_all_of_the_process_group_get_a_signal() {
    needs!("root", "strace");
    let stage = Stage::new();
    for (signal, fork) in [("INT", "-f"), ("INT", "-m"), ("QUIT", "-f"), ("KILL", "-f"), ("KILL", "-m")] {
        let mut strace = stage.slowly("chdir", a_while(), &[fork, &stage.uts(), "-w", "/", "sleep", "9", &stage.mark]);
        soon("the bind", || bound(&stage.file));
        let group = processes(&stage.mark).into_iter().min().expect("a process");
        assert_eq!(run("kill", ["-s", signal, "--", &format!("-{group}")]).status, 0);
        strace.wait().expect("an end");
        stage.nothing_is_left();
    }
}

/// The process that takes back: it alone leads a group and no session.
fn guard(stage: &Stage) -> u32 {
    let group = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat.rsplit(") ").next().map(|rest| rest.split(' ').map(str::to_owned).collect::<Vec<_>>());
        fields.is_some_and(|fields| fields[2] == pid.to_string() && fields[3] != fields[2])
    };
    processes(&stage.mark).into_iter().find(group).expect("a guard")
}

#[test]
fn when_the_guard_alone_gets_a_signal() {
    needs!("root", "strace");
    let stage = Stage::new();
    for signal in ["TERM", "INT", "HUP", "KILL"] {
        let args = ["-f", &stage.uts(), "-w", "/nonexistent", "true", &stage.mark];
        let strace = stage.slowly("chdir", a_while(), &args);
        soon("the bind", || bound(&stage.file));
        kill(guard(&stage), signal);
        let ran: Ran = strace.wait_with_output().expect("an end").into();
        let killed = "rs-unshare: the process that takes the files back was killed by SIGKILL: they may stay bound";
        assert_eq!(ran.stderr.contains(killed), signal == "KILL", "{}", ran.stderr);
        if signal != "KILL" {
            stage.nothing_is_left();
        }
    }
}

#[test]
fn without_a_guard_nothing_is_bound() {
    needs!("root", "strace");
    let stage = Stage::new();
    let ran_it = stage.scratch.join("ran").display().to_string();
    let log = stage.scratch.join("log").display().to_string();
    let program = bin("rs-unshare").display().to_string();
    for fork in ["-f", "-m"] {
        let strace = ["-f", "-qq", "-o", &log, "-e", "trace=setpgid", "-e", "inject=setpgid:signal=KILL:when=1"];
        let ran = run("strace", [&strace[..], &[&program, fork, &stage.uts(), "touch", &ran_it, &stage.mark]].concat());
        assert_eq!(ran.stderr, "rs-unshare: the process that takes the files back was killed by SIGKILL\n");
        assert_eq!((ran.status, Path::new(&ran_it).exists()), (1, false));
        stage.nothing_is_left();
    }
}

#[test]
fn when_nobody_reads_the_explanation_any_more() {
    needs!("root", "strace");
    let stage = Stage::new();
    let args = ["--explain", "-f", &stage.uts(), "-w", "/nonexistent", "true", &stage.mark];
    let mut strace = stage.slowly("chdir", a_while(), &args);
    soon("the bind", || bound(&stage.file));
    drop(strace.stderr.take());
    strace.wait().expect("an end");
    stage.nothing_is_left();
}

#[test]
fn where_proc_is_an_outer_pid_namespaces() {
    needs!("root");
    let stage = Stage::new();
    let file = stage.file.display().to_string();
    let inside = format!("{} \"$@\" sh -c 'readlink /proc/self/ns/uts'; exit $?", bin("rs-unshare").display());
    for options in [&["-f"][..], &["-m"], &["-m", "--map-users=0:0:9"]] {
        let uts = stage.uts();
        let ran = run("unshare", [&["-pf", "sh", "-c", &inside, "sh", &uts], options].concat());
        let seen = run("stat", ["-Lc", "uts:[%i]", &file]).stdout;
        assert_eq!((ran.status, ran.stdout.as_str()), (0, seen.as_str()), "{options:?} {}", ran.stderr);
        assert_eq!(run("umount", [&file]).status, 0);
    }
    let failing = format!("{} \"$@\" -f -w /nonexistent true; exit $?", bin("rs-unshare").display());
    assert_eq!(run("unshare", ["-pf", "sh", "-c", &failing, "sh", &stage.uts()]).status, 1);
    stage.nothing_is_left();
}

/// getpid's number may be another process's there.
#[test]
fn where_proc_does_not_show_this_process() {
    needs!("root");
    let stage = Stage::new();
    let program = bin("rs-unshare").display().to_string();
    for (mount, hint) in [
        ("mount -t tmpfs none /proc", "nothing is mounted on /proc: mount proc there first"),
        ("unshare -pf mount -t proc proc /proc", "the proc on /proc is of a pid namespace that this process is not in"),
    ] {
        for options in [&[stage.uts().as_str()][..], &["-f", &stage.uts()], &["--map-users=0:0:9"]] {
            let script = format!("{mount} && exec \"$@\" echo ran");
            let ran = run("unshare", [&["-m", "sh", "-c", &script, "sh", &program], options].concat());
            assert_eq!((ran.status, ran.stdout.as_str()), (1, ""), "{mount} {options:?}");
            let told =
                format!("rs-unshare: cannot read /proc/self: No such file or directory\nrs-unshare: hint: {hint}");
            assert!(ran.stderr.starts_with(&told), "{}", ran.stderr);
            stage.nothing_is_left();
        }
        let own = run("unshare", ["-m", "sh", "-c", &format!("{mount} && exec {program} -r true")]);
        assert!(own.stderr.contains(hint), "{}", own.stderr);
    }
}
