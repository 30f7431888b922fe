//! `[jwt]`: whose tokens are taken, where they are found, and what is asked of each route.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::time::Duration;

use buttress::core::Outage;
use buttress::jwt::{
    Algorithm, Audience, Issuer, JwtLayer, Key, KeyError, KeyUrl, Keys, Revocations, Rule, SigningKey, TrustedIssuer,
    Verifier,
};
use buttress::redis::Redis;
use http::HeaderName;
use serde::Deserialize;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::{Config, Problem, RouteTable, Seconds};

/// `[jwt]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct JwtTable {
    issuer: Option<String>,
    audience: Vec<String>,
    any_audience: bool,
    algorithms: Vec<String>,
    secret: Option<String>,
    secret_file: Option<PathBuf>,
    public_key: Option<PathBuf>,
    jwks: Option<PathBuf>,
    jwks_url: Option<String>,
    jwks_shared: bool,
    only_access_tokens: bool,
    skew: Option<Seconds>,
    max_lifetime: Option<Seconds>,
    roles: Option<String>,
    cookie: Option<String>,
    csrf: CsrfWord,
    origins: Vec<String>,
    realm: Option<String>,
    resource_metadata: Option<String>,
    identity: BTreeMap<String, String>,
    keep_token: bool,
    otherwise: Need,
    outage: OutageWord,
    max_staleness: Option<Seconds>,
    journal: Option<PathBuf>,
}

/// Whether a token is asked for.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Need {
    Open,
    Optional,
    #[default]
    Required,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum CsrfWord {
    Origin,
    #[default]
    Token,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum OutageWord {
    #[default]
    Closed,
    Open,
}

/// What stands at the door, and what others need of it.
#[derive(Clone, Debug)]
pub(crate) struct Guard {
    pub(crate) layer: JwtLayer,
    pub(crate) revocations: Revocations,
    pub(crate) verifier: Verifier,
    /// Of the demo, where the gateway knows the secret.
    pub(crate) issuer: Option<Issuer>,
    keys: Keys,
    table: JwtTable,
}

/// Whom the demo's tokens are from and for, unless the table says it.
const DEMO: (&str, &str) = ("https://shop.example", "shop");

// === impl Guard ===

impl Guard {
    /// What `[jwt]` says; in the demo without a table, what shows the most.
    pub(crate) fn of(config: &Config, redis: Option<&Redis>) -> Result<Option<Self>, Problem> {
        let demo = config.upstream.is_none();
        match &config.jwt {
            Some(table) => Self::new(table.clone(), config, redis, demo).map(Some),
            None => match config.routes.iter().find(|route| route.asks_for_tokens()) {
                Some(route) => Err(Problem::new("[[route]] jwt", &route.path, "there is no table [jwt]")),
                None if demo => Self::new(JwtTable::demo(), config, redis, demo).map(Some),
                None => Ok(None),
            },
        }
    }

    fn new(mut table: JwtTable, config: &Config, redis: Option<&Redis>, demo: bool) -> Result<Self, Problem> {
        if demo {
            table.issuer.get_or_insert_with(|| DEMO.0.to_owned());
            if table.audience.is_empty() {
                table.audience.push(DEMO.1.to_owned());
            }
            table.cookie.get_or_insert_with(|| "__Host-access_token".to_owned());
        }
        let revocations = table.revocations(config.cache.prefix.as_deref(), redis)?;
        let (keys, signing) = table.keys(redis)?;
        let issuer = match signing.filter(|_| demo) {
            Some(key) => Some(table.issuer(key, &revocations, redis)?),
            None => None,
        };
        let keys = issuer.as_ref().map_or(keys, Issuer::keys);
        let trusted = issuer.as_ref().map_or_else(|| table.trusted(keys.clone()), |issuer| Ok(issuer.trusted()))?;
        let verifier = Verifier::new([trusted]).map_err(|error| Problem::new("[jwt]", "", error))?;
        let layer = table.layer(verifier.clone(), revocations.clone(), &config.routes, demo)?;
        Ok(Self { layer, revocations, verifier, issuer, keys, table })
    }

    /// Reads the keys again whenever SIGHUP comes; what cannot be read is logged, and what was known stays.
    pub(crate) fn reload_on_hangup(&self) {
        if self.table.jwks_url.is_some() || self.issuer.is_some() {
            return;
        }
        let (table, keys, Ok(mut hangup)) = (self.table.clone(), self.keys.clone(), signal(SignalKind::hangup()))
        else {
            return;
        };
        tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                match table.local_keys() {
                    Ok(read) => keys.replace(read),
                    Err(problem) => tracing::error!(%problem, "the keys were not read again"),
                }
            }
        });
    }

    /// Whether tokens can be checked now.
    pub(crate) fn is_ready(&self) -> bool {
        self.revocations.is_ready() && self.verifier.is_ready()
    }
}

// === impl JwtTable ===

impl JwtTable {
    /// Everything open but the account; a secret of this process.
    fn demo() -> Self {
        Self { otherwise: Need::Open, ..Self::default() }
    }

    fn revocations(&self, prefix: Option<&str>, redis: Option<&Redis>) -> Result<Revocations, Problem> {
        let mut options = Revocations::options();
        if let Some(prefix) = prefix {
            options = options.prefix(prefix);
        }
        if let Some(time) = self.max_staleness {
            options = options.max_staleness(time.0);
        }
        match (redis, &self.journal) {
            (Some(_), Some(path)) => Err(Problem::new("[jwt] journal", path.display(), "revocations are in --redis")),
            (Some(redis), None) => Ok(options.redis(redis.clone())),
            (None, Some(path)) => {
                options.journal(path).map_err(|error| Problem::new("[jwt] journal", path.display(), error))
            }
            (None, None) => Ok(options.embedded()),
        }
    }

    fn algorithms(&self) -> Result<Vec<Algorithm>, Problem> {
        let known = |name: &String| {
            let why = "not an algorithm of signatures, such as RS256, ES256, EdDSA or HS256";
            Algorithm::from_name(name).ok_or_else(|| Problem::new("[jwt] algorithms", name, why))
        };
        match self.algorithms.as_slice() {
            [] if self.secret().is_some() || self.is_of_this_process() => Ok(vec![Algorithm::HS256]),
            [] => Err(Problem::new("[jwt] algorithms", "", "say which are allowed, such as [\"RS256\"]")),
            names => names.iter().map(known).collect(),
        }
    }

    fn secret(&self) -> Option<(&'static str, &str)> {
        self.secret.as_deref().map(|secret| ("[jwt] secret", secret))
    }

    /// No key of any kind is named.
    fn is_of_this_process(&self) -> bool {
        self.secret.is_none()
            && self.secret_file.is_none()
            && self.public_key.is_none()
            && self.jwks.is_none()
            && self.jwks_url.is_none()
    }

    /// The keys, and of a secret what signs with it.
    fn keys(&self, redis: Option<&Redis>) -> Result<(Keys, Option<SigningKey>), Problem> {
        let named = [
            self.secret.is_some(),
            self.secret_file.is_some(),
            self.public_key.is_some(),
            self.jwks.is_some(),
            self.jwks_url.is_some(),
        ];
        match named.iter().filter(|named| **named).count() {
            0 if self.issuer.as_deref() == Some(DEMO.0) => {
                let key = SigningKey::random();
                Ok((Keys::new([key.verifying()]), Some(key)))
            }
            1 => match &self.jwks_url {
                Some(url) => self.remote(url, redis).map(|keys| (keys, None)),
                None => Ok((Keys::new(self.local_keys()?), self.signing()?)),
            },
            _ => Err(Problem::new(
                "[jwt]",
                "",
                "exactly one of secret, secret_file, public_key, jwks and jwks_url is wanted",
            )),
        }
    }

    fn remote(&self, url: &str, redis: Option<&Redis>) -> Result<Keys, Problem> {
        let problem = |error: KeyError| Problem::new("[jwt] jwks_url", url, error);
        let mut keys = KeyUrl::new(url).map_err(problem)?;
        if self.jwks_shared {
            let redis = redis
                .ok_or_else(|| Problem::new("[jwt] jwks_shared", true, "there is no --redis to share them through"))?;
            keys = keys.redis(redis.clone(), "buttress");
        }
        Ok(Keys::url(keys))
    }

    fn local_keys(&self) -> Result<Vec<Key>, Problem> {
        let algorithms = self.algorithms()?;
        let first = algorithms.first().copied().unwrap_or(Algorithm::HS256);
        if let Some((place, secret)) = self.secret() {
            // Never the value: it is the secret.
            return Ok(vec![Key::secret(first, secret).map_err(|error| Problem::new(place, "…", error))?]);
        }
        let (place, path) = match (&self.secret_file, &self.public_key, &self.jwks) {
            (Some(path), ..) => ("[jwt] secret_file", path),
            (_, Some(path), _) => ("[jwt] public_key", path),
            (.., Some(path)) => ("[jwt] jwks", path),
            _ => return Ok(Vec::new()),
        };
        let problem = |error: &dyn std::fmt::Display| Problem::new(place, path.display(), error);
        let bytes = std::fs::read(path).map_err(|error| problem(&error))?;
        let keys = match place {
            "[jwt] secret_file" => Key::secret(first, bytes.trim_ascii_end()).map(|key| vec![key]),
            "[jwt] public_key" => Key::pem(first, bytes).map(|key| vec![key]),
            _ => Keys::jwks(bytes).map(|keys| keys.list()),
        };
        keys.map_err(|error| problem(&error))
    }

    fn signing(&self) -> Result<Option<SigningKey>, Problem> {
        let secret = match (&self.secret, &self.secret_file) {
            (Some(secret), _) => secret.clone().into_bytes(),
            (None, Some(path)) => {
                std::fs::read(path).map_err(|error| Problem::new("[jwt] secret_file", path.display(), error))?
            }
            (None, None) => return Ok(None),
        };
        let algorithm = self.algorithms()?.first().copied().unwrap_or(Algorithm::HS256);
        let key = SigningKey::secret(algorithm, secret.trim_ascii_end());
        key.map(Some).map_err(|error| Problem::new("[jwt] secret", "…", error))
    }

    fn issuer(&self, key: SigningKey, revocations: &Revocations, redis: Option<&Redis>) -> Result<Issuer, Problem> {
        let name = self.issuer.as_deref().unwrap_or(DEMO.0);
        let audience = self.audience.first().map_or(DEMO.1, String::as_str);
        let issuer = Issuer::new(name, audience, key, revocations.clone())
            .map_err(|error| Problem::new("[jwt] issuer", name, error))?;
        Ok(match redis {
            Some(redis) => issuer.redis(redis.clone()),
            None => issuer,
        })
    }

    fn trusted(&self, keys: Keys) -> Result<TrustedIssuer, Problem> {
        let audience = match (self.audience.is_empty(), self.any_audience) {
            (false, false) => Audience::from(self.audience.clone()),
            (true, true) => Audience::any_audience(),
            (true, false) => {
                return Err(Problem::new("[jwt] audience", "", "say for whom tokens must be, or any_audience = true"));
            }
            (false, true) => return Err(Problem::new("[jwt] any_audience", true, "audience is given, too")),
        };
        let issuer =
            self.issuer.as_ref().ok_or_else(|| Problem::new("[jwt] issuer", "", "say whose tokens are taken"))?;
        let mut trusted = TrustedIssuer::new(issuer, audience, self.algorithms()?, keys);
        if self.only_access_tokens {
            trusted = trusted.only_access_tokens();
        }
        if let Some(skew) = self.skew {
            trusted = trusted.skew(skew.0);
        }
        if let Some(lifetime) = self.max_lifetime {
            trusted = trusted.max_lifetime(lifetime.0);
        }
        if let Some(pointer) = &self.roles {
            trusted = trusted.roles_at(pointer);
        }
        Ok(trusted)
    }

    fn layer(
        &self,
        verifier: Verifier,
        revocations: Revocations,
        routes: &[RouteTable],
        demo: bool,
    ) -> Result<JwtLayer, Problem> {
        let mut layer = JwtLayer::new(verifier, revocations).outage(match self.outage {
            OutageWord::Closed => Outage::Closed,
            OutageWord::Open => Outage::Open,
        });
        for route in routes {
            layer = layer.rule(self.rule(route));
        }
        if demo {
            layer = demo_rules(layer);
        }
        layer = layer.otherwise(self.otherwise.rule());
        if let Some(cookie) = &self.cookie {
            layer = layer.cookie(cookie);
        }
        if let CsrfWord::Origin = self.csrf {
            layer = layer.csrf_by_origin_only();
        }
        layer = self.origins.iter().fold(layer, JwtLayer::origin);
        for (name, claim) in &self.identity {
            let field = HeaderName::from_str(name);
            layer = layer.identity(field.map_err(|error| Problem::new("[jwt] identity", name, error))?, claim);
        }
        if let Some(realm) = &self.realm {
            layer = layer.realm(realm);
        }
        if let Some(url) = &self.resource_metadata {
            layer = layer.resource_metadata(url);
        }
        Ok(if self.keep_token { layer.keep_token() } else { layer })
    }

    fn rule(&self, route: &RouteTable) -> Rule {
        let need = route.jwt.unwrap_or(if route.asks_for_tokens() { Need::Required } else { self.otherwise });
        let mut rule = route.scopes.iter().fold(need.rule().under(&route.path), Rule::scope);
        if !route.roles.is_empty() {
            rule = rule.any_role(&route.roles);
        }
        match route.fresh {
            Some(within) => rule.fresh(within.0),
            None => rule,
        }
    }
}

// === impl Need ===

impl Need {
    fn rule(self) -> Rule {
        match self {
            Self::Open => Rule::open(),
            Self::Optional => Rule::optional(),
            Self::Required => Rule::required(),
        }
    }
}

/// The services that log in and out look at tokens themselves.
fn demo_rules(layer: JwtLayer) -> JwtLayer {
    layer
        .rule(Rule::open().under("/auth"))
        .rule(Rule::required().under("/account/close").fresh(Duration::from_secs(300)))
        .rule(Rule::required().under("/account"))
}
