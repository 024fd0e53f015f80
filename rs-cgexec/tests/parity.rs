//! The originals and ours, side by side.
#![allow(clippy::disallowed_methods)]

mod common;

use chain::testing::{needs, parity};
use common::Stage;
use rs_cgexec::hierarchy::{Host, Version};

/// Removes the groups of a case when it begins and when it ends, also those
/// that a failure left.
const CLEAN: &str = r#"clean() {
    for n in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        set -- /sys/fs/cgroup/$G* /sys/fs/cgroup/*/$G*
        [ -d "$1" ] || [ -d "$2" ] || [ $# -gt 2 ] || return 0
        find "$@" -depth -type d -exec rmdir {} \; 2>/dev/null || sleep 0.05
    done
}
clean; trap clean EXIT"#;

/// Whether all cases were to run, so that there is a number to hold them to.
fn all() -> bool {
    std::env::var_os("RS_CASE").is_none()
}

fn side_by_side(text: &str) -> chain::testing::Tally {
    let stage = Stage::new("parity");
    // The cases say `/sys/fs/cgroup/cpu/`; here it may be `cpu,cpuacct`.
    let mut text = text.to_owned();
    for controller in ["cpu", "cpuacct", "cpuset", "memory", "pids", "freezer", "devices"] {
        if let Some(hierarchy) =
            Host::read().expect("the mount table").find(controller).filter(|h| h.version == Version::V1)
        {
            let mount = hierarchy.mounts[0].display().to_string();
            text = text.replace(&format!("/sys/fs/cgroup/{controller}/"), &format!("{mount}/"));
        }
    }
    parity(&text.replace("; clean\n", &format!("; {CLEAN}\n")), stage.links())
}

#[test]
fn like_the_originals_on_v1() {
    needs!("v1");
    let tally = side_by_side(include_str!("parity.cases"));
    let same = tally.passed - tally.stated;
    assert!(!all() || tally.skipped > 0 || same >= 100, "only {same} cases are the same");
}

#[test]
fn as_stated_on_v2() {
    needs!("root", "v2");
    let tally = side_by_side(include_str!("v2.cases"));
    assert!(!all() || tally.passed >= 60, "only {} cases", tally.passed);
}
