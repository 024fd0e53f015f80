//! The store: what it says, what it keeps, what it survives.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

mod hub;

use chain::testing::{Ran, bin, inject, needs};
use hub::{Fault, Proxy, Stage, noise, registry_with};
use rs_rootfs::digest::Digest;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

/// Everything with a final name is what its name says.
fn check(store: &Path) {
    for kind in ["blobs", "layers"] {
        let Ok(list) = std::fs::read_dir(store.join(kind).join("sha256")) else { continue };
        for entry in list.flatten() {
            let name = entry.file_name().into_string().expect("ASCII");
            if name.len() == 64 {
                let bytes = std::fs::read(entry.path()).expect("readable");
                assert_eq!(Digest::of(&bytes).hex(), name, "{kind}");
            }
        }
    }
}

#[test]
fn survives_being_killed_at_any_moment() {
    needs!("root", "docker-registry", "skopeo");
    let stage = Stage::new();
    let data = noise(2 << 20);
    let (registry, _) = registry_with(&stage, "app:1", &data);
    let name = format!("{}/app:1", registry.host());
    let store = stage.join("store");
    for round in 0..24_u64 {
        let mut child = stage.command(bin("rs-rootfs"));
        child.args(["create", "-q", &name]).stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null());
        let mut child = child.spawn().expect("it starts");
        std::thread::sleep(Duration::from_millis(4 + round * 9));
        let _ = child.kill();
        let _ = child.wait();
        check(&store);
        // What a name leads to is there, whole.
        for line in stage.run(["list", "-q"]).stdout.lines() {
            assert_eq!(stage.run(["inspect", line]).status, 0);
            let made = stage.run(["create", "--pull", "never", &name]);
            assert_eq!(made.status, 0, "{made:?}");
        }
        if round % 8 == 7 {
            let ran = stage.run(["gc"]);
            assert_eq!(ran.status, 0, "{ran:?}");
            check(&store);
        }
    }
    let made = stage.run(["create", "-q", &name]);
    assert_eq!((made.status, made.stdout.len()), (0, 65), "{made:?}");
    let exported = stage.join("x.tar");
    let ran = stage.run(["export", "-o", &exported.display().to_string(), made.stdout.trim()]);
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""));
}

#[test]
fn a_refused_call_is_told_and_leaves_no_lie() {
    needs!("root", "strace", "docker-registry", "skopeo");
    let stage = Stage::new();
    let (registry, _) = registry_with(&stage, "app:1", b"x");
    let name = format!("{}/app:1", registry.host());
    let store = stage.join("store");
    let env = format!("RS_ROOTFS_STORE={}", store.display());
    for (call, errno) in [
        ("mkdirat", "EACCES"),
        ("fsync", "EIO"),
        ("pwrite64", "ENOSPC"),
        ("renameat2", "EROFS"),
        ("flock", "ENOLCK"),
        ("fchmodat", "EPERM"),
    ] {
        for when in [1, 2, 4, 7] {
            let _ = std::fs::remove_dir_all(&store);
            let tool = bin("rs-rootfs").display().to_string();
            let ran = inject(Path::new("/usr/bin/env"), &[&env, &tool, "create", "-q", &name], call, errno, when);
            assert!(ran.status == 1 || ran.status == 0, "{call} {when}: {ran:?}");
            assert!(ran.status == 0 || (ran.stdout.is_empty() && !ran.stderr.is_empty()), "{call} {when}: {ran:?}");
            assert!(!ran.stderr.contains("panicked") && !ran.stderr.contains("os error"), "{ran:?}");
            check(&store);
            let made = stage.run(["create", "-q", &name]);
            assert_eq!(made.status, 0, "after {call} {when}: {made:?}");
        }
    }
}

/// Runs the tool while strace sends it `signal` at the `when`th call of `call`.
fn signalled(stage: &Stage, words: &[&str], call: &str, signal: &str, when: u32) -> Ran {
    let mut command = stage.command("strace");
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("inject={call}:signal={signal}:when={when}")]);
    command.arg(bin("rs-rootfs")).args(words).output().expect("strace starts").into()
}

#[test]
fn survives_being_killed_at_each_call() {
    needs!("root", "strace", "docker-registry", "skopeo");
    let stage = Stage::new();
    let (registry, _) = registry_with(&stage, "app:1", b"x");
    let name = format!("{}/app:1", registry.host());
    let store = stage.join("store");
    for call in ["mkdirat", "openat", "fchmodat", "pwrite64", "fsync", "renameat2", "flock"] {
        for when in [1, 2, 3, 4, 5, 6, 8, 11, 15, 20, 30] {
            let _ = std::fs::remove_dir_all(&store);
            let pulled = signalled(&stage, &["create", "-q", "--name", "it", &name], call, "KILL", when);
            check(&store);
            let made = stage.run(["create", "-q", &name]);
            assert_eq!(made.status, 0, "after {call} {when}: {made:?}");
            for words in [&["rm", "it"][..], &["rm", "-f", &name], &["gc"]] {
                signalled(&stage, words, call, "KILL", when);
                check(&store);
            }
            for words in [&["rm", "-f", "it"][..], &["rm", made.stdout.trim()], &["gc"]] {
                let ran = stage.run(words);
                assert_eq!(ran.status, 0, "after {call} {when}: {ran:?}");
            }
            if pulled.status == 0 {
                break;
            }
        }
    }
}

#[test]
fn an_interrupted_export_leaves_nothing() {
    needs!("root", "strace", "docker-registry", "skopeo");
    let stage = Stage::new();
    let (registry, _) = registry_with(&stage, "app:1", &noise(3 << 20));
    let id = stage.run(["create", "-q", &format!("{}/app:1", registry.host())]).stdout;
    let file = stage.join("out/x.tar").display().to_string();
    std::fs::create_dir(stage.join("out")).expect("new");
    for signal in ["HUP", "INT", "QUIT", "TERM"] {
        let ran = signalled(&stage, &["export", "-o", &file, id.trim()], "pwrite64", signal, 1);
        assert!(ran.status > 128 && ran.stderr.is_empty(), "{signal}: {ran:?}");
        assert_eq!(std::fs::read_dir(stage.join("out")).expect("there").count(), 0, "{signal}");
    }
    assert_eq!(stage.run(["export", "-o", &file, id.trim()]).status, 0);
}

#[test]
fn names_images_and_containers() {
    needs!("root", "docker-registry", "skopeo");
    let stage = Stage::new();
    let (registry, _) = registry_with(&stage, "app:1", b"x");
    let name = format!("{}/app:1", registry.host());
    assert_eq!(stage.run(["list"]).stdout, "REPOSITORY   TAG   IMAGE-ID   CREATED   SIZE\n");
    assert_eq!(stage.run(["list", "--containers"]).stdout, "ID   IMAGE   NAME   CREATED\n");
    assert_eq!(stage.run(["list", "--json"]).stdout, "[]\n");
    let id = stage.run(["create", "-q", "--name", "one", &name]).stdout;
    let image = stage.run(["list", "-q"]).stdout;
    let inspected = stage.run(["inspect", "one", &name, image.trim(), "nosuch"]);
    assert_eq!(inspected.status, 1);
    assert_eq!(inspected.stderr, "rs-rootfs: cannot inspect nosuch: no such container or image\n");
    let json: serde_json::Value = serde_json::from_str(&inspected.stdout).expect("JSON");
    assert_eq!(json.as_array().map(Vec::len), Some(3));
    assert_eq!((&json[0]["Id"], &json[1]["Id"]), (&id.trim().into(), &json[2]["Id"]));
    assert_eq!(stage.run(["inspect", "nosuch"]).stdout, "[]\n");
    // By its image's ID, by the beginning of it.
    assert_eq!(stage.run(["create", image.trim()]).status, 0);
    let used = stage.run(["rm", &name]);
    assert_eq!((used.status, used.stdout.as_str()), (1, ""), "{used:?}");
    assert!(used.stderr.contains("is using its referenced image"), "{used:?}");
    // Under `container` only containers are meant.
    assert_eq!(stage.run(["container", "rm", "-f", &name]).stdout, "");
    let gone = stage.run(["rm", "-f", &name]);
    assert_eq!((gone.status, gone.stdout), (0, format!("Untagged: {name}\n")));
    // The containers keep what they need.
    assert!(stage.run(["gc"]).stdout.starts_with("freed 0 bytes"));
    assert_eq!(stage.run(["export", "-o", "/tmp/../dev/null/x", "one"]).status, 1);
    for container in stage.run(["list", "--containers", "-q"]).stdout.lines() {
        assert_eq!(stage.run(["rm", container]).stdout, format!("{container}\n"));
    }
    let dry = stage.run(["gc", "--dry-run"]).stdout;
    assert!(dry.starts_with("would free ") && dry.ends_with(" in 4 files\n"), "{dry}");
    assert_eq!(stage.run(["gc", "--keep-days", "1"]).stdout, "freed 0 bytes in 0 files\n");
    assert_eq!(stage.run(["gc"]).stdout, dry.replace("would free", "freed"));
    assert_eq!(stage.run(["gc"]).stdout, "freed 0 bytes in 0 files\n");
    check(&stage.join("store"));
}

#[test]
fn what_is_no_store_is_left_alone() {
    needs!("root");
    let stage = Stage::new();
    let store = stage.join("store");
    std::fs::create_dir(&store).expect("a folder");
    std::fs::write(store.join("mine"), "x").expect("a file");
    let ran = stage.run(["list"]);
    assert_eq!((ran.status, ran.stdout.as_str()), (1, ""));
    assert!(ran.stderr.ends_with("it is not empty, and no store\n"), "{ran:?}");
    assert_eq!(std::fs::read_dir(&store).expect("a folder").count(), 1);
    std::fs::remove_file(store.join("mine")).expect("ours");
    assert_eq!(stage.run(["list"]).status, 0);
    assert_eq!(std::fs::metadata(&store).expect("a folder").permissions().mode() & 0o777, 0o700);
    std::fs::remove_file(store.join("version")).expect("ours");
    std::fs::write(store.join("version"), "2\n").expect("a file");
    let ran = stage.run(["list"]);
    assert!(ran.status == 1 && ran.stderr.ends_with("it has version '2', not 1\n"), "{ran:?}");
}

#[test]
fn settings() {
    let stage = Stage::new();
    let set = |key: &str, value: &str| stage.run(["config", "set", key, value]);
    assert_eq!(stage.run(["config"]).stdout, "");
    assert_eq!(set("mirrors.docker.io", "http://127.0.0.1:1,h:5").status, 0);
    assert_eq!(set("jobs", "4").status, 0);
    assert_eq!(stage.run(["config", "list"]).stdout, "jobs = 4\nmirrors.docker.io = http://127.0.0.1:1,h:5\n");
    assert_eq!(stage.run(["config", "get", "jobs"]).stdout, "4\n");
    assert_eq!(stage.run(["config", "get", "platform"]).status, 1);
    for (key, value) in
        [("jobs", "x"), ("nosuch", "1"), ("platform", "a/b/c/d"), ("insecure", "perhaps"), ("mirrors.", "h")]
    {
        let ran = set(key, value);
        assert_eq!((ran.status, ran.stderr.lines().count()), (1, 1), "{ran:?}");
        assert!(ran.stderr.starts_with("rs-rootfs: config: "), "{ran:?}");
    }
    // A DIR alone gets the source that is set.
    assert_eq!(stage.run(["unpack", "--max-size", "1G", &stage.join("out").display().to_string()]).status, 125);
    assert_eq!(set("default-source", "/nonexistent").status, 0);
    for option in [["--max-size", "1G"], ["--jo", "2"]] {
        let ran = stage.run(["unpack", option[0], option[1], &stage.join("out").display().to_string()]);
        assert!(ran.status == 1 && ran.stderr.starts_with("rs-rootfs: /nonexistent: "), "{ran:?}");
    }
    assert_eq!(set("default-source", "").status, 0);
    assert_eq!(set("jobs", "").status, 0);
    assert_eq!(stage.run(["config"]).stdout, "mirrors.docker.io = http://127.0.0.1:1,h:5\n");
    assert_eq!(stage.run(["config", "set", "jobs"]).status, 125);
}

/// Documents that an image must not have, each under its right digest.
#[test]
fn hostile_documents() {
    needs!("root");
    let zero = "0".repeat(64);
    let config =
        format!(r#"{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:{zero}","size":2}}"#);
    let layer =
        |kind: &str, digest: &str, size: &str| format!(r#"{{"mediaType":"{kind}","digest":"{digest}","size":{size}}}"#);
    let tar = "application/vnd.oci.image.layer.v1.tar";
    let with = |layers: &str| format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{layers}]}}"#);
    let good = layer(tar, &format!("sha256:{zero}"), "1");
    let cases: Vec<(String, &str)> = vec![
        (String::new(), "invalid JSON"),
        ("null".into(), "invalid JSON"),
        ("[]".into(), "invalid JSON"),
        ("{}".into(), "schemaVersion is null"),
        ("{\"schemaVersion\":1}".into(), "schema version 1"),
        ("{\"schemaVersion\":3}".into(), "schemaVersion is 3"),
        ("{\"schemaVersion\":\"2\"}".into(), "schemaVersion is \"2\""),
        (with(&good).replace("\"layers\"", "\"manifests\":[],\"layers\""), "both an index and a manifest"),
        (with(&good).replace("\"layers\"", "\"Manifests\":[],\"layers\""), "both an index and a manifest"),
        (format!("{} x", with(&good)), "trailing characters"),
        (format!("{0}{0}", with(&good)), "trailing characters"),
        (with(&good).replace("\"layers\"", "\"layers\":[],\"layers\""), "duplicate key"),
        (with(&good).replace("\"size\":1", "\"size\":1,\"size\":2"), "duplicate key"),
        (
            with(&good).replace("\"schemaVersion\":2", "\"schemaVersion\":2,\"x\":{\"a\":[{\"b\":1,\"b\":1}]}"),
            "duplicate key 'b'",
        ),
        (with(&good).replace("\"schemaVersion\":2", "\"schemaVersion\":2,\"mediaType\":\"a/b\""), "'a/b'"),
        (with(&layer(tar, &format!("sha256:{zero}"), "-1")), "negative size"),
        (with(&layer(tar, &format!("sha256:{zero}"), "9223372036854775808")), "invalid"),
        (with(&layer(tar, &format!("sha256:{zero}"), "1.5")), "invalid"),
        (with(&layer(tar, "sha256:../../../../etc/passwd", "1")), "invalid digest"),
        (with(&layer(tar, &format!("sha256:{}", "A".repeat(64)), "1")), "invalid digest"),
        (with(&layer(tar, &format!("md5:{}", "0".repeat(32)), "1")), "invalid digest"),
        (
            with(&layer("application/vnd.cncf.helm.chart.content.v1.tar+gzip", &format!("sha256:{zero}"), "1")),
            "not a file system",
        ),
        (with(&layer("", &format!("sha256:{zero}"), "1")), "not a file system"),
        (with(&layer(&format!("{tar}+gzip+encrypted"), &format!("sha256:{zero}"), "1")), "not a file system"),
        (with(&vec![good.clone(); 513].join(",")), "513 layers"),
        (with(&good).replace("image.config", "empty"), "not that of an image"),
        (format!("{{\"schemaVersion\":2,\"x\":{}1{}}}", "[".repeat(200), "]".repeat(200)), "recursion limit"),
        (" ".repeat((4 << 20) + 1), "larger than 4194304 bytes"),
        (with(&good).replace("\"size\":2", "\"size\":9000000"), "more than 8388608"),
    ];
    let number = cases.len();
    for (document, words) in cases {
        let stage = Stage::new();
        let proxy = Proxy::start(1, Fault::OtherManifest(document.clone().into_bytes()));
        let ran = stage.unpack(&format!("docker://{}/a", proxy.host()), "out");
        let shown: String = document.chars().take(200).collect();
        assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.lines().count()), (1, "", 1), "{shown}: {ran:?}");
        assert!(ran.stderr.contains(words), "{shown}: {ran:?}");
        assert!(!stage.join("out").exists());
    }
    assert!(number >= 29);
}
