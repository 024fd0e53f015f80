//! The same scripts with util-linux's unshare and with ours.

use chain::testing::{Scratch, needs, parity};
use std::env::{var, var_os};

const CASES: &str = include_str!("parity.cases");

/// In the emulated machines only what may depend on the kernel: cases that
/// need namespaces. How a command line is read is the same everywhere, and
/// a program takes long to start there.
fn cases() -> String {
    if !var("RS_LANE").is_ok_and(|lane| lane.starts_with('v')) {
        return CASES.to_owned();
    }
    let depends = |case: &&str| case.contains("\n# needs: ");
    let cases: Vec<&str> = CASES.split("\n## ").filter(depends).collect();
    format!("## {}\n", cases.join("\n## "))
}

#[test]
fn scripts_cannot_tell_them_apart() {
    needs!("unshare");
    let scratch = Scratch::new();
    let links = scratch.links(&[("unshare", "rs-unshare")]);
    let cases = cases();
    let tally = parity(&cases, &links);
    let stated = cases.lines().filter(|line| line.starts_with("## ")).count();
    assert!(tally.passed + tally.skipped == stated || var_os("RS_CASE").is_some(), "{tally:?} of {stated} cases");
    assert!(CASES.lines().filter(|line| line.starts_with("## ")).count() >= 240);
}
