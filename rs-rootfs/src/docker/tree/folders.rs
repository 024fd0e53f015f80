//! The folders that docker's start makes, and the links that are in their way.

use super::{Node, ROOT, Tree};
use anyhow::{Result, bail};

impl Tree {
    /// Removes the name at `parents`/`name` if it is a link.
    pub(crate) fn drop_link(&mut self, parents: &[&[u8]], name: &[u8]) -> Result<()> {
        let Some(folder) = self.walk(parents, false)? else { return Ok(()) };
        let is_link = self.child(folder, name).is_some_and(|child| matches!(self.things[child.at].node, Node::Link(_)));
        if is_link {
            self.forget(folder, name);
        }
        Ok(())
    }

    /// Makes the folders that are missing on the way to `parts`; the folder
    /// they are made in counts as touched.
    pub(crate) fn make_folders(&mut self, parts: &[&[u8]], path: &str) -> Result<()> {
        for end in 1..=parts.len() {
            if let Some(at) = self.walk(&parts[..end], false)? {
                if self.children(at).is_none() {
                    bail!("Cannot mkdir: {path} is not a directory");
                }
                continue;
            }
            let before = self.things.len();
            let above = self.walk(&parts[..end - 1], false)?.unwrap_or(ROOT);
            if self.child(above, parts[end - 1]).is_some_and(|child| self.things[child.at].node.is_file()) {
                bail!("Cannot mkdir: {path} is not a directory");
            }
            self.walk(&parts[..end], true)?;
            if above != ROOT && self.things.len() > before {
                self.things[above].about.mtime = self.now;
            }
        }
        Ok(())
    }
}
