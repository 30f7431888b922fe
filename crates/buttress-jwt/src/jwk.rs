//! Keys as JSON (RFC 7517), each read by itself, so that one that cannot be used does not spoil the set.

use data_encoding::BASE64URL_NOPAD;
use jsonwebtoken::DecodingKey;
use serde_json::{Map, Value};

use crate::algorithm::{Algorithm, Family};
use crate::json;
use crate::keys::{Key, KeyError};
use crate::weak;

/// Where a key set comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum From {
    /// The operator gave it.
    File,
    /// It is published: a secret in it is none.
    #[cfg_attr(not(any(feature = "fetch", test)), expect(dead_code, reason = "only fetched sets are published"))]
    Url,
}

/// Keys of a set that are looked at.
const MOST_KEYS: usize = 64;

pub(crate) fn one(json: &[u8]) -> Result<Key, KeyError> {
    let members = json::object(json).map_err(|fault| KeyError::new(format!("no key: {fault}")))?;
    key(&members)
}

/// The keys of a set that can be used.
pub(crate) fn set(json: &[u8], from: From) -> Result<Vec<Key>, KeyError> {
    let members = json::object(json).map_err(|fault| KeyError::new(format!("no key set: {fault}")))?;
    let Some(Value::Array(list)) = members.get("keys") else {
        return Err(KeyError::new("no key set: there is no list `keys`"));
    };
    let mut keys = Vec::new();
    for (at, value) in list.iter().take(MOST_KEYS).enumerate() {
        match value.as_object().ok_or_else(|| KeyError::new("no object")).and_then(key) {
            Ok(key) if from != From::File && key.is_secret() => {
                tracing::warn!(target: "buttress_jwt", at, "a key is left out: a secret that is published");
            }
            Ok(key) => keys.push(key),
            Err(why) => tracing::warn!(target: "buttress_jwt", at, %why, "a key is left out"),
        }
    }
    if keys.is_empty() { Err(KeyError::new("no key in the set can be used")) } else { Ok(keys) }
}

fn key(members: &Map<String, Value>) -> Result<Key, KeyError> {
    let text = |name: &str| members.get(name).and_then(Value::as_str);
    if text("use").is_some_and(|word| word != "sig") {
        return Err(KeyError::new("a key that is not for signatures (`use`)"));
    }
    if let Some(operations) = members.get("key_ops") {
        let verify = operations.as_array().is_some_and(|all| all.iter().any(|one| one == "verify"));
        if !verify {
            return Err(KeyError::new("a key that is not for checking signatures (`key_ops`)"));
        }
    }
    let algorithm = match members.get("alg") {
        None => None,
        Some(name) => {
            let known = name.as_str().and_then(Algorithm::from_name);
            Some(known.ok_or_else(|| KeyError::new(format!("an algorithm that is not known: {name}")))?)
        }
    };
    let mut key = by_type(text("kty").unwrap_or_default(), text("crv").unwrap_or_default(), algorithm, members)?;
    let public = ["kty", "crv", "x", "y", "n", "e", "alg", "use"];
    let public = public.into_iter().filter_map(|name| Some((name.to_owned(), members.get(name)?.clone())));
    key.public = (!key.is_secret()).then(|| public.collect());
    Ok(match text("kid") {
        Some(kid) => key.named(kid),
        None => key,
    })
}

fn by_type(kty: &str, crv: &str, algorithm: Option<Algorithm>, members: &Map<String, Value>) -> Result<Key, KeyError> {
    let bytes = |name: &str| {
        let text = members.get(name).and_then(Value::as_str).unwrap_or_default();
        BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| KeyError::new(format!("`{name}` is not base64url")))
    };
    let of_family = |family: Family, default: Option<Algorithm>| match algorithm.or(default) {
        Some(algorithm) if algorithm.family() != family => {
            Err(KeyError::new(format!("a key of type {kty} {crv} for {algorithm}")))
        }
        algorithm => Ok(algorithm),
    };
    match (kty, crv) {
        ("RSA", _) => {
            let (n, e) = (bytes("n")?, bytes("e")?);
            let algorithm = of_family(Family::Rsa, None)?;
            weak::of_rsa(&n, &e).map_or(Ok(Key::of_rsa(algorithm, &n, &e)), |weakness| Err(weakness.into()))
        }
        ("EC", "P-256" | "P-384") => {
            let (default, length) = if crv == "P-256" { (Algorithm::ES256, 32) } else { (Algorithm::ES384, 48) };
            let algorithm = of_family(default.family(), Some(default))?.unwrap_or(default);
            let (x, y) = (bytes("x")?, bytes("y")?);
            if let Some(weakness) = weak::of_point(&x, length).or(weak::of_point(&y, length)) {
                return Err(weakness.into());
            }
            Ok(Key::of(algorithm, DecodingKey::from_ec_der(&[&[4], x.as_slice(), &y].concat())))
        }
        ("OKP", "Ed25519") => {
            let algorithm = of_family(Family::Ed25519, Some(Algorithm::EdDSA))?.unwrap_or(Algorithm::EdDSA);
            let x = bytes("x")?;
            weak::of_point(&x, 32)
                .map_or(Ok(Key::of(algorithm, DecodingKey::from_ed_der(&x))), |weakness| Err(weakness.into()))
        }
        ("oct", _) => {
            let algorithm = of_family(Family::Secret, None)?;
            let algorithm = algorithm.ok_or_else(|| KeyError::new("a secret that does not say its algorithm"))?;
            Key::secret(algorithm, bytes("k")?)
        }
        _ => Err(KeyError::new(format!("a type of key that is not known: {kty} {crv}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"; // RFC 8037, appendix A.2
    const X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"; // RFC 7517, appendix A.1
    const Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";

    #[test]
    fn keys_are_read_with_what_they_are_for() {
        let n = BASE64URL_NOPAD.encode(&(0..256).map(|n| (n * 89 + 7) as u8 | 0x81).collect::<Vec<_>>());
        for (json, fine) in [
            (format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{ED}"}}"#), true),
            (
                format!(
                    r#"{{"kty":"OKP","crv":"Ed25519","x":"{ED}","alg":"Ed25519","use":"sig","key_ops":["verify"]}}"#
                ),
                true,
            ),
            (format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{ED}","alg":"ES256"}}"#), false),
            (format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{ED}","use":"enc"}}"#), false),
            (format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{ED}","key_ops":["sign"]}}"#), false),
            (format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{ED}","key_ops":"verify"}}"#), false),
            (format!(r#"{{"kty":"OKP","crv":"X25519","x":"{ED}"}}"#), false),
            (format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{X}AA"}}"#), false),
            (format!(r#"{{"kty":"EC","crv":"P-256","x":"{X}","y":"{Y}"}}"#), true),
            (format!(r#"{{"kty":"EC","crv":"P-384","x":"{X}","y":"{Y}"}}"#), false),
            (format!(r#"{{"kty":"EC","crv":"P-256","x":"{X}","y":"{Y}","alg":"HS256"}}"#), false),
            (format!(r#"{{"kty":"EC","crv":"P-256","x":"{X}"}}"#), false),
            (format!(r#"{{"kty":"RSA","n":"{n}","e":"AQAB"}}"#), true),
            (format!(r#"{{"kty":"RSA","n":"{n}","e":"AQ"}}"#), false),
            (format!(r#"{{"kty":"RSA","n":"{n}=","e":"AQAB"}}"#), false),
            (format!(r#"{{"kty":"oct","k":"{ED}","alg":"HS256"}}"#), true),
            (format!(r#"{{"kty":"oct","k":"{ED}"}}"#), false),
            (r#"{"kty":"oct","k":"","alg":"HS256"}"#.to_owned(), false),
            (r#"{"kty":"oct","k":"AAAA","alg":"none"}"#.to_owned(), false),
            (r#"{"kty":"new"}"#.to_owned(), false),
            ("{}".to_owned(), false),
        ] {
            let key = one(json.as_bytes());
            assert_eq!(key.is_ok(), fine, "{json}: {key:?}");
        }
    }

    #[test]
    fn one_bad_key_does_not_spoil_the_set() {
        let good = format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{ED}","kid":"good"}}"#);
        let secret = format!(r#"{{"kty":"oct","k":"{ED}","alg":"HS256"}}"#);
        let json = format!(r#"{{"keys":[{{}},7,{{"kty":"RSA","n":"","e":""}},{good},{secret}]}}"#);
        assert_eq!(set(json.as_bytes(), From::File).unwrap().len(), 2);
        assert_eq!(set(json.as_bytes(), From::Url).unwrap().len(), 1);
        for json in [r#"{"keys":[]}"#, r#"{"keys":{}}"#, "{}", "[]", "", r#"{"keys":[{}]}"#] {
            assert!(set(json.as_bytes(), From::File).is_err(), "{json}");
        }
    }
}
