//! Scopes: what systemd is asked, and what a host without it says. A thread
//! plays the bus and systemd.
#![allow(clippy::disallowed_methods)]

mod common;

use chain::testing::{Scratch, needs};
use common::{Stage, v2};
use rs_cgexec::dbus::Body;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::PathBuf;
use std::thread::JoinHandle;

/// A message of `kind` with `fields` (code, signature, value) and a body.
fn message(kind: u8, reply_to: Option<u32>, fields: &[(u8, &str, &str)], body: &Body) -> Vec<u8> {
    let mut out = Body(vec![b'l', kind, 0, 1]);
    out.number(u32::try_from(body.0.len()).expect("small"));
    out.number(7);
    out.array(8, |all| {
        let start = |all: &mut Body, code: u8, kind: &str| {
            while !all.0.len().is_multiple_of(8) {
                all.0.push(0);
            }
            all.0.extend_from_slice(&[code, 1, kind.as_bytes()[0], 0]);
        };
        if let Some(serial) = reply_to {
            start(all, 5, "u");
            all.number(serial);
        }
        for (code, kind, value) in fields {
            start(all, *code, kind);
            if *kind == "g" {
                all.0.push(u8::try_from(value.len()).expect("short"));
                all.0.extend_from_slice(value.as_bytes());
                all.0.push(0);
            } else {
                all.string(value);
            }
        }
    });
    while !out.0.len().is_multiple_of(8) {
        out.0.push(0);
    }
    out.0.extend_from_slice(&body.0);
    out.0
}

/// The next whole message: its serial and all of its bytes.
fn next(stream: &mut UnixStream) -> Option<(u32, Vec<u8>)> {
    let mut bytes = vec![0; 16];
    stream.read_exact(&mut bytes).ok()?;
    let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    let (body, serial, fields) = (number(4) as usize, number(8), number(12) as usize);
    let mut rest = vec![0; fields.next_multiple_of(8) + body];
    stream.read_exact(&mut rest).ok()?;
    bytes.extend_from_slice(&rest);
    Some((serial, bytes))
}

/// Answers one client; `groups` are made when the scope is started, whose
/// job ends as `result`. Gives the bytes of the call.
fn systemd(listener: UnixListener, groups: Vec<PathBuf>, result: &'static str) -> JoinHandle<Vec<u8>> {
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a client");
        let mut line = Vec::new();
        let mut byte = [0];
        while !line.ends_with(b"\r\n") {
            stream.read_exact(&mut byte).expect("the greeting");
            line.push(byte[0]);
        }
        assert!(line.starts_with(b"\0AUTH EXTERNAL "), "{line:?}");
        stream.write_all(b"OK 1234\r\n").expect("a listener");
        let mut begin = [0; 7];
        stream.read_exact(&mut begin).expect("BEGIN");
        let mut asked = Vec::new();
        while let Some((serial, bytes)) = next(&mut stream) {
            let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
            if !has("StartTransientUnit") {
                // A signal in between is not taken for an answer.
                let signal =
                    message(4, None, &[(1, "o", "/x"), (2, "s", "x.y"), (3, "s", "NameAcquired")], &Body::default());
                stream.write_all(&signal).expect("a listener");
                stream.write_all(&message(2, Some(serial), &[], &Body::default())).expect("a listener");
                continue;
            }
            for dir in &groups {
                std::fs::create_dir_all(dir).expect("a group");
            }
            let mut job = Body::default();
            job.string("/job/5");
            stream.write_all(&message(2, Some(serial), &[(8, "g", "o")], &job)).expect("a listener");
            for path in ["/job/4", "/job/5"] {
                let mut removed = Body::default();
                removed.number(5);
                removed.string(path);
                removed.string("b.scope");
                removed.string(if path == "/job/5" { result } else { "failed" });
                let fields = [(1, "o", "/m"), (2, "s", "m.M"), (3, "s", "JobRemoved"), (8, "g", "uoss")];
                stream.write_all(&message(4, None, &fields, &removed)).expect("a listener");
            }
            asked = bytes;
        }
        asked
    })
}

#[test]
fn what_systemd_is_asked() {
    needs!("root");
    let stage = Stage::new("scope");
    let scratch = Scratch::new();
    let socket = scratch.join("bus");
    let listener = UnixListener::bind(&socket).expect("a socket");
    let controller = if v2() { "cpu" } else { "freezer" };
    let dir = stage.dir(controller).join("b.scope");
    let systemd = systemd(listener, vec![dir.clone()], "done");
    let bus = format!("export DBUS_SYSTEM_BUS_ADDRESS=unix:path={}", socket.display());
    let out =
        stage.ok(&format!("{bus}; cgcreate -c -a 12:34 -g {controller}:$G/b.scope; stat -c %u:%g {}", dir.display()));
    assert_eq!(out, "12:34\n");
    let asked = systemd.join().expect("the bus");
    let has = |bytes: &[u8]| asked.windows(bytes.len()).any(|window| window == bytes);
    let text = String::from_utf8_lossy(&asked).into_owned();
    for word in ["org.freedesktop.systemd1.Manager", "ssa(sv)a(sa(sv))", "b.scope", "fail", "Description", &stage.group]
    {
        assert!(text.contains(word), "{word}: {text:?}");
    }
    assert!(has(b"Delegate\0\x01b\0"), "{text:?}");
    // The idle process was named, runs, and gives way.
    let at = asked.windows(8).position(|window| window == b"PIDs\0\x02au").expect("PIDs") + 9;
    let at = at.next_multiple_of(4) + 4;
    let pid = u32::from_le_bytes(asked[at..at + 4].try_into().expect("a pid"));
    let proc = PathBuf::from(format!("/proc/{pid}"));
    let name = || String::from_utf8_lossy(&std::fs::read(proc.join("cmdline")).unwrap_or_default()).into_owned();
    while name().contains("cgcreate") {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    assert!(name().starts_with("libcgroup_systemd_idle_thread"), "{}", name());
    stage.ok(&format!("cgclassify -g {controller}:$G/b.scope {pid}; cgexec -r -g {controller}:$G/b.scope true"));
    for _ in 0..200 {
        if name().is_empty() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("the idle process still runs");
}

#[test]
fn a_scope_that_systemd_cannot_start() {
    needs!("root");
    let stage = Stage::new("scope-failed");
    let scratch = Scratch::new();
    let socket = scratch.join("bus");
    let systemd = systemd(UnixListener::bind(&socket).expect("a socket"), Vec::new(), "failed");
    let ran = stage.sh(&format!(
        "export DBUS_SYSTEM_BUS_ADDRESS=unix:path={}; cgcreate -c -p $$ -g cpu:$G/b.scope",
        socket.display()
    ));
    assert_eq!(ran.status, 93, "{}", ran.stderr);
    assert!(ran.stderr.contains("failed"), "{}", ran.stderr);
    systemd.join().expect("the bus");
    assert!(!stage.dir("cpu").exists());
}

#[test]
fn without_systemd() {
    let stage = Stage::new("scope-none");
    for (line, status, message) in [
        ("cgcreate -c -g cpu:a.slice/b.scope", 93, "cannot connect to /nonexistent/bus: No such file or directory"),
        ("cgcreate --scope -p $$ -g cpu:a.slice/b.scope", 93, "cannot connect"),
        ("cgcreate -c -g cpu:b.scope", 91, "want SLICE/SCOPE"),
        ("cgcreate -c -g cpu:a/b/c", 91, "want SLICE/SCOPE"),
        ("cgcreate -c -g cpu:a.slice/memory.scope", 91, "controller"),
        ("cgcreate -c -g cpu:a.slice/bpf-x.scope", 91, "controller"),
        ("cgcreate -c -b -g cpu:a.slice/b.scope", 129, "-b"),
        ("cgcreate -S -g cpu:a.slice/b.scope", 129, "-c"),
        ("cgcreate -p 5 -g cpu:a.slice/b.scope", 129, "-c"),
        ("cgcreate -c -p 1 -g cpu:a.slice/b.scope", 129, "'1'"),
        ("cgcreate -c -p x -g cpu:a.slice/b.scope", 129, "'x'"),
    ] {
        let ran = stage.sh(&format!("export DBUS_SYSTEM_BUS_ADDRESS=unix:path=/nonexistent/bus; {line}"));
        assert_eq!((ran.status, ran.stdout.as_str()), (status, ""), "{line}: {}", ran.stderr);
        assert!(ran.stderr.starts_with("cgcreate: ") && ran.stderr.contains(message), "{line}: {}", ran.stderr);
    }
}
