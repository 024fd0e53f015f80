//! The article's commands, word for word, in a real terminal.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

mod common;
#[path = "common/registry.rs"]
mod registry;

use chain::testing::{bin, needs, run};
use common::{Stage, Terminal, top, within};
use registry::Registry;

/// The words that run the walkthrough, with our tools of this build.
fn walkthrough(stage: &Stage, more: &str) -> String {
    let tools = bin("rs-unshare").parent().expect("a folder").display().to_string();
    format!(
        "export TMPDIR='{}' TOOLS='{tools}' RS_ROOTFS_STORE='{}' XDG_CONFIG_HOME='{}' HOME='{}'; '{}' {more}",
        stage.tmp().display(),
        stage.join("store").display(),
        stage.join("config").display(),
        stage.join("home").display(),
        top().join("examples/walkthrough").display()
    )
}

/// Makes `bash` come from a registry of ours.
fn mirrored(stage: &Stage) -> Registry {
    let folder = stage.join("registry-files");
    std::fs::create_dir(&folder).expect("made");
    let registry = Registry::with_bash(&folder);
    let mirror = format!("http://127.0.0.1:{}", registry.port);
    let mut command = stage.command(bin("rs-rootfs"));
    command.args(["config", "set", "mirrors.docker.io", &mirror]).env("XDG_CONFIG_HOME", stage.join("config"));
    assert!(command.status().expect("it starts").success());
    registry
}

/// The group's folder of `controller`, on whichever version it is.
fn group(controller: &str, id: &str) -> std::path::PathBuf {
    let v1 = run("find", ["/sys/fs/cgroup", "-type", "d", "-path", &format!("*/{controller}*/{id}")]).stdout;
    let v2 = run("find", ["/sys/fs/cgroup", "-type", "d", "-name", id]).stdout;
    v1.lines().chain(v2.lines()).next().expect("the group").into()
}

fn throttled(id: &str) -> u64 {
    let text = std::fs::read_to_string(group("cpu", id).join("cpu.stat")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("nr_throttled "));
    line.and_then(|n| n.trim().parse().ok()).unwrap_or_default()
}

#[test]
fn the_articles_commands_run_verbatim() {
    needs!("root", "tmux", "docker-registry", "skopeo");
    let stage = Stage::new();
    let _registry = mirrored(&stage);
    let terminal = Terminal::open(&stage, "walkthrough", &walkthrough(&stage, ""));
    terminal.wait_for("block 3");
    terminal.line("echo I am $(id -u), process $$");
    terminal.wait_for("I am 0, process 1");
    terminal.line("echo ho''st: $(hostname) :");
    let screen = terminal.wait_for("\nhost: ");
    let id = screen
        .lines()
        .find_map(|line| line.strip_prefix("host: ")?.strip_suffix(" :"))
        .expect("a host name")
        .to_owned();
    assert_eq!(id.len(), 36, "{screen}");

    // Over 10 MB: killed.
    terminal.line("(a=xxxxxxxxxxxxxxxx; while :; do a=$a$a; done); echo hog $?");
    terminal.wait_for("hog 137");
    // Over 30 % of a CPU: throttled.
    terminal.line("while :; do :; done & ");
    assert!(within(120, || throttled(&id) > 0), "never throttled");
    terminal.line("kill -9 %1; kill -9 $!; exit");
    terminal.wait_for("[ended ");
    let screen = terminal.screen();
    assert!(screen.contains("[ended 0]"), "{screen}");
    assert!(!screen.contains("without the limits"), "{screen}");
    assert_eq!(stage.left(&id), Vec::<String>::new());
}

#[test]
fn with_the_originals_alone_v2_runs_without_limits() {
    needs!("root", "v2", "tmux", "cgexec", "capsh");
    let stage = Stage::new();
    let root = stage.join("root");
    let made = run(bin("rs-rootfs"), ["unpack".as_ref(), "host:".as_ref(), root.as_os_str()]);
    assert_eq!(made.status, 0, "{}", made.stderr);
    let terminal =
        Terminal::open(&stage, "originals", &walkthrough(&stage, &format!("--originals --root '{}'", root.display())));
    terminal.wait_for("block 3");
    terminal.line("exit");
    let screen = terminal.wait_for("[ended ");
    assert!(screen.contains("without the limits"), "{screen}");
    assert!(!screen.contains("[ended 0]"), "{screen}");
}
