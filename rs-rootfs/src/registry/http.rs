//! One HTTP request, as a registry needs it: redirects that cannot carry our
//! secrets away, proxies, certificates, and no patience without an end.

use super::proxy::{ProxyError, proxy};
use super::{connect, tls};
use std::collections::HashMap;
use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use ureq::http::{HeaderMap, Response, Uri};
use ureq::{Agent, Body, ProxyProtocol};

const REDIRECTS_MAX: usize = 10;
const CONNECT: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(30);
/// As much of an error's body is read as may hold its message.
const ERROR_BODY_MAX: u64 = 64 << 10;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No connection, or it broke.
    #[error("{host}: {why}")]
    Broken {
        /// The host.
        host: String,
        /// The reason.
        why: String,
        /// The certificate is not to be trusted: plain http is no way out.
        certificate: bool,
        /// Another try may go better: a reset, a timeout.
        passing: bool,
    },
    /// An address that is none, or not http.
    #[error("'{0}' is no http address")]
    Address(String),
    /// A redirect that is not followed.
    #[error("{host}: redirected {how}")]
    Redirect {
        /// Who sent us on.
        host: String,
        /// Why we do not go.
        how: &'static str,
    },
    /// A certificate file that cannot be used.
    #[error(transparent)]
    Tls(#[from] tls::TlsError),
    /// A proxy that cannot be used.
    #[error(transparent)]
    Proxy(#[from] ProxyError),
}

impl HttpError {
    /// Whether another try may go better.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Broken { passing: true, .. })
    }
}

/// What is asked.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Where.
    pub url: String,
    /// The media types that are welcome, comma-separated.
    pub accept: String,
    /// For this host only.
    pub authorization: Option<String>,
    /// The first byte wanted.
    pub from: u64,
    /// A form to be posted.
    pub form: Option<String>,
}

/// What came back.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Its headers.
    pub headers: HeaderMap,
    /// Whether another host than the one that was asked answered.
    pub moved: bool,
    /// The host that answered.
    pub host: String,
    body: Body,
}

impl Answer {
    /// A header's text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The bytes.
    pub fn into_reader(self) -> impl Read + 'static {
        self.body.into_reader()
    }

    /// The whole body, if it has no more than `max` bytes.
    ///
    /// # Errors
    /// It has more, or the connection broke.
    pub fn read_all(&mut self, max: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.body.as_reader().take(max + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > max {
            return Err(io::Error::other(format!("the answer is larger than {max} bytes")));
        }
        Ok(bytes)
    }

    /// What an error's body says: `CODE: message`.
    pub fn error_text(self) -> String {
        let mut bytes = Vec::new();
        let _ = self.body.into_reader().take(ERROR_BODY_MAX).read_to_end(&mut bytes);
        super::auth::error_text(&bytes)
    }
}

/// Connections, one pool for each host.
pub struct Client {
    insecure: bool,
    agents: Mutex<HashMap<String, Agent>>,
}

impl Client {
    /// `insecure`: certificates are not checked.
    pub fn new(insecure: bool) -> Self {
        Self { insecure, agents: Mutex::new(HashMap::new()) }
    }

    fn agent(&self, uri: &Uri) -> Result<Agent, HttpError> {
        let (scheme, authority) = (uri.scheme_str().unwrap_or_default(), authority(uri));
        let key = format!("{scheme}://{authority}");
        if let Some(agent) = self.agents.lock().unwrap_or_else(PoisonError::into_inner).get(&key) {
            return Ok(agent.clone());
        }
        let proxy = proxy(uri)?;
        let encrypted = scheme == "https" || proxy.as_ref().is_some_and(|it| it.protocol() == ProxyProtocol::Https);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_resolve(Some(CONNECT))
            .timeout_connect(Some(CONNECT))
            .timeout_per_read(Some(SILENCE))
            .timeout_per_write(Some(SILENCE))
            .input_buffer_size(1 << 17)
            .user_agent(concat!("rs-rootfs/", env!("CARGO_PKG_VERSION")))
            .proxy(proxy)
            .build();
        let tls = if encrypted { Some(tls::config(authority, self.insecure)?) } else { None };
        let agent = connect::agent(config, tls);
        self.agents.lock().unwrap_or_else(PoisonError::into_inner).insert(key, agent.clone());
        Ok(agent)
    }

    /// Asks, and goes where it is sent: never from https to http, never with
    /// what is only another host's business.
    ///
    /// # Errors
    /// No answer.
    pub fn send(&self, request: &Request) -> Result<Answer, HttpError> {
        let first = address(&request.url)?;
        let mut uri = first.clone();
        for _ in 0..=REDIRECTS_MAX {
            let moved = (uri.scheme(), uri.authority()) != (first.scheme(), first.authority());
            let response = self.once(&uri, request, moved)?;
            let status = response.status().as_u16();
            let host = authority(&uri).to_owned();
            let sent_on = matches!(status, 301 | 302 | 303 | 307 | 308) && request.form.is_none();
            let to = response.headers().get("location").and_then(|to| to.to_str().ok());
            let Some(to) = to.filter(|_| sent_on) else {
                let (parts, body) = response.into_parts();
                return Ok(Answer { status, headers: parts.headers, moved, host, body });
            };
            let next = follow(&uri, to).ok_or(HttpError::Redirect { host: host.clone(), how: "to no http address" })?;
            if uri.scheme_str() == Some("https") && next.scheme_str() != Some("https") {
                return Err(HttpError::Redirect { host, how: "from https to http" });
            }
            uri = next;
        }
        Err(HttpError::Redirect { host: authority(&uri).to_owned(), how: "more than 10 times" })
    }

    fn once(&self, uri: &Uri, request: &Request, moved: bool) -> Result<Response<Body>, HttpError> {
        let agent = self.agent(uri)?;
        let broken = |error: ureq::Error| broken(authority(uri), &error);
        if let Some(form) = &request.form {
            let call = agent.post(uri.clone()).content_type("application/x-www-form-urlencoded");
            return call.send(form).map_err(broken);
        }
        // Nothing may be recoded on the way: digests are of the bytes as sent.
        let mut call = agent.get(uri.clone()).header("Accept-Encoding", "identity");
        if !request.accept.is_empty() {
            call = call.header("Accept", &request.accept);
        }
        if request.from > 0 {
            call = call.header("Range", format!("bytes={}-", request.from));
        }
        if let Some(authorization) = request.authorization.as_ref().filter(|_| !moved) {
            call = call.header("Authorization", authorization);
        }
        call.call().map_err(broken)
    }
}

/// The reason in the C library's words where it is the kernel's.
fn broken(host: &str, error: &ureq::Error) -> HttpError {
    let mut certificate = false;
    let passing = match error {
        ureq::Error::Io(error) => is_passing(error),
        ureq::Error::Timeout(_) => true,
        _ => false,
    };
    let why = match error {
        ureq::Error::Io(error) => {
            let tls = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
            certificate = matches!(tls, Some(rustls::Error::InvalidCertificate(_)));
            crate::reason(error)
        }
        ureq::Error::HostNotFound => "no such host".to_owned(),
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        other => other.to_string(),
    };
    HttpError::Broken { host: host.to_owned(), why, certificate, passing }
}

/// Whether the same may go better in a moment.
pub(crate) fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof, WouldBlock};
    let timeout = |inner: &ureq::Error| matches!(inner, ureq::Error::Timeout(_));
    matches!(error.kind(), ConnectionReset | ConnectionAborted | BrokenPipe | UnexpectedEof | TimedOut | WouldBlock)
        || error.get_ref().and_then(|inner| inner.downcast_ref()).is_some_and(timeout)
}

/// `HOST[:PORT]`, without a name and password before it.
pub(super) fn authority(uri: &Uri) -> &str {
    let whole = uri.authority().map_or("", |authority| authority.as_str());
    whole.rsplit_once('@').map_or(whole, |(_, host)| host)
}

fn address(url: &str) -> Result<Uri, HttpError> {
    let uri: Uri = url.parse().map_err(|_| HttpError::Address(url.to_owned()))?;
    match (uri.scheme_str(), uri.host()) {
        (Some("http" | "https"), Some(_)) => Ok(uri),
        _ => Err(HttpError::Address(url.to_owned())),
    }
}

/// The address that `to` means, seen from `from` (RFC 3986, section 5.2, as
/// far as servers use it).
fn follow(from: &Uri, to: &str) -> Option<Uri> {
    let scheme = from.scheme_str()?;
    let host = from.authority()?.as_str();
    let whole = if to.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme)) {
        to.to_owned()
    } else if let Some(rest) = to.strip_prefix("//") {
        format!("{scheme}://{rest}")
    } else if to.starts_with('/') {
        format!("{scheme}://{host}{to}")
    } else if to.starts_with('?') {
        format!("{scheme}://{host}{}{to}", from.path())
    } else {
        let folder = from.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{scheme}://{host}{folder}/{to}")
    };
    // A fragment is never sent.
    address(whole.split('#').next()?).ok()
}

/// Whether `text` can stand before `://`; an address may stand in a query.
fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

/// Whether `host` is this machine.
pub(crate) fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_redirects_lead() {
        let from: Uri = "https://h:5000/v2/a/blobs/x?q=1".parse().expect("an address");
        let to = |to: &str| follow(&from, to).map(|uri| uri.to_string());
        assert_eq!(to("/y?z=%2F#f").as_deref(), Some("https://h:5000/y?z=%2F"));
        assert_eq!(to("y").as_deref(), Some("https://h:5000/v2/a/blobs/y"));
        assert_eq!(to("//cdn/y").as_deref(), Some("https://cdn/y"));
        assert_eq!(to("http://cdn/y").as_deref(), Some("http://cdn/y"));
        assert_eq!(to("HTTP://cdn/y").as_deref(), Some("http://cdn/y"));
        assert_eq!(to("?x=1").as_deref(), Some("https://h:5000/v2/a/blobs/x?x=1"));
        assert_eq!(to("y?back=http://h/").as_deref(), Some("https://h:5000/v2/a/blobs/y?back=http://h/"));
        assert_eq!(to("file:///etc/passwd"), None);
    }

    #[test]
    fn this_machine() {
        assert!(is_loopback("127.1.2.3") && is_loopback("[::1]") && !is_loopback("128.0.0.1"));
    }
}
