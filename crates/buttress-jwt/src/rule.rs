//! What is asked of a request: a token or none, and what must be in it.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::Method;
use http::request::Parts;

use crate::claims::{millis, whole_millis};
use crate::path;
use crate::reason::Reason;
use crate::token::Token;

/// What is asked of the requests that it is for. The first rule of a layer that is for a request decides.
///
/// ```
/// use std::time::Duration;
/// use buttress_jwt::Rule;
///
/// let rules = [
///     Rule::open().under("/public"),
///     Rule::optional().under("/shop"),
///     Rule::required().under("/orders").method(http::Method::POST).scope("orders:write"),
///     Rule::required().under("/account/close").fresh(Duration::from_secs(300)),
///     Rule::required().under("/admin").any_role(["admin", "support"]),
/// ];
/// # let _ = rules;
/// ```
#[derive(Clone)]
#[must_use]
pub struct Rule {
    pub(crate) need: Need,
    prefix: Option<String>,
    method: Option<Method>,
    when: Option<IsFor>,
    pub(crate) scopes: Vec<String>,
    roles: Vec<String>,
    pub(crate) fresh: Option<Duration>,
    pub(crate) acr: Vec<String>,
    checks: Vec<IsFine>,
}

type IsFor = Arc<dyn Fn(&Parts) -> bool + Send + Sync>;
type IsFine = Arc<dyn Fn(&Token) -> bool + Send + Sync>;

/// Whether a token is asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Need {
    Open,
    Optional,
    Required,
}

// === impl Rule ===

impl Rule {
    /// A token must be there, and be good.
    pub fn required() -> Self {
        Self::of(Need::Required)
    }

    /// A token may be there; one that is no good is refused all the same, so that nobody is served as a stranger by mistake.
    pub fn optional() -> Self {
        Self::of(Need::Optional)
    }

    /// Nobody looks for a token. Identity fields are still stripped.
    pub fn open() -> Self {
        Self::of(Need::Open)
    }

    fn of(need: Need) -> Self {
        Self {
            need,
            prefix: None,
            method: None,
            when: None,
            scopes: Vec::new(),
            roles: Vec::new(),
            fresh: None,
            acr: Vec::new(),
            checks: Vec::new(),
        }
    }

    /// Only for paths under this one: `/a` holds `/a` and `/a/b`, not `/ab`. A path that may be read in two ways that fall under
    /// different rules (`/public/..%2fadmin`) is refused with 400.
    pub fn under(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = Some(prefix.into());
        self
    }

    /// Only for this method. A rule for GET is one for HEAD too.
    pub fn method(mut self, method: Method) -> Self {
        self.method = Some(method);
        self
    }

    /// Only for requests of which this is true.
    pub fn when(mut self, is_for: impl Fn(&Parts) -> bool + Send + Sync + 'static) -> Self {
        self.when = Some(Arc::new(is_for));
        self
    }

    /// The token must have this scope, and each further one: 403 `insufficient_scope` otherwise.
    pub fn scope(mut self, scope: impl Into<String>) -> Self {
        self.scopes.push(scope.into());
        self
    }

    /// The token must have one of these roles: 403 otherwise.
    pub fn any_role<T: Into<String>>(mut self, roles: impl IntoIterator<Item = T>) -> Self {
        self.roles.extend(roles.into_iter().map(Into::into));
        self
    }

    /// Its subject must have proved who they are within this time (`auth_time`), or for this very token (`fresh`): 401 otherwise,
    /// which asks the client to have them log in again (RFC 9470).
    pub fn fresh(mut self, within: Duration) -> Self {
        self.fresh = Some(within);
        self
    }

    /// They must have proved it in one of these ways (`acr`): 401 otherwise, which names them (RFC 9470).
    pub fn any_acr<T: Into<String>>(mut self, values: impl IntoIterator<Item = T>) -> Self {
        self.acr.extend(values.into_iter().map(Into::into));
        self
    }

    /// Something else that must be true of the token: 403 otherwise.
    pub fn check(mut self, is_fine: impl Fn(&Token) -> bool + Send + Sync + 'static) -> Self {
        self.checks.push(Arc::new(is_fine));
        self
    }

    /// Whether it is for a request whose path is read like this.
    fn is_for(&self, parts: &Parts, path: &str) -> bool {
        let get = |method: &Method| *method == Method::GET && parts.method == Method::HEAD;
        self.prefix.as_ref().is_none_or(|prefix| path::is_under(path, prefix))
            && self.method.as_ref().is_none_or(|method| *method == parts.method || get(method))
            && self.when.as_ref().is_none_or(|when| when(parts))
    }

    /// Whether a good token is enough. `roles` is where its issuer puts them.
    pub(crate) fn permits(&self, token: &Token, roles: &str, now: SystemTime) -> Result<(), Reason> {
        let claims = token.claims();
        let has_scope = |scope: &String| claims.scopes().any(|own| own == scope);
        let has_role = |role: &String| claims.words_at(roles).any(|own| own == role);
        let acr = claims.get("acr").and_then(|acr| acr.as_str());
        match () {
            () if !self.fresh.is_none_or(|within| is_fresh(token, within, now)) => Err(Reason::NotFresh),
            () if !self.acr.is_empty() && !self.acr.iter().any(|value| acr == Some(value)) => Err(Reason::NotFresh),
            () if !self.scopes.iter().all(has_scope) => Err(Reason::Scope),
            () if !self.roles.is_empty() && !self.roles.iter().any(has_role) => Err(Reason::Role),
            () if !self.checks.iter().all(|is_fine| is_fine(token)) => Err(Reason::Forbidden),
            () => Ok(()),
        }
    }
}

/// Whether the subject proved who they are lately: by `auth_time`, else by the time of issue of a token that is `fresh`.
fn is_fresh(token: &Token, within: Duration, now: SystemTime) -> bool {
    let since = match token.claims().authenticated {
        Some(time) => Some(time),
        None => token.claims().issued.filter(|_| token.is_fresh(now)),
    };
    since.is_some_and(|since| millis(now) <= since.saturating_add(whole_millis(within)))
}

/// The place of the rule for a request; the last is for all. All readings of its path must fall under one.
pub(crate) fn rule_for(rules: &[Rule], parts: &Parts) -> Result<usize, Reason> {
    let find = |path: &str| rules.iter().position(|rule| rule.is_for(parts, path));
    let mut found = path::readings(parts.uri.path()).map(|path| find(&path));
    let first = found.next().flatten();
    if found.any(|other| other != first) {
        return Err(Reason::AmbiguousPath);
    }
    Ok(first.unwrap_or(rules.len() - 1))
}

impl fmt::Debug for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rule")
            .field("need", &self.need)
            .field("under", &self.prefix)
            .field("method", &self.method)
            .field("scopes", &self.scopes)
            .field("roles", &self.roles)
            .field("fresh", &self.fresh)
            .field("acr", &self.acr)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::claims::at;
    use crate::testing::{self, NOW};
    use http::Request;

    fn need(rules: &[Rule], method: &str, target: &str) -> Result<Need, Reason> {
        let (parts, ()) = Request::builder().method(method).uri(target).body(()).unwrap().into_parts();
        rule_for(rules, &parts).map(|at| rules[at].need)
    }

    #[test]
    fn the_first_rule_that_is_for_a_request_decides() {
        let rules = [
            Rule::open().under("/public"),
            Rule::optional().under("/shop").method(Method::GET),
            Rule::open().when(|parts| parts.uri.query() == Some("ping")),
            Rule::required(),
        ];
        for (method, target, expected) in [
            ("GET", "/public/a", Ok(Need::Open)),
            ("GET", "/publicity", Ok(Need::Required)),
            ("HEAD", "/shop", Ok(Need::Optional)),
            ("POST", "/shop", Ok(Need::Required)),
            ("GET", "/x?ping", Ok(Need::Open)),
            ("GET", "/", Ok(Need::Required)),
            ("GET", "/public/../orders", Err(Reason::AmbiguousPath)),
            ("GET", "/public/%2e%2e/orders", Err(Reason::AmbiguousPath)),
            ("GET", "/public/..%2forders", Err(Reason::AmbiguousPath)),
            ("GET", "/public/a/../b", Ok(Need::Open)),
            ("GET", "/orders%2f..%2fpublic", Err(Reason::AmbiguousPath)),
            ("GET", "/%70ublic/a", Err(Reason::AmbiguousPath)),
            ("GET", "/orders/a%2fb", Ok(Need::Required)),
        ] {
            assert_eq!(need(&rules, method, target), expected, "{method} {target}");
        }
    }

    #[test]
    fn a_good_token_must_be_enough() {
        let now = NOW / 1000;
        let minute = Duration::from_secs(60);
        for (rule, claims, expected) in [
            (Rule::required(), String::new(), Ok(())),
            (Rule::required().scope("a").scope("b"), r#""scope":"b a c""#.into(), Ok(())),
            (Rule::required().scope("a").scope("b"), r#""scope":"a""#.into(), Err(Reason::Scope)),
            (Rule::required().scope("a"), r#""scope":"A aa""#.into(), Err(Reason::Scope)),
            (Rule::required().any_role(["x", "y"]), r#""roles":["y"]"#.into(), Ok(())),
            (Rule::required().any_role(["x", "y"]), r#""roles":["z"]"#.into(), Err(Reason::Role)),
            (Rule::required().fresh(minute), format!(r#""auth_time":{}"#, now - 60), Ok(())),
            (Rule::required().fresh(minute), format!(r#""auth_time":{}"#, now - 61), Err(Reason::NotFresh)),
            (Rule::required().fresh(minute), format!(r#""iat":{},"fresh":true"#, now - 60), Ok(())),
            (Rule::required().fresh(minute), format!(r#""iat":{},"fresh":true"#, now - 61), Err(Reason::NotFresh)),
            (Rule::required().fresh(minute), format!(r#""iat":{now},"fresh":false"#), Err(Reason::NotFresh)),
            (Rule::required().fresh(minute), format!(r#""iat":{now},"fresh":{}"#, now + 1), Ok(())),
            (Rule::required().fresh(minute), format!(r#""iat":{now},"fresh":{}"#, now - 1), Err(Reason::NotFresh)),
            (Rule::required().any_acr(["gold"]), r#""acr":"gold""#.into(), Ok(())),
            (Rule::required().any_acr(["gold"]), String::new(), Err(Reason::NotFresh)),
            (
                Rule::required().check(|token| token.claims().subject() == Some("x")),
                String::new(),
                Err(Reason::Forbidden),
            ),
        ] {
            assert_eq!(rule.permits(&testing::token(&claims), "/roles", at(NOW)), expected, "{rule:?} {claims}");
        }
    }
}
