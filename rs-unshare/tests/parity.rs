//! The same scripts with util-linux's unshare and with ours.

use chain::testing::{Scratch, needs, parity};

#[test]
fn scripts_cannot_tell_them_apart() {
    needs!("unshare");
    let scratch = Scratch::new();
    let links = scratch.links(&[("unshare", "rs-unshare")]);
    let tally = parity(include_str!("parity.cases"), &links);
    let cases = tally.passed + tally.skipped;
    assert!(cases >= 120 || std::env::var_os("RS_CASE").is_some(), "{cases} cases");
}
