//! Advice on refused mounts.

use crate::mountinfo;
use crate::sys::namespace::is_ours;
use nix::errno::Errno;
use std::ffi::OsStr;

/// `CAP_SYS_ADMIN`.
const SYS_ADMIN: u32 = 21;

/// Why a mount was refused, whatever is mounted.
pub fn mount(errno: Errno) -> Option<String> {
    if errno != Errno::EPERM {
        return None;
    }
    if !super::capable(SYS_ADMIN) {
        return Some("mounting needs CAP_SYS_ADMIN: be root, or be in a user namespace of your own".to_owned());
    }
    (!is_ours("mnt")?).then(|| {
        "this mount namespace belongs to another user namespace: make a new one together with or after yours".to_owned()
    })
}

/// Why a new file system of type `fstype` was refused.
pub fn fresh(fstype: &OsStr, errno: Errno) -> Option<String> {
    if errno != Errno::EPERM {
        return None;
    }
    mount(errno).or_else(|| match fstype.to_str()? {
        "proc" => foreign("pid", "pid").or_else(|| covered("proc", "/proc")),
        "sysfs" => foreign("net", "network").or_else(|| covered("sysfs", "/sys")),
        "mqueue" => foreign("ipc", "IPC"),
        "cgroup" | "cgroup2" => foreign("cgroup", "cgroup"),
        _ => None,
    })
}

/// The namespace that the file system shows is not ours to show.
fn foreign(kind: &str, name: &str) -> Option<String> {
    (!is_ours(kind)?).then(|| {
        format!("the {name} namespace belongs to another user namespace: make a new one together with or after yours")
    })
}

/// What covers parts of the outer `fstype` at `path`: in a user namespace
/// the kernel then lets nobody mount one that would show them.
fn covered(fstype: &str, path: &str) -> Option<String> {
    let mounts = mountinfo::read().ok()?;
    let Some(outer) = mounts.iter().rev().find(|mount| mount.point == *path && mount.fstype == fstype) else {
        return Some(format!("no {fstype} can be seen at {path}: in a user namespace a new one needs one to be there"));
    };
    let over: Vec<String> = mounts
        .iter()
        .filter(|mount| mount.parent == outer.id && mount.point != *path && !mount.point.ends_with("binfmt_misc"))
        .map(|mount| mount.point.display().to_string())
        .take(3)
        .collect();
    if over.is_empty() {
        return None;
    }
    Some(format!(
        "the outer {path} is covered at {}: in a user namespace a new one must not show more",
        over.join(", ")
    ))
}

/// Why the root could not be pivoted.
pub(crate) fn no_pivot() -> Option<String> {
    let mounts = mountinfo::read().ok()?;
    let Some(root) = mounts.iter().rev().find(|mount| mount.point == *"/") else {
        return Some("this process's root is no mount: it was changed by chroot".to_owned());
    };
    (root.fstype == "rootfs").then(|| "the root is an initramfs, which cannot be pivoted away".to_owned())
}
