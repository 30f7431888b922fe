//! Signs and verifies with each kind of key. With the feature `both`, `jsonwebtoken`'s own `decode` would panic here.

use buttress_core::Clock;
use buttress_jwt::{Algorithm, Issuer, KeyError, Login, Revocations, SigningKey, Verifier};

const RSA: &str = include_str!("../../../benches/keys/rsa.pem");
const ES256: &str = include_str!("../../../benches/keys/es256.pem");
const ED25519: &str = include_str!("../../../benches/keys/ed25519.pem");

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let keys: [Result<SigningKey, KeyError>; 5] = [
        Ok(SigningKey::random()),
        SigningKey::pem(Algorithm::RS256, RSA),
        SigningKey::pem(Algorithm::PS256, RSA),
        SigningKey::pem(Algorithm::ES256, ES256),
        SigningKey::pem(Algorithm::EdDSA, ED25519),
    ];
    for key in keys {
        let key = key?;
        let algorithm = key.algorithm();
        let issuer = Issuer::new("https://shop.example", "shop", key, Revocations::embedded())?;
        let verifier = Verifier::new([issuer.trusted()])?;
        let tokens = issuer.login(Login::new("ada")).await?;
        verifier.verify(tokens.access(), Clock::system().now())?;
        println!("{algorithm}: signed and verified");
    }
    std::panic::set_hook(Box::new(|_| {})); // it is expected
    let theirs = std::panic::catch_unwind(|| {
        let key = jsonwebtoken::EncodingKey::from_secret(&[7; 32]);
        jsonwebtoken::encode(&jsonwebtoken::Header::default(), &"claims", &key).is_ok()
    });
    println!("jsonwebtoken by itself: {}", if theirs.is_ok() { "works" } else { "panics" });
    // With both providers it does: that is what nothing here may depend on.
    if theirs.is_ok() == cfg!(feature = "both") {
        return Err("jsonwebtoken has changed: look whether its provider is still to be named".into());
    }
    Ok(())
}
