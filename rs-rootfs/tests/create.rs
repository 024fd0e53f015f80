//! What `create` takes and refuses, and what it leaves.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

mod hub;

use chain::testing::{Ran, bin, needs, sh};
use hub::{Access, Fault, Layout, Packed, Proxy, Registry, Stage, host_architecture, noise, registry_with};
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// The tar that `script` writes to standard output, in an empty folder.
fn tar_by(script: &str) -> Vec<u8> {
    let scratch = chain::testing::Scratch::new();
    let ran = sh(
        scratch.path(),
        &format!("set -e; cd {}; mkdir in; cd in; {{ {script}; }} >../out", scratch.path().display()),
    );
    assert_eq!(ran.status, 0, "{ran:?}");
    std::fs::read(scratch.join("out")).expect("a tar")
}

/// A registry that has an image of these layers, and its name.
fn image(stage: &Stage, layers: &[Vec<u8>]) -> (Registry, String) {
    let registry = Registry::start(stage, Access::Everybody);
    let layout = Layout::new(stage.join(format!("layout{}", registry.port)));
    let layers: Vec<_> = layers.iter().map(|tar| (tar.clone(), Packed::Gzip)).collect();
    layout.tag(&[("it", &layout.image(host_architecture(), r#"{"Cmd":["sh"]}"#, &layers))]);
    registry.push(&layout, "it", "app:1");
    let name = format!("{}/app:1", registry.host());
    (registry, name)
}

/// The names in the export of an image of these layers, but for docker's own,
/// and what `cat` finds in `file`.
fn exported(layers: &[Vec<u8>], file: &str) -> (Vec<String>, String) {
    let stage = Stage::new();
    let (_registry, name) = image(&stage, layers);
    let id = stage.run(["create", "-q", &name]);
    assert_eq!(id.status, 0, "{id:?}");
    let tar = stage.join("x.tar").display().to_string();
    assert_eq!(stage.run(["export", "-o", &tar, id.stdout.trim()]).status, 0);
    let own = ["dev", "etc", "proc", "sys", ".dockerenv"];
    let names = chain::testing::run("tar", ["-tf", &tar]).stdout;
    let names = names.lines().filter(|name| !own.contains(&name.split('/').next().unwrap_or_default()));
    let contents = chain::testing::run("tar", ["-xOf", &tar, file]).stdout;
    (names.map(str::to_owned).collect(), contents)
}

#[test]
fn a_hard_link_keeps_its_own_name_alone() {
    needs!("root", "docker-registry", "skopeo");
    let lower = tar_by("mkdir -p a/d; echo old >a/d/f; ln a/d/f b; tar -c a b");
    // The upper layer's link is to the lower's file, and the folder is emptied
    // of what is not the upper's.
    let upper = tar_by(
        "mkdir -p a/d; echo >a/d/f; ln a/d/f a/d/g; : >a/.wh..wh..opq; tar -cf ../t a/d/f a/d/g; tar --delete -f ../t a/d/f; tar -rf ../t a/.wh..wh..opq; cat ../t",
    );
    let (names, contents) = exported(&[lower.clone(), upper], "a/d/g");
    assert_eq!((names.join(" ").as_str(), contents.as_str()), ("a/ a/d/ a/d/g b", "old\n"));
    // The folder goes, a link out of it stays.
    let upper = tar_by(": >.wh.a; tar -c .wh.a");
    let (names, contents) = exported(&[lower.clone(), upper], "b");
    assert_eq!((names.join(" ").as_str(), contents.as_str()), ("b", "old\n"));
    let upper = tar_by("mkdir a; : >a/.wh.d; : >.wh.b; tar -c a .wh.b");
    assert_eq!(exported(&[lower, upper], "a").0, ["a/"]);
}

fn refused(ran: &Ran, words: &str) {
    assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.lines().count()), (1, "", 1), "{ran:?}");
    assert!(ran.stderr.starts_with("Error response from daemon: ") && ran.stderr.contains(words), "{ran:?}");
}

#[test]
fn a_hard_link_to_below_itself() {
    needs!("root", "docker-registry", "skopeo");
    let twice = "tar -cf ../t a; rm -r a; mkdir x; cd x; echo >a; mkdir ../a; mv a ../a/f; ln ../a/f a; cd ..; \
                 tar -cf ../u --transform 's,^x/a$,a,' a/f x/a; tar --delete -f ../u a/f; tar -Af ../t ../u; cat ../t";
    let one = tar_by(&format!("mkdir a; echo 1 >a/f; echo 2 >a/g; {twice}"));
    let (names, unpacked) = {
        let stage = Stage::new();
        std::fs::write(stage.join("x.tar"), &one).expect("a file");
        let tar = stage.join("x.tar").display().to_string();
        (chain::testing::run("tar", ["-tvf", &tar]).stdout, stage.unpack(&tar, "out"))
    };
    assert!(names.ends_with("a link to a/f\n"), "{names}");
    // unpack refuses it too.
    assert_eq!(unpacked.status, 1, "{unpacked:?}");
    let stage = Stage::new();
    let (_registry, name) = image(&stage, &[one]);
    refused(&stage.run(["create", "-q", &name]), "a hard link to a/f, which is not there");
}

#[test]
fn others_words_stay_in_one_line_and_are_told_once() {
    let stage = Stage::new();
    let body = br#"{"errors":[{"code":"DENIED","message":"no\nError response from daemon: yes\u001b[2J\u009b2J"}]}"#;
    let proxy = Proxy::start(1, Fault::Always(403, "", body.to_vec()));
    let ran = stage.run(["create", "-q", &format!("{}/a", proxy.host())]);
    refused(&ran, "DENIED: no\\nError response from daemon: yes\\u{1b}[2J\\u{9b}2J");
    let once = |ran: &Ran, words: &str| {
        assert_eq!((ran.status, ran.stderr.matches(words).count()), (1, 1), "{ran:?}");
    };
    let proxy = Proxy::start(1, Fault::OtherManifest(br#"{"schemaVersion":2,"a":1,"a":2}"#.to_vec()));
    once(&stage.unpack(&format!("docker://{}/a", proxy.host()), "out"), "duplicate key");
    once(&stage.unpack("docker://a@sha256:12", "out"), "invalid digest");
}

#[test]
fn reasons_are_the_c_librarys() {
    let stage = Stage::new();
    assert_eq!(stage.run(["list"]).status, 0);
    let record = stage.join("store/containers").join(format!("{}.json", "a".repeat(64)));
    std::fs::create_dir(&record).expect("new");
    let said = |words: &[&str], reason: &str| {
        let ran = stage.run(words);
        assert!(ran.status == 1 && ran.stderr.contains(reason) && !ran.stderr.contains("os error"), "{ran:?}");
    };
    said(&["list", "--containers"], "Is a directory\n");
    std::fs::remove_dir(&record).expect("ours");
    let digest = format!("sha256:{}", "0".repeat(64));
    std::fs::create_dir_all(stage.join("store/refs/h.example/a")).expect("new");
    std::fs::write(stage.join("store/refs/h.example/a/:1"), &digest).expect("a file");
    std::fs::create_dir(stage.join("store/blobs").join(digest.replace(':', "/"))).expect("new");
    for words in
        [&["list"][..], &["gc"], &["inspect", "h.example/a:1"], &["create", "--pull", "never", "h.example/a:1"]]
    {
        said(words, "Is a directory\n");
    }
    std::fs::remove_dir_all(stage.join("store/containers")).expect("ours");
    for words in [&["list", "--containers"][..], &["gc"], &["export", "x"], &["rm", "x"]] {
        said(words, "containers: No such file or directory\n");
    }
}

/// What is there of a failed `create`: its ID file, containers, temporary
/// files.
fn left(stage: &Stage) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![stage.join("store")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.starts_with(".tmp-") || entry.path().extension().is_some_and(|end| end == "json") {
                found.push(name);
            } else if entry.path().is_dir() {
                folders.push(entry.path());
            }
        }
    }
    found.extend(stage.join("cid").exists().then(|| "cid".to_owned()));
    found
}

#[test]
fn a_signal_while_the_registry_is_silent() {
    needs!("root", "docker-registry", "skopeo");
    // The configuration's turn, which all wait for, and a layer's.
    for most in [0, 2000] {
        let stage = Stage::new();
        let (registry, _) = registry_with(&stage, "app:1", &noise(50_000));
        let proxy = Proxy::start(registry.port, Fault::Hang(most));
        let mut command = stage.command(bin("rs-rootfs"));
        command.args(["create", "-q", "--cidfile"]).arg(stage.join("cid")).arg(format!("{}/app:1", proxy.host()));
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        let asked = if most == 0 { 1 } else { 2 };
        while proxy.seen().iter().filter(|line| line.contains("/blobs/")).count() < asked {
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(stage.join("cid").exists());
        std::thread::sleep(Duration::from_millis(200));
        ends_at_once(&stage, child);
    }
}

/// SIGTERM ends `child`, soon, and nothing is left of what it did.
fn ends_at_once(stage: &Stage, mut child: Child) {
    let begun = Instant::now();
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("it runs");
    let _ = child.wait();
    assert!(begun.elapsed() < Duration::from_secs(5), "it waited");
    let ran: Ran = child.wait_with_output().expect("a child").into();
    assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), (143, "", ""));
    assert_eq!(left(stage), [""; 0]);
}

#[test]
fn a_signal_while_a_credential_helper_is_silent() {
    // One that says nothing, and one that has said it and goes on.
    for script in ["exec sleep 60", "echo '{\"Username\":\"u\",\"Secret\":\"s\"}'; exec >&-; exec sleep 60"] {
        let stage = Stage::new();
        let (helper, asked) = (stage.join("docker-credential-mine"), stage.join("asked"));
        std::fs::write(&helper, format!("#!/bin/sh\n: >{}\n{script}\n", asked.display())).expect("a file");
        chain::testing::run("chmod", ["755".as_ref(), helper.as_os_str()]);
        stage.docker_config(r#"{"credsStore":"mine"}"#);
        let mut command = stage.command(bin("rs-rootfs"));
        let path = format!("{}:{}", stage.join("").display(), std::env::var("PATH").expect("PATH"));
        command.env("PATH", path).args(["create", "-q", "--cidfile"]).arg(stage.join("cid")).arg("127.0.0.1:1/a");
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
        while !asked.exists() {
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(Duration::from_millis(200));
        ends_at_once(&stage, child);
    }
}

#[test]
fn whose_id_nobody_knows_is_not_there() {
    needs!("root", "strace", "docker-registry", "skopeo");
    let stage = Stage::new();
    let (_registry, name) = image(&stage, &[tar_by("echo >f; tar -c f")]);
    let made = stage.run(["create", "-q", "--name", "one", &name]);
    assert_eq!(made.status, 0, "{made:?}");
    let one = left(&stage);
    let id_file = stage.join("cid").display().to_string();
    let words = ["create", "-q", "--cidfile", &id_file, &name];
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").expect("it is there");
    let mut command = stage.command(bin("rs-rootfs"));
    let ran: Ran = command.args(words).stdout(full).output().expect("it starts").into();
    assert_eq!((ran.status, ran.stderr.as_str()), (1, "write error: No space left on device\n"));
    assert_eq!(left(&stage), one);
    // The record takes one write, the ID file the second.
    let tool = bin("rs-rootfs").display().to_string();
    let env = format!("RS_ROOTFS_STORE={}", stage.join("store").display());
    let words = [&[env.as_str(), &tool], &words[..]].concat();
    let ran = chain::testing::inject(Path::new("/usr/bin/env"), &words, "pwrite64", "ENOSPC", 2);
    refused(&ran, "cid: No space left on device");
    assert_eq!(left(&stage), one);
    let ran = stage.run(["create", "-q", "--name", "one", "--cidfile", &id_file, &name]);
    refused(&ran, "Conflict");
    assert_eq!(left(&stage), one);
}

#[test]
fn a_signal_at_any_moment() {
    needs!("root", "strace", "docker-registry", "skopeo");
    let stage = Stage::new();
    let (_registry, name) = image(&stage, &[tar_by("echo >f; tar -c f")]);
    let id_file = stage.join("cid");
    for call in ["openat", "pwrite64", "renameat2", "fsync", "flock"] {
        for when in [1, 2, 3, 5, 8, 13, 21, 34] {
            let _ = std::fs::remove_dir_all(stage.join("store"));
            let mut command = stage.command("strace");
            command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("inject={call}:signal=TERM:when={when}")]);
            command.arg(bin("rs-rootfs")).args(["create", "-q", "--cidfile"]).arg(&id_file).arg(&name);
            let ran: Ran = command.output().expect("strace starts").into();
            let left = left(&stage);
            if ran.status == 0 {
                assert_eq!(left, [format!("{}.json", ran.stdout.trim()), "cid".to_owned()], "{call} {when}");
                std::fs::remove_file(&id_file).expect("ours");
            } else {
                assert_eq!((ran.status, ran.stderr.as_str(), left.len()), (143, "", 0), "{call} {when}: {left:?}");
            }
        }
    }
}

#[test]
fn an_image_of_many_layers_needs_a_descriptor_for_each() {
    needs!("root", "docker-registry", "skopeo", "prlimit");
    let stage = Stage::new();
    let layers: Vec<_> = (0..40).map(|i| tar_by(&format!("echo {i} >f{i}; tar -c f{i}"))).collect();
    let (_registry, name) = image(&stage, &layers);
    let limited = |most: u32, words: &[&str]| -> Ran {
        let mut command = stage.command("prlimit");
        command.arg(format!("--nofile={most}")).arg(bin("rs-rootfs")).args(words).output().expect("it starts").into()
    };
    let made = limited(64, &["create", "-q", &name]);
    assert_eq!((made.status, made.stderr.as_str()), (0, ""), "{made:?}");
    let ran = limited(64, &["export", made.stdout.trim()]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{}", ran.stderr);
    refused(&limited(32, &["create", "-q", &name]), "Too many open files");
}

/// What `words` show on a terminal while a slow registry is asked for `bytes`;
/// `signal`: as soon as there is progress.
fn on_a_terminal(words: &[&str], bytes: usize, signal: bool) -> String {
    let stage = Stage::new();
    let (registry, _) = registry_with(&stage, "app:1", &noise(bytes));
    let proxy = Proxy::start(registry.port, Fault::Slow);
    let (pid, shown) = (stage.join("pid"), stage.join("shown"));
    let words = words.join(" ").replace("HOST", &proxy.host());
    let line = format!("cd {}; echo $$ >pid; exec {} {words}", stage.join("").display(), bin("rs-rootfs").display());
    let mut command = stage.command("script");
    let mut script = command.args(["-qefc", &line]).arg(&shown).stdout(Stdio::null()).spawn().expect("it starts");
    let text = || std::fs::read_to_string(&shown).unwrap_or_default();
    while !text().contains("fetching ") {
        std::thread::sleep(Duration::from_millis(50));
    }
    let pid = std::fs::read_to_string(&pid).expect("written").trim().parse().expect("a pid");
    if signal {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM).expect("it runs");
    }
    script.wait().expect("a child");
    let text = text();
    text[text.rfind("fetching ").expect("shown")..].to_owned()
}

#[test]
fn whatever_ends_it_takes_the_line_of_progress_away() {
    needs!("root", "script", "docker-registry", "skopeo");
    for words in [&["create", "HOST/app:1"][..], &["unpack", "docker://HOST/app:1", "out"]] {
        let text = on_a_terminal(words, 500_000, true);
        assert!(text.contains(")\r\x1b[K\n"), "{words:?}: {text:?}");
        let text = on_a_terminal(words, 40_000, false);
        assert!(text.contains(")\r\x1b[KError") || text.contains(")\r\x1b[Krs-rootfs:"), "{words:?}: {text:?}");
    }
}
