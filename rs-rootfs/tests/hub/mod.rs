//! What the tests of pulling share: images that they make themselves, a real
//! registry that serves them, and a proxy before it that misbehaves.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::disallowed_methods,
    reason = "each test file uses a part of it, with whatever serves"
)]

mod docker;
mod proxy;

#[allow(unused_imports, reason = "one of the files needs none")]
pub use docker::Docker;
#[allow(unused_imports, reason = "one of the files needs none")]
pub use proxy::{Fault, Proxy};

use chain::testing::{Ran, Scratch, bin, find};
use rs_rootfs::digest::Digest;
use std::ffi::OsStr;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A folder for a test: its store, its settings, its home.
pub struct Stage {
    scratch: Scratch,
}

impl Stage {
    pub fn new() -> Self {
        let stage = Self { scratch: Scratch::new() };
        for folder in ["home", "config", "run"] {
            std::fs::create_dir(stage.join(folder)).expect("a new folder");
        }
        stage
    }

    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.scratch.join(name)
    }

    /// The tool with this test's store and settings, and nobody else's.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("RS_ROOTFS_STORE", self.join("store")).env("HOME", self.join("home"));
        command.env("XDG_CONFIG_HOME", self.join("config")).env("XDG_RUNTIME_DIR", self.join("run"));
        for name in ["DOCKER_CONFIG", "REGISTRY_AUTH_FILE", "DOCKER_HOST", "SSL_CERT_FILE", "http_proxy", "https_proxy"]
        {
            command.env_remove(name).env_remove(name.to_ascii_uppercase());
        }
        command.stdin(Stdio::null());
        command
    }

    pub fn run<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        self.command(bin("rs-rootfs")).args(args).output().expect("it starts").into()
    }

    /// The same through a link called `docker`.
    pub fn docker<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Ran {
        let link = self.join("docker");
        let _ = std::os::unix::fs::symlink(bin("rs-rootfs"), &link);
        self.command(link).args(args).output().expect("it starts").into()
    }

    /// Unpacks `source` to a new folder of that name.
    pub fn unpack(&self, source: &str, name: &str) -> Ran {
        self.run(["unpack".as_ref(), source.as_ref(), self.join(name).as_os_str()])
    }

    /// Settings of docker for this test.
    pub fn docker_config(&self, text: &str) {
        std::fs::create_dir_all(self.join("home/.docker")).expect("a folder");
        std::fs::write(self.join("home/.docker/config.json"), text).expect("a file");
    }
}

/// An OCI layout that a test fills.
pub struct Layout {
    pub path: PathBuf,
}

/// How layers are compressed.
#[derive(Clone, Copy)]
pub enum Packed {
    Gzip,
    Zstd,
    Plain,
}

impl Layout {
    pub fn new(path: PathBuf) -> Self {
        std::fs::create_dir_all(path.join("blobs/sha256")).expect("a folder");
        std::fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("a file");
        Self { path }
    }

    /// Adds a blob; gives `"digest":…,"size":…`.
    pub fn blob(&self, bytes: &[u8]) -> String {
        let digest = Digest::of(bytes);
        std::fs::write(self.path.join("blobs/sha256").join(digest.hex()), bytes).expect("a blob");
        format!(r#""digest":"{digest}","size":{}"#, bytes.len())
    }

    /// Adds an image of these tars; gives its descriptor.
    pub fn image(&self, architecture: &str, start: &str, layers: &[(Vec<u8>, Packed)]) -> String {
        let mut descriptors = Vec::new();
        let mut diff_ids = Vec::new();
        for (tar, packed) in layers {
            diff_ids.push(format!("\"{}\"", Digest::of(tar)));
            let (end, bytes) = match packed {
                Packed::Gzip => ("+gzip", filter("gzip", &["-n"], tar)),
                Packed::Zstd => ("+zstd", filter("zstd", &["-q"], tar)),
                Packed::Plain => ("", tar.clone()),
            };
            let blob = self.blob(&bytes);
            descriptors.push(format!(r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar{end}",{blob}}}"#));
        }
        let config = self.blob(
            format!(
                r#"{{"architecture":"{architecture}","os":"linux","created":"2024-02-03T04:05:06Z","config":{start},"rootfs":{{"type":"layers","diff_ids":[{}]}}}}"#,
                diff_ids.join(",")
            )
            .as_bytes(),
        );
        let manifest = format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{{"mediaType":"application/vnd.oci.image.config.v1+json",{config}}},"layers":[{}]}}"#,
            descriptors.join(",")
        );
        let manifest = self.blob(manifest.as_bytes());
        format!(
            r#"{{"mediaType":"application/vnd.oci.image.manifest.v1+json",{manifest},"platform":{{"os":"linux","architecture":"{architecture}"}}}}"#
        )
    }

    /// Adds an index of these descriptors; gives its own.
    pub fn index(&self, descriptors: &[String]) -> String {
        let kind = "application/vnd.oci.image.index.v1+json";
        let text = format!(r#"{{"schemaVersion":2,"mediaType":"{kind}","manifests":[{}]}}"#, descriptors.join(","));
        format!(r#"{{"mediaType":"{kind}",{}}}"#, self.blob(text.as_bytes()))
    }

    /// Says what the layout's tags are.
    pub fn tag(&self, tags: &[(&str, &str)]) {
        let entry = |(tag, descriptor): &(&str, &str)| {
            let open = descriptor.strip_suffix('}').expect("an object");
            format!(r#"{open},"annotations":{{"org.opencontainers.image.ref.name":"{tag}"}}}}"#)
        };
        let entries: Vec<String> = tags.iter().map(entry).collect();
        let text = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(","));
        std::fs::write(self.path.join("index.json"), text).expect("a file");
    }
}

/// `bytes` through a program.
pub fn filter(program: &str, args: &[&str], bytes: &[u8]) -> Vec<u8> {
    use std::io::{Read, Write};
    let mut command = Command::new(find(program).expect("installed"));
    let mut child = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut to = child.stdin.take().expect("a pipe");
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || to.write_all(&bytes).expect("written"));
    let mut out = Vec::new();
    child.stdout.take().expect("a pipe").read_to_end(&mut out).expect("read");
    writer.join().expect("no panic");
    assert!(child.wait().expect("a child").success());
    out
}

/// A tar of what `script` makes in an empty folder.
pub fn tar_of(script: &str) -> Vec<u8> {
    let scratch = Scratch::new();
    let ran =
        chain::testing::sh(Path::new("/nonexistent"), &format!("set -e; cd {}; {script}", scratch.path().display()));
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    let mut command = Command::new("tar");
    command.args(["--numeric-owner", "--sort=name", "--owner=0", "--group=0", "--mtime=@1700000000", "-cf", "-", "-C"]);
    let output = command.arg(scratch.path()).arg(".").output().expect("tar starts");
    assert!(output.status.success());
    output.stdout
}

/// Bytes that do not compress, always the same.
pub fn noise(length: usize) -> Vec<u8> {
    let mut state = 0x1234_5678_9abc_def1_u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes = Vec::with_capacity(length + 8);
    while bytes.len() < length {
        bytes.extend(next());
    }
    bytes.truncate(length);
    bytes
}

/// A tar that holds `data` as the file `data`, and a small one.
pub fn tar_with(data: &[u8]) -> Vec<u8> {
    let scratch = Scratch::new();
    std::fs::write(scratch.join("data"), data).expect("a file");
    tar_of(&format!("cp {} data; echo hello >greeting", scratch.join("data").display()))
}

/// Debian's docker-registry; ends with the value.
pub struct Registry {
    server: Child,
    pub port: u16,
}

/// Who may read it.
#[derive(Clone, Copy)]
pub enum Access {
    Everybody,
    /// `user`, `secret`.
    Password,
}

impl Registry {
    pub fn start(stage: &Stage, access: Access) -> Self {
        let port = free_port();
        let name = format!("registry{port}");
        let (config, data) = (stage.join(format!("{name}.yml")), stage.join(&name));
        let auth = match access {
            Access::Everybody => String::new(),
            Access::Password => {
                let file = stage.join(format!("{name}.htpasswd"));
                // `secret`, by bcrypt.
                std::fs::write(&file, "user:$2b$05$nu5kBBZf5yH289VinDXBReYCbe8tmPFGgd0/HYR9rHeZNAl0chDX6\n")
                    .expect("a file");
                format!("auth: {{htpasswd: {{realm: test, path: {}}}}}\n", file.display())
            }
        };
        let more = format!("{auth}http: {{addr: '127.0.0.1:{port}'}}");
        Self::serve(&config, &data, &more, port)
    }

    /// The same data once more, over https.
    pub fn with_tls(stage: &Stage, data: &Path, certificate: &Path, key: &Path) -> Self {
        let port = free_port();
        let (certificate, key) = (certificate.display(), key.display());
        let more = format!("http: {{addr: '127.0.0.1:{port}', tls: {{certificate: {certificate}, key: {key}}}}}");
        Self::serve(&stage.join(format!("registry{port}.yml")), data, &more, port)
    }

    fn serve(config: &Path, data: &Path, more: &str, port: u16) -> Self {
        let text = format!(
            "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
             storage: {{filesystem: {{rootdirectory: {}}}}}\n{more}\n",
            data.display()
        );
        std::fs::write(config, text).expect("a file");
        let mut command = Command::new(find("docker-registry").expect("installed"));
        command.arg("serve").arg(config).stdout(Stdio::null()).stderr(Stdio::null());
        let registry = Self { server: command.spawn().expect("it starts"), port };
        for _ in 0..200 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return registry;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("the registry does not answer");
    }

    /// Copies the layout's `tag` to `name`.
    pub fn push(&self, layout: &Layout, tag: &str, name: &str) {
        let mut command = Command::new(find("skopeo").expect("installed"));
        command.args([
            "copy",
            "-q",
            "--all",
            "--preserve-digests",
            "--dest-tls-verify=false",
            "--dest-creds=user:secret",
        ]);
        command.arg(format!("oci:{}:{tag}", layout.path.display()));
        let output = command.arg(format!("docker://127.0.0.1:{}/{name}", self.port)).output().expect("skopeo starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).expect("a port").local_addr().expect("bound").port()
}

/// A registry with `name` as an image of one layer that holds `data`.
pub fn registry_with(stage: &Stage, name: &str, data: &[u8]) -> (Registry, Layout) {
    let registry = Registry::start(stage, Access::Everybody);
    let layout = Layout::new(stage.join(format!("layout{}", registry.port)));
    let image = layout.image(host_architecture(), r#"{"Cmd":["sh"]}"#, &[(tar_with(data), Packed::Gzip)]);
    layout.tag(&[("it", &image)]);
    registry.push(&layout, "it", name);
    (registry, layout)
}

pub fn host_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
