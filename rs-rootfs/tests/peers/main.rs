//! The trees that we and our peers make of the same archives and images:
//! types, modes, owners, sizes, contents, links, groups of hard links, times,
//! attributes, devices. What a peer does not keep is named here.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

#[path = "../hub/mod.rs"]
mod hub;
mod made;
mod tree;

use chain::testing::{Ran, needs, run};
use hub::{Access, Docker, Layout, Packed, Registry, Stage, host_architecture};
use std::path::{Path, PathBuf};
use tree::{Tree, differences};

/// Our tree of `source`.
fn ours(stage: &Stage, source: &str, name: &str) -> Tree {
    let ran = stage.unpack(source, name);
    assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", ""), "{source}");
    tree::read(&stage.join(name))
}

/// A layout with an image of these layers, tagged `it`.
fn layout(stage: &Stage, name: &str, layers: Vec<Vec<u8>>) -> Layout {
    let layout = Layout::new(stage.join(name));
    let layers: Vec<_> = layers.into_iter().map(|tar| (tar, Packed::Gzip)).collect();
    let image = layout.image(host_architecture(), r#"{"Cmd":["sh"]}"#, &layers);
    layout.tag(&[("it", &image)]);
    layout
}

fn same(what: &str, ours: &Tree, theirs: &Tree) {
    let different = differences(ours, theirs);
    assert!(different.is_empty(), "{what}: {} of {}\n{}", different.len(), ours.len(), different.join("\n"));
}

/// Theirs of the plain archive `tar`, by GNU tar.
fn by_tar(stage: &Stage, tar: &Path, name: &str) -> Tree {
    let folder = stage.join(name);
    std::fs::create_dir(&folder).expect("new");
    let words = ["--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpf"].map(AsRef::as_ref);
    let ran = run("tar", words.into_iter().chain([tar.as_os_str(), "-C".as_ref(), folder.as_os_str()]));
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    tree::read(&folder)
}

#[test]
fn gnu_tar_makes_the_same() {
    needs!("root", "tar", "setfattr", "setcap", "dpkg-query");
    let stage = Stage::new();
    for (name, bytes) in [("made", made::archive()), ("system", made::system())] {
        let tar = stage.join(name);
        std::fs::write(&tar, bytes).expect("a file");
        let theirs = by_tar(&stage, &tar, &format!("{name}.theirs"));
        assert!(theirs.len() > if name == "made" { 130 } else { 1500 }, "{}", theirs.len());
        same(name, &ours(&stage, &tar.display().to_string(), &format!("{name}.ours")), &theirs);
    }
}

/// umoci's tree of the layout's image.
fn by_umoci(stage: &Stage, layout: &Layout, name: &str) -> Tree {
    let bundle = stage.join(name);
    let image = format!("{}:it", layout.path.display());
    let words = ["unpack", "--image", &image].map(AsRef::as_ref);
    let ran = run("umoci", words.into_iter().chain([bundle.as_os_str()]));
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    tree::read(&bundle.join("rootfs"))
}

#[test]
fn umoci_makes_the_same() {
    needs!("root", "umoci", "setfattr", "setcap", "dpkg-query");
    let stage = Stage::new();
    for (name, layers) in [("made", made::layers().to_vec()), ("system", vec![made::system()])] {
        let layout = layout(&stage, name, layers);
        let theirs = by_umoci(&stage, &layout, &format!("{name}.theirs"));
        let source = format!("oci:{}:it", layout.path.display());
        same(name, &ours(&stage, &source, &format!("{name}.ours")), &theirs);
    }
}

/// What `docker export` says of a tree: whole seconds, no attributes but
/// capabilities; and what a container's start puts there.
fn as_exported(mut tree: Tree) -> Tree {
    for path in [".dockerenv", "etc/hosts", "etc/hostname", "etc/resolv.conf", "etc/mtab", "dev/console"] {
        tree.remove(path);
    }
    for path in ["dev", "dev/pts", "dev/shm", "etc", "proc", "sys"] {
        // Made or touched when the container was.
        tree.remove(path);
    }
    for entry in tree.values_mut() {
        entry.mtime = (if (0..1 << 33).contains(&entry.mtime.0) { entry.mtime.0 } else { 0 }, 0);
        entry.attributes.retain(|(name, _)| name == "security.capability");
    }
    // The root has no entry.
    tree.remove(".");
    tree
}

/// The archive in `file`, as `tar -x` makes it.
fn exported(stage: &Stage, file: &Path, name: &str) -> Tree {
    as_exported(by_tar(stage, file, name))
}

#[test]
fn docker_export_is_the_same() {
    needs!("root", "dockerd", "docker", "docker-registry", "skopeo", "setfattr", "setcap", "dpkg-query");
    let stage = Stage::new();
    let registry = Registry::start(&stage, Access::Everybody);
    let docker = Docker::start(&stage);
    for (name, layers) in [("made", made::layers().to_vec()), ("system", vec![made::system()])] {
        let layout = layout(&stage, name, layers);
        registry.push(&layout, "it", &format!("{name}:1"));
        let image = format!("{}/{name}:1", registry.host());
        let pulled = docker.run(&["pull", "-q", &image]);
        assert_eq!(pulled.status, 0, "{}", pulled.stderr);
        let file = |who: &str| -> PathBuf { stage.join(format!("{name}.{who}.tar")) };
        let theirs = {
            let id = docker.run(&["create", &image]).stdout;
            let ran = docker.run(&["export", "-o", &file("docker").display().to_string(), id.trim()]);
            assert_eq!(ran.status, 0, "{}", ran.stderr);
            exported(&stage, &file("docker"), &format!("{name}.docker"))
        };
        let id = stage.docker(["create", &image]).stdout;
        let ran = stage.docker(["export", "-o", &file("ours").display().to_string(), id.trim()]);
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        same(name, &exported(&stage, &file("ours"), &format!("{name}.ours")), &theirs);
        let source = format!("oci:{}:it", layout.path.display());
        same(name, &as_exported(ours(&stage, &source, &format!("{name}.unpacked"))), &theirs);
        // As the daemon hands it out.
        let mut command = stage.command(chain::testing::bin("rs-rootfs"));
        command.env("DOCKER_HOST", format!("unix://{}", docker.socket.display()));
        command.args(["unpack", &format!("docker-daemon:{image}")]).arg(stage.join(format!("{name}.daemon")));
        let ran: Ran = command.output().expect("it starts").into();
        assert_eq!(ran.status, 0, "{}", ran.stderr);
        same(name, &as_exported(tree::read(&stage.join(format!("{name}.daemon")))), &theirs);
    }
}
