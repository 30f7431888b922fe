//! Beside flask-jwt-extended: its tokens, its cookies and its list of what was logged out, so that a service can move over while both run.
//!
//! ```
//! use buttress_jwt::{Algorithm, JwtLayer, Key, Keys, Revocations, TrustedIssuer, Verifier, flask};
//! use buttress_redis::Redis;
//!
//! # fn guard(jwt_secret_key: &str, redis: Redis) -> Result<JwtLayer, Box<dyn std::error::Error>> {
//! let keys = Keys::new([Key::secret(Algorithm::HS256, jwt_secret_key)?]);
//! let verifier = Verifier::new([TrustedIssuer::flask([Algorithm::HS256], keys)])?;
//! let revocations = Revocations::options().blacklist(flask::BLACKLIST).redis(redis);
//! let layer = JwtLayer::new(verifier, revocations).cookie(flask::ACCESS_COOKIE);
//! # Ok(layer) }
//! ```
//!
//! # Moving from flask-jwt-extended
//!
//! Put both behind one host name and one Redis, and move path by path. Whoever is logged in is so on both sides, and a logout on either holds on the
//! other. Move what logs in and refreshes together, and last: [`Issuer::flask`](crate::Issuer::flask) makes tokens that the old service accepts, and
//! [`trusted`](crate::Issuer::trusted) of that believes those of the old service too. From then on everybody logs in once more, when their access token ends.
//!
//! | in Flask's configuration | here |
//! |---|---|
//! | `JWT_SECRET_KEY`, or `SECRET_KEY` | [`Key::secret`](crate::Key::secret); if it is refused as weak, replace it, or [`dangerous_weak_secret`](crate::Key::dangerous_weak_secret) |
//! | `JWT_PUBLIC_KEY` | [`Key::pem`](crate::Key::pem) |
//! | `JWT_ALGORITHM`, `JWT_DECODE_ALGORITHMS` | the algorithms of [`TrustedIssuer::flask`] |
//! | `JWT_ENCODE_ISSUER`, `JWT_ENCODE_AUDIENCE` | [`TrustedIssuer::new`] and [`only_flask_tokens`](TrustedIssuer::only_flask_tokens) |
//! | `JWT_DECODE_ISSUER`, `JWT_DECODE_AUDIENCE` | [`Issuer::new`](crate::Issuer::new) and [`flask_tokens`](crate::Issuer::flask_tokens) |
//! | `JWT_ACCESS_TOKEN_EXPIRES` | [`max_lifetime`](TrustedIssuer::max_lifetime); 15 minutes on both sides |
//! | `JWT_TOKEN_LOCATION` | [`cookie`](crate::JwtLayer::cookie), [`without_bearer`](crate::JwtLayer::without_bearer), [`dangerous_query`](crate::JwtLayer::dangerous_query); none for `json` |
//! | `JWT_ACCESS_CSRF_HEADER_NAME` | [`csrf_field`](crate::JwtLayer::csrf_field); `X-CSRF-TOKEN` on both sides |
//! | `JWT_COOKIE_CSRF_PROTECT` off | [`csrf_by_origin_only`](crate::JwtLayer::csrf_by_origin_only) |
//! | `token_in_blocklist_loader` | [`blacklist`](crate::RevocationsOptions::blacklist) with what it puts before the `jti` |
//! | `@jwt_required(optional=True)`, `fresh=True` | [`Rule::optional`](crate::Rule::optional), [`Rule::fresh`](crate::Rule::fresh) |
//!
//! The list is asked once for each request while [`blacklist`](crate::RevocationsOptions::blacklist) is set, as the loader does it. Take the setting out when
//! the old service is gone.
//!
//! # What differs
//!
//! - **`sub` is text.** PyJWT asks the same since 2.10; a service that turned that off (`JWT_VERIFY_SUB`) and names its users by numbers says
//!   `identity=str(user.id)` first, and moves when its last token of before has ended. So does one with another `JWT_IDENTITY_CLAIM`.
//! - **One token in a request.** Flask takes the first that it finds; a request with a cookie and `Authorization` is refused here with 400.
//! - **A page of another origin** may use a cookie only if it is [named](crate::JwtLayer::origin), whatever it repeats in the field.
//!   The word of the token is looked for in a field, not in a form (`JWT_CSRF_CHECK_FORM`).
//! - **A token must end**: `JWT_ACCESS_TOKEN_EXPIRES = False` is refused. And it is not believed after its end, not even for the [skew](TrustedIssuer::skew),
//!   which holds for the beginning alone: an old service's list forgets a token when it ends.
//! - **401 where Flask says 422** for what is no token of its own, and 400 for what is none at all; with `WWW-Authenticate`, and a body by RFC 9457 instead of
//!   `{"msg": …}`. 503 while Redis is away; Flask fails with 500.
//! - **Refresh tokens** are no access tokens on either side, and each side exchanges its own: whoever holds one of the old service logs in again. Ours are good
//!   for one exchange here; Flask would take one as often as it is presented, so `/refresh` must not stay behind when `/login` moves.
//! - **The list knows single tokens.** A logout here puts the token on it that was presented. What ends more than that (a whole login, *log out
//!   everywhere*, a key) holds for the rest here alone, until those tokens end.
//! - **Times of issue are whole seconds there**: who logs in at the old service in the second of a *log out everywhere* is refused, and does it again.

use std::time::Duration;

use crate::algorithm::Algorithm;
use crate::keys::Keys;
use crate::trusted::{Audience, TrustedIssuer};

/// The cookie with the access token (`JWT_ACCESS_COOKIE_NAME`).
pub const ACCESS_COOKIE: &str = "access_token_cookie";
/// The cookie with the refresh token (`JWT_REFRESH_COOKIE_NAME`).
pub const REFRESH_COOKIE: &str = "refresh_token_cookie";
/// The cookie with the word that requests with the access token repeat (`JWT_ACCESS_CSRF_COOKIE_NAME`).
pub const ACCESS_CSRF_COOKIE: &str = "csrf_access_token";
/// The cookie with the word that requests with the refresh token repeat (`JWT_REFRESH_CSRF_COOKIE_NAME`).
pub const REFRESH_CSRF_COOKIE: &str = "csrf_refresh_token";
/// What most services put before the `jti` of a token that was logged out; the documentation itself puts nothing there.
pub const BLACKLIST: &str = "blacklist:";

/// `JWT_ACCESS_TOKEN_EXPIRES`.
const LIFETIME: Duration = Duration::from_secs(15 * 60);

impl TrustedIssuer {
    /// Trusts access tokens of flask-jwt-extended as it is configured by default: without `iss` and `aud`, and for 15 minutes at most, unless another
    /// [`max_lifetime`](Self::max_lifetime) is set. See [`flask`](crate::flask).
    pub fn flask(algorithms: impl IntoIterator<Item = Algorithm>, keys: Keys) -> Self {
        Self::unnamed(Audience::any_audience(), algorithms, keys).only_flask_tokens().max_lifetime(LIFETIME)
    }

    /// Only access tokens as flask-jwt-extended makes them: `type` must be `access`, `sub`, `iat` and `jti` must be there, and none is believed after
    /// its end, not even for the [`skew`](Self::skew). For services that set `JWT_ENCODE_ISSUER` or `JWT_ENCODE_AUDIENCE`; for others there is
    /// [`TrustedIssuer::flask`].
    pub fn only_flask_tokens(self) -> Self {
        ["sub", "iat", "jti"].into_iter().fold(self.only_of_type("access").punctual(), Self::require)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::Claims;
    use crate::fault::Fault;
    use crate::policy;

    /// What flask-jwt-extended 4.7 writes.
    const TOKEN: &str =
        r#"{"fresh":true,"iat":1000,"jti":"1","type":"access","sub":"ada","nbf":1000,"csrf":"word","exp":1900}"#;

    fn claims(text: &str) -> Claims {
        Claims::read(crate::json::object(text.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn a_token_is_what_flask_makes() {
        let trusted = TrustedIssuer::flask([Algorithm::HS256], Keys::new([]));
        for (from, to, expected) in [
            ("", "", Ok(())),
            (r#","nbf":1000"#, "", Ok(())), // `JWT_ENCODE_NBF` off
            (r#","csrf":"word""#, "", Ok(())),
            ("access", "refresh", Err(Fault::Kind)),
            (r#""type":"access","#, "", Err(Fault::Kind)),
            (r#""jti":"1","#, "", Err(Fault::Incomplete)),
            (r#""iat":1000,"#, "", Err(Fault::Incomplete)),
            (r#""sub":"ada","#, "", Err(Fault::Incomplete)),
        ] {
            let text = TOKEN.replacen(from, to, 1);
            assert_eq!(policy::on_claims(&claims(&text), &trusted), expected, "{text}");
        }
    }

    #[test]
    fn what_the_old_list_forgets_does_not_come_back() {
        let trusted = TrustedIssuer::flask([Algorithm::HS256], Keys::new([]));
        for (second, expected) in [
            (969, Err(Fault::Early)), // clocks may be half a minute apart
            (970, Ok(())),
            (1899, Ok(())),
            (1900, Err(Fault::Expired)),
        ] {
            assert_eq!(policy::on_time(&claims(TOKEN), &trusted, second * 1000), expected, "{second}");
        }
        let longer = TOKEN.replace("1900", "1901");
        assert_eq!(policy::on_time(&claims(&longer), &trusted, 1_000_000), Err(Fault::Lifetime));
        assert_eq!(
            policy::on_time(&claims(&longer), &trusted.max_lifetime(Duration::from_secs(3600)), 1_000_000),
            Ok(())
        );
    }
}
