//! What xtask makes the man page and the completions from.

use crate::{TOOL, bundle, docker, unpack, verbs};
use chain::Page;
use clap::{Command, CommandFactory};

/// The calls that rs-rootfs makes, and what for.
const CALLS: &[(&str, &str)] = &[
    ("umask", "lets files have exactly the permissions that the archive gives them"),
    ("mkdirat", "makes folders"),
    ("openat", "makes files: always new ones, never through a link"),
    ("write", "writes their contents"),
    ("pwrite64", "writes data between holes, and blobs of the store"),
    ("ftruncate", "leaves holes in sparse files"),
    ("symlinkat", "makes links"),
    ("linkat", "makes hard links"),
    ("mknodat", "makes device nodes and pipes"),
    ("fchown", "gives files their owners"),
    ("fchownat", "gives links and nodes theirs"),
    ("fchmod", "sets modes that a change of owner would take away"),
    ("fchmodat", "the same, of nodes"),
    ("fsetxattr", "sets extended attributes"),
    ("lsetxattr", "sets those of links and nodes"),
    ("fremovexattr", "removes those that a lower layer gave a folder"),
    ("lremovexattr", "removes access lists that come from the folder around"),
    ("utimensat", "sets times, last of all"),
    ("unlinkat", "removes what is in the way, what a whiteout names, and all after a failure"),
    ("renameat2", "gives the whole tree its name"),
    ("ioctl", "copies a file of the host by sharing its blocks"),
    ("copy_file_range", "copies one inside the kernel"),
    ("fsync", "makes what the store holds survive"),
    ("flock", "keeps two users of the store apart"),
    ("clone", "makes the helper of --userns"),
    ("unshare", "makes the user namespace of --userns"),
];

/// What the documents of this crate are made from.
pub fn pages() -> Vec<Page> {
    let command = Command::new("rs-rootfs")
        .about("Make root file systems from images, archives and the host")
        .subcommand(unpack::Unpack::command().name("unpack"))
        .subcommand(bundle::Bundle::command().name("bundle"))
        .subcommands(docker::commands())
        .subcommands(verbs::commands());
    vec![Page {
        name: "rs-rootfs",
        original: None,
        command: TOOL.command(command),
        calls: CALLS,
        sections: include_str!("../man/rs-rootfs.roff"),
    }]
}
