//! Signals at every moment: they end `./demo` and the steps, and leave nothing.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

mod common;

use chain::testing::{bin, needs, run};
use common::{Stage, Terminal, parent, running, top, within};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Child;

/// A folder of tools, some of them replaced by `sh` scripts, which find what
/// they replace in `$real`. `./demo` takes it as a target folder.
fn tools(stage: &Stage, replaced: &[(&str, &str)]) -> PathBuf {
    let folder = stage.join("target/release");
    fs::create_dir_all(&folder).expect("a new folder");
    for entry in fs::read_dir(bin("rs-unshare").parent().expect("a folder")).expect("tools").flatten() {
        let name = entry.file_name().into_string().expect("UTF-8");
        if name.starts_with("rs-") && replaced.iter().all(|(other, _)| *other != name) {
            symlink(entry.path(), folder.join(name)).expect("a new link");
        }
    }
    for (name, script) in replaced {
        let real = match name.strip_prefix("rs-") {
            Some(_) => bin(name),
            None => chain::testing::find(name).expect("it is there"),
        };
        let text = format!("#!/bin/sh\nreal='{}' stage='{}'\n{script}\n", real.display(), stage.join("").display());
        fs::write(folder.join(name), text).expect("written");
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(0o755)).expect("chmod");
    }
    folder
}

/// Starts `words` with `tools`, in a process group of its own.
fn start(stage: &Stage, tools: &std::path::Path, words: &[&str]) -> Child {
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").unwrap_or_default());
    let mut command = stage.command(top().join(words[0]));
    command.args(&words[1..]).env("PATH", path).env("CARGO_TARGET_DIR", stage.join("target")).process_group(0);
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
    command.spawn().expect("it starts")
}

fn signal(name: &str, whom: &str) {
    let sent = run("kill", ["-s", name, "--", whom]);
    assert_eq!(sent.status, 0, "{}", sent.stderr);
}

/// The status of what must end soon; a signal's is its number, negative.
fn ended(child: &mut Child) -> i32 {
    let mut status = None;
    if !within(60, || {
        status = child.try_wait().expect("a child");
        status.is_some()
    }) {
        signal("KILL", &format!("-{}", child.id()));
        child.wait().expect("it ends");
        panic!("it did not end");
    }
    let status = status.expect("ended");
    status.code().unwrap_or_else(|| -std::os::unix::process::ExitStatusExt::signal(&status).unwrap_or_default())
}

/// Waits, with no pause, until there is something in the temporary folder; its
/// name.
fn first_made(stage: &Stage) -> String {
    let start = std::time::Instant::now();
    loop {
        if let Some(entry) = fs::read_dir(stage.tmp()).expect("it is there").flatten().next() {
            return entry.file_name().into_string().expect("UTF-8");
        }
        assert!(start.elapsed().as_secs() < 60, "nothing was made");
    }
}

#[test]
fn one_signal_ends_the_demo_as_soon_as_something_is_made() {
    needs!("root");
    let stage = Stage::new();
    let tools = tools(&stage, &[]);
    for turn in 0..20 {
        let mut demo = start(&stage, &tools, &["demo", "--no-build", "--no-limits", "--", "true"]);
        first_made(&stage);
        let group = if turn % 2 == 0 { "" } else { "-" };
        signal("TERM", &format!("{group}{}", demo.id()));
        assert_eq!(ended(&mut demo), 143, "turn {turn}");
        assert_eq!(stage.left(""), Vec::<String>::new(), "turn {turn}");
    }
}

#[test]
fn nothing_is_left_of_the_demo_when_its_whole_group_is_killed() {
    needs!("root");
    for late in [false, true] {
        let stage = Stage::new();
        // Who tidies up comes out of the group late; nothing is made before.
        let tools = tools(&stage, &[("setsid", "sleep 0.5; exec \"$real\" \"$@\"")]);
        let mut demo = start(&stage, &tools, &["demo", "--no-build", "--", "sleep", "1000"]);
        let made = first_made(&stage);
        assert!(!late || within(60, || running(&stage, "rs-unshare").is_some()), "it never ran");
        signal("KILL", &format!("-{}", demo.id()));
        assert_eq!(ended(&mut demo), -9);
        let id = made.strip_prefix("demo.").expect("a name with the group's");
        assert_eq!(stage.left(id), Vec::<String>::new(), "late: {late}");
    }
}

#[test]
fn the_demo_tidies_up_undisturbed_before_it_ends() {
    needs!("root");
    let slow = ("rs-cgdelete", "touch \"$stage/tidies\"; sleep 0.5; exec \"$real\" \"$@\"");
    let stage = Stage::new();
    let folder = tools(&stage, &[slow, ("rs-rootfs", "exit 7")]);
    let mut demo = start(&stage, &folder, &["demo", "--no-build"]);
    assert!(within(60, || stage.join("tidies").exists()), "it never tidied up");
    for name in ["TERM", "HUP"] {
        signal(name, &format!("-{}", demo.id()));
    }
    assert_eq!(ended(&mut demo), 7);
    assert_eq!(fs::read_dir(stage.tmp()).expect("a folder").count(), 0, "all is gone before it ends");
}

fn script(stage: &Stage, command: &str) -> String {
    let (tmp, target) = (stage.tmp(), stage.join("target"));
    format!(
        "export TMPDIR='{}' CARGO_TARGET_DIR='{}'; '{}' --no-build -- {command}",
        tmp.display(),
        target.display(),
        top().join("demo").display()
    )
}

#[test]
fn no_ctrl_c_costs_the_commands_status() {
    needs!("root", "tmux");
    let stage = Stage::new();
    tools(&stage, &[]);
    let terminal =
        Terminal::open(&stage, "storm", &script(&stage, "sh -c 'trap \"\" INT; echo ready; sleep 4; exit 7'"));
    terminal.wait_for("ready");
    std::thread::sleep(std::time::Duration::from_secs(1));
    // More than anybody can press, to the shell that waits for the status.
    let demo = parent(running(&stage, "rs-unshare").expect("it runs")).to_string();
    run("timeout", ["10", "sh", "-c", "while kill -INT $0; do :; done 2>/dev/null", &demo]);
    terminal.wait_for("[ended 7]");
    assert_eq!(stage.left(""), Vec::<String>::new());
}

#[test]
fn a_ctrl_c_before_the_command_can_hear_it_is_heard() {
    needs!("root", "tmux", "perl");
    let stage = Stage::new();
    // As process 1 without a handler this hears nothing.
    tools(&stage, &[("rs-capsh", "exec perl -e '$| = 1; print \"early\\n\"; sleep 10; exec @ARGV' \"$real\" \"$@\"")]);
    let terminal = Terminal::open(&stage, "early", &script(&stage, "sh -c 'echo ran; exit 7'"));
    terminal.wait_for("early");
    terminal.key("C-c");
    let screen = terminal.wait_for("[ended ");
    assert!(screen.contains("[ended 130]") && !screen.contains("ran"), "{screen}");
    assert_eq!(stage.left(""), Vec::<String>::new());
}

/// The steps that make something.
const STEPS: [&str; 4] =
    ["examples/04-root/run", "examples/05-devices/run", "examples/06-limits/run", "examples/07-whole-container/run"];

/// Says how the groups are called.
const NAMED: (&str, &str) = ("rs-uuidgen", "\"$real\" | tee -a \"$stage/ids\"");

/// What is left of what ran, its groups included.
fn left(stage: &Stage) -> Vec<String> {
    let ids = fs::read_to_string(stage.join("ids")).expect("a group's name");
    ids.lines().flat_map(|id| stage.left(id)).collect()
}

#[test]
fn a_signal_while_a_step_tidies_up_leaves_nothing() {
    needs!("root");
    // Each in turn takes its time, and says so.
    for slow in ["rm", "rs-cgdelete"] {
        for step in STEPS.into_iter().skip(if slow == "rm" { 0 } else { 2 }) {
            let stage = Stage::new();
            let script = "touch \"$stage/tidies\"; sleep 0.5; exec \"$real\" \"$@\"";
            let mut child = start(&stage, &tools(&stage, &[NAMED, (slow, script)]), &[step]);
            assert!(within(60, || stage.join("tidies").exists()), "{step} never called {slow}");
            for name in ["TERM", "HUP"] {
                signal(name, &format!("-{}", child.id()));
            }
            ended(&mut child);
            assert_eq!(left(&stage), Vec::<String>::new(), "{step} at {slow}");
        }
    }
}

#[test]
fn a_signal_as_soon_as_a_step_has_made_something_leaves_nothing() {
    needs!("root");
    for step in STEPS {
        let stage = Stage::new();
        let tools = tools(&stage, &[NAMED]);
        for turn in 0..5 {
            let mut child = start(&stage, &tools, &[step]);
            first_made(&stage);
            signal("TERM", &child.id().to_string());
            assert_eq!(ended(&mut child), 143, "{step}, turn {turn}");
            assert_eq!(left(&stage), Vec::<String>::new(), "{step}, turn {turn}");
        }
    }
}

#[test]
fn no_process_of_a_step_outlives_it() {
    needs!("root");
    for step in &STEPS[1..] {
        let stage = Stage::new();
        // As process 1 without a handler this hears nothing.
        let script = "trap '' HUP; touch \"$stage/begins\"; sleep 5; exec \"$real\" \"$@\"";
        let mut child = start(&stage, &tools(&stage, &[NAMED, ("rs-mountdev", script)]), &[step]);
        assert!(within(60, || stage.join("begins").exists()), "{step} never got there");
        signal("HUP", &format!("-{}", child.id()));
        assert_eq!(ended(&mut child), 129, "{step}");
        assert!(within(2, || running(&stage, "/bin/sh").is_none()), "{step}: what mounts goes on");
        assert_eq!(left(&stage), Vec::<String>::new(), "{step}");
    }
}
