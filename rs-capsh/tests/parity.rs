//! rs-capsh and its siblings beside libcap's programs: same status, same
//! standard output.

use chain::testing::{Scratch, needs, parity};
use std::env::var_os;

#[test]
fn the_originals_and_ours() {
    needs!("capsh");
    let scratch = Scratch::new();
    let links = scratch.links(&[
        ("capsh", "rs-capsh"),
        ("getpcaps", "rs-getpcaps"),
        ("setcap", "rs-setcap"),
        ("getcap", "rs-getcap"),
    ]);
    let tally = parity(include_str!("parity.cases"), &links);
    assert!(tally.passed + tally.skipped >= 350 || var_os("RS_CASE").is_some(), "{tally:?}");
}
