//! What mountinfo, devices, modes, processes and descriptors show from
//! inside, as root and rootless.
#![allow(clippy::disallowed_methods)]

mod stage;

use chain::testing::{needs, run};
use stage::{PRIVILEGED, ROOTLESS, Stage, ok, refused, tool};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::{Command, Stdio};

/// Runs a body twice: as root, and rootless.
fn both(body: impl Fn(&str)) {
    body(ROOTLESS);
    if chain::testing::have("root") {
        body(PRIVILEGED);
    }
}

/// mountinfo's type and options of what is mounted at `$1` inside.
const MOUNTED: &str = r#"mounted() { while read -r a b c d p o rest; do test "$p" = "$1" && echo "$o ${rest#*- }"; done < /proc/self/mountinfo; :; }; "#;

fn mounted(options: &str, place: &str, flags: &str) -> String {
    let stage = Stage::new();
    ok(stage.within(flags, options, &format!("{MOUNTED} mounted {place}").replace('\'', "\"")))
}

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
    let script = "mount --bind /dev/null /proc/timer_list; unshare -Urmpf sh -c 'exec \"$T\" --root=\"$ROOT\" --proc -- echo ran'";
    let ran = Stage::new().sh("-mpfr --mount-proc", script);
    refused(&ran, "proc: ");
    assert!(ran.stderr.contains("covered at /proc/timer_list"), "{}", ran.stderr);
}

#[test]
fn without_privilege_the_hint_says_so() {
    needs!("userns");
    let stage = Stage::new();
    let script = "exec setpriv --bounding-set -all --inh-caps -all \"$T\" --root=\"$ROOT\" --null -- echo ran";
    let ran = stage.sh("-mr", script);
    refused(&ran, "dev/null: ");
    assert!(ran.stderr.contains("hint: mounting needs CAP_SYS_ADMIN"), "{}", ran.stderr);
}

#[test]
fn binds_of_folders_and_files() {
    needs!("userns");
    both(|flags| {
        let stage = Stage::new();
        std::fs::write(stage.outside().join("f"), "text\n").expect("a file");
        let options = "--bind \"$OUT\" /data --bind \"$OUT/f\" etc/one";
        let out = ok(stage.within(flags, options, "cat /data/f /etc/one; echo more >> /data/f; cat /etc/one"));
        assert_eq!(out, "text\ntext\ntext\nmore\n");
    });
}

#[test]
fn binds_are_nosuid_nodev_unless_for_devices() {
    needs!("userns");
    both(|flags| {
        for (option, wanted) in
            [("--bind", "rw,nosuid,nodev"), ("--ro-bind", "ro,nosuid,nodev"), ("--dev-bind", "rw,nosuid,")]
        {
            let options = mounted(&format!("--proc {option} \"$OUT\" /data"), "/data", flags);
            assert!(options.starts_with(wanted), "{option} {options}");
            assert_eq!(options.contains("nodev"), option != "--dev-bind", "{option} {options}");
        }
    });
}

#[test]
fn read_only_binds_are_read_only_below_too() {
    needs!("userns");
    both(|flags| {
        let stage = Stage::new();
        stage.prepare("mkdir \"$OUT/sub\"");
        let script = "mount -t tmpfs t \"$OUT/sub\"; exec \"$T\" --root=\"$ROOT\" --ro-bind \"$OUT\" /data -- chroot \"$ROOT\" /bin/sh -c 'touch /data/x; touch /data/sub/x; echo end'";
        let ran = stage.sh(flags, script);
        assert_eq!(ran.stdout, "end\n");
        assert_eq!(ran.stderr.matches("Read-only file system").count(), 2, "{}", ran.stderr);
    });
}

#[test]
fn binds_show_what_is_mounted_below() {
    needs!("userns");
    both(|flags| {
        let stage = Stage::new();
        stage.prepare("mkdir \"$OUT/sub\"");
        let script = "mount -t tmpfs t \"$OUT/sub\"; echo deep > \"$OUT/sub/f\"; exec \"$T\" --root=\"$ROOT\" --bind \"$OUT\" /data -- cat \"$ROOT/data/sub/f\"";
        assert_eq!(ok(stage.sh(flags, script)), "deep\n");
    });
}

#[test]
fn missing_sources() {
    needs!("userns");
    let stage = Stage::new();
    refused(&stage.within(ROOTLESS, "--bind /nonexistent /x", "echo ran"), "/nonexistent: No such file or directory");
    for option in ["--bind-try", "--ro-bind-try", "--dev-bind-try"] {
        assert_eq!(
            ok(stage.within(ROOTLESS, &format!("{option} /nonexistent /x"), "test -e /x || echo skipped")),
            "skipped\n"
        );
    }
}

#[test]
fn kinds_must_fit() {
    needs!("userns");
    let stage = Stage::new();
    stage.prepare("mkdir d; touch f");
    refused(&stage.within(ROOTLESS, "--bind /etc/passwd /d", "echo ran"), "/d: is a directory");
    refused(&stage.within(ROOTLESS, "--bind \"$OUT\" /f", "echo ran"), "/f: is not a directory");
    refused(&stage.within(ROOTLESS, "--tmpfs /f", "echo ran"), "/f: is not a directory");
    refused(&stage.within(ROOTLESS, "--bind \"$OUT\" /", "echo ran"), "/: is the root itself");
    refused(&stage.within(ROOTLESS, "--bind \"$OUT\" /d/..", "echo ran"), "/d/..: is the root itself");
}

#[test]
fn binds_work_in_the_order_given() {
    needs!("userns");
    let stage = Stage::new();
    let out = ok(stage.within(
        ROOTLESS,
        "--tmpfs=/a --dir=/a/b --bind \"$OUT\" /a/b/c --symlink ../x /a/l",
        "ls /a /a/b; readlink /a/l",
    ));
    assert_eq!(out, "/a:\nb\nl\n\n/a/b:\nc\n../x\n");
    // The other way round the tmpfs covers the bind.
    assert_eq!(ok(stage.within(ROOTLESS, "--bind \"$OUT\" /m/c --tmpfs=/m", "ls /m")), "");
}

#[test]
fn sources_are_taken_before_the_first_mount() {
    needs!("userns");
    let stage = Stage::new();
    stage.prepare("mkdir data; echo old > data/f");
    assert_eq!(
        ok(stage.within(ROOTLESS, "--tmpfs=/data --bind \"$ROOT/data\" /copy", "ls /data; cat /copy/f")),
        "old\n"
    );
}

#[test]
fn tmpfs_and_its_options() {
    needs!("userns");
    both(|flags| {
        let options = mounted("--proc --tmpfs=/run", "/run", flags);
        assert!(options.starts_with("rw,nosuid,nodev,relatime tmpfs tmpfs rw,"), "{options}");
        assert!(options.contains("mode=755"), "{options}");
        let options = mounted("--proc --tmpfs=/run:size=1m,mode=0700,noexec,ro", "/run", flags);
        assert!(options.starts_with("ro,nosuid,nodev,noexec,relatime tmpfs tmpfs rw,size=1024k,"), "{options}");
        assert!(options.contains("mode=700"), "{options}");
    });
    refused(
        &Stage::new().within(ROOTLESS, "--tmpfs=/run:bogus=1", "echo ran"),
        "run: cannot make a tmpfs with 'bogus=1': Invalid argument",
    );
}

#[test]
fn other_devices() {
    needs!("userns");
    both(|flags| {
        let stage = Stage::new();
        let out = ok(stage.within(
            flags,
            "--device=/dev/zero:/dev/my/zero --device /dev/full",
            "stat -c %t:%T /dev/my/zero /dev/full; head -c 1 /dev/my/zero | wc -c",
        ));
        assert_eq!(out, "1:5\n1:7\n1\n");
    });
    refused(&Stage::new().within(ROOTLESS, "--device=/etc/passwd:/x", "echo ran"), "/etc/passwd: is not a device");
    refused(
        &Stage::new().within(ROOTLESS, "--device=/dev/nosuch", "echo ran"),
        "/dev/nosuch: No such file or directory",
    );
}

#[test]
fn folders_and_links() {
    needs!("userns");
    let stage = Stage::new();
    let options = "--dir=/a/b/c --symlink target /a/l --symlink /x /top";
    assert_eq!(
        ok(stage.within(ROOTLESS, options, "ls -d /a/b/c; readlink /a/l; readlink /top; stat -c %a /a /a/b/c")),
        "/a/b/c\ntarget\n/x\n755\n755\n"
    );
    // Again: both are there and right.
    ok(stage.within(ROOTLESS, options, "true"));
    refused(&stage.within(ROOTLESS, "--symlink other /a/l", "echo ran"), "/a/l: exists and leads to target");
    refused(&stage.within(ROOTLESS, "--symlink other /a/b", "echo ran"), "/a/b: File exists");
}

#[test]
fn files_of_the_host() {
    needs!("userns");
    if !std::path::Path::new("/etc/resolv.conf").exists() || !std::path::Path::new("/etc/hosts").exists() {
        return;
    }
    both(|flags| {
        let stage = Stage::new();
        let out = ok(stage.within(
            flags,
            "--resolv-conf --hosts",
            "cat /etc/hosts; echo x 2>/dev/null >> /etc/resolv.conf || echo refused",
        ));
        assert_eq!(out, std::fs::read_to_string("/etc/hosts").expect("hosts") + "refused\n");
    });
}

#[test]
fn hidden_paths() {
    needs!("userns");
    both(|flags| {
        let stage = Stage::new();
        stage.prepare("mkdir -p secret/deep; echo s > secret/f; echo t > file");
        let script = "ls -A /secret | wc -l; touch /secret/x 2>/dev/null || echo closed; cat /file | wc -c; cat /proc/timer_list 2>/dev/null | wc -c";
        let out = ok(stage.within(flags, "--proc --inaccessible=/secret --inaccessible=file --inaccessible=/not/there --inaccessible=/proc/timer_list", script));
        assert_eq!(out, "0\nclosed\n0\n0\n");
    });
}

#[test]
fn read_only_paths() {
    needs!("userns");
    both(|flags| {
        let stage = Stage::new();
        stage.prepare("mkdir d e; touch f");
        let script = "touch /d/x 2>/dev/null || echo d; echo x 2>/dev/null >> /f || echo f; touch /e/x && echo e";
        assert_eq!(ok(stage.within(flags, "--read-only-path=/d --read-only-path=/f", script)), "d\nf\ne\n");
    });
    refused(
        &Stage::new().within(ROOTLESS, "--read-only-path=/nosuch", "echo ran"),
        "/nosuch: No such file or directory",
    );
}

#[test]
fn the_default_masks() {
    needs!("userns");
    both(|flags| {
        let stage = Stage::new();
        let out = ok(stage.within(
            flags,
            "--proc --sys --mask-defaults",
            "for f in interrupts keys timer_list; do test -e /proc/$f && cat /proc/$f; done | wc -c; ls -A /sys/firmware | wc -l; \
             echo x 2>/dev/null > /proc/sys/kernel/domainname || echo closed",
        ));
        assert_eq!(out, "0\n0\nclosed\n");
        let all = ok(stage.within(flags, "--proc --sys --mask-defaults", "cat /proc/self/mountinfo"));
        let here = |place: &&str| std::path::Path::new(place).exists();
        for place in
            ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"].iter().filter(|p| here(p))
        {
            let line = all
                .lines()
                .find(|line| line.contains(&format!(" {place} ")))
                .unwrap_or_else(|| panic!("{place} {all}"));
            assert!(line.contains(" ro,nosuid,nodev,noexec"), "{line}");
        }
    });
}

#[test]
fn masks_without_proc_hide_nothing_and_harm_nothing() {
    needs!("userns");
    ok(Stage::new().within(ROOTLESS, "--mask-defaults", "true"));
}

#[test]
fn a_read_only_root() {
    needs!("userns");
    both(|flags| {
        let stage = Stage::new();
        let script =
            "touch /x 2>/dev/null || echo closed; echo y > /dev/shm/y && cat /dev/shm/y; echo z > /run/z && echo open";
        assert_eq!(ok(stage.within(flags, "--read-only --dev --tmpfs=/run", script)), "closed\ny\nopen\n");
        assert_eq!(ok(stage.pivoted(flags, "--read-only --dev --tmpfs=/run", script)), "closed\ny\nopen\n");
    });
}

#[test]
fn a_read_only_root_that_the_working_folder_would_miss() {
    needs!("userns");
    let ran = Stage::new().sh(ROOTLESS, "cd \"$ROOT\"; exec \"$T\" --root=. --read-only -- echo ran");
    refused(&ran, "--root: .: leads below the new mount");
}

#[test]
fn pivot_makes_a_whole_container() {
    needs!("userns");
    both(|flags| {
        let out = ok(Stage::new().pivoted(
            flags,
            "--dev --proc",
            "echo $$; pwd; ls /; readlink /proc/1/root; wc -l < /proc/self/mountinfo",
        ));
        assert!(out.starts_with("1\n/\nbin\ndev\nproc\n/\n"), "{out}");
    });
}

#[test]
fn pivot_leaves_nothing_of_the_old_root() {
    needs!("userns");
    both(|flags| {
        let out = ok(Stage::new().pivoted(flags, "--proc", "cat /proc/self/mountinfo; ls /proc/self/fd"));
        let mounts: Vec<&str> = out.lines().filter(|line| line.contains(" - ")).collect();
        assert_eq!(mounts.len(), 2, "{out}");
        assert!(out.ends_with("0\n1\n2\n3\n"), "{out}");
    });
}

#[test]
fn pivot_finds_the_command_inside() {
    needs!("userns");
    let stage = Stage::new();
    let ran = stage.sh(ROOTLESS, "exec \"$T\" --root=\"$ROOT\" --pivot -- ls /");
    assert_eq!(ok(ran), "bin\n");
    let ran = stage.sh(ROOTLESS, "exec \"$T\" --root=\"$ROOT\" --pivot -- python3");
    assert_eq!(ran.status, 127, "{}", ran.stderr);
    let ran = stage.sh(ROOTLESS, "exec \"$T\" --root=\"$ROOT\" --pivot -- /bin");
    assert_eq!(ran.status, 126, "{}", ran.stderr);
}

#[test]
fn nested_user_namespaces_work_after_a_pivot() {
    needs!("userns");
    let stage = Stage::new();
    let busybox = run("busybox", ["--list"]).stdout;
    if !busybox.lines().any(|applet| applet == "unshare") {
        return;
    }
    assert_eq!(ok(stage.pivoted(ROOTLESS, "--proc", "/bin/busybox unshare -r /bin/id -u")), "0\n");
    assert_ne!(stage.within(ROOTLESS, "--proc", "/bin/busybox unshare -r /bin/id -u").status, 0, "chroot");
}

#[test]
fn pivot_from_a_shared_root() {
    needs!("root");
    let stage = Stage::new();
    let script = "mount --make-rshared /; exec \"$T\" --propagation=slave --root=\"$ROOT\" --proc --pivot -- /bin/ls /";
    assert_eq!(ok(stage.sh(PRIVILEGED, script)), "bin\nproc\n");
}

#[test]
fn a_shared_root_is_refused() {
    needs!("root");
    let stage = Stage::new();
    let script = "mount --make-rshared /; exec \"$T\" --root=\"$ROOT\" --proc -- echo ran";
    let ran = stage.sh("-mpf", script);
    refused(&ran, "is shared: new mounts would appear in other namespaces");
    assert!(ran.stderr.contains("--propagation"), "{}", ran.stderr);
    assert!(!stage.root().join("proc").exists(), "nothing was changed");
}

#[test]
fn a_shared_mount_below_the_root_is_refused() {
    needs!("root");
    let stage = Stage::new();
    stage.prepare("mkdir -p 'dev/a b'");
    let script = "mount -t tmpfs t \"$ROOT/dev/a b\"; mount --make-shared \"$ROOT/dev/a b\"; exec \"$T\" --root=\"$ROOT\" --null -- echo ran";
    refused(&stage.sh("-m", script), "is shared");
    let elsewhere =
        "mount -t tmpfs t \"$OUT\"; mount --make-shared \"$OUT\"; exec \"$T\" --root=\"$ROOT\" --null -- echo ran";
    assert_eq!(ok(stage.sh("-m", elsewhere)), "ran\n");
}

#[test]
fn propagation_changes_what_leaks() {
    needs!("root");
    let stage = Stage::new();
    // A peer namespace that shares everything, and looks whether proc shows up.
    let peer = |how: &str| {
        let script = format!(
            "mount --make-rshared /; unshare -m --propagation unchanged sh -c '\"$T\" --propagation={how} --root=\"$ROOT\" --null -- true; echo $?'; \
             test -c \"$ROOT/dev/null\" && echo leaked || echo kept"
        );
        stage.sh("-m", &script).stdout
    };
    assert_eq!(peer("private"), "0\nkept\n");
    assert_eq!(peer("slave"), "0\nkept\n");
    assert_eq!(peer("unchanged"), "0\nleaked\n");
}

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
fn paths_may_be_any_bytes() {
    needs!("userns");
    let stage = Stage::new();
    let script = "N=$(printf 'a \\377\\nb'); mkdir \"$OUT/$N\"; echo x > \"$OUT/$N/-f\"; cd \"$OUT/$N\"; \
        exec \"$T\" --root=\"$OUT/$N\" --null --bind -f \"-g $N\" --bind=-f h -- sh -c 'stat -c %t:%T dev/null; cat ./-g*; cat h'";
    assert_eq!(ok(stage.sh("-mr", script)), "1:3\nx\nx\n");
}

#[test]
fn verbose_says_each_step() {
    needs!("userns");
    let ran = Stage::new().within(ROOTLESS, "-v --null --proc", "true");
    assert_eq!(
        (ran.status, ran.stderr.as_str()),
        (0, "rs-mountdev: proc: mount a new proc\nrs-mountdev: dev/null: bind /dev/null\n")
    );
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
fn nothing_of_the_users_covers_the_kernels_file_systems() {
    needs!("userns");
    let stage = Stage::new();
    for (options, place) in [
        ("--proc --bind \"$OUT\" /proc", "/proc"),
        ("--proc --bind \"$OUT\" /proc/sys", "/proc/sys"),
        ("--proc --tmpfs=proc/acpi/../sys", "proc/acpi/../sys"),
        ("--sys --tmpfs=/sys", "/sys"),
        ("--sys --ro-bind \"$OUT\" sys/kernel", "sys/kernel"),
        ("--proc --bind /etc/passwd /proc/cpuinfo", "/proc/cpuinfo"),
        ("--proc --device=/dev/null:/proc/cpuinfo", "/proc/cpuinfo"),
    ] {
        refused(&stage.within(ROOTLESS, options, "echo ran"), &format!("{place}: "));
    }
    // Without --sys it is the image's folder.
    ok(stage.within(ROOTLESS, "--bind \"$OUT\" /sys", "true"));
}

#[test]
fn rootless_sys_is_the_hosts_bound_read_only() {
    needs!("userns");
    let out = ok(Stage::new().within(
        "-mpfr",
        "--ro-bind /sys sys",
        "test -d /sys/class/net && touch /sys/x 2>/dev/null || echo closed",
    ));
    assert_eq!(out, "closed\n");
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
fn the_hosts_ptmx() {
    needs!("root");
    let stage = Stage::new();
    let out =
        ok(stage.inside("--host-ptmx", "stat -c %t:%T /dev/pts/ptmx; readlink /dev/ptmx; stat -L -c %t:%T /dev/ptmx"));
    assert_eq!(out, "5:2\npts/ptmx\n5:2\n");
}

#[test]
fn another_user_can_use_what_was_set_up() {
    needs!("root");
    let stage = Stage::new();
    let script = "exec \"$T\" --root=\"$ROOT\" --dev --proc --pivot -- /bin/busybox setpriv 2>/dev/null true";
    let _ = stage.sh(PRIVILEGED, script);
    let line = "umask 077; exec \"$T\" --root=\"$ROOT\" --dev -- setpriv --reuid=65534 --clear-groups chroot / sh -c 'echo x > \"$ROOT/dev/null\" && echo fine'";
    let ran = stage.sh("-m", line);
    let direct = stage.sh("-m", "umask 077; exec \"$T\" --root=\"$ROOT\" --dev -- setpriv --reuid=65534 --clear-groups sh -c 'echo x > \"$ROOT/dev/null\" && echo fine'");
    assert!(ran.stdout == "fine\n" || direct.stdout == "fine\n", "{} {}", ran.stderr, direct.stderr);
}

#[test]
fn a_root_that_is_a_mount_of_its_own() {
    needs!("userns");
    both(|flags| {
        let stage = Stage::new();
        let script = "mkdir \"$OUT/m\"; mount --rbind \"$ROOT\" \"$OUT/m\"; exec \"$T\" --root=\"$OUT/m\" --dev --proc --read-only --pivot -- /bin/sh -c 'touch /x 2>/dev/null || echo closed; echo $$'";
        assert_eq!(ok(stage.sh(flags, script)), "closed\n1\n");
    });
}

#[test]
fn a_read_only_root_file_system_with_and_without_stubs() {
    needs!("userns");
    both(|flags| {
        let stage = Stage::new();
        stage.prepare("mkdir \"$OUT/m\"");
        let script = "mount --rbind \"$ROOT\" \"$OUT/m\"; mount -o remount,bind,ro \"$OUT/m\"; exec \"$T\" --root=\"$OUT/m\" --proc --null -- echo ran";
        refused(&stage.sh(flags, script), "proc: cannot create directory");
        stage.prepare("mkdir proc dev");
        refused(&stage.sh(flags, script), "dev/null: cannot open");
        stage.prepare("touch dev/null");
        assert_eq!(ok(stage.sh(flags, script)), "ran\n");
    });
}
