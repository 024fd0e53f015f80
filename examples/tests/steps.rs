//! Every step of the examples, run as a reader would.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

mod common;

use chain::testing::{Ran, bin, needs, run, sh};
use common::{Stage, top};

fn step(stage: &Stage, name: &str) -> Ran {
    let tools = bin("rs-unshare").parent().expect("a folder").display().to_string();
    let path = format!("{tools}:{}", std::env::var("PATH").unwrap_or_default());
    let mut command = stage.command(top().join("examples").join(name).join("run"));
    command.env("PATH", path).output().expect("it starts").into()
}

/// The steps, and what the first line says beside `user 0`.
const STEPS: [(&str, &str, bool); 7] = [
    ("01-user", "user 0, ", false),
    ("02-host-name", "user 0, host box, ", false),
    ("03-processes", "user 0, host box, process 1", false),
    ("04-root", "user 0, host box, process 1", false),
    ("05-devices", "user 0, host box, process 1", false),
    ("06-limits", "user 0, host box, process 1", true),
    ("07-whole-container", "user 0, ", true),
];

#[test]
fn every_step_shows_what_it_says() {
    needs!("userns");
    for (name, begins, limits) in STEPS {
        let stage = Stage::new();
        let ran = step(&stage, name);
        if limits && ran.status == 77 && !chain::testing::have("root") {
            assert!(ran.stderr.ends_with(": no control group can be made here; as root it can\n"), "{}", ran.stderr);
            assert_eq!((ran.stdout.as_str(), stage.left("")), ("", Vec::new()), "{name}");
            continue;
        }
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{name}: {}", ran.stdout);
        assert!(ran.stdout.starts_with(begins), "{name}: {}", ran.stdout);
        assert_eq!(stage.left(""), Vec::<String>::new(), "{name}");
    }
}

#[test]
fn every_folder_is_a_step_and_has_a_readme() {
    let folders = std::fs::read_dir(top().join("examples")).expect("examples").flatten();
    let mut names: Vec<String> = folders
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.as_bytes()[0].is_ascii_digit())
        .collect();
    names.sort();
    assert_eq!(names, STEPS.map(|(name, _, _)| name));
    for name in names {
        assert!(top().join("examples").join(&name).join("README.md").is_file(), "{name}");
    }
}

#[test]
fn help_is_asked_for_and_costs_nothing() {
    let stage = Stage::new();
    for name in ["demo", "examples/walkthrough", "examples/container"] {
        for option in ["-h", "--help"] {
            let ran = Ran::from(stage.command(top().join(name)).arg(option).output().expect("it starts"));
            let begin = format!("{} ", name.trim_start_matches("examples/"));
            assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{name} {option}");
            assert!(ran.stdout.starts_with(&begin) && !ran.stdout.contains("set -eu"), "{name}: {}", ran.stdout);
        }
    }
    // What is not known is a reason and where to look, as everywhere.
    for words in [&["--bogus"][..], &["--root"]] {
        let ran = Ran::from(stage.command(top().join("examples/walkthrough")).args(words).output().expect("it starts"));
        assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.lines().count()), (125, "", 2), "{}", ran.stderr);
        assert!(ran.stderr.contains(words[0]) && ran.stderr.contains("--help"), "{}", ran.stderr);
    }
    assert_eq!(stage.left(""), Vec::<String>::new());
}

/// The chain of the last step without its group, which is another on each
/// cgroup version.
const CHAIN: &str = "umask 022; exec </dev/null 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-; export RS_TRACE=explain
    rs-unshare -muinpfr --hostname=box \
    rs-mountdev --root=$ROOTFS --proc --ptmx --null -- \
    rs-capsh --chroot=$ROOTFS --drop=cap_sys_chroot --exec sh";

/// What is another each time: pids, the number of variables, where things are.
fn steady(text: &str, tools: &str, root: &str) -> String {
    let mut lines = Vec::new();
    for line in text.replace(&format!("{tools}/"), "").replace(root, "$ROOTFS").lines() {
        let line = match line.strip_prefix("[pid ").and_then(|rest| rest.split_once(']')) {
            Some((_, rest)) => format!("[pid N]{rest}"),
            None => line.to_owned(),
        };
        let line = match (line.strip_prefix("clone(").and_then(|call| call.split_once(" = ")), line.split_once(" /* "))
        {
            (Some((call, _)), _) => format!("clone({call} = N"),
            (None, Some((call, _))) if line.contains("execve(") => format!("{call} /* N vars */) = ?"),
            _ => line,
        };
        lines.push(line + "\n");
    }
    // Who is first after a fork is chance.
    if let Some(fork) = lines.iter().position(|line| line.starts_with("clone("))
        && let Some(child) = lines.iter().position(|line| line.starts_with("[pid N]"))
    {
        let line = lines.remove(fork);
        lines.insert(child.min(fork), line);
    }
    lines.concat()
}

/// Leaves out the first attempt at devpts: where group 5 is not mapped, kernels
/// refuse it, some at one call and some at the next.
fn without_attempt(text: &str) -> String {
    let begin = "# each devpts is an instance of its own";
    match text.split(begin).collect::<Vec<_>>()[..] {
        [before, _, after] => format!("{before}{begin}{after}"),
        _ => text.to_owned(),
    }
}

#[test]
fn the_last_step_explains_itself_as_is_kept() {
    needs!("root");
    let stage = Stage::new();
    let root = stage.join("root");
    let made = run(bin("rs-rootfs"), ["unpack".as_ref(), "host:".as_ref(), root.as_os_str()]);
    assert_eq!(made.status, 0, "{}", made.stderr);
    let tools = bin("rs-unshare").parent().expect("a folder").to_owned();
    let ran = sh(&tools, &format!("PATH={}:/usr/bin; ROOTFS={}; {CHAIN}", tools.display(), root.display()));
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let explained = steady(&ran.stderr, &tools.display().to_string(), &root.display().to_string());
    let kept = include_str!("../07-whole-container/explain.txt");
    let explained = without_attempt(&explained);
    assert!(explained == kept, "examples/07-whole-container/explain.txt is to be:\n{explained}");
}
