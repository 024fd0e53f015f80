//! What names lead to.

use super::{Store, join};
use crate::digest::Digest;
use crate::reference::Reference;
use anyhow::Context;
use chain::SysError;
use chain::sys::file::UnlinkAt;
use chain::sys::quietly;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

/// A name, and the digest of the manifest or index it led to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tagged {
    /// The name.
    pub reference: Reference,
    /// What it led to.
    pub digest: Digest,
}

/// The folder and the file of a reference. A tag begins with `:` and a digest
/// with `@`, which no repository does: `a:b` and `a/b:c` do not collide.
fn names(reference: &Reference) -> (String, String) {
    let folder = format!("refs/{}/{}", reference.domain(), reference.path());
    let file = match (reference.tag_or_latest(), reference.digest()) {
        (Some(tag), _) => format!(":{tag}"),
        (None, Some(digest)) => format!("@{digest}"),
        (None, None) => ":latest".to_owned(),
    };
    (folder, file)
}

impl Store {
    /// Remembers what `reference` led to. All of it must be stored.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn set_ref(&self, reference: &Reference, digest: &Digest) -> Result<(), SysError> {
        let (folder, file) = names(reference);
        for (end, _) in folder.match_indices('/') {
            self.make_folder(&folder[..end])?;
        }
        self.make_folder(&folder)?;
        self.put(&folder, &file, format!("{digest}\n").as_bytes(), 0o600)
    }

    /// What `reference` led to, if it was pulled.
    pub fn get_ref(&self, reference: &Reference) -> Option<Digest> {
        let (folder, file) = names(reference);
        let found = fs::read_to_string(self.path().join(join(&folder, &file))).ok()?.trim().parse().ok()?;
        match reference.digest() {
            // Tag and digest: the digest decides.
            Some(wanted) if *wanted != found => None,
            _ => Some(found),
        }
    }

    /// Forgets `reference`, and the folders that are empty then.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn remove_ref(&self, reference: &Reference) -> Result<(), SysError> {
        let (folder, file) = names(reference);
        self.remove(&join(&folder, &file))?;
        self.sync_folder(&folder)?;
        let mut rest = folder.as_str();
        while let Some((above, _)) = rest.rsplit_once('/') {
            let path = OsStr::new(rest);
            let call = UnlinkAt { dir: self.at(), path, flags: libc::AT_REMOVEDIR, why: "It is empty now" };
            if quietly(&call).is_err() {
                break;
            }
            rest = above;
        }
        Ok(())
    }

    /// All names, sorted.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn refs(&self) -> anyhow::Result<Vec<Tagged>> {
        let mut found = Vec::new();
        collect(&self.path().join("refs"), "", &mut found)?;
        found.sort();
        Ok(found)
    }
}

fn collect(folder: &Path, name: &str, found: &mut Vec<Tagged>) -> anyhow::Result<()> {
    for entry in fs::read_dir(folder).with_context(|| folder.display().to_string())? {
        let entry = entry?;
        let Ok(own) = entry.file_name().into_string() else { continue };
        if own.starts_with([':', '@']) {
            let digest = fs::read_to_string(entry.path()).ok().and_then(|text| text.trim().parse().ok());
            if let (Ok(reference), Some(digest)) = (format!("{name}{own}").parse(), digest) {
                found.push(Tagged { reference, digest });
            }
        } else if entry.file_type()?.is_dir() {
            collect(&entry.path(), &join(name, &own), found)?;
        }
    }
    Ok(())
}
