//! The settings: flags, environment and file made into one, each value checked where it is read.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::Uri;
use serde::Deserialize;

use crate::args::Args;
use crate::assets::AssetsTable;
use crate::events::EventsTable;
use crate::jwt::{JwtTable, Need};
use crate::session::SessionTable;

/// All settings, valid.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) listen: SocketAddr,
    pub(crate) upstream: Option<Uri>,
    pub(crate) redis: Option<String>,
    pub(crate) admin: Option<SocketAddr>,
    pub(crate) admin_token: Option<String>,
    pub(crate) tls: Option<(PathBuf, PathBuf)>,
    pub(crate) grace: Duration,
    pub(crate) header_timeout: Duration,
    pub(crate) workers: Option<usize>,
    pub(crate) proxy: Proxy,
    pub(crate) cache: CacheTable,
    pub(crate) routes: Vec<RouteTable>,
    pub(crate) assets: Option<AssetsTable>,
    pub(crate) jwt: Option<JwtTable>,
    pub(crate) session: Option<SessionTable>,
    pub(crate) events: Option<EventsTable>,
}

/// How requests are passed on.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    pub(crate) timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) http2: bool,
    /// What an `https` upstream's certificate is checked against, instead of the public authorities.
    pub(crate) ca: Option<PathBuf>,
    pub(crate) forwarded: Forwarded,
}

/// What becomes of the fields that say who a request comes from.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Forwarded {
    /// Add to what the client sent: for a gateway behind another proxy that is trusted.
    Append,
    /// Pass on what the client sent.
    Off,
    /// Take out what the client sent, so that it cannot be forged, and say what is known.
    #[default]
    Replace,
}

/// The file.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct File {
    listen: Option<String>,
    upstream: Option<String>,
    redis: Option<String>,
    admin: Option<String>,
    admin_token: Option<String>,
    tls_cert: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    grace: Option<Seconds>,
    header_timeout: Option<Seconds>,
    workers: Option<usize>,
    upstream_timeout: Option<Seconds>,
    connect_timeout: Option<Seconds>,
    upstream_http2: bool,
    upstream_ca: Option<PathBuf>,
    forwarded: Forwarded,
    cache: CacheTable,
    assets: Option<AssetsTable>,
    jwt: Option<JwtTable>,
    session: Option<SessionTable>,
    events: Option<EventsTable>,
    #[serde(rename = "route")]
    routes: Vec<RouteTable>,
}

/// `[cache]`: the store that all routes share.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CacheTable {
    pub(crate) capacity: Option<u64>,
    pub(crate) local_max_stale: Option<Seconds>,
    pub(crate) prefix: Option<String>,
    pub(crate) compress: bool,
}

/// `[[route]]`: what holds under a path. The first that fits wins.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteTable {
    pub(crate) path: String,
    #[serde(default = "yes")]
    pub(crate) cache: bool,
    pub(crate) default_ttl: Option<Seconds>,
    pub(crate) stale_on_error: Option<Seconds>,
    pub(crate) max_body: Option<u64>,
    #[serde(default)]
    pub(crate) share_cookies: bool,
    #[serde(default)]
    pub(crate) share_authorized: bool,
    #[serde(default)]
    pub(crate) drop_set_cookie: bool,
    #[serde(default)]
    pub(crate) no_vary_search: bool,
    #[serde(default)]
    pub(crate) shadow: bool,
    /// Whether a token is asked for, and what must be in it.
    pub(crate) jwt: Option<Need>,
    #[serde(default)]
    pub(crate) scopes: Vec<String>,
    #[serde(default)]
    pub(crate) roles: Vec<String>,
    pub(crate) fresh: Option<Seconds>,
}

/// A length of time in seconds, fractions allowed.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "f64")]
pub(crate) struct Seconds(pub(crate) Duration);

/// What is wrong with a setting: where it stands, its value, and why.
#[derive(Debug)]
pub(crate) struct Problem {
    place: String,
    value: String,
    why: String,
}

// === impl Config ===

impl Config {
    /// Reads the file, if one is named, and checks everything.
    pub(crate) fn resolve(args: Args) -> Result<Self, Problem> {
        let file = args.config.as_deref().map_or_else(|| Ok(File::default()), File::read)?;
        let admin = args.admin.or(file.admin).map(|text| address("--admin", &text)).transpose()?;
        let admin_token = args.admin_token.or(file.admin_token).filter(|token| !token.is_empty());
        if let (Some(admin), None) = (admin, &admin_token)
            && !admin.ip().is_loopback()
        {
            return Err(Problem::new("--admin", admin, "an address that others reach needs --admin-token"));
        }
        let seconds = |given: Option<Seconds>, default| given.map_or(Duration::from_secs(default), |seconds| seconds.0);
        let grace = args.grace.map(|text| number("--grace", &text)).transpose()?.map(Seconds::of).or(file.grace);
        let workers = args.workers.map(|text| number("--workers", &text)).transpose()?.or(file.workers);
        if workers == Some(0) {
            return Err(Problem::new("--workers", 0, "at least one thread has to serve"));
        }
        let capacity = args.cache_capacity.map(|text| number("--cache-capacity", &text)).transpose()?;
        let redis = args.redis.or(file.redis);
        let capacity = capacity.or(file.cache.capacity);
        if redis.is_none() && capacity == Some(0) {
            return Err(Problem::new("--cache-capacity", 0, "without --redis nothing could be kept anywhere"));
        }
        Ok(Self {
            listen: address("--listen", args.listen.or(file.listen).as_deref().unwrap_or("127.0.0.1:8080"))?,
            upstream: args.upstream.or(file.upstream).map(|text| upstream(&text)).transpose()?,
            redis,
            admin,
            admin_token,
            tls: tls(args.tls_cert.or(file.tls_cert), args.tls_key.or(file.tls_key))?,
            grace: seconds(grace, 30),
            header_timeout: seconds(file.header_timeout, 10),
            workers,
            proxy: Proxy {
                timeout: seconds(file.upstream_timeout, 30),
                connect_timeout: seconds(file.connect_timeout, 3),
                http2: file.upstream_http2,
                ca: file.upstream_ca,
                forwarded: file.forwarded,
            },
            cache: CacheTable { capacity, ..file.cache },
            assets: file.assets,
            jwt: file.jwt,
            session: file.session,
            events: file.events,
            routes: file.routes.into_iter().map(RouteTable::checked).collect::<Result<_, _>>()?,
        })
    }
}

// === impl File ===

impl File {
    fn read(path: &Path) -> Result<Self, Problem> {
        let text = std::fs::read_to_string(path).map_err(|error| Problem::new("--config", path.display(), error))?;
        toml::from_str(&text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start.min(text.len()));
            let line = text[..at].lines().count().max(1);
            let line = if text[..at].ends_with('\n') { line + 1 } else { line };
            let offending = text.lines().nth(line - 1).unwrap_or("").trim();
            let why = error.message().lines().collect::<Vec<_>>().join(", ");
            Problem::new(format!("{}:{line}", path.display()), offending, why)
        })
    }
}

// === impl RouteTable ===

impl RouteTable {
    fn checked(self) -> Result<Self, Problem> {
        if self.path.starts_with('/') {
            return Ok(self);
        }
        Err(Problem::new("[[route]] path", &self.path, "a path begins with a slash"))
    }
}

impl RouteTable {
    /// Whether it says anything of tokens.
    pub(crate) fn asks_for_tokens(&self) -> bool {
        self.jwt.is_some() || !self.scopes.is_empty() || !self.roles.is_empty() || self.fresh.is_some()
    }
}

impl Default for RouteTable {
    fn default() -> Self {
        Self {
            path: "/".to_owned(),
            cache: true,
            default_ttl: None,
            stale_on_error: None,
            max_body: None,
            no_vary_search: false,
            shadow: false,
            share_cookies: false,
            share_authorized: false,
            drop_set_cookie: false,
            jwt: None,
            scopes: Vec::new(),
            roles: Vec::new(),
            fresh: None,
        }
    }
}

fn yes() -> bool {
    true
}

// === impl Seconds ===

impl Seconds {
    fn of(seconds: u32) -> Self {
        Self(Duration::from_secs(seconds.into()))
    }
}

impl TryFrom<f64> for Seconds {
    type Error = String;

    fn try_from(seconds: f64) -> Result<Self, String> {
        Duration::try_from_secs_f64(seconds)
            .map(Self)
            .map_err(|_| format!("{seconds} is not a length of time in seconds"))
    }
}

// === impl Problem ===

impl Problem {
    pub(crate) fn new(place: impl Into<String>, value: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self { place: place.into(), value: value.to_string(), why: why.to_string() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, value, why } = self;
        write!(f, "{place}: \"{value}\": {why}")
    }
}

fn address(place: &str, text: &str) -> Result<SocketAddr, Problem> {
    text.parse().map_err(|_| Problem::new(place, text, "not an address with a port, such as 127.0.0.1:8080"))
}

fn number<T: std::str::FromStr>(place: &str, text: &str) -> Result<T, Problem> {
    text.parse().map_err(|_| Problem::new(place, text, "not a whole number that fits"))
}

fn upstream(text: &str) -> Result<Uri, Problem> {
    let problem = |why| Problem::new("--upstream", text, why);
    let uri: Uri = text.parse().map_err(|_| problem("not a URL, such as http://127.0.0.1:9000"))?;
    match (uri.scheme_str(), uri.authority()) {
        (Some("http" | "https"), Some(authority)) if authority.as_str().contains('@') => {
            Err(problem("credentials in the URL are not passed on"))
        }
        (Some("http" | "https"), Some(_)) if matches!(uri.path(), "" | "/") && uri.query().is_none() => Ok(uri),
        (Some("http" | "https"), Some(_)) => Err(problem("a path is not supported: requests keep theirs")),
        _ => Err(problem("not a URL that begins with http:// or https://")),
    }
}

fn tls(cert: Option<PathBuf>, key: Option<PathBuf>) -> Result<Option<(PathBuf, PathBuf)>, Problem> {
    match (cert, key) {
        (Some(cert), Some(key)) => Ok(Some((cert, key))),
        (None, None) => Ok(None),
        (Some(cert), None) => Err(Problem::new("--tls-cert", cert.display(), "needs --tls-key too")),
        (None, Some(key)) => Err(Problem::new("--tls-key", key.display(), "needs --tls-cert too")),
    }
}
