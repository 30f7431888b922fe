//! The layer, and every setting it has.

use std::fmt;
use std::sync::Arc;

use buttress_core::Outage;
use http::Extensions;
use http::header::HeaderName;
use serde::de::DeserializeOwned;
use tower_layer::Layer;

use crate::csrf::Csrf;
use crate::identity::Identity;
use crate::reason::Challenges;
use crate::revocations::Revocations;
use crate::rule::Rule;
use crate::service::JwtService;
use crate::source::Sources;
use crate::token::{Jwt, Token};
use crate::verifier::Verifier;

/// Lets through whom the rules let through, and tells handlers who it is.
///
/// It goes outside of a cache, so that a token that was revoked reads nothing that lies there.
///
/// ```
/// use buttress_jwt::{JwtLayer, Revocations, Rule, Verifier};
/// use tower::Layer as _;
///
/// # fn wrap<S>(verifier: Verifier, your_service: S) -> impl Sized {
/// JwtLayer::new(verifier, Revocations::embedded())
///     .rule(Rule::open().under("/public"))
///     .rule(Rule::required().under("/admin").scope("admin"))
///     .layer(your_service) // everything else requires a token
/// # }
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct JwtLayer {
    settings: Arc<Settings>,
}

/// What the service needs to know of its layer.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) verifier: Verifier,
    pub(crate) revocations: Revocations,
    /// Those that were given, and after them the one for all the rest.
    pub(crate) rules: Vec<Rule>,
    pub(crate) sources: Sources,
    pub(crate) csrf: Csrf,
    pub(crate) identity: Identity,
    pub(crate) challenges: Challenges,
    pub(crate) keeps_token: bool,
    pub(crate) outage: Outage,
    pub(crate) typed: Option<Typed>,
}

/// Puts the claims as a type of the application into the extensions; false if they are not of that type.
pub(crate) type Typed = Arc<dyn Fn(&Token, &mut Extensions) -> bool + Send + Sync>;

// === impl JwtLayer ===

impl JwtLayer {
    /// Requires of every request a bearer token that the verifier believes and that was not revoked.
    pub fn new(verifier: Verifier, revocations: Revocations) -> Self {
        revocations.cover(verifier.reach());
        let settings = Settings {
            verifier,
            revocations,
            rules: vec![Rule::required()],
            sources: Sources { bearer: true, cookie: None, query: None },
            csrf: Csrf { field: Some(HeaderName::from_static("x-csrf-token")), origins: Vec::new() },
            identity: Identity::default(),
            challenges: Challenges::default(),
            keeps_token: false,
            outage: Outage::Closed,
            typed: None,
        };
        Self { settings: Arc::new(settings) }
    }

    /// A rule; the first that is for a request decides. Default for what no rule is for: [`Rule::required`].
    pub fn rule(mut self, rule: Rule) -> Self {
        let settings = self.set();
        settings.rules.insert(settings.rules.len() - 1, rule);
        self
    }

    /// What holds for requests that no rule is for. Default: [`Rule::required`].
    pub fn otherwise(mut self, rule: Rule) -> Self {
        let settings = self.set();
        settings.rules.pop();
        settings.rules.push(rule);
        self
    }

    /// Also takes a token from the cookie of this name, compared octet by octet; best one that begins with `__Host-`. Default: no.
    ///
    /// A browser adds cookies to whatever anybody has it send. So requests other than GET, HEAD, OPTIONS and TRACE must come from this
    /// very origin by what the browser says (`Sec-Fetch-Site`, `Origin`), and repeat the token's claim `csrf` in the
    /// [`csrf_field`](Self::csrf_field).
    pub fn cookie(mut self, name: impl Into<String>) -> Self {
        self.set().sources.cookie = Some(name.into());
        self
    }

    /// Where requests with a cookie repeat the token's claim `csrf`. Default: `x-csrf-token`.
    pub fn csrf_field(mut self, name: HeaderName) -> Self {
        self.set().csrf.field = Some(name);
        self
    }

    /// Believes the browser alone of where a request comes from, for tokens that have no claim `csrf`. Default: no. Browsers
    /// before 2023 say less; a request that says nothing is refused.
    pub fn csrf_by_origin_only(mut self) -> Self {
        self.set().csrf.field = None;
        self
    }

    /// Another origin whose pages may send requests with a cookie, such as `https://app.example`. Default: none.
    pub fn origin(mut self, origin: impl Into<String>) -> Self {
        self.set().csrf.origins.push(origin.into());
        self
    }

    /// Also takes a token from a parameter of the query (RFC 6750 §2.3). Default: no. **Such a token stands in logs, histories and
    /// `Referer`**: for what cannot send fields, such as `EventSource`, and with tokens of a short life.
    pub fn dangerous_query(mut self, name: impl Into<String>) -> Self {
        self.set().sources.query = Some(name.into());
        self
    }

    /// Does not look into `Authorization`, which is another's then. Default: it does.
    pub fn without_bearer(mut self) -> Self {
        self.set().sources.bearer = false;
        self
    }

    /// Tells the service behind what a claim says, in a field: a name such as `sub`, or a JSON pointer such as `/realm_access/roles`.
    /// What the client sends under that name, or one that differs only by punctuation or case, is taken out of every request. Text beyond ASCII is
    /// percent-encoded, and so is `%`. Default: none.
    pub fn identity(mut self, field: HeaderName, claim: impl AsRef<str>) -> Self {
        let claim = claim.as_ref();
        let pointer = if claim.starts_with('/') { claim.to_owned() } else { format!("/{claim}") };
        self.set().identity.add(field, pointer);
        self
    }

    /// Leaves the token in the request that goes on. Default: it is taken out, since who gets it can use it elsewhere; caches inside are told
    /// by [`buttress_core::Identified`] that the answer is for one person.
    pub fn keep_token(mut self) -> Self {
        self.set().keeps_token = true;
        self
    }

    /// Reads the claims as this type, for handlers to find as [`Jwt<T>`](Jwt) in the extensions; a token whose claims are not of the type is
    /// refused. Default: none; [`Token::claims`] has them as they stand.
    pub fn claims<T: DeserializeOwned + Send + Sync + 'static>(mut self) -> Self {
        self.set().typed = Some(Arc::new(|token, extensions| match Jwt::<T>::of(token) {
            Ok(claims) => {
                extensions.insert(claims);
                true
            }
            Err(_) => false,
        }));
        self
    }

    /// What challenges name as the protected area. Default: none.
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.set().challenges.realm = Some(realm.into());
        self
    }

    /// Where the metadata of this resource lies (RFC 9728), for challenges to name. Default: none.
    pub fn resource_metadata(mut self, url: impl Into<String>) -> Self {
        self.set().challenges.resource_metadata = Some(url.into());
        self
    }

    /// What becomes of a good token of which nobody can say whether it was revoked: see *When Redis is away* at
    /// [`Revocations`](Revocations#when-redis-is-away). Default: [`Outage::Closed`], 503; never 401, which would have clients throw good tokens away.
    pub fn outage(mut self, outage: Outage) -> Self {
        self.set().outage = outage;
        self
    }

    fn set(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }
}

impl<S> Layer<S> for JwtLayer {
    type Service = JwtService<S>;

    fn layer(&self, inner: S) -> JwtService<S> {
        JwtService::new(inner, Arc::clone(&self.settings))
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("verifier", &self.verifier)
            .field("revocations", &self.revocations)
            .field("rules", &self.rules)
            .field("sources", &self.sources)
            .field("outage", &self.outage)
            .finish_non_exhaustive()
    }
}
