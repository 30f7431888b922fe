//! Forged tokens, each believed by somebody once: refused with its fault, over HTTP and as a gRPC status.

use buttress::jwt::{Algorithm, Fault, Key, Keys, TrustedIssuer, Verifier};
use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::{Algorithm as Jws, EncodingKey};

use crate::bed::{AUDIENCE, ISSUER, answered, now, seconds, secret, sign, sign_with, signed, verifier};

const RSA: &str = include_str!("../../benches/keys/rsa.pem");
const RSA_PUBLIC: &str = include_str!("../../benches/keys/rsa.pub.pem");
const ES256: &str = include_str!("../../benches/keys/es256.pem");
const ES256_PUBLIC: &str = include_str!("../../benches/keys/es256.pub.pem");
const OTHER: &str = "https://other.example";

/// One who signs with secrets, and another with two public keys.
fn two_issuers() -> Verifier {
    let rsa = Key::pem(Algorithm::RS256, RSA_PUBLIC).expect("a key").named("rsa");
    let ec = Key::pem(Algorithm::ES256, ES256_PUBLIC).expect("a key").named("ec");
    let other = TrustedIssuer::new(OTHER, AUDIENCE, [Algorithm::RS256, Algorithm::ES256], Keys::new([rsa, ec]));
    Verifier::new([crate::bed::trusted(), other]).expect("a verifier")
}

fn rsa() -> EncodingKey {
    EncodingKey::from_rsa_pem(RSA.as_bytes()).expect("a key")
}

fn ec() -> EncodingKey {
    EncodingKey::from_ec_pem(ES256.as_bytes()).expect("a key")
}

fn payload(issuer: &str) -> String {
    format!(r#"{{"iss":"{issuer}","aud":"{AUDIENCE}","sub":"ada","exp":{}}}"#, seconds() + 300)
}

fn hs(key: &[u8], header: &str, issuer: &str) -> String {
    sign_with(&EncodingKey::from_secret(key), Jws::HS256, header, &payload(issuer))
}

fn part(text: &str) -> String {
    BASE64URL_NOPAD.encode(text.as_bytes())
}

/// The same header and payload with another signature.
fn resigned(token: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> String {
    let (signed, signature) = token.rsplit_once('.').expect("three parts");
    let signature = change(BASE64URL_NOPAD.decode(signature.as_bytes()).expect("base64url"));
    format!("{signed}.{}", BASE64URL_NOPAD.encode(&signature))
}

/// Refused for this, by itself and by the layer: 401 and `UNAUTHENTICATED`, or 400 and `INVALID_ARGUMENT` for what is no token at all.
#[track_caller]
fn refused(verifier: &Verifier, what: &str, token: &str, fault: Fault) {
    assert_eq!(verifier.verify(token, now()).err(), Some(fault), "{what}");
    let is_token = token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte));
    let expected = if is_token { (401, "16") } else { (400, "3") };
    if http::HeaderValue::from_str(token).is_ok() {
        assert_eq!(answered(verifier, token), (expected.0, expected.1.to_owned()), "{what}");
    }
}

#[test]
fn what_is_forged_without_a_key_is_refused() {
    let verifier = two_issuers();
    let claims = payload(ISSUER);
    let unsigned = |header: &str, signature: &str| format!("{}.{}.{signature}", part(header), part(&claims));
    for alg in ["none", "None", "NONE", "nOnE", "null", ""] {
        let header = format!(r#"{{"alg":"{alg}"}}"#);
        refused(&verifier, alg, &unsigned(&header, ""), Fault::Algorithm);
        refused(&verifier, alg, &unsigned(&header, "AA"), Fault::Algorithm);
    }
    let good = signed("");
    let (head, rest) = good.split_once('.').expect("three parts");
    let (body, signature) = rest.split_once('.').expect("three parts");
    let nested = format!("{{\"a\":{}{}}}", "[".repeat(1500), "]".repeat(1500));
    for (what, token, fault) in [
        ("no signature", format!("{head}.{body}."), Fault::Signature),
        ("another signature", format!("{head}.{body}.{}", BASE64URL_NOPAD.encode(&[0; 32])), Fault::Signature),
        (
            "a shorter signature",
            resigned(&good, |mut signature| {
                signature.pop();
                signature
            }),
            Fault::Signature,
        ),
        (
            "a longer signature",
            resigned(&good, |mut signature| {
                signature.push(0);
                signature
            }),
            Fault::Signature,
        ),
        ("padding", format!("{good}="), Fault::NotBase64),
        (
            "another claim",
            format!("{head}.{}.{signature}", part(&payload(ISSUER).replace("ada", "eve"))),
            Fault::Signature,
        ),
        ("two parts", format!("{head}.{body}"), Fault::NotCompact),
        ("encrypted", format!("{head}.{body}.{signature}.AA.AA"), Fault::Encrypted),
        (
            "JSON serialisation",
            format!(r#"{{"payload":"{body}","protected":"{head}","signature":"{signature}"}}"#),
            Fault::NotCompact,
        ),
        ("a mebibyte", format!("{head}.{}.{signature}", "A".repeat(1 << 20)), Fault::TooLong),
        ("nested deeply", format!("{head}.{}.{signature}", part(&nested)), Fault::NotJson),
        ("a list", format!("{head}.{}.{signature}", part("[]")), Fault::NotJson),
    ] {
        refused(&verifier, what, &token, fault);
    }
}

#[test]
fn what_is_signed_but_not_as_it_should_be_is_refused() {
    let verifier = two_issuers();
    let claims = payload(ISSUER);
    let twice = claims.replace("\"sub\"", "\"sub\":\"eve\",\"sub\"");
    let long = format!(r#"{{"alg":"HS256","kid":"{}"}}"#, "k".repeat(4096));
    for (what, header, claims, fault) in [
        ("an extension", r#"{"alg":"HS256","crit":["x"],"x":1}"#, claims.as_str(), Fault::Critical),
        ("an empty list of extensions", r#"{"alg":"HS256","crit":[]}"#, &claims, Fault::Critical),
        ("a payload that is not encoded", r#"{"alg":"HS256","crit":["b64"],"b64":false}"#, &claims, Fault::Critical),
        ("an algorithm twice", r#"{"alg":"none","alg":"HS256"}"#, &claims, Fault::Duplicate),
        ("a claim twice", r#"{"alg":"HS256"}"#, &twice, Fault::Duplicate),
        ("a refresh token", r#"{"alg":"HS256","typ":"rt+jwt"}"#, &claims, Fault::Kind),
        ("a logout token", r#"{"alg":"HS256","typ":"logout+jwt"}"#, &claims, Fault::Kind),
        ("a proof of possession", r#"{"alg":"HS256","typ":"dpop+jwt"}"#, &claims, Fault::Kind),
        ("a name of a key without end", &long, &claims, Fault::Key),
    ] {
        refused(&verifier, what, &sign(header, claims), fault);
    }
    let header = r#"{"alg":"HS256"}"#;
    let of = |claims: &str| sign(header, &payload(ISSUER).replace("\"sub\":\"ada\"", claims));
    for (what, claims, fault) in [
        ("an id token", r#""at_hash":"x""#, Fault::Kind),
        ("flask's refresh token", r#""type":"refresh""#, Fault::Kind),
        ("Keycloak's refresh token", r#""typ":"Refresh""#, Fault::Kind),
        ("Cognito's id token", r#""token_use":"id""#, Fault::Kind),
        ("bound to a key", r#""cnf":{"jkt":"x"}"#, Fault::Bound),
        ("not yet", r#""nbf":9999999999"#, Fault::Early),
        ("unborn", r#""iat":9999999999"#, Fault::Unborn),
        ("of a year", r#""iat":1"#, Fault::Lifetime),
        ("a subject that is a number", r#""sub":1"#, Fault::WrongType),
    ] {
        refused(&verifier, what, &of(claims), fault);
    }
    for (what, from, to, fault) in [
        ("for others", "\"shop\"", "[\"shopping\",\"SHOP\"]", Fault::Audience),
        ("for nobody", "\"aud\":\"shop\"", "\"aux\":1", Fault::Audience),
        ("of nobody", "\"iss\"", "\"isx\"", Fault::Issuer),
        ("of somebody else", ISSUER, "https://accounts.example/", Fault::Issuer),
        ("of two", &format!("\"{ISSUER}\""), &format!("[\"{ISSUER}\"]"), Fault::WrongType),
        ("without end", "\"exp\"", "\"exq\"", Fault::Endless),
    ] {
        refused(&verifier, what, &sign(header, &payload(ISSUER).replace(from, to)), fault);
    }
    let ended = payload(ISSUER).replace(&(seconds() + 300).to_string(), &(seconds() - 31).to_string());
    refused(&verifier, "ended, beyond the skew", &sign(header, &ended), Fault::Expired);
}

#[test]
fn a_public_key_is_no_secret_and_no_key_is_anothers() {
    let verifier = two_issuers();
    let der = RSA_PUBLIC.lines().filter(|line| !line.starts_with('-')).collect::<String>();
    let der = data_encoding::BASE64.decode(der.as_bytes()).expect("DER");
    let spaced = format!("\n{RSA_PUBLIC}");
    let jwk = buttress::jwt::SigningKey::pem(Algorithm::RS256, RSA).expect("a key").verifying();
    let jwk = format!("{jwk:?}");
    for (what, secret) in [
        ("PEM", RSA_PUBLIC.as_bytes()),
        ("PEM after a line", spaced.as_bytes()),
        ("DER", &der),
        ("JWK", jwk.as_bytes()),
    ] {
        for header in [r#"{"alg":"HS256","kid":"rsa"}"#, r#"{"alg":"HS256"}"#] {
            refused(&verifier, what, &hs(secret, header, OTHER), Fault::Algorithm);
        }
        refused(&verifier, what, &hs(secret, r#"{"alg":"HS256"}"#, ISSUER), Fault::Signature);
    }
    let rs = |header: &str, issuer: &str| sign_with(&rsa(), Jws::RS256, header, &payload(issuer));
    let es = |header: &str, issuer: &str| sign_with(&ec(), Jws::ES256, header, &payload(issuer));
    assert!(verifier.verify(&rs(r#"{"alg":"RS256","kid":"rsa"}"#, OTHER), now()).is_ok());
    assert!(verifier.verify(&es(r#"{"alg":"ES256","kid":"ec"}"#, OTHER), now()).is_ok());
    for (what, token, fault) in [
        ("its keys for another", rs(r#"{"alg":"RS256","kid":"rsa"}"#, ISSUER), Fault::Algorithm),
        ("a secret for another", hs(&secret(), r#"{"alg":"HS256"}"#, OTHER), Fault::Algorithm),
        ("another key's name", rs(r#"{"alg":"RS256","kid":"ec"}"#, OTHER), Fault::Key),
        ("a name that is a path", rs(r#"{"alg":"RS256","kid":"../../dev/null"}"#, OTHER), Fault::Key),
        ("a name that is a query", rs(r#"{"alg":"RS256","kid":"' OR 1=1 --"}"#, OTHER), Fault::Key),
        ("a name with a zero byte", rs(r#"{"alg":"RS256","kid":"rsa\u0000"}"#, OTHER), Fault::Key),
        ("another hash", rs(r#"{"alg":"RS512","kid":"rsa"}"#, OTHER), Fault::Algorithm),
        ("another curve", es(r#"{"alg":"ES384","kid":"ec"}"#, OTHER), Fault::Algorithm),
        (
            "a shorter RSA signature",
            resigned(&rs(r#"{"alg":"RS256"}"#, OTHER), |mut s| {
                s.pop();
                s
            }),
            Fault::Signature,
        ),
        (
            "a longer RSA signature",
            resigned(&rs(r#"{"alg":"RS256"}"#, OTHER), |mut s| {
                s.insert(0, 0);
                s
            }),
            Fault::Signature,
        ),
        ("zeros by ECDSA", resigned(&es(r#"{"alg":"ES256"}"#, OTHER), |s| vec![0; s.len()]), Fault::Signature),
        ("ECDSA in DER", resigned(&es(r#"{"alg":"ES256"}"#, OTHER), |s| der_of(&s)), Fault::Signature),
    ] {
        refused(&verifier, what, &token, fault);
    }
}

#[tokio::test]
async fn a_key_that_a_token_brings_is_not_looked_at() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}/keys.json", listener.local_addr().expect("an address"));
    let verifier = two_issuers();
    let jwk = r#"{"kty":"oct","k":"AAAA","alg":"HS256"}"#;
    for header in [
        format!(r#"{{"alg":"HS256","jku":"{url}"}}"#),
        format!(r#"{{"alg":"HS256","x5u":"{url}"}}"#),
        format!(r#"{{"alg":"HS256","jwk":{jwk}}}"#),
        r#"{"alg":"HS256","x5c":["AAAA"]}"#.to_owned(),
    ] {
        refused(
            &verifier,
            &header,
            &hs(b"the attacker's own secret, of enough bytes", &header, ISSUER),
            Fault::Signature,
        );
    }
    let asked = tokio::time::timeout(std::time::Duration::from_millis(100), listener.accept()).await;
    assert!(asked.is_err(), "nobody asked for a key");
}

#[test]
fn a_token_without_a_name_is_revoked_with_its_twin() {
    // Of each ECDSA signature there is another one, (r, n - s), of the same text.
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6, 0xfa, 0xad,
        0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let token = sign_with(&ec(), Jws::ES256, r#"{"alg":"ES256"}"#, &payload(OTHER));
    let twin = resigned(&token, |mut signature| {
        let mut borrow = 0;
        for at in (0..32).rev() {
            let difference = i16::from(ORDER[at]) - i16::from(signature[32 + at]) - borrow;
            borrow = i16::from(difference < 0);
            signature[32 + at] = u8::try_from(difference.rem_euclid(256)).expect("a byte");
        }
        signature
    });
    let verifier = two_issuers();
    let (token, twin) =
        (verifier.verify(&token, now()).expect("good"), verifier.verify(&twin, now()).expect("good, too"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        let revocations = buttress::jwt::Revocations::embedded();
        revocations.revoke(buttress::jwt::Revocation::token(&token)).await.expect("revoked");
        assert!(matches!(revocations.check(&twin).await, buttress::jwt::Standing::Revoked(_)));
    });
}

#[test]
fn nothing_of_a_token_is_shown() {
    let token = crate::bed::token(r#""sub":"ada-lovelace","jti":"the-id""#);
    let shown = format!("{:?} {:?} {:?}", verifier(), crate::bed::keys(), buttress::jwt::SigningKey::random());
    assert!(!shown.contains("5a7f"), "{shown}");
    assert!(!format!("{token:?}").contains("ada-lovelace"), "{token:?}");
}

fn der_of(fixed: &[u8]) -> Vec<u8> {
    let number = |bytes: &[u8]| {
        let bytes: Vec<u8> = if bytes[0] >= 0x80 { [&[0], bytes].concat() } else { bytes.to_vec() };
        [&[2, u8::try_from(bytes.len()).expect("short")], bytes.as_slice()].concat()
    };
    let both = [number(&fixed[..32]), number(&fixed[32..])].concat();
    [&[0x30, u8::try_from(both.len()).expect("short")], both.as_slice()].concat()
}
