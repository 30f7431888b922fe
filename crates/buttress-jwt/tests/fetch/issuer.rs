//! An issuer: a real https server that says what a test tells it to, and counts who asks.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use buttress_jwt::KeyUrl;
use buttress_tests::{Certificates, port};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::signer::Signer;

pub(crate) struct Issuer {
    port: u16,
    certificates: Certificates,
    shared: Arc<Shared>,
    server: Mutex<Option<JoinHandle<()>>>,
}

struct Shared {
    acceptor: TlsAcceptor,
    said: Mutex<Said>,
    asked: AtomicUsize,
    /// The first line of the last request.
    line: Mutex<String>,
}

/// What is answered, byte for byte, whether the connection is closed behind it, and what is waited for before.
#[derive(Clone, Default)]
struct Said {
    bytes: Vec<u8>,
    ends: bool,
    after: Option<Arc<Notify>>,
}

// === impl Issuer ===

impl Issuer {
    /// One that publishes the keys of these signers, and nobody can reach.
    pub(crate) fn away(signers: &[&Signer]) -> Self {
        let certificates = Certificates::new();
        let acceptor = acceptor(&certificates);
        let (said, line) = (Mutex::default(), Mutex::default());
        let shared = Arc::new(Shared { acceptor, said, asked: AtomicUsize::new(0), line });
        let issuer = Self { port: port::free(), certificates, shared, server: Mutex::new(None) };
        issuer.publish(signers);
        issuer
    }

    pub(crate) async fn start(signers: &[&Signer]) -> Self {
        let issuer = Self::away(signers);
        issuer.up().await;
        issuer
    }

    /// Its keys, for a client that trusts it. The query is nobody's business.
    pub(crate) fn url(&self) -> KeyUrl {
        self.url_for_strangers().certificate_authority(self.authority()).unwrap()
    }

    /// Who vouches for it, in PEM.
    pub(crate) fn authority(&self) -> Vec<u8> {
        std::fs::read(self.certificates.ca()).unwrap()
    }

    pub(crate) fn url_for_strangers(&self) -> KeyUrl {
        KeyUrl::new(&format!("https://localhost:{}/jwks.json?policy=a", self.port)).unwrap()
    }

    pub(crate) async fn up(&self) {
        let listener = TcpListener::bind(("127.0.0.1", self.port)).await.unwrap();
        let shared = Arc::clone(&self.shared);
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(Arc::clone(&shared).serve(stream));
            }
        });
        *self.server.lock().unwrap() = Some(server);
    }

    pub(crate) async fn down(&self) {
        let server = self.server.lock().unwrap().take().unwrap();
        server.abort();
        assert!(server.await.unwrap_err().is_cancelled());
    }

    pub(crate) fn publish(&self, signers: &[&Signer]) {
        self.publish_jwks(&set(signers.iter().map(|signer| signer.jwk())), "");
    }

    /// This text as a key set, with further fields in the head.
    pub(crate) fn publish_jwks(&self, json: &str, fields: &str) {
        let length = json.len();
        self.say(format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n{fields}\r\n{json}"));
    }

    pub(crate) fn say(&self, response: impl Into<Vec<u8>>) {
        *self.shared.said.lock().unwrap() = Said { bytes: response.into(), ends: true, after: None };
    }

    /// Who asks from now on is answered with what is published now, but not before it is allowed.
    pub(crate) fn hesitate(&self) -> Arc<Notify> {
        Arc::clone(self.shared.said.lock().unwrap().after.insert(Arc::default()))
    }

    /// Says this, and is silent.
    pub(crate) fn begin(&self, response: impl Into<Vec<u8>>) {
        *self.shared.said.lock().unwrap() = Said { bytes: response.into(), ends: false, after: None };
    }

    /// Accepts, and answers nothing.
    pub(crate) fn hang(&self) {
        self.begin("");
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.shared.asked.load(Ordering::SeqCst)
    }

    pub(crate) fn last_line(&self) -> String {
        self.shared.line.lock().unwrap().clone()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        if let Some(server) = self.server.lock().unwrap().take() {
            server.abort();
        }
    }
}

// === impl Shared ===

impl Shared {
    async fn serve(self: Arc<Self>, stream: TcpStream) -> Option<()> {
        let mut stream = self.acceptor.accept(stream).await.ok()?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.ok()?);
        }
        *self.line.lock().unwrap() = String::from_utf8_lossy(&head).lines().next()?.to_owned();
        self.asked.fetch_add(1, Ordering::SeqCst);
        let said = self.said.lock().unwrap().clone();
        if let Some(allowed) = said.after {
            allowed.notified().await;
        }
        stream.write_all(&said.bytes).await.ok()?;
        stream.flush().await.ok()?;
        if !said.ends {
            std::future::pending::<()>().await;
        }
        stream.shutdown().await.ok()
    }
}

/// A key set of these keys.
pub(crate) fn set(keys: impl IntoIterator<Item = String>) -> String {
    format!(r#"{{"keys":[{}]}}"#, keys.into_iter().collect::<Vec<_>>().join(","))
}

fn acceptor(certificates: &Certificates) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_file(certificates.cert()).unwrap();
    let key = PrivateKeyDer::from_pem_file(certificates.key()).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    TlsAcceptor::from(Arc::new(config))
}
