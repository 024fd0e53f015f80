//! Docker's verbs, beside the real docker on the same image.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

mod hub;

use chain::testing::needs;
use hub::{Access, Docker, Layout, Packed, Registry, Stage, host_architecture, tar_of};
use rs_rootfs::digest::Digest;
use std::process::Command;

/// One header as it stands in the archive, contents hashed.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    name: String,
    kind: char,
    fields: String,
    mtime: u64,
    contents: String,
}

/// The entries of an archive, and how many bytes follow the last.
fn entries(tar: &[u8]) -> (Vec<Entry>, usize) {
    let mut found = Vec::new();
    let mut at = 0;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_matches(['\0', ' ']).to_owned();
    while tar[at] != 0 {
        let head = &tar[at..at + 512];
        let size = usize::from_str_radix(&text(&head[124..136]), 8).expect("octal");
        let contents = &tar[at + 512..at + 512 + size];
        let fields = [&head[100..124], &head[157..345], &head[345..512]].map(|part| part.escape_ascii().to_string());
        let kind = char::from(head[156]);
        found.push(Entry {
            name: text(&head[..100]),
            kind,
            fields: fields.concat(),
            mtime: u64::from_str_radix(&text(&head[136..148]), 8).expect("octal"),
            contents: if kind == 'x' { contents.escape_ascii().to_string() } else { Digest::of(contents).to_string() },
        });
        at += 512 + size.next_multiple_of(512);
    }
    (found, tar.len() - at)
}

/// Layers in which there is one of everything.
fn layers() -> Vec<(Vec<u8>, Packed)> {
    let long = format!("{}/{}", "d".repeat(90), "f".repeat(90));
    let lower = tar_of(&format!(
        "mkdir -p bin etc/sub dev/pts opq/deep home proc sys usr/lib {folder}; ln -s usr/lib lib; echo old >opq/deep/old; \
         echo hosts >etc/hosts; ln -s ../run/resolv.conf etc/resolv.conf; echo root:x:0:0::/:/bin/sh >etc/passwd; \
         echo gone >home/gone; echo a >home/a; ln home/a home/b; ln -s a home/link; mkfifo home/pipe; \
         mknod home/char c 1 3; mknod home/block b 7 200; mknod dev/console c 5 1; echo s >bin/su; chmod 4755 bin/su; chmod 700 dev; \
         mkdir -m 1777 tmp; : >{long}; echo x >'home/\u{e9}'; ln -s {long} home/long; chown 3000000:70000 home/b; \
         truncate -s 1M home/sparse; echo data >>home/sparse; echo c >bin/ping; setcap cap_net_raw+ep bin/ping",
        folder = "d".repeat(90),
    ));
    let upper = tar_of(
        "mkdir -p opq home lib2 usr/lib; : >opq/.wh..wh..opq; echo new >opq/new; : >home/.wh.gone; echo lib >usr/lib/added; \
         mkdir -m 711 etc; ln -s /usr/lib lib2/there",
    );
    vec![(lower, Packed::Gzip), (upper, Packed::Gzip)]
}

/// The same image for both.
fn image(stage: &Stage) -> (Registry, String) {
    let registry = Registry::start(stage, Access::Everybody);
    let layout = Layout::new(stage.join("layout"));
    let start = r#"{"Cmd":["sh"],"WorkingDir":"/srv/a","Volumes":{"/vol":{}},"Env":["A=b"]}"#;
    let image = layout.image(host_architecture(), start, &layers());
    let empty = layout.image(host_architecture(), "{}", &[(tar_of("mkdir x; ln -s x etc; echo x >x/f"), Packed::Gzip)]);
    layout.tag(&[("it", &image), ("empty", &empty)]);
    registry.push(&layout, "it", "it:1");
    registry.push(&layout, "empty", "empty:1");
    let name = format!("{}/it:1", registry.host());
    (registry, name)
}

fn bytes(mut command: Command) -> Vec<u8> {
    let output = command.output().expect("it starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

#[test]
fn the_same_archive_and_the_same_answers() {
    needs!("root", "dockerd", "docker", "docker-registry", "skopeo", "setcap");
    let stage = Stage::new();
    let (registry, name) = image(&stage);
    let docker = Docker::start(&stage);
    let empty = format!("{}/empty:1", registry.host());
    assert_eq!(docker.run(&["pull", "-q", &name]).status, 0);
    assert_eq!(docker.run(&["pull", "-q", &empty]).status, 0);
    assert_eq!(stage.docker(["create", "--name", "first", &name]).status, 0);
    assert_eq!(docker.run(&["create", "--name", "first", &name]).status, 0);
    for options in [vec![&*name], vec!["-w", "/lib/new/deep", &name, "x"], vec![&*empty, "sh"]] {
        let arguments: Vec<&str> = std::iter::once("create").chain(options.iter().copied()).collect();
        let (ours, theirs) = (stage.docker(&arguments), docker.run(&arguments));
        assert_eq!((ours.status, ours.stdout.len()), (theirs.status, theirs.stdout.len()), "{ours:?} {theirs:?}");
        let mut export = stage.command(stage.join("docker"));
        export.args(["export", ours.stdout.trim()]);
        let (ours, our_rest) = entries(&bytes(export));
        let mut export = docker.command();
        export.args(["export", theirs.stdout.trim()]);
        let (theirs, their_rest) = entries(&bytes(export));
        assert_eq!(our_rest, their_rest);
        same(&ours, &theirs);
    }
    answers(&stage, &docker, &name, &empty);
}

/// All but the times of what was made just now, in two places.
fn same(ours: &[Entry], theirs: &[Entry]) {
    let names = |entries: &[Entry]| entries.iter().map(|it| format!("{} {}", it.kind, it.name)).collect::<Vec<_>>();
    assert_eq!(names(ours), names(theirs));
    for (our, their) in ours.iter().zip(theirs) {
        let now = our.mtime > 1_700_000_000 && their.mtime > 1_700_000_000;
        assert!(now || our.mtime == their.mtime, "{our:?} {their:?}");
        // Docker asks its host for the names of owners; ours are empty.
        assert_eq!((&our.fields, &our.contents), (&their.fields, &their.contents), "{}", our.name);
    }
}

/// Values that concern the running container: docker's client refuses most of
/// these, and takes the last.
const FORMS: [&str; 47] = [
    "--dns=bad",
    "--dns=",
    "--link=a:b:c",
    "--link=",
    "--env-file=/nonexistent",
    "--label-file=/nonexistent",
    "--volume=",
    "--volume=/a:/b:ro:x",
    "--network=",
    "--net=",
    "--device=bad",
    "--device=:/x",
    "--device=/dev/null:x",
    "--device=/dev/null:/x:q",
    "--device=/dev/null:/x:rr",
    "--device=/a:/b:r:w",
    "--memory-swappiness=101",
    "--memory-swappiness=-2",
    "--health-interval=-1s",
    "--health-retries=-1",
    "--pid=bad",
    "--pid=container:",
    "--uts=bad",
    "--userns=bad",
    "--cgroupns=bad",
    "--restart=on-failure:x",
    "--security-opt=bad",
    "--security-opt=a=",
    "--storage-opt=x",
    "--publish=x:80",
    "--publish=80/foo",
    "--publish=1:2:3",
    "--publish=1.2.3.4:2:x",
    "--publish=1.2.3.4:80:80",
    "--publish=[::1]:80:80/udp",
    "--publish=::80",
    "--publish=80-81:90-91",
    "--expose=80-90/tcp",
    "--device=/dev/null:/x:rwm",
    "--device=/dev/null:rw",
    "--restart=on-failure:3",
    "--security-opt=seccomp=unconfined",
    "--security-opt=no-new-privileges",
    "--pid=host",
    "--volume=/a:/b:ro",
    "--health-interval=1s",
    "--label-file=/dev/null",
];

/// What both print and how they end.
fn answers(stage: &Stage, docker: &Docker, name: &str, empty: &str) {
    let repository = name.split(':').take(2).collect::<Vec<_>>().join(":");
    let cases: Vec<Vec<&str>> = vec![
        vec!["create"],
        vec!["create", "--bogus", name],
        vec!["create", "-h"],
        vec!["create", "--name"],
        vec!["create", "--pull", "often", name],
        vec!["create", "-e", "=x", name],
        vec!["create", "-m", "x", name],
        vec!["create", "--cpu-shares", "x", name],
        vec!["create", "--init=x", name],
        vec!["create", "-p", "x", name],
        vec!["create", "--name", "-x", name],
        vec!["create", "--name", "x", name],
        vec!["create", "-w", "relative", name],
        vec!["create", "-w", "/home/a", name],
        vec!["create", "--platform", "linux/amd64/v1/x", name],
        vec!["create", "--platform", "nonsense", name],
        vec!["create", "--cidfile", "/nonexistent/x", name],
        vec!["create", "--cidfile", "/etc/passwd", name],
        vec!["create", "--pull", "never", "nosuch"],
        vec!["create", "BASH"],
        vec!["create", ""],
        vec!["create", "a//b"],
        vec!["create", "a@sha256:12"],
        vec!["create", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"],
        vec!["create", empty],
        vec!["create", "--entrypoint", "", name],
        vec!["create", "--entrypoint", "", empty],
        vec!["container", "create"],
        vec!["export"],
        vec!["export", "a", "b"],
        vec!["export", ""],
        vec!["export", "nosuch"],
        vec!["export", "nosuch", "-o", "/nonexistent/x"],
        vec!["export", "-o", "/tmp", "first"],
        vec!["export", "-o", "/dev/null", "first"],
        vec!["container", "export"],
        vec!["rm"],
        vec!["rm", "nosuch"],
        vec!["rm", "-f", "nosuch"],
        vec!["rm", "-fv", "nosuch", ""],
        vec!["rm", ""],
        vec!["rm", "-l", "first"],
        vec!["rm", "-x"],
        vec!["nosuch"],
        vec!["container", "nosuch"],
        vec!["create", "--name", "first", name],
        vec!["rm", "/first", "nosuch"],
        vec!["rm", "first"],
        vec!["create", "--name", "second", "--env-file", "/dev/null", "-itp", "1:2", &repository],
        vec!["create", "-it", "--rm", "--name=third", "-v/a:/b", "-l", "a=b", "--tmpfs", "/x", name, "--", "-x"],
        vec!["rm", "-vf", "third"],
    ];
    let env = stage.join("env");
    std::fs::write(&env, "# none\n\nA=b\nB\n =x\n").expect("a file");
    let spaced = stage.join("spaced");
    std::fs::write(&spaced, "a b=c\n").expect("a file");
    let files = [&env, &spaced].map(|file| format!("--env-file={}", file.display()));
    let forms = FORMS.iter().copied().chain(files.iter().map(String::as_str)).map(|form| vec!["create", form, name]);
    let _socket = std::os::unix::net::UnixListener::bind(stage.join("socket")).expect("a socket");
    std::fs::write(stage.join("file"), "old").expect("a file");
    nix::unistd::mkfifo(&stage.join("pipe"), nix::sys::stat::Mode::S_IRUSR).expect("a pipe");
    for (name, to) in [("link", "file"), ("loose", "nowhere"), ("folder", ".")] {
        std::os::unix::fs::symlink(to, stage.join(name)).expect("a link");
    }
    let targets = ["file", "link", "loose", "folder", "pipe", "socket", "file/", "folder/", "file/x", "./", "new/"];
    let targets = targets.map(|name| format!("{}/{name}", stage.join("").display()).replace("//", "/"));
    let targets = targets.iter().map(|target| vec!["export", "-o", target, "nosuch"]);
    let mut different = Vec::new();
    for case in cases.into_iter().chain(forms).chain(targets) {
        let (ours, theirs) = (stage.docker(&case), docker.run(&case));
        let digits = |text: &str| {
            text.split_whitespace()
                .map(|w| if w.trim_matches(['"', '.']).len() == 64 { "ID" } else { w }.to_owned())
                .collect::<Vec<_>>()
        };
        let ours = (ours.status, digits(&ours.stdout), digits(&ours.stderr));
        let theirs = (theirs.status, digits(&theirs.stdout), digits(&theirs.stderr));
        let said = ours.2 == theirs.2 || case.contains(&&*repository);
        if (ours.0, &ours.1) != (theirs.0, &theirs.1) || !said {
            different.push(format!("{case:?}\n  ours {ours:?}\n  docker {theirs:?}"));
        }
    }
    assert!(different.is_empty(), "{}", different.join("\n"));
}
