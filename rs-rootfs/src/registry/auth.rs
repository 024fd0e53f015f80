//! What a registry asks of us before it answers (RFC 9110, section 11;
//! distribution's token authentication).

use crate::document;
use serde::Deserialize;
use serde_json::Value;
use std::fmt::Write as _;
use std::time::Duration;

/// One challenge of a `WWW-Authenticate` header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Challenge {
    /// A name and a password.
    Basic,
    /// A token from somebody else.
    Bearer {
        /// Who gives it: an address.
        realm: String,
        /// What for.
        service: String,
        /// What it must allow.
        scope: String,
    },
}

/// Reads the challenges of one header, in order; schemes that we do not know
/// are passed over.
pub fn challenges(header: &str) -> Vec<Challenge> {
    let mut found = Vec::new();
    let mut rest = header.trim_start();
    while !rest.is_empty() {
        let end = rest.find([' ', ',', '=']).unwrap_or(rest.len());
        let (scheme, after) = rest.split_at(end);
        let (parameters, after) = parameters(after);
        if scheme.eq_ignore_ascii_case("basic") {
            found.push(Challenge::Basic);
        } else if scheme.eq_ignore_ascii_case("bearer") {
            let get = |name: &str| {
                let found = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.clone()).unwrap_or_default()
            };
            found.push(Challenge::Bearer { realm: get("realm"), service: get("service"), scope: get("scope") });
        }
        // Always further on, whatever stands there.
        rest = after.trim_start_matches([' ', ',', '\t']);
        if scheme.is_empty() && parameters.is_empty() {
            rest = rest.get(1..).unwrap_or_default();
        }
    }
    found
}

/// `key=value, key="quoted \"value\""`, up to the next scheme.
fn parameters(text: &str) -> (Vec<(String, String)>, &str) {
    let mut found = Vec::new();
    let mut rest = text;
    loop {
        let begin = rest.trim_start_matches([' ', ',', '\t']);
        let end =
            begin.find(|c: char| !(c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c))).unwrap_or(begin.len());
        let Some(value) = begin[end..].trim_start().strip_prefix('=').filter(|_| end > 0) else {
            return (found, rest);
        };
        let (value, after) = if let Some(quoted) = value.trim_start().strip_prefix('"') {
            unquote(quoted)
        } else {
            let end = value.find([',', ' ']).unwrap_or(value.len());
            (value[..end].to_owned(), &value[end..])
        };
        found.push((begin[..end].to_owned(), value));
        rest = after;
    }
}

fn unquote(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (value, &text[at + 1..]),
            '\\' => value.extend(chars.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

/// What a token server answers.
#[derive(Deserialize)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    /// A number of seconds, or a text that is one.
    expires_in: Option<Value>,
}

/// The token and for how long it serves; no less than a minute, as docker
/// takes it, for clients that know no shorter time.
pub(crate) fn token(bytes: &[u8]) -> Option<(String, Duration)> {
    let answer: TokenAnswer = document::json(bytes).ok()?;
    let token = answer.token.filter(|t| !t.is_empty()).or(answer.access_token).filter(|t| !t.is_empty())?;
    // It becomes a header.
    if !token.bytes().all(|b| b.is_ascii_graphic()) {
        return None;
    }
    let seconds = answer.expires_in.and_then(|it| it.as_f64().or_else(|| it.as_str()?.trim().parse().ok()));
    let life = seconds.and_then(|it| Duration::try_from_secs_f64(it).ok()).unwrap_or_default();
    Some((token, life.max(Duration::from_mins(1))))
}

/// Of a registry's explanation no more than a few lines are shown.
const TEXT_MAX: usize = 1000;

#[derive(Deserialize)]
struct Errors {
    errors: Vec<OneError>,
}

#[derive(Deserialize)]
struct OneError {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// `CODE: message` of each error in the body of a refusal; empty if it says
/// nothing in the registry's way.
pub(crate) fn error_text(body: &[u8]) -> String {
    let Ok(errors) = document::json::<Errors>(body) else { return String::new() };
    let texts: Vec<String> = errors
        .errors
        .into_iter()
        .take(5)
        .map(|error| match (error.code.as_str(), error.message.as_str()) {
            (code, "") => code.to_owned(),
            ("", message) => message.to_owned(),
            (code, message) => format!("{code}: {message}"),
        })
        .collect();
    texts.join("; ").chars().take(TEXT_MAX).collect()
}

/// `text` as one value of a query or a form.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: &str, scope: &str) -> Challenge {
        Challenge::Bearer { realm: realm.into(), service: service.into(), scope: scope.into() }
    }

    #[test]
    fn headers() {
        let docker = r#"Bearer realm="https://auth/token",service="r",scope="repository:a/b:pull,push""#;
        assert_eq!(challenges(docker), [bearer("https://auth/token", "r", "repository:a/b:pull,push")]);
        let odd = r#"Negotiate, Basic realm="x, y", bearer scope=s , service = "q\"r", realm="R""#;
        assert_eq!(challenges(odd), [Challenge::Basic, bearer("R", "q\"r", "s")]);
        assert_eq!(challenges("Basic"), [Challenge::Basic]);
        for nonsense in ["", ",", "=", "\"", "= = =", "Bearer realm=\"", "\u{e9}=\u{e9}"] {
            let _ = challenges(nonsense);
        }
    }

    #[test]
    fn answers() {
        assert_eq!(token(br#"{"access_token":"t","expires_in":300}"#), Some(("t".into(), Duration::from_mins(5))));
        assert_eq!(token(br#"{"token":"t"}"#), Some(("t".into(), Duration::from_mins(1))));
        for (life, seconds) in
            [("300.5", 300.5), ("\"300\"", 300.0), ("9e99", 60.0), ("-1", 60.0), ("1", 60.0), ("\"soon\"", 60.0)]
        {
            let text = format!(r#"{{"token":"t","expires_in":{life}}}"#);
            assert_eq!(token(text.as_bytes()), Some(("t".into(), Duration::from_secs_f64(seconds))), "{life}");
        }
        assert_eq!(token(br#"{"token":"a\r\nX: y"}"#), None);
        assert_eq!(token(b"{}"), None);
        let body = br#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown","detail":{}}]}"#;
        assert_eq!(error_text(body), "MANIFEST_UNKNOWN: manifest unknown");
        assert_eq!(error_text(b"<html>"), "");
        let long = format!(r#"{{"errors":[{{"code":"{}"}}]}}"#, "\u{e9}".repeat(5000));
        assert_eq!(error_text(long.as_bytes()).chars().count(), TEXT_MAX);
        assert_eq!(encoded("repository:a/b:pull"), "repository%3Aa%2Fb%3Apull");
    }

    /// One that is over is not sent, so that the registry asks for another.
    #[test]
    fn a_token_that_ran_out_is_renewed() {
        use super::super::{Authorization, Repository};
        use std::io::{Read, Write};
        use std::time::Instant;
        let server = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let host = server.local_addr().expect("bound").to_string();
        let repository = Repository::new("http", &host, "", "a", false).expect("a repository");
        let old = Authorization { header: "Bearer old".to_owned(), until: Some(Instant::now()) };
        *repository.authorization.lock().expect("no panic") = Some(old);
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = server.accept().expect("asked");
            let _ = stream.read(&mut [0; 4096]);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"token\":\"new\"}").expect("it listens");
        });
        assert!(repository.current().is_none());
        let asked = bearer(&format!("http://{host}/token"), "", "");
        assert!(repository.authorize(None, &[asked]).expect("a token"));
        assert_eq!(repository.current().map(|it| it.header), Some("Bearer new".to_owned()));
        answering.join().expect("no panic");
    }
}
