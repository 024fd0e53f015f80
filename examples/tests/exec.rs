//! How the next program is found, what it inherits, and the status where it is
//! not started: as execvp(3) of glibc and POSIX's shell have it. rs-unshare
//! without options changes nothing, so it is the exec of every link alone.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

use chain::testing::{Ran, Scratch, bin, inject, needs, run};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

/// Folders `a` and `b` with what a search may meet.
fn stage() -> Scratch {
    let scratch = Scratch::new();
    let loader = fs::read("/bin/true").expect("an ELF file");
    let at = loader.windows(8).position(|bytes| bytes == b"/lib64/l").expect("its loader");
    let no_loader = [&loader[..at], b"/lib64/x", &loader[at + 8..]].concat();
    let files: [(&str, &[u8], u32); 9] = [
        ("a/both", b"#!/bin/sh\necho a\n", 0o644),
        ("b/both", b"#!/bin/sh\necho b\n", 0o755),
        ("a/closed", b"#!/bin/sh\n", 0o644),
        ("a/plain", b"echo \"$0 $*\"\n", 0o755),
        ("a/no-interpreter", b"#!/no/such/program -x\n", 0o755),
        ("a/no-loader", &no_loader, 0o755),
        ("b/no-loader", b"echo another\n", 0o755),
        ("a/of-a-folder", b"#!/tmp\n", 0o755),
        ("file", b"", 0o755),
    ];
    for folder in ["a", "b", "a/folder"] {
        fs::create_dir(scratch.join(folder)).expect("a new folder");
    }
    let script = format!("#!{}\n", scratch.join("a/no-loader").display());
    for (name, contents, mode) in files.into_iter().chain([("b/script-of-it", script.as_bytes(), 0o755)]) {
        fs::write(scratch.join(name), contents).expect("written");
        fs::set_permissions(scratch.join(name), fs::Permissions::from_mode(mode)).expect("chmod");
    }
    symlink("round", scratch.join("round")).expect("a new link");
    symlink("loop", scratch.join("a/loop")).expect("a new link");
    symlink("/no/such/file", scratch.join("a/dangling")).expect("a new link");
    scratch
}

/// Runs `program x` from folder `a`; `@` in PATH is the stage.
fn search(scratch: &Scratch, program: &str, path: &str) -> Ran {
    let path = path.replace('@', &scratch.path().display().to_string());
    let mut command = Command::new(bin("rs-unshare"));
    command.args([program, "x"]).current_dir(scratch.join("a")).stdin(Stdio::null());
    command.env("PATH", path).env("LC_ALL", "C").output().expect("it starts").into()
}

#[test]
fn the_search_through_path() {
    let scratch = stage();
    let here = scratch.path().display().to_string();
    let long = "n".repeat(256);
    let folder = format!("/{}:@/a", "n".repeat(5000));
    // The program, PATH, the status, what is said, on either.
    let cases: &[(&str, &str, i32, &str)] = &[
        // A file that may not be executed is passed over, and remembered.
        ("both", "@/a:@/b", 0, "b"),
        ("closed", "@/a:@/b", 126, "Permission denied"),
        ("folder", "@/a:@/b", 126, "Permission denied"),
        ("nothing", "@/a:@/b", 127, "No such file or directory"),
        // An empty element is the working folder, also at the end, also alone.
        ("plain", "", 0, "plain x"),
        ("plain", ":@/b", 0, "plain x"),
        ("plain", "@/b:", 0, "plain x"),
        ("plain", "@/b::@/b", 0, "plain x"),
        ("plain", "@/b", 127, "No such file or directory"),
        // A script without #! is the shell's, which gets its path.
        ("plain", "@/a", 0, "@/a/plain x"),
        ("./plain", "@/b", 0, "./plain x"),
        // What names something that is missing is not found; another one may be.
        ("no-interpreter", "@/a", 127, "names /no/such/program, which does not"),
        ("no-loader", "@/a", 127, "its ELF loader is /lib64/x"),
        ("no-loader", "@/a:@/b", 0, "another"),
        ("script-of-it", "@/b", 127, "a/no-loader exists, but its ELF loader is /lib64/x"),
        ("of-a-folder", "@/a", 126, "Permission denied"),
        ("dangling", "@/a", 127, "No such file or directory"),
        // A loop and a name that is too long end the search.
        ("loop", "@/a", 126, "Too many levels of symbolic links"),
        ("plain", "@/round:@/a", 126, "Too many levels of symbolic links"),
        (&long, "@/a", 126, "File name too long"),
        // What is no folder, or too long a name of one, is passed over.
        ("plain", "@/file:@/a", 0, "@/a/plain x"),
        ("plain", "@/nothing:@/a", 0, "@/a/plain x"),
        ("plain", &folder, 0, "@/a/plain x"),
        ("", "@/a", 127, "No such file or directory"),
        ("/", "@/a", 126, "Permission denied"),
    ];
    for (program, path, status, said) in cases {
        let ran = search(&scratch, program, path);
        let said = said.replace('@', &here);
        let all = format!("{}{}", ran.stdout, ran.stderr);
        assert_eq!(ran.status, *status, "{program} in {path}: {all}");
        assert!(all.contains(&said), "{program} in {path}: {said}: {all}");
        assert_eq!(*status == 0, ran.stderr.is_empty(), "{program} in {path}: {all}");
    }
}

#[test]
fn without_path_the_systems_folders_are_searched() {
    let mut command = Command::new(bin("rs-unshare"));
    assert!(command.args(["true"]).env_clear().status().expect("it starts").success());
}

#[test]
fn what_the_kernel_refuses_is_found_but_not_started() {
    needs!("strace");
    for (errno, text) in [
        ("E2BIG", "Argument list too long"),
        ("ETXTBSY", "Text file busy"),
        ("ENOMEM", "Cannot allocate memory"),
        ("EIO", "Input/output error"),
        ("EPERM", "Operation not permitted"),
    ] {
        // strace may count the call by which it starts us, or not.
        let ran = [1, 2].map(|when| inject(&bin("rs-unshare"), &["/bin/echo", "ran"], "execve", errno, when));
        let ran = ran.into_iter().find(|ran| ran.status == 126).expect("a refusal");
        let expected = format!("rs-unshare: failed to execute /bin/echo: {text}\n");
        assert_eq!((ran.stdout.as_str(), ran.stderr), ("", expected));
    }
}

/// Prints what a program got; `before` is run by the shell that starts it.
fn inherited(before: &str, tool: &Path) -> (String, String) {
    // The pipes of two runs have other numbers.
    let files = r"ls -l /proc/self/fd | sed -n 's/\[[0-9]*\]//; s/.* \([0-9]* ->\)/\1/p' | grep -v /proc/";
    let show = format!("grep -E '^(Sig(Ign|Blk)|Umask)' /proc/self/status; {files}; pwd");
    let ask = |tool: &str| run("bash", ["-c", &format!("{before}; exec {tool} bash -c \"$0\""), &show]).stdout;
    (ask(""), ask(&format!("'{}'", tool.display())))
}

#[test]
fn the_program_gets_what_the_tool_got() {
    for before in [
        "trap '' PIPE",
        "trap '' INT HUP USR1",
        "exec 5</etc/passwd 7</etc/passwd",
        "exec 0<&-",
        "exec 0<&- 2<&-",
        "exec 2>&-",
        "umask 027",
        "cd /usr",
        ":",
    ] {
        let (direct, through) = inherited(before, &bin("rs-unshare"));
        assert!(direct.contains("SigIgn"), "{before}: {direct}");
        assert_eq!(through, direct, "{before}");
    }
}

#[test]
fn words_and_variables_are_handed_on_byte_for_byte() {
    // Bytes that are no UTF-8, a variable without =, and one twice.
    let script = r#"import os, sys
env = {b"A": b"\xff", b"PATH": b"/usr/bin:/bin"}
pid = os.fork()
if pid == 0:
    os.execve(sys.argv[1], [b"x", b"printf", b"%s|", b"\xff\xfe", b"", b"a b", b"--", b"-x"], env)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))"#;
    needs!("python3");
    let tool = bin("rs-unshare");
    let output = Command::new("python3").arg("-c").arg(script).arg(&tool).output().expect("it starts");
    assert_eq!(output.stdout, b"\xff\xfe||a b|--|-x|", "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn an_empty_name_is_the_compiled_in_one() {
    needs!("bash");
    let tool = bin("rs-unshare");
    for (name, shown) in [("''", "rs-unshare"), ("/a/b", "b"), ("-x", "-x")] {
        let ran = run("bash", ["-c", &format!("exec -a {name} '{}' --bogus", tool.display())]);
        let expected = format!("{shown}: unrecognized option '--bogus'\nTry '{shown} --help' for more information.\n");
        assert_eq!((ran.status, ran.stderr), (1, expected));
    }
}

#[test]
fn what_cannot_be_printed_is_said() {
    for tool in ["rs-unshare", "rs-cgexec", "rs-capsh", "rs-mountdev", "rs-rootfs", "rs-uuidgen"] {
        let ran = run("sh", ["-c", &format!("'{}' --help >/dev/full", bin(tool).display())]);
        assert_ne!(ran.status, 0, "{tool}");
        assert_eq!(ran.stderr, format!("{tool}: write error: No space left on device\n"));
        let ran = run("sh", ["-c", &format!("'{}' --help >&-", bin(tool).display())]);
        assert_eq!((ran.status == 0, ran.stderr), (false, format!("{tool}: write error: Bad file descriptor\n")));
    }
}

#[test]
fn the_environment_asks_every_link_for_its_trace() {
    let tool = bin("rs-unshare").display().to_string();
    let ask = |word: &str| {
        let mut command = Command::new(&tool);
        // A folder that we may not look into would be tried too, and shown.
        command.args([&tool, "echo", "x"]).env("RS_TRACE", word).env("PATH", "/usr/bin:/bin").stdin(Stdio::null());
        Ran::from(command.output().expect("it starts"))
    };
    for (word, traced, explained) in [("trace", 2, 0), ("explain", 2, 2), ("", 0, 0), ("1", 0, 0), ("TRACE", 0, 0)] {
        let ran = ask(word);
        let count = |begin: &str| ran.stderr.lines().filter(|line| line.starts_with(begin)).count();
        assert_eq!((ran.status, ran.stdout.as_str()), (0, "x\n"), "{word}: {}", ran.stderr);
        assert_eq!((count("execve("), count("# ")), (traced, explained), "{word}: {}", ran.stderr);
    }
}
