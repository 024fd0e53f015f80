//! `./demo`: the whole container, and nothing left of it whichever way it
//! ends.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

mod common;

use chain::testing::{Ran, bin, needs, run};
use common::{Stage, Terminal, parent, running, top, within};
use std::process::Command;

fn demo(stage: &Stage) -> Command {
    let mut command = stage.command(top().join("demo"));
    // check builds them once; what the build step does is shown by its own.
    command.arg("--no-build");
    command
}

fn ran(mut command: Command) -> Ran {
    command.output().expect("it starts").into()
}

/// The value of `key` in a report.
fn value<'a>(report: &'a str, key: &str) -> &'a str {
    let line = report.lines().find(|line| line.len() > 14 && line[..14].trim_end() == key);
    line.map_or("", |line| line[15..].trim_end())
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.split('-').map(str::len).collect::<Vec<_>>() == [8, 4, 4, 4, 12]
}

/// What is the same with and without limits.
fn shows_isolation(report: &str) {
    assert!(value(report, "user").starts_with("uid 0,"), "{report}");
    assert!(is_uuid(value(report, "hostname")), "{report}");
    assert_eq!(value(report, "process 1"), "sh (this shell is process 1)");
    for process in value(report, "/proc").split(' ') {
        let (_, name) = process.split_once(':').expect("pid:name");
        assert_eq!(name, "sh", "only the payload's own processes: {report}");
    }
    assert_eq!(value(report, "/dev/null"), "works");
    let bounding = u64::from_str_radix(value(report, "CapBnd"), 16).expect("a number");
    assert_eq!(bounding >> 18 & 1, 0, "cap_sys_chroot is in the bounding set: {report}");
}

#[test]
fn the_report_shows_a_limited_container() {
    needs!("root");
    let stage = Stage::new();
    let ran = ran(demo(&stage));
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    shows_isolation(&ran.stdout);
    assert_eq!(value(&ran.stdout, "memory"), "9998336 bytes");
    assert_eq!(value(&ran.stdout, "cpu"), "300000 of 1000000 us: 30 %");
    let id = value(&ran.stdout, "hostname");
    assert!(value(&ran.stdout, "group").contains(id), "the payload is in the group: {}", ran.stdout);
    assert_eq!(stage.left(id), Vec::<String>::new());
}

fn as_nobody(stage: &Stage, args: &[&str]) -> Command {
    let mut command = stage.command("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(top().join("demo"))
        .arg("--no-build")
        .args(args);
    command.env("HOME", stage.tmp());
    command
}

#[test]
fn an_ordinary_user_gets_the_same_without_limits() {
    needs!("root", "setpriv");
    let stage = Stage::new();
    let ran = ran(as_nobody(&stage, &["--no-limits"]));
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    shows_isolation(&ran.stdout);
    assert_eq!(value(&ran.stdout, "limits"), "none");
    assert_eq!(stage.left(value(&ran.stdout, "hostname")), Vec::<String>::new());
}

#[test]
fn an_ordinary_user_never_runs_silently_without_limits() {
    needs!("root", "setpriv");
    let stage = Stage::new();
    let ran = ran(as_nobody(&stage, &["--", "echo", "ran"]));
    assert_eq!((ran.status, ran.stdout.as_str()), (1, ""));
    for way in ["sudo ./demo", "systemd-run --user --scope", "--no-limits"] {
        assert!(ran.stderr.contains(way), "{}", ran.stderr);
    }
    assert_eq!(stage.left(""), Vec::<String>::new());
}

/// A group of cgroup v2 that user 65534 may divide; it goes with what is in it.
struct Delegated(std::path::PathBuf);

impl Delegated {
    fn new() -> Self {
        let name = format!("rs-demo-{}", std::process::id());
        let group = Self(std::path::Path::new("/sys/fs/cgroup").join(&name));
        let made =
            run(bin("rs-cgcreate"), ["-t", "65534:65534", "-a", "65534:65534", "-g", &format!("cpu,memory:{name}")]);
        assert_eq!(made.status, 0, "{}", made.stderr);
        group
    }

    fn read(&self, file: &str) -> String {
        std::fs::read_to_string(self.0.join(file)).expect("a control file")
    }
}

impl Drop for Delegated {
    fn drop(&mut self) {
        run("find", [self.0.as_os_str(), "-depth".as_ref(), "-type".as_ref(), "d".as_ref(), "-delete".as_ref()]);
    }
}

#[test]
fn an_ordinary_user_has_limits_in_a_delegated_group() {
    needs!("root", "v2", "setpriv");
    let stage = Stage::new();
    let group = Delegated::new();
    // As systemd-run --scope does: the command is born in the group. What else
    // is in it must be back afterwards.
    let mut command = stage.command("sh");
    command.args(["-c", "echo $$ >\"$0/cgroup.procs\"; \"$@\"; cat /proc/self/cgroup"]).arg(&group.0);
    let demo = as_nobody(&stage, &[]);
    command.arg(demo.get_program()).args(demo.get_args());
    let ran = ran(command);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    shows_isolation(&ran.stdout);
    assert_eq!(value(&ran.stdout, "memory"), "9998336 bytes");
    assert_eq!(value(&ran.stdout, "cpu"), "300000 of 1000000 us: 30 %");
    let name = group.0.file_name().expect("a name").to_string_lossy().into_owned();
    assert!(ran.stdout.ends_with(&format!("0::/{name}\n")), "the caller is where it was: {}", ran.stdout);
    assert_eq!(group.read("cgroup.subtree_control").trim(), "");
    assert_eq!(group.read("cgroup.stat").lines().next(), Some("nr_descendants 0"));
    assert_eq!(stage.left(value(&ran.stdout, "hostname")), Vec::<String>::new());
}

#[test]
fn a_report_that_nobody_can_read_is_a_failure() {
    needs!("root");
    let stage = Stage::new();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("a full disk");
    let mut command = demo(&stage);
    let output =
        command.stdout(full).stderr(std::process::Stdio::piped()).spawn().expect("it starts").wait_with_output();
    let ran = Ran::from(output.expect("it ends"));
    assert_eq!((ran.status, ran.stderr.lines().count()), (1, 2), "{}", ran.stderr);
    // With standard error closed it runs as well.
    let mut command = stage.command("sh");
    command.args(["-c", "\"$0\" --no-build 2>&-"]).arg(top().join("demo"));
    shows_isolation(&Ran::from(command.output().expect("it starts")).stdout);
}

#[test]
fn it_builds_in_any_folder_and_says_what_it_lacks() {
    needs!("root");
    let stage = Stage::new();
    let checkout = stage.join("it's a checkout");
    std::fs::create_dir_all(checkout.join("examples")).expect("a new folder");
    for file in ["demo", "examples/report"] {
        std::fs::copy(top().join(file), checkout.join(file)).expect("copied");
    }
    // It builds nothing, but puts this build where it is asked to.
    let cargo = stage.join("bin/cargo");
    std::fs::create_dir(stage.join("bin")).expect("a new folder");
    let built = bin("rs-unshare").parent().expect("a folder").display().to_string();
    let script = format!(
        "#!/bin/sh\nwhile [ \"$1\" != --target-dir ]; do shift; done\nrm -f \"$2/release\"; ln -s '{built}' \"$2/release\"\n"
    );
    std::fs::write(&cargo, script).expect("written");
    std::fs::set_permissions(&cargo, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
    let path = format!("{}:/usr/bin:/bin", stage.join("bin").display());
    let run = |more: &[&str], target: Option<&str>| {
        let mut command = stage.command(checkout.join("demo"));
        command
            .env_remove("CARGO_TARGET_DIR")
            .env_remove("SUDO_USER")
            .env("HOME", stage.tmp())
            .env("PATH", &path)
            .args(more);
        command.envs(target.map(|target| ("CARGO_TARGET_DIR", target)));
        ran(command)
    };
    let lacking = run(&["--no-build"], None);
    assert_eq!((lacking.status, lacking.stdout.as_str()), (1, ""), "{}", lacking.stderr);
    assert!(lacking.stderr.contains("no cargo"), "{}", lacking.stderr);
    for target in [None, Some("a target")] {
        let ran = run(&[], target);
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        shows_isolation(&ran.stdout);
    }
    // What is built once serves again.
    assert_eq!(run(&["--no-build"], None).status, 0);
    assert_eq!(stage.left(""), Vec::<String>::new());
}

#[test]
fn folders_may_have_any_name() {
    needs!("root");
    let stage = Stage::new();
    let folder = stage.tmp().join("a b'$(c)");
    std::fs::create_dir(&folder).expect("a new folder");
    let mut command = demo(&stage);
    command.env("TMPDIR", &folder);
    let ran = ran(command);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    shows_isolation(&ran.stdout);
    std::fs::remove_dir(&folder).expect("nothing is in it");
}

#[test]
fn a_commands_status_is_handed_on() {
    needs!("root");
    for (words, status) in
        [(&["sh", "-c", "exit 7"][..], 7), (&["sh", "-c", "kill -9 $$; exit 3"], 3), (&["nothing-here"], 127)]
    {
        let stage = Stage::new();
        let mut command = demo(&stage);
        command.arg("--").args(words);
        let ran = ran(command);
        assert_eq!(ran.status, status, "{words:?}: {}", ran.stderr);
        assert_eq!(stage.left(""), Vec::<String>::new());
    }
}

#[test]
fn a_bad_image_or_option_is_one_clear_refusal() {
    needs!("root");
    let stage = Stage::new();
    let mut command = demo(&stage);
    command.env("IMAGE", "/nonexistent.tar");
    let ran1 = ran(command);
    assert_ne!(ran1.status, 0);
    assert!(ran1.stderr.contains("/nonexistent.tar"), "{}", ran1.stderr);
    assert_eq!(stage.left(""), Vec::<String>::new());
    let mut command = demo(&stage);
    command.arg("--bogus");
    assert_eq!(ran(command).status, 125);
    assert_eq!(stage.left(""), Vec::<String>::new());
}

#[test]
fn a_link_to_it_finds_what_it_needs() {
    needs!("root");
    let stage = Stage::new();
    std::os::unix::fs::symlink(top().join("demo"), stage.join("link")).expect("a new link");
    let mut command = stage.command(stage.join("link"));
    command.arg("--no-build");
    let ran = ran(command);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    shows_isolation(&ran.stdout);
}

fn script(stage: &Stage) -> String {
    format!("export TMPDIR='{}'; '{}' --no-build", stage.tmp().display(), top().join("demo").display())
}

#[test]
fn a_terminal_gets_a_shell_with_job_control() {
    needs!("root", "tmux");
    let stage = Stage::new();
    let terminal = Terminal::open(&stage, "shell", &script(&stage));
    terminal.wait_for("exit leaves it");
    terminal.line("echo my pid is $$, I am $(id -u)");
    terminal.wait_for("my pid is 1, I am 0");
    terminal.line("hostname; echo 'host''name shown'");
    let screen = terminal.wait_for("hostname shown");
    let id = screen.lines().find(|line| is_uuid(line.trim())).expect("a host name").trim().to_owned();

    // Ctrl-C ends the job, not the shell.
    terminal.line("sleep 1000");
    std::thread::sleep(std::time::Duration::from_millis(500));
    terminal.key("C-c");
    terminal.line("echo still $((40 + 2))");
    terminal.wait_for("still 42");

    // Ctrl-Z stops it, and jobs knows it.
    terminal.line("sleep 1001");
    std::thread::sleep(std::time::Duration::from_millis(500));
    terminal.key("C-z");
    terminal.wait_for("Stopped");
    terminal.line("fg");
    std::thread::sleep(std::time::Duration::from_millis(500));
    terminal.key("C-c");
    terminal.line("echo none are left: $(jobs)");
    terminal.wait_for("none are left:\n");

    // The window's size is the terminal's, also when it changes.
    terminal.resize(100, 30);
    terminal.line("sleep 0.3; shopt -s checkwinsize; (:); echo size $COLUMNS x $LINES");
    terminal.wait_for("size 100 x ");

    terminal.line("exit 9");
    terminal.wait_for("[ended 9]");
    assert_eq!(stage.left(&id), Vec::<String>::new());
}

/// The host name on `terminal`, asked of the shell inside.
fn ask_id(terminal: &Terminal) -> String {
    terminal.wait_for("exit leaves it");
    terminal.line("hostname; echo 'host''name shown'");
    let screen = terminal.wait_for("hostname shown");
    screen.lines().find(|line| is_uuid(line.trim())).expect("a host name").trim().to_owned()
}

#[test]
fn nothing_is_left_after_ctrl_c() {
    needs!("root", "tmux");
    let stage = Stage::new();
    let terminal = Terminal::open(&stage, "interrupt", &format!("{} -- sleep 1000", script(&stage)));
    assert!(within(60, || running(&stage, "rs-unshare").is_some()), "{}", terminal.screen());
    // A process 1 that has no handler yet never sees the signal: as a person
    // would, press until it is heard.
    let ended = within(60, || {
        terminal.key("C-c");
        std::thread::sleep(std::time::Duration::from_millis(500));
        terminal.screen().contains("[ended 130]")
    });
    assert!(ended, "{}", terminal.screen());
    assert_eq!(stage.left(""), Vec::<String>::new());
}

#[test]
fn a_command_that_handles_ctrl_c_gives_its_own_status() {
    needs!("root", "tmux");
    let stage = Stage::new();
    let command = "sh -c 'trap \"echo heard\" INT; echo ready; sleep 1000; echo goes on; exit 4'";
    let terminal = Terminal::open(&stage, "handles", &format!("{} -- {command}", script(&stage)));
    terminal.wait_for("ready");
    // Its sleep may not have begun yet.
    std::thread::sleep(std::time::Duration::from_millis(500));
    terminal.key("C-c");
    let screen = terminal.wait_for("[ended 4]");
    assert!(screen.contains("heard") && screen.contains("goes on"), "{screen}");
    assert_eq!(stage.left(""), Vec::<String>::new());
}

fn kill_9(pid: u32) {
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().expect("kill").success());
}

#[test]
fn nothing_is_left_when_the_outermost_process_is_killed() {
    needs!("root", "tmux");
    // The script itself, and the outermost link of the chain.
    for killed in ["demo", "rs-unshare"] {
        let stage = Stage::new();
        let terminal = Terminal::open(&stage, killed, &format!("{}; echo over", script(&stage)));
        let id = ask_id(&terminal);
        let pid = match killed {
            "demo" => parent(running(&stage, "rs-unshare").expect("rs-unshare runs")),
            name => running(&stage, name).expect("it runs"),
        };
        kill_9(pid);
        terminal.wait_for("over");
        assert_eq!(stage.left(&id), Vec::<String>::new(), "after kill -9 of {killed}");
    }
}

#[test]
fn a_signal_to_the_script_alone_ends_it_at_once() {
    needs!("root");
    for (signal, status) in [("TERM", 143), ("HUP", 129)] {
        let stage = Stage::new();
        let mut command = demo(&stage);
        command.args(["--", "sleep", "1000"]).stderr(std::process::Stdio::piped());
        let child = command.spawn().expect("it starts");
        assert!(within(60, || running(&stage, "rs-unshare").is_some()), "it never ran");
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-s", signal, &pid]).status().expect("kill").success());
        let ran = Ran::from(child.wait_with_output().expect("it ends"));
        assert_eq!((ran.status, ran.stderr.lines().count()), (status, 1), "{}", ran.stderr);
        // All is gone before it ends, not some time after.
        assert_eq!(std::fs::read_dir(stage.tmp()).expect("a folder").count(), 0);
        assert_eq!(stage.left(""), Vec::<String>::new());
    }
}
