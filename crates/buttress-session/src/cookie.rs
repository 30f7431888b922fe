//! The cookie that carries a session's id: how it is set, and what of it is refused.

use std::fmt;

use http::header::HeaderValue;

/// How the cookie is set. It holds nothing but the sealed id.
///
/// ```
/// use buttress_session::{SameSite, SessionCookie};
///
/// let cookie = SessionCookie::new(); // __Host-sid; Secure; HttpOnly; SameSite=Lax; until the browser is closed
/// let embedded = SessionCookie::new().same_site(SameSite::None).partitioned();
/// let develop = SessionCookie::new().dangerous_plain_http(); // sid, without Secure
/// # let _ = (cookie, embedded, develop);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub struct SessionCookie {
    name: Option<String>,
    domain: Option<String>,
    path: String,
    same_site: SameSite,
    secure: bool,
    persistent: bool,
    partitioned: bool,
}

/// On which requests from pages of other sites the browser sends the cookie.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum SameSite {
    /// On links that are followed, not on forms that are posted. What a login at another place comes back by needs it.
    #[default]
    Lax,
    /// On all; for what is embedded in pages of others, best together with [`SessionCookie::partitioned`].
    None,
    /// On none: a link from elsewhere opens the page as a stranger's.
    Strict,
}

/// A cookie that no browser would keep, or not as it says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CookieError {
    name: String,
    problem: &'static str,
}

/// A cookie whose parts agree with each other.
#[derive(Clone, Debug)]
pub(crate) struct CookieLine {
    pub(crate) name: String,
    /// What follows the value.
    attributes: String,
    persistent: bool,
}

const NAME: &str = "__Host-sid";
const PLAIN_NAME: &str = "sid";

// === impl SessionCookie ===

impl SessionCookie {
    /// `__Host-sid`, which only this host can set, over TLS: `Secure`, `HttpOnly`, `SameSite=Lax`, forgotten when the browser is closed.
    pub fn new() -> Self {
        Self {
            name: None,
            domain: None,
            path: "/".to_owned(),
            same_site: SameSite::Lax,
            secure: true,
            persistent: false,
            partitioned: false,
        }
    }

    /// Another name. Default: `__Host-sid`, over plain http `sid`. A name without `__Host-` can be set by every neighbour of this host. Two layers
    /// with one name are one session.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// All hosts below this domain share the cookie, and each of them can set it. Default: this host alone. Not with a `__Host-` name.
    pub fn domain(mut self, domain: impl Into<String>) -> Self {
        self.domain = Some(domain.into());
        self
    }

    /// Below which path the browser sends it. Default: `/`. It protects from nobody: pages of other paths can ask for it.
    pub fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    /// Default: [`SameSite::Lax`].
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.same_site = same_site;
        self
    }

    /// Kept when the browser is closed (`Max-Age`, the time that the session may live at the longest). Default: no. Whether a session is good is never
    /// the browser's word.
    pub fn persistent(mut self) -> Self {
        self.persistent = true;
        self
    }

    /// One cookie for each site that embeds this one (CHIPS). Default: no.
    pub fn partitioned(mut self) -> Self {
        self.partitioned = true;
        self
    }

    /// Without `Secure`, for development over plain http. **Whoever is on the way takes the session over.**
    pub fn dangerous_plain_http(mut self) -> Self {
        self.secure = false;
        self
    }

    pub(crate) fn line(&self) -> Result<CookieLine, CookieError> {
        let name = self.name.as_deref().unwrap_or(if self.secure { NAME } else { PLAIN_NAME });
        if let Some(problem) = self.problem(name) {
            return Err(CookieError { name: name.to_owned(), problem });
        }
        let domain = self.domain.as_deref().map(|domain| format!("; Domain={domain}")).unwrap_or_default();
        let path = &self.path;
        let secure = if self.secure { "; Secure" } else { "" };
        let same_site = self.same_site.as_str();
        let partitioned = if self.partitioned { "; Partitioned" } else { "" };
        let attributes = format!("{domain}; Path={path}{secure}; HttpOnly; SameSite={same_site}{partitioned}");
        Ok(CookieLine { name: name.to_owned(), attributes, persistent: self.persistent })
    }

    /// RFC 6265bis §4.1 and §5.7, and what the draft of layered cookies adds to the prefixes.
    fn problem(&self, name: &str) -> Option<&'static str> {
        let starts = |prefix: &str| name.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
        let for_host = starts("__Host-");
        let is_value = |text: &str| text.bytes().all(|byte| matches!(byte, b'!'..=b'~') && byte != b';');
        match () {
            () if name.is_empty() || !name.bytes().all(is_token) => Some("a name is a token (RFC 9110 §5.6.2)"),
            () if for_host && !self.secure => Some("`__Host-` wants `Secure`: over plain http take another name"),
            () if for_host && self.domain.is_some() => Some("`__Host-` is for one host: it goes without `Domain`"),
            () if for_host && self.path != "/" => Some("`__Host-` wants the path `/`"),
            () if (starts("__Secure-") || starts("__Http-")) && !self.secure => Some("its prefix wants `Secure`"),
            () if self.same_site == SameSite::None && !self.secure => Some("`SameSite=None` wants `Secure`"),
            () if self.partitioned && !self.secure => Some("`Partitioned` wants `Secure`"),
            () if !self.path.starts_with('/') || !is_value(&self.path) => Some("a path begins with `/`, without `;`"),
            () if self.domain.as_deref().is_some_and(|domain| !is_host(domain)) => Some("the domain is no host name"),
            () => None,
        }
    }
}

impl Default for SessionCookie {
    fn default() -> Self {
        Self::new()
    }
}

// === impl SameSite ===

impl SameSite {
    /// As the attribute has it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lax => "Lax",
            Self::None => "None",
            Self::Strict => "Strict",
        }
    }
}

// === impl CookieLine ===

impl CookieLine {
    /// Sets it; `longest` is how many seconds the session can live from now.
    pub(crate) fn set(&self, sealed: &str, longest: u64) -> HeaderValue {
        let age = if self.persistent { format!("; Max-Age={longest}") } else { String::new() };
        self.value(sealed, &age)
    }

    /// Takes it back: with the same name, domain and path, or the browser keeps it.
    pub(crate) fn unset(&self) -> HeaderValue {
        self.value("", "; Max-Age=0")
    }

    fn value(&self, value: &str, age: &str) -> HeaderValue {
        let line = format!("{}={value}{}{age}", self.name, self.attributes);
        let mut line = HeaderValue::try_from(line).expect("each part was checked when the cookie was built");
        line.set_sensitive(true);
        line
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

fn is_host(domain: &str) -> bool {
    let labels = domain.split('.');
    let is_label = |label: &str| !label.is_empty() && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    !domain.is_empty() && labels.into_iter().all(is_label)
}

// === impl CookieError ===

impl fmt::Display for CookieError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the cookie `{}` cannot be: {}", self.name.escape_default(), self.problem)
    }
}

impl std::error::Error for CookieError {}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(cookie: &SessionCookie) -> String {
        cookie.line().unwrap().set("v", 60).to_str().unwrap().to_owned()
    }

    #[test]
    fn it_is_set_as_it_says() {
        let new = SessionCookie::new;
        for (cookie, expected) in [
            (new(), "__Host-sid=v; Path=/; Secure; HttpOnly; SameSite=Lax"),
            (new().persistent(), "__Host-sid=v; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=60"),
            (new().dangerous_plain_http(), "sid=v; Path=/; HttpOnly; SameSite=Lax"),
            (new().same_site(SameSite::Strict), "__Host-sid=v; Path=/; Secure; HttpOnly; SameSite=Strict"),
            (
                new().same_site(SameSite::None).partitioned(),
                "__Host-sid=v; Path=/; Secure; HttpOnly; SameSite=None; Partitioned",
            ),
            (
                new().name("__Secure-sid").domain("shop.example").path("/a"),
                "__Secure-sid=v; Domain=shop.example; Path=/a; Secure; HttpOnly; SameSite=Lax",
            ),
        ] {
            assert_eq!(set(&cookie), expected);
        }
        let gone = SessionCookie::new().name("s").domain("a.example").path("/a").line().unwrap().unset();
        assert_eq!(gone, "s=; Domain=a.example; Path=/a; Secure; HttpOnly; SameSite=Lax; Max-Age=0");
    }

    #[test]
    fn what_no_browser_would_keep_is_refused() {
        let new = SessionCookie::new;
        for (cookie, hint) in [
            (new().name(""), "token"),
            (new().name("a b"), "token"),
            (new().name("a=b"), "token"),
            (new().name("s\u{2000}"), "token"),
            (new().name("__Host-sid").dangerous_plain_http(), "Secure"),
            (new().name("__hOST-sid").dangerous_plain_http(), "Secure"),
            (new().domain("shop.example"), "Domain"),
            (new().path("/a"), "path"),
            (new().name("__Secure-sid").dangerous_plain_http(), "Secure"),
            (new().name("__Http-sid").dangerous_plain_http(), "Secure"),
            (new().same_site(SameSite::None).dangerous_plain_http(), "SameSite"),
            (new().partitioned().dangerous_plain_http(), "Partitioned"),
            (new().name("s").path("a"), "path"),
            (new().name("s").path("/;Domain=evil.example"), "path"),
            (new().name("s").path("/\r\nx: y"), "path"),
            (new().name("s").domain(""), "domain"),
            (new().name("s").domain("a.example; Secure"), "domain"),
            (new().name("s").domain(".a..b"), "domain"),
        ] {
            let error = cookie.line().unwrap_err().to_string();
            assert!(error.contains(hint), "{error}");
        }
    }
}
