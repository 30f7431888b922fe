//! A browser with its cookies, and applications for it to ask.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use buttress::session::{CookieKey, Session, SessionError, SessionLayer, Sessions, SessionsOptions};
use buttress_tests::RedisServer;
use bytes::Bytes;
use http::header::{COOKIE, SET_COOKIE};
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, ServiceExt as _};

pub(crate) type Answer = Response<Full<Bytes>>;

/// Good for all tests: what is sealed in one is believed in another.
pub(crate) fn key() -> CookieKey {
    CookieKey::new(std::array::from_fn::<u8, 32, _>(|n| u8::try_from(n).expect("small") ^ 0x5a)).expect("a key")
}

/// Runs a check with sessions in memory, and with sessions in Redis.
pub(crate) async fn both(options: impl Fn(SessionsOptions) -> SessionsOptions, check: impl AsyncFn(Sessions)) {
    check(options(Sessions::options(key())).embedded()).await;
    let server = RedisServer::start();
    check(crate::bed::patient(options(Sessions::options(key())), &server.url())).await;
}

/// What is asked of an application, as a path.
pub(crate) struct Browser {
    layer: SessionLayer,
    jar: Mutex<BTreeMap<String, String>>,
}

/// What an application answers to a path.
pub(crate) type Handler = Arc<dyn Fn(String, Session) -> Answering + Send + Sync>;
pub(crate) type Answering = std::pin::Pin<Box<dyn Future<Output = Result<Answer, SessionError>> + Send>>;

/// A handler out of an async closure.
pub(crate) fn handler<F, T>(answer: F) -> Handler
where
    F: Fn(String, Session) -> T + Send + Sync + 'static,
    T: Future<Output = Result<Answer, SessionError>> + Send + 'static,
{
    Arc::new(move |path, session| Box::pin(answer(path, session)))
}

pub(crate) fn text(text: impl Into<String>) -> Answer {
    Response::new(Full::new(text.into().into()))
}

// === impl Browser ===

impl Browser {
    pub(crate) fn new(layer: &SessionLayer) -> Self {
        Self { layer: layer.clone(), jar: Mutex::default() }
    }

    /// Another one with the same cookies.
    pub(crate) fn stolen(&self) -> Self {
        self.with(&self.layer)
    }

    /// The same one before another server.
    pub(crate) fn with(&self, layer: &SessionLayer) -> Self {
        Self { layer: layer.clone(), jar: Mutex::new(self.jar.lock().unwrap().clone()) }
    }

    /// A cookie that somebody else has set.
    pub(crate) fn plant(&self, name: &str, value: &str) {
        self.jar.lock().unwrap().insert(name.to_owned(), value.to_owned());
    }

    /// The cookie with its value, if the browser has one.
    pub(crate) fn cookie(&self) -> Option<String> {
        self.jar.lock().unwrap().iter().next().map(|(name, value)| format!("{name}={value}"))
    }

    /// Asks an application, and keeps the cookies that it sets.
    pub(crate) async fn ask(&self, handler: &Handler, path: &str) -> Response<Bytes> {
        let cookies: Vec<_> = self.jar.lock().unwrap().iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut request = Request::get(path).header("user-agent", "test browser");
        if !cookies.is_empty() {
            request = request.header(COOKIE, cookies.join("; "));
        }
        let handler = Arc::clone(handler);
        let service = tower::service_fn(move |request: Request<()>| {
            let session = request.extensions().get::<Session>().expect("a session").clone();
            let path = request.uri().path().to_owned();
            let answer = handler(path, session);
            async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(refused)) }
        });
        let response = self.layer.layer(service).oneshot(request.body(()).expect("a request")).await;
        let (parts, body) = response.unwrap_or_else(|never| match never {}).into_parts();
        for line in parts.headers.get_all(SET_COOKIE) {
            self.keep(line.to_str().expect("text"));
        }
        Response::from_parts(parts, body.collect().await.expect("a body").to_bytes())
    }

    fn keep(&self, line: &str) {
        let (name, rest) = line.split_once('=').expect("a cookie");
        let value = rest.split(';').next().expect("a value");
        let mut jar = self.jar.lock().unwrap();
        if rest.contains("; Max-Age=0") {
            jar.remove(name);
        } else {
            jar.insert(name.to_owned(), value.to_owned());
        }
    }
}

/// As an application answers an error of the session that it does not expect.
fn refused(error: SessionError) -> Answer {
    let mut response = text(error.to_string());
    *response.status_mut() = error.kind().status();
    response
}

/// The answer's status and body.
pub(crate) fn said(response: &Response<Bytes>) -> (u16, &str) {
    (response.status().as_u16(), std::str::from_utf8(response.body()).expect("text"))
}

/// All that lies in a Redis, as text.
pub(crate) fn at_rest(server: &RedisServer) -> String {
    let keys = server.cli(&["KEYS", "*"]);
    let hash = |key: String| {
        let fields = server.cli(&["HGETALL", &key]);
        let fields: Vec<_> = fields.array().iter().map(buttress_tests::Reply::text).collect();
        format!("{key} {}", fields.join(" "))
    };
    keys.array().iter().map(|key| hash(key.text())).collect::<Vec<_>>().join("\n")
}
