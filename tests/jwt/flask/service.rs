//! [`Flask`]: the real flask-jwt-extended, as a process of its own for one test.

use buttress_tests::{PythonPackages, PythonService, RedisServer};

/// What the service is signed with, unless a test says otherwise.
pub(crate) const SECRET: &str = "Wm6Zq3sXb0uT9eRk4yVh7LpJc2NfGd8A1oQiEtKxSvY";

const APP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/jwt/flask/app.py");
const REQUIREMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/jwt/flask/requirements.txt");

static PACKAGES: PythonPackages = PythonPackages::new("flask-jwt-extended", REQUIREMENTS, env!("CARGO_TARGET_TMPDIR"));

/// The old service.
pub(crate) struct Flask(PythonService);

impl Flask {
    /// Starts it with this Redis and these settings of Flask. None if the tests were told to go without.
    pub(crate) fn start(redis: &RedisServer, settings: &[(&str, &str)]) -> Option<Self> {
        let ours = [("REDIS_URL".to_owned(), redis.url()), ("FLASK_JWT_SECRET_KEY".to_owned(), SECRET.to_owned())];
        let settings = settings.iter().map(|(name, value)| (format!("FLASK_{name}"), (*value).to_owned()));
        PythonService::start(&PACKAGES, APP, ours.into_iter().chain(settings)).map(Self)
    }

    pub(crate) fn url(&self) -> &str {
        self.0.url()
    }
}
