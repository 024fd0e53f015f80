//! The whole translation table on this kernel: each parameter written under
//! the one version's name, read under the other's.
#![allow(clippy::disallowed_methods)]

mod common;

use chain::testing::{Ran, needs, run};
use common::{Stage, v2};
use rs_cgexec::convert::{TABLE, matches};
use rs_cgexec::hierarchy::{Host, Version};
use std::path::Path;

/// `HOST | NAME | VALUE | STATUS | FILE | CONTENT | SHOWN`, see the file.
struct Case<'a> {
    line: &'a str,
    host: &'a str,
    name: &'a str,
    value: &'a str,
    status: i32,
    file: &'a str,
    content: &'a str,
    shown: &'a str,
}

fn cases() -> Vec<Case<'static>> {
    let lines = include_str!("translation.cases").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let mut cell = line.split('|').map(str::trim);
            let mut next = || cell.next().unwrap_or_else(|| panic!("seven cells: {line}"));
            let (host, name, value) = (next(), next(), next());
            let status = next().parse().unwrap_or_else(|_| panic!("a status: {line}"));
            Case { line, host, name, value, status, file: next(), content: next(), shown: next() }
        })
        .collect()
}

#[test]
fn every_row_has_a_case_for_each_of_its_names() {
    let cases = cases();
    for row in TABLE {
        for (host, name, other) in [("v2", row.v1, row.v2), ("v1", row.v2, row.v1)] {
            if name.is_empty() {
                continue;
            }
            let tried = cases.iter().any(|case| {
                let same_name = row.v1 == row.v2 && case.name == name;
                same_name || (case.host == host && matches(case.name).any(|found| found.row == row))
            });
            assert!(tried, "no case on {host} for {name} (counterpart '{other}')");
        }
    }
}

#[test]
fn every_case_on_this_kernel() {
    needs!("root");
    let here = if v2() { "v2" } else { "v1" };
    let stage = Stage::new("translation");
    let list = if v2() { "cpu,memory,cpuset,pids,io,hugetlb" } else { "*" };
    let mut wrong = Vec::new();
    let (mut tried, mut lacking, mut written) = (0, 0, true);
    for case in cases().iter().filter(|case| case.host == here) {
        // A file that this kernel was built without, a row that no row serves.
        let served =
            matches(case.name).any(|found| found.target.as_deref().is_none_or(|target| exists(&stage, list, target)));
        let direct = exists(&stage, list, case.name);
        if !served && !direct {
            lacking += 1;
            chain::say(&format!("not here: {}", case.line));
            continue;
        }
        tried += 1;
        // A group that no case wrote to serves the next one.
        if std::mem::replace(&mut written, case.value != "-" && case.status != 111) {
            renew(&stage);
        }
        if let Some(how) = differs(&stage, case) {
            wrong.push(format!("{}\n    {how}", case.line));
        }
    }
    chain::say(&format!("translation on {here}: {tried} cases, {lacking} without their file"));
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(tried >= 40, "only {tried} cases could be tried");
}

fn exists(stage: &Stage, list: &str, file: &str) -> bool {
    let controller = file.split('.').next().unwrap_or_default();
    let dir = stage.dir(controller);
    if !dir.exists() {
        stage.ok(&format!("cgcreate -g '{list}:'$G"));
    }
    Host::read().expect("the mount table").find(controller).is_some() && dir.join(file).exists()
}

/// Runs a tool without a shell between: an emulated machine is slow.
fn tool(stage: &Stage, name: &str, args: &[&str]) -> Ran {
    run(stage.links().join(name), args.iter().chain([&stage.group.as_str()]))
}

/// `a && NAME=b` is one command, `a; b` are two; the last one's result.
fn set(stage: &Stage, case: &Case<'_>) -> Ran {
    let mut last = None;
    for values in case.value.split("; ") {
        let mut args = Vec::new();
        for (i, value) in values.split(" && ").enumerate() {
            args.push("-r".to_owned());
            args.push(if i == 0 { format!("{}={value}", case.name) } else { value.to_owned() });
        }
        last = Some(tool(stage, "cgset", &args.iter().map(String::as_str).collect::<Vec<_>>()));
    }
    last.expect("a value")
}

/// A group that has no history.
fn renew(stage: &Stage) {
    for hierarchy in Host::read().expect("the mount table").hierarchies {
        let dir = hierarchy.dir(Path::new(&stage.group));
        if dir.is_dir() {
            std::fs::remove_dir(&dir).expect("an empty group");
            std::fs::create_dir(&dir).expect("as before");
        }
    }
}

fn differs(stage: &Stage, case: &Case<'_>) -> Option<String> {
    if case.value != "-" {
        let ran = set(stage, case);
        if ran.status != case.status {
            return Some(format!("status {}: {}", ran.status, ran.stderr.trim_end()));
        }
        if case.status == 111 && !ran.stderr.contains(case.name) {
            return Some(format!("the message does not name it: {}", ran.stderr));
        }
    }
    if case.file != "-" {
        let controller = case.file.split('.').next().unwrap_or_default();
        // The freezer takes its time.
        let mut now = String::new();
        for _ in 0..100 {
            now = stage.read(controller, case.file).trim_end().replace('\n', "\\n");
            if agrees(&now, case.content) {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        if !agrees(&now, case.content) {
            return Some(format!("{} is '{now}'", case.file));
        }
    }
    if case.shown != "-" {
        let ran = tool(stage, "cgget", &["-nvr", case.name]);
        let shown = ran.stdout.trim_end_matches('\n').replace("\n\t", "\\n");
        let status = case.shown.parse().ok().filter(|status| [96, 111].contains(status) && case.value == "-");
        if ran.status != status.unwrap_or(0) || (status.is_none() && !agrees(&shown, case.shown)) {
            return Some(format!("shown as '{shown}', status {}: {}", ran.status, ran.stderr.trim_end()));
        }
    }
    None
}

/// `#` in what is wanted stands for any number, `...` at its end for anything.
fn agrees(now: &str, wanted: &str) -> bool {
    if wanted == "-" {
        return true;
    }
    let (wanted, open) = wanted.strip_suffix("...").map_or((wanted, false), |begin| (begin, true));
    let mut rest = now;
    for (i, part) in wanted.split('#').enumerate() {
        if i > 0 {
            let after = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            if after.len() == rest.len() {
                return false;
            }
            rest = after;
        }
        match rest.strip_prefix(part) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    open || rest.is_empty()
}

#[test]
fn names_of_the_hosts_own_version_are_never_translated() {
    for (name, version) in [("memory.max", Version::V2), ("memory.limit_in_bytes", Version::V1)] {
        assert!(matches(name).all(|found| found.asked == version && found.host() != version));
    }
}
