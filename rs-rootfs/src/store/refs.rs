//! What names lead to.

use super::{Store, join};
use crate::digest::Digest;
use crate::reference::Reference;
use chain::SysError;
use chain::sys::file::UnlinkAt;
use chain::sys::quietly;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// A name, and the digest of the manifest or index it led to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tagged {
    /// The name.
    pub reference: Reference,
    /// What it led to.
    pub digest: Digest,
}

impl Tagged {
    /// The name as people write it.
    pub fn name(&self) -> String {
        self.reference.familiar()
    }
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
        // Who removes a name removes its folders too.
        let _lock = self.lock_folder("refs")?;
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
        let found = digest_in(&self.path().join(join(&folder, &file))).ok()??;
        match reference.digest() {
            // Tag and digest: the digest decides.
            Some(wanted) if *wanted != found => None,
            _ => Some(found),
        }
    }

    /// Whether something stands under `reference` that is no digest.
    pub fn is_damaged_ref(&self, reference: &Reference) -> bool {
        let (folder, file) = names(reference);
        digest_in(&self.path().join(join(&folder, &file))).is_err()
    }

    /// Forgets `reference`, and the folders that are empty then.
    ///
    /// # Errors
    /// The kernel's reason.
    pub fn remove_ref(&self, reference: &Reference) -> Result<(), SysError> {
        let _lock = self.lock_folder("refs")?;
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

    /// All names, sorted; what cannot be read is noted.
    pub fn refs(&self) -> Vec<Tagged> {
        let mut found = Vec::new();
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            if let Err(error) = self.refs_in(&folder, &mut folders, &mut found) {
                self.note(join("refs", &folder), crate::reason(&error));
            }
        }
        found.sort();
        found
    }

    fn refs_in(&self, folder: &str, folders: &mut Vec<String>, found: &mut Vec<Tagged>) -> io::Result<()> {
        let path = self.path().join("refs").join(folder);
        let list = match fs::read_dir(&path) {
            // Its last name was removed meanwhile.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            list => list?,
        };
        for entry in list {
            let entry = entry?;
            let Ok(own) = entry.file_name().into_string() else { continue };
            if !own.starts_with([':', '@']) {
                folders.extend(entry.file_type()?.is_dir().then(|| join(folder, &own)));
                continue;
            }
            let Ok(reference) = format!("{folder}{own}").parse::<Reference>() else { continue };
            match digest_in(&entry.path()) {
                Ok(digest) => found.extend(digest.map(|digest| Tagged { reference, digest })),
                Err(why) => self.note(reference.familiar(), why),
            }
        }
        Ok(())
    }
}

/// The digest in a file, if there is one; else why not.
fn digest_in(path: &Path) -> Result<Option<Digest>, String> {
    match fs::read_to_string(path) {
        Ok(text) => text.trim().parse().map(Some).map_err(|_| "damaged in the store".to_owned()),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(crate::reason(&error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_comes_while_its_neighbour_goes() {
        let scratch = chain::testing::Scratch::new();
        let open = || Store::open_at(&scratch.join("store"), libc::LOCK_SH).expect("a store");
        let (digest, store) = (Digest::of(b""), open());
        let reference = |text: &str| text.parse::<Reference>().expect("a name");
        let (one, other) = (reference("h.example/a/b/c:1"), reference("h.example/a/b/c:2"));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let store = open();
                for _ in 0..200 {
                    store.set_ref(&other, &digest).expect("set");
                    store.remove_ref(&other).expect("removed");
                }
            });
            for _ in 0..200 {
                store.set_ref(&one, &digest).expect("set");
                store.refs();
                store.remove_ref(&one).expect("removed");
            }
        });
        assert_eq!((store.refs(), store.damage()), (Vec::new(), Vec::new()));
    }
}
