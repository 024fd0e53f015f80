//! The roots: what each has, and what must come of it.

/// What a root makes of the tool.
pub(crate) enum Then {
    /// 125, nothing run, and the first line says this.
    Refused(&'static str),
    /// The script inside prints this.
    Prints(&'static str, &'static str),
}
use Then::{Prints, Refused};

/// A hostile root: what it has, the options, what must come of it. `$OUT`
/// stands for the host: whatever happens, nothing in it may change.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) prepare: &'static str,
    pub(crate) options: &'static str,
    pub(crate) then: Then,
}

const fn case(name: &'static str, prepare: &'static str, options: &'static str, then: Then) -> Case {
    Case { name, prepare, options, then }
}

const NULL: Then = Prints("test -c /dev/null && stat -c %t:%T /dev/null", "1:3\n");

pub(crate) const CASES: &[Case] = &[
    // A folder is wanted: proc.
    case("proc is an absolute link out", "ln -s \"$OUT\" proc", "--proc", Refused("proc: is a symbolic link")),
    case("proc is a relative link out", "ln -s ../outside proc", "--proc", Refused("proc: is a symbolic link")),
    case("proc is a link that stays inside", "mkdir p; ln -s p proc", "--proc", Refused("proc: is a symbolic link")),
    case("proc dangles", "ln -s \"$OUT/new\" proc", "--proc", Refused("proc: is a symbolic link")),
    case("proc loops", "ln -s proc proc", "--proc", Refused("proc: is a symbolic link")),
    case(
        "proc is a link to the host's proc (CVE-2019-19921, 2023-27561, 2023-28642)",
        "ln -s /proc proc",
        "--proc",
        Refused("proc: is a symbolic link"),
    ),
    case("proc is a link to a magic link", "ln -s /proc/self/root proc", "--proc", Refused("proc: is a symbolic link")),
    case(
        "proc is a link to a working folder (CVE-2024-21626)",
        "ln -s /proc/self/cwd proc",
        "--proc",
        Refused("proc: is a symbolic link"),
    ),
    case("proc is a link to the root itself", "ln -s / proc", "--proc", Refused("proc: is a symbolic link")),
    case("proc is a file", "echo x > proc", "--proc", Refused("proc: is not a directory")),
    case("proc is a fifo", "mkfifo proc", "--proc", Refused("proc: is not a directory")),
    case(
        "proc is a folder with a fake inside",
        "mkdir -p proc/self; echo fake > proc/version",
        "--proc",
        Prints("read -r word rest < /proc/version; echo $word", "Linux\n"),
    ),
    case(
        "proc has mode 0 (root opens it all the same)",
        "mkdir -m 0 proc",
        "--proc",
        Prints("read -r word rest < /proc/version; echo $word", "Linux\n"),
    ),
    // sys.
    case("sys is a link to the host's (CVE-2025-54867)", "ln -s /sys sys", "--sys", Refused("sys: is a symbolic link")),
    case("sys is a link out", "ln -s \"$OUT\" sys", "--sys", Refused("sys: is a symbolic link")),
    case("sys is a file", "echo x > sys", "--sys", Refused("sys: is not a directory")),
    case(
        "sys/fs is a link out",
        "mkdir sys; ln -s \"$OUT\" sys/fs",
        "--cgroup=ro",
        Refused("sys/fs: is a symbolic link"),
    ),
    case(
        "sys/fs/cgroup is a link out",
        "mkdir -p sys/fs; ln -s \"$OUT\" sys/fs/cgroup",
        "--cgroup=ro",
        Refused("sys/fs/cgroup: is a symbolic link"),
    ),
    // dev.
    case(
        "dev is a link out (CVE-2026-41579, 2026-47766)",
        "ln -s \"$OUT\" dev",
        "--null",
        Refused("dev: is a symbolic link"),
    ),
    case("dev is a link out, for a tmpfs", "ln -s \"$OUT\" dev", "--dev", Refused("dev: is a symbolic link")),
    case("dev is a link out, for devpts and ptmx", "ln -s \"$OUT\" dev", "--ptmx", Refused("dev: is a symbolic link")),
    case("dev is a link to the host's", "ln -s /dev dev", "--dev", Refused("dev: is a symbolic link")),
    case("dev climbs out", "ln -s ../../../../../../dev dev", "--null", Refused("dev: is a symbolic link")),
    case("dev is a file", "echo x > dev", "--null", Refused("dev: is not a directory")),
    case(
        "dev is a socket",
        "python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"dev\")'",
        "--null",
        Refused("dev: is not a directory"),
    ),
    // dev/pts.
    case(
        "dev/pts is a link out",
        "mkdir dev; ln -s \"$OUT\" dev/pts",
        "--ptmx",
        Refused("dev/pts: is a symbolic link"),
    ),
    case(
        "dev/pts is a link to the host's",
        "mkdir dev; ln -s /dev/pts dev/pts",
        "--ptmx",
        Refused("dev/pts: is a symbolic link"),
    ),
    case("dev/pts is a file", "mkdir dev; touch dev/pts", "--ptmx", Refused("dev/pts: is not a directory")),
    case(
        "dev/pts has a fake ptmx",
        "mkdir -p dev/pts; echo fake > dev/pts/ptmx",
        "--ptmx",
        Prints("stat -L -c %t:%T /dev/ptmx", "5:2\n"),
    ),
    case(
        "dev/pts has mode 1777",
        "mkdir -p dev/pts; chmod 1777 dev dev/pts",
        "--ptmx",
        Prints("stat -L -c %t:%T /dev/ptmx", "5:2\n"),
    ),
    case("dev/shm is a link out", "mkdir dev; ln -s \"$OUT\" dev/shm", "--shm", Refused("dev/shm: is a symbolic link")),
    case("dev/shm dangles", "mkdir dev; ln -s \"$OUT/new\" dev/shm", "--shm", Refused("dev/shm: is a symbolic link")),
    case(
        "dev/mqueue is a link out",
        "mkdir dev; ln -s \"$OUT\" dev/mqueue",
        "--mqueue",
        Refused("dev/mqueue: is a symbolic link"),
    ),
    case("dev/mqueue is a fifo", "mkdir dev; mkfifo dev/mqueue", "--mqueue", Refused("dev/mqueue: is not a directory")),
    // A node is wanted: dev/null.
    case(
        "dev/null is an absolute link out",
        "mkdir dev; ln -s \"$OUT/file\" dev/null",
        "--null",
        Refused("dev/null: is a symbolic link"),
    ),
    case(
        "dev/null is a relative link out",
        "mkdir dev; ln -s ../../outside/file dev/null",
        "--null",
        Refused("dev/null: is a symbolic link"),
    ),
    case(
        "dev/null dangles, and touch would create its end (CVE-2026-88264)",
        "mkdir dev; ln -s \"$OUT/new\" dev/null",
        "--null",
        Refused("dev/null: is a symbolic link"),
    ),
    case("dev/null loops", "mkdir dev; ln -s null dev/null", "--null", Refused("dev/null: is a symbolic link")),
    case(
        "dev/null is a link to a procfs file (CVE-2025-31133)",
        "mkdir dev; ln -s /proc/sys/kernel/core_pattern dev/null",
        "--proc --null",
        Refused("dev/null: is a symbolic link"),
    ),
    case(
        "dev/null is a link through a magic link",
        "mkdir dev; ln -s /proc/self/root/etc/passwd dev/null",
        "--proc --null",
        Refused("dev/null: is a symbolic link"),
    ),
    case(
        "dev/null is a link inside",
        "mkdir dev; touch dev/other; ln -s other dev/null",
        "--null",
        Refused("dev/null: is a symbolic link"),
    ),
    case("dev/null is a folder", "mkdir -p dev/null", "--null", Refused("dev/null: is a directory")),
    case("dev/null is a fifo, which a plain open would wait on", "mkdir dev; mkfifo dev/null", "--null", NULL),
    case(
        "dev/null is a socket",
        "mkdir dev; python3 -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"dev/null\")'",
        "--null",
        NULL,
    ),
    case("dev/null is a file", "mkdir dev; echo mine > dev/null", "--null", NULL),
    case("dev/null is a hard link to a file outside", "mkdir dev; ln \"$OUT/file\" dev/null", "--null", NULL),
    case(
        "dev/null is hidden in a folder of mode 1777 of somebody else",
        "mkdir -m 1777 dev; echo x > dev/null; chmod 666 dev/null",
        "--null",
        NULL,
    ),
    case(
        "dev/zero is a link out",
        "mkdir dev; ln -s \"$OUT/file\" dev/zero",
        "--zero",
        Refused("dev/zero: is a symbolic link"),
    ),
    case(
        "dev/full is a link out",
        "mkdir dev; ln -s \"$OUT/file\" dev/full",
        "--full",
        Refused("dev/full: is a symbolic link"),
    ),
    case("dev/random is a folder", "mkdir -p dev/random", "--random", Refused("dev/random: is a directory")),
    case(
        "dev/urandom dangles",
        "mkdir dev; ln -s \"$OUT/new\" dev/urandom",
        "--urandom",
        Refused("dev/urandom: is a symbolic link"),
    ),
    case(
        "dev/tty is a link out",
        "mkdir dev; ln -s \"$OUT/file\" dev/tty",
        "--dev --dev-bind /dev/null /x",
        Prints("stat -c %t:%T /dev/tty", "5:0\n"),
    ),
    // dev/ptmx.
    case(
        "dev/ptmx is an absolute link out: replaced, not followed",
        "mkdir dev; ln -s \"$OUT/file\" dev/ptmx",
        "--ptmx",
        Prints("readlink /dev/ptmx", "pts/ptmx\n"),
    ),
    case(
        "dev/ptmx is a link to a folder outside, into which ln -sf would put it",
        "mkdir dev; ln -s \"$OUT\" dev/ptmx",
        "--ptmx",
        Prints("readlink /dev/ptmx", "pts/ptmx\n"),
    ),
    case(
        "dev/ptmx is a link to the host's dev",
        "mkdir dev; ln -s /dev dev/ptmx",
        "--ptmx",
        Prints("readlink /dev/ptmx", "pts/ptmx\n"),
    ),
    case(
        "dev/ptmx dangles",
        "mkdir dev; ln -s \"$OUT/new\" dev/ptmx",
        "--ptmx",
        Prints("readlink /dev/ptmx", "pts/ptmx\n"),
    ),
    case("dev/ptmx loops", "mkdir dev; ln -s ptmx dev/ptmx", "--ptmx", Prints("readlink /dev/ptmx", "pts/ptmx\n")),
    case(
        "dev/ptmx is right already",
        "mkdir dev; ln -s pts/ptmx dev/ptmx",
        "--ptmx",
        Prints("readlink /dev/ptmx", "pts/ptmx\n"),
    ),
    case(
        "dev/ptmx is right in another way",
        "mkdir dev; ln -s /dev/pts/ptmx dev/ptmx",
        "--ptmx",
        Prints("readlink /dev/ptmx", "/dev/pts/ptmx\n"),
    ),
    case("dev/ptmx is a folder", "mkdir -p dev/ptmx", "--ptmx", Refused("dev/ptmx: is a directory")),
    case(
        "dev/ptmx is a file",
        "mkdir dev; echo x > dev/ptmx",
        "--ptmx",
        Prints("exec 3<>/dev/ptmx; ls /dev/pts; stat -c %t:%T /dev/ptmx", "0\nptmx\n5:2\n"),
    ),
    case(
        "dev/ptmx is a fifo",
        "mkdir dev; mkfifo dev/ptmx",
        "--ptmx",
        Prints("exec 3<>/dev/ptmx; stat -c %t:%T /dev/ptmx", "5:2\n"),
    ),
    case(
        "dev/ptmx is a hard link to a file outside",
        "mkdir dev; ln \"$OUT/file\" dev/ptmx",
        "--ptmx",
        Prints("stat -c %t:%T /dev/ptmx", "5:2\n"),
    ),
    case(
        "dev/pts/ptmx is a link out, for the host's",
        "mkdir -p dev/pts; ln -s \"$OUT/file\" dev/pts/ptmx",
        "--host-ptmx",
        Refused("dev/pts/ptmx: is a symbolic link"),
    ),
    // A dev of its own hides all of it.
    case(
        "dev is full of traps under a tmpfs",
        "mkdir dev; for f in null zero ptmx pts shm fd console; do ln -s \"$OUT\" dev/$f; done",
        "--dev",
        NULL,
    ),
    // Users' paths stay inside.
    case(
        "a destination is an absolute link out (CVE-2015-1335)",
        "mkdir in; ln -s \"$OUT\" d",
        "--tmpfs=/d",
        Refused("/d: is a symbolic link to nothing"),
    ),
    case(
        "a destination is an absolute link that exists inside",
        "mkdir etc; ln -s /etc d",
        "--tmpfs=/d --dir=/d/x",
        Prints("ls /etc", "x\n"),
    ),
    case(
        "a destination climbs out",
        "ln -s ../../../../../../../../in d; mkdir in",
        "--tmpfs=/d --dir=/d/x",
        Prints("ls /in", "x\n"),
    ),
    case(
        "a destination's parent is a link out",
        "ln -s \"$OUT\" d",
        "--tmpfs=/d/new",
        Refused("/d/new: is a symbolic link to nothing"),
    ),
    case("a destination loops", "ln -s b a; ln -s a b", "--tmpfs=/a", Refused("/a: Too many levels of symbolic links")),
    case("a destination goes through a file", "touch f", "--tmpfs=/f/x", Refused("/f/x: Not a directory")),
    case(
        "a destination goes through a magic link of proc",
        "ln -s /proc/self/root d",
        "--proc --tmpfs=/d/etc",
        Refused("/d/etc: "),
    ),
    case("a destination is a descriptor of ours", "ln -s /proc/self/fd/3 d", "--proc --tmpfs=/d", Refused("/d: ")),
    case("a destination is a working folder", "ln -s /proc/self/cwd d", "--proc --tmpfs=/d/x", Refused("/d/x: ")),
    case(
        "a destination leads into proc (CVE-2019-16884)",
        "ln -s /proc/sys d",
        "--proc --tmpfs=/d",
        Refused("/d: is inside a file system of the kernel"),
    ),
    case(
        "a destination leads to the root",
        "mkdir a; ln -s / a/d",
        "--tmpfs=/a/d",
        Refused("/a/d: is the root itself"),
    ),
    case(
        "a file destination dangles, and O_CREAT would make its end",
        "ln -s /made d",
        "--bind /etc/passwd /d",
        Refused("/d: is a symbolic link to nothing"),
    ),
    case(
        "a device destination is a link out",
        "ln -s \"$OUT/file\" d",
        "--device=/dev/zero:/d",
        Refused("/d: is a symbolic link to nothing"),
    ),
    case("a mask is a link out", "ln -s \"$OUT\" d", "--inaccessible=/d", Prints("echo fine", "fine\n")),
    case(
        "a mask is a link inside: its end is hidden",
        "mkdir s; echo x > s/f; ln -s /s d",
        "--inaccessible=/d",
        Prints("ls /s; echo end", "end\n"),
    ),
    case(
        "a read-only path climbs out",
        "ln -s ../../../../../.. d",
        "--read-only-path=/d",
        Refused("/d: is the root itself"),
    ),
    case(
        "a made folder's parent is a link out (CVE-2024-45310)",
        "ln -s \"$OUT\" a",
        "--dir=/a/b/c",
        Refused("/a/b/c: is a symbolic link to nothing"),
    ),
    case(
        "a made link's parent is a link out",
        "ln -s \"$OUT\" a",
        "--symlink x /a/l",
        Refused("a: is a symbolic link to nothing"),
    ),
    case(
        "a made link's place is a link out: not followed",
        "ln -s \"$OUT/new\" l",
        "--symlink x /l",
        Refused("/l: exists and leads to "),
    ),
    case("etc is a link out", "ln -s \"$OUT\" etc", "--hosts", Refused("/etc/hosts: is a symbolic link to nothing")),
    case(
        "etc/hosts is a link out",
        "mkdir etc; ln -s \"$OUT/file\" etc/hosts",
        "--hosts",
        Refused("/etc/hosts: is a symbolic link to nothing"),
    ),
    case(
        "etc/hosts dangles inside",
        "mkdir etc; ln -s ../run/hosts etc/hosts",
        "--hosts",
        Refused("/etc/hosts: is a symbolic link to nothing"),
    ),
    // Masks' source comes from the host (CVE-2025-31133, 2025-62161).
    case(
        "masks under a faked null",
        "mkdir dev; echo leak > dev/null; echo secret > f",
        "--inaccessible=/f",
        Prints("cat /f; echo end", "end\n"),
    ),
    // Names that look like options or paths.
    case("a folder is called -", "mkdir -- -", "--tmpfs=-/x", Prints("ls -d ./-/x", "./-/x\n")),
    case(
        "a deep destination",
        "true",
        "--tmpfs=/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p",
        Prints("ls -d /a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p", "/a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p\n"),
    ),
];
