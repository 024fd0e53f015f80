//! Terminals: the caller's inside, and those that are made inside.
#![allow(clippy::disallowed_methods)]

mod stage;

use chain::testing::{Ran, needs};
use stage::{PRIVILEGED, ROOTLESS, Stage, ok, refused, tool};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Those in which the tests run.
fn lanes() -> Vec<&'static str> {
    if chain::testing::have("root") { vec![ROOTLESS, PRIVILEGED] } else { vec![ROOTLESS] }
}

/// Runs sh's `line` (with ROOT, OUT, T) on a new terminal; what it shows.
fn on_terminal(stage: &Stage, line: &str) -> Ran {
    let mut command = Command::new("timeout");
    command.args(["-k", "1", "60", "script", "-qec", line, "/dev/null"]);
    stage.env(&mut command);
    let mut ran: Ran = command.stdin(Stdio::null()).output().expect("script starts").into();
    ran.stdout = ran.stdout.replace("\r\n", "\n").replace("^D\u{8}\u{8}", "");
    ran
}

/// The line that runs `script` inside a chroot.
fn container(flags: &str, options: &str, script: &str) -> String {
    format!("exec unshare {flags} \"$T\" --root=\"$ROOT\" {options} -- chroot \"$ROOT\" /bin/sh -c '{script}'")
}

/// The same without a chroot.
fn pivoted(flags: &str, options: &str, script: &str) -> String {
    format!("exec unshare {flags} \"$T\" --root=\"$ROOT\" {options} --pivot -- /bin/sh -c '{script}'")
}

#[test]
fn the_terminal_at_its_own_path() {
    needs!("userns", "script");
    for flags in lanes() {
        let stage = Stage::new();
        let line = format!("tty; {}", container(flags, "--proc --tty", "tty; stat -c %t:%T /dev/tty"));
        let out = ok(on_terminal(&stage, &line));
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines.len(), 3, "{out}");
        assert!(lines[0].starts_with("/dev/pts/"), "{out}");
        assert_eq!((lines[0], lines[2]), (lines[1], "5:0"), "{out}");
    }
}

#[test]
fn the_terminal_as_console_beside_a_devpts() {
    needs!("userns", "script");
    for flags in lanes() {
        for options in ["--proc --tty --ptmx", "--proc --dev", "--proc --ptmx --tty-try"] {
            let line =
                format!("tty; {}", container(flags, options, "tty; ls /dev/pts; test -c /dev/console && echo yes"));
            let out = ok(on_terminal(&Stage::new(), &line));
            let lines: Vec<&str> = out.lines().skip(1).collect();
            assert_eq!(lines, ["/dev/console", "ptmx", "yes"], "{flags} {options}");
        }
    }
}

#[test]
fn it_is_the_same_terminal() {
    needs!("userns", "script");
    for flags in lanes() {
        let script =
            "stat -c %t:%T /dev/console; stty size < /dev/console; stty size < /dev/tty; echo to the tty > /dev/tty";
        let line = format!("stty rows 33 cols 91; stat -c %t:%T $(tty); {}", container(flags, "--proc --dev", script));
        let out = ok(on_terminal(&Stage::new(), &line));
        let lines: Vec<&str> = out.lines().collect();
        assert_eq!(lines[0], lines[1], "{out}");
        assert_eq!(lines[2..], ["33 91", "33 91", "to the tty"], "{out}");
    }
}

#[test]
fn any_of_the_three_descriptors_will_do() {
    needs!("userns", "script");
    let stage = Stage::new();
    for redirect in ["</dev/null", "</dev/null 2>/dev/null", ">/dev/null 2>&1", "0<&- 1>&-"] {
        let line = format!("{} {redirect}", container(ROOTLESS, "--tty --ptmx", "test -c /dev/console"));
        assert_eq!(on_terminal(&stage, &line).status, 0, "{redirect}");
    }
    // A descriptor of /dev/tty is no name of a terminal: the next one is.
    let line = format!("{} </dev/tty", container(ROOTLESS, "--tty --ptmx", "stat -c %t /dev/console"));
    assert_eq!(ok(on_terminal(&stage, &line)), "88\n");
    let line = format!("{} </dev/tty 2>&1 | cat", container(ROOTLESS, "--tty --ptmx", "true"));
    let out = on_terminal(&stage, &line).stdout;
    assert!(out.contains("--tty: the terminal is open as /dev/tty alone"), "{out}");
    let line = format!("{} </dev/tty >/dev/null 2>&1", container(ROOTLESS, "--tty --ptmx", "true"));
    assert_eq!(on_terminal(&stage, &line).status, 125);
    let line = format!("{} </dev/tty >/dev/null 2>&1", container(ROOTLESS, "--tty-try --ptmx", "true"));
    assert_eq!(on_terminal(&stage, &line).status, 0);
}

#[test]
fn without_a_terminal() {
    needs!("userns");
    for flags in lanes() {
        let stage = Stage::new();
        for options in ["--tty", "--tty --ptmx", "--dev --tty"] {
            refused(&stage.within(flags, options, "echo ran"), "--tty: there is no terminal");
        }
        assert_eq!(ok(stage.within(flags, "--tty-try --ptmx", "ls /dev")), "ptmx\npts\n");
        assert_eq!(ok(stage.within(flags, "--dev", "test -e /dev/console || echo none")), "none\n");
    }
    // The recipe's stray files do not appear.
    let stage = Stage::new();
    refused(&stage.within(ROOTLESS, "--tty", "echo ran"), "--tty: ");
    assert_eq!(std::fs::read_dir(stage.root()).expect("the root").count(), 1);
}

#[test]
fn a_terminal_whose_name_leads_elsewhere() {
    needs!("userns", "script");
    let stage = Stage::new();
    // In a new devpts the number is another terminal's, or nobody's.
    let hide = "mount -t devpts -o newinstance,ptmxmode=666 d /dev/pts;";
    let line = format!("exec unshare -mr sh -c '{hide} \"$T\" --root=\"$ROOT\" --tty --ptmx -- echo ran'");
    let ran = on_terminal(&stage, &line);
    assert_eq!(ran.status, 125);
    assert!(ran.stdout.contains("dev/console: the terminal is not reachable as /dev/pts/"), "{}", ran.stdout);
    let line = format!("exec unshare -mr sh -c '{hide} \"$T\" --root=\"$ROOT\" --tty-try --ptmx -- echo ran'");
    assert_eq!(ok(on_terminal(&stage, &line)), "ran\n");
}

#[test]
fn hostile_consoles() {
    needs!("userns", "script");
    // CVE-2025-52565, CVE-2026-88264: a link where the terminal is bound.
    for (prepare, says) in [
        ("mkdir dev; ln -s \"$OUT/new\" dev/console", "dev/console: is a symbolic link"),
        ("mkdir dev; ln -s \"$OUT/file\" dev/console", "dev/console: is a symbolic link"),
        ("mkdir dev; ln -s pts/ptmx dev/console", "dev/console: is a symbolic link"),
        ("mkdir dev; ln -s console dev/console", "dev/console: is a symbolic link"),
        ("mkdir -p dev/console", "dev/console: is a directory"),
        ("mkdir dev; ln -s \"$OUT/file\" dev/tty", "dev/tty: is a symbolic link"),
    ] {
        let stage = Stage::new();
        stage.prepare("echo precious > \"$OUT/file\"");
        stage.prepare(prepare);
        let before = stage::fingerprint(&stage.outside());
        let ran = on_terminal(&stage, &container(ROOTLESS, "--tty --ptmx", "echo ran"));
        assert_eq!(ran.status, 125, "{prepare}");
        assert!(ran.stdout.starts_with(&format!("rs-mountdev: {says}")), "{prepare}: {}", ran.stdout);
        assert_eq!(stage::fingerprint(&stage.outside()), before);
    }
    // The terminal's own path through a link.
    let stage = Stage::new();
    stage.prepare("mkdir dev; ln -s \"$OUT\" dev/pts");
    let ran = on_terminal(&stage, &container(ROOTLESS, "--tty", "echo ran"));
    assert!(ran.stdout.starts_with("rs-mountdev: dev/pts: is a symbolic link"), "{}", ran.stdout);
    // A fifo is bound over.
    let stage = Stage::new();
    stage.prepare("mkdir dev; mkfifo dev/console");
    assert_eq!(ok(on_terminal(&stage, &container(ROOTLESS, "--tty --ptmx", "stat -c %t /dev/console"))), "88\n");
}

/// A terminal of tmux, which runs a line of sh with ROOT, OUT and T set.
struct Pane {
    socket: PathBuf,
}

impl Pane {
    fn new(stage: &Stage, line: &str) -> Self {
        let pane = Self { socket: stage.outside().join("tmux") };
        let mut command = Command::new("tmux");
        stage.env(&mut command);
        command.arg("-S").arg(&pane.socket).args(["-f", "/dev/null", "new-session", "-d", "-x", "91", "-y", "33"]);
        let end = format!("({line}); echo ended with $?; exec sleep 60");
        assert!(command.args(["sh", "-c", &end]).status().expect("tmux starts").success());
        pane
    }

    fn tmux(&self, words: &[&str]) -> String {
        let mut command = Command::new("tmux");
        let ran: Ran = command.arg("-S").arg(&self.socket).args(words).output().expect("tmux starts").into();
        ran.stdout
    }

    fn keys(&self, keys: &[&str]) {
        self.tmux(&[&["send-keys"], keys].concat());
    }

    /// Waits until the screen has `text` in a line of its own.
    #[track_caller]
    fn see(&self, text: &str) {
        let started = Instant::now();
        loop {
            let screen = self.tmux(&["capture-pane", "-p"]);
            if screen.lines().any(|line| line.trim() == text) {
                return;
            }
            assert!(started.elapsed() < Duration::from_secs(20), "no {text:?} on the screen:\n{screen}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Pane {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

#[test]
fn job_control_and_signals() {
    needs!("userns", "tmux");
    for flags in lanes() {
        for options in ["--proc --tty --ptmx", "--proc --tty", "--dev --proc"] {
            // Process 1 is the shell: it has the terminal.
            let stage = Stage::new();
            let chroot = "-- chroot \"$ROOT\" /bin/sh -i";
            let pane = Pane::new(&stage, &format!("unshare {flags} \"$T\" --root=\"$ROOT\" {options} {chroot}"));
            pane.keys(&["PS1=; echo begin $((40+2))", "Enter"]);
            pane.see("begin 42");
            pane.keys(&["echo run; sleep 100; echo status $?", "Enter"]);
            pane.see("run");
            std::thread::sleep(Duration::from_millis(300));
            pane.keys(&["C-c"]);
            pane.keys(&["", "Enter"]);
            pane.keys(&["echo interrupted $?", "Enter"]);
            pane.see("interrupted 130");
            pane.keys(&["sleep 100", "Enter"]);
            std::thread::sleep(Duration::from_millis(300));
            pane.keys(&["C-z"]);
            pane.see("^Z[1]+  Stopped                    sleep 100");
            pane.keys(&["kill -9 %1; wait; echo killed", "Enter"]);
            pane.see("killed");
            pane.keys(&["stty size", "Enter"]);
            pane.see("33 91");
            pane.keys(&["exit 3", "Enter"]);
            pane.see("ended with 3");
        }
    }
}

#[test]
fn the_window_s_size_follows() {
    needs!("userns", "tmux");
    for flags in lanes() {
        let stage = Stage::new();
        let script = "trap \"stty size; exit\" WINCH; echo ready; while :; do sleep 0.1; done";
        let pane = Pane::new(&stage, &pivoted(flags, "--proc --dev", script));
        pane.see("ready");
        pane.tmux(&["resize-window", "-x", "111", "-y", "44"]);
        pane.see("44 111");
    }
}

/// The host's programs in a root that is otherwise empty.
const HOST: &str = "--ro-bind /usr /usr --ro-bind-try /etc/terminfo /etc/terminfo --ro-bind /etc/passwd /etc/passwd \
    --symlink usr/lib /lib --symlink usr/lib64 /lib64 --symlink usr/bin /bin --tmpfs=/tmp:mode=1777";

#[test]
fn terminal_programs_work_inside() {
    needs!("userns", "script", "tmux");
    if !std::path::Path::new("/usr/bin/tmux").exists() || !std::path::Path::new("/usr/lib64").exists() {
        return chain::testing::skip("tmux");
    }
    for flags in lanes() {
        for tty in ["", "--tty"] {
            let stage = Stage::empty();
            // tmux makes a terminal inside and runs a shell on it. The shell stays:
            // a server that ends at once may leave its client waiting.
            let script = "export TERM=linux LC_ALL=C.UTF-8; \
                tmux -S /tmp/s -f /dev/null new-session -d \"tty > /tmp/o 2>&1; stty size >> /tmp/o; mv /tmp/o /tmp/done; sleep 60\" && \
                until test -e /tmp/done; do sleep 0.1; done; tmux -S /tmp/s kill-server; cat /tmp/done; \
                script -qec tty /dev/null < /dev/null";
            let options = format!("{HOST} --proc --null --ptmx {tty}");
            let line = pivoted(flags, &options, script);
            let ran = on_terminal(&stage, &line);
            let lines: Vec<&str> = ran.stdout.lines().map(str::trim).collect();
            assert_eq!(lines[..2], ["/dev/pts/0", "24 80"], "{flags} {tty}: {} {}", ran.stdout, ran.stderr);
            assert!(lines[2].starts_with("/dev/pts/"), "{}", ran.stdout);
        }
    }
}

#[test]
fn job_control_on_a_terminal_made_inside() {
    needs!("userns", "script", "tmux");
    if !std::path::Path::new("/usr/bin/tmux").exists() || !std::path::Path::new("/usr/lib64").exists() {
        return chain::testing::skip("tmux");
    }
    // Each key is sent when the foreground is what it is for.
    let script = "export TERM=linux LC_ALL=C.UTF-8; t() { tmux -S /tmp/s -f /dev/null \"$@\"; }; \
        until_is() { until test \"$(t display-message -p \"#{pane_current_command}\")\" = $1; do sleep 0.1; done; }; \
        until_says() { until grep -q \"$1\" /tmp/o 2>/dev/null; do sleep 0.1; done; }; \
        t new-session -d -x 100 -y 30 \"bash --norc -i\"; until_is bash; \
        t send-keys \"sleep 100; jobs > /tmp/o; fg\" Enter; until_is sleep; \
        t send-keys C-z; until_says Stopped; until_is sleep; \
        t send-keys C-c; until_is bash; t send-keys \"echo interrupted \\$? >> /tmp/o\" Enter; until_says interrupted; \
        t resize-window -x 77 -y 22; t send-keys \"stty size >> /tmp/o; tty >> /tmp/o\" Enter; until_says pts; \
        t kill-server; cat /tmp/o";
    for flags in lanes() {
        for tty in ["", "--tty"] {
            let stage = Stage::empty();
            let ran = on_terminal(&stage, &pivoted(flags, &format!("{HOST} --proc --null --ptmx {tty}"), script));
            let words = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
            let wanted = "[1]+ Stopped sleep 100 interrupted 130 22 77 /dev/pts/0";
            assert_eq!(words, wanted, "{flags} {tty}: {}", ran.stderr);
        }
    }
}

#[test]
fn a_new_session_cannot_reach_the_terminal() {
    needs!("userns", "script");
    let stage = Stage::new();
    let line = container(ROOTLESS, "--proc --dev --new-session", "echo x 2>/dev/null > /dev/tty || echo no terminal");
    assert_eq!(ok(on_terminal(&stage, &line)), "no terminal\n");
    // The leader of a session that has a terminal cannot leave it.
    let line = "exec unshare -mr \"$T\" --root=\"$ROOT\" --null --new-session -- echo ran";
    let ran = on_terminal(&stage, line);
    assert_eq!(ran.status, 125);
    assert!(
        ran.stdout.contains("--new-session: cannot start a new session: Operation not permitted"),
        "{}",
        ran.stdout
    );
    assert!(ran.stdout.contains("hint: this process leads its process group"), "{}", ran.stdout);
    assert!(tool().exists());
}
