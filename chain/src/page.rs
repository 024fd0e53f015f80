//! What xtask needs of a tool to write its man page and its completions.

/// One tool, as its documents see it. Each crate lists its own in `pages()`.
#[derive(Debug)]
pub struct Page {
    /// The program's name: `rs-unshare`.
    pub name: &'static str,
    /// The name of the program it is a drop-in for, under which it may be
    /// linked.
    pub original: Option<&'static str>,
    /// Its options, with [`Tool::command`](crate::Tool::command)'s additions.
    pub command: clap::Command,
    /// [`Call::NAME`](crate::sys::Call::NAME) of every call it makes, and one
    /// sentence on what for.
    pub calls: &'static [(&'static str, &'static str)],
    /// The hand-written sections (man/NAME.roff): SYNOPSIS, EXIT STATUS,
    /// ENVIRONMENT, FILES, EXAMPLES, DIFFERENCES, SEE ALSO.
    pub sections: &'static str,
}
