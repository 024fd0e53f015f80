//! Pulling where the network is not as it should be.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

mod hub;

use chain::testing::{Ran, bin, inject, needs};
use hub::{Access, Fault, Layout, Packed, Proxy, Registry, Stage, host_architecture, noise, registry_with, tar_with};
use std::ffi::{OsStr, OsString};
use std::net::TcpListener;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn good(ran: &Ran) {
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{ran:?}");
}

/// Whoever names a proxy does not want to be seen without it.
#[test]
fn a_proxy_that_cannot_be_used_is_no_reason_to_go_without() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    // This machine, but not by one of the names that are never proxied.
    let host = format!("0.0.0.0:{}", listener.local_addr().expect("bound").port());
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    std::thread::spawn(move || listener.incoming().for_each(|_| _ = count.fetch_add(1, Ordering::Relaxed)));
    let stage = Stage::new();
    let run = |insecure: &[&str], name: &str, value: &OsStr| -> Ran {
        let mut command = stage.command(bin("rs-rootfs"));
        command.env("https_proxy", "").env(name, value).env_remove("NO_PROXY").env_remove("no_proxy");
        command.arg("unpack").args(insecure).arg(format!("docker://{host}/a")).arg(stage.join("out"));
        command.output().expect("it starts").into()
    };
    let values =
        ["socks5://127.0.0.1:1080", "ftp://h", "http://", "http://user:secret@[", "h:99999"].map(OsString::from);
    for value in values.into_iter().chain([OsString::from_vec(b"h\xff".to_vec())]) {
        let ran = run(&[], "HTTPS_PROXY", &value);
        assert_eq!((ran.status, ran.stderr.lines().count()), (1, 1), "{value:?}: {ran:?}");
        assert!(ran.stderr.ends_with("cannot use the proxy in HTTPS_PROXY: it is no http address\n"), "{ran:?}");
        assert!(!ran.stderr.contains("secret"), "{ran:?}");
    }
    assert_eq!(seen.load(Ordering::Relaxed), 0);
    // In clear text, after https was tried.
    let ran = run(&["--insecure"], "http_proxy", OsStr::new("socks5://127.0.0.1:1080"));
    assert!(ran.status == 1 && ran.stderr.contains("cannot use the proxy in http_proxy"), "{ran:?}");
    assert_eq!(seen.load(Ordering::Relaxed), 1);
    // The list of exceptions goes first.
    let mut command = stage.command(bin("rs-rootfs"));
    command.env("https_proxy", "ftp://h").env("no_proxy", "0.0.0.0").args(["unpack", "docker://0.0.0.0:1/a"]);
    let ran: Ran = command.arg(stage.join("out")).output().expect("it starts").into();
    assert!(ran.status == 1 && !ran.stderr.contains("proxy"), "{ran:?}");
}

#[test]
fn whatever_breaks_off_is_asked_for_again() {
    needs!("root", "docker-registry", "skopeo");
    let stage = Stage::new();
    let data = noise(1 << 20);
    let (registry, _) = registry_with(&stage, "app:1", &data);
    let gate = Proxy::start(registry.port, Fault::TokenLife("300"));
    let proxy = Proxy::start(gate.port, Fault::Broken);
    good(&stage.unpack(&format!("docker://{}/app:1", proxy.host()), "out"));
    assert!(std::fs::read(stage.join("out/data")).expect("it is there") == data);
    // Token, manifest, configuration, layer, each once more.
    let seen = proxy.seen();
    let times = |word: &str| seen.iter().filter(|line| line.contains(word)).count();
    assert_eq!((times("/token"), times("/manifests/"), times("/blobs/")), (2, 3, 4), "{seen:?}");
}

#[test]
fn tokens_of_any_life() {
    needs!("root", "docker-registry", "skopeo");
    let stage = Stage::new();
    let (registry, _) = registry_with(&stage, "app:1", b"x");
    for (i, life) in
        ["9223372036854775807", "1e300", "300.5", "\"300\"", "1", "0", "-5", "null"].into_iter().enumerate()
    {
        let proxy = Proxy::start(registry.port, Fault::TokenLife(life));
        let ran = stage.unpack(&format!("docker://{}/app:1", proxy.host()), &format!("out{i}"));
        assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{life}: {ran:?}");
    }
}

#[test]
fn a_thread_that_cannot_be_started() {
    needs!("root", "strace", "docker-registry", "skopeo");
    let stage = Stage::new();
    let registry = Registry::start(&stage, Access::Everybody);
    let layout = Layout::new(stage.join("layout"));
    let layers = [b"one", b"two"].map(|data| (tar_with(data), Packed::Gzip));
    layout.tag(&[("it", &layout.image(host_architecture(), r#"{"Cmd":["sh"]}"#, &layers))]);
    registry.push(&layout, "it", "app:1");
    let name = format!("{}/app:1", registry.host());
    let tool = bin("rs-rootfs").display().to_string();
    let env = format!("RS_ROOTFS_STORE={}", stage.join("store").display());
    let create = |name: &str, when| {
        inject(Path::new("/usr/bin/env"), &[&env, &tool, "create", "-q", name], "/^clone3?$", "EAGAIN", when)
    };
    let ran = create(&name, 1);
    assert_eq!((ran.status, ran.stdout.as_str()), (1, ""), "{ran:?}");
    assert!(ran.stderr.ends_with("cannot start a thread: Resource temporarily unavailable\n"), "{ran:?}");
    // One less is only slower. What hashes layers would need a second thread too.
    assert_eq!(stage.run(["create", "-q", &name]).status, 0);
    // The first looks up a name.
    for (name, when) in [(&name, 2), (&name.replace("127.0.0.1", "localhost"), 1)] {
        for blob in std::fs::read_dir(stage.join("store/blobs/sha256")).expect("a folder").flatten() {
            std::fs::remove_file(blob.path()).expect("ours");
        }
        let ran = create(name, when);
        assert_eq!((ran.status, ran.stdout.len(), ran.stderr.as_str()), (0, 65, ""), "{ran:?}");
    }
}
