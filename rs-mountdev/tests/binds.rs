//! What the user names: binds, devices, tmpfs, folders, links, files of the
//! host.
#![allow(clippy::disallowed_methods)]

mod stage;

use chain::testing::needs;
use stage::{ROOTLESS, Stage, both, mounted, ok, refused};

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
fn a_bind_for_devices_has_devices_or_is_refused() {
    needs!("root");
    let stage = Stage::new();
    let source = "mount -t tmpfs -o nodev none \"$OUT\"; mknod \"$OUT/null\" c 1 3";
    let bound = "\"$T\" --root=\"$ROOT\" --dev-bind \"$OUT\" /mnt -- sh -c 'echo x >\"$ROOT/mnt/null\" && echo works'";
    assert_eq!(ok(stage.sh("-m", &format!("{source}; {bound}"))), "works\n");
    let ran = stage.sh("-m", &format!("{source}; unshare -Urm {bound}"));
    refused(&ran, "mnt: is on a mount with nodev that cannot be changed here");
}

#[test]
fn a_step_of_the_users_counts_where_an_option_put_something() {
    needs!("root");
    let stage = Stage::new();
    stage.prepare("mkdir \"$OUT/shm\"; echo text >\"$OUT/shm/file\"");
    for (step, script, shows) in [
        ("--device=/dev/urandom:/dev/random", "stat -c %t:%T /dev/random", "1:9\n"),
        ("--bind \"$OUT/shm\" dev/shm", "cat /dev/shm/file", "text\n"),
        ("--inaccessible=/dev/full", "stat -c %t:%T /dev/full", "1:3\n"),
        ("--ro-bind /dev/null dev/tty", "stat -c %t:%T /dev/tty", "1:3\n"),
        ("--tmpfs=/dev", "ls /dev", ""),
        ("--bind \"$OUT\" dev --inaccessible=dev/shm", "ls /dev /dev/shm", "/dev:\nshm\n\n/dev/shm:\n"),
    ] {
        assert_eq!(ok(stage.inside(&format!("--dev {step}"), script)), shows, "{step}");
    }
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
fn a_slash_at_the_end_of_a_destination_does_not_matter() {
    needs!("userns");
    // Nor does it in the run after, which finds what the first one made.
    let stage = Stage::new();
    stage.prepare("ln -s made link");
    let options = "--ro-bind /etc/passwd /made/ --bind /etc/hosts /a/b/. --tmpfs=/t// --inaccessible=/link/";
    for _ in 0..2 {
        let out = ok(stage.pivoted(ROOTLESS, options, "test -f /a/b && test -d /t && wc -c < /made"));
        assert_eq!(out.trim(), "0");
    }
}

#[test]
fn what_is_mounted_on_a_bind_does_not_appear_outside() {
    needs!("userns", "strace");
    // The source is shared, the root is not.
    let script = "mount -t tmpfs s \"$OUT\"; mkdir \"$OUT/x\" \"$OUT/s\" \"$OUT/file\"; mount --make-shared \"$OUT\"; mount -t tmpfs s \"$OUT/s\"; \
        $BEFORE \"$T\" --root=\"$ROOT\" --bind \"$OUT\" /d --tmpfs=/d/x --tmpfs=/d/s/new --device=/dev/zero:/z -- \
        sh -c 'mount -t tmpfs late \"$ROOT/d/file\"; grep -c \" $ROOT/d\" /proc/self/mountinfo'; grep -c \" $OUT\" /proc/self/mountinfo; \
        mount -t tmpfs l \"$OUT/file\"; grep -c \" $ROOT/d/file\" /proc/self/mountinfo";
    let without = |calls: &str| {
        format!("BEFORE='strace -f -qq -o /dev/null -e trace={calls} -e inject={calls}:error=ENOSYS'; {script}")
    };
    for script in [script.to_owned(), without("mount_setattr"), without("open_tree,mount_setattr,move_mount,fsopen")] {
        let stage = Stage::new();
        let ran = stage.sh("-mr --propagation private", &script);
        // Inside: d, s, x, s/new, file. Outside: itself and s. What is
        // mounted outside later is seen inside.
        assert_eq!(ran.stdout, "5\n2\n2\n", "{script}: {}", ran.stderr);
    }
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
    // The folder that it is made in may be the root, by a link too.
    stage.prepare("ln -s / slash");
    let options = "--symlink z /slash/one --symlink z a/../two";
    assert_eq!(ok(stage.within(ROOTLESS, options, "readlink /one; readlink /two")), "z\nz\n");
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
fn paths_may_be_any_bytes() {
    needs!("userns");
    let stage = Stage::new();
    let script = "N=$(printf 'a \\377\\nb'); mkdir \"$OUT/$N\"; echo x > \"$OUT/$N/-f\"; cd \"$OUT/$N\"; \
        exec \"$T\" --root=\"$OUT/$N\" --null --bind -f \"-g $N\" --bind=-f h -- sh -c 'stat -c %t:%T dev/null; cat ./-g*; cat h'";
    assert_eq!(ok(stage.sh("-mr", script)), "1:3\nx\nx\n");
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
        ("--proc --dir=/proc/new/deep", "/proc/new/deep"),
        ("--cgroup=rw --dir=/sys/fs/cgroup/new", "/sys/fs/cgroup/new"),
        ("--sys --symlink x /sys/new", "sys"),
    ] {
        refused(&stage.within(ROOTLESS, options, "echo ran"), &format!("{place}: "));
    }
    // Without --sys it is the image's folder.
    ok(stage.within(ROOTLESS, "--bind \"$OUT\" /sys", "true"));
}

/// Before Linux 5.8, and without /proc, no mount has a number.
#[test]
fn nothing_of_the_users_covers_them_where_mounts_have_no_numbers() {
    needs!("root", "strace");
    let script = "umount -l /proc; exec strace -qq -o /dev/null -e inject=statx:error=ENOSYS \
                  \"$T\" --propagation=private --root=\"$ROOT\" --sys --tmpfs=sys/kernel -- echo ran";
    refused(&Stage::new().sh("-m", script), "sys/kernel: is inside a file system of the kernel");
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
