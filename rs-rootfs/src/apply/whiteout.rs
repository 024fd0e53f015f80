//! Whiteouts: how a layer says that something of a lower one is gone (OCI
//! image-spec 1.1, layer.md, "Whiteouts").

use super::Unpacker;
use super::name::Shown;
use super::remove::What;
use super::tree::{Id, Missing, open_folder};
use anyhow::bail;
use nix::fcntl::OFlag;

const PREFIX: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
const BOOKKEEPING: &[u8] = b".wh..wh.";

/// What a name means in a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Meaning<'a> {
    /// An entry.
    Entry,
    /// This name is gone.
    Gone(&'a [u8]),
    /// All that lower layers put into its folder is gone.
    Opaque,
    /// Notes of an old storage driver.
    Nothing,
}

/// What an entry whose name has these `parts` means.
pub(super) fn meaning<'a>(parts: &[&'a [u8]]) -> anyhow::Result<Meaning<'a>> {
    let Some((last, above)) = parts.split_last() else { return Ok(Meaning::Entry) };
    if above.iter().any(|part| part.starts_with(BOOKKEEPING)) {
        return Ok(Meaning::Nothing);
    }
    match last.strip_prefix(PREFIX) {
        None => Ok(Meaning::Entry),
        _ if *last == OPAQUE => Ok(Meaning::Opaque),
        _ if last.starts_with(BOOKKEEPING) => Ok(Meaning::Nothing),
        // Joined and cleaned, `.wh...` would be the folder around DIR.
        Some(b"" | b"." | b"..") => bail!("a whiteout of '{}'", Shown(&last[PREFIX.len()..])),
        Some(name) => Ok(Meaning::Gone(name)),
    }
}

impl Unpacker {
    /// Removes `name`, in the folder that `above` leads to, of lower layers;
    /// without a name everything in that folder. What this layer made stays,
    /// whatever the order of its entries.
    pub(super) fn white_out(&mut self, above: &[&[u8]], name: Option<&[u8]>) -> anyhow::Result<()> {
        // Below the first layer there is nothing, unless DIR was not empty.
        if self.layer == 1 && !self.rules.over {
            return Ok(());
        }
        let Some(parent) = self.tree.walk(above, Missing::Tell)? else { return Ok(()) };
        let Some(name) = name else { return self.empty_known(parent) };
        match self.tree.child(parent, name) {
            Some(folder) if self.tree.node(folder).touched == self.layer => self.empty_known(folder),
            _ if self.made.contains(&self.key(parent, name)) => Ok(()),
            _ => self.remove(parent, name),
        }
    }

    fn empty_known(&mut self, folder: Id) -> anyhow::Result<()> {
        let slot = self.tree.open(folder)?;
        let path = self.tree.path(folder);
        let fd = open_folder(self.tree.fd(slot), b".", OFlag::O_RDONLY)
            .map_err(|errno| super::tree::error("cannot read", &path, errno))?;
        self.empty(fd, &path, Some(folder), What::LowerLayers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn meanings() {
        let of = |parts: &[&'static [u8]]| meaning(parts).ok();
        assert_eq!(of(&[b"a", b".wh.b"]), Some(Meaning::Gone(b"b")));
        assert_eq!(of(&[b".wh..wh..opq"]), Some(Meaning::Opaque));
        assert_eq!(of(&[b".wh..wh.plnk", b"x"]), Some(Meaning::Nothing));
        assert_eq!(of(&[b".wh..wh.aufs"]), Some(Meaning::Nothing));
        assert_eq!(of(&[b"a.wh.b"]), Some(Meaning::Entry));
        assert_eq!(of(&[b".wh.."]), None);
        assert_eq!(of(&[b".wh..."]), None);
        assert_eq!(of(&[b".wh."]), None);
        assert_eq!(of(&[b".wh....b"]), Some(Meaning::Gone(b"...b")));
    }
}
