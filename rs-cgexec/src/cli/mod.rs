//! The command lines, a module for each tool.

pub mod cgclassify;
pub mod cgcreate;
pub mod cgdelete;
pub mod cgexec;
pub mod cgget;
pub mod cgset;
pub mod lscgroup;
pub mod lssubsys;
pub mod uuidgen;

use crate::status::Error;
use chain::Page;

/// `name` of [`chain::Tool`]s of this family takes these long options beside
/// the original's.
pub(crate) const OURS: &[&str] = &["version"];

pub(crate) fn usage(message: impl Into<String>) -> Error {
    Error::Usage(message.into())
}

/// The documents of every tool of this crate.
pub fn pages() -> Vec<Page> {
    vec![
        cgcreate::page(),
        cgset::page(),
        cgget::page(),
        cgexec::page(),
        cgclassify::page(),
        cgdelete::page(),
        lscgroup::page(),
        lssubsys::page(),
        uuidgen::page(),
    ]
}
