//! Every tool, as its crate describes it.

use chain::Page;

/// The pages of all tools, in the order of the chain.
pub(crate) fn all() -> Vec<Page> {
    let crates = [rs_cgexec::pages, rs_unshare::pages, rs_capsh::pages, rs_mountdev::pages, rs_rootfs::pages];
    crates.into_iter().flat_map(|pages| pages()).collect()
}
