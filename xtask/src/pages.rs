//! Every tool, as its crate describes it.

use chain::Page;

/// The pages of all tools, in the order of the chain.
pub(crate) fn all() -> Vec<Page> {
    let crates = [rs_cgexec::pages, rs_unshare::pages, rs_capsh::pages, rs_mountdev::pages];
    crates.into_iter().flat_map(|pages| pages()).collect()
}

/// Each name that a tool goes by: its own, and the original's.
pub(crate) fn names(page: &Page) -> impl Iterator<Item = &'static str> {
    std::iter::once(page.name).chain(page.original)
}
