//! What was there before `rs-rootfs unpack`: what it hands down to new things
//! is undone, and a failure leaves it as it was.
#![allow(clippy::disallowed_methods, reason = "tests set the stage with whatever serves")]

use chain::testing::{Ran, Scratch, against_strace, bin, inject, needs, run, skip};
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

/// An archive `t.tar` of every kind of thing, `flat.tar` without the folder
/// around them, `n.tar` without entries for folders, and `cut.tar`, which ends
/// too early.
fn archives(scratch: &Scratch) {
    let script = "mkdir t && cd t && mkdir -p a/b && echo text >a/file && chmod 604 a/file && echo text >a/b/set
        chmod 4755 a/b/set && chmod 700 a/b && chmod 751 a && mkfifo a/pipe && chmod 606 a/pipe && ln -s file a/link
        head -c 100000 /dev/zero >a/large && chmod 666 a/large
        test \"$(id -u)\" != 0 || { mknod a/null c 1 3 && chmod 666 a/null; }
        test \"$(id -u)\" != 0 || { mkdir -p a/shut/in && chmod 0 a/shut; }
        : >z && tar -C a -cf ../flat.tar b file pipe link large && tar -C a -rf ../flat.tar null shut 2>/dev/null
        tar -cf ../t.tar a z && tar -cf ../n.tar a/b/set && head -c 3000 ../t.tar >../cut.tar";
    let ran = sh(scratch, script);
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o777)).expect("ours");
}

#[test]
fn access_lists_are_not_handed_down() {
    needs!("root", "setfacl", "getfattr");
    let scratch = Scratch::new();
    archives(&scratch);
    let script = "picture t >want; mkdir around there && setfacl -d -m u:12:rwx,g::r-x,o::--- around there || exit
        mkdir there/a there/b && getfattr -d -m- there there/b >before
        $R unpack t.tar around/d && picture around/d | diff want - && getfattr -d -m- around/d
        $R unpack --force t.tar there && mv there/b b && picture there | diff want - && mv b there && rm there/z
        picture t/a >want; $R unpack --force flat.tar there/b && picture there/b | diff want -
        getfattr -d -m- there there/b | diff before -
        mkdir set && chmod 2755 set && chgrp 50 set || exit
        for to in around set; do $R unpack n.tar $to/n && picture $to/n; done";
    let ran = sh(&scratch, script);
    let made = "a d 755 0:0\na/b d 755 0:0\na/b/set f 4755 0:0\n";
    assert_eq!(ran.stdout, made.repeat(2), "{}", ran.stderr);
}

#[test]
fn their_removal_is_traced_as_strace_does() {
    needs!("root", "strace", "setfacl");
    let scratch = Scratch::new();
    archives(&scratch);
    assert_eq!(sh(&scratch, "mkdir d && setfacl -d -m u:12:rwx d").status, 0);
    let (tar, dir) = (scratch.join("t.tar").display().to_string(), scratch.join("d").display().to_string());
    let calls = ["mkdirat", "openat", "mknodat", "lremovexattr", "fremovexattr", "fchmod", "fchmodat"];
    assert_eq!(against_strace(&bin("rs-rootfs"), &["unpack", &tar, &dir], &calls), Vec::<String>::new());
}

#[test]
fn access_lists_are_not_handed_down_to_an_ordinary_user_either() {
    needs!("root", "setfacl", "getfattr", "setpriv");
    let scratch = Scratch::new();
    archives(&scratch);
    let script = "as_user mkdir around && setfacl -d -m u:12:rwx,o::--- around || exit
        as_user $R unpack --quiet t.tar around/d && getfattr -Rd -m- around/d; find around/d -printf '%P %m\n' | sort";
    let ran = sh(&scratch, script);
    let want = " 755\na 751\na/b 700\na/b/set 755\na/file 604\na/large 666\na/link 777\na/null 666\na/pipe 606
a/shut 0\na/shut/in 755\nz 644\n";
    assert_eq!(ran.stdout, want, "{}", ran.stderr);
}

#[test]
fn groups_are_not_handed_down() {
    needs!("root", "mount", "mkfs.ext4", "chgrp");
    let scratch = Scratch::new();
    archives(&scratch);
    let script = "truncate -s 16M disk && mkfs.ext4 -q disk && mkdir m && mount -o loop,grpid disk m || exit 77
        for mode in 755 2755; do mkdir m/$mode && chgrp 50 m/$mode && chmod $mode m/$mode
            $R unpack t.tar m/$mode/d && $R unpack n.tar m/$mode/n || exit; done
        find m/*/* ! -gid 0; find m/*/* -type d -perm /2000; find m/*/* | wc -l; umount m";
    let ran = run("unshare", ["-m", "sh", "-c", &script_for(&scratch, script)]);
    if ran.status == 77 {
        return skip("a loop device");
    }
    assert_eq!(ran.stdout, "32\n", "{}", ran.stderr);
}

#[test]
fn a_failure_gives_dir_back() {
    needs!("root", "setfattr", "getfattr", "setfacl");
    let scratch = Scratch::new();
    archives(&scratch);
    // DIR's own entry comes first, with an attribute of its own.
    let script = "mkdir r && setfattr -n user.new -v x r && cp t.tar r/big && chmod 500 r && touch -d @1 r || exit
        tar --xattrs -C r -cf whole.tar . && head -c 9000 whole.tar >cut.tar
        for force in '' --force; do mkdir d$force && setfacl -d -m u:12:rwx d$force && chown 5:6 d$force
            setfattr -n user.old -v y d$force && setfattr -n trusted.old -v y d$force && touch -d @7 d$force
            about d$force >before; $R unpack $force cut.tar d$force; echo $?; about d$force | diff before -
            $R unpack $force --json whole.tar d$force >/dev/full; echo $?; about d$force | diff before -; done";
    let ran = sh(&scratch, script);
    assert_eq!(ran.stdout, "1\n1\n1\n1\n", "{}", ran.stderr);
    assert!(ran.stderr.contains("cannot write to standard output: No space left on device"), "{}", ran.stderr);
}

#[test]
fn a_failure_gives_an_ordinary_users_folders_back() {
    needs!("root", "setpriv", "setfattr", "getfattr");
    let scratch = Scratch::new();
    archives(&scratch);
    let script = "list() { find d -printf '%p %m\n' | sort; getfattr -Rd -m- d; }
        as_user sh -c 'mkdir -p d/a/b d/a/mine && echo mine >d/a/mine/f && chmod 711 d/a/b
            setfattr -n user.old -v y d/a && chmod 500 d/a d'
        list >before
        as_user $R unpack --force cut.tar d; echo $?; list | diff before -
        as_user $R unpack --force --json t.tar d >/dev/full; echo $?; list | diff before -
        as_user $R unpack --quiet --force t.tar d; echo $?; find d -maxdepth 2 -printf '%P %m\n' | sort | grep -v '/[flnp]'";
    let ran = sh(&scratch, script);
    assert_eq!(ran.stdout, "1\n1\n0\n 500\na 751\na/b 700\na/mine 755\na/shut 0\nz 644\n", "{}", ran.stderr);
}

#[test]
fn a_full_standard_output_leaves_nothing() {
    let scratch = Scratch::new();
    archives(&scratch);
    let ran = sh(&scratch, "$R unpack --json n.tar d >/dev/full; echo $?; ls -A");
    assert_eq!(ran.stdout, "1\ncut.tar\nflat.tar\nn.tar\nt\nt.tar\n", "{}", ran.stderr);
}

/// A folder that was there, with a file of its own, and what is unpacked over
/// it.
fn over(scratch: &Scratch) -> [String; 4] {
    archives(scratch);
    fs::create_dir_all(scratch.join("d/a/b")).expect("new");
    fs::write(scratch.join("d/a/b/mine"), "mine").expect("new");
    let path = |name: &str| scratch.join(name).display().to_string();
    ["unpack".to_owned(), "--force".to_owned(), path("t.tar"), path("d")]
}

#[test]
fn what_is_half_made_over_others_is_taken_back() {
    needs!("root", "strace", "setfacl");
    for call in ["fchownat", "fchmod", "fchmodat", "lremovexattr", "fremovexattr", "write", "utimensat"] {
        let scratch = Scratch::new();
        archives(&scratch);
        // Another group and a default list: every new thing has something done to it.
        let again = "rm -rf d; mkdir -p d/a && echo mine >d/a/mine && chgrp 50 d d/a && setfacl -d -m u:12:rwx d d/a";
        let list = || sh(&scratch, "find d -printf '%p %m %G\\n' | sort; getfattr -Rd -m- d").stdout;
        for archive in ["t.tar", "flat.tar", "n.tar"] {
            assert_eq!(sh(&scratch, again).status, 0);
            let before = list();
            let (archive, dir) = (scratch.join(archive).display().to_string(), scratch.join("d").display().to_string());
            for when in 1..4 {
                let ran = inject(&bin("rs-rootfs"), &["unpack", "--force", &archive, &dir], call, "EIO", when);
                // A call that was not made so often.
                let Ran { status: 1, .. } = ran else { break };
                assert_eq!(list(), before, "{call} {when} {archive}: {}", ran.stderr);
            }
        }
    }
}

#[test]
fn a_folder_that_cannot_be_entered_is_not_replaced() {
    needs!("root", "strace");
    for errno in ["EIO", "ENOMEM", "EMFILE", "EACCES"] {
        for when in 1..4 {
            let scratch = Scratch::new();
            let words = over(&scratch);
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let ran = inject(&bin("rs-rootfs"), &words, "openat2", errno, when);
            assert_eq!(ran.status, 1, "{errno} {when}: {}", ran.stderr);
            assert_eq!(fs::read_to_string(scratch.join("d/a/b/mine")).ok().as_deref(), Some("mine"), "{errno} {when}");
        }
    }
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

#[test]
fn a_hard_link_to_what_it_would_replace_replaces_nothing() {
    let scratch = Scratch::new();
    archives(&scratch);
    let script = "mkdir l && cd l && mkdir -p a/b && echo mine >a/b/c && ln a/b/c x && echo file >f && ln f y || exit
        python3 - <<'end'
import tarfile
for archive, name, link in ('up', 'a', 'a/b/c'), ('down', 'f/x/y', 'f'):
    with tarfile.open(f'../{archive}.tar', 'w') as tar:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = tarfile.LNKTYPE, link
        tar.addfile(entry)
end
        for archive in up down; do $R unpack --force ../$archive.tar .; echo $?; done; cat a/b/c f";
    let ran = sh(&scratch, script);
    assert_eq!(ran.stdout, "1\n1\nmine\nfile\n", "{}", ran.stderr);
}

#[test]
fn what_somebody_puts_in_the_place_of_a_new_thing_keeps_its_mode() {
    needs!("root", "strace", "setfacl");
    let scratch = Scratch::new();
    // The kernel's answer comes late: after somebody has put a link there.
    let script = "mkdir t d && mkfifo t/pipe && chmod 4711 t/pipe && mkdir t/folder && tar -C t -cf p.tar pipe
        tar -C t -cf f.tar folder && setfacl -d -m u:12:rwx d && : >victim && chmod 600 victim || exit
        for call in mknodat,pipe,p.tar mkdirat,folder,f.tar; do IFS=,; set -- $call; unset IFS
            strace -qq -o /dev/null -e inject=$1:delay_exit=1000000 $R unpack --force $3 d &
            until test -e d/$2; do sleep 0.01; done; rm -r d/$2; ln -s ../victim d/$2; wait $!; echo $?
        done; stat -c %a victim";
    let ran = sh(&scratch, script);
    assert_eq!(ran.stdout, "1\n1\n600\n", "{}", ran.stderr);
}

#[test]
fn a_folder_of_the_host_that_cannot_be_looked_at_is_not_left_out() {
    needs!("root", "strace");
    for when in 3..7 {
        let scratch = Scratch::new();
        let dir = scratch.join("d").display().to_string();
        let ran = inject(&bin("rs-rootfs"), &["unpack", "host:sh", &dir], "readlink", "EIO", when);
        assert_eq!((ran.status, ran.stdout.as_str()), (1, ""), "{when}: {}", ran.stderr);
    }
}
