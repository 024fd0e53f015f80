//! What COMMAND gets and what is left behind: descriptors, umask, signals,
//! words, folders, sessions.
#![allow(clippy::disallowed_methods)]

mod stage;

use chain::testing::needs;
use stage::{ROOTLESS, Stage, both, ok, tool};
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

#[test]
fn nothing_is_left_in_the_outer_namespace() {
    needs!("userns");
    let stage = Stage::new();
    let before = std::fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    both(|flags| {
        ok(stage.within(flags, "--dev --proc --sys --read-only", "true"));
    });
    let after = std::fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    let ours = |text: &str| text.matches(&*stage.root().to_string_lossy()).count();
    assert_eq!(ours(&before), ours(&after));
}

#[test]
fn a_second_run_accepts_what_the_first_left() {
    needs!("userns");
    both(|flags| {
        let stage = Stage::new();
        for _ in 0..3 {
            let out = ok(stage.within(
                flags,
                "--proc --ptmx --null --zero --shm --mqueue",
                "ls /dev; test -c /dev/null && test -c /dev/zero && echo yes",
            ));
            assert_eq!(out, "mqueue\nnull\nptmx\npts\nshm\nzero\nyes\n");
        }
    });
}

#[test]
fn modes_do_not_depend_on_the_umask_which_is_handed_on() {
    needs!("userns");
    let stage = Stage::new();
    let script = "umask 077; exec \"$T\" --root=\"$ROOT\" --proc --null --ptmx --dir=/a/b --bind /etc/passwd /c/d -- sh -c umask";
    assert_eq!(ok(stage.sh(ROOTLESS, script)), "0077\n");
    let mode = |name: &str| stage.root().join(name).symlink_metadata().expect(name).permissions().mode() & 0o7777;
    for folder in ["proc", "dev", "dev/pts", "a", "a/b", "c"] {
        assert_eq!(mode(folder), 0o755, "{folder}");
    }
    assert_eq!((mode("dev/null"), mode("c/d")), (0o444, 0o444));
}

#[test]
fn only_the_standard_descriptors_are_handed_on() {
    needs!("userns");
    let stage = Stage::new();
    let list = |options: &str| {
        let script =
            format!("exec 3</ 5</etc 9</etc/passwd; exec \"$T\" --root=\"$ROOT\" {options} -- ls /proc/self/fd");
        ok(stage.sh("-mr", &script)).replace('\n', " ")
    };
    // The last one is ls's own.
    assert_eq!(list(""), "0 1 2 3 ");
    assert_eq!(list("--preserve-fds=1"), "0 1 2 3 4 ");
    assert_eq!(list("--preserve-fds=3"), "0 1 2 3 4 5 ");
    assert_eq!(list("--preserve-fds=7 --null --ptmx"), "0 1 2 3 4 5 9 ");
}

#[test]
fn closed_standard_descriptors_stay_closed() {
    needs!("userns");
    let stage = Stage::new();
    let out = stage.sh("-mr", "exec 0<&- 2>&-; exec \"$T\" --root=\"$ROOT\" --null -- ls /proc/self/fd");
    assert_eq!(out.stdout, "0\n1\n", "{}", out.stderr);
}

#[test]
fn words_and_environment_reach_the_command_unchanged() {
    needs!("userns");
    let stage = Stage::new();
    let script = "env -i PATH=\"$PATH\" A='b c' \"$T\" --root=\"$ROOT\" --null -- sh -c 'env | grep -v ^_= | grep -v ^PWD= | sort | grep -v PATH; printf \"[%s]\" \"$@\"' x '' '--' 'a b' '*' '\n'";
    assert_eq!(ok(stage.sh("-mr", script)), "A=b c\nSHLVL=0\n[][--][a b][*][\n]".replace("SHLVL=0\n", ""));
}

#[test]
fn sigpipe_and_the_signal_mask_are_as_they_were() {
    needs!("userns");
    let stage = Stage::new();
    let read = "grep -E Sig(Ign|Blk) /proc/self/status";
    let read = read.replace('(', "\\(").replace(')', "\\)").replace('|', "\\|");
    let plain = ok(stage.sh("-mr", "exec \"$T\" --root=\"$ROOT\" --null -- cat /proc/self/status"));
    let wanted = ok(stage.sh("-mr", "exec cat /proc/self/status"));
    let signals = |text: &str| {
        text.lines()
            .filter(|l| l.starts_with("SigIgn") || l.starts_with("SigBlk"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(signals(&plain), signals(&wanted), "{read}");
    let ignored = ok(stage.sh("-mr", "trap '' PIPE; exec \"$T\" --root=\"$ROOT\" --null -- cat /proc/self/status"));
    let wanted = ok(stage.sh("-mr", "trap '' PIPE; exec cat /proc/self/status"));
    assert_eq!(signals(&ignored), signals(&wanted));
}

#[test]
fn the_working_folder_is_the_outer_one() {
    needs!("userns");
    let stage = Stage::new();
    assert_eq!(ok(stage.sh("-mr", "cd /usr; exec \"$T\" --root=\"$ROOT\" --null -- pwd")), "/usr\n");
    assert_eq!(ok(stage.sh("-mr", "cd \"$ROOT\"; exec \"$T\" --root=. --null -- stat -c %t:%T dev/null")), "1:3\n");
    assert_eq!(
        ok(stage
            .sh("-mr", "cd \"$ROOT/..\"; ln -s root link; exec \"$T\" -R link --null -- stat -c %t:%T link/dev/null")),
        "1:3\n"
    );
}

#[test]
fn verbose_says_each_step() {
    needs!("userns");
    let ran = Stage::new().within(ROOTLESS, "-v --propagation=slave --null --proc", "true");
    assert_eq!(
        (ran.status, ran.stderr.as_str()),
        (
            0,
            "rs-mountdev: --propagation: make all mounts slave\nrs-mountdev: proc: mount a new proc\nrs-mountdev: dev/null: bind /dev/null\n"
        )
    );
}

#[test]
fn a_new_session_has_no_terminal() {
    needs!("userns");
    let stage = Stage::new();
    let out = ok(stage.sh(
        ROOTLESS,
        "exec \"$T\" --new-session --root=\"$ROOT\" --proc -- sh -c 'cut -d\" \" -f6,7 \"$ROOT/proc/self/stat\"'",
    ));
    assert_eq!(out, "1 0\n");
    // A leader of a process group cannot leave it.
    let mut command = Command::new("setsid");
    command.args(["-w", "unshare", "-mr"]).arg(tool()).args(["--new-session", "--null", "--root"]).arg(stage.root());
    let ran: chain::testing::Ran =
        command.args(["echo", "ran"]).stdin(Stdio::null()).output().expect("setsid starts").into();
    assert_eq!(
        (ran.status, ran.stdout.as_str()),
        (0, "ran\n"),
        "a session without a terminal is what was asked for: {}",
        ran.stderr
    );
}

#[test]
fn a_leader_whose_session_is_outside_of_its_pid_namespace() {
    needs!("userns", "python3");
    // getsid(2) has no number for it.
    let stage = Stage::new();
    let script = "exec python3 -c 'import os, sys; os.setpgid(0, 0); os.execv(sys.argv[1], sys.argv[1:])' \
        \"$T\" --new-session --root=\"$ROOT\" --null -- echo ran";
    let ran = stage.sh(ROOTLESS, script);
    assert_eq!((ran.status, ran.stdout.as_str()), (125, ""), "{}", ran.stderr);
    assert!(ran.stderr.contains("hint: this process leads its process group"), "{}", ran.stderr);
}

#[test]
fn a_new_session_does_not_ask_the_image_for_the_terminal() {
    needs!("userns");
    // A leader looks whether it has a terminal: a fifo would wait for ever.
    for prepare in ["mkdir dev; mkfifo dev/tty", "true"] {
        let stage = Stage::new();
        stage.prepare(prepare);
        let mut command = Command::new("timeout");
        command.args(["20", "setsid", "-w", "unshare", "-mr"]).arg(tool()).arg("--root").arg(stage.root());
        command.args(["--new-session", "--pivot", "--", "/bin/echo", "ran"]);
        let ran: chain::testing::Ran = command.stdin(Stdio::null()).output().expect("timeout starts").into();
        assert_eq!((ran.status, ran.stdout.as_str()), (0, "ran\n"), "{prepare}: {}", ran.stderr);
    }
}

#[test]
fn another_user_can_use_what_was_set_up() {
    needs!("root");
    let stage = Stage::new();
    let line = "umask 077; exec \"$T\" --root=\"$ROOT\" --dev -- \
        setpriv --reuid=65534 --clear-groups sh -c 'echo x > \"$ROOT/dev/null\" && echo y > \"$ROOT/dev/shm/y\" && echo fine'";
    assert_eq!(ok(stage.sh("-m", line)), "fine\n");
}
