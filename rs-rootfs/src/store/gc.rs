//! Removes what nothing names.

use super::images::GONE;
use super::{Store, TEMPORARY};
use crate::digest::Digest;
use crate::document::{DEPTH_MAX, Document};
use anyhow::{Context, bail};
use std::collections::HashSet;
use std::fs;
use std::time::{Duration, SystemTime};

const DAY: Duration = Duration::from_hours(24);

/// What `gc` removed, or would.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Freed {
    /// Files.
    pub files: u64,
    /// Bytes.
    pub bytes: u64,
}

#[derive(Default)]
struct Marked {
    blobs: HashSet<Digest>,
    layers: HashSet<Digest>,
}

impl Store {
    /// Removes every blob and layer that no reference and no container leads
    /// to and that is older than `keep`, abandoned downloads older than a
    /// day, and temporary files. The store must be open alone.
    ///
    /// # Errors
    /// The kernel's reason. A document that cannot be read is noted, and then
    /// nothing is removed that it might name.
    pub fn collect_garbage(&self, keep: Duration, dry_run: bool) -> anyhow::Result<Freed> {
        let marked = self.mark()?;
        let known = self.damage().is_empty();
        let mut freed = Freed::default();
        let mut folders = vec![String::new(), "containers".to_owned(), "layers".to_owned(), "refs".to_owned()];
        while let Some(folder) = folders.pop() {
            self.sweep(&folder, dry_run, &mut freed, &|name, _| name.starts_with(TEMPORARY))?;
            if folder.starts_with("refs") {
                folders.extend(self.folders_in(&folder)?);
            }
        }
        for algorithm in ["sha256", "sha512"] {
            let unnamed = |marked: &HashSet<Digest>, name: &str, age: Duration| {
                if name.starts_with(TEMPORARY) {
                    return true;
                }
                if name.strip_suffix(".part").is_some() {
                    return age > DAY;
                }
                known
                    && format!("{algorithm}:{name}").parse().is_ok_and(|digest| !marked.contains(&digest))
                    && age >= keep
            };
            let blobs = format!("blobs/{algorithm}");
            self.sweep(&blobs, dry_run, &mut freed, &|name, age| unnamed(&marked.blobs, name, age))?;
            let layers = format!("layers/{algorithm}");
            self.sweep(&layers, dry_run, &mut freed, &|name, age| unnamed(&marked.layers, name, age))?;
        }
        Ok(freed)
    }

    fn folders_in(&self, folder: &str) -> anyhow::Result<Vec<String>> {
        let path = self.path().join(folder);
        let list = fs::read_dir(&path).with_context(|| format!("cannot open {}", path.display()))?.flatten();
        let folders = list.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        Ok(folders.filter_map(|it| Some(super::join(folder, &it.file_name().into_string().ok()?))).collect())
    }

    fn mark(&self) -> anyhow::Result<Marked> {
        let mut marked = Marked::default();
        for (name, digest) in self.roots()? {
            if let Err(why) = self.mark_below(&digest, 0, &mut marked) {
                self.note(name, crate::told(&why));
            }
        }
        Ok(marked)
    }

    fn mark_below(&self, digest: &Digest, depth: usize, marked: &mut Marked) -> anyhow::Result<()> {
        if depth > DEPTH_MAX || !marked.blobs.insert(digest.clone()) {
            return Ok(());
        }
        match self.document(digest)? {
            // An index lists more than is fetched of it.
            None if depth > 0 => {}
            None => bail!("blob {digest} is not in the store any more"),
            Some(Document::Index(index)) => {
                for entry in index.manifests {
                    self.mark_below(&entry.digest, depth + 1, marked)?;
                }
            }
            Some(Document::Manifest(manifest)) => {
                marked.blobs.insert(manifest.config.digest.clone());
                marked.blobs.extend(manifest.layers.iter().map(|layer| layer.digest.clone()));
                let image = self.with_config(digest.clone(), manifest)?.context(GONE)?;
                marked.layers.extend(image.config.rootfs.diff_ids);
            }
        }
        Ok(())
    }

    /// Removes the files of `folder` for which `wanted` (name, age) holds.
    fn sweep(
        &self,
        folder: &str,
        dry_run: bool,
        freed: &mut Freed,
        wanted: &dyn Fn(&str, Duration) -> bool,
    ) -> anyhow::Result<()> {
        let path = self.path().join(folder);
        for entry in fs::read_dir(&path).with_context(|| format!("cannot open {}", path.display()))? {
            let entry = entry?;
            let about = entry.metadata()?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let age = about.modified().ok().and_then(|time| SystemTime::now().duration_since(time).ok());
            if !about.is_file() || !wanted(&name, age.unwrap_or_default()) {
                continue;
            }
            if !dry_run {
                self.remove(&super::join(folder, &name))?;
            }
            freed.files += 1;
            freed.bytes += about.len();
        }
        Ok(())
    }
}
