//! A certificate authority of one's own, and a server certificate for `localhost` and `127.0.0.1`.
//!
//! ```
//! let certs = buttress_tests::Certificates::new();
//! assert!(std::fs::read_to_string(certs.ca()).unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
//! ```

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;

/// PEM files in a directory that goes with this value.
#[derive(Debug)]
pub struct Certificates {
    dir: TempDir,
    ca_der: Vec<u8>,
}

// === impl Certificates ===

impl Certificates {
    /// A fresh authority and a fresh server certificate signed by it.
    ///
    /// # Panics
    /// When the files cannot be written.
    #[must_use]
    pub fn new() -> Self {
        let key = || KeyPair::generate().expect("a key pair");
        let ca = CertifiedIssuer::self_signed(ca_params(), key()).expect("a self-signed authority");
        let server_key = key();
        let server = CertificateParams::new(["localhost".to_owned(), "127.0.0.1".to_owned()])
            .and_then(|params| params.signed_by(&server_key, &ca))
            .expect("a certificate for localhost");

        let dir = TempDir::with_prefix("buttress-certs-").expect("a temporary directory");
        let files = [("ca.pem", ca.pem()), ("cert.pem", server.pem()), ("key.pem", server_key.serialize_pem())];
        for (name, pem) in files {
            std::fs::write(dir.path().join(name), pem).expect("our own directory is writable");
        }
        Self { dir, ca_der: ca.der().to_vec() }
    }

    /// The authority's certificate, PEM.
    #[must_use]
    pub fn ca(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// The authority's certificate, DER: what a client adds to its roots.
    #[must_use]
    pub fn ca_der(&self) -> &[u8] {
        &self.ca_der
    }

    /// The server's certificate, PEM.
    #[must_use]
    pub fn cert(&self) -> PathBuf {
        self.path("cert.pem")
    }

    /// The server's private key, PEM.
    #[must_use]
    pub fn key(&self) -> PathBuf {
        self.path("key.pem")
    }

    fn path(&self, name: &str) -> PathBuf {
        let dir: &Path = self.dir.path();
        dir.join(name)
    }
}

impl Default for Certificates {
    fn default() -> Self {
        Self::new()
    }
}

fn ca_params() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params.distinguished_name.push(DnType::CommonName, "buttress test authority");
    params
}
