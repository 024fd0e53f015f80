//! Pulling from a real registry, and from one that misbehaves.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

mod hub;

use chain::testing::{Ran, needs};
use hub::{
    Access, Fault, Layout, Packed, Proxy, Registry, Stage, host_architecture, noise, registry_with, tar_of, tar_with,
};
use std::path::Path;
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;

fn good(ran: &Ran) {
    assert_eq!((ran.status, ran.stderr.as_str()), (0, ""), "{ran:?}");
}

/// Whether it failed with these words and left nothing.
fn refused(ran: &Ran, words: &[&str], target: &Path) {
    assert_eq!((ran.status, ran.stdout.as_str()), (1, ""), "{ran:?}");
    assert!(ran.stderr.starts_with("rs-rootfs: "), "{ran:?}");
    assert_eq!(ran.stderr.lines().count(), 1, "{ran:?}");
    for word in words {
        assert!(ran.stderr.contains(word), "{word}: {ran:?}");
    }
    assert!(!target.exists(), "something is left");
}

fn holds(stage: &Stage, name: &str, data: &[u8]) {
    assert!(std::fs::read(stage.join(name).join("data")).expect("it is there") == data, "{name}: other data");
    assert_eq!(std::fs::read_to_string(stage.join(name).join("greeting")).expect("it is there"), "hello\n");
}

#[test]
fn plain() {
    needs!("root", "docker-registry", "skopeo");
    let stage = Stage::new();
    let data = noise(MIB);
    let (registry, _) = registry_with(&stage, "team/app:1", &data);
    let source = format!("docker://{}/team/app:1", registry.host());
    good(&stage.unpack(&source, "out"));
    holds(&stage, "out", &data);
    // The second time only the manifest is asked for.
    let proxy = Proxy::start(registry.port, Fault::NoBlobs);
    let mirrors = format!("mirrors.{}", registry.host());
    good(&stage.run(["config", "set", &mirrors, &format!("http://{}", proxy.host())]));
    good(&stage.unpack(&source, "again"));
    holds(&stage, "again", &data);
    assert_eq!(proxy.seen().len(), 1, "{:?}", proxy.seen());
    let list = stage.run(["list", "-q"]);
    assert_eq!((list.status, list.stdout.len()), (0, 13));
}

#[test]
fn basic_authentication() {
    needs!("root", "docker-registry", "skopeo");
    let stage = Stage::new();
    let registry = Registry::start(&stage, Access::Password);
    let layout = Layout::new(stage.join("layout"));
    let data = noise(1000);
    let image = layout.image(host_architecture(), "{}", &[(tar_with(&data), Packed::Gzip)]);
    layout.tag(&[("it", &image)]);
    registry.push(&layout, "it", "private:1");
    let source = format!("docker://{}/private:1", registry.host());
    refused(&stage.unpack(&source, "out"), &["401", "UNAUTHORIZED"], &stage.join("out"));
    let with = |auth: &str| format!(r#"{{"auths":{{"{}":{{"auth":"{auth}"}}}}}}"#, registry.host());
    stage.docker_config(&with("dXNlcjp3cm9uZw=="));
    let ran = stage.unpack(&source, "out");
    refused(&ran, &["401"], &stage.join("out"));
    assert!(!ran.stderr.contains("wrong") && !ran.stderr.contains("dXNlcj"), "{ran:?}");
    stage.docker_config(&with("dXNlcjpzZWNyZXQ="));
    good(&stage.unpack(&source, "out"));
    holds(&stage, "out", &data);
}

#[test]
fn a_credential_helper_is_asked_and_never_passed_over() {
    needs!("root", "docker-registry", "skopeo");
    let stage = Stage::new();
    let registry = Registry::start(&stage, Access::Password);
    let layout = Layout::new(stage.join("layout"));
    let image = layout.image(host_architecture(), "{}", &[(tar_with(b"x"), Packed::Plain)]);
    layout.tag(&[("it", &image)]);
    registry.push(&layout, "it", "private:1");
    let helper = stage.join("docker-credential-mine");
    let script = format!(
        "#!/bin/sh\nread host; [ \"$1 $host\" = \"get {}\" ] || exit 9\necho '{{\"Username\":\"user\",\"Secret\":\"secret\"}}'\n",
        registry.host()
    );
    std::fs::write(&helper, script).expect("a file");
    chain::testing::run("chmod", ["755".as_ref(), helper.as_os_str()]);
    let path = format!("{}:{}", stage.join("").display(), std::env::var("PATH").expect("PATH"));
    let unpack = |name: &str, config: &str| -> Ran {
        stage.docker_config(&config.replace("HOST", &registry.host()));
        let mut command = stage.command(chain::testing::bin("rs-rootfs"));
        command.env("PATH", &path).arg("unpack").arg(format!("docker://{}/private:1", registry.host()));
        command.arg(stage.join(name)).output().expect("it starts").into()
    };
    good(&unpack("helped", r#"{"credHelpers":{"HOST":"mine"}}"#));
    good(&unpack("stored", r#"{"credsStore":"mine"}"#));
    let missing = unpack("out", r#"{"credHelpers":{"HOST":"missing"},"auths":{"HOST":{"auth":"dXNlcjpzZWNyZXQ="}}}"#);
    refused(&missing, &["docker-credential-missing", "No such file"], &stage.join("out"));
    std::fs::write(&helper, "#!/bin/sh\necho broken >&2; exit 3\n").expect("a file");
    let failed = unpack("out", r#"{"credsStore":"mine","auths":{"HOST":{"auth":"dXNlcjpzZWNyZXQ="}}}"#);
    assert_eq!(failed.status, 1, "{failed:?}");
    assert!(failed.stderr.contains("broken\n") && failed.stderr.contains("status 3"), "{failed:?}");
    std::fs::write(&helper, "#!/bin/sh\necho credentials not found in native keychain; exit 1\n").expect("a file");
    good(&unpack("fallen", r#"{"credsStore":"mine","auths":{"HOST":{"auth":"dXNlcjpzZWNyZXQ="}}}"#));
    let bad = unpack("out", r#"{"credsStore":"../mine"}"#);
    refused(&bad, &["no name of a credential helper"], &stage.join("out"));
}

#[test]
fn token_authentication() {
    needs!("root", "docker-registry", "skopeo");
    let stage = Stage::new();
    let data = noise(MIB);
    let (registry, _) = registry_with(&stage, "team/app:1", &data);
    // Each token serves two requests: it must be renewed midway.
    let proxy = Proxy::start(registry.port, Fault::Token(2));
    let source = format!("docker://{}/team/app:1", proxy.host());
    good(&stage.unpack(&source, "out"));
    holds(&stage, "out", &data);
    let seen = proxy.seen();
    let asked: Vec<_> = seen.iter().filter(|line| line.starts_with("/token")).collect();
    assert_eq!(asked.len(), 2, "{seen:?}");
    assert!(asked[0].starts_with("/token?x=1&service=the%20service&scope=repository%3Ateam%2Fapp%3Apull "), "{seen:?}");
    // Who has a refresh token posts it; it stands in no address.
    let stage = Stage::new();
    stage.docker_config(&format!(r#"{{"auths":{{"{}":{{"identitytoken":"REFRESH/1"}}}}}}"#, proxy.host()));
    good(&stage.unpack(&source, "out"));
    let seen = proxy.seen();
    let posted = seen.iter().rfind(|line| line.starts_with("/token")).expect("asked");
    assert!(posted.starts_with("/token?x=1 ") && posted.contains("grant_type=refresh_token"), "{posted}");
    assert!(posted.contains("refresh_token=REFRESH%2F1") && posted.contains("service=the%20service"), "{posted}");
}

#[test]
fn a_token_server_in_clear_text_is_not_trusted_by_a_registry_that_is_not() {
    let (tls, plain) = (Stage::new(), hub::free_port());
    let challenge = format!("WWW-Authenticate: Bearer realm=\"ftp://127.0.0.1:{plain}/token\"\r\n");
    let proxy = Proxy::start(1, Fault::Always(401, Box::leak(challenge.into_boxed_str()), Vec::new()));
    let ran = tls.unpack(&format!("docker://{}/a", proxy.host()), "out");
    refused(&ran, &["refused to ask", "not https"], &tls.join("out"));
}

#[test]
fn multi_platform_index_and_zstd() {
    needs!("root", "docker-registry", "skopeo", "zstd");
    let stage = Stage::new();
    let registry = Registry::start(&stage, Access::Everybody);
    let layout = Layout::new(stage.join("layout"));
    let layers = |word: &str| {
        let lower = tar_of("mkdir -p d; echo old >d/gone; echo low >low; echo low >both");
        let upper = tar_of(&format!("mkdir -p d; : >d/.wh.gone; echo {word} >both; echo {word} >arch"));
        vec![(lower, Packed::Zstd), (upper, Packed::Gzip)]
    };
    let images: Vec<String> = ["amd64", "arm64", "s390x"].map(|it| layout.image(it, "{}", &layers(it))).to_vec();
    let index = layout.index(&images);
    layout.tag(&[("it", &index)]);
    registry.push(&layout, "it", "multi:1");
    let source = format!("docker://{}/multi:1", registry.host());
    good(&stage.unpack(&source, "host"));
    let read = |name: &str| std::fs::read_to_string(stage.join(name)).expect("it is there");
    assert_eq!(read("host/arch").trim(), host_architecture());
    assert_eq!((read("host/low"), stage.join("host/d/gone").exists()), ("low\n".to_owned(), false));
    good(&stage.run(["unpack", "--platform", "linux/s390x", &source, &stage.join("big").display().to_string()]));
    assert_eq!(read("big/both"), "s390x\n");
    let target = stage.join("none");
    let none = stage.run(["unpack", "--platform", "linux/riscv64", &source, &target.display().to_string()]);
    refused(&none, &["no matching manifest for linux/riscv64", "linux/amd64, linux/arm64, linux/s390x"], &target);
    // By digest, and then without the registry.
    let digest = stage.run(["list", "--json"]).stdout;
    let digest =
        digest.split("\"Digest\":\"").nth(1).and_then(|rest| rest.split('"').next()).expect("a digest").to_owned();
    let source = format!("docker://{}/multi@{digest}", registry.host());
    drop(registry);
    good(&stage.unpack(&source, "offline"));
    assert_eq!(read("offline/arch").trim(), host_architecture());
}

#[test]
fn a_cut_connection_is_taken_up_where_it_was() {
    needs!("root", "docker-registry", "skopeo");
    for (ranges, fault) in [(true, Fault::Cut(MIB, 2)), (false, Fault::CutWithoutRanges(MIB, 1))] {
        let stage = Stage::new();
        let data = noise(3 * MIB);
        let (registry, _) = registry_with(&stage, "app:1", &data);
        let proxy = Proxy::start(registry.port, fault);
        good(&stage.unpack(&format!("docker://{}/app:1", proxy.host()), "out"));
        holds(&stage, "out", &data);
        let seen = proxy.seen();
        let resumed = seen.iter().filter(|line| line.contains(" bytes=")).count();
        assert_eq!(resumed, if ranges { 2 } else { 1 }, "{seen:?}");
    }
}

#[test]
fn an_earlier_attempt_is_taken_up() {
    needs!("root", "docker-registry", "skopeo");
    let stage = Stage::new();
    let data = noise(3 * MIB);
    let (registry, _) = registry_with(&stage, "app:1", &data);
    // Cut for good: five tries, each goes on where the one before ended.
    let source = format!("docker://{}/app:1", registry.host());
    good(&stage.unpack(&source, "first"));
    // Take the layer back to a half.
    let blobs = stage.join("store/blobs/sha256");
    let layer =
        std::fs::read_dir(&blobs).expect("a folder").flatten().max_by_key(|it| it.metadata().expect("a file").len());
    let layer = layer.expect("a blob").path();
    let bytes = std::fs::read(&layer).expect("a blob");
    std::fs::remove_file(&layer).expect("ours");
    std::fs::write(layer.with_extension("part"), &bytes[..MIB]).expect("a file");
    let proxy = Proxy::start(registry.port, Fault::None);
    good(&stage.run(["config", "set", &format!("mirrors.{}", registry.host()), &format!("http://{}", proxy.host())]));
    good(&stage.unpack(&source, "out"));
    holds(&stage, "out", &data);
    assert!(proxy.seen().iter().any(|line| line.contains(&format!(" bytes={MIB}-"))), "{:?}", proxy.seen());
    // A beginning that is something else costs a download, not the content.
    std::fs::remove_file(&layer).expect("ours");
    std::fs::write(layer.with_extension("part"), &noise(2 * MIB)[MIB..]).expect("a file");
    good(&stage.unpack(&source, "better"));
    holds(&stage, "better", &data);
}

#[test]
fn what_is_not_what_its_digest_says_is_refused() {
    needs!("root", "docker-registry", "skopeo");
    let stage = Stage::new();
    let data = noise(MIB);
    let (registry, layout) = registry_with(&stage, "app:1", &data);
    let proxy = Proxy::start(registry.port, Fault::Corrupt);
    let ran = stage.unpack(&format!("docker://{}/app:1", proxy.host()), "out");
    refused(&ran, &["wrong digest"], &stage.join("out"));
    // More bytes than announced are not even read.
    let proxy = Proxy::start(registry.port, Fault::Longer);
    let ran = stage.unpack(&format!("docker://{}/app:1", proxy.host()), "long");
    assert!(ran.status == 1 || stage.join("long/data").exists(), "{ran:?}");
    // Another manifest under a digest.
    let proxy = Proxy::start(registry.port, Fault::OtherManifest(b"{}".to_vec()));
    let digest = format!("sha256:{}", "0".repeat(64));
    let ran = stage.unpack(&format!("docker://{}/app@{digest}", proxy.host()), "out");
    refused(&ran, &["wrong digest"], &stage.join("out"));
    // A configuration with the digest of another layer.
    let other = layout.image(host_architecture(), "{}", &[(tar_with(b"other"), Packed::Gzip)]);
    let manifest = |descriptor: &str| {
        let hex = descriptor.split("sha256:").nth(1).and_then(|rest| rest.get(..64)).expect("a digest").to_owned();
        std::fs::read_to_string(layout.path.join("blobs/sha256").join(hex)).expect("a manifest")
    };
    let first = layout.image(host_architecture(), r#"{"Cmd":["sh"]}"#, &[(tar_with(&data), Packed::Gzip)]);
    let (first, other) = (manifest(&first), manifest(&other));
    let (_, layers) = first.split_once("\"layers\"").expect("layers");
    let (config, _) = other.split_once("\"layers\"").expect("layers");
    let mixed = layout.blob(format!("{config}\"layers\"{layers}").as_bytes());
    let mixed = format!(r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json",{mixed}}}"#);
    layout.tag(&[("mixed", &mixed)]);
    registry.push(&layout, "mixed", "mixed:1");
    let ran = stage.unpack(&format!("docker://{}/mixed:1", registry.host()), "out");
    refused(&ran, &["layer 1", "diff id"], &stage.join("out"));
}

#[test]
fn too_many_requests_are_waited_for() {
    needs!("root", "docker-registry", "skopeo");
    let stage = Stage::new();
    let (registry, _) = registry_with(&stage, "app:1", b"x");
    let proxy = Proxy::start(registry.port, Fault::Busy(2, 429, "1"));
    let begun = Instant::now();
    good(&stage.unpack(&format!("docker://{}/app:1", proxy.host()), "out"));
    assert!(begun.elapsed() >= Duration::from_secs(2), "it did not wait");
    assert!(begun.elapsed() < Duration::from_secs(20), "it waited too long");
    let proxy = Proxy::start(registry.port, Fault::Busy(99, 429, "0"));
    let ran = stage.unpack(&format!("docker://{}/app:1", proxy.host()), "never");
    refused(&ran, &["429", "TOOMANYREQUESTS: slow down", "ratelimit-remaining: 0;w=21600"], &stage.join("never"));
    assert_eq!(proxy.seen().len(), 6, "{:?}", proxy.seen());
    // Other refusals are final.
    let proxy = Proxy::start(registry.port, Fault::Busy(1, 403, ""));
    refused(&stage.unpack(&format!("docker://{}/app:1", proxy.host()), "denied"), &["403"], &stage.join("denied"));
    assert_eq!(proxy.seen().len(), 1);
    let proxy = Proxy::start(registry.port, Fault::Busy(1, 503, ""));
    good(&stage.unpack(&format!("docker://{}/app:1", proxy.host()), "later"));
}

#[test]
fn a_missing_blob_or_image() {
    needs!("root", "docker-registry", "skopeo");
    let stage = Stage::new();
    let (registry, _) = registry_with(&stage, "app:1", b"x");
    let proxy = Proxy::start(registry.port, Fault::NoBlobs);
    let ran = stage.unpack(&format!("docker://{}/app:1", proxy.host()), "out");
    refused(&ran, &["404", "BLOB_UNKNOWN: blob unknown"], &stage.join("out"));
    let ran = stage.unpack(&format!("docker://{}/app:2", registry.host()), "out");
    refused(&ran, &["404", "MANIFEST_UNKNOWN: manifest unknown"], &stage.join("out"));
    let port = hub::free_port();
    let ran = stage.unpack(&format!("docker://127.0.0.1:{port}/app"), "out");
    refused(&ran, &["Connection refused"], &stage.join("out"));
    for bad in ["docker://", "docker://UPPER", "docker://a:b:c", "docker://a@sha256:0", "docker://../../etc/passwd"] {
        refused(&stage.unpack(bad, "out"), &["invalid reference format"], &stage.join("out"));
    }
}

#[test]
fn redirects_lose_the_secret_on_another_host() {
    needs!("root", "docker-registry", "skopeo");
    let stage = Stage::new();
    let data = noise(1000);
    let (registry, _) = registry_with(&stage, "app:1", &data);
    let cdn = Proxy::start(registry.port, Fault::None);
    let front = Proxy::start(registry.port, Fault::Elsewhere(format!("http://{}", cdn.host())));
    let gate = Proxy::start(front.port, Fault::Token(9));
    // The gate hands on redirects, and asks for a token itself.
    good(&stage.unpack(&format!("docker://{}/app:1", gate.host()), "out"));
    holds(&stage, "out", &data);
    assert!(gate.seen().iter().any(|line| line.contains("/blobs/") && line.contains("Bearer T1")), "{:?}", gate.seen());
    assert!(!cdn.seen().is_empty() && cdn.seen().iter().all(|line| !line.contains("Bearer")), "{:?}", cdn.seen());
    let round = Proxy::start(registry.port, Fault::Always(302, "Location: /v2/app/manifests/1\r\n", Vec::new()));
    let ran = stage.unpack(&format!("docker://{}/app:1", round.host()), "out2");
    refused(&ran, &["redirected more than 10 times"], &stage.join("out2"));
    let odd = Proxy::start(registry.port, Fault::Always(302, "Location: file:///etc/passwd\r\n", Vec::new()));
    let ran = stage.unpack(&format!("docker://{}/app:1", odd.host()), "out2");
    refused(&ran, &["redirected to no http address"], &stage.join("out2"));
}

#[test]
fn certificates() {
    needs!("root", "docker-registry", "openssl");
    let stage = Stage::new();
    let (registry, _) = registry_with(&stage, "app:1", b"x");
    let data = stage.join(format!("registry{}", registry.port));
    let (key, certificate) = (stage.join("key.pem"), stage.join("cert.pem"));
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .output()
        .expect("openssl starts");
    assert!(made.status.success());
    let secure = Registry::with_tls(&stage, &data, &certificate, &key);
    let source = format!("docker://{}/app:1", secure.host());
    // A bad certificate is no reason to ask in clear text.
    refused(&stage.unpack(&source, "out"), &["invalid peer certificate"], &stage.join("out"));
    good(&stage.run(["unpack", "--insecure", &source, &stage.join("careless").display().to_string()]));
    let mut command = stage.command(chain::testing::bin("rs-rootfs"));
    command.env("SSL_CERT_FILE", &certificate).args(["unpack", &source]).arg(stage.join("trusted"));
    good(&command.output().expect("it starts").into());
    // https never leads to http.
    let folder = Path::new("/etc/docker/certs.d").join(secure.host());
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::copy(&certificate, folder.join("ca.crt")).expect("a copy");
    let own = stage.unpack(&source, "own");
    let _ = std::fs::remove_dir_all(&folder);
    let _ = std::fs::remove_dir(folder.parent().expect("a parent"));
    good(&own);
}
