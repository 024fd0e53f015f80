//! The flags of `create`, `export` and `rm`, and their usage.

use super::flags::{Flag, Takes};
use Takes::{Bytes, Cpus, Duration, Host, Int, Ip, Link, Pair, Stream, SwapBytes, Switch, Text, Uint};

/// One of the three, as it is called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Verb {
    /// `create`.
    pub(crate) name: &'static str,
    /// What follows it in the usage line.
    pub(crate) usage: &'static str,
    /// What it does.
    pub(crate) about: &'static str,
    /// Its flags.
    pub(crate) flags: &'static [Flag],
    /// The lines of its help that tell flags apart from each other.
    pub(crate) help: &'static str,
}

/// `docker create`.
pub(crate) const CREATE: Verb = Verb {
    name: "create",
    usage: "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    about: "Create a new container",
    flags: CREATE_FLAGS,
    help: "      --cidfile string     Write the container ID to the file
      --entrypoint string  Overwrite the default ENTRYPOINT of the image
      --help               Print usage
      --name string        Assign a name to the container
      --platform string    Choose the platform: OS/ARCH[/VARIANT]
      --pull string        Pull image before creating: always, missing, never
  -q, --quiet              Suppress the pull output
  -w, --workdir string     Working directory inside the container

All other options of docker create are accepted; they concern the running
container, not its files.

Learning:
      --trace              print the system calls, in strace's notation
      --explain            the same, and why each is made
",
};

/// `docker export`.
pub(crate) const EXPORT: Verb = Verb {
    name: "export",
    usage: "[OPTIONS] CONTAINER",
    about: "Export a container's filesystem as a tar archive",
    flags: &[('o', "output", Text), ('h', "help", Switch), ('\0', "trace", Switch), ('\0', "explain", Switch)],
    help: "  -o, --output string   Write to a file, instead of STDOUT

Learning:
      --trace           print the system calls, in strace's notation
      --explain         the same, and why each is made
",
};

/// `docker rm`.
pub(crate) const REMOVE: Verb = Verb {
    name: "rm",
    usage: "[OPTIONS] CONTAINER [CONTAINER...]",
    about: "Remove one or more containers",
    flags: &[
        ('f', "force", Switch),
        ('l', "link", Switch),
        ('v', "volumes", Switch),
        ('h', "help", Switch),
        ('\0', "trace", Switch),
        ('\0', "explain", Switch),
    ],
    help: "  -f, --force     Force the removal of a running container (uses SIGKILL)
  -l, --link      Remove the specified link
  -v, --volumes   Remove anonymous volumes associated with the container

Learning:
      --trace     print the system calls, in strace's notation
      --explain   the same, and why each is made
",
};

const CREATE_FLAGS: &[Flag] = &[
    ('\0', "add-host", Host),
    ('\0', "annotation", Text),
    ('a', "attach", Stream),
    ('\0', "blkio-weight", Uint(16)),
    ('\0', "blkio-weight-device", Text),
    ('\0', "cap-add", Text),
    ('\0', "cap-drop", Text),
    ('\0', "cgroup-parent", Text),
    ('\0', "cgroupns", Text),
    ('\0', "cidfile", Text),
    ('\0', "cpu-count", Int(64)),
    ('\0', "cpu-percent", Int(64)),
    ('\0', "cpu-period", Int(64)),
    ('\0', "cpu-quota", Int(64)),
    ('\0', "cpu-rt-period", Int(64)),
    ('\0', "cpu-rt-runtime", Int(64)),
    ('c', "cpu-shares", Int(64)),
    ('\0', "cpus", Cpus),
    ('\0', "cpuset-cpus", Text),
    ('\0', "cpuset-mems", Text),
    ('\0', "device", Text),
    ('\0', "device-cgroup-rule", Text),
    ('\0', "device-read-bps", Text),
    ('\0', "device-read-iops", Text),
    ('\0', "device-write-bps", Text),
    ('\0', "device-write-iops", Text),
    ('\0', "disable-content-trust", Switch),
    ('\0', "dns", Ip),
    ('\0', "dns-opt", Text),
    ('\0', "dns-option", Text),
    ('\0', "dns-search", Text),
    ('\0', "domainname", Text),
    ('\0', "entrypoint", Text),
    ('e', "env", Pair("environment variable")),
    ('\0', "env-file", Text),
    ('\0', "explain", Switch),
    ('\0', "expose", Text),
    ('\0', "gpus", Text),
    ('\0', "group-add", Text),
    ('\0', "health-cmd", Text),
    ('\0', "health-interval", Duration),
    ('\0', "health-retries", Int(64)),
    ('\0', "health-start-interval", Duration),
    ('\0', "health-start-period", Duration),
    ('\0', "health-timeout", Duration),
    ('\0', "help", Switch),
    ('h', "hostname", Text),
    ('\0', "init", Switch),
    ('i', "interactive", Switch),
    ('\0', "io-maxbandwidth", Bytes),
    ('\0', "io-maxiops", Uint(64)),
    ('\0', "ip", Text),
    ('\0', "ip6", Text),
    ('\0', "ipc", Text),
    ('\0', "isolation", Text),
    ('\0', "kernel-memory", Bytes),
    ('l', "label", Pair("label")),
    ('\0', "label-file", Text),
    ('\0', "link", Link),
    ('\0', "link-local-ip", Text),
    ('\0', "log-driver", Text),
    ('\0', "log-opt", Text),
    ('\0', "mac-address", Text),
    ('m', "memory", Bytes),
    ('\0', "memory-reservation", Bytes),
    ('\0', "memory-swap", SwapBytes),
    ('\0', "memory-swappiness", Int(64)),
    ('\0', "mount", Text),
    ('\0', "name", Text),
    ('\0', "net", Text),
    ('\0', "net-alias", Text),
    ('\0', "network", Text),
    ('\0', "network-alias", Text),
    ('\0', "no-healthcheck", Switch),
    ('\0', "oom-kill-disable", Switch),
    ('\0', "oom-score-adj", Int(64)),
    ('\0', "pid", Text),
    ('\0', "pids-limit", Int(64)),
    ('\0', "platform", Text),
    ('\0', "privileged", Switch),
    ('p', "publish", Text),
    ('P', "publish-all", Switch),
    ('\0', "pull", Text),
    ('q', "quiet", Switch),
    ('\0', "read-only", Switch),
    ('\0', "restart", Text),
    ('\0', "rm", Switch),
    ('\0', "runtime", Text),
    ('\0', "security-opt", Text),
    ('\0', "shm-size", Bytes),
    ('\0', "stop-signal", Text),
    ('\0', "stop-timeout", Int(64)),
    ('\0', "storage-opt", Text),
    ('\0', "sysctl", Pair("sysctl")),
    ('\0', "tmpfs", Text),
    ('\0', "trace", Switch),
    ('t', "tty", Switch),
    ('\0', "ulimit", Text),
    ('\0', "use-api-socket", Switch),
    ('u', "user", Text),
    ('\0', "userns", Text),
    ('\0', "uts", Text),
    ('v', "volume", Text),
    ('\0', "volume-driver", Text),
    ('\0', "volumes-from", Text),
    ('w', "workdir", Text),
];
