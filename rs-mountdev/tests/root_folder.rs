//! The root as a whole: masks, read-only, `--pivot`, propagation.
#![allow(clippy::disallowed_methods)]

mod stage;

use chain::testing::{needs, run};
use stage::{PRIVILEGED, ROOTLESS, Stage, both, ok, refused};

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
fn a_read_only_root_with_the_working_folder_in_it() {
    needs!("userns");
    let stage = Stage::new();
    stage.prepare("mkdir -p a/b");
    for (folder, root, up) in [
        ("", ".", "../root/"),
        ("", "\"$ROOT\"", "../root/"),
        ("/a/b", "../..", "../../"),
        ("/a/b", "\"$ROOT\"", "../../"),
    ] {
        let script = format!("touch f 2>/dev/null && echo wrote; touch {up}f 2>/dev/null && echo wrote; pwd");
        let line = format!(
            "cd \"$ROOT{folder}\"; exec \"$T\" --root={root} --read-only --tmpfs=/a/b/c -- sh -c '{script}; ls -d '\"$ROOT\"'/a/b/c'"
        );
        let there = stage.root();
        let wanted = format!("{}{folder}\n{}/a/b/c\n", there.display(), there.display());
        assert_eq!(ok(stage.sh(ROOTLESS, &line)), wanted, "{folder} {root}");
    }
    assert!(!stage.root().join("f").exists());
    // A folder that was removed leads nowhere, but up to what is covered.
    let script = "mkdir \"$ROOT/gone\"; cd \"$ROOT/gone\"; rmdir \"$ROOT/gone\"; exec \"$T\" --root=\"$ROOT\" --read-only -- echo ran";
    refused(&stage.sh(ROOTLESS, script), "leads below the new mount");
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
fn pivot_starts_nothing_of_the_host() {
    needs!("userns");
    // CVE-2019-5736: /proc/self/exe is this tool, and would be rewritten.
    let magic = "leads through a link of procfs";
    for (prepare, words, says) in [
        ("ln -s /proc/self/exe x", "/x --version", "/x: /x leads"),
        ("ln -s /proc/1/exe bin/x", "x --version", "x: /bin/x leads"),
        ("ln -s y x; ln -s /proc/thread-self/exe y", "./x --version", "./x: ./x leads"),
        ("ln -s /proc/self/root/bin/echo x", "/x ran", "/x: /x leads"),
        ("printf \"#! /proc/self/exe -v\\n\" > x; chmod +x x", "/x", "/x: /proc/self/exe leads"),
        ("printf \"#!/y\\n\" > x; printf \"#!/proc/self/exe\\n\" > y; chmod +x x y", "/x", "/x: /proc/self/exe leads"),
        ("printf \"echo ran\\n\" > x; chmod +x x; ln -sf /proc/self/exe bin/sh", "/x", "/x: /bin/sh leads"),
        ("printf \"#!/proc/self/exe\\\\0\\n\" > x; chmod +x x", "/x", "/x: /proc/self/exe leads"),
        ("printf \"#!\\n\" > x; chmod +x x; ln -sf /proc/self/exe bin/sh", "/x", "/x: /bin/sh leads"),
        ("printf \"\\\\177ELFx\" > x; chmod +x x; ln -sf /proc/self/exe bin/sh", "/x", "/x: /bin/sh leads"),
        ("ln -s /proc/self/exe \"$(printf \"y\\r\")\"; printf \"#!/y\\r\\n\" > x; chmod +x x", "/x", "/x: /y\\r leads"),
        (
            "for i in 0 1 2 3; do printf \"#!/b$((i + 1))\\n\" > b$i; done; printf \"#!/proc/self/exe\\n\" > b4; chmod +x b*",
            "/b0",
            "/b0: /proc/self/exe leads",
        ),
        (
            "ln -s /proc/self/exe y; echo \"int main(){return 0;}\" | gcc -xc - -Wl,--dynamic-linker=/y -o x",
            "/x",
            "/x: /y leads",
        ),
    ] {
        let stage = Stage::new();
        stage.prepare(prepare);
        let line = format!("exec \"$T\" --root=\"$ROOT\" --proc --pivot -- {words}");
        let ran = stage.sh(ROOTLESS, &format!("PATH=/bin:$PATH; {line}"));
        assert_eq!((ran.status, ran.stdout.as_str()), (126, ""), "{prepare}: {}", ran.stderr);
        assert!(ran.stderr.contains(says) && ran.stderr.contains(magic), "{prepare}: {}", ran.stderr);
        assert_eq!(ran.stderr.lines().count(), 1, "{}", ran.stderr);
    }
    // What only looks like it is left to exec.
    let stage = Stage::new();
    stage.prepare("mkfifo fifo; ln -s loop loop; printf \"#!/fifo\\n\" > x; chmod +x x fifo");
    for (word, reason) in
        [("/fifo", "Permission denied"), ("/loop", "Too many levels of symbolic links"), ("/x", "Permission denied")]
    {
        let ran = stage.sh(ROOTLESS, &format!("exec \"$T\" --root=\"$ROOT\" --proc --pivot -- {word}"));
        assert_eq!(ran.status, 126, "{}", ran.stderr);
        assert!(ran.stderr.ends_with(&format!("{reason}\n")), "{}", ran.stderr);
    }
}

#[test]
fn pivot_starts_nothing_that_it_cannot_read() {
    needs!("root");
    // Of an owner who is nobody inside: it can be started all the same.
    let stage = Stage::new();
    stage.prepare("printf \"#!/proc/self/exe\\n\" > x; chmod 711 x; chown 4321:4321 x");
    let line = "exec \"$T\" --root=\"$ROOT\" --proc --pivot -- /x";
    let ran = stage.sh(ROOTLESS, line);
    let says = "rs-mountdev: failed to execute /x: /x cannot be read to see what it starts\n";
    assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), (126, "", says));
    // What could not be started anyway is left to exec.
    stage.prepare("chmod 600 x");
    let ran = stage.sh(ROOTLESS, line);
    assert_eq!((ran.status, ran.stderr.contains("/x: Permission denied\n")), (126, true), "{}", ran.stderr);
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
