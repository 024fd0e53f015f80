//! A registry's client (OCI distribution-spec 1.1): manifests and blobs of one
//! repository, whatever stands between us and them.

pub mod auth;
mod connect;
mod download;
pub mod http;
mod proxy;
mod pull;
mod retry;
mod stream;
mod tls;

pub use download::Download;
pub use pull::{Blobs, Pulled, open, pull};

use crate::credentials::{self, Credentials};
use crate::digest::Digest;
use crate::document::{self, Descriptor};
use crate::reference::Reference;
use crate::{config, store};
use anyhow::{Context, bail};
use auth::{Challenge, challenges};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::{Answer, Client, HttpError, Request};
use retry::{Tries, retry_after};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A token this close to its end is renewed before it is used.
const MARGIN: Duration = Duration::from_secs(5);
const TOKEN_MAX: u64 = 1 << 20;

/// The registry said no.
#[derive(Debug, thiserror::Error)]
pub enum RegistryError {
    /// An HTTP status, and what came with it.
    #[error("{host}: {what}: {status}{}{}", if .text.is_empty() { String::new() } else { format!(" {}", .text) },
        .remaining.as_ref().map(|left| format!(" (ratelimit-remaining: {left})")).unwrap_or_default())]
    Refused {
        /// Who.
        host: String,
        /// What was asked for.
        what: String,
        /// The status and its name.
        status: String,
        /// `CODE: message` from the body.
        text: String,
        /// How many requests are left.
        remaining: Option<String>,
    },
    /// The one who gives tokens would get our password in clear text.
    #[error("{host}: refused to ask '{realm}' for a token: it is not https")]
    Realm {
        /// The registry.
        host: String,
        /// The token server.
        realm: String,
    },
    /// It did not give a token.
    #[error("{0}: no token in the answer")]
    NoToken(String),
}

/// A repository on one of the hosts that have it.
pub struct Repository {
    client: Client,
    /// `https://HOST/v2/PATH`.
    base: String,
    host: String,
    path: String,
    /// The host is spoken to in clear text, by choice.
    plain: bool,
    credentials: Option<Credentials>,
    authorization: Mutex<Option<Authorization>>,
    given_up: AtomicBool,
}

/// What goes into the header, and until when.
#[derive(Clone, PartialEq, Eq)]
struct Authorization {
    header: String,
    until: Option<Instant>,
}

impl Authorization {
    fn is_fresh(&self) -> bool {
        self.until.is_none_or(|until| until > Instant::now() + MARGIN)
    }
}

/// A manifest or an index as received.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// The bytes.
    pub bytes: Vec<u8>,
    /// What the server calls it.
    pub media_type: Option<String>,
    /// The digest of the bytes.
    pub digest: Digest,
}

impl Repository {
    fn new(scheme: &str, host: &str, below: &str, path: &str, insecure: bool) -> anyhow::Result<Self> {
        let name = if host == "registry-1.docker.io" { crate::reference::DEFAULT_DOMAIN } else { host };
        Ok(Self {
            client: Client::new(insecure),
            base: format!("{scheme}://{host}{below}/v2/{path}"),
            host: host.to_owned(),
            path: path.to_owned(),
            plain: scheme == "http",
            credentials: credentials::find(name, path)?,
            authorization: Mutex::new(None),
            given_up: AtomicBool::new(false),
        })
    }

    /// Finds `reference` on one of its mirrors, else on its own host, and
    /// gives the manifest or index it names.
    ///
    /// # Errors
    /// What each of them said.
    pub fn find(reference: &Reference, insecure: bool) -> anyhow::Result<(Self, Fetched)> {
        let mut said = Vec::new();
        let mirrors = config::mirrors(reference.domain())?;
        for mirror in mirrors.iter().map(String::as_str).chain([reference.api_host()]) {
            match Self::find_at(mirror, reference, insecure) {
                Ok(found) => return Ok(found),
                Err(error) => said.push(crate::told(&error)),
            }
        }
        bail!("{}", said.join("; "))
    }

    /// Asks one host. https first; where plain http is allowed, that too.
    fn find_at(host: &str, reference: &Reference, insecure: bool) -> anyhow::Result<(Self, Fetched)> {
        let (scheme, rest) = match host.split_once("://") {
            Some((scheme, rest)) => (Some(scheme), rest),
            None => (None, host),
        };
        let rest = rest.trim_end_matches('/');
        let (host, below) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
        let at = |scheme: &str| {
            let repository = Self::new(scheme, host, below, reference.path(), insecure)?;
            let fetched = repository.manifest(&reference.wanted(), None)?;
            anyhow::Ok((repository, fetched))
        };
        let name = host.rsplit_once(':').map_or(host, |(name, port)| if port.ends_with(']') { host } else { name });
        match scheme {
            Some(scheme @ ("http" | "https")) => at(scheme),
            Some(_) => bail!("'{host}' is no http address"),
            None if insecure || http::is_loopback(name) => {
                if Self::speaks_tls(host, below, insecure) {
                    at("https")
                } else {
                    at("http")
                }
            }
            None => at("https"),
        }
    }

    /// Whether the host answers at all when it is spoken to in TLS; one with a
    /// bad certificate does, and is not to be asked in clear text instead.
    fn speaks_tls(host: &str, below: &str, insecure: bool) -> bool {
        let request = Request { url: format!("https://{host}{below}/v2/"), ..Request::default() };
        !matches!(Client::new(insecure).send(&request), Err(HttpError::Broken { certificate: false, .. }))
    }

    /// The host, for messages.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Nobody waits any more.
    pub fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed) || chain::interrupt::caught().is_some()
    }

    /// Fetches a manifest or an index by tag or digest, and checks it.
    ///
    /// # Errors
    /// It is not there, too large, or not what was asked for.
    pub fn manifest(&self, what: &str, expected: Option<&Descriptor>) -> anyhow::Result<Fetched> {
        let accept =
            [document::OCI_INDEX, document::OCI_MANIFEST, document::DOCKER_INDEX, document::DOCKER_MANIFEST].join(", ");
        let name = format!("manifest {what}");
        let ask = || self.get(&format!("manifests/{what}"), &accept, 0);
        let (answer, bytes) = self.whole(ask, &name, document::MANIFEST_MAX)?;
        let media_type =
            answer.header("content-type").map(|kind| kind.split(';').next().unwrap_or(kind).trim().to_owned());
        let announced = answer.header("docker-content-digest").map(str::to_owned);
        let wanted = expected.map(|it| it.digest.clone()).or_else(|| what.parse::<Digest>().ok());
        if let Some(wanted) = &wanted
            && !store::matches(wanted, &bytes)
        {
            bail!("{}: {name}: wrong digest, the bytes are {}", self.host, Digest::of(&bytes));
        }
        if let Some(announced) = announced.and_then(|digest| digest.parse::<Digest>().ok())
            && !store::matches(&announced, &bytes)
        {
            bail!("{}: {name}: the header promises {announced}, the bytes are {}", self.host, Digest::of(&bytes));
        }
        if expected.is_some_and(|it| it.size != bytes.len() as u64) {
            bail!("{}: {name}: {} bytes, which is not the size announced", self.host, bytes.len());
        }
        Ok(Fetched { digest: wanted.unwrap_or_else(|| Digest::of(&bytes)), bytes, media_type })
    }

    /// Fetches a small blob whole, and checks it.
    ///
    /// # Errors
    /// It is not there, too large, or something else.
    pub fn small_blob(&self, wanted: &Descriptor, max: u64) -> anyhow::Result<Vec<u8>> {
        let name = format!("blob {}", wanted.digest);
        if wanted.size > max {
            bail!("{}: {name}: {} bytes, more than {max}", self.host, wanted.size);
        }
        let ask = || self.get(&format!("blobs/{}", wanted.digest), "", 0);
        let (_, bytes) = self.whole(ask, &name, wanted.size)?;
        if bytes.len() as u64 != wanted.size || !store::matches(&wanted.digest, &bytes) {
            bail!("{}: {name}: wrong digest, the bytes are {}", self.host, Digest::of(&bytes));
        }
        Ok(bytes)
    }

    /// Asks for something below the repository, as who we are.
    fn get(&self, below: &str, accept: &str, from: u64) -> anyhow::Result<Answer> {
        let mut asked = false;
        loop {
            let authorization = self.current();
            let request = Request {
                url: format!("{}/{below}", self.base),
                accept: accept.to_owned(),
                authorization: authorization.as_ref().map(|it| it.header.clone()),
                from,
                form: None,
            };
            let answer = self.patient(&request)?;
            // Another host's 401 is not about us.
            if answer.status != 401 || answer.moved || asked {
                return Ok(answer);
            }
            asked = true;
            let found: Vec<Challenge> = answer
                .headers
                .get_all("www-authenticate")
                .iter()
                .filter_map(|value| value.to_str().ok())
                .flat_map(challenges)
                .collect();
            if !self.authorize(authorization.as_ref(), &found)? {
                return Ok(answer);
            }
        }
    }

    fn current(&self) -> Option<Authorization> {
        let held = self.authorization.lock().unwrap_or_else(PoisonError::into_inner);
        held.clone().filter(Authorization::is_fresh)
    }

    /// Answers a challenge. `used` was refused; if another thread has got
    /// something newer, that will do. Says whether there is something to try.
    fn authorize(&self, used: Option<&Authorization>, found: &[Challenge]) -> anyhow::Result<bool> {
        let mut held = self.authorization.lock().unwrap_or_else(PoisonError::into_inner);
        if held.as_ref().is_some_and(|it| it.is_fresh() && Some(it) != used) {
            return Ok(true);
        }
        *held = None;
        let bearer = found.iter().find_map(|it| match it {
            Challenge::Bearer { realm, service, .. } => Some((realm, service)),
            Challenge::Basic => None,
        });
        if let Some((realm, service)) = bearer {
            *held = Some(self.token(realm, service)?);
        } else if found.contains(&Challenge::Basic)
            && let Some(header) = self.basic()
        {
            *held = Some(Authorization { header, until: None });
        }
        Ok(held.is_some() && held.as_ref() != used)
    }

    fn basic(&self) -> Option<String> {
        match &self.credentials {
            Some(Credentials::Basic { user, password }) => {
                Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}"))))
            }
            _ => None,
        }
    }

    /// A token for this repository, from whom the registry trusts.
    fn token(&self, realm: &str, service: &str) -> anyhow::Result<Authorization> {
        if let Some(Credentials::Bearer(token)) = &self.credentials {
            return Ok(Authorization { header: format!("Bearer {token}"), until: None });
        }
        let safe = realm.starts_with("https://") || (self.plain && realm.starts_with("http://"));
        if !safe {
            return Err(RegistryError::Realm { host: self.host.clone(), realm: realm.to_owned() }.into());
        }
        let scope = auth::encoded(&format!("repository:{}:pull", self.path));
        let mut query = format!("scope={scope}");
        if !service.is_empty() {
            query = format!("service={}&{query}", auth::encoded(service));
        }
        let mut request = Request::default();
        if let Some(Credentials::Identity(token)) = &self.credentials {
            let token = auth::encoded(token);
            request.form = Some(format!("grant_type=refresh_token&{query}&client_id=rs-rootfs&refresh_token={token}"));
            realm.clone_into(&mut request.url);
        } else {
            let joint = if realm.contains('?') { '&' } else { '?' };
            request.url = format!("{realm}{joint}{query}");
            request.authorization = self.basic();
        }
        let (answer, bytes) = self.whole(|| self.patient(&request), "token", TOKEN_MAX)?;
        let (token, life) = auth::token(&bytes).ok_or(RegistryError::NoToken(answer.host))?;
        // One that outlives the clock is renewed when it is refused.
        Ok(Authorization { header: format!("Bearer {token}"), until: Instant::now().checked_add(life) })
    }

    /// Asks for `what` and reads it, however often the connection breaks.
    fn whole(
        &self,
        ask: impl Fn() -> anyhow::Result<Answer>,
        what: &str,
        max: u64,
    ) -> anyhow::Result<(Answer, Vec<u8>)> {
        let mut tries = Tries::default();
        loop {
            let mut answer = ask()?;
            if answer.status != 200 {
                return Err(refused(answer, what.to_owned()).into());
            }
            match answer.read_all(max) {
                Err(error) if http::is_passing(&error) && tries.wait(None, &|| self.is_given_up()) => {}
                read => {
                    let bytes = read.with_context(|| format!("{}: {what}", answer.host))?;
                    return Ok((answer, bytes));
                }
            }
        }
    }

    /// Asks until there is an answer that asking again would not change.
    fn patient(&self, request: &Request) -> anyhow::Result<Answer> {
        let mut tries = Tries::default();
        loop {
            match self.client.send(request) {
                Ok(answer) if matches!(answer.status, 429 | 502..=504) => {
                    let asked = answer.header("retry-after").and_then(retry_after);
                    if !tries.wait(asked, &|| self.is_given_up()) {
                        return Ok(answer);
                    }
                }
                Ok(answer) => return Ok(answer),
                Err(error) if error.is_passing() => {
                    if !tries.wait(None, &|| self.is_given_up()) {
                        return Err(error.into());
                    }
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// The refusal that an answer is.
fn refused(answer: Answer, what: String) -> RegistryError {
    let status = ureq::http::StatusCode::from_u16(answer.status).map_or_else(|_| "?".to_owned(), |it| it.to_string());
    let remaining = answer.header("ratelimit-remaining").map(str::to_owned);
    let host = answer.host.clone();
    RegistryError::Refused { host, what, status, text: answer.error_text(), remaining }
}
