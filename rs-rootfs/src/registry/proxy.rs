//! The proxy that the environment names. One that cannot be used is an error:
//! who names a proxy does not want to be seen without it.

use super::http::{authority, is_loopback};
use ureq::http::Uri;
use ureq::{Proxy, ProxyProtocol};

/// A variable that names no proxy we can use. Its value may hold a password.
#[derive(Debug, thiserror::Error)]
#[error("cannot use the proxy in {0}: it is no http address")]
pub struct ProxyError(String);

/// The first of `name` and its upper-case form that says something.
fn variable(name: &str) -> Option<(String, String)> {
    let value = |name: String| {
        let value = std::env::var_os(&name).filter(|value| !value.is_empty())?;
        Some((name, value.to_string_lossy().into_owned()))
    };
    value(name.to_owned()).or_else(|| value(name.to_ascii_uppercase()))
}

/// The proxy on the way to `uri`.
pub(super) fn proxy(uri: &Uri) -> Result<Option<Proxy>, ProxyError> {
    let host = uri.host().unwrap_or_default().trim_matches(['[', ']']);
    if is_loopback(host) || variable("no_proxy").is_some_and(|(_, list)| passed_over(&list, host, uri.port_u16())) {
        return Ok(None);
    }
    let name = if uri.scheme_str() == Some("https") { "https_proxy" } else { "http_proxy" };
    variable(name).map(|(name, value)| usable(value.trim()).ok_or(ProxyError(name))).transpose()
}

/// The proxy that `value` means, if it is one by http.
fn usable(value: &str) -> Option<Proxy> {
    let value = if value.contains("://") { value } else { &format!("http://{value}") };
    // The list of exceptions is ours to read: the client has its own idea.
    let proxy = Proxy::new(value).ok()?;
    let place = authority(proxy.uri());
    // The client takes the default for a port that is no number.
    let port = place == proxy.host() || proxy.uri().port_u16().is_some();
    let by_http = matches!(proxy.protocol(), ProxyProtocol::Http | ProxyProtocol::Https);
    let good = by_http && port && !place.starts_with(':');
    good.then_some(proxy)
}

/// Whether `NO_PROXY` names `host`: `*`, an address, a domain and all below
/// it, each with a port or without.
fn passed_over(list: &str, host: &str, port: Option<u16>) -> bool {
    list.split([',', ' ']).map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| {
        if entry == "*" || entry.trim_matches(['[', ']']) == host {
            return true;
        }
        let (name, wanted) = match entry.rsplit_once(':') {
            Some((name, number)) if !name.contains(':') => (name, number.parse::<u16>().ok()),
            _ => (entry, None),
        };
        if wanted.is_some() && wanted != port {
            return false;
        }
        let name = name.trim_start_matches("*.").trim_start_matches('.').to_ascii_lowercase();
        let host = host.to_ascii_lowercase();
        host == name || host.strip_suffix(&name).is_some_and(|rest| rest.ends_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy() {
        assert!(passed_over("a, .example.org", "r.example.org", None));
        assert!(passed_over("example.org:5000", "r.example.org", Some(5000)));
        assert!(!passed_over("example.org:5000", "r.example.org", Some(443)));
        assert!(!passed_over("ample.org", "example.org", None));
        assert!(passed_over("*", "x", None) && passed_over("192.0.2.1", "192.0.2.1", None));
    }

    #[test]
    fn proxies() {
        for good in ["h", "h:3128", "http://user:pass@h:3128/", "[::1]:3128", "https://h"] {
            assert!(usable(good).is_some(), "{good}");
        }
        for bad in ["socks5://h:1080", "ftp://h", "http://", "http://[", ":3128", "h:99999", "h:x", "a b", "\u{fffd}"] {
            assert!(usable(bad).is_none(), "{bad}");
        }
    }
}
