//! From options to actions, in the one order that is safe whatever order
//! they were given in.

use crate::action::Action;
use crate::device::{FULL, NULL, RANDOM, TTY, URANDOM, ZERO};
use crate::fresh::{Fresh, PLAIN};
use crate::mask::{HIDDEN, READ_ONLY};
use crate::options::Options;
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
pub fn actions(options: &Options) -> Vec<Action> {
    let mut actions = Vec::new();
    kernel_file_systems(options, &mut actions);
    dev_file_systems(options, &mut actions);
    devices(options, &mut actions);
    actions.extend(options.user.iter().cloned().map(Action::User));
    if options.resolv_conf {
        actions.push(Action::HostFile("/etc/resolv.conf"));
    }
    if options.hosts {
        actions.push(Action::HostFile("/etc/hosts"));
    }
    masks(options, &mut actions);
    actions
}

fn fresh(place: &str, fs: Fresh) -> Action {
    Action::Fresh(PathBuf::from(place), fs)
}

fn kernel_file_systems(options: &Options, actions: &mut Vec<Action>) {
    if options.proc || options.proc_options.is_some() {
        let given = options.proc_options.clone().unwrap_or_default();
        let attr = if given.read_only { PLAIN.and(MountAttr::RDONLY) } else { PLAIN };
        let why = "a procfs shows the processes of the pid namespace that it is mounted in";
        actions.push(fresh("proc", Fresh::new("proc", given.options, attr, why)));
    }
    if options.sys {
        let why = "a sysfs shows the devices of the network namespace that it is mounted in";
        actions.push(fresh("sys", Fresh::new("sysfs", Vec::new(), PLAIN.and(MountAttr::RDONLY), why)));
    }
    actions.extend(options.cgroup.map(Action::Cgroup));
}

fn dev_file_systems(options: &Options, actions: &mut Vec<Action>) {
    if options.dev {
        // Without a mode it would be 1777, and O_CREAT on a bound device in
        // such a folder is EACCES in a user namespace.
        let options = vec![FsOption::new("mode", "0755"), FsOption::new("size", "65536k")];
        let why = "a dev of its own, so that nothing of the image's is in the way";
        actions.push(fresh("dev", Fresh::new("tmpfs", options, PLAIN, why)));
    }
    if options.dev || options.ptmx {
        actions.push(fresh("dev/pts", devpts()));
    }
    if options.dev || options.shm || options.shm_size.is_some() {
        let size = options.shm_size.unwrap_or(SHM_SIZE).to_string();
        let options = vec![FsOption::new("mode", "1777"), FsOption::new("size", &size)];
        let why = "shm_open(3) keeps its files here";
        actions.push(fresh("dev/shm", Fresh::new("tmpfs", options, PLAIN, why)));
    }
    if options.mqueue {
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

fn devices(options: &Options, actions: &mut Vec<Action>) {
    let wanted = [
        (options.null, NULL),
        (options.zero, ZERO),
        (options.full, FULL),
        (options.random, RANDOM),
        (options.urandom, URANDOM),
        (false, TTY),
    ];
    actions
        .extend(wanted.into_iter().filter(|(asked, _)| *asked || options.dev).map(|(_, device)| Action::Node(device)));
    if options.tty || options.tty_try || options.dev {
        let devpts = options.ptmx || options.dev;
        actions.push(Action::Terminal { devpts, node: !options.dev, try_only: !options.tty });
    }
    if options.dev {
        actions.extend(LINKS.map(|(target, place)| Action::Link(target, PathBuf::from(place))));
    }
    if options.dev || options.ptmx {
        actions.push(Action::Ptmx);
    }
    if options.host_ptmx {
        actions.push(Action::HostPtmx);
    }
}

fn masks(options: &Options, actions: &mut Vec<Action>) {
    if options.mask_defaults {
        actions.extend(HIDDEN.iter().map(|path| Action::Hide(path.into())));
    }
    actions.extend(options.inaccessible.iter().cloned().map(Action::Hide));
    if options.mask_defaults {
        actions.extend(READ_ONLY.iter().map(|path| Action::Protect(path.into(), false)));
    }
    actions.extend(options.read_only_path.iter().cloned().map(|path| Action::Protect(path, true)));
}
