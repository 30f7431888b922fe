//! TLS to Redis: our own `rustls` configuration, on *ring*.
//!
//! The client's own would panic when a program links two crypto providers and chose none, and would refuse to work for a
//! single unreadable root certificate on the machine.

use std::sync::Arc;

use fred::types::config::TlsConnector;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject as _},
};

use crate::ConfigError;

/// Whom to trust.
#[derive(Clone, Debug, Default)]
pub(crate) enum Trust {
    /// The machine's root certificates: what its owner installed, private authorities included.
    #[default]
    Machine,
    /// These certificates only, in PEM.
    Only(Vec<u8>),
    /// As this configuration says.
    Custom(Arc<ClientConfig>),
}

pub(crate) fn connector(trust: &Trust) -> Result<TlsConnector, ConfigError> {
    let config = match trust {
        Trust::Machine => client(machine_roots()?)?,
        Trust::Only(pem) => client(roots(pem)?)?,
        Trust::Custom(config) => config.as_ref().clone(),
    };
    Ok(TlsConnector::from(config))
}

fn client(roots: RootCertStore) -> Result<ClientConfig, ConfigError> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| ConfigError::new("tls", error.to_string()))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}

fn machine_roots() -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    // Machines hold certificates that do not parse; the others serve.
    let (added, _ignored) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if added == 0 { Err(ConfigError::new("tls", "no root certificates on this machine")) } else { Ok(roots) }
}

fn roots(pem: &[u8]) -> Result<RootCertStore, ConfigError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let added = certificate
            .map_err(|error| error.to_string())
            .and_then(|der| roots.add(der).map_err(|error| error.to_string()));
        added.map_err(|problem| ConfigError::new("certificate authority", problem))?;
    }
    if roots.is_empty() { Err(ConfigError::new("certificate authority", "no certificate in PEM")) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pem: &str, problem: &str) {
        let error = connector(&Trust::Only(pem.into())).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }

    #[test]
    fn an_authority_that_cannot_be_read_is_named() {
        check("", "no certificate in PEM");
        check("not a certificate", "no certificate in PEM");
        check("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "certificate authority");
    }
}
