//! TLS for the listener, and for an upstream with an authority of its own; by rustls with ring.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::config::Problem;

/// An acceptor for this certificate, which offers HTTP/2 and HTTP/1.1.
pub(crate) fn acceptor(cert: &Path, key: &Path) -> Result<TlsAcceptor, Problem> {
    let in_cert = |error: &dyn std::fmt::Display| Problem::new("--tls-cert", cert.display(), error);
    let in_key = |error: &dyn std::fmt::Display| Problem::new("--tls-key", key.display(), error);
    let chain = certificates("--tls-cert", cert)?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| in_key(&error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| in_cert(&error))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| in_key(&error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}

/// For an upstream whose certificate is signed by one of these, and by nobody else.
pub(crate) fn trusting(ca: &Path) -> Result<ClientConfig, Problem> {
    let in_ca = |error: rustls::Error| Problem::new("upstream_ca", ca.display(), error);
    let mut roots = RootCertStore::empty();
    for certificate in certificates("upstream_ca", ca)? {
        roots.add(certificate).map_err(in_ca)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(in_ca)?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn certificates(place: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>, Problem> {
    let chain = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| Problem::new(place, path.display(), error))?;
    match chain.is_empty() {
        true => Err(Problem::new(place, path.display(), "no certificate in it")),
        false => Ok(chain),
    }
}
