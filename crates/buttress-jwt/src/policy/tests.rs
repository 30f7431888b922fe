use std::time::Duration;

use super::*;
use crate::algorithm::Algorithm;
use crate::json;
use crate::keys::Keys;

const NOW: u64 = 1_764_000_000_000;

fn trusted() -> TrustedIssuer {
    TrustedIssuer::new("a", ["shop", "cart"], [Algorithm::ES256, Algorithm::RS256], Keys::new([]))
}

fn claims(text: &str) -> Claims {
    Claims::read(json::object(text.as_bytes()).unwrap()).unwrap()
}

#[test]
fn a_header_must_be_one_of_the_issuers() {
    for (text, trusted, expected) in [
        (r#"{"alg":"ES256"}"#, trusted(), Ok(())),
        (r#"{"alg":"ES256","typ":"jwt"}"#, trusted(), Ok(())),
        (r#"{"alg":"ES256","typ":"application/at+jwt"}"#, trusted(), Ok(())),
        (r#"{"alg":"HS256"}"#, trusted(), Err(Fault::Algorithm)),
        (r#"{"alg":"PS256"}"#, trusted(), Err(Fault::Algorithm)),
        (r#"{"alg":"ES256","typ":"rt+jwt"}"#, trusted(), Err(Fault::Kind)),
        (r#"{"alg":"ES256","typ":"logout+jwt"}"#, trusted(), Err(Fault::Kind)),
        (r#"{"alg":"ES256","typ":"dpop+jwt"}"#, trusted(), Err(Fault::Kind)),
        (r#"{"alg":"ES256","typ":""}"#, trusted(), Err(Fault::Kind)),
        (r#"{"alg":"ES256","typ":"JWT"}"#, trusted().only_access_tokens(), Err(Fault::Kind)),
        (r#"{"alg":"ES256"}"#, trusted().only_access_tokens(), Err(Fault::Kind)),
        (r#"{"alg":"ES256","typ":"AT+JWT"}"#, trusted().only_access_tokens(), Ok(())),
    ] {
        let header = Header::read(json::object(text.as_bytes()).unwrap()).unwrap();
        assert_eq!(on_header(&header, &trusted), expected, "{text}");
    }
}

#[test]
fn claims_must_be_for_us() {
    let strict = trusted().only_access_tokens();
    for (text, trusted, expected) in [
        (r#"{"aud":"shop"}"#, trusted(), Ok(())),
        (r#"{"aud":["other","cart"]}"#, trusted(), Ok(())),
        (r#"{"aud":"SHOP"}"#, trusted(), Err(Fault::Audience)),
        (r#"{"aud":["other"]}"#, trusted(), Err(Fault::Audience)),
        (r#"{"aud":[]}"#, trusted(), Err(Fault::Audience)),
        (r#"{}"#, trusted(), Err(Fault::Audience)),
        (r#"{"aud":"shop","type":"refresh"}"#, trusted(), Err(Fault::Kind)),
        (r#"{"aud":"shop","type":"access"}"#, trusted(), Ok(())),
        (r#"{"aud":"shop","typ":"ID"}"#, trusted(), Err(Fault::Kind)),
        (r#"{"aud":"shop","typ":"Bearer"}"#, trusted(), Ok(())),
        (r#"{"aud":"shop","token_use":"id"}"#, trusted(), Err(Fault::Kind)),
        (r#"{"aud":"shop","at_hash":"x"}"#, trusted(), Err(Fault::Kind)),
        (r#"{"aud":"shop","events":{}}"#, trusted(), Err(Fault::Kind)),
        (r#"{"aud":"shop","cnf":{"jkt":"x"}}"#, trusted(), Err(Fault::Bound)),
        (r#"{"aud":"shop"}"#, trusted().require("sub"), Err(Fault::Incomplete)),
        (r#"{"aud":"shop","sub":"x"}"#, trusted().require("sub"), Ok(())),
        (r#"{"aud":"shop","sub":"x","iat":1,"jti":"x"}"#, strict.clone(), Err(Fault::Incomplete)),
        (r#"{"aud":"shop","sub":"x","iat":1,"jti":"x","client_id":"c"}"#, strict, Ok(())),
    ] {
        assert_eq!(on_claims(&claims(text), &trusted), expected, "{text}");
    }
}

#[test]
fn the_time_must_be_the_tokens() {
    let now = NOW / 1000;
    let trusted = trusted().skew(Duration::from_secs(30)).max_lifetime(Duration::from_secs(3600));
    for (text, expected) in [
        (format!(r#"{{"exp":{}}}"#, now + 1), Ok(())),
        (format!(r#"{{"exp":{}}}"#, now - 29), Ok(())),
        (format!(r#"{{"exp":{}}}"#, now - 30), Err(Fault::Expired)),
        (r#"{"exp":0}"#.to_owned(), Err(Fault::Expired)),
        (r#"{}"#.to_owned(), Err(Fault::Endless)),
        (format!(r#"{{"exp":{},"nbf":{}}}"#, now + 60, now + 30), Ok(())),
        (format!(r#"{{"exp":{},"nbf":{}}}"#, now + 60, now + 31), Err(Fault::Early)),
        (format!(r#"{{"exp":{},"iat":{}}}"#, now + 60, now + 30), Ok(())),
        (format!(r#"{{"exp":{},"iat":{}}}"#, now + 60, now + 31), Err(Fault::Unborn)),
        (format!(r#"{{"exp":{},"iat":{now}}}"#, now + 3600), Ok(())),
        (format!(r#"{{"exp":{},"iat":{now}}}"#, now + 3601), Err(Fault::Lifetime)),
        (format!(r#"{{"exp":{}}}"#, now + 3601), Err(Fault::Lifetime)), // without `iat`, from now
        (format!(r#"{{"exp":{},"iat":0}}"#, now + 60), Err(Fault::Lifetime)),
    ] {
        assert_eq!(on_time(&claims(&text), &trusted, NOW), expected, "{text}");
    }
}

#[test]
fn a_refresh_token_is_exchanged_once() {
    const IDLE: u64 = 1_000;
    let first: Digest = [1; 16];
    let exchange = |presented: u8, successor: u8| Exchange {
        presented: [presented; 16],
        successor: [successor; 16],
        grace: 10,
        idle: IDLE,
    };
    let done = |at, again| Rotation::Done { at, end: 5_000, again };
    type Steps = [(u64, Exchange, Rotation)];
    let stories: &[(&str, &Steps)] = &[
        ("one after another", &[(1, exchange(1, 2), done(1, false)), (2, exchange(2, 3), done(2, false))]),
        ("two tabs", &[(1, exchange(1, 2), done(1, false)), (11, exchange(1, 2), done(1, true))]),
        ("the grace is over", &[(1, exchange(1, 2), done(1, false)), (12, exchange(1, 2), Rotation::Reused)]),
        (
            "the successor was used",
            &[
                (1, exchange(1, 2), done(1, false)),
                (2, exchange(2, 3), done(2, false)),
                (3, exchange(1, 2), Rotation::Reused),
            ],
        ),
        ("another successor", &[(1, exchange(1, 2), done(1, false)), (2, exchange(1, 9), Rotation::Reused)]),
        ("a token of nobody", &[(1, exchange(7, 8), Rotation::Reused)]),
        ("idle for too long", &[(IDLE, exchange(1, 2), Rotation::Gone)]),
        ("kept alive", &[(900, exchange(1, 2), done(900, false)), (1_800, exchange(2, 3), done(1_800, false))]),
        (
            "old",
            &[
                (900, exchange(1, 2), done(900, false)),
                (1_800, exchange(2, 3), done(1_800, false)),
                (2_700, exchange(3, 4), done(2_700, false)),
                (3_600, exchange(4, 5), done(3_600, false)),
                (4_500, exchange(5, 6), done(4_500, false)),
                (5_000, exchange(6, 7), Rotation::Gone),
            ],
        ),
    ];
    for (what, steps) in stories {
        let mut family = Family::begin(first, Life { idle: IDLE, longest: 5_000 }, 0);
        for (now, exchange, expected) in *steps {
            assert_eq!(rotate(&mut family, *exchange, *now), *expected, "{what} at {now}");
        }
    }
}
