//! From a name to a stored image: the documents; the layers are
//! [`download`](super::download)'s.

use super::download::{Download, Record};
use super::{Fetched, Repository};
use crate::digest::Digest;
use crate::document::{CONFIG_MAX, Config, DEPTH_MAX, Document, MANIFEST_MAX, Manifest, parse};
use crate::image::{Contents, Image, Layer, Options};
use crate::platform::Platform;
use crate::reference::Reference;
use crate::store::{Store, Stored};
use anyhow::{Context, bail};
use std::collections::HashSet;
use std::ffi::OsStr;
use std::io::Read;
use std::sync::Arc;

/// An image whose layers are stored, or on their way.
pub struct Pulled {
    /// The image.
    pub image: Stored,
    /// What the name led to: its manifest, or an index that lists it.
    pub digest: Digest,
    /// Its layers; as long as somebody holds this they are fetched.
    pub download: Arc<Download>,
}

/// Opens the image `name` on a registry, to be unpacked while it is fetched.
/// One named by a digest that the store has needs no registry.
///
/// # Errors
/// See [`pull`]; a name that is none.
pub fn open(name: &OsStr, options: &Options) -> anyhow::Result<Image> {
    let text = name.to_str().context("invalid reference format")?;
    let reference: Reference = text.parse()?;
    let store = Arc::new(Store::open()?);
    let stored = match reference.digest() {
        // What cannot be read is fetched again, and replaced.
        Some(digest) if !options.verify => store.image(digest, options.platform.as_ref()).ok().flatten(),
        _ => None,
    };
    if let Some(image) = stored {
        let blobs = Blobs::new(Arc::clone(&store), &image);
        if blobs.are_there() {
            return Ok(as_image(&image, Box::new(blobs)));
        }
    }
    let Pulled { image, download, .. } = pull(&store, &reference, options)?;
    Ok(as_image(&image, Box::new(download)))
}

/// `image` as whoever unpacks sees it: the blobs are checked on their way into
/// the store, what they hold is not.
fn as_image(image: &Stored, contents: Box<dyn Contents>) -> Image {
    let layer = |diff_id: &Digest| Layer { blob: None, diff_id: Some(diff_id.clone()) };
    Image {
        id: Some(image.id().clone()),
        config: Some(image.config.clone()),
        layers: image.config.rootfs.diff_ids.iter().map(layer).collect(),
        contents,
        whiteouts: true,
    }
}

/// The layers of a stored image.
pub struct Blobs {
    store: Arc<Store>,
    manifest: Manifest,
}

impl Blobs {
    /// Those of `image`.
    pub fn new(store: Arc<Store>, image: &Stored) -> Self {
        Self { store, manifest: image.manifest.clone() }
    }

    /// Whether all of them are stored, with all their bytes.
    pub fn are_there(&self) -> bool {
        self.manifest.layers.iter().all(|layer| self.store.whole_blob(layer).is_some())
    }
}

impl Contents for Blobs {
    fn open(&mut self, index: usize) -> anyhow::Result<Box<dyn Read + Send>> {
        let layer = self.manifest.layers.get(index).context("no such layer")?;
        let file = self.store.blob(&layer.digest).with_context(|| format!("no blob {} any more", layer.digest))?;
        Ok(Box::new(file))
    }
}

/// Fetches what `reference` names into `store`.
///
/// # Errors
/// It is not there, not for this platform, or no image. What happens to the
/// layers is told by [`Download`].
pub fn pull(store: &Arc<Store>, reference: &Reference, options: &Options) -> anyhow::Result<Pulled> {
    let (repository, top) = Repository::find(reference, options.insecure)?;
    let digest = top.digest.clone();
    let mut documents = Vec::new();
    let (own, manifest) = resolve(store, &repository, top, options.platform.as_ref(), &mut documents)?;
    let bytes = match store.small_blob(&manifest.config.digest, CONFIG_MAX) {
        Ok(Some(bytes)) if bytes.len() as u64 == manifest.config.size => bytes,
        _ => repository.small_blob(&manifest.config, CONFIG_MAX)?,
    };
    let config = Config::parse(&bytes, &manifest).with_context(|| format!("config {}", manifest.config.digest))?;
    if let Some(wanted) = options.platform.as_ref().filter(|wanted| !wanted.runs(&config.platform)) {
        bail!("image with reference {} is for {}, not for {wanted}", reference.familiar(), config.platform);
    }
    // The configuration first, then from the manifest up: nothing names what
    // is not there.
    documents.push((manifest.config.digest.clone(), bytes));
    documents.reverse();
    let record = Record { reference: reference.clone(), digest: digest.clone(), documents };
    let image = Stored { digest: own, manifest, config };
    let download = Download::start(store, repository, &image.manifest, record, options)?;
    Ok(Pulled { image, digest, download: Arc::new(download) })
}

/// From an index to the manifest that fits.
fn resolve(
    store: &Store,
    repository: &Repository,
    top: Fetched,
    platform: Option<&Platform>,
    documents: &mut Vec<(Digest, Vec<u8>)>,
) -> anyhow::Result<(Digest, Manifest)> {
    let host = Platform::host();
    let mut seen = HashSet::from([top.digest.clone()]);
    let mut fetched = top;
    let mut announced = fetched.media_type.clone();
    for _ in 0..=DEPTH_MAX {
        let name = || format!("{}: manifest {}", repository.host(), fetched.digest);
        let document = parse(&fetched.bytes, announced.as_deref()).with_context(name)?;
        let entry = match document {
            Document::Manifest(manifest) => {
                documents.push((fetched.digest.clone(), fetched.bytes));
                return Ok((fetched.digest, manifest));
            }
            Document::Index(index) => platform.unwrap_or(&host).choose(&index).with_context(name)?.clone(),
        };
        if !seen.insert(entry.digest.clone()) {
            bail!("{}: it lists itself", name());
        }
        documents.push((fetched.digest.clone(), fetched.bytes));
        fetched = match store.small_blob(&entry.digest, MANIFEST_MAX) {
            Ok(Some(bytes)) if bytes.len() as u64 == entry.size => {
                Fetched { bytes, media_type: None, digest: entry.digest.clone() }
            }
            _ => repository.manifest(&entry.digest.to_string(), Some(&entry))?,
        };
        announced = Some(entry.media_type);
    }
    bail!("{}: indexes are nested more than {DEPTH_MAX} deep", repository.host())
}
