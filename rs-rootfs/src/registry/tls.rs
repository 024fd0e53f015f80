//! Whom we believe: the registry's own certificates, then the system's.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

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

type Certificate = CertificateDer<'static>;

/// A certificate file that is there, but of no use.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {}: {why}", path.display())]
pub struct TlsError {
    path: PathBuf,
    why: String,
}

/// How to speak TLS with `host` (with its port, if the name had one).
pub(super) fn config(host: &str, insecure: bool) -> Result<Arc<ClientConfig>, TlsError> {
    let folder = Path::new(CERTS_D).join(host);
    let mut files: Vec<PathBuf> =
        fs::read_dir(&folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.sort();
    let ending = |end: &str| files.iter().filter(move |file| file.extension().is_some_and(|own| own == end)).collect();
    let (authorities, own): (Vec<&PathBuf>, Vec<&PathBuf>) = (ending("crt"), ending("cert"));
    let mut roots = system().clone();
    for file in authorities {
        roots.extend(certificates(file)?);
    }
    let bad = |path: &Path, error: rustls::Error| TlsError { path: path.to_owned(), why: error.to_string() };
    let provider = Arc::new(ring::default_provider());
    let trust = Trust::new(roots, &provider, insecure);
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| bad(&folder, error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(trust));
    let Some(file) = own.last() else { return Ok(Arc::new(builder.with_no_client_auth())) };
    let key = file.with_extension("key");
    let key = PrivateKeyDer::from_pem_slice(&read(&key)?)
        .map_err(|error| TlsError { path: key.clone(), why: error.to_string() })?;
    let config = builder.with_client_auth_cert(certificates(file)?, key).map_err(|error| bad(file, error))?;
    Ok(Arc::new(config))
}

/// The roots of this machine: `SSL_CERT_FILE`, else the first bundle there is.
fn system() -> &'static Vec<Certificate> {
    static ROOTS: OnceLock<Vec<Certificate>> = OnceLock::new();
    ROOTS.get_or_init(|| {
        let own = std::env::var_os("SSL_CERT_FILE").filter(|file| !file.is_empty()).map(PathBuf::from);
        let files = own.map_or_else(|| SYSTEM.iter().map(PathBuf::from).collect(), |file| vec![file]);
        files.iter().find_map(|file| certificates(file).ok()).unwrap_or_default()
    })
}

fn read(path: &Path) -> Result<Vec<u8>, TlsError> {
    fs::read(path).map_err(|error| TlsError { path: path.to_owned(), why: crate::reason(&error) })
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, TlsError> {
    let found: Vec<_> = CertificateDer::pem_slice_iter(&read(path)?).filter_map(Result::ok).collect();
    if found.is_empty() {
        return Err(TlsError { path: path.to_owned(), why: "no certificate in it".to_owned() });
    }
    Ok(found)
}

/// Checks the other side's certificate.
#[derive(Debug)]
struct Trust {
    roots: Vec<Certificate>,
    /// `None`: there are no roots at all.
    chains: Option<Arc<WebPkiServerVerifier>>,
    provider: Arc<CryptoProvider>,
    insecure: bool,
}

impl Trust {
    fn new(roots: Vec<Certificate>, provider: &Arc<CryptoProvider>, insecure: bool) -> Self {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots.iter().cloned());
        let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider)).build().ok();
        Self { roots, chains, provider: Arc::clone(provider), insecure }
    }
}

impl ServerCertVerifier for Trust {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        between: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.insecure {
            return Ok(ServerCertVerified::assertion());
        }
        let unknown = || rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer);
        let chains = self.chains.as_ref().ok_or_else(unknown)?;
        match chains.verify_server_cert(certificate, between, name, ocsp, now) {
            // A registry that signed its own certificate, which is among the
            // roots: webpki wants to see no root where a server's belongs.
            // It has looked at its dates by then.
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(_) | CertificateError::UnknownIssuer))
                if self.roots.iter().any(|root| root.as_ref() == certificate.as_ref()) =>
            {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
                Ok(ServerCertVerified::assertion())
            }
            // The words of another library's insides are no help.
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(_))) => Err(unknown()),
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signature, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
