//! After `--chroot` the image says what a name leads to: nothing of the host
//! is started, and what cannot be looked at is not started either.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

use chain::testing::{Ran, Scratch, bin, find, needs, run};

/// Runs `capsh --chroot=ROOT WORDS` by way of `through`, in a root of busybox
/// that has /proc and what sh's `prepare` makes in it.
fn inside(prepare: &str, through: &str, words: &str) -> Ran {
    let scratch = Scratch::new();
    let links = scratch.links(&[("capsh", "rs-capsh")]);
    let busybox = find("busybox").expect("busybox is installed");
    let script = format!(
        "mkdir root root/bin root/proc && mount --rbind /proc root/proc && cp {busybox} root/bin/busybox && cd root &&
         for name in sh echo; do ln -s busybox bin/$name; done; {prepare}
         export PATH={links}:/bin:$PATH; exec {through} capsh --chroot=. {words}",
        busybox = busybox.display(),
        links = links.display(),
    );
    let there = scratch.path().to_str().expect("a name");
    run("env", ["-C", there, "unshare", "-mr", "sh", "-c", &script])
}

/// A kernel on which `calls` fail so.
fn failing(calls: &str, errno: &str) -> String {
    format!("strace -f -qq -o /dev/null -e trace={calls} -e inject={calls}:error={errno}")
}

#[test]
fn nothing_of_the_host_is_started() {
    needs!("userns", "busybox", "strace");
    // CVE-2019-5736: /proc/self/exe is this tool, and would be rewritten.
    for (prepare, words, status, says) in [
        ("ln -s /proc/self/exe x", "--exec /x --modes", 126, "--exec: failed to execute /x: /x leads"),
        ("ln -s /proc/self/exe bin/x", "--exec x --modes", 126, "--exec: failed to execute x: /bin/x leads"),
        ("ln -s ../y bin/x; ln -s /proc/1/../self/exe y", "--exec x --modes", 126, "x: /bin/x leads"),
        ("printf '#!/proc/self/exe --modes\n' > x; chmod +x x", "--exec /x", 126, "/x: /proc/self/exe leads"),
        ("echo echo ran > x; chmod +x x; ln -sf /proc/self/exe bin/sh", "--exec /x", 126, "/x: /bin/sh leads"),
        ("ln -s /proc/self/exe x", "--shell=/x -- --modes", 1, "--: failed to execute /x: /x leads"),
        ("ln -s /proc/self/exe x", "--shell=/x -+ --modes", 1, "-+: failed to execute /x: /x leads"),
        ("ln -s /proc/self/exe bin/capsh", "== --modes", 1, "==: failed to execute /bin/capsh: /bin/capsh leads"),
        ("ln -s /proc/self/exe bin/capsh", "=+ --modes", 1, "=+: failed to execute /bin/capsh: /bin/capsh leads"),
    ] {
        // Before Linux 5.6 the way is walked by hand.
        for through in [String::new(), failing("openat2", "ENOSYS")] {
            let ran = inside(prepare, &through, words);
            assert_eq!((ran.status, ran.stdout.as_str()), (status, ""), "{prepare} {through}: {}", ran.stderr);
            assert!(
                ran.stderr.starts_with("capsh: ") && ran.stderr.contains(says),
                "{prepare} {through}: {}",
                ran.stderr
            );
            assert!(ran.stderr.ends_with(" leads through a link of procfs\n"), "{}", ran.stderr);
        }
    }
}

#[test]
fn what_is_of_the_image_is_started() {
    needs!("userns", "busybox", "strace");
    let chain = "ln -s /bin/../bin/x x; ln -s ./y bin/x; printf '#!/bin/sh\necho ran\n' > bin/y; chmod +x bin/y";
    for (prepare, words, status, out) in [
        ("", "--exec echo ran", 0, "ran\n"),
        (chain, "--exec x", 0, "ran\n"),
        (chain, "--shell=/x --", 0, "ran\n"),
        // The shell gets nothing that `--` cannot start.
        ("ln -sf /proc/self/exe bin/sh", "--shell=/bin/echo -- ran", 0, "ran\n"),
        ("ln -s loop loop", "--exec /loop", 126, ""),
        ("ln -s nosuch x", "--exec /x", 127, ""),
        ("", "--exec /bin/echo/x", 126, ""),
    ] {
        for through in [String::new(), failing("openat2", "ENOSYS"), failing("openat2", "EPERM")] {
            let ran = inside(prepare, &through, words);
            assert_eq!((ran.status, ran.stdout.as_str()), (status, out), "{prepare} {words} {through}: {}", ran.stderr);
            assert!(!ran.stderr.contains("procfs"), "{}", ran.stderr);
        }
    }
}

#[test]
fn what_cannot_be_looked_at_is_not_started() {
    needs!("userns", "busybox", "strace");
    for (calls, errno) in [
        ("openat2", "EIO"),
        ("openat", "EIO"),
        ("fstat,newfstatat", "EIO"),
        // The first bytes; where the loader is named.
        ("pread64", "EIO:when=1"),
        ("pread64", "EIO:when=2"),
    ] {
        for (words, status) in [("--exec echo ran", 126), ("--shell=/bin/echo -- ran", 1)] {
            let ran = inside("", &failing(calls, errno), words);
            assert_eq!((ran.status, ran.stdout.as_str()), (status, ""), "{calls} {errno}: {}", ran.stderr);
            assert!(ran.stderr.ends_with(": Input/output error\n"), "{calls} {errno}: {}", ran.stderr);
        }
    }
}

#[test]
fn what_can_be_executed_and_not_read_is_not_started() {
    needs!("root", "busybox");
    let scratch = Scratch::new();
    let root = scratch.path().to_str().expect("a name");
    let prepare = format!("cd {root}; cp {} x; chmod 711 . x", find("busybox").expect("there").display());
    assert_eq!(run("sh", ["-c", &prepare]).status, 0);
    let words = [&format!("--chroot={root}"), "--cap-uid=99", "--exec", "/x", "echo", "ran"];
    let ran = run(bin("rs-capsh"), words);
    let says = "rs-capsh: --exec: failed to execute /x: /x cannot be read to see what it starts\n";
    assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), (126, "", says));
}

#[test]
fn without_a_new_root_nothing_is_looked_at() {
    needs!("strace");
    let scratch = Scratch::new();
    let trace = scratch.join("trace");
    let us = bin("rs-capsh");
    let us = us.to_str().expect("a name");
    for words in [&["--exec", "/proc/self/exe", "--modes"][..], &["--shell=/proc/self/exe", "--", "--modes"]] {
        let calls = ["-f", "-qq", "-e", "trace=openat2,pread64", "-o", trace.to_str().expect("a name"), us];
        let ran = run("strace", calls.iter().chain(words));
        assert_eq!(ran.stdout, "Supported modes: NOPRIV PURE1E_INIT PURE1E HYBRID\n", "{words:?}: {}", ran.stderr);
        assert_eq!(std::fs::read_to_string(&trace).expect("a trace"), "", "{words:?}");
    }
}
