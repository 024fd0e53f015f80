//! strace beside our own traces, and as the kernel that refuses a call.

use super::{Ran, Scratch};
use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::process::{Command, Stdio};

/// Runs `program --trace args` under strace and checks that both tell the
/// same: nothing made up, nothing hidden. `calls` are the `Call::NAME`s of
/// the tool. Returns what is different, empty if nothing is.
///
/// From strace's: the exec that starts us, reading opens, writes to standard
/// descriptors and all after the exec that succeeded go; from ours the `#`
/// lines and the paths after descriptors; pids and pointers from both.
pub fn against_strace(program: &Path, args: &[&str], calls: &[&str]) -> Vec<String> {
    against_strace_under(&[], program, args, calls)
}

/// [`against_strace`], strace itself run by `wrapper`: `["unshare", "-m"]`.
pub fn against_strace_under(wrapper: &[&str], program: &Path, args: &[&str], calls: &[&str]) -> Vec<String> {
    let scratch = Scratch::new();
    let file = scratch.join("strace");
    let mut words = wrapper.iter().copied().chain(["strace"]);
    let mut command = Command::new(words.next().unwrap_or_default());
    command.args(words);
    command.args(["-f", "-qq", "-s", "65535", "-e", "signal=none", "-e"]);
    command.arg(format!("trace={}", calls.join(","))).arg("-o").arg(&file).arg(program);
    let ran =
        command.arg("--trace").args(args).stdin(Stdio::null()).stdout(Stdio::null()).output().expect("strace starts");
    let theirs = std::fs::read_to_string(&file).unwrap_or_default();
    let ours = String::from_utf8_lossy(&ran.stderr).into_owned();
    difference(&normal_strace(&theirs), &normal_ours(&ours, calls))
}

/// A line of a trace, and the process it is of; the first has no name.
type Line = (String, String);

/// Each process's lines have an order of their own: who of two is first is
/// chance.
fn difference(theirs: &[Line], ours: &[Line]) -> Vec<String> {
    let sorted = |lines: &[Line]| {
        let mut lines = lines.to_vec();
        lines.sort_by(|a, b| a.0.cmp(&b.0));
        lines
    };
    if sorted(theirs) == sorted(ours) {
        return Vec::new();
    }
    let shown = |who: &str, lines: &[Line]| -> Vec<String> {
        lines.iter().map(|(pid, line)| format!("{who} {pid:7} {line}")).collect()
    };
    [shown("strace:", theirs), shown("ours:  ", ours)].concat()
}

/// `5</a/path>` as `5`, wherever a descriptor stands.
fn without_paths(line: &str) -> String {
    let mut out = String::with_capacity(line.len());
    let mut quoted = false;
    let mut rest = line.char_indices().peekable();
    let mut previous = ' ';
    while let Some((_, c)) = rest.next() {
        if quoted && c == '\\' {
            out.push(c);
            if let Some((_, next)) = rest.next() {
                out.push(next);
            }
            continue;
        }
        if c == '"' {
            quoted = !quoted;
        }
        // `1<<CAP_CHOWN` is no descriptor.
        let shift = rest.peek().is_some_and(|(_, next)| *next == '<');
        if !quoted && c == '<' && !shift && previous.is_ascii_digit() {
            for (_, c) in rest.by_ref() {
                if c == '>' {
                    break;
                }
            }
            previous = '>';
            continue;
        }
        out.push(c);
        previous = c;
    }
    out
}

fn normal_strace(text: &str) -> Vec<Line> {
    let first = text.split(' ').next().unwrap_or_default();
    let mut lines = Vec::new();
    let mut pending: HashMap<String, String> = HashMap::new();
    let mut payload: HashSet<String> = HashSet::new();
    let mut started = false;
    for line in text.lines() {
        let Some((pid, line)) = line.split_once(' ') else { continue };
        let mut line = line.trim_start().to_owned();
        if let Some(begin) = line.strip_suffix(" <unfinished ...>") {
            pending.insert(pid.to_owned(), begin.to_owned());
            continue;
        }
        if line.starts_with("<... ")
            && let Some((_, end)) = line.split_once(" resumed>")
        {
            line = format!("{}{end}", pending.remove(pid).unwrap_or_default());
        }
        let Some((call, result)) = line.rsplit_once(" = ") else { continue };
        let line = format!("{} = {}", call.trim_end(), result);
        if payload.contains(pid) {
            continue;
        }
        if call.starts_with("execve(") {
            if !started {
                started = true;
                continue;
            }
            if result == "0" {
                payload.insert(pid.to_owned());
            }
        }
        let reading = call.starts_with("openat(") && call.contains("O_RDONLY") && !call.contains("O_CREAT");
        let other = [
            "write(1, ",
            "write(2, ",
            "rt_sigprocmask(SIG_BLOCK, NULL, ",
            "rt_sigprocmask(SIG_UNBLOCK, [RT_1 RT_2], ",
            "prctl(PR_CAPBSET_READ, ",
            "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, ",
            "prctl(PR_GET_",
        ];
        if !reading && !other.iter().any(|begin| call.starts_with(begin)) {
            lines.push((if pid == first { String::new() } else { pid.to_owned() }, answered(pointers_out(&line))));
        }
    }
    lines
}

/// `0x7ffc... /* 23 vars */` as `/* 23 vars */`.
fn pointers_out(line: &str) -> String {
    // The environment is on the stack, or on the heap where it is a new one.
    match (line.rfind("], 0x"), line.rfind(" /* ")) {
        (Some(start), Some(end)) if start < end => format!("{}],{}", &line[..start], &line[end..]),
        _ => line.to_owned(),
    }
}

fn normal_ours(text: &str, calls: &[&str]) -> Vec<Line> {
    let mut lines: Vec<Line> = Vec::new();
    for line in text.lines() {
        let (pid, line) = line.strip_prefix("[pid ").and_then(|rest| rest.split_once("] ")).unwrap_or(("", line));
        if !calls.iter().any(|call| line.strip_prefix(call).is_some_and(|rest| rest.starts_with('('))) {
            continue;
        }
        let reading = line.starts_with("openat(") && line.contains("O_RDONLY") && !line.contains("O_CREAT");
        if reading {
            continue;
        }
        let line = without_paths(line);
        // What returned after all, an exec, has a second line.
        if let Some(last) = lines.iter().rposition(|(of, _)| of == pid)
            && let Some(begin) = lines[last].1.strip_suffix(" = ?")
            && line.strip_prefix(begin).is_some_and(|rest| rest.starts_with(" = -1"))
        {
            lines.remove(last);
        }
        lines.push((pid.to_owned(), line));
    }
    lines.into_iter().map(|(pid, line)| (pid, answered(line))).collect()
}

/// A call that leaves nobody to tell of it has succeeded.
fn answered(line: String) -> String {
    line.strip_suffix(" = ?").map(|begin| format!("{begin} = 0")).unwrap_or(line)
}

/// Runs `program args` while strace makes the `when`th call of `call` fail
/// with `errno`. `execve` counts from 2: strace starts us with the first.
pub fn inject(program: &Path, args: &[&str], call: &str, errno: &str, when: u32) -> Ran {
    let scratch = Scratch::new();
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(scratch.join("strace"));
    command.arg("-e").arg(format!("trace={call}")).arg("-e").arg(format!("inject={call}:error={errno}:when={when}"));
    command.arg(program).args(args).stdin(Stdio::null());
    command.output().expect("strace starts").into()
}
