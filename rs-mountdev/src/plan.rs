//! From options to actions, in the one order that is safe whatever order
//! they were given in.

use crate::action::Action;
use crate::cli::Cli;
use crate::device::{FULL, NULL, RANDOM, TTY, URANDOM, ZERO};
use crate::fresh::{Fresh, PLAIN};
use crate::mask::{HIDDEN, READ_ONLY};
use crate::value::FsOption;
use chain::sys::mount::tree::MountAttr;
use std::path::PathBuf;

/// The size of `dev/shm`: docker's.
const SHM_SIZE: u64 = 64 << 20;

/// The links of a `dev` of its own (OCI runtime specification, "Default
/// devices").
const LINKS: [(&str, &str); 4] = [
    ("/proc/self/fd", "dev/fd"),
    ("/proc/self/fd/0", "dev/stdin"),
    ("/proc/self/fd/1", "dev/stdout"),
    ("/proc/self/fd/2", "dev/stderr"),
];

/// The actions that the command line asks for, in order.
pub fn actions(cli: &Cli) -> Vec<Action> {
    let mut actions = Vec::new();
    kernel_file_systems(cli, &mut actions);
    dev_file_systems(cli, &mut actions);
    devices(cli, &mut actions);
    actions.extend(cli.user.iter().cloned().map(Action::User));
    let flags = &cli.flags;
    if flags.resolv_conf {
        actions.push(Action::HostFile("/etc/resolv.conf"));
    }
    if flags.hosts {
        actions.push(Action::HostFile("/etc/hosts"));
    }
    masks(cli, &mut actions);
    actions
}

fn fresh(place: &str, fs: Fresh) -> Action {
    Action::Fresh(PathBuf::from(place), fs)
}

fn kernel_file_systems(cli: &Cli, actions: &mut Vec<Action>) {
    let flags = &cli.flags;
    if flags.proc || flags.proc_options.is_some() {
        let given = flags.proc_options.clone().unwrap_or_default();
        let attr = if given.read_only { PLAIN.and(MountAttr::RDONLY) } else { PLAIN };
        let why = "a procfs shows the processes of the pid namespace that it is mounted in";
        actions.push(fresh("proc", Fresh::new("proc", given.options, attr, why)));
    }
    if flags.sys {
        let why = "a sysfs shows the devices of the network namespace that it is mounted in";
        actions.push(fresh("sys", Fresh::new("sysfs", Vec::new(), PLAIN.and(MountAttr::RDONLY), why)));
    }
    actions.extend(flags.cgroup.map(Action::Cgroup));
}

fn dev_file_systems(cli: &Cli, actions: &mut Vec<Action>) {
    let flags = &cli.flags;
    if flags.dev {
        // Without a mode it would be 1777, and O_CREAT on a bound device in
        // such a folder is EACCES in a user namespace.
        let options = vec![FsOption::new("mode", "0755"), FsOption::new("size", "65536k")];
        let why = "a dev of its own, so that nothing of the image's is in the way";
        actions.push(fresh("dev", Fresh::new("tmpfs", options, PLAIN, why)));
    }
    if flags.dev || flags.ptmx {
        actions.push(fresh("dev/pts", devpts()));
    }
    if flags.dev || flags.shm || flags.shm_size.is_some() {
        let size = flags.shm_size.unwrap_or(SHM_SIZE).to_string();
        let options = vec![FsOption::new("mode", "1777"), FsOption::new("size", &size)];
        let why = "shm_open(3) keeps its files here";
        actions.push(fresh("dev/shm", Fresh::new("tmpfs", options, PLAIN, why)));
    }
    if flags.mqueue {
        let why = "message queues belong to the IPC namespace that it is mounted in";
        actions.push(fresh("dev/mqueue", Fresh::new("mqueue", Vec::new(), PLAIN, why)));
    }
}

/// A devpts instance of its own: the terminals of others are not in it. Its
/// `ptmx` would have mode 0000; group 5 is tty, where it is mapped.
fn devpts() -> Fresh {
    let options = vec![FsOption::flag("newinstance"), FsOption::new("ptmxmode", "0666"), FsOption::new("mode", "0620")];
    let mut with_group = options.clone();
    with_group.push(FsOption::new("gid", "5"));
    let why = "each devpts is an instance of its own: terminals made inside are not the host's";
    Fresh {
        otherwise: Some(options),
        ..Fresh::new("devpts", with_group, MountAttr::NOSUID.and(MountAttr::NOEXEC), why)
    }
}

fn devices(cli: &Cli, actions: &mut Vec<Action>) {
    let flags = &cli.flags;
    let wanted = [
        (flags.null, NULL),
        (flags.zero, ZERO),
        (flags.full, FULL),
        (flags.random, RANDOM),
        (flags.urandom, URANDOM),
        (false, TTY),
    ];
    actions.extend(wanted.into_iter().filter(|(asked, _)| *asked || flags.dev).map(|(_, device)| Action::Node(device)));
    if flags.tty || flags.tty_try || flags.dev {
        let devpts = flags.ptmx || flags.dev;
        actions.push(Action::Terminal { devpts, node: !flags.dev, try_only: !flags.tty });
    }
    if flags.dev {
        actions.extend(LINKS.map(|(target, place)| Action::Link(target, PathBuf::from(place))));
    }
    if flags.dev || flags.ptmx {
        actions.push(Action::Ptmx);
    }
    if flags.host_ptmx {
        actions.push(Action::HostPtmx);
    }
}

fn masks(cli: &Cli, actions: &mut Vec<Action>) {
    let flags = &cli.flags;
    if flags.mask_defaults {
        actions.extend(HIDDEN.iter().map(|path| Action::Hide(path.into())));
    }
    actions.extend(flags.inaccessible.iter().cloned().map(Action::Hide));
    if flags.mask_defaults {
        actions.extend(READ_ONLY.iter().map(|path| Action::Protect(path.into(), false)));
    }
    actions.extend(flags.read_only_path.iter().cloned().map(|path| Action::Protect(path, true)));
}
