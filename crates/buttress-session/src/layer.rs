//! The layer, and every setting it has.

use std::fmt;
use std::sync::Arc;

use buttress_core::Outage;
use http::header::{HeaderValue, USER_AGENT};
use http::request::Parts;
use tower_layer::Layer;

use crate::cookie::{CookieError, CookieLine, SessionCookie};
use crate::id::Sealer;
use crate::service::SessionService;
use crate::sessions::Sessions;

/// Gives each request its [`Session`](crate::Session), and keeps what was done to it before the response begins.
///
/// ```
/// use buttress_session::{CookieKey, SessionLayer, Sessions};
/// use tower::Layer as _;
///
/// # fn wrap<S>(your_service: S) -> impl Sized {
/// SessionLayer::new(Sessions::embedded(CookieKey::random())).layer(your_service)
/// # }
/// ```
#[derive(Clone)]
#[must_use]
pub struct SessionLayer {
    settings: Arc<Settings>,
}

/// What the service needs to know of its layer.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) sessions: Sessions,
    pub(crate) cookie: CookieLine,
    pub(crate) sealer: Sealer,
    pub(crate) outage: Outage,
    pub(crate) prefetches: bool,
    pub(crate) keeps_on_error: bool,
    pub(crate) ignores_ended: bool,
    pub(crate) keeps_cookie: bool,
    pub(crate) clears: Option<HeaderValue>,
    label: Option<Label>,
}

type Label = Arc<dyn Fn(&Parts) -> String + Send + Sync>;

/// The longest label.
const LONGEST_LABEL: usize = 200;

// === impl SessionLayer ===

impl SessionLayer {
    /// Sessions with a cookie as [`SessionCookie::new`] has it.
    pub fn new(sessions: Sessions) -> Self {
        let cookie = SessionCookie::new().line().expect("the default is a cookie that browsers keep");
        let sealer = Sealer::new(&sessions.shared.keys, &cookie.name);
        let settings = Settings {
            sessions,
            cookie,
            sealer,
            outage: Outage::Closed,
            prefetches: false,
            keeps_on_error: false,
            ignores_ended: false,
            keeps_cookie: false,
            clears: None,
            label: None,
        };
        Self { settings: Arc::new(settings) }
    }

    /// Another cookie.
    ///
    /// # Errors
    /// No browser would keep such a cookie, or not as it says.
    pub fn cookie(mut self, cookie: SessionCookie) -> Result<Self, CookieError> {
        let settings = self.set();
        settings.cookie = cookie.line()?;
        settings.sealer = Sealer::new(&settings.sessions.shared.keys, &settings.cookie.name);
        Ok(self)
    }

    /// Begins to load the session when a request with a cookie comes, rather than when a handler asks for it, so that the round trip is over by then.
    /// Default: no. It costs a round trip for requests that do not ask.
    pub fn prefetch(mut self) -> Self {
        self.set().prefetches = true;
        self
    }

    /// Keeps what was done also when the response is an error of the server. Default: no; a request that failed leaves the session as it was, and a
    /// login or a new id that failed half-way is none.
    pub fn keep_on_error(mut self) -> Self {
        self.set().keeps_on_error = true;
        self
    }

    /// Lets a response pass whose session was ended while it was made, though what was written is not kept. Default: no; it is replaced by 409, so
    /// that whoever writes learns of it.
    pub fn ignore_ended(mut self) -> Self {
        self.set().ignores_ended = true;
        self
    }

    /// What becomes of requests that ask for their session while it cannot be reached. Default: [`Outage::Closed`]: they are answered with 503,
    /// whatever the handler has made of the error. [`Outage::Open`]: they go on with an empty session that says so
    /// ([`is_unavailable`](crate::Session::is_unavailable)); what they write is an error. The cookie stays in either case.
    pub fn outage(mut self, outage: Outage) -> Self {
        self.set().outage = outage;
        self
    }

    /// Leaves the cookie in the request that goes on. Default: it is taken out, so that neither a cache nor an upstream service has a use for it: an answer
    /// depends on the session when a handler reads it, and not before ([`buttress_core::Personal`]).
    pub fn keep_cookie(mut self) -> Self {
        self.set().keeps_cookie = true;
        self
    }

    /// What browsers are told to forget when a session ends (`Clear-Site-Data`): `cache`, `cookies`, `storage`, `*`. Default: nothing; the cookie of the
    /// session is taken back in any case.
    pub fn clear_site_data(mut self, kinds: impl IntoIterator<Item = impl fmt::Display>) -> Self {
        let kinds: Vec<_> = kinds.into_iter().map(|kind| format!("\"{kind}\"")).collect();
        self.set().clears = HeaderValue::try_from(kinds.join(", ")).ok().filter(|line| !line.is_empty());
        self
    }

    /// What is noted of a device when somebody logs in, for [`Sessions::list`]; called for each request. Default: the `User-Agent`, up to 200
    /// octets.
    pub fn label(mut self, label: impl Fn(&Parts) -> String + Send + Sync + 'static) -> Self {
        self.set().label = Some(Arc::new(label));
        self
    }

    fn set(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }
}

impl<S> Layer<S> for SessionLayer {
    type Service = SessionService<S>;

    fn layer(&self, inner: S) -> SessionService<S> {
        SessionService::new(inner, Arc::clone(&self.settings))
    }
}

impl fmt::Debug for SessionLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionLayer").field("cookie", &self.settings.cookie.name).finish_non_exhaustive()
    }
}

// === impl Settings ===

impl Settings {
    /// What is noted of the device that sent this.
    pub(crate) fn label(&self, parts: &Parts) -> DeviceLabel {
        match &self.label {
            Some(label) => DeviceLabel::Said(label(parts)),
            None => DeviceLabel::Agent(parts.headers.get(USER_AGENT).cloned()),
        }
    }
}

/// What is noted of a device, made into text when somebody logs in.
#[derive(Debug)]
pub(crate) enum DeviceLabel {
    Said(String),
    Agent(Option<HeaderValue>),
}

// === impl DeviceLabel ===

impl DeviceLabel {
    /// One line, not too long.
    pub(crate) fn text(&self) -> String {
        let text = match self {
            Self::Said(text) => text.as_str().into(),
            Self::Agent(agent) => String::from_utf8_lossy(agent.as_ref().map_or(&b""[..], HeaderValue::as_bytes)),
        };
        let line = text.chars().map(|c| if c.is_control() { ' ' } else { c });
        let mut length = 0;
        line.take_while(|c| {
            length += c.len_utf8();
            length <= LONGEST_LABEL
        })
        .collect()
    }
}
