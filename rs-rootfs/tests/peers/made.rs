//! Archives with every kind of entry, and one of a real system.

use chain::testing::{Scratch, find, sh};
use std::path::Path;
use std::process::Command;

/// One of everything that an archive can hold.
const LOWER: &str = r#"
mkdir -p usr/bin usr/lib a/b/c empty shut sticky shared deep gone opaque/old etc was
ln -s usr/bin bin; ln -s usr/lib lib
: >a/nothing; printf x >a/one; head -c 65537 /dev/urandom >a/b/large; head -c 3000000 /dev/urandom >a/b/larger
head -c 511 /dev/urandom >a/511; head -c 512 /dev/urandom >a/512; head -c 513 /dev/urandom >a/513
truncate -s 4M a/hole; printf data | dd of=a/hole bs=1 seek=1000000 conv=notrunc status=none; printf end >>a/hole
truncate -s 1M a/only-hole
for mode in 0 400 644 755 777 4755 2755 6711 1644; do : >a/mode$mode; chmod $mode a/mode$mode; done
printf s >a/b/su; chown 12:34 a/b/su; chmod 4755 a/b/su
printf o >a/owned; chown 70000:70001 a/owned; printf o >a/far; chown 3000000000:4294967294 a/far
head -c 200000 /dev/zero >a/owned-large; chown 5:6 a/owned-large; chmod 6755 a/owned-large
ln a/one a/again; ln a/one usr/lib/again; ln a/b/large deep/large; ln a/b/su usr/bin/su
ln -s one a/link; ln -P a/link a/link2; ln -s /nowhere/at/all a/absolute; ln -s ../../../../../etc/passwd a/up
ln -s self a/self; chown -h 7:8 a/link; ln -s "$(head -c 1000 /dev/zero | tr '\0' t)" a/longlink
mkfifo a/pipe; chmod 600 a/pipe; ln a/pipe usr/lib/pipe
mknod a/char c 1 3; mknod a/block b 7 200; mknod a/wide c 10 300000; chmod 660 a/block; chown 0:6 a/block
long=$(head -c 99 /dev/zero | tr '\0' n); : >"$long"; : >"${long}n"; : >"${long}nn"; : >"$long$long$(echo $long | cut -c-57)"
mkdir -p "deep/$long/$long/$long"; : >"deep/$long/$long/$long/file"; ln -s "$long/$long/$long" deep/way
d=deep; for i in $(seq 60); do d=$d/f$i; done; mkdir -p $d; : >$d/last
: >'a/two
lines'; : >'a/ space '; : >'a/-dash'; : >'a/back\slash'; : >a/$(printf '\351'); : >'a/日本'; : >'a/trailing.'; : >'a/*?["'
setfattr -n user.x -v value a/one; setfattr -n user.bytes -v 0x000aff3d0a a/512
setfattr -n user.folder -v f a/b; setcap cap_net_raw+ep a/b/larger; setfattr -n trusted.t -v t a/513
printf gone >gone/file; printf old >opaque/old/file; printf old >opaque/file; printf x >was/file; ln -s a/b etc/link
chmod 0 shut; chmod 1777 sticky; chown 3:4 shared; chmod 2775 shared; chmod 700 a/b/c
touch -h -d @-1.25 a/one; touch -d @0 a/511; touch -d @8589934592.123456789 a/512; touch -h -d @1234567890.987654321 a/absolute a/pipe a/char
touch -d @1000000000.5 a/b/c empty shut sticky shared deep usr/lib usr/bin usr a/b a .
"#;

/// A second layer over it.
const UPPER: &str = r"
mkdir -p a/b opaque usr/bin was2 gone2 sticky; : >.wh.gone; : >opaque/.wh..wh..opq; printf new >opaque/new; : >a/.wh.owned
printf file >empty; mkdir a/one; printf in >a/one/in; printf new >a/again; printf over >a/absolute; : >a/.wh.nothing-there
printf lib >usr/lib.new; : >usr/bin/.wh.su; mkdir -p a/hole; ln -s b a/pipe; mkfifo a/link2; printf b >a/b/large
chmod 711 a; chown 9:9 usr/bin; chmod 755 sticky; touch -d @1100000000.25 a/b a usr/bin sticky opaque a/one
";

/// A tar of what `script` makes, as GNU tar packs it.
fn packed(script: &str, options: &[&str]) -> Vec<u8> {
    let scratch = Scratch::new();
    let ran = sh(Path::new("/nonexistent"), &format!("set -e; umask 022; cd {}; {script}", scratch.path().display()));
    assert_eq!(ran.status, 0, "{}", ran.stderr);
    archive_of(scratch.path(), options)
}

/// An archive with all that GNU tar can keep of `folder`.
fn archive_of(folder: &Path, options: &[&str]) -> Vec<u8> {
    let mut command = Command::new("tar");
    command.args(["--format=posix", "--numeric-owner", "--xattrs", "--xattrs-include=*", "--sort=name"]).args(options);
    // Times of access would only be noise.
    command.args(["--pax-option=delete=atime,delete=ctime", "-cf", "-", "-C"]);
    let output = command.arg(folder).arg(".").output().expect("tar starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// What umoci would not keep: an attribute without a value.
const MORE: &str = "setfattr -n user.empty a/511";

/// An archive with every kind of entry.
pub(crate) fn archive() -> Vec<u8> {
    packed(&format!("{LOWER}{MORE}"), &["--sparse"])
}

/// Two layers with every kind of entry; no sparse ones, which the daemon cannot
/// give back as it got them.
pub(crate) fn layers() -> [Vec<u8>; 2] {
    [packed(LOWER, &[]), packed(UPPER, &[])]
}

/// The system in the folder `RS_TREE`, such as debootstrap makes; else the
/// files of Debian's packages that no system is without.
pub(crate) fn system() -> Vec<u8> {
    if let Some(folder) = std::env::var_os("RS_TREE") {
        return archive_of(Path::new(&folder), &[]);
    }
    assert!(find("dpkg-query").is_some(), "no Debian, and RS_TREE does not name a folder");
    packed(
        r"dpkg-query -W -f '${Package}:${Architecture} ${Essential} ${Priority}\n' |
            sed -n -E 's/^([^ ]*) (yes .*|no required)$/\1/p' | sed 's/:all$//' | xargs dpkg-query -L |
            grep '^/.' | sed -E 's,^/(s?bin|lib[0-9]*)/,/usr/\1/,; s,^/,./,' | sort -u |
            tar -C / --format=posix --xattrs --no-recursion --ignore-failed-read -cf - -T - 2>/dev/null |
            tar --xattrs --xattrs-include='*' -xpf -",
        &[],
    )
}
