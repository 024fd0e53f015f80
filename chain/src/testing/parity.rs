//! The originals and ours, side by side, on the same scripts.
//!
//! A file of cases is text: `## NAME` begins a case, the lines after it are
//! its script for sh. Lines at a script's top say more:
//!
//! ```text
//! # needs: WORD       what `have` must find; several lines for several
//! # want-rc: N        this status is right, whatever the original does
//! # want-out: TEXT    these lines of standard output are right; repeatable
//! # stderr: ignore    do not compare whether anything was said there
//! # stderr-has: TEXT  our standard error must hold TEXT
//! # because: TEXT     why we differ on purpose; wanted with want-rc, want-out
//! ```
//!
//! Each script runs in an empty folder of its own, at most 20 s.

use super::{Ran, Scratch, have, skip_named};
use std::fmt::Write as _;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20);

struct Case<'a> {
    name: &'a str,
    script: String,
}

impl<'a> Case<'a> {
    fn said<'b>(&'b self, key: &'b str) -> impl Iterator<Item = &'b str> {
        self.script
            .lines()
            .take_while(|line| line.starts_with('#'))
            .filter_map(move |line| line.strip_prefix("# ")?.strip_prefix(key)?.strip_prefix(':'))
            .map(str::trim)
    }

    fn all_in(text: &'a str) -> Vec<Self> {
        let mut cases: Vec<Self> = Vec::new();
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("## ") {
                cases.push(Self { name, script: String::new() });
            } else if let Some(case) = cases.last_mut() {
                case.script.push_str(line);
                case.script.push('\n');
            }
        }
        cases
    }
}

/// How a suite went.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Tally {
    /// Cases that ran and agreed.
    pub passed: usize,
    /// Of those, the ones whose right answer is stated: we differ on purpose.
    pub stated: usize,
    /// Cases this machine lacks something for.
    pub skipped: usize,
}

/// Runs every case of `text` with the originals, then with `links` (a folder
/// of links under the originals' names) in front of PATH.
///
/// `RS_CASE` in the environment runs only the cases whose name holds it.
///
/// # Panics
/// If a case differs; the message says how.
pub fn parity(text: &str, links: &Path) -> Tally {
    let only = std::env::var("RS_CASE").unwrap_or_default();
    let mut tally = Tally::default();
    let mut differences = String::new();
    for case in Case::all_in(text).iter().filter(|case| case.name.contains(&only)) {
        if let Some(lacking) = case.said("needs").find(|need| !have(need)) {
            skip_named(lacking, &format!("case {}", case.name));
            tally.skipped += 1;
            continue;
        }
        if let Some(how) = differs(case, links) {
            let _ = writeln!(differences, "{}: {how}", case.name);
        } else {
            tally.passed += 1;
            tally.stated += usize::from(case.said("want-rc").next().is_some());
        }
    }
    let Tally { passed, stated, skipped } = tally;
    crate::error::write_stderr(&format!("parity: {passed} cases agree ({stated} by statement), {skipped} skipped\n"));
    assert!(differences.is_empty(), "\n{differences}");
    tally
}

fn differs(case: &Case<'_>, links: &Path) -> Option<String> {
    let path = std::env::var("PATH").unwrap_or_default();
    let wanted_status: Option<i32> = case.said("want-rc").next().and_then(|n| n.parse().ok());
    let wanted_lines: Vec<&str> = case.said("want-out").collect();
    let wanted_out = (!wanted_lines.is_empty()).then(|| wanted_lines.join("\n") + "\n");
    let ours = once(case, &format!("{}:{path}", links.display()));
    let theirs = if wanted_status.is_some() && wanted_out.is_some() { ours.clone() } else { once(case, &path) };
    let mut how = Vec::new();
    let status = wanted_status.unwrap_or(theirs.status);
    if ours.status != status {
        how.push(format!("status {}, want {status} (stderr {:?})", ours.status, ours.stderr));
    }
    let out = wanted_out.as_ref().unwrap_or(&theirs.stdout);
    if ours.stdout != *out {
        how.push(format!("stdout {:?}, want {out:?}", ours.stdout));
    }
    for text in case.said("stderr-has") {
        if !ours.stderr.to_lowercase().contains(&text.to_lowercase()) {
            how.push(format!("stderr lacks {text:?}: {:?}", ours.stderr));
        }
    }
    let silent = |ran: &Ran| ran.stderr.trim().is_empty();
    let compare = case.said("stderr").next().is_none() && case.said("stderr-has").next().is_none();
    if compare && wanted_status.is_none() && silent(&ours) != silent(&theirs) {
        how.push(format!("stderr {:?}, the original's {:?}", ours.stderr, theirs.stderr));
    }
    (!how.is_empty()).then(|| how.join("; "))
}

/// Runs the case once; after the limit its whole session is killed.
fn once(case: &Case<'_>, path: &str) -> Ran {
    let work = Scratch::new();
    let out = work.path().with_extension("out");
    let err = work.path().with_extension("err");
    let file = |name: &Path| std::fs::File::create(name).expect("a new file");
    let mut command = Command::new("sh");
    command.arg("-c").arg(&case.script).current_dir(work.path()).env_clear().stdin(Stdio::null());
    command.envs([("PATH", path), ("LC_ALL", "C"), ("TERM", "dumb"), ("SHELL", "/bin/sh")]);
    let home = std::env::var("HOME").unwrap_or_else(|_| "/".to_owned());
    command.env("HOME", home).stdout(file(&out)).stderr(file(&err)).process_group(0);
    let mut child = command.spawn().expect("sh starts");
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            use std::os::unix::process::ExitStatusExt;
            break status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        }
        if started.elapsed() > LIMIT {
            let group = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
            let _ = nix::sys::signal::killpg(group, nix::sys::signal::Signal::SIGKILL);
            let _ = child.wait();
            break -1;
        }
        std::thread::sleep(Duration::from_micros(500));
    };
    let text = |name: &Path| {
        let bytes = std::fs::read(name).unwrap_or_default();
        let _ = std::fs::remove_file(name);
        let folder = work.path().display().to_string();
        plain_numbers(&String::from_utf8_lossy(&bytes).replace(&folder, "<folder>"))
    };
    Ran { status, stdout: text(&out), stderr: text(&err) }
}

/// Namespace numbers differ from run to run: `net:[4026531840]` is `net:[N]`.
fn plain_numbers(text: &str) -> String {
    let mut parts = text.split(":[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        plain.push_str(if rest.starts_with(']') && rest.len() < part.len() { ":[N" } else { ":[" });
        plain.push_str(if rest.starts_with(']') { rest } else { part });
    }
    plain
}
