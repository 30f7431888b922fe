//! `[session]`: how sessions are kept, and what an upstream is told of them.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr as _;
use std::task::{Context, Poll};

use buttress::cache::CacheBody;
use buttress::core::{EitherBody, Identified, Outage, ResponseFuture, told};
use buttress::redis::Redis;
use buttress::session::{
    CookieKey, SameSite, Session, SessionCookie, SessionFuture, SessionLayer, SessionService, Sessions,
};
use bytes::Bytes;
use futures_util::future::{BoxFuture, Either};
use http::{HeaderName, Request, Response};
use hyper::body::Incoming;
use serde::Deserialize;
use tower_layer::Layer as _;
use tower_service::Service;

use crate::config::{Config, Problem, Seconds};
use crate::jwt::OutageWord;
use crate::origin::OriginBody;
use crate::stack::Routes;

/// `[session]`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SessionTable {
    key: Option<String>,
    key_file: Option<PathBuf>,
    former_key_files: Vec<PathBuf>,
    cookie: Option<String>,
    domain: Option<String>,
    same_site: SameSiteWord,
    persistent: bool,
    partitioned: bool,
    plain_http: bool,
    idle: Option<Seconds>,
    longest: Option<Seconds>,
    grace: Option<Seconds>,
    most_bytes: Option<u64>,
    most_logins: Option<usize>,
    seal_fields: bool,
    prefetch: bool,
    outage: OutageWord,
    identity: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum SameSiteWord {
    #[default]
    Lax,
    None,
    Strict,
}

/// What gives requests their sessions.
#[derive(Clone, Debug)]
pub(crate) struct Visitors {
    layer: SessionLayer,
    pub(crate) sessions: Sessions,
    identity: Option<HeaderName>,
}

/// The routes, perhaps with sessions around them.
#[derive(Clone, Debug)]
pub(crate) enum Inside {
    Plain(Routes),
    Visited(SessionService<Told>),
}

/// The routes, for requests with a session; an upstream is told whose.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    routes: Routes,
    identity: Option<HeaderName>,
}

type Body = EitherBody<CacheBody<OriginBody>>;
type Answer<S> = <S as Service<Request<Incoming>>>::Future;

// === impl Visitors ===

impl Visitors {
    /// What `[session]` says; in the demo without a table, sessions that end with the process or, in Redis, with its key.
    pub(crate) fn of(config: &Config, redis: Option<&Redis>) -> Result<Option<Self>, Problem> {
        match &config.session {
            Some(table) => {
                if config.upstream.is_some() && table.identity.is_none() {
                    let why = "say in which field an upstream is told who is logged in; nothing else uses sessions";
                    return Err(Problem::new("[session] identity", "", why));
                }
                let needs_key = redis.is_some() || config.upstream.is_some();
                table.visitors(config.cache.prefix.as_deref(), redis, needs_key).map(Some)
            }
            None if config.upstream.is_none() => SessionTable::default().visitors(None, redis, false).map(Some),
            None => Ok(None),
        }
    }

    pub(crate) fn around(&self, routes: Routes) -> Inside {
        Inside::Visited(self.layer.layer(Told { routes, identity: self.identity.clone() }))
    }
}

// === impl SessionTable ===

impl SessionTable {
    fn visitors(&self, prefix: Option<&str>, redis: Option<&Redis>, needs_key: bool) -> Result<Visitors, Problem> {
        let mut options = Sessions::options(self.sealing_key(needs_key)?);
        for path in &self.former_key_files {
            options = options.former_key(key_in("[session] former_key_files", path)?);
        }
        if let Some(prefix) = prefix {
            options = options.prefix(prefix);
        }
        if let Some(time) = self.idle {
            options = options.idle(time.0);
        }
        if let Some(time) = self.longest {
            options = options.longest(time.0);
        }
        if let Some(time) = self.grace {
            options = options.grace(time.0);
        }
        if let Some(bytes) = self.most_bytes {
            options = options.most_bytes(bytes);
        }
        if let Some(count) = self.most_logins {
            options = options.most_logins(count);
        }
        if self.seal_fields {
            options = options.seal_fields();
        }
        let sessions = match redis {
            Some(redis) => options.redis(redis.clone()),
            None => options.embedded(),
        };
        let layer = SessionLayer::new(sessions.clone()).outage(match self.outage {
            OutageWord::Closed => Outage::Closed,
            OutageWord::Open => Outage::Open,
        });
        let layer = if self.prefetch { layer.prefetch() } else { layer };
        let layer = layer.cookie(self.cookie()).map_err(|error| Problem::new("[session] cookie", "", error))?;
        let field =
            |name: &String| HeaderName::from_str(name).map_err(|error| Problem::new("[session] identity", name, error));
        Ok(Visitors { layer, sessions, identity: self.identity.as_ref().map(field).transpose()? })
    }

    fn sealing_key(&self, is_needed: bool) -> Result<CookieKey, Problem> {
        match (&self.key, &self.key_file) {
            (Some(_), Some(path)) => Err(Problem::new("[session] key_file", path.display(), "key is given, too")),
            // Never the value: it is the secret.
            (Some(key), None) => CookieKey::new(key).map_err(|error| Problem::new("[session] key", "…", error)),
            (None, Some(path)) => key_in("[session] key_file", path),
            (None, None) if is_needed => {
                let why = "sessions that outlive this process want a key: key, or key_file, of 32 random bytes";
                Err(Problem::new("[session] key", "", why))
            }
            (None, None) => Ok(CookieKey::random()),
        }
    }

    fn cookie(&self) -> SessionCookie {
        let mut cookie = SessionCookie::new().same_site(match self.same_site {
            SameSiteWord::Lax => SameSite::Lax,
            SameSiteWord::None => SameSite::None,
            SameSiteWord::Strict => SameSite::Strict,
        });
        if let Some(name) = &self.cookie {
            cookie = cookie.name(name);
        }
        if let Some(domain) = &self.domain {
            cookie = cookie.domain(domain);
        }
        if self.persistent {
            cookie = cookie.persistent();
        }
        if self.partitioned {
            cookie = cookie.partitioned();
        }
        if self.plain_http { cookie.dangerous_plain_http() } else { cookie }
    }
}

fn key_in(place: &'static str, path: &PathBuf) -> Result<CookieKey, Problem> {
    let bytes = std::fs::read(path).map_err(|error| Problem::new(place, path.display(), error))?;
    CookieKey::new(bytes.trim_ascii_end()).map_err(|error| Problem::new(place, path.display(), error))
}

// === impl Inside ===

impl Service<Request<Incoming>> for Inside {
    type Response = Response<EitherBody<Body>>;
    type Error = Infallible;
    type Future = Either<
        ResponseFuture<Answer<Routes>, CacheBody<OriginBody>, EitherBody<Body>, Infallible>,
        SessionFuture<Answer<Told>, Body>,
    >;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        match self {
            Self::Plain(routes) => {
                let wrap = |response| EitherBody::wrap(EitherBody::wrap(response));
                Either::Left(ResponseFuture::inner(routes.call(request), wrap))
            }
            Self::Visited(visited) => Either::Right(visited.call(request)),
        }
    }
}

// === impl Told ===

/// Always ready, as the routes are.
impl Service<Request<Incoming>> for Told {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Either<
        ResponseFuture<Answer<Routes>, CacheBody<OriginBody>, Body, Infallible>,
        BoxFuture<'static, Result<Response<Body>, Infallible>>,
    >;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Incoming>) -> Self::Future {
        let Some(field) = self.identity.clone() else {
            return Either::Left(ResponseFuture::inner(self.routes.call(request), EitherBody::wrap));
        };
        told::strip(request.headers_mut(), [&field]);
        let mut routes = self.routes.clone();
        Either::Right(Box::pin(async move {
            let session = request.extensions().get::<Session>().cloned();
            let subject = match &session {
                Some(session) => match session.peek_subject().await {
                    Ok(None) => Ok(None), // as everybody who is not logged in
                    _ => session.subject().await,
                },
                None => Ok(None),
            };
            match subject {
                Ok(None) => {}
                Ok(Some(subject)) => {
                    told::tell(request.headers_mut(), &field, &subject);
                    request.extensions_mut().insert(Identified);
                }
                // The layer answers in its place; nobody is asked for whom it is not known.
                Err(_) => return Ok(Response::new(EitherBody::own(Bytes::new()))),
            }
            routes.call(request).await.map(EitherBody::wrap)
        }))
    }
}
