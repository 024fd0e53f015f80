//! The words that show something.
#![allow(clippy::unnecessary_wraps, reason = "the acts of all words have one type")]

use crate::error::Problem;
use crate::iab::{self, Iab};
use crate::mode::Mode;
use crate::state::{Next, Outcome, State, ambient, bounding, current, unreadable};
use crate::{names, number, text};
use chain::capability::{CAPABILITIES, Capability, capability};
use chain::sys::{caps, identity};
use chain::user;
use nix::unistd::{geteuid, getgid, getuid};
use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;

/// `--current`: the sets, and what exec hands on.
pub(crate) fn current_sets(state: &mut State) -> Outcome {
    let count = state.count()?;
    let lines = format!("{}{}", sets_line(count)?, iab_line(count)?);
    Ok(state.print(lines))
}

/// `--print`: all that matters to capabilities.
pub(crate) fn print(state: &mut State) -> Outcome {
    let count = state.count()?;
    let mut lines = sets_line(count)?;
    let _ = writeln!(lines, "Bounding set ={}", names::list(bounding(count)?));
    let ambient = ambient(count)?;
    match ambient {
        Some(set) => _ = writeln!(lines, "Ambient set ={}", names::list(set)),
        None => lines.push_str("Ambient set = <unsupported>\n"),
    }
    lines.push_str(&iab_line(count)?);
    let bits = caps::secure_bits().map_err(unreadable)?;
    secure_bits(&mut lines, bits, caps::no_new_privs(), ambient.is_some());
    ids(&mut lines)?;
    let mode = Mode::of_this_process(count)?;
    let _ = writeln!(lines, "Guessed mode: {} ({})", mode.name(), mode.number());
    Ok(state.print(lines))
}

fn sets_line(count: u32) -> Result<String, Problem> {
    Ok(format!("Current: {}\n", text::write(&current()?, count)))
}

fn iab_line(count: u32) -> Result<String, Problem> {
    let iab = Iab {
        inheritable: current()?.inheritable,
        ambient: ambient(count)?.unwrap_or(0),
        blocked: names::all(count) & !bounding(count)?,
    };
    Ok(format!("Current IAB: {}\n", iab::write(&iab, count)))
}

fn secure_bits(lines: &mut String, bits: u32, no_new_privs: bool, has_ambient: bool) {
    let binary = format!("{bits:b}");
    let _ = writeln!(
        lines,
        "Securebits: 0{bits:o}/{bits:#x}/{}'b{binary} (no-new-privs={})",
        binary.len(),
        u8::from(no_new_privs)
    );
    let switches = ["noroot", "no-suid-fixup", "keep-caps", "no-ambient-raise"];
    for (at, name) in switches.iter().enumerate().take(if has_ambient { 4 } else { 3 }) {
        let is = |bit: usize| bits >> bit & 1 == 1;
        let (on, locked) = (is(2 * at), is(2 * at + 1));
        let on = if on { "yes" } else { "no" };
        let locked = if locked { "locked" } else { "unlocked" };
        let _ = writeln!(lines, " secure-{name}: {on} ({locked})");
    }
}

fn ids(lines: &mut String) -> Result<(), Problem> {
    let user = |uid: u32| named(uid, user::user_by_id(uid).as_ref().map(|user| user.name.as_str()));
    let group = |gid: u32| named(gid, user::group_by_id(gid).as_ref().map(|group| group.name.as_str()));
    let _ = writeln!(lines, "uid={} euid={}", user(getuid().as_raw()), user(geteuid().as_raw()));
    let _ = writeln!(lines, "gid={}", group(getgid().as_raw()));
    let mut seen: HashMap<u32, String> = HashMap::new();
    let groups = identity::groups().map_err(unreadable)?;
    let groups: Vec<String> =
        groups.into_iter().map(|gid| seen.entry(gid).or_insert_with(|| group(gid)).clone()).collect();
    let _ = writeln!(lines, "groups={}", groups.join(","));
    Ok(())
}

fn named(id: u32, name: Option<&str>) -> String {
    format!("{id}({})", name.unwrap_or("???"))
}

/// `--decode=HEX`: the names of the bits of `/proc/PID/status`.
pub(crate) fn decode(state: &mut State, word: &OsStr) -> Outcome {
    let set = number::hexadecimal(word.as_bytes());
    Ok(state.print(format!("{set:#018x}={}\n", names::list(set))))
}

/// `--explain=NAME`: what a capability lets a process do.
pub(crate) fn explain(state: &mut State, name: &OsStr) -> Outcome {
    let number = names::whole(name.as_bytes()).ok_or_else(|| Problem::Name(name.to_owned()))?;
    Ok(state.print(description(number, names::count_to_show())))
}

/// `--suggest=TEXT`: the capabilities whose name or description has the text.
pub(crate) fn suggest(state: &mut State, text: &OsStr) -> Outcome {
    let wanted = text.as_bytes().to_ascii_lowercase();
    let hit = |known: &Capability| {
        let has = |line: &str| {
            wanted.is_empty() || line.to_ascii_lowercase().as_bytes().windows(wanted.len()).any(|part| part == wanted)
        };
        has(known.name) || description_lines(known).iter().any(|line| has(line))
    };
    let hits = (0u32..).zip(CAPABILITIES).filter(|(_, known)| hit(known));
    let count = names::count_to_show();
    let entries: Vec<String> = hits.map(|(number, _)| description(number, count)).collect();
    Ok(state.print(entries.join("\n")))
}

/// The lines of a description.
pub(crate) fn description_lines(known: &Capability) -> Vec<String> {
    let first = format!("Lets a process {}.", known.lets);
    std::iter::once(first).chain(known.more.iter().map(|line| (*line).to_owned())).collect()
}

/// The heading of a capability and its description, on a kernel of `count`
/// capabilities.
fn description(number: u32, count: u32) -> String {
    let heading = format!("({number}) [/proc/self/status:CapXXX: {:#018x}]\n", 1u64 << number);
    let reserved = if number < count { "" } else { "<reserved for> " };
    match capability(number) {
        Some(known) => {
            let mut text = format!("{reserved}{} {heading}\n", known.name);
            for line in description_lines(known) {
                let _ = writeln!(text, "    {line}");
            }
            text
        }
        None if number < count => format!("<unnamed in libcap> {heading}"),
        None => format!("<unsupported> {heading}"),
    }
}

/// `--license`: under what terms this may be used; the run ends.
pub(crate) fn license(state: &mut State) -> Outcome {
    state.print(crate::license_text());
    Ok(Next::End(0))
}

/// What is said where the kernel has capabilities that we have no name for.
pub(crate) fn kernel_is_ahead(count: u32) -> Option<String> {
    let last = count.checked_sub(1)?;
    capability(last).is_none().then(|| {
        format!(
            "WARNING: {} does not know all capabilities of this kernel (cap={last} should have a name).\n",
            chain::name()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secure_bits_in_three_bases() {
        let text = |bits| {
            let mut lines = String::new();
            secure_bits(&mut lines, bits, false, true);
            lines
        };
        assert!(text(0).starts_with("Securebits: 00/0x0/1'b0 (no-new-privs=0)\n secure-noroot: no (unlocked)\n"));
        assert!(text(0xef).starts_with("Securebits: 0357/0xef/8'b11101111 (no-new-privs=0)\n"));
        assert!(text(0xef).ends_with(" secure-keep-caps: no (locked)\n secure-no-ambient-raise: yes (locked)\n"));
    }

    #[test]
    fn descriptions() {
        assert!(
            description(0, 41).starts_with(
                "cap_chown (0) [/proc/self/status:CapXXX: 0x0000000000000001]\n\n    Lets a process give "
            )
        );
        assert!(description(40, 38).starts_with("<reserved for> cap_checkpoint_restore (40) [/proc/self"));
        assert_eq!(description(63, 41), "<unsupported> (63) [/proc/self/status:CapXXX: 0x8000000000000000]\n");
        assert_eq!(description(41, 42), "<unnamed in libcap> (41) [/proc/self/status:CapXXX: 0x0000020000000000]\n");
    }
}
