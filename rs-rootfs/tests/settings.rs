//! `config`: settings, however they are written down.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

mod hub;

use chain::testing::{Ran, bin, inject, needs};
use hub::{Fault, Proxy, Stage};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

fn set(stage: &Stage, key: &str, value: &str) {
    let ran = stage.run(["config", "set", key, value]);
    assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", ""), "{key}={value}");
}

fn write(stage: &Stage, text: &str) -> std::path::PathBuf {
    let file = stage.join("config/rs-rootfs/config.toml");
    fs::create_dir_all(file.parent().expect("a folder")).expect("folders");
    fs::write(&file, text).expect("a file");
    file
}

#[test]
fn a_key_is_changed_wherever_it_stands() {
    let stage = Stage::new();
    let forms = [
        "mirrors.docker.io = \"old\" # why\n",
        "[mirrors]\ndocker.io = \"old\" # why\n",
        "[mirrors]\n\"docker.io\" = \"old\" # why\n",
        "[mirrors.docker]\nio = \"old\" # why\n",
        "mirrors = { \"docker.io\" = [\"old\"] } # why\n",
        "\"mirrors.docker.io\" = \"old\" # why\nmirrors.docker.io = \"older\"\n",
    ];
    for form in forms {
        let file = write(&stage, &format!("# mine\njobs = 2\n{form}"));
        set(&stage, "mirrors.docker.io", "new");
        let text = fs::read_to_string(&file).expect("there");
        assert_eq!(stage.run(["config"]).stdout, "jobs = 2\nmirrors.docker.io = new\n", "{text}");
        assert!(text.starts_with("# mine\njobs = 2\n") && text.contains("# why") && !text.contains("old"), "{text}");
        set(&stage, "mirrors.docker.io", "");
        assert_eq!(stage.run(["config"]).stdout, "jobs = 2\n", "{}", fs::read_to_string(&file).expect("there"));
        set(&stage, "mirrors.docker.io", "again");
        assert_eq!(stage.run(["config", "get", "mirrors.docker.io"]).stdout, "again\n");
    }
}

#[test]
fn a_link_stays_one_and_permissions_stay() {
    let stage = Stage::new();
    let file = write(&stage, "");
    fs::remove_file(&file).expect("ours");
    fs::create_dir(stage.join("dotfiles")).expect("new");
    symlink("../../middle", &file).expect("a link");
    symlink("dotfiles/mine", stage.join("middle")).expect("a link");
    // Also where the file is still to be made.
    set(&stage, "jobs", "3");
    let mine = stage.join("dotfiles/mine");
    assert_eq!(fs::read_to_string(&mine).expect("there"), "jobs = 3\n");
    fs::set_permissions(&mine, fs::Permissions::from_mode(0o644)).expect("ours");
    set(&stage, "jobs", "4");
    assert_eq!(fs::read_to_string(&mine).expect("there"), "jobs = 4\n");
    assert_eq!(fs::metadata(&mine).expect("there").permissions().mode() & 0o777, 0o644);
    assert!(fs::symlink_metadata(&file).expect("there").is_symlink() && stage.join("middle").is_symlink());
    assert_eq!(fs::read_dir(stage.join("dotfiles")).expect("there").count(), 1);
}

#[test]
fn of_many_at_once_none_is_lost() {
    let stage = Stage::new();
    let children: Vec<_> = (0..16)
        .map(|i| {
            let mut command = stage.command(bin("rs-rootfs"));
            command.args(["config", "set", &format!("mirrors.h{i}.example"), "m"]).spawn().expect("it starts")
        })
        .collect();
    for mut child in children {
        assert!(child.wait().expect("a child").success());
    }
    assert_eq!(stage.run(["config"]).stdout.lines().count(), 16);
}

#[test]
fn what_fails_leaves_all_as_it_was() {
    needs!("strace");
    let stage = Stage::new();
    let file = write(&stage, "jobs = 2\n");
    let env = format!("XDG_CONFIG_HOME={}", stage.join("config").display());
    let tool = bin("rs-rootfs").display().to_string();
    for (call, errno) in [("pwrite64", "ENOSPC"), ("fsync", "EIO"), ("renameat2", "EROFS"), ("fchmodat", "EPERM")] {
        let ran = inject(Path::new("/usr/bin/env"), &[&env, &tool, "config", "set", "jobs", "3"], call, errno, 1);
        assert_eq!((ran.status, ran.stderr.lines().count()), (1, 1), "{call}: {ran:?}");
        assert_eq!(fs::read_to_string(&file).expect("there"), "jobs = 2\n");
        assert_eq!(fs::read_dir(file.parent().expect("a folder")).expect("there").count(), 1, "{call}");
    }
}

/// Other users' homes, and what is no folder, hold nothing for us; what is
/// there and cannot be read is told.
#[test]
fn a_home_that_cannot_be_read() {
    needs!("root", "setpriv");
    let stage = Stage::new();
    let proxy = Proxy::start(1, Fault::Always(404, "", Vec::new()));
    fs::create_dir_all(stage.join("home/.docker")).expect("folders");
    fs::write(stage.join("home/.docker/config.json"), "no JSON").expect("a file");
    let run = |home: &str, words: &[&str]| -> Ran {
        let mut command = stage.command("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]).arg(bin("rs-rootfs")).args(words);
        command.env("HOME", home).env("RS_ROOTFS_STORE", stage.join("open/store")).env_remove("XDG_CONFIG_HOME");
        command.env_remove("XDG_RUNTIME_DIR").output().expect("it starts").into()
    };
    for folder in ["", "open"] {
        fs::create_dir_all(stage.join(folder)).expect("a folder");
        fs::set_permissions(stage.join(folder), fs::Permissions::from_mode(0o777)).expect("ours");
    }
    let out = stage.join("open/out").display().to_string();
    let source = format!("docker://{}/a", proxy.host());
    let home = stage.join("home").display().to_string();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).expect("ours");
    for home in [home.as_str(), "/dev/null"] {
        let ran = run(home, &["config"]);
        assert_eq!((ran.status, ran.stdout.as_str(), ran.stderr.as_str()), (0, "", ""), "{home}");
        let ran = run(home, &["unpack", &source, &out]);
        assert!(ran.status == 1 && ran.stderr.contains("404"), "{home}: {ran:?}");
    }
    fs::set_permissions(&home, fs::Permissions::from_mode(0o755)).expect("ours");
    fs::set_permissions(stage.join("home/.docker/config.json"), fs::Permissions::from_mode(0o600)).expect("ours");
    let ran = run(&home, &["unpack", &source, &out]);
    assert!(ran.status == 1 && ran.stderr.contains(".docker/config.json: Permission denied"), "{ran:?}");
}
