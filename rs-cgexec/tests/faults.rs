//! Each call made to fail, at each place where it is made: the right status,
//! one message, the program not started, nothing half-made left behind.
#![allow(clippy::disallowed_methods)]

mod common;

use chain::testing::{Scratch, bin, needs};
use common::Stage;
use std::process::{Command, Stdio};

/// What a run showed, and whether the fault came.
struct Injected {
    status: i32,
    stdout: String,
    stderr: String,
    came: bool,
}

fn inject(tool: &str, args: &[&str], call: &str, errno: &str, when: u32) -> Injected {
    let scratch = Scratch::new();
    let log = scratch.join("log");
    let mut command = Command::new("timeout");
    command.args(["-k", "1", "20", "strace", "-f", "-qq", "-s", "4096", "-o"]).arg(&log);
    command.arg("-e").arg(format!("trace={call}")).arg("-e").arg(format!("inject={call}:error={errno}:when={when}"));
    let output = command.arg(bin(tool)).args(args).stdin(Stdio::null()).output().expect("strace starts");
    let log = std::fs::read_to_string(&log).unwrap_or_default();
    // Ours alone: reads, and messages, are no steps.
    let ours = |line: &str| !["O_RDONLY", "write(2, ", "write(1, ", "NULL, ["].iter().any(|word| line.contains(word));
    Injected {
        status: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        came: log.lines().any(|line| line.contains("(INJECTED)") && ours(line)),
    }
}

/// Lets `call` fail at each of its places; gives how many there were.
fn everywhere(tool: &str, args: &[&str], call: &str, errno: &str, statuses: &[i32], after: &dyn Fn()) -> u32 {
    let mut places = 0;
    let mut missed = 0;
    for when in 1..400 {
        let ran = inject(tool, args, call, errno, when);
        after();
        // strace's own exec of us is none of ours.
        if !ran.came || ran.stderr.starts_with("strace: ") {
            missed += 1;
            // Reading opens stand between; past the end nothing comes.
            if missed > 12 {
                break;
            }
            continue;
        }
        missed = 0;
        places += 1;
        // musl makes some of these itself, and looks at no answer.
        if call == "rt_sigprocmask" && ran.status == 0 && std::env::var_os("RS_BIN").is_some() {
            continue;
        }
        let about = format!("{tool} {args:?} {call} {errno} {when}: {} {}{}", ran.status, ran.stdout, ran.stderr);
        assert!(statuses.contains(&ran.status), "{about}");
        assert!(ran.stderr.starts_with(&format!("{tool}: ")), "{about}");
        assert!(!ran.stdout.contains("ran"), "{about}");
        assert!(!ran.stderr.contains("panicked"), "{about}");
    }
    places
}

#[test]
fn cgexec_starts_nothing_after_a_fault() {
    needs!("root", "v1", "strace");
    let stage = Stage::new("fault-exec");
    stage.ok("cgcreate -g cpu,memory:$G");
    let spec = format!("cpu,memory:{}", stage.group);
    let args = ["-g", &spec, "echo", "ran"];
    let nothing = || {};
    assert!(everywhere("rs-cgexec", &args, "openat", "EACCES", &[87], &nothing) > 0);
    assert!(everywhere("rs-cgexec", &args, "openat", "EPERM", &[85], &nothing) > 0);
    assert!(everywhere("rs-cgexec", &args, "write", "EPERM", &[96], &nothing) > 0);
    assert!(everywhere("rs-cgexec", &args, "write", "EBUSY", &[96], &nothing) > 0);
    assert!(everywhere("rs-cgexec", &args, "execve", "ENOMEM", &[255], &nothing) > 0);
    let fork = ["--fork", "-g", &spec, "echo", "ran"];
    assert!(everywhere("rs-cgexec", &fork, "clone", "EPERM", &[87], &nothing) > 0);
    assert!(everywhere("rs-cgexec", &fork, "execve", "ENOMEM", &[255], &nothing) > 0);
    assert!(everywhere("rs-cgexec", &fork, "rt_sigprocmask", "EPERM", &[87], &nothing) > 0);
}

#[test]
fn cgcreate_leaves_nothing_half_made() {
    needs!("root", "v1", "strace");
    let stage = Stage::new("fault-create");
    stage.ok("cgcreate -g cpu,memory:$G");
    let spec = format!("cpu,memory:{}/a/b", stage.group);
    let args = ["-a", "1:2", "-f", "600", "-g", &spec];
    for (call, errno, status) in [("mkdirat", "EACCES", 87), ("fchownat", "EPERM", 96), ("fchmodat", "EIO", 96)] {
        let gone = || {
            for controller in ["cpu", "memory"] {
                assert!(
                    !stage.dir(controller).join("a").exists() || stage.sh("cgdelete -r cpu,memory:$G/a").status == 0
                );
            }
        };
        let left = || {
            for controller in ["cpu", "memory"] {
                let dir = stage.dir(controller).join("a");
                assert!(!dir.exists() || stage.sh("cgget -nvr cpu.shares $G/a/b").status == 0, "{}", dir.display());
            }
            gone();
        };
        assert!(everywhere("rs-cgcreate", &args, call, errno, &[status], &left) > 0, "{call}");
    }
}

#[test]
fn cgset_and_cgdelete_say_what_was_refused() {
    needs!("root", "v1", "strace");
    let stage = Stage::new("fault-set");
    stage.ok("cgcreate -g cpu,memory:$G");
    let group = stage.group.as_str();
    let set = ["-r", "memory.limit_in_bytes=10M", "-r", "cpu.shares=512", group];
    let nothing = || {};
    assert!(everywhere("rs-cgset", &set, "openat", "EACCES", &[95], &nothing) > 1);
    assert!(everywhere("rs-cgset", &set, "write", "EBUSY", &[96], &nothing) > 1);
    let spec = format!("cpu,memory:{group}/x");
    let make = || drop(stage.sh("cgcreate -g cpu,memory:$G/x"));
    make();
    assert!(everywhere("rs-cgdelete", &[&spec], "unlinkat", "EPERM", &[96], &make) > 0);
    stage.ok("cgdelete cpu,memory:$G/x; cgcreate -g freezer,cpu:$G/y");
    let spec = format!("freezer,cpu:{group}/y");
    // A process in the group that can be moved out again.
    let held = stage.sh(&format!(
        "cgexec -g freezer,cpu:$G/y sleep 5 & p=$!; while ! grep -q $G/y /proc/$p/cgroup; do sleep 0.02; done
         strace -f -qq -o /dev/null -e trace=write -e inject=write:error=EACCES:when=1 {} {spec}; echo $?; kill $p",
        bin("rs-cgdelete").display()
    ));
    assert_eq!(held.stdout, "96\n", "{}", held.stderr);
}

/// The places of v2, one by one: an emulated machine is slow.
#[test]
fn the_steps_of_v2() {
    needs!("root", "v2", "strace");
    let stage = Stage::new("fault-v2");
    stage.ok("cgcreate -g cpu,memory:$G/a");
    let group = format!("{}/a", stage.group);
    let spec = format!("cpu,memory:{group}");
    let new = format!("cpu,memory,pids:{}/new", stage.group);
    let (procs, limit) = ("a/cgroup.procs", "a/memory.max");
    for (tool, args, call, errno, file, status) in [
        ("rs-cgexec", &["-g", &spec, "echo", "ran"][..], "openat", "EACCES", procs, 87),
        ("rs-cgexec", &["-g", &spec, "echo", "ran"], "openat", "EPERM", procs, 85),
        ("rs-cgexec", &["-g", &spec, "echo", "ran"], "write", "EPERM", procs, 96),
        ("rs-cgexec", &["--fork", "-g", &spec, "echo", "ran"], "clone3", "EBUSY", "", 96),
        ("rs-cgset", &["-r", "memory.limit_in_bytes=10M", &group], "openat", "EACCES", limit, 95),
        ("rs-cgset", &["-r", "memory.limit_in_bytes=10M", &group], "write", "EBUSY", limit, 96),
        ("rs-cgcreate", &["-g", &new], "write", "EBUSY", "cgroup.subtree_control", 96),
        ("rs-cgcreate", &["-g", &new], "mkdirat", "EACCES", "", 87),
        ("rs-cgcreate", &["-a", "1:2", "-g", &new], "fchownat", "EPERM", "new", 96),
        ("rs-cgdelete", &[&spec], "unlinkat", "EPERM", "", 96),
    ] {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", "/dev/null", "-e"]).arg(format!("trace={call}"));
        command.arg("-e").arg(format!("inject={call}:error={errno}:when=1"));
        if !file.is_empty() {
            command.arg("-P").arg(stage.dir("memory").join(file));
        }
        let output = command.arg(bin(tool)).args(args).stdin(Stdio::null()).output().expect("strace starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            (output.status.code(), &output.stdout[..]),
            (Some(status), &b""[..]),
            "{tool} {call} {file}: {said}"
        );
        assert!(said.starts_with(&format!("{tool}: ")), "{said}");
        assert!(!stage.dir("memory").join("new").exists(), "{tool} {call}");
    }
}
