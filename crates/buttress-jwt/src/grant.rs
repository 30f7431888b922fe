//! What a login grants, carried from token to token; and the claims that each profile makes of it.

use data_encoding::BASE64URL_NOPAD;
use serde_json::{Map, Value, json};

use crate::claims::Claims;
use crate::login::Login;
use crate::trusted::TrustedIssuer;

/// What a login grants. A refresh token carries it, so that nothing of it has to be kept.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    pub(crate) subject: String,
    pub(crate) session: String,
    /// Whose refresh tokens follow each other, where several logins share a session.
    family: Option<String>,
    pub(crate) scope: Option<String>,
    client: Option<String>,
    acr: Option<String>,
    /// In milliseconds.
    authenticated: Option<u64>,
    claims: Map<String, Value>,
}

/// How tokens look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Profile {
    /// Access tokens as the standard has them.
    Rfc9068,
    /// As flask-jwt-extended makes them.
    Flask,
}

/// Who issues and for whom, if that is said.
type Names<'a> = (Option<&'a str>, Option<&'a str>);
/// Beginning and end, in milliseconds.
type Span = (u64, u64);

// === impl Grant ===

impl Grant {
    pub(crate) fn begin(login: Login, audience: Option<&str>, now: u64) -> Self {
        Self {
            subject: login.subject,
            family: login.session.as_ref().map(|_| random_word()),
            session: login.session.unwrap_or_else(random_word),
            scope: login.scope,
            client: login.client.or_else(|| audience.map(str::to_owned)),
            acr: login.acr,
            authenticated: Some(now),
            claims: login.claims.into_iter().collect(),
        }
    }

    /// What a refresh token carries; none if it is not one of ours.
    pub(crate) fn of(claims: &Claims) -> Option<Self> {
        let text = |name: &str| claims.get(name).and_then(Value::as_str).map(str::to_owned);
        let further = claims.get("ext").and_then(Value::as_object).cloned().unwrap_or_default();
        Some(Self {
            subject: claims.subject()?.to_owned(),
            session: claims.session()?.to_owned(),
            family: text("fam"),
            scope: text("scope"),
            client: text("client_id"),
            acr: text("acr"),
            authenticated: claims.authenticated,
            claims: further,
        })
    }

    /// The name under which its refresh tokens follow each other.
    pub(crate) fn family(&self) -> &str {
        self.family.as_ref().unwrap_or(&self.session)
    }

    /// What stands in both tokens.
    fn common(&self) -> Map<String, Value> {
        let mut claims = Map::new();
        let mut say = |name: &str, value: Option<Value>| value.map(|value| claims.insert(name.to_owned(), value));
        say("sub", Some(self.subject.as_str().into()));
        say("sid", Some(self.session.as_str().into()));
        say("scope", self.scope.as_deref().map(Value::from));
        say("client_id", self.client.as_deref().map(Value::from));
        say("acr", self.acr.as_deref().map(Value::from));
        say("auth_time", self.authenticated.map(|time| (time / 1000).into()));
        claims
    }
}

// === impl Profile ===

impl Profile {
    pub(crate) const fn access_type(self) -> &'static str {
        match self {
            Self::Rfc9068 => "at+jwt",
            Self::Flask => "JWT",
        }
    }

    pub(crate) const fn refresh_type(self) -> &'static str {
        match self {
            Self::Rfc9068 => "rt+jwt",
            Self::Flask => "JWT",
        }
    }

    /// What must be true of access tokens.
    pub(crate) fn access(self, trusted: TrustedIssuer) -> TrustedIssuer {
        match self {
            Self::Rfc9068 => trusted.only_access_tokens().require("sid"),
            Self::Flask => trusted.only_flask_tokens(),
        }
    }

    /// What must be true of refresh tokens.
    pub(crate) fn refresh(self, trusted: TrustedIssuer) -> TrustedIssuer {
        match self {
            Self::Rfc9068 => trusted.kind("rt+jwt").require("sid"),
            Self::Flask => trusted.only_of_type("refresh").require("sid").punctual(),
        }
    }

    pub(crate) fn access_claims(self, grant: &Grant, names: Names<'_>, span: Span, csrf: &str, fresh: bool) -> Value {
        let mut claims = grant.claims.clone();
        claims.extend(grant.common());
        self.say(&mut claims, names, span, csrf, &random_word());
        claims.insert("fresh".into(), fresh.into());
        if self == Self::Flask {
            claims.insert("type".into(), "access".into());
        }
        claims.into()
    }

    pub(crate) fn refresh_claims(self, grant: &Grant, names: Names<'_>, span: Span, csrf: &str, id: &str) -> Value {
        let mut claims = grant.common();
        // For the issuer alone: no service takes it for an access token.
        self.say(&mut claims, (names.0, names.0), span, csrf, id);
        if let Some(family) = &grant.family {
            claims.insert("fam".into(), family.as_str().into());
        }
        if !grant.claims.is_empty() {
            claims.insert("ext".into(), grant.claims.clone().into());
        }
        if self == Self::Flask {
            claims.insert("type".into(), "refresh".into());
            claims.insert("fresh".into(), false.into());
        }
        claims.into()
    }

    fn say(
        self,
        claims: &mut Map<String, Value>,
        (issuer, audience): Names<'_>,
        (from, to): Span,
        csrf: &str,
        id: &str,
    ) {
        // To the millisecond: who logs in anew in the second of a logout holds a token that is younger.
        let issued = json!(from as f64 / 1000.0);
        let named =
            [("iss", issuer), ("aud", audience)].into_iter().filter_map(|(name, value)| Some((name, value?.into())));
        let all = [("iat", issued), ("exp", (to / 1000).into()), ("jti", id.into()), ("csrf", csrf.into())];
        claims.extend(named.chain(all).map(|(name, value): (&str, Value)| (name.to_owned(), value)));
        if self == Self::Flask {
            claims.insert("nbf".into(), (from / 1000).into());
        }
    }
}

/// A word that nobody guesses: 128 random bits.
pub(crate) fn random_word() -> String {
    BASE64URL_NOPAD.encode(&rand::random::<[u8; 16]>())
}
