//! Which of an index's images fits: `OS/ARCH[/VARIANT]`.

use crate::document::{Descriptor, Index, nullable};
use serde::Deserialize;
use std::fmt;
use std::str::FromStr;

/// What an image was built for (OCI image-spec 1.1, image-index.md).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Platform {
    /// `linux`, …
    #[serde(default, deserialize_with = "nullable")]
    pub os: String,
    /// `amd64`, `arm64`, … as Go calls them.
    #[serde(default, deserialize_with = "nullable")]
    pub architecture: String,
    /// `v7`, …; empty where there is only one.
    #[serde(default, deserialize_with = "nullable")]
    pub variant: String,
}

/// A text that names no platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPlatform {
    /// One word that is neither a system nor an architecture.
    #[error("\"{0}\": unknown operating system or architecture: invalid argument")]
    Unknown(String),
    /// Empty parts, or other characters than letters, digits, `_` and `-`.
    #[error(
        "\"{component}\" is an invalid component of \"{whole}\": \
         platform specifier component must match \"^[A-Za-z0-9_-]+$\": invalid argument"
    )]
    Component {
        /// The part.
        component: String,
        /// The text.
        whole: String,
    },
    /// More than three parts.
    #[error("\"{0}\": cannot parse platform specifier: invalid argument")]
    Parts(String),
}

/// An index has no image for the platform.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no matching manifest for {wanted} in the manifest list entries; there is: {}", if .there.is_empty() { "none".to_owned() } else { .there.join(", ") })]
pub struct NoMatch {
    /// What was wanted.
    pub wanted: Platform,
    /// What the index offers.
    pub there: Vec<String>,
}

const SYSTEMS: [&str; 11] =
    ["linux", "windows", "darwin", "freebsd", "netbsd", "openbsd", "dragonfly", "solaris", "aix", "plan9", "android"];
const ARCHITECTURES: [&str; 12] =
    ["amd64", "386", "arm64", "arm", "riscv64", "ppc64le", "ppc64", "s390x", "loong64", "mips64le", "mips64", "wasm"];

impl Platform {
    /// This machine's.
    pub fn host() -> Self {
        let (architecture, variant) = match std::env::consts::ARCH {
            "x86_64" => ("amd64", ""),
            "x86" => ("386", ""),
            "aarch64" => ("arm64", ""),
            "arm" if cfg!(target_feature = "v7") => ("arm", "v7"),
            "arm" => ("arm", "v6"),
            "powerpc64" if cfg!(target_endian = "little") => ("ppc64le", ""),
            "loongarch64" => ("loong64", ""),
            other => (other, ""),
        };
        Self { os: "linux".to_owned(), architecture: architecture.to_owned(), variant: variant.to_owned() }
    }

    /// The variants of its architecture that run on it, the best first; the
    /// variant of an image without one counts as the lowest.
    fn accepted(&self) -> Vec<&str> {
        let own = self.variant.as_str();
        let down_from = |all: &[&'static str], own: &str| match all.iter().position(|v| *v == own) {
            Some(at) => all[at..].to_vec(),
            None => Vec::new(),
        };
        match (self.architecture.as_str(), own) {
            ("arm", "") => vec!["v7", "v6", "v5"],
            ("arm", _) => down_from(&["v8", "v7", "v6", "v5"], own),
            ("arm64", "") => vec!["v8"],
            ("arm64", _) => down_from(&["v9", "v8"], own),
            ("amd64", "") => ["v1", "v2", "v3", "v4"].into_iter().take(cpu_level()).collect(),
            ("amd64", _) => down_from(&["v4", "v3", "v2", "v1"], own),
            _ => vec![own],
        }
    }

    /// The variant, where an empty one has a meaning.
    fn normal_variant(&self) -> &str {
        match (self.architecture.as_str(), self.variant.as_str()) {
            ("arm64", "" | "8") => "v8",
            ("arm", "" | "7") => "v7",
            ("arm", "5") => "v5",
            ("arm", "6") => "v6",
            ("amd64", "") => "v1",
            (_, variant) => variant,
        }
    }

    /// How well an image for `other` serves here: 0 is best.
    fn rank(&self, other: &Self) -> Option<usize> {
        let same = self.os == other.os && self.architecture == normal_architecture(&other.architecture);
        let variant = other.normal_variant();
        self.accepted().iter().position(|v| *v == variant).filter(|_| same)
    }

    /// Whether an image made for `other` is one for this platform.
    pub fn runs(&self, other: &Self) -> bool {
        self.rank(other).is_some()
    }

    /// Chooses from `index`.
    ///
    /// # Errors
    /// [`NoMatch`] with what there is.
    pub fn choose<'a>(&self, index: &'a Index) -> Result<&'a Descriptor, NoMatch> {
        let images: Vec<&Descriptor> = index.manifests.iter().filter(|entry| is_image(entry)).collect();
        if let [only] = images.as_slice()
            && only.platform.is_none()
        {
            return Ok(only);
        }
        let ranked = images.iter().filter_map(|entry| Some((self.rank(entry.platform.as_ref()?)?, *entry)));
        // min_by_key gives the first of equals.
        ranked.min_by_key(|(rank, _)| *rank).map(|(_, entry)| entry).ok_or_else(|| NoMatch {
            wanted: self.clone(),
            there: images.iter().filter_map(|entry| Some(entry.platform.as_ref()?.to_string())).collect(),
        })
    }
}

/// Attestations and signatures lie in indexes beside the images.
pub(crate) fn is_image(entry: &Descriptor) -> bool {
    let unknown = entry.platform.as_ref().is_some_and(|p| p.os == "unknown" && p.architecture == "unknown");
    !unknown && !entry.annotations.contains_key("vnd.docker.reference.type")
}

fn normal_architecture(name: &str) -> &str {
    match name {
        "x86_64" | "x86-64" => "amd64",
        "i386" | "i686" => "386",
        "aarch64" => "arm64",
        "armhf" | "armel" => "arm",
        "loongarch64" => "loong64",
        other => other,
    }
}

/// The x86-64 level of this CPU (psABI): how many of v1 … v4 run.
fn cpu_level() -> usize {
    #[cfg(target_arch = "x86_64")]
    {
        macro_rules! has {
            ($($feature:tt),+) => { $( std::arch::is_x86_feature_detected!($feature) )&&+ };
        }
        if !has!("cmpxchg16b", "popcnt", "sse3", "sse4.1", "sse4.2", "ssse3") {
            1
        } else if !has!("avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "lzcnt", "movbe") {
            2
        } else if !has!("avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl") {
            3
        } else {
            4
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    1
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        if self.variant.is_empty() { Ok(()) } else { write!(f, "/{}", self.variant) }
    }
}

impl FromStr for Platform {
    type Err = InvalidPlatform;

    fn from_str(text: &str) -> Result<Self, InvalidPlatform> {
        let parts: Vec<&str> = text.split('/').collect();
        let fits = |part: &&str| {
            !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'))
        };
        if let Some(part) = parts.iter().find(|part| !fits(part)) {
            return Err(InvalidPlatform::Component { component: (*part).to_owned(), whole: text.to_owned() });
        }
        let lower: Vec<String> = parts.iter().map(|part| part.to_ascii_lowercase()).collect();
        let words: Vec<&str> = lower.iter().map(String::as_str).collect();
        let host = Self::host();
        let (os, architecture, variant) = match words.as_slice() {
            [os] if SYSTEMS.contains(os) => (*os, host.architecture.as_str(), host.variant.as_str()),
            [arch] if ARCHITECTURES.contains(&normal_architecture(arch)) => ("linux", *arch, ""),
            [_] => return Err(InvalidPlatform::Unknown(text.to_owned())),
            [os, arch] => (*os, *arch, ""),
            [os, arch, variant] => (*os, *arch, *variant),
            _ => return Err(InvalidPlatform::Parts(text.to_owned())),
        };
        let variant = match (architecture, variant) {
            ("armhf", "") => "v7",
            ("armel", "") => "v6",
            _ => variant,
        };
        let mut platform = Self {
            os: if os == "macos" { "darwin" } else { os }.to_owned(),
            architecture: normal_architecture(architecture).to_owned(),
            variant: variant.to_owned(),
        };
        // An explicit lowest variant is the same as none, but v1 of amd64
        // stays: it asks for no more than that.
        if platform.architecture == "arm64" && platform.normal_variant() == "v8" {
            platform.variant.clear();
        } else if platform.architecture == "arm" {
            platform.variant = platform.normal_variant().to_owned();
        }
        Ok(platform)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{self, Document};

    fn chosen(wanted: &str, there: &[&str]) -> Result<usize, NoMatch> {
        let entry = |(i, platform): (usize, &&str)| {
            let mut parts = platform.split('/');
            let mut part = || parts.next().unwrap_or_default();
            format!(
                r#"{{"mediaType":"{}","size":{i},"digest":"sha256:{}","platform":{{"os":"{}","architecture":"{}","variant":"{}"}}}}"#,
                document::OCI_MANIFEST,
                "0".repeat(64),
                part(),
                part(),
                part()
            )
        };
        let entries: Vec<String> = there.iter().enumerate().map(entry).collect();
        let text = format!(r#"{{"schemaVersion":2,"manifests":[{}]}}"#, entries.join(","));
        let Ok(Document::Index(index)) = document::parse(text.as_bytes(), Some(document::OCI_INDEX)) else {
            panic!("no index: {text}")
        };
        let found = wanted.parse::<Platform>().expect("a platform").choose(&index)?.size;
        Ok(usize::try_from(found).expect("small"))
    }

    #[test]
    fn variants_in_order() {
        assert_eq!(chosen("linux/arm/v7", &["linux/arm/v5", "linux/arm/v6", "linux/amd64"]), Ok(1));
        assert_eq!(chosen("linux/arm64", &["linux/arm/v7", "linux/arm64/v8"]), Ok(1));
        assert_eq!(chosen("linux/arm64/v8", &["linux/arm64"]), Ok(0));
        assert_eq!(chosen("linux/amd64", &["linux/amd64/v4", "linux/amd64"]), Ok(1));
        assert_eq!(chosen("linux/amd64/v1", &["linux/amd64/v1"]), Ok(0));
        assert_eq!(chosen("linux/amd64", &["unknown/unknown", "windows/amd64", "linux/amd64"]), Ok(2));
    }

    #[test]
    fn nothing_fits() {
        let error = chosen("linux/arm/v6", &["linux/arm/v7", "linux/amd64"]).expect_err("no match");
        assert_eq!(error.there, ["linux/arm/v7", "linux/amd64"]);
    }

    #[test]
    fn words() {
        assert_eq!("Linux/x86_64".parse::<Platform>().map(|p| p.to_string()), Ok("linux/amd64".to_owned()));
        assert_eq!("aarch64".parse::<Platform>().map(|p| p.to_string()), Ok("linux/arm64".to_owned()));
        for bad in ["", "a/b/c/d", "linux/", "linux/a b", "nonsense"] {
            assert!(bad.parse::<Platform>().is_err(), "{bad}");
        }
    }
}
