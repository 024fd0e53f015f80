//! What docker puts over an image when a container is created, and what we
//! call such a container.

use super::tree::{Contents, Node, Tree};
use anyhow::Result;
use std::collections::BTreeMap;

/// Mount points for files that the container gets from the host.
const FILES: [&str; 5] = [".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf"];
const FOLDERS: [&str; 6] = ["dev", "dev/pts", "dev/shm", "etc", "proc", "sys"];

/// Puts docker's start-up layer over `tree`, and the folders that a program
/// started in `working_dir` needs.
///
/// # Errors
/// A file stands where the working folder should be.
pub(crate) fn apply(tree: &mut Tree, working_dir: &str) -> Result<()> {
    let parts = |path: &'static str| path.split('/').map(str::as_bytes).collect::<Vec<_>>();
    for folder in FOLDERS {
        replace_link(tree, &parts(folder))?;
        tree.set(&parts(folder), Node::Folder(BTreeMap::new()))?;
    }
    for file in FILES {
        tree.set(&parts(file), Node::File(Contents::default()))?;
    }
    tree.set(&parts("etc/mtab"), Node::Link(b"/proc/mounts".to_vec()))?;
    make_working_dir(tree, working_dir)
}

/// A link where docker has a folder of its own is lost.
fn replace_link(tree: &mut Tree, parts: &[&[u8]]) -> Result<()> {
    let Some((name, parents)) = parts.split_last() else { return Ok(()) };
    tree.drop_link(parents, name)
}

/// The folders down to `path`, which links in the root may bend.
pub(crate) fn make_working_dir(tree: &mut Tree, path: &str) -> Result<()> {
    let clean = clean(path);
    let parts: Vec<&[u8]> = crate::apply::parts(clean.as_bytes())?;
    tree.make_folders(&parts, path)
}

/// `path` without `.`, `..` and doubled `/`, as Go cleans it.
pub(crate) fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::clean;

    #[test]
    fn paths() {
        assert_eq!([clean("/a/../b//./c/"), clean("/.."), clean("/")], ["/b/c", "/", "/"]);
    }
}
