//! Manifests, indexes and configurations of images (OCI image-spec 1.1 and
//! Docker's schema 2), read so that no two readers can disagree about them.

mod strict;

use crate::digest::Digest;
use crate::platform::Platform;
use serde::{Deserialize, Deserializer, de};
use std::collections::BTreeMap;
use strict::strict;

/// An OCI index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// An OCI manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// Docker's index.
pub const DOCKER_INDEX: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// Docker's manifest.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// The largest manifest or index that is read, in bytes.
pub const MANIFEST_MAX: u64 = 4 << 20;
/// The largest configuration that is read, in bytes.
pub const CONFIG_MAX: u64 = 8 << 20;
/// The deepest nesting of indexes.
pub const DEPTH_MAX: usize = 4;
const ENTRIES_MAX: usize = 4096;
const LAYERS_MAX: usize = 512;

/// Why a document is not one of an image.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// No JSON, a doubled key, text after the end, a value of another type.
    #[error("invalid JSON: {0}")]
    Json(serde_json::Error),
    /// Docker's first manifest format has no digests to verify anything by.
    #[error("it is a manifest of schema version 1, which cannot be verified; push the image again with a newer tool")]
    Schema1,
    /// `schemaVersion` is not 2.
    #[error("schemaVersion is {0}, not 2")]
    Version(String),
    /// The document says another type than what led to it.
    #[error("it says it is '{inside}' where '{outside}' was announced")]
    TypeDiffers {
        /// Its own `mediaType`.
        inside: String,
        /// The descriptor's, or the answer's.
        outside: String,
    },
    /// `manifests` and `layers` or `config` in one document (CVE-2021-41190).
    #[error("it is both an index and a manifest")]
    Mixed,
    /// It is neither.
    #[error("'{0}' is no image and no index of images")]
    Unknown(String),
    /// A list is too long.
    #[error("it has {0}, more than {1}")]
    TooMany(String, usize),
    /// A layer whose type is no file system.
    #[error("layer {0} is '{1}', not a file system layer")]
    Layer(usize, String),
    /// The configuration's type is not an image's.
    #[error("its configuration is '{0}', not that of an image")]
    Config(String),
    /// `diff_ids` and `layers` do not belong together.
    #[error("it has {layers} layers and {diff_ids} diff ids")]
    Count {
        /// In the manifest.
        layers: usize,
        /// In the configuration.
        diff_ids: usize,
    },
}

// By hand: a cause that its message quotes is no source, or is told twice.
impl From<serde_json::Error> for DocumentError {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error)
    }
}

/// Where a blob is found, and what it must be.
#[derive(Debug, Clone, Deserialize)]
pub struct Descriptor {
    /// The blob's type.
    #[serde(rename = "mediaType", default, deserialize_with = "nullable")]
    pub media_type: String,
    /// Its digest.
    pub digest: Digest,
    /// Its size in bytes, exactly. Never used to allocate.
    #[serde(deserialize_with = "size")]
    pub size: u64,
    /// What else is said of it.
    #[serde(default, deserialize_with = "nullable")]
    pub annotations: BTreeMap<String, String>,
    /// What it was built for; only in an index.
    #[serde(default)]
    pub platform: Option<Platform>,
    #[serde(flatten)]
    _object: Object,
}

/// A struct that has one as a flattened field is read from an object only;
/// serde alone takes a list of its fields' values too.
#[derive(Debug, Clone, Deserialize)]
struct Object {}

/// A list of images.
#[derive(Debug, Clone, Deserialize)]
pub struct Index {
    /// The images, or further indexes.
    #[serde(default, deserialize_with = "nullable")]
    pub manifests: Vec<Descriptor>,
}

/// One image.
#[derive(Debug, Clone, Deserialize)]
pub struct Manifest {
    /// Its configuration.
    pub config: Descriptor,
    /// Its layers, the lowest first.
    #[serde(default, deserialize_with = "nullable")]
    pub layers: Vec<Descriptor>,
}

/// What a digest or a tag led to.
#[derive(Debug, Clone)]
pub enum Document {
    /// Several images.
    Index(Index),
    /// One.
    Manifest(Manifest),
}

/// An image's configuration, as far as a root file system needs it.
#[derive(Debug, Clone, Deserialize)]
pub struct Config {
    /// What the image runs on.
    #[serde(flatten)]
    pub platform: Platform,
    /// When it was built, RFC 3339.
    #[serde(default, deserialize_with = "nullable")]
    pub created: String,
    /// What a container of it starts.
    #[serde(default, deserialize_with = "nullable")]
    pub config: Start,
    /// Its layers.
    pub rootfs: RootFs,
}

/// `rootfs` of a configuration.
#[derive(Debug, Clone, Deserialize)]
pub struct RootFs {
    /// The digest of each layer's tar archive, uncompressed, the lowest first.
    #[serde(default, deserialize_with = "nullable")]
    pub diff_ids: Vec<Digest>,
}

/// `config` of a configuration: how a container starts.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Start {
    /// `user[:group]`.
    #[serde(deserialize_with = "nullable")]
    pub user: String,
    /// `NAME=value`.
    #[serde(deserialize_with = "nullable")]
    pub env: Vec<String>,
    /// The program, before the command.
    #[serde(deserialize_with = "nullable")]
    pub entrypoint: Vec<String>,
    /// The command.
    #[serde(deserialize_with = "nullable")]
    pub cmd: Vec<String>,
    /// Where it starts.
    #[serde(deserialize_with = "nullable")]
    pub working_dir: String,
}

pub(crate) fn nullable<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(from: D) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

fn size<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    let size = i64::deserialize(from)?;
    u64::try_from(size).map_err(|_| de::Error::custom("negative size"))
}

/// Any JSON document of others, no key twice.
///
/// # Errors
/// Where it is no such document.
pub fn json<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, DocumentError> {
    Ok(strict(bytes)?.0)
}

#[derive(Deserialize)]
struct Head {
    #[serde(rename = "schemaVersion", default)]
    version: serde_json::Value,
    #[serde(rename = "mediaType", default, deserialize_with = "nullable")]
    media_type: String,
    #[serde(flatten)]
    _object: Object,
}

/// Reads a manifest or an index. `announced` is the type that its descriptor
/// or, for a tag, the answer's header gave.
///
/// # Errors
/// Whatever makes it something else than exactly one of the two.
pub fn parse(bytes: &[u8], announced: Option<&str>) -> Result<Document, DocumentError> {
    let (head, keys) = strict::<Head>(bytes)?;
    let has = |key: &str| keys.iter().any(|k| k.eq_ignore_ascii_case(key));
    let announced = announced.filter(|kind| is_specific(kind));
    let schema1 = |kind: &str| kind.starts_with("application/vnd.docker.distribution.manifest.v1");
    if announced.is_some_and(schema1) || head.version == 1 {
        return Err(DocumentError::Schema1);
    }
    if head.version != 2 {
        return Err(DocumentError::Version(head.version.to_string()));
    }
    if let Some(outside) = announced
        && !head.media_type.is_empty()
        && head.media_type != outside
    {
        return Err(DocumentError::TypeDiffers { inside: head.media_type, outside: outside.to_owned() });
    }
    if has("manifests") && (has("layers") || has("config")) {
        return Err(DocumentError::Mixed);
    }
    let kind = match announced {
        Some(kind) => kind,
        None if !head.media_type.is_empty() => &head.media_type,
        None if has("manifests") => OCI_INDEX,
        None => OCI_MANIFEST,
    };
    match kind {
        OCI_INDEX | DOCKER_INDEX if !has("layers") && !has("config") => {
            let index: Index = serde_json::from_slice(bytes)?;
            at_most(index.manifests.len(), ENTRIES_MAX, "images")?;
            Ok(Document::Index(index))
        }
        OCI_MANIFEST | DOCKER_MANIFEST if !has("manifests") => {
            let manifest: Manifest = serde_json::from_slice(bytes)?;
            check(&manifest)?;
            Ok(Document::Manifest(manifest))
        }
        OCI_INDEX | DOCKER_INDEX | OCI_MANIFEST | DOCKER_MANIFEST => Err(DocumentError::Mixed),
        other => Err(DocumentError::Unknown(other.to_owned())),
    }
}

/// Servers of plain files announce everything as the same.
fn is_specific(kind: &str) -> bool {
    !matches!(kind, "" | "application/json" | "application/octet-stream" | "text/plain")
}

fn at_most(number: usize, limit: usize, what: &str) -> Result<(), DocumentError> {
    if number <= limit { Ok(()) } else { Err(DocumentError::TooMany(format!("{number} {what}"), limit)) }
}

fn check(manifest: &Manifest) -> Result<(), DocumentError> {
    at_most(manifest.layers.len(), LAYERS_MAX, "layers")?;
    let config = manifest.config.media_type.as_str();
    if !matches!(config, "application/vnd.oci.image.config.v1+json" | "application/vnd.docker.container.image.v1+json")
    {
        return Err(DocumentError::Config(config.to_owned()));
    }
    for (i, layer) in manifest.layers.iter().enumerate() {
        if !is_layer(&layer.media_type) {
            return Err(DocumentError::Layer(i + 1, layer.media_type.clone()));
        }
    }
    Ok(())
}

/// Whether blobs of this type are tar archives; how they are compressed is
/// told by their first bytes.
fn is_layer(kind: &str) -> bool {
    let oci = ["application/vnd.oci.image.layer.v1.tar", "application/vnd.oci.image.layer.nondistributable.v1.tar"]
        .iter()
        .filter_map(|begin| kind.strip_prefix(begin))
        .any(|rest| matches!(rest, "" | "+gzip" | "+zstd"));
    let docker =
        ["application/vnd.docker.image.rootfs.diff.tar", "application/vnd.docker.image.rootfs.foreign.diff.tar"]
            .iter()
            .filter_map(|begin| kind.strip_prefix(begin))
            .any(|rest| matches!(rest, "" | ".gzip" | ".zstd"));
    oci || docker
}

impl Config {
    /// Reads a configuration of an image with as many layers as `manifest`.
    ///
    /// # Errors
    /// Where it is none, or of another image.
    pub fn parse(bytes: &[u8], manifest: &Manifest) -> Result<Self, DocumentError> {
        let config: Self = json(bytes)?;
        let (layers, diff_ids) = (manifest.layers.len(), config.rootfs.diff_ids.len());
        if layers == diff_ids { Ok(config) } else { Err(DocumentError::Count { layers, diff_ids }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(text: &str, announced: Option<&str>) -> String {
        match parse(text.as_bytes(), announced) {
            Ok(Document::Index(index)) => format!("index of {}", index.manifests.len()),
            Ok(Document::Manifest(manifest)) => format!("manifest of {}", manifest.layers.len()),
            Err(error) => error.to_string(),
        }
    }

    fn manifest(layers: &str) -> String {
        let zero = "0".repeat(64);
        let config =
            format!(r#"{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:{zero}","size":2}}"#);
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":{layers}}}"#)
    }

    #[test]
    fn what_is_read() {
        assert_eq!(said(&manifest("null"), Some(OCI_MANIFEST)), "manifest of 0");
        assert_eq!(said(&manifest("[]"), Some("application/json")), "manifest of 0");
        assert_eq!(said(r#"{"schemaVersion":2,"manifests":null,"x":{"a":1}}"#, None), "index of 0");
    }

    #[test]
    fn what_is_refused() {
        let mixed = r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#;
        assert_eq!(said(mixed, Some(OCI_INDEX)), "it is both an index and a manifest");
        assert_eq!(said(&mixed.replace("layers", "Layers"), None), "it is both an index and a manifest");
        assert_eq!(said(&manifest("[]"), Some(OCI_INDEX)), "it is both an index and a manifest");
        assert!(said(r#"{"schemaVersion":1}"#, None).contains("schema version 1"));
        assert!(
            said(r#"{"schemaVersion":2}"#, Some("application/vnd.docker.distribution.manifest.v1+prettyjws"))
                .contains("schema version 1")
        );
        assert_eq!(said("{}", None), "schemaVersion is null, not 2");
        assert_eq!(said(r#"{"schemaVersion":"2"}"#, None), "schemaVersion is \"2\", not 2");
        assert!(said(r#"{"schemaVersion":2,"x":{"a":1,"a":2}}"#, None).contains("duplicate key 'a'"));
        assert!(said(r#"{"schemaVersion":2} {}"#, None).contains("trailing"));
        assert!(said("[]", None).contains("invalid"));
        assert!(said(&"[".repeat(200), None).contains("recursion"));
        let inside = r#"{"schemaVersion":2,"mediaType":"a/b","manifests":[]}"#;
        assert!(said(inside, Some(OCI_INDEX)).contains("'a/b'"));
    }

    #[test]
    fn layers_that_are_no_file_systems() {
        let layer = |kind: &str, size: &str| {
            format!(r#"[{{"mediaType":"{kind}","digest":"sha256:{}","size":{size}}}]"#, "0".repeat(64))
        };
        let good = "application/vnd.oci.image.layer.v1.tar+zstd";
        assert_eq!(said(&manifest(&layer(good, "0")), None), "manifest of 1");
        assert!(said(&manifest(&layer(good, "-1")), None).contains("negative size"));
        assert!(said(&manifest(&layer(good, "9223372036854775808")), None).contains("invalid"));
        for bad in [
            "",
            "application/vnd.cncf.helm.chart.content.v1.tar+gzip",
            "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
        ] {
            assert!(said(&manifest(&layer(bad, "1")), None).contains("not a file system layer"), "{bad}");
        }
    }
}
