//! Request fields that a service may build its response from although caches do not look at them: they belong to the key.

use http::request;
use http::uri::Scheme;

use crate::key::{Key, without_default_port};

/// Names of request fields that services are known to build responses from although caches do not key on them.
///
/// A response made under one of these would be served to everybody (cache poisoning, Kettle 2018). When one is
/// present, it becomes part of the key. So does whatever else a proxy says in `X-Forwarded-…`: the host, the scheme, a prefix, but
/// also the user or the certificate that it has seen. `X-Forwarded-For` does not: it names the client's address.
const TREACHEROUS: [&str; 8] = [
    "x-host",
    "x-http-method",
    "x-http-method-override",
    "x-method-override",
    "x-original-host",
    "x-original-uri",
    "x-original-url",
    "x-rewrite-url",
];

impl Key {
    /// Adds what a service may look at although nothing else in the key says it.
    pub(crate) fn push_treacherous(&mut self, parts: &request::Parts, authority: &[u8], scheme: &Scheme) {
        for (name, value) in &parts.headers {
            let name = name.as_str();
            // Most fields are told by their first letter.
            match name.as_bytes().first() {
                Some(b'x') if is_treacherous(name) => {
                    self.push(name);
                    self.push(value);
                }
                // RFC 9112 section 3.2.2 lets the target decide. Who looks at `Host` all the same sees another authority.
                Some(b'h') if name == "host" && !is_same_host(value.as_bytes(), authority, scheme) => {
                    self.push(name);
                    self.push(value);
                }
                Some(b'f') if name == "forwarded" => {
                    self.push(name);
                    self.push_forwarded(value.as_bytes());
                }
                _ => {}
            }
        }
    }

    /// RFC 7239: a service may use `host` and `proto`; `for` and `by` name the client and stay out of the key.
    fn push_forwarded(&mut self, value: &[u8]) {
        for pair in value.split(|byte| matches!(byte, b';' | b',')) {
            let pair = pair.trim_ascii();
            let (name, value) = pair.split_at(pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len()));
            let is_client = [&b"for"[..], b"by"].iter().any(|client| name.eq_ignore_ascii_case(client));
            // A reader that is not strict finds a second pair behind a space.
            if !is_client || value.iter().skip(1).any(|byte| *byte == b'=') {
                self.push(pair);
            }
        }
    }
}

fn is_treacherous(name: &str) -> bool {
    let forwarded = name.strip_prefix("x-forwarded-");
    forwarded.is_some_and(|what| what != "for") || TREACHEROUS.contains(&name)
}

fn is_same_host(host: &[u8], authority: &[u8], scheme: &Scheme) -> bool {
    // Where the authority was taken from this field, they are the same bytes.
    host == authority || without_default_port(host, scheme).eq_ignore_ascii_case(authority)
}
