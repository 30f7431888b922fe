//! Ready services: log in, refresh, log out, revoke, and what is published.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use buttress_core::BoxError;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body::Body;
use http_body_util::Full;
use serde_json::json;
use tower_service::Service;

use crate::credentials::Credentials;
use crate::csrf::Csrf;
use crate::endpoint_reply as reply;
use crate::issuer::Issuer;
use crate::login::Login;
use crate::refresh::RefreshError;
use crate::revocations::Standing;
use crate::source::{Place, Sources};
use crate::token::Token;
use crate::token_cookies::TokenCookies;
use crate::tokens::Tokens;
use crate::verifier::Verifier;

/// Log in, refresh, log out: a service to mount beside your own. Cheap to clone.
///
/// | request | does |
/// |---|---|
/// | `POST /auth/login` | asks your hook who that is, and gives tokens |
/// | `POST /auth/refresh` | exchanges the refresh token |
/// | `POST /auth/logout` | ends the login |
/// | `POST /auth/logout-everywhere` | ends all logins of the subject |
/// | `POST /auth/revoke` | ends what a token stands for (RFC 7009) |
/// | `GET /auth/jwks.json` | the public keys (RFC 7517) |
/// | `GET /.well-known/oauth-protected-resource` | what this resource is and whose tokens it takes (RFC 9728) |
///
/// Tokens travel in [cookies](TokenCookies), or with [`in_body`](Self::in_body) in JSON (RFC 6749 §5.1). Bodies are JSON objects of texts or forms, of 8 KiB
/// at most; what the hook is given is their fields. How often somebody may try is the hook's business, or that of a layer around.
///
/// ```
/// use buttress_jwt::{Credentials, Issuer, Login, TokenEndpoints};
///
/// # fn service(issuer: Issuer) {
/// let endpoints = TokenEndpoints::new(issuer, |credentials: Credentials| async move {
///     let known = credentials.get("username") == Some("ada") && credentials.get("password") == Some("lovelace");
///     Ok(known.then(|| Login::new("ada")))
/// });
/// # let _ = endpoints;
/// # }
/// ```
#[derive(Clone)]
pub struct TokenEndpoints {
    settings: Arc<Settings>,
}

#[derive(Clone)]
struct Settings {
    issuer: Issuer,
    verifier: Verifier,
    hook: Hook,
    prefix: String,
    cookies: Option<TokenCookies>,
    sources: Sources,
    csrf: Csrf,
    resource: Option<String>,
}

type Hook =
    Arc<dyn Fn(Credentials) -> Pin<Box<dyn Future<Output = Result<Option<Login>, BoxError>> + Send>> + Send + Sync>;

const CSRF_FIELD: HeaderName = HeaderName::from_static("x-csrf-token");

// === impl TokenEndpoints ===

impl TokenEndpoints {
    /// Under `/auth`, with tokens in cookies. The hook says who has sent these credentials, or nobody; its errors become 503.
    pub fn new<F>(issuer: Issuer, hook: impl Fn(Credentials) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Option<Login>, BoxError>> + Send + 'static,
    {
        let cookies = TokenCookies::new();
        let settings = Settings {
            verifier: Verifier::new([issuer.trusted()]).expect("an issuer trusts itself"),
            issuer,
            hook: Arc::new(move |credentials| Box::pin(hook(credentials))),
            prefix: String::new(),
            sources: Sources { bearer: true, cookie: None, query: None },
            cookies: None,
            csrf: Csrf { field: Some(CSRF_FIELD), origins: Vec::new() },
            resource: None,
        };
        Self { settings: Arc::new(settings) }.at("/auth").cookies(cookies)
    }

    /// Under another path; an empty one for none. Default: `/auth`.
    #[must_use]
    pub fn at(mut self, prefix: impl Into<String>) -> Self {
        let settings = self.set();
        settings.prefix = prefix.into().trim_end_matches('/').to_owned();
        let path = if settings.prefix.is_empty() { "/" } else { &settings.prefix };
        settings.cookies = settings.cookies.take().map(|cookies| cookies.refresh_path(path));
        self
    }

    /// Which cookies the tokens travel in. Default: [`TokenCookies::new`], the refresh token sent to nothing but these services.
    #[must_use]
    pub fn cookies(mut self, cookies: TokenCookies) -> Self {
        let settings = self.set();
        let path = if settings.prefix.is_empty() { "/" } else { &settings.prefix };
        settings.sources.cookie = Some(cookies.access_name().to_owned());
        settings.cookies = Some(cookies.refresh_path(path));
        self
    }

    /// Tokens travel in the body, not in cookies: for clients that are no browsers.
    #[must_use]
    pub fn in_body(mut self) -> Self {
        let settings = self.set();
        settings.cookies = None;
        settings.sources.cookie = None;
        self
    }

    /// Another origin whose pages may log in here, such as `https://app.example`. Default: none.
    #[must_use]
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.set().csrf.origins.push(origin.into());
        self
    }

    /// The URL of the resource, for its metadata (RFC 9728). Default: none, and no metadata.
    #[must_use]
    pub fn resource(mut self, url: impl Into<String>) -> Self {
        self.set().resource = Some(url.into());
        self
    }

    /// Whether a path is one of these services.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.action(path).is_some()
    }

    fn set(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }

    /// What is asked for; the prefix may have been taken off by a router.
    fn action<'a>(&self, path: &'a str) -> Option<&'a str> {
        const KNOWN: [&str; 6] = ["/login", "/refresh", "/logout", "/logout-everywhere", "/revoke", "/jwks.json"];
        const METADATA: &str = "/.well-known/oauth-protected-resource";
        let settings = &*self.settings;
        let rest = path.strip_prefix(settings.prefix.as_str()).unwrap_or(path);
        KNOWN
            .contains(&rest)
            .then_some(rest)
            .or_else(|| (path == METADATA && settings.resource.is_some()).then_some(path))
    }
}

impl<B> Service<Request<B>> for TokenEndpoints
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let this = self.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let response = this.answer(&parts, body).await.unwrap_or_else(reply::Refused::response);
            let mut response = response.map(Full::new);
            response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
            Ok(response)
        })
    }
}

impl TokenEndpoints {
    async fn answer<B>(&self, parts: &Parts, body: B) -> Result<Response<Bytes>, reply::Refused>
    where
        B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
    {
        let settings = &*self.settings;
        let action = self.action(parts.uri.path()).ok_or(reply::Refused::NotFound)?;
        if let "/jwks.json" | "/.well-known/oauth-protected-resource" = action {
            return self.published(parts, action);
        }
        if parts.method != Method::POST {
            return Err(reply::Refused::Method);
        }
        // Logging somebody in or out from a foreign page is an attack as well.
        if settings.csrf.origin(parts) == Some(false) {
            return Err(reply::Refused::CrossSite);
        }
        let credentials = Credentials::read(parts, body).await?;
        match action {
            "/login" => self.login(credentials).await,
            "/refresh" => self.refresh(parts, &credentials).await,
            "/logout" => self.logout(parts).await,
            "/logout-everywhere" => self.logout_everywhere(parts).await,
            _ => self.revoke(&credentials).await,
        }
    }

    async fn login(&self, credentials: Credentials) -> Result<Response<Bytes>, reply::Refused> {
        let known = (self.settings.hook)(credentials).await;
        let login = known.map_err(|error| {
            tracing::error!(target: "buttress_jwt", %error, "who logs in cannot be known");
            reply::Refused::Away
        })?;
        let tokens = self.settings.issuer.login(login.ok_or(reply::Refused::Credentials)?).await?;
        Ok(self.given(&tokens))
    }

    async fn refresh(&self, parts: &Parts, credentials: &Credentials) -> Result<Response<Bytes>, reply::Refused> {
        let (place, token) = self.refresh_token(parts, credentials)?;
        let (believed, _) = self.settings.issuer.believe(&token)?;
        if place == Place::Cookie {
            self.settings.csrf.check(parts, &believed).map_err(|_| reply::Refused::CrossSite)?;
        }
        match self.settings.issuer.refresh(&token).await {
            Ok(tokens) => Ok(self.given(&tokens)),
            // The cookies stay: somebody who lost a race must not throw away what the winner was given.
            Err(error) => Err(error.into()),
        }
    }

    /// Ends whatever tokens the request carries. Whoever carries none that is good is logged out already.
    async fn logout(&self, parts: &Parts) -> Result<Response<Bytes>, reply::Refused> {
        let settings = &*self.settings;
        let access = self.access_token(parts).ok().flatten();
        let refresh = self.refresh_token(parts, &Credentials::default()).ok();
        let refresh = refresh
            .and_then(|(place, token)| settings.issuer.believe(&token).ok().map(|(believed, _)| (place, believed)));
        let carried: Vec<_> = access.into_iter().chain(refresh).collect();
        let in_cookie: Vec<_> = carried.iter().filter(|(place, _)| *place == Place::Cookie).collect();
        let repeats = |(_, token): &&(Place, Token)| settings.csrf.check(parts, token).is_ok();
        if !in_cookie.is_empty() && !in_cookie.iter().any(repeats) {
            return Err(reply::Refused::CrossSite);
        }
        for (_, token) in &carried {
            settings.issuer.logout(token).await.map_err(|_| reply::Refused::Untold)?;
        }
        Ok(self.gone())
    }

    async fn logout_everywhere(&self, parts: &Parts) -> Result<Response<Bytes>, reply::Refused> {
        let settings = &*self.settings;
        let (place, token) = self.access_token(parts)?.ok_or(reply::Refused::Token)?;
        if place == Place::Cookie {
            settings.csrf.check(parts, &token).map_err(|_| reply::Refused::CrossSite)?;
        }
        match settings.issuer.standing(&token).await {
            Standing::Good => {}
            Standing::Revoked(_) => return Err(reply::Refused::Token),
            Standing::Unknown => return Err(reply::Refused::Away),
        }
        let subject = token.claims().subject().ok_or(reply::Refused::Token)?;
        settings.issuer.logout_everywhere(subject).await.map_err(|_| reply::Refused::Untold)?;
        Ok(self.gone())
    }

    /// Whoever holds a token may end it; an unknown one is no error (RFC 7009 §2.2).
    async fn revoke(&self, credentials: &Credentials) -> Result<Response<Bytes>, reply::Refused> {
        let token = credentials.get("token").ok_or(reply::Refused::Malformed)?;
        self.settings.issuer.revoke(token).await.map_err(|_| reply::Refused::Untold)?;
        Ok(reply::json(StatusCode::OK, &json!({})))
    }

    fn published(&self, parts: &Parts, action: &str) -> Result<Response<Bytes>, reply::Refused> {
        if parts.method != Method::GET && parts.method != Method::HEAD {
            return Err(reply::Refused::Method);
        }
        let settings = &*self.settings;
        let value = if action == "/jwks.json" {
            settings.issuer.jwks()
        } else {
            let servers: Vec<_> = settings.issuer.name().into_iter().collect();
            let methods = if settings.cookies.is_some() { json!([]) } else { json!(["header"]) };
            json!({
                "resource": settings.resource,
                "authorization_servers": servers,
                "bearer_methods_supported": methods,
            })
        };
        let mut response = reply::json(StatusCode::OK, &value);
        response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300"));
        Ok(response)
    }

    /// The access token of a request, if it carries one that is believed.
    fn access_token(&self, parts: &Parts) -> Result<Option<(Place, Token)>, reply::Refused> {
        let settings = &*self.settings;
        let Some((place, token)) = settings.sources.find(parts).map_err(|_| reply::Refused::Malformed)? else {
            return Ok(None);
        };
        let token = settings.verifier.verify(token, settings.issuer.now()).map_err(|_| reply::Refused::Token)?;
        Ok(Some((place, token)))
    }

    /// The refresh token of a request: in its cookie, in the body, or as a bearer.
    fn refresh_token(&self, parts: &Parts, credentials: &Credentials) -> Result<(Place, String), reply::Refused> {
        let cookie = self.settings.cookies.as_ref().map(|cookies| cookies.refresh_name().to_owned());
        let sources = Sources { bearer: true, cookie, query: None };
        let found = sources.find(parts).map_err(|_| reply::Refused::Malformed)?;
        let found = found.map(|(place, token)| (place, token.to_owned()));
        let body = credentials.get("refresh_token").map(|token| (Place::Header, token.to_owned()));
        match (found, body) {
            (Some(one), None) | (None, Some(one)) => Ok(one),
            (None, None) => Err(reply::Refused::Token),
            (Some(_), Some(_)) => Err(reply::Refused::Malformed),
        }
    }

    fn given(&self, tokens: &Tokens) -> Response<Bytes> {
        match &self.settings.cookies {
            None => reply::json(StatusCode::OK, &tokens.to_json()),
            Some(cookies) => {
                let mut response =
                    reply::json(StatusCode::OK, &json!({ "expires_in": tokens.access_lifetime.as_secs() }));
                cookies.set(tokens, response.headers_mut());
                response
            }
        }
    }

    fn gone(&self) -> Response<Bytes> {
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::NO_CONTENT;
        if let Some(cookies) = &self.settings.cookies {
            cookies.unset(response.headers_mut());
        }
        response
    }
}

impl fmt::Debug for TokenEndpoints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenEndpoints")
            .field("issuer", &self.settings.issuer)
            .field("at", &self.settings.prefix)
            .finish_non_exhaustive()
    }
}

impl From<RefreshError> for reply::Refused {
    fn from(error: RefreshError) -> Self {
        match error {
            RefreshError::Invalid(_) | RefreshError::Ended | RefreshError::Reused => Self::Grant,
            RefreshError::Away(_) | RefreshError::Signature => Self::Away,
        }
    }
}
