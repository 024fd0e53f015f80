//! What an image is named by on the command line, and how it is opened.

use crate::archive::{self, Pick};
use crate::image::{Contents, Image, Layer, Options};
use crate::layout::{self, Choice, Folder};
use crate::reference::Reference;
use anyhow::{Context, bail, ensure};
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{IsTerminal, Read};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where a root file system comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// `docker://REF`: a registry.
    Registry(OsString),
    /// `docker-daemon:REF`: a running Docker daemon.
    Daemon(OsString),
    /// `docker-archive:PATH[:REF|:@N]`: what `docker save` writes.
    DockerArchive(OsString),
    /// `oci:DIR[:TAG|@DIGEST]`.
    Layout(OsString),
    /// `oci-archive:PATH[:TAG]`.
    LayoutArchive(OsString),
    /// `host:[PROGRAM,...]`.
    Host(OsString),
    /// A tar, or a folder that is a layout.
    Path(OsString),
    /// `-`.
    Stdin,
}

/// How a word begins, and what it is then.
type Kind = (&'static str, fn(OsString) -> Source);

impl Source {
    /// Reads the word on the command line. Every word is a source: one
    /// without a known beginning is a path.
    pub fn from_word(word: &OsStr) -> Self {
        let bytes = word.as_bytes();
        let after = |begin: &str| bytes.strip_prefix(begin.as_bytes()).map(|rest| OsStr::from_bytes(rest).to_owned());
        if bytes == b"-" {
            return Self::Stdin;
        }
        let kinds: [Kind; 6] = [
            ("docker://", Self::Registry),
            ("docker-daemon:", Self::Daemon),
            ("docker-archive:", Self::DockerArchive),
            ("oci:", Self::Layout),
            ("oci-archive:", Self::LayoutArchive),
            ("host:", Self::Host),
        ];
        let found = kinds.into_iter().find_map(|(begin, kind)| Some(kind(after(begin)?)));
        found.unwrap_or_else(|| Self::Path(word.to_owned()))
    }
}

/// Opens `source`. Nothing but the store is written.
///
/// # Errors
/// It is not there, or is no image.
pub fn open(source: &Source, options: &Options) -> anyhow::Result<Image> {
    match source {
        Source::Registry(name) => crate::registry::open(name, options),
        Source::Daemon(name) => crate::daemon::open(name, options),
        Source::DockerArchive(word) => {
            let (path, rest) = split(word);
            archive::open_docker(open_file(&path)?, &pick(rest.as_deref())?, options)
        }
        Source::Layout(word) => open_layout(word, options),
        Source::LayoutArchive(word) => {
            let (path, rest) = split(word);
            archive::open_layout(open_file(&path)?, &choice(rest.as_deref())?, options)
        }
        Source::Host(_) => bail!("host: is no image"),
        Source::Path(path) => open_path(Path::new(path), options),
        Source::Stdin => open_stdin(),
    }
}

fn open_layout(word: &OsStr, options: &Options) -> anyhow::Result<Image> {
    let (path, rest) = split(word);
    layout::open(Box::new(Folder(path)), &choice(rest.as_deref())?, options)
}

/// Splits at the last `:` or `@` whose left part exists; what exists whole
/// has nothing to split.
fn split(word: &OsStr) -> (PathBuf, Option<OsString>) {
    let bytes = word.as_bytes();
    let path = |end: usize| PathBuf::from(OsStr::from_bytes(&bytes[..end]));
    let marks = (0..bytes.len()).rev().filter(|at| matches!(bytes[*at], b':' | b'@'));
    let found = marks.into_iter().find(|at| *at > 0 && path(*at).exists());
    match found {
        Some(at) if !Path::new(word).exists() => {
            let rest = if bytes[at] == b':' { &bytes[at + 1..] } else { &bytes[at..] };
            (path(at), Some(OsStr::from_bytes(rest).to_owned()))
        }
        _ => (PathBuf::from(word), None),
    }
}

fn choice(rest: Option<&OsStr>) -> anyhow::Result<Choice> {
    let Some(rest) = rest else { return Ok(Choice::Only) };
    let text = rest.to_str().with_context(|| format!("bad tag '{}'", rest.display()))?;
    ensure!(!text.is_empty(), "an empty tag");
    match text.strip_prefix('@') {
        Some(digest) => Ok(Choice::Digest(digest.parse()?)),
        None => Ok(Choice::Tag(text.to_owned())),
    }
}

fn pick(rest: Option<&OsStr>) -> anyhow::Result<Pick> {
    let Some(rest) = rest else { return Ok(Pick::Only) };
    let text = rest.to_str().with_context(|| format!("bad name '{}'", rest.display()))?;
    match text.strip_prefix('@') {
        Some(number) => Ok(Pick::Number(number.parse().with_context(|| format!("bad number '{number}'"))?)),
        None => Ok(Pick::Name(text.parse::<Reference>().with_context(|| text.to_owned())?)),
    }
}

fn open_file(path: &Path) -> anyhow::Result<File> {
    File::open(path).map_err(|error| anyhow::anyhow!("cannot open {}: {}", path.display(), crate::reason(&error)))
}

fn open_path(path: &Path, options: &Options) -> anyhow::Result<Image> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => bail!(
            "{}; an image in a registry is docker://{}",
            chain::error::strerror(nix::errno::Errno::ENOENT),
            path.display()
        ),
        Err(error) => bail!("cannot open: {}", crate::reason(&error)),
    };
    let is_folder = file.metadata().is_ok_and(|about| about.is_dir());
    if is_folder && path.join("oci-layout").exists() {
        return layout::open(Box::new(Folder(path.to_owned())), &Choice::Only, options);
    }
    ensure!(!is_folder, "it is a folder, but no OCI layout: there is no file oci-layout in it");
    Ok(plain(file))
}

fn open_stdin() -> anyhow::Result<Image> {
    let stdin = std::io::stdin();
    ensure!(!chain::startup::was_closed(0), "standard input is closed");
    ensure!(!stdin.is_terminal(), "standard input is a terminal, not an archive");
    let fd = stdin.as_fd().try_clone_to_owned().map_err(|error| anyhow::anyhow!("{}", crate::reason(&error)))?;
    Ok(plain(File::from(fd)))
}

/// A tar that is no image's layer.
fn plain(file: File) -> Image {
    Image {
        id: None,
        config: None,
        layers: vec![Layer::default()],
        contents: Box::new(Plain(Some(file))),
        whiteouts: false,
    }
}

struct Plain(Option<File>);

impl Contents for Plain {
    fn open(&mut self, _: usize) -> anyhow::Result<Box<dyn Read + Send>> {
        Ok(Box::new(self.0.take().context("a stream can be read once")?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words() {
        let of = |word: &str| Source::from_word(OsStr::new(word));
        assert_eq!(of("-"), Source::Stdin);
        assert_eq!(of("oci:a:b"), Source::Layout("a:b".into()));
        assert_eq!(of("bash"), Source::Path("bash".into()));
        assert_eq!(of("host:"), Source::Host("".into()));
    }

    #[test]
    fn the_last_colon_whose_left_part_exists() {
        assert_eq!(split(OsStr::new("/etc:bash:5")), ("/etc".into(), Some("bash:5".into())));
        assert_eq!(split(OsStr::new("/etc")), ("/etc".into(), None));
        assert_eq!(split(OsStr::new("/nonexistent:5")), ("/nonexistent:5".into(), None));
        assert_eq!(split(OsStr::new("/etc@sha256:0")), ("/etc".into(), Some("@sha256:0".into())));
    }
}
