//! Images as the store has them.

use super::Store;
use crate::digest::Digest;
use crate::document::{CONFIG_MAX, Config, DEPTH_MAX, Document, MANIFEST_MAX, Manifest, parse};
use crate::platform::Platform;
use crate::reference::Reference;
use anyhow::{Context, bail};
use std::collections::{BTreeMap, HashSet};

/// Of the configuration of an image whose manifest is there.
pub(super) const GONE: &str = "its configuration is not in the store any more";

/// A stored image: everything but the contents of its layers.
#[derive(Debug, Clone)]
pub struct Stored {
    /// The digest of its manifest.
    pub digest: Digest,
    /// Its manifest.
    pub manifest: Manifest,
    /// Its configuration.
    pub config: Config,
}

/// Why a word leads to no stored image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Missing {
    /// None is known by it.
    Unknown,
    /// Several image IDs begin with it.
    Several,
}

impl Stored {
    /// The image's ID: the digest of its configuration.
    pub fn id(&self) -> &Digest {
        &self.manifest.config.digest
    }

    /// Bytes of its layers, as they were fetched.
    pub fn size(&self) -> u64 {
        self.manifest.layers.iter().fold(0, |sum, layer| sum.saturating_add(layer.size))
    }
}

impl Store {
    /// The image that `digest` leads to on `platform`, or on this machine
    /// where none is asked for. `None`: the store does not have it, or not for
    /// this platform. A tag that led to one image alone means that image,
    /// unless a platform is asked for.
    ///
    /// # Errors
    /// A document that cannot be what it is named.
    pub fn image(&self, digest: &Digest, platform: Option<&Platform>) -> anyhow::Result<Option<Stored>> {
        let mut digest = digest.clone();
        let host = Platform::host();
        for _ in 0..=DEPTH_MAX {
            match self.document(&digest)? {
                None => return Ok(None),
                Some(Document::Manifest(manifest)) => {
                    let found = self.with_config(digest, manifest)?;
                    return Ok(found.filter(|it| platform.is_none_or(|wanted| wanted.runs(&it.config.platform))));
                }
                Some(Document::Index(index)) => match platform.unwrap_or(&host).choose(&index) {
                    Ok(entry) => digest = entry.digest.clone(),
                    Err(_) => return Ok(None),
                },
            }
        }
        bail!("{digest}: indexes are nested too deeply")
    }

    /// The image whose manifest this is, whatever its platform.
    ///
    /// # Errors
    /// See [`image`](Self::image).
    pub fn manifest(&self, digest: &Digest) -> anyhow::Result<Option<Stored>> {
        match self.document(digest)? {
            Some(Document::Manifest(manifest)) => self.with_config(digest.clone(), manifest),
            Some(Document::Index(_)) | None => Ok(None),
        }
    }

    /// The manifest or index with this digest.
    pub(super) fn document(&self, digest: &Digest) -> anyhow::Result<Option<Document>> {
        let Some(bytes) = self.small_blob(digest, MANIFEST_MAX)? else { return Ok(None) };
        parse(&bytes, None).map(Some).with_context(|| digest.to_string())
    }

    pub(super) fn with_config(&self, digest: Digest, manifest: Manifest) -> anyhow::Result<Option<Stored>> {
        let Some(bytes) = self.small_blob(&manifest.config.digest, CONFIG_MAX)? else { return Ok(None) };
        let config = Config::parse(&bytes, &manifest).with_context(|| digest.to_string())?;
        Ok(Some(Stored { digest, manifest, config }))
    }

    /// Every stored image below `digest`, to which `name` leads: one, or those
    /// of an index that were fetched. What cannot be read is noted.
    pub fn images_below(&self, name: &str, digest: &Digest) -> Vec<Stored> {
        let mut found = Vec::new();
        let mut next = vec![(digest.clone(), 0)];
        let mut seen = HashSet::new();
        while let Some((digest, depth)) = next.pop() {
            if depth > DEPTH_MAX || !seen.insert(digest.clone()) {
                continue;
            }
            let mut look = || -> anyhow::Result<()> {
                match self.document(&digest)? {
                    Some(Document::Manifest(manifest)) => {
                        found.push(self.with_config(digest.clone(), manifest)?.context(GONE)?);
                    }
                    Some(Document::Index(index)) => {
                        next.extend(index.manifests.into_iter().rev().map(|entry| (entry.digest, depth + 1)));
                    }
                    // An index lists more than is fetched of it.
                    None if depth > 0 => {}
                    None => bail!("blob {digest} is not in the store any more"),
                }
                Ok(())
            };
            if let Err(why) = look() {
                self.note(name, crate::told(&why));
            }
        }
        found
    }

    /// What must be kept: each name and each container, with the manifest or
    /// index that it leads to.
    ///
    /// # Errors
    /// The kernel's reason.
    pub(super) fn roots(&self) -> anyhow::Result<Vec<(String, Digest)>> {
        let of_refs = self.refs().into_iter().map(|tagged| (tagged.name(), tagged.digest));
        let of_containers = self.containers()?.into_iter().map(|it| (format!("container {}", it.name), it.manifest));
        Ok(of_refs.chain(of_containers).collect())
    }

    /// All images that a reference or a container leads to, by their IDs.
    ///
    /// # Errors
    /// See [`image`](Self::image).
    pub fn images(&self) -> anyhow::Result<BTreeMap<Digest, Stored>> {
        let mut found = BTreeMap::new();
        for (name, digest) in self.roots()? {
            for image in self.images_below(&name, &digest) {
                found.insert(image.id().clone(), image);
            }
        }
        Ok(found)
    }

    /// The image that `word` means by its ID, or the beginning of one, with
    /// `sha256:` or without.
    ///
    /// # Errors
    /// See [`image`](Self::image).
    pub fn image_by_id(&self, word: &str) -> anyhow::Result<Result<Stored, Missing>> {
        let hex = word.strip_prefix("sha256:").unwrap_or(word);
        if hex.is_empty() || !hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
            return Ok(Err(Missing::Unknown));
        }
        let mut fitting = self.images()?.into_values().filter(|image| image.id().hex().starts_with(hex));
        Ok(match (fitting.next(), fitting.next()) {
            (Some(image), None) => Ok(image),
            (Some(_), Some(_)) => Err(Missing::Several),
            (None, _) => Err(Missing::Unknown),
        })
    }

    /// The stored image that `reference` names, for `platform`.
    ///
    /// # Errors
    /// See [`image`](Self::image).
    pub fn image_by_reference(
        &self,
        reference: &Reference,
        platform: Option<&Platform>,
    ) -> anyhow::Result<Option<Stored>> {
        match self.get_ref(reference) {
            Some(digest) => self.image(&digest, platform),
            None => Ok(None),
        }
    }
}
