//! TLS for the listener, by rustls with ring.

use std::path::Path;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::config::Problem;

/// An acceptor for this certificate, which offers HTTP/2 and HTTP/1.1.
pub(crate) fn acceptor(cert: &Path, key: &Path) -> Result<TlsAcceptor, Problem> {
    let in_cert = |error: &dyn std::fmt::Display| Problem::new("--tls-cert", cert.display(), error);
    let in_key = |error: &dyn std::fmt::Display| Problem::new("--tls-key", key.display(), error);
    let chain = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| in_cert(&error))?;
    if chain.is_empty() {
        return Err(in_cert(&"no certificate in it"));
    }
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| in_key(&error))?;
    let mut config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| in_cert(&error))?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(|error| in_key(&error))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
