//! A real registry on the loopback interface, holding an image `bash` like
//! the official one: its bash lies in `/usr/local/bin`.

use chain::testing::{bin, find, run};
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Debian's docker-registry with an image of ours; ends with the value.
pub(crate) struct Registry {
    server: Child,
    pub(crate) port: u16,
}

impl Registry {
    /// Starts one whose files stand in `folder`.
    pub(crate) fn with_bash(folder: &Path) -> Self {
        // The port is free now; nothing else takes it at once.
        let port = TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
        let store = folder.join("registry");
        let config = folder.join("registry.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: 127.0.0.1:{port}}}\n",
            store.display()
        );
        fs::write(&config, text).expect("written");
        let mut command = Command::new(find("docker-registry").expect("docker-registry"));
        command.arg("serve").arg(&config).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let registry = Self { server: command.spawn().expect("it starts"), port };
        assert!(
            crate::common::within(30, || TcpStream::connect(("127.0.0.1", port)).is_ok()),
            "the registry does not answer"
        );
        let archive = bash_image(folder);
        let from = format!("docker-archive:{}", archive.display());
        let to = format!("docker://127.0.0.1:{port}/library/bash:latest");
        let pushed = run("skopeo", ["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false", &from, &to]);
        assert_eq!(pushed.status, 0, "{}", pushed.stderr);
        registry
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn done(program: &str, args: &[&str]) -> String {
    let ran = run(program, args);
    assert_eq!(ran.status, 0, "{program} {args:?}: {}", ran.stderr);
    ran.stdout
}

/// Makes a docker-archive of one layer.
fn bash_image(folder: &Path) -> PathBuf {
    let root = folder.join("image");
    let tools = "host:sh,bash,ls,cat,hostname,id,ps,sleep,tty,head,tr,true,seq";
    done(bin("rs-rootfs").to_str().expect("UTF-8"), &["unpack", tools, root.to_str().expect("UTF-8")]);
    fs::create_dir_all(root.join("usr/local/bin")).expect("made");
    let bash = ["usr/bin/bash", "bin/bash"].map(|name| root.join(name)).into_iter().find(|file| file.exists());
    fs::rename(bash.expect("bash"), root.join("usr/local/bin/bash")).expect("moved");
    let parts = folder.join("parts");
    fs::create_dir(&parts).expect("made");
    let layer = parts.join("layer.tar");
    done("tar", &["-C", root.to_str().expect("UTF-8"), "-cf", layer.to_str().expect("UTF-8"), "."]);
    let sum = |file: &Path| done("sha256sum", &[file.to_str().expect("UTF-8")])[..64].to_owned();
    let arch = done("dpkg", &["--print-architecture"]);
    let config = format!(
        r#"{{"architecture":"{}","os":"linux","config":{{"Cmd":["bash"],"Env":["PATH=/usr/local/bin:/usr/bin:/bin"]}},"rootfs":{{"type":"layers","diff_ids":["sha256:{}"]}},"history":[{{"created_by":"test"}}]}}"#,
        arch.trim(),
        sum(&layer)
    );
    fs::write(parts.join("config.json"), config).expect("written");
    let name = format!("{}.json", sum(&parts.join("config.json")));
    fs::rename(parts.join("config.json"), parts.join(&name)).expect("renamed");
    let manifest = format!(r#"[{{"Config":"{name}","RepoTags":["bash:latest"],"Layers":["layer.tar"]}}]"#);
    fs::write(parts.join("manifest.json"), manifest).expect("written");
    let archive = folder.join("bash.tar");
    done(
        "tar",
        &[
            "-C",
            parts.to_str().expect("UTF-8"),
            "-cf",
            archive.to_str().expect("UTF-8"),
            "manifest.json",
            &name,
            "layer.tar",
        ],
    );
    archive
}
