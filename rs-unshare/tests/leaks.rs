//! Nothing is left: no process, no descriptor, no mount; after success, after
//! failure, when the parent is killed, when a child is.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

mod stage;

use chain::testing::{Ran, bin, needs, run};
use stage::{Stage, bound, kill, processes, soon};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn ours(args: &[&str]) -> Ran {
    run(bin("rs-unshare"), args)
}

#[test]
fn after_success() {
    needs!("root");
    let stage = Stage::new();
    // The helpers are gone before the program starts: it has no child.
    let children = "read children < /proc/$$/task/$$/children; echo \"[$children]\"";
    for options in [vec!["--map-users=0:0:9", "--map-groups=0:0:9"], vec!["--owner=0:0", "-r"], vec!["-m"]] {
        let args = [options, vec!["sh", "-c", children, &stage.mark]].concat();
        assert_eq!(ours(&args).stdout, "[]\n", "{args:?}");
        stage.nothing_is_left();
    }
    let uts = stage.uts();
    for fork in [&["-m"][..], &["-f"]] {
        let args = [&[uts.as_str()], fork, &["sh", "-c", children, &stage.mark]].concat();
        assert_eq!(ours(&args).stdout, "[]\n");
        assert!(bound(&stage.file), "a persistent namespace stays");
        assert_eq!(run("umount", [&stage.file]).status, 0);
        stage.nothing_is_left();
    }
}

#[test]
fn after_a_failure_at_any_step() {
    needs!("root", "strace");
    let stage = Stage::new();
    let uts = stage.uts();
    let failing: [&[&str]; 6] = [
        &["-w", "/nonexistent", "true"],
        &["-R", "/nonexistent", "true"],
        &["--ipc=/nonexistent", "true"],
        &["-m", "--mount-proc=/nonexistent", "true"],
        &["-r", "-S", "77", "true"],
        &["-U", "--map-users=0:0:9", "--map-users=5:5:9", "true"],
    ];
    for fork in [&[][..], &["-f"], &["--kill-child"]] {
        for options in failing {
            let args = [fork, &[&uts], options, &[&stage.mark]].concat();
            let ran = ours(&args);
            assert_eq!(ran.status, 1, "{args:?} {}", ran.stderr);
            stage.nothing_is_left();
        }
    }
    // With a child even exec is a step that can be taken back.
    assert_eq!(ours(&["-f", &uts, "/nonexistent", &stage.mark]).status, 127);
    stage.nothing_is_left();
}

#[test]
fn a_refused_unshare_leaves_no_helper_and_no_open_pipe() {
    needs!("root", "strace");
    let stage = Stage::new();
    let uts = stage.uts();
    let args = [&uts, "--map-users=0:0:9", "-m", "true", &stage.mark];
    // The run ends when the last holder of its pipes has gone.
    let started = Instant::now();
    let ran = chain::testing::inject(&bin("rs-unshare"), &args, "unshare", "EPERM", 1);
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(ran.status, 1, "{}", ran.stderr);
    stage.nothing_is_left();
}

#[test]
fn when_the_parent_is_killed_while_its_helpers_wait() {
    needs!("root", "strace");
    let stage = Stage::new();
    let uts = stage.uts();
    let mut strace = stage.slowly("unshare", 3_000_000, &[&uts, "--map-users=0:0:9", "-mf", "true", &stage.mark]);
    // The tool, two binders, one mapper.
    soon("all helpers", || processes(&stage.mark).len() == 4);
    let first = *processes(&stage.mark).iter().min().expect("a process");
    kill(first, "KILL");
    strace.wait().expect("an end");
    stage.nothing_is_left();
}

#[test]
fn when_a_helper_is_killed_the_command_fails() {
    needs!("root", "strace");
    let stage = Stage::new();
    let mut strace = stage.slowly("unshare", 2_000_000, &["--map-users=0:0:9", "echo", "ran", &stage.mark]);
    soon("the helper", || processes(&stage.mark).len() == 2);
    kill(*processes(&stage.mark).iter().max().expect("a process"), "KILL");
    let _ = strace.wait();
    let ran: Ran = strace.wait_with_output().expect("an end").into();
    assert_eq!((ran.status, ran.stdout.as_str()), (1, ""), "{}", ran.stderr);
    assert_eq!(ran.stderr, "rs-unshare: the process that maps the ids was killed by SIGKILL\n");
    stage.nothing_is_left();
}

/// Starts the tool with a program that sleeps, and gives the pids of both.
fn sleeping(stage: &Stage, options: &[&str]) -> (Child, u32) {
    let ready = stage.scratch.join("ready");
    let _ = std::fs::remove_file(&ready);
    run("chmod", ["777", &stage.scratch.path().display().to_string()]);
    let script = format!(": > {}; exec sleep 30", ready.display());
    let mut command = Command::new(bin("rs-unshare"));
    command.args(options).args(["sh", "-c", &script]).arg(&stage.mark).stdin(Stdio::null());
    let parent = command.spawn().expect("it starts");
    soon("the program", || ready.exists());
    let pid = parent.id();
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).expect("children");
    (parent, children.trim().parse().expect("one child"))
}

/// Running, not dead and not waiting to be reaped.
fn alive(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|text| text.rsplit(") ").next().is_some_and(|rest| !rest.starts_with(['Z', 'X'])))
}

#[test]
fn kill_child_leaves_no_orphan() {
    needs!("root");
    for options in [&["--kill-child"][..], &["--kill-child", "-S", "1234", "-G", "1234"], &["--kill-child=TERM", "-r"]]
    {
        let stage = Stage::new();
        let (mut parent, child) = sleeping(&stage, options);
        assert!(alive(child));
        parent.kill().expect("killed");
        parent.wait().expect("an end");
        soon("the end of the child", || !alive(child));
        stage.nothing_is_left();
    }
}

#[test]
fn when_the_child_is_killed_the_parent_ends_the_same_way() {
    needs!("userns");
    let stage = Stage::new();
    for (signal, status) in [("KILL", 137), ("TERM", 143), ("HUP", 129)] {
        let (parent, child) = sleeping(&stage, &["-f"]);
        kill(child, signal);
        let ran: Ran = parent.wait_with_output().expect("an end").into();
        assert_eq!(ran.status, status);
        stage.nothing_is_left();
    }
}

#[test]
fn the_parent_leaves_no_core() {
    let stage = Stage::new();
    let script = format!(
        "cd {} && ulimit -c unlimited; {} -f sh -c 'ulimit -c 0; kill -SEGV $$'; echo $?; ls core* 2>/dev/null",
        stage.scratch.path().display(),
        bin("rs-unshare").display()
    );
    let ran = run("sh", ["-c", &script]);
    assert_eq!(ran.stdout, "139\n", "{}", ran.stderr);
}

#[test]
fn forwarded_signals_are_not_lost_before_the_child_is_there() {
    needs!("strace");
    let stage = Stage::new();
    let mut strace = stage.slowly("clone", 1_500_000, &["--forward-signals", "sleep", "30", &stage.mark]);
    soon("the tool", || processes(&stage.mark).len() == 1);
    std::thread::sleep(Duration::from_millis(500));
    kill(processes(&stage.mark)[0], "TERM");
    let started = Instant::now();
    let _ = strace.wait();
    assert!(started.elapsed() < Duration::from_secs(10), "the signal was lost");
}

#[test]
fn forwarding_restores_what_was_ignored() {
    needs!("sh");
    let script = "trap '' TERM; exec UNSHARE --forward-signals grep SigIgn /proc/self/status";
    let ran = run("sh", ["-c", &script.replace("UNSHARE", &bin("rs-unshare").display().to_string())]);
    let mask = u64::from_str_radix(ran.stdout.split_whitespace().nth(1).expect("a mask"), 16).expect("a mask");
    assert_eq!(mask >> 14 & 1, 1, "{}", ran.stdout);
}

#[test]
fn process_1_of_a_pid_namespace_gives_the_signals_status() {
    needs!("userns");
    // The inner one is process 1 and cannot die of a signal it sends itself.
    let inner = bin("rs-unshare").display().to_string();
    let ran = ours(&["-rpf", &inner, "-f", "sh", "-c", "kill -TERM $$"]);
    assert_eq!(ran.status, 143, "{}", ran.stderr);
}
