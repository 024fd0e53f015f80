//! Listings: groups, hierarchies, the parameters of a controller.

use crate::group::{children, exists, tree};
use crate::hierarchy::{Hierarchy, Host, Version};
use crate::spec::Spec;
use crate::status::{Error, NO_FILE, NO_GROUP, SYSTEM};
use crate::value::{Parameters, Rule};
use chain::SysError;
use nix::errno::Errno;
use std::ffi::OsString;
use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What a line of `lssubsys` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Columns {
    /// The mount point.
    pub mount: bool,
    /// A line for each mount point.
    pub each_mount: bool,
    /// The hierarchy's number.
    pub number: bool,
    /// Lines for controllers that are in no v1 hierarchy.
    pub unmounted: bool,
}

/// A line for each v1 hierarchy, in the order of `/proc/cgroups`; those that
/// hold one of `wanted`, unless that is empty.
pub fn hierarchies(host: &Host, columns: &Columns, wanted: &[String]) -> Vec<u8> {
    let mut out = Vec::new();
    if columns.unmounted {
        for known in host.known.iter().filter(|known| known.number == 0) {
            line(&mut out, &known.name, columns.number.then_some(0), None);
        }
    }
    let mut seen = Vec::new();
    for known in host.known.iter().filter(|known| known.number > 0) {
        if seen.contains(&known.number) {
            continue;
        }
        let names: Vec<&str> =
            host.known.iter().filter(|other| other.number == known.number).map(|other| other.name.as_str()).collect();
        seen.push(known.number);
        let chosen = columns.unmounted || wanted.is_empty() || wanted.iter().any(|one| names.contains(&one.as_str()));
        if !chosen {
            continue;
        }
        let mounted =
            host.hierarchies.iter().find(|h| h.version == Version::V1 && h.controllers.iter().any(|c| c == names[0]));
        let names = names.join(",");
        let number = (columns.number && !(columns.mount && mounted.is_some())).then_some(known.number);
        match mounted.filter(|_| columns.mount) {
            Some(hierarchy) => {
                let count = if columns.each_mount { hierarchy.mounts.len() } else { 1 };
                for mount in &hierarchy.mounts[..count] {
                    line(&mut out, &names, number, Some(mount));
                }
            }
            None => line(&mut out, &names, number, None),
        }
    }
    out
}

fn line(out: &mut Vec<u8>, names: &str, number: Option<u32>, mount: Option<&Path>) {
    out.extend_from_slice(names.as_bytes());
    if let Some(mount) = mount {
        out.push(b' ');
        out.extend_from_slice(mount.as_os_str().as_bytes());
    }
    if let Some(number) = number {
        let _ = write!(out, " {number}");
    }
    out.push(b'\n');
}

/// `cgget -c`: which version each controller is on.
pub fn versions(host: &Host) -> Vec<u8> {
    let mut out = Vec::new();
    let _ = writeln!(out, "{:<11}\t{:<7}", "#Controller", "Version");
    for hierarchy in &host.hierarchies {
        for name in hierarchy.controllers.iter().filter(|name| !name.starts_with("name=")) {
            let _ = writeln!(out, "{name:<11}\t{}", hierarchy.version as u8);
        }
    }
    out
}

/// The first hierarchy of the mount table that holds one of the controllers of
/// `spec`; others may be unknown.
///
/// # Errors
/// None of them is known: with `status`.
pub fn first<'h>(host: &'h Host, spec: &Spec, status: u8) -> Result<&'h Hierarchy, Error> {
    let alone = |name: &String| Spec { controllers: vec![name.clone()], group: spec.group.clone() };
    let found: Vec<_> = spec.controllers.iter().filter_map(|name| host.targets(&alone(name), status).ok()).collect();
    let first = host.hierarchies.iter().find(|h| found.iter().flatten().any(|target| target.hierarchy == *h));
    first.map_or_else(|| host.targets(spec, status).map(|targets| targets[0].hierarchy), Ok)
}

/// `c1,c2:/path` for every group of `hierarchy`, parents first; below `from`,
/// which gets a trailing slash itself.
pub fn groups(hierarchy: &Hierarchy, from: Option<&Path>, out: &mut Vec<u8>) {
    let label = hierarchy.controllers.join(",");
    let path = from.unwrap_or(Path::new(""));
    let dir = hierarchy.dir(path);
    if !dir.is_dir() {
        return;
    }
    let mut name = b"/".to_vec();
    if !path.as_os_str().is_empty() {
        name.extend_from_slice(path.as_os_str().as_bytes());
        name.push(b'/');
    }
    group(&label, &name, out);
    list_below(&label, &dir, &name, out);
}

fn list_below(label: &str, dir: &Path, prefix: &[u8], out: &mut Vec<u8>) {
    for child in children(dir) {
        let mut name = prefix.to_vec();
        name.extend_from_slice(child.file_name().unwrap_or_default().as_bytes());
        group(label, &name, out);
        name.push(b'/');
        list_below(label, &child, &name, out);
    }
}

fn group(label: &str, name: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(label.as_bytes());
    out.push(b':');
    out.extend_from_slice(name);
    out.push(b'\n');
}

/// The parameters of `controller` in the group at `dir` and their values
/// without the last newline, in the directory's own order; none without such
/// a group. A file that may not be opened is left out, one that cannot be read
/// is empty.
///
/// # Errors
/// The directory cannot be listed: 96.
pub fn parameters(dir: &Path, controller: &str) -> Result<Vec<(OsString, Vec<u8>)>, Error> {
    let entries = match fs::read_dir(dir) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
        entries => entries.map_err(|error| {
            let errno = Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
            let source = SysError { what: format!("cannot open {}", dir.display()), errno, hint: None };
            Error::Step { source, status: SYSTEM }
        })?,
    };
    let mut all = Vec::new();
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name();
        let own = name.as_bytes().split(|b| *b == b'.').next() == Some(controller.as_bytes());
        if !own || name.as_bytes().len() == controller.len() || !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        match fs::read(entry.path()) {
            Ok(text) => all.push((name, text.strip_suffix(b"\n").map(<[u8]>::to_vec).unwrap_or(text))),
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {}
            Err(_) => all.push((name, Vec::new())),
        }
    }
    Ok(all)
}

/// `cgset --copy-from`: gives `target` what `source` has in every hierarchy:
/// files that the owner may write, of one line. What the target lacks or
/// refuses is skipped.
///
/// # Errors
/// The source is nowhere (82), the target is nowhere (95), the source cannot be
/// listed (96).
pub fn copy(source: &Parameters<'_>, target: &Parameters<'_>) -> Result<(), Error> {
    let hierarchies = &source.host.hierarchies;
    let nowhere = |one: &Parameters<'_>, status| {
        let dirs: Vec<_> = hierarchies.iter().map(|h| h.dir(&one.path)).collect();
        if dirs.iter().any(|dir| dir.is_dir()) {
            return Ok(());
        }
        dirs.iter().try_for_each(|dir| exists(dir).map(drop)).map_err(Error::step(status))?;
        let dir = dirs.first().cloned().unwrap_or_default();
        Err(Error::NoGroup { group: one.name.to_owned(), dir, status })
    };
    nowhere(source, NO_GROUP)?;
    nowhere(target, NO_FILE)?;
    for hierarchy in hierarchies {
        let (from, to) = (hierarchy.dir(&source.path), hierarchy.dir(&target.path));
        if !from.is_dir() || !to.is_dir() {
            continue;
        }
        for controller in &hierarchy.controllers {
            copy_controller(&from, controller, target)?;
        }
    }
    Ok(())
}

/// The paths of all groups below `group`, in whichever hierarchy, parents
/// first.
pub fn below(group: &Parameters<'_>) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for hierarchy in &group.host.hierarchies {
        for dir in tree(&hierarchy.dir(&group.path)).split_off(1) {
            let path = dir.strip_prefix(&hierarchy.mounts[0]).unwrap_or(&dir).to_owned();
            if !all.contains(&path) {
                all.push(path);
            }
        }
    }
    all
}

fn copy_controller(from: &Path, controller: &str, target: &Parameters<'_>) -> Result<(), Error> {
    let mut rules = Vec::new();
    for (name, value) in parameters(from, controller)? {
        let writable = fs::metadata(from.join(&name)).is_ok_and(|about| about.mode() & 0o200 != 0);
        // The kernel rounds the weight away when it is set as a nice value.
        if !writable || value.is_empty() || value.contains(&b'\n') || name == "cpu.weight.nice" {
            continue;
        }
        rules.push(Rule { name: name.to_string_lossy().into_owned(), value: OsString::from_vec(value) });
    }
    let refused: Vec<Rule> = rules.into_iter().filter(|rule| target.set(std::slice::from_ref(rule)).is_err()).collect();
    // One may only have had to wait for another.
    for rule in refused {
        let _ = target.set(std::slice::from_ref(&rule));
    }
    Ok(())
}
