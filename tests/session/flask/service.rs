//! [`Flask`]: the real Flask-Session, as a process of its own for one test; and what its browsers do.

use buttress_tests::{PythonPackages, PythonService, RedisServer};
use http::HeaderMap;
use http::header::{COOKIE, HeaderValue};
use serde_json::{Value, json};

use crate::asking::ask;

/// What ids are signed with, where they are.
pub(crate) const SECRET: &str = "Wm6Zq3sXb0uT9eRk4yVh7LpJc2NfGd8A1oQiEtKxSvY";
/// The setting for that.
pub(crate) const SIGNED: [(&str, &str); 2] = [("SESSION_USE_SIGNER", "true"), ("SECRET_KEY", SECRET)];

const APP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/session/flask/app.py");
const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/session/flask/requirements.txt");

static PACKAGES: PythonPackages = PythonPackages::new("Flask-Session", REQUIREMENTS, env!("CARGO_TARGET_TMPDIR"));

/// The old service.
pub(crate) struct Flask(PythonService);

/// Somebody's browser, with the cookie of a login there.
pub(crate) struct Browser {
    url: String,
    cookie: String,
}

// === impl Flask ===

impl Flask {
    /// Starts it with this Redis and these settings of Flask. None if the tests were told to go without.
    pub(crate) fn start(redis: &RedisServer, settings: &[(&str, &str)]) -> Option<Self> {
        let settings = settings.iter().map(|(name, value)| (format!("FLASK_{name}"), (*value).to_owned()));
        let variables = settings.chain([("REDIS_URL".to_owned(), redis.url())]);
        PythonService::start(&PACKAGES, APP, variables).map(Self)
    }

    /// Logs in.
    pub(crate) async fn log_in(&self, user: &str) -> Browser {
        let body = json!({ "username": user }).to_string();
        let answer = ask(self.0.url(), "POST /login", &[("content-type", "application/json")], &body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        Browser { url: self.0.url().to_owned(), cookie: answer.cookies() }
    }
}

// === impl Browser ===

impl Browser {
    /// Asks the old service with the cookie.
    pub(crate) async fn ask(&self, what: &str) -> Value {
        let answer = ask(&self.url, what, &[("cookie", &self.cookie)], "").await;
        assert_eq!(answer.status, 200, "{what}: {}", answer.body);
        answer.body
    }

    /// Whom the old service takes it for.
    pub(crate) async fn who(&self) -> Value {
        self.ask("GET /who").await["user"].take()
    }

    /// What the browser sends to a service of ours.
    pub(crate) fn headers(&self) -> HeaderMap {
        HeaderMap::from_iter([(COOKIE, HeaderValue::from_str(&self.cookie).expect("a cookie"))])
    }

    /// The value of the cookie.
    pub(crate) fn value(&self) -> &str {
        self.cookie.split_once('=').expect("a name and a value").1
    }

    /// The id without its signature.
    pub(crate) fn id(&self) -> &str {
        self.value().split('.').next().unwrap_or_default()
    }
}
