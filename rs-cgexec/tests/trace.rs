//! `--trace` against strace: the same calls, nothing made up, nothing hidden.
#![allow(clippy::disallowed_methods)]

mod common;

use chain::testing::{against_strace, bin, needs};
use common::Stage;
use rs_cgexec::hierarchy::Host;

const CALLS: &[&str] =
    &["mkdirat", "unlinkat", "openat", "write", "fchownat", "fchmodat", "execve", "clone", "clone3", "rt_sigprocmask"];

fn same(tool: &str, args: &[&str]) {
    assert_eq!(against_strace(&bin(tool), args, CALLS), Vec::<String>::new(), "{tool} {args:?}");
}

#[test]
fn traces_are_what_strace_sees() {
    needs!("root", "strace");
    let stage = Stage::new("trace");
    let group = stage.group.clone();
    let spec = format!("cpu,memory:{group}");
    same(
        "rs-cgcreate",
        &["-a", "1:2", "-t", "3:4", "-d", "750", "-f", "640", "-s", "600", "-g", &format!("{spec}/a b\u{e9}")],
    );
    same("rs-cgcreate", &["-g", &format!("cpu:{group}/new/{}", "a\nb")]);
    same("rs-cgset", &["-r", "memory.limit_in_bytes=10000000", "-r", "cpu.cfs_quota_us=5000", &group]);
    same("rs-cgset", &["-r", "cpu.shares=abc", &group]);
    same("rs-cgget", &["-r", "cpu.shares", &group]);
    let leaf = format!("cpu,memory:{group}/a b\u{e9}");
    same("rs-cgexec", &["-g", &leaf, "true", "x\ty"]);
    same("rs-cgexec", &["-g", &leaf, "/nonexistent"]);
    same("rs-cgexec", &["-g", "cpu:/nonexistent", "true"]);
    same("rs-cgdelete", &["-r", &spec]);
    same("rs-cgdelete", &[&spec]);
}

#[test]
fn a_forked_child_is_in_the_trace_too() {
    needs!("root", "strace");
    let stage = Stage::new("trace-fork");
    stage.ok("cgcreate -g cpu,memory:$G");
    same("rs-cgexec", &["--fork", "-g", &format!("cpu,memory:{}", stage.group), "true"]);
    same("rs-cgexec", &["--fork", "-g", &format!("cpu,memory:{}", stage.group), "sh", "-c", "exit 3"]);
    // A hybrid machine has a v2 tree beside: a child is born in it.
    if Host::read().expect("the mount table").v2().is_some() {
        stage.ok("cgcreate -g :$G");
        let both = format!("cpu,memory:{}", stage.group);
        let born = format!(":{}", stage.group);
        same("rs-cgexec", &["--fork", "-g", &born, "true"]);
        same("rs-cgexec", &["--fork", "-g", &born, "-g", &both, "sh", "-c", "exit 3"]);
        same("rs-cgexec", &["--fork", "-g", &born, "/nonexistent"]);
    }
}
