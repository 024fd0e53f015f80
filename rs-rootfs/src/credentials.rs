//! Who we are to a registry: what `docker login` and its relatives left
//! behind, and the helpers they name.
//!
//! The first source that has the host wins. A helper that is missing or fails
//! is an error: going on would hand another host's secret, or none, to a host
//! that was configured otherwise (CVE-2021-41092).

use crate::document;
use crate::helper;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// The key under which docker.io is kept.
const HUB: &str = "https://index.docker.io/v1/";
const FILE_MAX: u64 = 4 << 20;

/// What identifies us. Its `Debug` hides it: secrets never reach a message.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// A name and a password.
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: String,
    },
    /// A refresh token for the token server.
    Identity(String),
    /// A token for the registry itself.
    Bearer(String),
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(hidden)")
    }
}

/// Why it is not known who we are.
#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    /// A file that cannot be used.
    #[error("cannot read credentials in {}: {why}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The reason, without the content.
        why: String,
    },
    /// A helper that did not answer.
    #[error("cannot get credentials for {host}: {why}")]
    Helper {
        /// The registry.
        host: String,
        /// What went wrong.
        why: String,
    },
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Login {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Logins {
    auths: Option<BTreeMap<String, Login>>,
    creds_store: Option<String>,
    cred_helpers: Option<BTreeMap<String, String>>,
}

/// What is known for repository `path` on `domain`.
///
/// # Errors
/// A file that cannot be understood, a helper that failed.
pub fn find(domain: &str, path: &str) -> Result<Option<Credentials>, CredentialsError> {
    for file in files() {
        let Some(logins) = read(&file)? else { continue };
        let bad = |why: &str| CredentialsError::File { path: file.clone(), why: why.to_owned() };
        if let Some(found) = in_file(&logins, domain, path, &bad)? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The files, in the order in which they are asked.
fn files() -> Vec<PathBuf> {
    let var = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = var("HOME").or_else(|| {
        let me = chain::user::user_by_id(nix::unistd::geteuid().as_raw())?;
        Some(PathBuf::from(me.home))
    });
    let below_home = |rest: &str| home.as_ref().map(|home| home.join(rest));
    let docker = var("DOCKER_CONFIG").or_else(|| below_home(".docker")).map(|folder| folder.join("config.json"));
    let run = var("XDG_RUNTIME_DIR").map(|folder| folder.join("containers/auth.json"));
    let own = var("XDG_CONFIG_HOME")
        .map(|folder| folder.join("containers/auth.json"))
        .or_else(|| below_home(".config/containers/auth.json"));
    [docker, var("REGISTRY_AUTH_FILE"), run, own].into_iter().flatten().collect()
}

fn read(path: &Path) -> Result<Option<Logins>, CredentialsError> {
    let bad = |why: String| CredentialsError::File { path: path.to_owned(), why };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if crate::is_absent(path, &error) => return Ok(None),
        Err(error) => return Err(bad(crate::reason(&error))),
    };
    let mut bytes = Vec::new();
    file.take(FILE_MAX).read_to_end(&mut bytes).map_err(|error| bad(crate::reason(&error)))?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    // serde's words quote the value that does not fit: only the place is told.
    document::json(&bytes).map(Some).map_err(|error| {
        bad(match error {
            document::DocumentError::Json(error) => {
                format!("invalid JSON at line {} column {}", error.line(), error.column())
            }
            _ => "invalid JSON".to_owned(),
        })
    })
}

fn in_file(
    logins: &Logins,
    domain: &str,
    path: &str,
    bad: &dyn Fn(&str) -> CredentialsError,
) -> Result<Option<Credentials>, CredentialsError> {
    let server = if domain == crate::reference::DEFAULT_DOMAIN { HUB } else { domain };
    let own = logins.cred_helpers.iter().flatten().find(|(key, _)| host_of(key) == host_of(domain));
    if let Some((_, name)) = own {
        return from_helper(name, server, domain);
    }
    if let Some(name) = logins.creds_store.as_deref().filter(|name| !name.is_empty())
        && let Some(found) = from_helper(name, server, domain)?
    {
        return Ok(Some(found));
    }
    let wanted = format!("{}/{path}", host_of(domain));
    let fitting = logins.auths.iter().flatten().filter(|(key, _)| covers(key, domain, &wanted));
    match fitting.max_by_key(|(key, _)| prefix(key).len()) {
        Some((_, login)) => from_login(login, bad),
        None => Ok(None),
    }
}

/// `https://HOST/v1/` as `HOST`, `HOST/REPOSITORY` as it is.
fn prefix(key: &str) -> &str {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://")).unwrap_or(key);
    let bare = bare.trim_end_matches('/');
    bare.strip_suffix("/v1").or_else(|| bare.strip_suffix("/v2")).unwrap_or(bare)
}

/// The host that a key is about.
fn host_of(key: &str) -> &str {
    match prefix(key).split('/').next().unwrap_or_default() {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        host => host,
    }
}

/// Whether `key` is `wanted` (`HOST/PATH`) or one of the folders above it.
/// Old files have URLs with any path: only their host counts.
fn covers(key: &str, domain: &str, wanted: &str) -> bool {
    if host_of(key) != host_of(domain) {
        return false;
    }
    let url = key.starts_with("https://") || key.starts_with("http://");
    let below = prefix(key).split_once('/').map_or("", |(_, path)| path);
    let whole = format!("{}/{below}", host_of(domain));
    url || below.is_empty() || wanted.strip_prefix(&whole).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn from_login(login: &Login, bad: &dyn Fn(&str) -> CredentialsError) -> Result<Option<Credentials>, CredentialsError> {
    let given = |word: &Option<String>| word.clone().filter(|word| !word.is_empty());
    if let Some(token) = given(&login.registrytoken) {
        return Ok(Some(Credentials::Bearer(token)));
    }
    if let Some(token) = given(&login.identitytoken) {
        return Ok(Some(Credentials::Identity(token)));
    }
    if let Some(auth) = given(&login.auth) {
        let plain = STANDARD
            .decode(&auth)
            .or_else(|_| STANDARD_NO_PAD.decode(&auth))
            .ok()
            .and_then(|bytes| String::from_utf8(bytes).ok())
            .ok_or_else(|| bad("an 'auth' is not base64"))?;
        // Docker pads what it writes with NUL.
        let (user, password) =
            plain.trim_end_matches('\0').split_once(':').ok_or_else(|| bad("an 'auth' has no ':'"))?;
        return Ok(Some(Credentials::Basic { user: user.to_owned(), password: password.to_owned() }));
    }
    match (given(&login.username), given(&login.password)) {
        (Some(user), Some(password)) => Ok(Some(Credentials::Basic { user, password })),
        _ => Ok(None),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

fn from_helper(name: &str, server: &str, host: &str) -> Result<Option<Credentials>, CredentialsError> {
    let failed = |why: String| CredentialsError::Helper { host: host.to_owned(), why };
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
    if !plain || name.is_empty() {
        return Err(failed(format!("'{}' is no name of a credential helper", name.escape_default())));
    }
    let program = format!("docker-credential-{name}");
    let ran = helper::run(&program, server).map_err(|why| failed(format!("{program}: {why}")))?;
    if ran.status != 0 {
        if ran.stdout.windows(21).any(|words| words == b"credentials not found") {
            return Ok(None);
        }
        return Err(failed(format!("{program} ended with status {}", ran.status)));
    }
    let answer: Answer = document::json(&ran.stdout).map_err(|_| failed(format!("{program} gave no answer")))?;
    Ok(Some(match answer.username.as_str() {
        "<token>" => Credentials::Identity(answer.secret),
        _ => Credentials::Basic { user: answer.username, password: answer.secret },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::unnecessary_wraps, reason = "as the function that is tested gives it")]
    fn basic(user: &str) -> Option<Credentials> {
        Some(Credentials::Basic { user: user.to_owned(), password: "p".to_owned() })
    }

    fn found(text: &str, domain: &str, path: &str) -> Option<Credentials> {
        let logins: Logins = serde_json::from_str(text).expect("JSON");
        let bad = |why: &str| panic!("{why}");
        in_file(&logins, domain, path, &bad).expect("no helper")
    }

    #[test]
    fn keys_of_all_ages() {
        let hub = r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpw"}}}"#;
        assert_eq!(found(hub, "docker.io", "library/bash"), basic("u"));
        assert_eq!(found(hub, "example.org", "a"), None);
        let old = r#"{"auths":{"https://example.org/v1/":{"auth":"dTpw"}}}"#;
        assert_eq!(found(old, "example.org", "a"), basic("u"));
        assert_eq!(found(old, "example.org:5000", "a"), None);
    }

    #[test]
    fn the_longest_prefix_wins() {
        let text = r#"{"auths":{"h":{"auth":"YTpw"},"h/team":{"auth":"Yjpw"},"h/team/app":{"auth":"Yzpw"}}}"#;
        assert_eq!(found(text, "h", "other"), basic("a"));
        assert_eq!(found(text, "h", "teams/x"), basic("a"));
        assert_eq!(found(text, "h", "team/x"), basic("b"));
        assert_eq!(found(text, "h", "team/app"), basic("c"));
    }

    #[test]
    fn tokens() {
        let text = r#"{"auths":{"h":{"auth":"YTpw","identitytoken":"t"},"i":{"registrytoken":"r"}}}"#;
        assert_eq!(found(text, "h", "x"), Some(Credentials::Identity("t".to_owned())));
        assert_eq!(found(text, "i", "x"), Some(Credentials::Bearer("r".to_owned())));
        assert_eq!(format!("{:?}", found(text, "i", "x")), "Some(Credentials(hidden))");
    }
}
