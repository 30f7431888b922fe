//! References against the URI they stand in (RFC 3986 section 5).

use http::Uri;
use http::uri::{Parts, PathAndQuery, Scheme};

/// A reference of any form, such as a `Location`, as a URI; its fragment is dropped.
///
/// A target of the same origin gets the scheme and authority exactly as `base` writes them, so that the keys of a cache
/// agree. `None` when the reference is malformed, or of a scheme without authority.
pub fn resolve(base: &Uri, reference: &[u8]) -> Option<Uri> {
    let text = std::str::from_utf8(reference).ok()?.trim_ascii();
    let text = text.split('#').next().unwrap_or_default();
    if let Some(rest) = text.strip_prefix("//") {
        return absolute(base, &format!("{}://{rest}", base.scheme_str()?));
    }
    if has_scheme(text) {
        return absolute(base, text);
    }
    let (path, query) = match text.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (text, None),
    };
    match path {
        "" => with_path(base, base.path(), query.or(base.query())),
        path if path.starts_with('/') => with_path(base, &without_dots(path), query),
        path => with_path(base, &without_dots(&merged(base.path(), path)), query),
    }
}

/// Whether scheme, host and port are the same, with the scheme's default port written or not (RFC 6454 section 5).
///
/// Two URIs without an authority, paths alone, are of the same origin.
pub fn is_same_origin(a: &Uri, b: &Uri) -> bool {
    match (a.host(), b.host()) {
        (Some(host_a), Some(host_b)) => {
            a.scheme() == b.scheme() && host_a.eq_ignore_ascii_case(host_b) && port(a) == port(b)
        }
        (host_a, host_b) => host_a.is_none() && host_b.is_none() && a.scheme() == b.scheme(),
    }
}

fn port(uri: &Uri) -> Option<u16> {
    let default = match uri.scheme() {
        Some(scheme) if *scheme == Scheme::HTTP => Some(80),
        Some(scheme) if *scheme == Scheme::HTTPS => Some(443),
        _ => None,
    };
    uri.port_u16().or(default)
}

fn absolute(base: &Uri, text: &str) -> Option<Uri> {
    let uri: Uri = text.parse().ok()?;
    uri.authority()?;
    let path = without_dots(uri.path());
    with_path(if is_same_origin(base, &uri) { base } else { &uri }, &path, uri.query())
}

/// This scheme and authority with that path and query.
fn with_path(origin: &Uri, path: &str, query: Option<&str>) -> Option<Uri> {
    let text = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = Parts::default();
    parts.scheme = origin.scheme().cloned();
    parts.authority = origin.authority().cloned();
    parts.path_and_query = Some(PathAndQuery::try_from(text).ok()?);
    Uri::from_parts(parts).ok()
}

/// Whether it begins with a scheme (section 3.1), so that it is not relative.
fn has_scheme(text: &str) -> bool {
    text.split_once(':').is_some_and(|(scheme, _)| {
        scheme.starts_with(|first: char| first.is_ascii_alphabetic())
            && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    })
}

/// The reference's path in place of what follows the last slash of the base's path (section 5.2.3).
fn merged(base: &str, path: &str) -> String {
    let folder = base.rfind('/').map_or("/", |slash| &base[..=slash]);
    format!("{folder}{path}")
}

/// The path without its `.` and `..` segments (section 5.2.4).
fn without_dots(path: &str) -> String {
    let mut kept: Vec<&str> = Vec::new();
    let mut segments = path.strip_prefix('/').unwrap_or(path).split('/').peekable();
    while let Some(segment) = segments.next() {
        let is_last = segments.peek().is_none();
        match segment {
            "." | ".." => {
                if segment == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push(""); // what remains is a folder
                }
            }
            segment => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(base: &str, reference: &str, expected: Option<&str>) {
        let base: Uri = base.parse().expect("a URI");
        let found = resolve(&base, reference.as_bytes()).map(|uri| uri.to_string());
        assert_eq!(found.as_deref(), expected, "{base} {reference}");
    }

    /// The examples of RFC 3986 sections 5.4.1 and 5.4.2, but for `;p`, fragments and schemes without authority.
    #[test]
    fn rfc3986_5_4_examples() {
        for (reference, expected) in [
            ("g", "http://a/b/c/g"),
            ("./g", "http://a/b/c/g"),
            ("g/", "http://a/b/c/g/"),
            ("/g", "http://a/g"),
            ("//g", "http://g/"),
            ("?y", "http://a/b/c/d;p?y"),
            ("g?y", "http://a/b/c/g?y"),
            ("#s", "http://a/b/c/d;p?q"),
            ("g#s", "http://a/b/c/g"),
            ("g?y#s", "http://a/b/c/g?y"),
            (";x", "http://a/b/c/;x"),
            ("g;x=1/../y", "http://a/b/c/y"),
            ("", "http://a/b/c/d;p?q"),
            (".", "http://a/b/c/"),
            ("./", "http://a/b/c/"),
            ("..", "http://a/b/"),
            ("../g", "http://a/b/g"),
            ("../..", "http://a/"),
            ("../../g", "http://a/g"),
            ("../../../g", "http://a/g"),
            ("/./g", "http://a/g"),
            ("/../g", "http://a/g"),
            ("g.", "http://a/b/c/g."),
            ("..g", "http://a/b/c/..g"),
            ("./g/.", "http://a/b/c/g/"),
            ("g/./h", "http://a/b/c/g/h"),
            ("g/../h", "http://a/b/c/h"),
            ("g?y/../x", "http://a/b/c/g?y/../x"),
            ("http://x/./y", "http://x/y"),
        ] {
            check("http://a/b/c/d;p?q", reference, Some(expected));
        }
    }

    #[test]
    fn odd_references() {
        check("http://a", "g", Some("http://a/g"));
        check("http://a:80/x", "HTTP://A/y", Some("http://a:80/y"));
        check("https://a/x", "https://a:443/y", Some("https://a/y"));
        check("http://[::1]:8080/x", "y", Some("http://[::1]:8080/y"));
        check("http://a/b//c", "d", Some("http://a/b//d"));
        check("http://a/", "//", None);
        check("http://a/", "mailto:x@a", None);
        check("http://a/", "http:g", None);
        check("http://a/", "b c", None);
        check("/x/y", "z", Some("/x/z"));
        check("/x/y", "//a/z", None);
        check("http://a/", " /padded ", Some("http://a/padded"));
        assert_eq!(resolve(&Uri::from_static("http://a/"), b"\xff"), None);
    }

    #[test]
    fn rfc6454_5_origins() {
        for (a, b, same) in [
            ("http://a/x", "http://A:80/y", true),
            ("https://a:443/", "https://a/", true),
            ("http://a/", "https://a/", false),
            ("http://a:443/", "https://a/", false),
            ("http://a/", "http://a:81/", false),
            ("http://a/", "http://b/", false),
            ("/x", "/y", true),
            ("/x", "http://a/", false),
            ("http://u@a/", "http://a/", true),
        ] {
            let (a, b): (Uri, Uri) = (a.parse().expect("a URI"), b.parse().expect("a URI"));
            assert_eq!(is_same_origin(&a, &b), same, "{a} {b}");
            assert_eq!(is_same_origin(&b, &a), same, "{b} {a}");
        }
    }
}
