//! Id maps (user_namespaces(7)): which lines they get, and who writes them.

use crate::error::Error;
use crate::value::{Range, SetGroups};
use chain::child::{self, End};
use chain::error::report;
use chain::exec::ExecError;
use chain::notation::Signal;
use chain::sys::namespace::write_control;
use chain::{Failure, hint, say};
use nix::errno::Errno;
use nix::unistd::Pid;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The caller's own id outside, and what it becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Single {
    /// Inside.
    pub inner: u32,
    /// Outside.
    pub outer: u32,
}

/// A range, and whether it gives its last id up for the single one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wanted {
    /// The ids.
    pub range: Range,
    /// Subordinate ids from 0 on keep their number: the ids inside move up.
    pub keeps_count: bool,
}

/// Users, or groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Users.
    Users,
    /// Groups.
    Groups,
}

impl Of {
    /// The map's name below `/proc/PID`.
    pub fn file(self) -> &'static str {
        match self {
            Self::Users => "uid_map",
            Self::Groups => "gid_map",
        }
    }

    /// The program that may map subordinate ids.
    fn program(self) -> &'static str {
        match self {
            Self::Users => "newuidmap",
            Self::Groups => "newgidmap",
        }
    }

    fn why(self) -> &'static str {
        match self {
            Self::Users => "which users outside are which inside: until this is written every file is nobody's",
            Self::Groups => "which groups outside are which inside",
        }
    }
}

/// The lines of a map: the single id first, then the ranges, each cut where
/// the single id would be in it a second time.
pub fn lines(single: Option<Single>, wanted: &[Wanted]) -> Vec<Range> {
    let own = single.map(|id| Range { inner: id.inner, outer: id.outer, count: 1 });
    let ranges = wanted.iter().flat_map(|wanted| match single {
        Some(single) => cut(single, *wanted),
        None => vec![wanted.range],
    });
    own.into_iter().chain(ranges).collect()
}

/// `wanted` without the inside and the outside id of `single`, in up to three
/// parts.
fn cut(single: Single, wanted: Wanted) -> Vec<Range> {
    let Range { inner: first_inner, outer: first_outer, count } = wanted.range;
    // The original counts an id right behind the range as one in it; scripts
    // see that in the maps.
    let touches =
        |id: u32, first: u32| u64::from(id) >= first.into() && u64::from(id) <= u64::from(first) + u64::from(count);
    let given_up = !wanted.keeps_count && (touches(single.outer, first_outer) || touches(single.inner, first_inner));
    let count = if given_up { count - 1 } else { count };
    let outer_cut = single.outer.saturating_sub(first_outer).min(count);
    let inner_cut = single.inner.saturating_sub(first_inner).min(count);
    let low = outer_cut.min(inner_cut);
    let middle = outer_cut.abs_diff(inner_cut);
    let mut next = Range { inner: first_inner, outer: first_outer, count: low };
    let mut parts = vec![next];
    for count in [middle, count - low - middle] {
        let skip = |first: u32, length: u32, id: u32| {
            let first = first.saturating_add(length);
            if first == id { first.saturating_add(1) } else { first }
        };
        next = Range {
            inner: skip(next.inner, next.count, single.inner),
            outer: skip(next.outer, next.count, single.outer),
            count,
        };
        parts.push(next);
    }
    parts.retain(|part| part.count > 0);
    parts
}

/// The text of a map file.
pub fn text(lines: &[Range]) -> String {
    lines.iter().fold(String::new(), |mut text, line| {
        let _ = writeln!(text, "{} {} {}", line.inner, line.outer, line.count);
        text
    })
}

/// Writes a map of this process's own user namespace, or of `pid`'s.
///
/// # Errors
/// The file and the kernel's reason.
pub fn write(of: Of, pid: Option<Pid>, lines: &[Range]) -> Result<(), Error> {
    write_control(&control(pid, of.file()), &text(lines), of.why())
        .map_err(|error| Error::advised(error, |errno| (errno == Errno::EINVAL).then(|| invalid(lines)).flatten()))
}

/// Why the kernel takes `lines` for no map (user_namespaces(7)).
fn invalid(lines: &[Range]) -> Option<String> {
    const LINES: usize = 340;
    const BYTES: usize = 4096;
    let (count, bytes) = (lines.len(), text(lines).len());
    if count > LINES || bytes >= BYTES {
        return Some(format!(
            "the map has {count} lines and {bytes} bytes: the kernel takes {LINES} lines, and less than {BYTES} bytes"
        ));
    }
    let meet = |a: u32, of_a: u32, b: u32, of_b: u32| {
        u64::from(a) < u64::from(b) + u64::from(of_b) && u64::from(b) < u64::from(a) + u64::from(of_a)
    };
    let mut pairs = lines.iter().enumerate().flat_map(|(i, a)| lines[i + 1..].iter().map(move |b| (a, b)));
    let (a, b, side) = pairs.find_map(|(a, b)| {
        let inside = meet(a.inner, a.count, b.inner, b.count);
        let outside = meet(a.outer, a.count, b.outer, b.count);
        (inside || outside).then_some((a, b, if inside { "inside" } else { "outside" }))
    })?;
    Some(format!("{a} and {b} have the same ids {side}: each may be mapped once"))
}

/// The control file `name` of process `pid`, or of this one.
fn control(pid: Option<Pid>, name: &str) -> PathBuf {
    let process = pid.map_or_else(|| "self".to_owned(), |pid| pid.to_string());
    ["/proc", &process, name].iter().collect()
}

/// Writes the word that decides on setgroups(2) in the user namespace of this
/// process, or of `pid`.
///
/// # Errors
/// The kernel takes `deny` only before there is a group map.
pub fn write_setgroups(pid: Option<Pid>, word: SetGroups) -> Result<(), Error> {
    let why = "whoever drops a group might open files that are closed to that group: a group map without privilege \
               needs this first";
    match write_control(&control(pid, "setgroups"), word.word(), why) {
        // Linux before 3.19 has no such file, and no such rule.
        Err(error) if error.errno == Errno::ENOENT && Path::new("/proc/self").exists() => Ok(()),
        result => result.map_err(Error::Step),
    }
}

/// The maps that a helper outside writes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Outside {
    /// Empty: none.
    pub users: Vec<Range>,
    /// setgroups(2) is denied first.
    pub deny: bool,
    /// Empty: none.
    pub groups: Vec<Range>,
}

impl Outside {
    /// Whether there is anything to write.
    pub fn is_empty(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty()
    }

    /// Writes the maps of process `pid`, as `privileged` itself, else by the
    /// system's programs for it. Runs in the helper, which has the caller's
    /// ids.
    ///
    /// # Errors
    /// The first map that was refused.
    pub fn apply(&self, pid: Pid, privileged: bool) -> Result<(), Error> {
        if self.deny {
            write_setgroups(Some(pid), SetGroups::Deny)?;
        }
        for (of, lines) in [(Of::Users, &self.users), (Of::Groups, &self.groups)] {
            if lines.is_empty() {
                continue;
            }
            if privileged {
                write(of, Some(pid), lines)?;
            } else {
                by_program(of, pid, lines)?;
            }
        }
        Ok(())
    }
}

/// Runs newuidmap(1) or newgidmap(1), which says itself what it refuses.
fn by_program(of: Of, pid: Pid, lines: &[Range]) -> Result<(), Error> {
    let mut command: Vec<OsString> = vec![of.program().into(), pid.to_string().into()];
    command.extend(lines.iter().flat_map(|line| [line.inner, line.outer, line.count]).map(|n| n.to_string().into()));
    let why = "an ordinary user may map nobody but itself: a setuid program maps the ids that /etc/subuid grants";
    let pid = child::start(why, || {
        let Err(error) = chain::exec(&command);
        report(&NotThere(error))
    })?;
    match child::wait(pid) {
        Ok(End::Exited(0)) => Ok(()),
        Ok(End::Exited(status)) => {
            if let Some(file) = find(of.program())
                && let Some(reason) = hint::powerless(&file)
            {
                say(&format!("hint: {} cannot write the map: {reason}", file.display()));
            }
            Err(Error::Said { status })
        }
        Ok(End::Killed(signal)) => Err(Error::HelperKilled { task: "maps the ids", signal: Signal(signal) }),
        Err(errno) => Err(chain::SysError { what: format!("waitpid {pid} failed"), errno, hint: None }.into()),
    }
}

/// `program` in PATH.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// newuidmap or newgidmap cannot be executed.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct NotThere(ExecError);

impl Failure for NotThere {
    fn status(&self) -> u8 {
        self.0.status()
    }
    fn hint(&self) -> Option<String> {
        let name = Path::new(&self.0.program).display();
        match self.0.errno {
            Errno::ENOENT => self
                .0
                .hint()
                .or_else(|| Some(format!("{name} is in the package uidmap (Debian, Ubuntu) or shadow-utils (Fedora)"))),
            _ => self.0.hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(single: Option<(u32, u32)>, ranges: &[(u32, u32, u32)], keeps_count: bool) -> String {
        let single = single.map(|(inner, outer)| Single { inner, outer });
        let wanted: Vec<Wanted> = ranges
            .iter()
            .map(|&(inner, outer, count)| Wanted { range: Range { inner, outer, count }, keeps_count })
            .collect();
        text(&lines(single, &wanted))
    }

    #[test]
    fn without_a_range_and_without_a_single_id() {
        assert_eq!(map(Some((0, 1000)), &[], false), "0 1000 1\n");
        assert_eq!(map(None, &[(0, 100_000, 10), (20, 5, 1)], false), "0 100000 10\n20 5 1\n");
        assert_eq!(map(None, &[], false), "");
    }

    #[test]
    fn a_range_makes_room_for_the_single_id() {
        assert_eq!(map(Some((0, 1000)), &[(0, 100_000, 10)], false), "0 1000 1\n1 100000 9\n");
        assert_eq!(map(Some((5, 1000)), &[(0, 100_000, 10)], false), "5 1000 1\n0 100000 5\n6 100005 4\n");
        assert_eq!(map(Some((3, 0)), &[(0, 0, 10)], false), "3 0 1\n0 1 3\n4 4 6\n");
    }

    #[test]
    fn subordinate_ids_keep_their_number() {
        assert_eq!(map(Some((0, 1000)), &[(0, 100_000, 65536)], true), "0 1000 1\n1 100000 65536\n");
        let own = Some((65534, 65534));
        assert_eq!(map(own, &[(0, 100_000, 65536)], true), "65534 65534 1\n0 100000 65534\n65535 165534 2\n");
    }

    #[test]
    fn an_id_right_behind_the_range_costs_one_too() {
        assert_eq!(map(Some((10, 1)), &[(0, 100, 10)], false), "10 1 1\n0 100 9\n");
        assert_eq!(map(Some((11, 1)), &[(0, 100, 10)], false), "11 1 1\n0 100 10\n");
        assert_eq!(map(Some((50, 110)), &[(0, 100, 10)], false), "50 110 1\n0 100 9\n");
    }

    #[test]
    fn a_range_of_one_that_is_the_single_id_is_gone() {
        assert_eq!(map(Some((0, 0)), &[(0, 0, 1)], false), "0 0 1\n");
    }

    #[test]
    fn what_the_kernel_does_not_take() {
        let line = |inner, outer, count| Range { inner, outer, count };
        let told = |lines: &[Range]| invalid(lines).unwrap_or_default();
        assert_eq!(told(&[line(0, 10, 10), line(10, 20, 10), line(20, 0, 10)]), "");
        assert!(told(&[line(0, 10, 10), line(9, 20, 1)]).starts_with("0:10:10 and 9:20:1 have the same ids inside"));
        assert!(told(&[line(0, 10, 10), line(10, 5, 6)]).contains("outside"));
        let many: Vec<Range> = (0..341).map(|id| line(id, id, 1)).collect();
        assert!(told(&many).starts_with("the map has 341 lines"));
        let long: Vec<Range> = (0..200).map(|id| line(1_000_000_000 + id, 1_000_000_000 + id, 1)).collect();
        assert!(told(&long).contains("and 4800 bytes"));
    }

    #[test]
    fn the_ends_of_the_numbers() {
        let last = u32::MAX - 1;
        assert_eq!(map(Some((last, last)), &[(last, 5, 1)], false), format!("{last} {last} 1\n"));
        assert_eq!(map(Some((0, 0)), &[(0, 0, u32::MAX)], false), "0 0 1\n1 1 4294967294\n");
    }
}
