//! Whom we believe: the registry's own certificates, then the system's.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem};

/// Where certificates of single registries are.
const CERTS_D: &str = "/etc/docker/certs.d";
/// Where distributions keep the roots.
const SYSTEM: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// A certificate file that is there, but of no use.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {}: {why}", path.display())]
pub struct TlsError {
    path: PathBuf,
    why: String,
}

/// How to speak TLS with `host` (with its port, if the name had one).
pub(crate) fn config(host: &str, insecure: bool) -> Result<TlsConfig, TlsError> {
    let mut roots = system().clone();
    let folder = Path::new(CERTS_D).join(host);
    let mut files: Vec<PathBuf> =
        fs::read_dir(&folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|end| end == "crt")) {
        roots.extend(certificates(file)?);
    }
    let mut client = None;
    for file in files.iter().filter(|file| file.extension().is_some_and(|end| end == "cert")) {
        let key = file.with_extension("key");
        client = Some(ClientCert::new_with_certs(&certificates(file)?, private_key(&key)?));
    }
    Ok(TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::from(roots))
        .client_cert(client)
        .disable_verification(insecure)
        .build())
}

/// The roots of this machine: `SSL_CERT_FILE`, else the first bundle there is.
fn system() -> &'static Vec<Certificate<'static>> {
    static ROOTS: OnceLock<Vec<Certificate<'static>>> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let own = std::env::var_os("SSL_CERT_FILE").filter(|file| !file.is_empty()).map(PathBuf::from);
        let files = own.map_or_else(|| SYSTEM.iter().map(PathBuf::from).collect(), |file| vec![file]);
        files.iter().find_map(|file| certificates(file).ok()).unwrap_or_default()
    })
}

fn items(path: &Path) -> Result<Vec<PemItem<'static>>, TlsError> {
    let bad = |why: String| TlsError { path: path.to_owned(), why };
    let text = fs::read(path).map_err(|error| bad(crate::reason(&error)))?;
    Ok(parse_pem(&text).filter_map(Result::ok).collect())
}

fn certificates(path: &Path) -> Result<Vec<Certificate<'static>>, TlsError> {
    let all = items(path)?.into_iter();
    let found: Vec<_> =
        all.filter_map(|item| if let PemItem::Certificate(it) = item { Some(it) } else { None }).collect();
    if found.is_empty() {
        return Err(TlsError { path: path.to_owned(), why: "no certificate in it".to_owned() });
    }
    Ok(found)
}

fn private_key(path: &Path) -> Result<PrivateKey<'static>, TlsError> {
    let found =
        items(path)?.into_iter().find_map(|item| if let PemItem::PrivateKey(it) = item { Some(it) } else { None });
    found.ok_or_else(|| TlsError { path: path.to_owned(), why: "no private key in it".to_owned() })
}
