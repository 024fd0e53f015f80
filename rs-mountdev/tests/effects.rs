//! The file systems and devices: what mountinfo, numbers, modes and processes
//! show from inside, as root and rootless.
#![allow(clippy::disallowed_methods)]

mod stage;

use chain::testing::needs;
use stage::{PRIVILEGED, ROOTLESS, Stage, both, mounted, ok, refused};
use std::os::unix::fs::MetadataExt;

#[test]
fn proc_is_fresh_and_restricted() {
    needs!("userns");
    both(|flags| {
        assert_eq!(mounted("--proc", "/proc", flags), "rw,nosuid,nodev,noexec,relatime proc proc rw\n");
        let stage = Stage::new();
        let out = ok(stage.within(flags, "--proc", "echo $$; ls -d /proc/[0-9]* | wc -l; readlink /proc/self"));
        assert!(out.starts_with("1\n"), "{out}");
    });
}

#[test]
fn proc_shows_only_the_containers_processes() {
    needs!("userns");
    both(|flags| {
        let out = ok(Stage::new().within(flags, "--proc", "for p in /proc/[0-9]*; do cat $p/comm; done"));
        assert_eq!(out.lines().filter(|name| *name != "cat").collect::<Vec<_>>(), ["sh"]);
    });
}

#[test]
fn proc_options() {
    needs!("userns");
    both(|flags| {
        assert!(mounted("--proc-options=hidepid=2,ro", "/proc", flags).starts_with("ro,nosuid,nodev,noexec"));
        let twice = mounted("--proc-options=ro --proc-options=hidepid=2", "/proc", flags);
        assert!(twice.starts_with("ro,") && twice.contains("hidepid=invisible"), "{twice}");
        assert!(mounted("--proc-options=hidepid=invisible", "/proc", flags).contains("hidepid=invisible"));
        let out = ok(Stage::new().within(flags, "--proc-options=subset=pid", "test -e /proc/sys || ls -d /proc/1"));
        assert_eq!(out, "/proc/1\n");
    });
}

#[test]
fn proc_options_that_the_kernel_refuses() {
    needs!("userns");
    refused(
        &Stage::new().within(ROOTLESS, "--proc-options=hidepid=3", "echo ran"),
        "proc: cannot make a proc with 'hidepid=3'",
    );
}

#[test]
fn the_process_is_the_same() {
    needs!("userns");
    both(|flags| {
        let out = ok(Stage::new().within(flags, "--proc --null", "echo $$; readlink /proc/1/exe"));
        assert_eq!(out, "1\n/bin/busybox\n");
    });
}

#[test]
fn null_is_the_null_device() {
    needs!("userns");
    both(|flags| {
        let stage = Stage::new();
        let script = "echo x > /dev/null; cat /dev/null; stat -c %F,%t:%T,%a /dev/null";
        assert_eq!(ok(stage.within(flags, "--null", script)), "character special file,1:3,666\n");
        // What stays is a stub that nobody can write.
        let stub = stage.root().join("dev/null").symlink_metadata().expect("a stub");
        assert_eq!((stub.is_file(), stub.len(), stub.mode() & 0o7777), (true, 0, 0o444));
    });
}

#[test]
fn devices_are_bound_nosuid_noexec_but_usable() {
    needs!("userns");
    both(|flags| {
        let options = mounted("--proc --null", "/dev/null", flags);
        assert!(options.starts_with("rw,nosuid,noexec,relatime "), "{options}");
        assert!(!options.contains("nodev"));
    });
}

#[test]
fn each_device_has_its_number_and_works() {
    needs!("userns");
    both(|flags| {
        let out = ok(Stage::new().within(
            flags,
            "--null --zero --full --random --urandom",
            "for d in null zero full random urandom; do stat -c %n,%t:%T /dev/$d; done; \
             head -c 3 /dev/zero | hexdump -C | head -n1; head -c 5 /dev/random | wc -c; head -c 5 /dev/urandom | wc -c; \
             echo x 2>&- > /dev/full || echo full",
        ));
        let numbers = "/dev/null,1:3\n/dev/zero,1:5\n/dev/full,1:7\n/dev/random,1:8\n/dev/urandom,1:9\n";
        assert_eq!(
            out,
            format!("{numbers}00000000  00 00 00                                          |...|\n5\n5\nfull\n")
        );
    });
}

#[test]
fn only_what_is_asked_for_is_there() {
    needs!("userns");
    both(|flags| {
        let stage = Stage::new();
        assert_eq!(ok(stage.within(flags, "--zero", "ls /dev")), "zero\n");
        assert_eq!(ok(stage.within(flags, "--proc", "ls /dev")), "zero\n");
        assert_eq!(ok(stage.within(flags, "", "test -c /dev/zero || echo stub")), "stub\n");
    });
}

#[test]
fn a_devpts_of_its_own() {
    needs!("userns");
    both(|flags| {
        let options = mounted("--proc --ptmx", "/dev/pts", flags);
        assert!(options.starts_with("rw,nosuid,noexec,relatime devpts devpts rw,"), "{options}");
        assert!(options.contains("mode=620,ptmxmode=666"), "{options}");
        assert_eq!(options.contains("gid=5"), flags == PRIVILEGED, "{options}");
        let out =
            ok(Stage::new().within(flags, "--ptmx", "readlink /dev/ptmx; ls /dev/pts; stat -L -c %t:%T,%a /dev/ptmx"));
        assert_eq!(out, "pts/ptmx\nptmx\n5:2,666\n");
    });
}

#[test]
fn a_terminal_can_be_opened_and_its_slave_is_seen() {
    needs!("userns");
    both(|flags| {
        let out = ok(Stage::new().within(flags, "--ptmx", "exec 3<>/dev/ptmx; ls /dev/pts"));
        assert_eq!(out, "0\nptmx\n");
    });
}

#[test]
fn the_hosts_terminals_are_not_those_inside() {
    needs!("userns");
    both(|flags| {
        let out = ok(Stage::new().within(flags, "--ptmx", "exec 3<>/dev/ptmx; stat -c %t:%T /dev/pts/0"));
        assert_eq!(out, "88:0\n");
    });
}

#[test]
fn dev_has_all_that_is_usual() {
    needs!("userns");
    both(|flags| {
        let out = ok(Stage::new().within(
            flags,
            "--proc --dev",
            "ls /dev; for l in fd stdin stdout stderr ptmx; do readlink /dev/$l; done; stat -c %a /dev /dev/shm",
        ));
        assert_eq!(
            out,
            "fd\nfull\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n\
             /proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\npts/ptmx\n755\n1777\n"
        );
    });
}

#[test]
fn dev_is_a_small_tmpfs() {
    needs!("userns");
    both(|flags| {
        let options = mounted("--proc --dev", "/dev", flags);
        assert!(options.starts_with("rw,nosuid,nodev,noexec,relatime tmpfs tmpfs rw,size=65536k,"), "{options}");
        assert!(options.contains("mode=755"), "{options}");
    });
}

#[test]
fn dev_leaves_the_roots_dev_alone() {
    needs!("userns");
    let stage = Stage::new();
    stage.prepare("mkdir dev; echo mine > dev/null; ln -s /etc/passwd dev/zero");
    assert_eq!(ok(stage.within(ROOTLESS, "--dev", "cat /dev/null")), "");
    assert_eq!(std::fs::read_to_string(stage.root().join("dev/null")).expect("the file"), "mine\n");
    assert_eq!(std::fs::read_dir(stage.root().join("dev")).expect("dev").count(), 2);
}

#[test]
fn dev_writes_to_bound_devices_with_o_creat() {
    needs!("userns");
    both(|flags| {
        assert_eq!(
            ok(Stage::new().within(
                flags,
                "--dev",
                "echo a > /dev/null && echo b | dd of=/dev/null 2>/dev/null && echo fine"
            )),
            "fine\n"
        );
    });
}

#[test]
fn shm_and_its_size() {
    needs!("userns");
    both(|flags| {
        let options = mounted("--proc --shm", "/dev/shm", flags);
        assert!(options.starts_with("rw,nosuid,nodev,noexec,relatime tmpfs tmpfs rw,size=65536k"), "{options}");
        let options = mounted("--proc --shm-size=1m", "/dev/shm", flags);
        assert!(options.contains("size=1024k"), "{options}");
        let out = ok(Stage::new().within(flags, "--shm", "stat -c %a /dev/shm; echo x > /dev/shm/f && cat /dev/shm/f"));
        assert_eq!(out, "1777\nx\n");
    });
}

#[test]
fn mqueue_is_the_containers() {
    needs!("userns");
    both(|flags| {
        let options = mounted("--proc --mqueue", "/dev/mqueue", flags);
        assert_eq!(options, "rw,nosuid,nodev,noexec,relatime mqueue mqueue rw\n");
    });
}

#[test]
fn sys_is_read_only() {
    needs!("userns");
    both(|flags| {
        assert_eq!(mounted("--proc --sys", "/sys", flags), "ro,nosuid,nodev,noexec,relatime sysfs sysfs rw\n");
        assert_eq!(ok(Stage::new().within(flags, "--sys", "ls /sys/class/net")), "lo\n");
    });
}

#[test]
fn sys_without_a_network_of_ones_own_says_why() {
    needs!("userns");
    let ran = Stage::new().within("-mipfr", "--sys", "echo ran");
    refused(&ran, "sys: cannot make a sysfs: Operation not permitted");
    assert!(ran.stderr.contains("hint: the network namespace belongs to another user namespace"), "{}", ran.stderr);
}

#[test]
fn proc_without_a_pid_namespace_of_ones_own_says_why() {
    needs!("userns");
    let ran = Stage::new().within("-mr", "--proc", "echo ran");
    refused(&ran, "proc: ");
    assert!(ran.stderr.contains("hint: the pid namespace belongs to another user namespace"), "{}", ran.stderr);
}

#[test]
fn mqueue_without_an_ipc_namespace_of_ones_own_says_why() {
    needs!("userns");
    let ran = Stage::new().within("-mr", "--mqueue", "echo ran");
    refused(&ran, "dev/mqueue: ");
    assert!(ran.stderr.contains("hint: the IPC namespace belongs"), "{}", ran.stderr);
}

#[test]
fn a_masked_outer_proc_says_what_masks_it() {
    needs!("userns");
    // The emulated machine keeps the procfs of its start image, which the
    // kernel counts as one that is to be seen whole.
    if std::env::var_os("RS_LANE").is_some_and(|lane| lane == "v2" || lane == "v1") {
        return;
    }
    // A container whose only procfs is masked, and another one in it.
    let stage = Stage::new();
    stage.prepare("mkdir inner");
    let script = "exec /bin/busybox unshare -Urmpf /rs-mountdev --root=/inner --proc -- /bin/echo ran";
    let ran = stage.pivoted(ROOTLESS, "--proc --inaccessible=/proc/uptime --bind \"$T\" /rs-mountdev", script);
    refused(&ran, "proc: ");
    assert!(ran.stderr.contains("covered at /proc/uptime"), "{}", ran.stderr);
}

#[test]
fn without_privilege_the_hint_says_so() {
    needs!("userns");
    let stage = Stage::new();
    for (option, says) in [("--null", "dev/null: "), ("--propagation=private", "--propagation: ")] {
        let script =
            format!("exec setpriv --bounding-set -all --inh-caps -all \"$T\" --root=\"$ROOT\" {option} -- echo ran");
        let ran = stage.sh("-mr", &script);
        refused(&ran, says);
        assert!(ran.stderr.contains("hint: mounting needs CAP_SYS_ADMIN"), "{}", ran.stderr);
    }
}

#[test]
fn cgroups_are_shown() {
    needs!("userns");
    let stage = Stage::new();
    both(|flags| {
        for mode in ["ro", "rw"] {
            let ran = stage.within(
                &format!("{flags} -C"),
                &format!("--proc --sys --cgroup={mode}"),
                "grep cgroup /proc/self/mountinfo; ls /sys/fs/cgroup",
            );
            assert_eq!(ran.status, 0, "{flags} {}", ran.stderr);
            let (mounts, names): (Vec<&str>, Vec<&str>) = ran.stdout.lines().partition(|line| line.contains(" - "));
            assert!(!names.is_empty(), "{}", ran.stdout);
            for line in mounts.iter().filter(|line| line.contains(" - cgroup ")) {
                assert!(line.contains(" ro,nosuid,nodev,noexec"), "version 1 is always read-only: {line}");
            }
            for line in mounts.iter().filter(|line| line.contains(" - cgroup2 ")) {
                assert!(line.contains(&format!(" {mode},nosuid,nodev,noexec")), "{line}");
            }
        }
    });
}

#[test]
fn cgroups_without_a_namespace_of_their_own_are_read_only() {
    needs!("userns");
    let stage = Stage::new();
    both(|flags| {
        let out = ok(stage.within(flags, "--proc --cgroup=rw", "grep cgroup /proc/self/mountinfo"));
        for line in out.lines().filter(|line| line.contains(" - cgroup")) {
            assert!(line.contains(" ro,nosuid,nodev,noexec"), "{line}");
        }
    });
}

#[test]
fn no_proc_of_the_processes_outside() {
    needs!("root");
    let stage = Stage::new();
    for option in ["--proc", "--proc-options=ro"] {
        let ran = stage.sh("-mp", &format!("exec \"$T\" --root=\"$ROOT\" {option} -- echo ran"));
        refused(&ran, "proc: would show the processes outside");
        assert!(ran.stderr.contains("hint: a process that made a pid namespace has to fork"), "{}", ran.stderr);
    }
    // Also after its first child, and where proc is not asked for.
    ok(stage.sh("-mp", "exec \"$T\" --root=\"$ROOT\" --null -- echo ran"));
    let script = "sleep 2 & exec \"$T\" --root=\"$ROOT\" --proc -- echo ran";
    refused(&stage.sh("-mp", script), "proc: would show");
}

#[test]
fn an_inherited_cgroup_namespace_is_none_of_its_own() {
    needs!("root");
    // As the inside of a container has it.
    let script = "umount -lR /sys/fs/cgroup && mkdir -p \"$OUT/cg\" && mount -t cgroup2 none \"$OUT/cg\" &&
                  exec unshare -Ur -muinpf \"$T\" --root=\"$ROOT\" --proc --cgroup=rw -- \
                  chroot \"$ROOT\" grep cgroup2 /proc/self/mountinfo";
    let out = ok(Stage::new().sh("-mC", script));
    let line = out.lines().last().expect("a mount");
    assert!(line.contains(" ro,nosuid,nodev,noexec"), "{line}");
}

#[test]
fn the_hosts_ptmx() {
    needs!("root");
    let stage = Stage::new();
    let out =
        ok(stage.inside("--host-ptmx", "stat -c %t:%T /dev/pts/ptmx; readlink /dev/ptmx; stat -L -c %t:%T /dev/ptmx"));
    assert_eq!(out, "5:2\npts/ptmx\n5:2\n");
}
