//! Archives of images: `docker save`, and OCI layouts in a tar.
//!
//! The outer tar is only read: no name in it is ever made on disk, links in
//! it lead to other names in it. A compressed one, or one that cannot be read
//! twice, is spooled to a file without a name first.

use crate::digest::Digest;
use crate::document::{self, CONFIG_MAX, Config, MANIFEST_MAX};
use crate::image::{Blob, Contents, Image, Layer, Options};
use crate::layout::{self, Choice, Files};
use crate::reference::Reference;
use crate::stream::Input;
use crate::tar::{Entry, Kind, Reader};
use anyhow::{Context, bail, ensure};
use chain::sys;
use chain::sys::durable::write_all_at;
use chain::sys::file::{At, Fd, OpenAt, UnlinkAt};
use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;

/// More files than any archive of images has.
const MAX_FILES: usize = 1 << 16;
/// More links on the way to one file than any archive has.
const MAX_LINKS: u32 = 40;

/// Where a name in the archive leads.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Item {
    Data {
        offset: u64,
        size: u64,
    },
    /// The whole name it leads to, in parts.
    Link(Vec<Vec<u8>>),
}

/// An archive whose names are known.
pub(crate) struct Archive {
    file: Arc<File>,
    items: HashMap<Vec<Vec<u8>>, Item>,
}

impl Archive {
    /// Reads the names in the tar that `file` is, compressed or not.
    pub(crate) fn new(file: File) -> anyhow::Result<Self> {
        let mut head = [0; 512];
        let is_file = file.metadata().is_ok_and(|about| about.is_file());
        let is_tar = is_file && file.read_at(&mut head, 0).is_ok_and(|n| n == 512 && &head[257..262] == b"ustar");
        let file = if is_tar { file } else { spool(Box::new(file))? };
        let from = file.try_clone().map_err(|e| anyhow::anyhow!("{}", crate::reason(&e)))?;
        let items = scan(from)?;
        Ok(Self { file: Arc::new(file), items })
    }

    fn find(&self, name: &str) -> anyhow::Result<(u64, u64)> {
        let mut at = parts(b"", name.as_bytes());
        for _ in 0..=MAX_LINKS {
            match self.items.get(&at) {
                Some(Item::Data { offset, size }) => return Ok((*offset, *size)),
                Some(Item::Link(target)) => at.clone_from(target),
                None => bail!("{name} is not in the archive"),
            }
        }
        bail!("{name} in the archive is a link that leads nowhere")
    }

    fn section(&self, (offset, size): (u64, u64)) -> Section {
        Section { file: Arc::clone(&self.file), offset, left: size }
    }
}

impl Files for Archive {
    fn open(&mut self, name: &str) -> anyhow::Result<(Box<dyn Read + Send>, u64)> {
        let place = self.find(name)?;
        Ok((Box::new(self.section(place)), place.1))
    }
}

/// Part of a file.
struct Section {
    file: Arc<File>,
    offset: u64,
    left: u64,
}

impl Read for Section {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX).min(out.len());
        let n = self.file.read_at(&mut out[..most], self.offset)?;
        self.offset += n as u64;
        self.left -= n as u64;
        Ok(n)
    }
}

/// The parts of `name` as it is in folder `base`, `..` stopping at the top.
fn parts(base: &[u8], name: &[u8]) -> Vec<Vec<u8>> {
    let mut all: Vec<Vec<u8>> = Vec::new();
    let base = if name.starts_with(b"/") { b"" } else { base };
    for part in base.split(|b| *b == b'/').chain(name.split(|b| *b == b'/')) {
        match part {
            b"" | b"." => {}
            b".." => drop(all.pop()),
            _ => all.push(part.to_vec()),
        }
    }
    all
}

fn one_layer(from: Box<dyn Read + Send>) -> anyhow::Result<Input> {
    struct Once(Option<Box<dyn Read + Send>>);
    impl Contents for Once {
        fn open(&mut self, _: usize) -> anyhow::Result<Box<dyn Read + Send>> {
            self.0.take().context("opened twice")
        }
    }
    Input::start(vec![Layer::default()], Box::new(Once(Some(from))), true)
}

/// Reads every header of an uncompressed tar.
fn scan(file: File) -> anyhow::Result<HashMap<Vec<Vec<u8>>, Item>> {
    let mut input = one_layer(Box::new(file))?;
    let mut reader = Reader::new(&mut input);
    let mut entry = Entry::default();
    let mut items = HashMap::new();
    while reader.next(&mut entry)? {
        crate::interrupted()?;
        let name = parts(b"", &entry.path);
        let folder = entry.path.iter().rposition(|b| *b == b'/').map_or(&b""[..], |slash| &entry.path[..slash]);
        let item = match entry.kind {
            Kind::File if entry.sparse.is_some() => bail!("a sparse file in an archive of images"),
            Kind::File => Item::Data { offset: reader.position(), size: entry.size },
            Kind::Link => Item::Link(parts(folder, &entry.link)),
            Kind::HardLink => Item::Link(parts(b"", &entry.link)),
            _ => continue,
        };
        let documents: [&[u8]; 3] = [b"manifest.json", b"index.json", b"oci-layout"];
        let is_document = matches!(name.as_slice(), [only] if documents.contains(&only.as_slice()));
        if items.insert(name, item).is_some() && is_document {
            bail!("the archive has {} twice", crate::apply::shown(&entry.path));
        }
        ensure!(items.len() <= MAX_FILES, "the archive has more than {MAX_FILES} files");
    }
    Ok(items)
}

/// Copies a stream, decompressed, into a file that has no name any more.
pub(crate) fn spool(from: Box<dyn Read + Send>) -> anyhow::Result<File> {
    let mut input = one_layer(from)?;
    let file = unnamed_file()?;
    let fd = Fd { fd: file.as_fd(), path: Path::new("the spool file") };
    let mut offset = 0;
    loop {
        let chunk = input.chunk(u64::MAX)?;
        if chunk.is_empty() {
            return Ok(file);
        }
        write_all_at(fd, chunk, offset)?;
        offset += chunk.len() as u64;
    }
}

/// A file in the folder for such, removed at once: however we end, nothing is
/// left.
pub(crate) fn unnamed_file() -> anyhow::Result<File> {
    let folder = std::env::temp_dir();
    for attempt in 0..100 {
        let name = OsString::from(format!(".rs-rootfs.{}.{attempt}", std::process::id()));
        let path = folder.join(&name);
        let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_NOFOLLOW;
        let why = "a place for what can be read only once";
        let call = OpenAt { dir: At::Cwd, path: path.as_os_str(), flags, mode: 0o600, why };
        match sys::make(&call) {
            Err(error) if error.errno == nix::errno::Errno::EEXIST => {}
            other => {
                let fd = other?;
                let why = "the kernel frees it when nobody has it open any more";
                sys::make(&UnlinkAt { dir: At::Cwd, path: path.as_os_str(), flags: 0, why })?;
                return Ok(fd.into());
            }
        }
    }
    bail!("cannot make a file in {}", folder.display())
}

/// Which image of a `docker save` archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pick {
    /// The only one.
    Only,
    /// The one that is called so.
    Name(Reference),
    /// The one at this place, counted from 0.
    Number(usize),
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    #[serde(default)]
    repo_tags: Option<Vec<String>>,
    #[serde(default)]
    layers: Option<Vec<String>>,
}

/// An image of what `docker save` wrote into `file`.
///
/// # Errors
/// It is no such archive, or has no such image.
pub(crate) fn open_docker(file: File, pick: &Pick, options: &Options) -> anyhow::Result<Image> {
    let mut archive = Archive::new(file)?;
    let bytes = archive.read("manifest.json", MANIFEST_MAX).context("this is no docker archive")?;
    let mut saved: Vec<Saved> = document::json(&bytes).context("manifest.json")?;
    let chosen = saved.swap_remove(choose(&saved, pick)?);
    let bytes = archive.read(&chosen.config, CONFIG_MAX)?;
    let id = config_digest(&chosen.config)?;
    ensure!(
        Digest::of(&bytes) == id,
        "configuration {} is damaged: its digest is {}",
        chosen.config,
        Digest::of(&bytes)
    );
    let config: Config = document::json(&bytes).with_context(|| format!("configuration {id}"))?;
    let names = chosen.layers.unwrap_or_default();
    let diff_ids = &config.rootfs.diff_ids;
    ensure!(names.len() == diff_ids.len(), "{} layers, but {} diff ids", names.len(), diff_ids.len());
    ensure!(names.len() <= 512, "{} layers, more than 512", names.len());
    if let Some(wanted) = &options.platform
        && !wanted.runs(&config.platform)
    {
        bail!("the image is for {}, not for {wanted}", config.platform);
    }
    let places = names.iter().map(|name| archive.find(name)).collect::<anyhow::Result<Vec<_>>>()?;
    let layers = names.iter().zip(diff_ids).zip(&places).map(|((name, diff_id), (_, size))| Layer {
        blob: blob_digest(name).map(|digest| Blob { digest, size: *size }),
        diff_id: Some(diff_id.clone()),
    });
    Ok(Image {
        id: Some(id),
        layers: layers.collect(),
        config: Some(config),
        contents: Box::new(Places { archive, places }),
        whiteouts: true,
    })
}

struct Places {
    archive: Archive,
    places: Vec<(u64, u64)>,
}

impl Contents for Places {
    fn open(&mut self, index: usize) -> anyhow::Result<Box<dyn Read + Send>> {
        Ok(Box::new(self.archive.section(self.places[index])))
    }
}

/// `HEX.json`, or `blobs/sha256/HEX` since Docker 25.
fn config_digest(name: &str) -> anyhow::Result<Digest> {
    let hex = name.strip_suffix(".json").or_else(|| name.strip_prefix("blobs/sha256/"));
    hex.and_then(Digest::sha256).with_context(|| format!("configuration '{name}' is not named by its digest"))
}

fn blob_digest(name: &str) -> Option<Digest> {
    Digest::sha256(name.strip_prefix("blobs/sha256/")?)
}

fn choose(saved: &[Saved], pick: &Pick) -> anyhow::Result<usize> {
    let names = || {
        let name = |(i, one): (usize, &Saved)| match one.repo_tags.as_deref() {
            Some([first, ..]) => first.clone(),
            _ => format!("@{i}"),
        };
        let all: Vec<String> = saved.iter().enumerate().map(name).collect();
        if all.is_empty() { "none at all".to_owned() } else { all.join(", ") }
    };
    match pick {
        Pick::Only if saved.len() == 1 => Ok(0),
        Pick::Only => bail!("the archive has {} images, say which: {}", saved.len(), names()),
        Pick::Number(number) if *number < saved.len() => Ok(*number),
        Pick::Number(number) => bail!("no image @{number} in the archive; there is {}", names()),
        Pick::Name(wanted) => {
            let is = |tag: &String| tag.parse::<Reference>().is_ok_and(|tag| tag.familiar() == wanted.familiar());
            let found: Vec<usize> = (0..saved.len()).filter(|i| saved[*i].repo_tags.iter().flatten().any(is)).collect();
            match found.as_slice() {
                [one] => Ok(*one),
                [] => bail!("no image {} in the archive; there is {}", wanted.familiar(), names()),
                _ => bail!("image {} is in the archive {} times", wanted.familiar(), found.len()),
            }
        }
    }
}

/// An image of an OCI layout in a tar.
///
/// # Errors
/// It is no such archive, or has no such image.
pub(crate) fn open_layout(file: File, choice: &Choice, options: &Options) -> anyhow::Result<Image> {
    layout::open(Box::new(Archive::new(file)?), choice, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_stay_inside() {
        let of = |base: &str, name: &str| {
            let all = parts(base.as_bytes(), name.as_bytes());
            all.iter().map(|p| String::from_utf8_lossy(p).into_owned()).collect::<Vec<_>>().join("/")
        };
        assert_eq!(of("a/b", "../c/layer.tar"), "a/c/layer.tar");
        assert_eq!(of("a", "../../../etc/passwd"), "etc/passwd");
        assert_eq!(of("a", "/etc/./passwd"), "etc/passwd");
    }
}
