//! Names of images: `[DOMAIN/]PATH[:TAG][@DIGEST]` (distribution-spec 1.1 and
//! the reference grammar that Docker made).

use crate::digest::Digest;
use std::fmt;
use std::str::FromStr;

/// The registry that a name without a domain means.
pub const DEFAULT_DOMAIN: &str = "docker.io";
/// The longest name, domain and path together, in bytes.
const NAME_MAX: usize = 255;

/// An image's name, whole: nothing is left to a default but the tag.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    domain: String,
    path: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// A text that names no image. The words are Docker's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidReference {
    /// It does not follow the grammar.
    #[error("invalid reference format")]
    Format,
    /// The repository's name has an upper-case letter.
    #[error("invalid reference format: repository name ({0}) must be lowercase")]
    UpperCase(String),
    /// It could only be an image's ID.
    #[error("invalid repository name ({0}), cannot specify 64-byte hexadecimal strings")]
    Id(String),
    /// It is longer than 255 bytes.
    #[error("repository name must not be more than 255 characters")]
    TooLong,
    /// The part after `@` is none of the digests there are.
    #[error("invalid reference format: {0}")]
    Digest(crate::digest::InvalidDigest),
}

impl Reference {
    /// The registry's host, with its port if there is one: `docker.io`.
    pub fn domain(&self) -> &str {
        &self.domain
    }

    /// The repository below it: `library/bash`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The tag as given.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest as given; it decides where there is a tag too.
    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// What is asked for: the digest, else the tag, else `latest`.
    pub fn wanted(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".to_owned(),
        }
    }

    /// The tag under which the store remembers it; none where a digest says
    /// everything.
    pub fn tag_or_latest(&self) -> Option<&str> {
        match (&self.tag, &self.digest) {
            (Some(tag), _) => Some(tag),
            (None, Some(_)) => None,
            (None, None) => Some("latest"),
        }
    }

    /// The host that serves the API.
    pub fn api_host(&self) -> &str {
        if self.domain == DEFAULT_DOMAIN { "registry-1.docker.io" } else { &self.domain }
    }

    /// The repository as people write it: without the default domain and
    /// `library/`.
    pub fn familiar_name(&self) -> String {
        if self.domain != DEFAULT_DOMAIN {
            return format!("{}/{}", self.domain, self.path);
        }
        self.path.strip_prefix("library/").unwrap_or(&self.path).to_owned()
    }

    /// [`familiar_name`](Self::familiar_name) and always what is wanted of
    /// it: `bash:latest`, `bash@sha256:…`.
    pub fn familiar(&self) -> String {
        let name = self.familiar_name();
        match (&self.tag, &self.digest) {
            (Some(tag), Some(digest)) => format!("{name}:{tag}@{digest}"),
            (None, Some(digest)) => format!("{name}@{digest}"),
            _ => format!("{name}:{}", self.wanted()),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.domain, self.path)?;
        if let Some(tag) = self.tag_or_latest() {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, InvalidReference> {
        if is_hex(text) && text.len() == 64 {
            return Err(InvalidReference::Id(text.to_owned()));
        }
        let (domain, rest) = split_domain(text);
        let (rest, digest) = match rest.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (rest, None),
        };
        let (path, tag) = match rest.split_once(':') {
            Some((path, tag)) => (path, Some(tag)),
            None => (rest, None),
        };
        let path = if domain == DEFAULT_DOMAIN && !path.contains('/') && !path.is_empty() {
            format!("library/{path}")
        } else {
            path.to_owned()
        };
        if path.bytes().any(|b| b.is_ascii_uppercase()) {
            return Err(InvalidReference::UpperCase(path));
        }
        if !is_domain(domain) || !is_path(&path) || !tag.is_none_or(is_tag) {
            return Err(InvalidReference::Format);
        }
        if domain.len() + 1 + path.len() > NAME_MAX {
            return Err(InvalidReference::TooLong);
        }
        let digest = digest.map(str::parse).transpose().map_err(InvalidReference::Digest)?;
        Ok(Self { domain: domain.to_owned(), path, tag: tag.map(str::to_owned), digest })
    }
}

fn is_hex(text: &str) -> bool {
    text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// The domain and what follows it. The first component is a domain only if it
/// cannot be a repository's.
fn split_domain(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some((first, rest))
            if first.contains(['.', ':']) || first == "localhost" || first.bytes().any(|b| b.is_ascii_uppercase()) =>
        {
            (if first == "index.docker.io" { DEFAULT_DOMAIN } else { first }, rest)
        }
        _ => (DEFAULT_DOMAIN, text),
    }
}

/// `host`, `192.0.2.1`, `[2001:db8::1]`, each with `:PORT` or without.
fn is_domain(domain: &str) -> bool {
    let host = if let Some(rest) = domain.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else { return false };
        if !address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':') || address.is_empty() {
            return false;
        }
        return port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
    } else if let Some((host, port)) = domain.split_once(':') {
        if !is_port(port) {
            return false;
        }
        host
    } else {
        domain
    };
    host.split('.').all(|label| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

fn is_port(port: &str) -> bool {
    port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok()
}

/// Components of `[a-z0-9]+` joined by `.`, `_`, `__` or any number of `-`.
fn is_path(path: &str) -> bool {
    path.split('/').all(|component| {
        let mut rest = component.as_bytes();
        loop {
            let word = rest.iter().take_while(|b| b.is_ascii_lowercase() || b.is_ascii_digit()).count();
            if word == 0 {
                return false;
            }
            rest = &rest[word..];
            let joint = match rest {
                [] => return true,
                [b'_', b'_', ..] => 2,
                [b'.' | b'_', ..] => 1,
                [b'-', ..] => rest.iter().take_while(|b| **b == b'-').count(),
                _ => return false,
            };
            rest = &rest[joint..];
        }
    })
}

/// `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`
fn is_tag(tag: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    (1..=128).contains(&tag.len())
        && tag.bytes().enumerate().all(|(i, b)| word(b) || (i > 0 && matches!(b, b'.' | b'-')))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(text: &str) -> String {
        match text.parse::<Reference>() {
            Ok(reference) => reference.to_string(),
            Err(error) => format!("{error:?}").split('(').next().unwrap_or_default().to_owned(),
        }
    }

    #[test]
    fn defaults() {
        assert_eq!(whole("bash"), "docker.io/library/bash:latest");
        assert_eq!(whole("index.docker.io/bash"), "docker.io/library/bash:latest");
        assert_eq!(whole("a/b:1"), "docker.io/a/b:1");
        assert_eq!(whole("localhost/b"), "localhost/b:latest");
        assert_eq!(whole("localhost:5000"), "docker.io/library/localhost:5000");
        assert_eq!(whole("h:5000/a/b/c:T_1.x-y"), "h:5000/a/b/c:T_1.x-y");
        assert_eq!(whole("[::1]:5000/a"), "[::1]:5000/a:latest");
        assert_eq!(whole("Host/a"), "Host/a:latest");
        assert_eq!(whole("a__b--c.d_e"), "docker.io/library/a__b--c.d_e:latest");
    }

    #[test]
    fn digests_decide() {
        let digest = format!("sha256:{}", "0".repeat(64));
        let both: Reference = format!("a:1@{digest}").parse().expect("a reference");
        assert_eq!(both.wanted(), digest);
        assert_eq!(both.familiar(), format!("a:1@{digest}"));
        assert_eq!(whole(&format!("a@{digest}")), format!("docker.io/library/a@{digest}"));
        assert_eq!(whole("a@sha256:1"), "Digest");
        assert_eq!(whole(&format!("a@sha256:{}", "A".repeat(64))), "Digest");
    }

    #[test]
    fn refusals() {
        for bad in
            ["", "a//b", "/a", "a/", "a:", ":a", "-a", "a___b", "a..b", "a:-t", "h:99999/a", "a b", "../a", "h:/a"]
        {
            assert_eq!(whole(bad), "Format", "{bad}");
        }
        assert_eq!(whole("BASH"), "UpperCase");
        assert_eq!(whole(&"a".repeat(64)), "Id");
        assert_eq!(whole(&format!("a:{}", "t".repeat(129))), "Format");
        assert_eq!(whole("ab/".repeat(100).trim_end_matches('/')), "TooLong");
        assert_eq!(
            "BASH".parse::<Reference>().map_err(|e| e.to_string()),
            Err("invalid reference format: repository name (library/BASH) must be lowercase".to_owned())
        );
    }
}
