//! What was there before `rs-rootfs unpack`: what it hands down to new things
//! is undone, and a failure leaves it as it was.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

use chain::testing::{Ran, Scratch, bin, needs, run};
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// Runs `script` in the folder; `$R` is the program, `as_user` runs what
/// follows as nobody.
fn sh(scratch: &Scratch, script: &str) -> Ran {
    run("sh", ["-c", &script_for(scratch, script)])
}

fn script_for(scratch: &Scratch, script: &str) -> String {
    let prologue = format!(
        "cd {}; R={}; as_user() {{ setpriv --reuid=65534 --regid=65534 --clear-groups -- \"$@\"; }}
        picture() {{ (cd \"$1\" && find . -mindepth 1 -printf '%P %y %m %U:%G\\n' | sort && getfattr -Rd -m- *); }}
        about() {{ stat -c '%n %a %U:%G %y' \"$@\"; getfattr -d -m- \"$@\"; }}",
        scratch.path().display(),
        bin("rs-rootfs").display()
    );
    format!("{prologue}\n{script}")
}

/// An archive `t.tar` of every kind of thing, below a folder that has no entry
/// in `n.tar`, and `cut.tar`, which ends too early.
fn archives(scratch: &Scratch) {
    let script = "mkdir t && cd t && mkdir -p a/b && echo text >a/file && chmod 604 a/file && echo text >a/b/set
        chmod 4755 a/b/set && chmod 700 a/b && chmod 751 a && mkfifo a/pipe && chmod 606 a/pipe && ln -s file a/link
        head -c 100000 /dev/zero >a/large && chmod 666 a/large
        test \"$(id -u)\" != 0 || { mknod a/null c 1 3 && chmod 666 a/null; }
        tar -cf ../t.tar a && tar -cf ../n.tar a/b/set && head -c 3000 ../t.tar >../cut.tar";
    let ran = sh(scratch, script);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o777)).expect("ours");
}

#[test]
fn a_full_standard_output_leaves_nothing() {
    let scratch = Scratch::new();
    archives(&scratch);
    let ran = sh(&scratch, "$R unpack --json n.tar d >/dev/full; echo $?; ls -A");
    assert_eq!(ran.stdout, "1\ncut.tar\nn.tar\nt\nt.tar\n", "{}", ran.stderr);
}

#[test]
fn a_folder_that_cannot_be_read_is_not_taken_for_empty() {
    needs!("root", "strace", "timeout");
    let scratch = Scratch::new();
    archives(&scratch);
    let script = "mkdir d; timeout -s KILL 10 strace -f -o /dev/null -e inject=getdents64:error=EIO $R unpack t.tar d; echo $?; ls d";
    let ran = sh(&scratch, script);
    assert_eq!(ran.stdout, "1\n", "{}", ran.stderr);
    assert!(ran.stderr.contains("d: Input/output error"), "{}", ran.stderr);
}
