//! OCI image layouts: from a tag to layers, each byte checked (image-spec
//! 1.1, image-layout.md). The files come from a folder or out of an archive.

use crate::digest::Digest;
use crate::document::{self, CONFIG_MAX, Config, DEPTH_MAX, Descriptor, Document, Index, MANIFEST_MAX, Manifest};
use crate::image::{Blob, Contents, Image, Layer, Options};
use crate::platform::{Platform, is_image};
use anyhow::{Context, bail, ensure};
use nix::fcntl::OFlag;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

/// Files by name: what a layout, or an archive, consists of.
pub(crate) trait Files: Send {
    /// Opens a regular file; gives its size too.
    fn open(&mut self, name: &str) -> anyhow::Result<(Box<dyn Read + Send>, u64)>;

    /// The whole of a small file: at most `most` bytes.
    fn read(&mut self, name: &str, most: u64) -> anyhow::Result<Vec<u8>> {
        let (from, size) = self.open(name)?;
        ensure!(size <= most, "{name} is {size} bytes long, more than {most}");
        let mut bytes = Vec::new();
        from.take(most + 1).read_to_end(&mut bytes).map_err(|e| anyhow::anyhow!("{name}: {}", crate::reason(&e)))?;
        ensure!(bytes.len() as u64 <= most, "{name} is longer than {most} bytes");
        Ok(bytes)
    }
}

/// A folder on disk. Links in it are its owner's business.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Files for Folder {
    fn open(&mut self, name: &str) -> anyhow::Result<(Box<dyn Read + Send>, u64)> {
        let path = self.0.join(name);
        let file = open_regular(&path)?;
        let size = file.metadata().map_err(|e| anyhow::anyhow!("{}: {}", path.display(), crate::reason(&e)))?.len();
        Ok((Box::new(file), size))
    }
}

/// Opens a regular file to read; anything else, a pipe above all, is refused
/// without waiting for it.
pub(crate) fn open_regular(path: &std::path::Path) -> anyhow::Result<File> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true).custom_flags((OFlag::O_NONBLOCK | OFlag::O_NOCTTY).bits());
    #[allow(clippy::disallowed_methods, reason = "opened to read")]
    let file =
        options.open(path).map_err(|e| anyhow::anyhow!("cannot open {}: {}", path.display(), crate::reason(&e)))?;
    let about = file.metadata().map_err(|e| anyhow::anyhow!("{}: {}", path.display(), crate::reason(&e)))?;
    ensure!(about.is_file(), "{} is no regular file", path.display());
    Ok(file)
}

/// Which image of several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Choice {
    /// The only one.
    Only,
    /// The one with this tag.
    Tag(String),
    /// The one with this digest.
    Digest(Digest),
}

#[derive(serde::Deserialize)]
struct Version {
    #[serde(rename = "imageLayoutVersion")]
    version: String,
}

/// The image that `choice` names in a layout.
pub(crate) fn open(mut files: Box<dyn Files>, choice: &Choice, options: &Options) -> anyhow::Result<Image> {
    let bytes = files.read("oci-layout", 4096).context("this is no OCI layout")?;
    let version: Version = document::json(&bytes).context("oci-layout")?;
    ensure!(version.version == "1.0.0", "layout version '{}' is not supported, only 1.0.0", version.version);
    let bytes = files.read("index.json", MANIFEST_MAX)?;
    let Document::Index(index) = document::parse(&bytes, Some(document::OCI_INDEX)).context("index.json")? else {
        bail!("index.json is no index");
    };
    let entry = choose(&index, choice)?.clone();
    let (manifest, top) = manifest(&mut *files, entry, options)?;
    let bytes = blob(&mut *files, &manifest.config, CONFIG_MAX).context("the image's configuration")?;
    let config =
        Config::parse(&bytes, &manifest).with_context(|| format!("configuration {}", manifest.config.digest))?;
    fits(&config, options, &top)?;
    let layers = manifest.layers.iter().zip(&config.rootfs.diff_ids).map(|(layer, diff_id)| Layer {
        blob: Some(Blob { digest: layer.digest.clone(), size: layer.size }),
        diff_id: Some(diff_id.clone()),
    });
    Ok(Image {
        id: Some(manifest.config.digest.clone()),
        layers: layers.collect(),
        config: Some(config),
        contents: Box::new(Blobs { files, blobs: manifest.layers }),
        whiteouts: true,
    })
}

/// A platform that was asked for is not silently another.
fn fits(config: &Config, options: &Options, name: &Digest) -> anyhow::Result<()> {
    match &options.platform {
        Some(wanted) if !config.platform.architecture.is_empty() && !wanted.runs(&config.platform) => {
            bail!("image {name} is for {}, not for {wanted}", config.platform)
        }
        _ => Ok(()),
    }
}

fn choose<'a>(index: &'a Index, choice: &Choice) -> anyhow::Result<&'a Descriptor> {
    let all = || {
        let name = |entry: &Descriptor| tag(entry).map_or_else(|| format!("@{}", entry.digest), str::to_owned);
        let names: Vec<String> = index.manifests.iter().map(name).collect();
        if names.is_empty() { "none at all".to_owned() } else { names.join(", ") }
    };
    let (found, wanted): (Vec<&Descriptor>, String) = match choice {
        Choice::Only => {
            let images: Vec<&Descriptor> = index.manifests.iter().filter(|entry| is_image(entry)).collect();
            return match images.as_slice() {
                [only] => Ok(*only),
                [] => bail!("the layout has no image"),
                _ => bail!("the layout has several images, say which: {}", all()),
            };
        }
        Choice::Tag(wanted) => {
            (index.manifests.iter().filter(|entry| tag(entry) == Some(wanted)).collect(), format!("tag '{wanted}'"))
        }
        Choice::Digest(wanted) => {
            (index.manifests.iter().filter(|entry| entry.digest == *wanted).take(1).collect(), wanted.to_string())
        }
    };
    match found.as_slice() {
        [one] => Ok(one),
        [] => bail!("no image with {wanted} in the layout; there is {}", all()),
        _ => bail!("{wanted} stands in the layout's index {} times", found.len()),
    }
}

fn tag(entry: &Descriptor) -> Option<&str> {
    entry.annotations.get("org.opencontainers.image.ref.name").map(String::as_str)
}

/// Follows indexes down to a manifest; gives also its digest.
fn manifest(files: &mut dyn Files, mut entry: Descriptor, options: &Options) -> anyhow::Result<(Manifest, Digest)> {
    let platform = options.platform.clone().unwrap_or_else(Platform::host);
    let mut visited = Vec::new();
    loop {
        ensure!(!visited.contains(&entry.digest), "index {} leads to itself", entry.digest);
        ensure!(visited.len() <= DEPTH_MAX, "more than {DEPTH_MAX} indexes in each other");
        visited.push(entry.digest.clone());
        let bytes = blob(files, &entry, MANIFEST_MAX)?;
        let document = document::parse(&bytes, Some(&entry.media_type));
        match document.with_context(|| format!("manifest {}", entry.digest))? {
            Document::Manifest(manifest) => return Ok((manifest, entry.digest)),
            Document::Index(index) => entry = platform.choose(&index)?.clone(),
        }
    }
}

fn path(digest: &Digest) -> String {
    format!("blobs/{}/{}", digest.algorithm().name(), digest.hex())
}

/// The whole of a small blob, checked.
fn blob(files: &mut dyn Files, wanted: &Descriptor, most: u64) -> anyhow::Result<Vec<u8>> {
    ensure!(wanted.size <= most, "blob {} is {} bytes long, more than {most}", wanted.digest, wanted.size);
    let bytes = files.read(&path(&wanted.digest), most)?;
    let length = bytes.len() as u64;
    ensure!(length == wanted.size, "blob {} is {length} bytes long, not {}", wanted.digest, wanted.size);
    let mut hasher = crate::digest::Hasher::new(wanted.digest.algorithm());
    hasher.update(&bytes);
    let found = hasher.finish();
    ensure!(found == wanted.digest, "blob {} is damaged: its digest is {found}", wanted.digest);
    Ok(bytes)
}

struct Blobs {
    files: Box<dyn Files>,
    blobs: Vec<Descriptor>,
}

impl Contents for Blobs {
    fn open(&mut self, index: usize) -> anyhow::Result<Box<dyn Read + Send>> {
        let wanted = &self.blobs[index];
        let (from, size) = self.files.open(&path(&wanted.digest))?;
        ensure!(size == wanted.size, "blob {} is {size} bytes long, not {}", wanted.digest, wanted.size);
        Ok(from)
    }
}
