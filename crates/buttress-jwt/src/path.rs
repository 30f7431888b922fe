//! A path, as the servers behind may read it.
//!
//! A rule for `/admin` is worth nothing if `/public/..%2fadmin` falls under another and is served as that. Nobody knows how the service
//! behind reads a path; so all usual readings are asked, and a request whose readings fall under different rules is refused.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// Every way in which a path may be read: as it stands, decoded and resolved, and without the parameters of its segments.
pub(crate) fn readings(path: &str) -> impl Iterator<Item = Cow<'_, str>> {
    let plain = is_plain(path);
    let resolved = (!plain).then(|| Cow::Owned(resolve(path, false)));
    let bare = (!plain).then(|| Cow::Owned(resolve(path, true)));
    std::iter::once(Cow::Borrowed(path)).chain(resolved).chain(bare)
}

/// Whether a path lies under a prefix: `/a` holds `/a` and `/a/b`, not `/ab`.
pub(crate) fn is_under(path: &str, prefix: &str) -> bool {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether there is only one way to read it.
fn is_plain(path: &str) -> bool {
    let odd = path.bytes().any(|byte| matches!(byte, b'%' | b'\\' | b';'));
    !odd && !path.contains("//") && !path.contains("/.")
}

/// Decoded as often as there is something to decode, slashes of both kinds taken for one, dots resolved.
fn resolve(path: &str, bare: bool) -> String {
    let mut text = path.to_owned();
    for _ in 0..3 {
        let decoded = percent_decode_str(&text).decode_utf8_lossy().into_owned();
        if decoded == text {
            break;
        }
        text = decoded;
    }
    let mut segments: Vec<&str> = Vec::new();
    for segment in text.split(['/', '\\']) {
        let name = if bare { segment.split(';').next().unwrap_or_default() } else { segment };
        match name {
            "" | "." => {}
            ".." => drop(segments.pop()),
            name => segments.push(name),
        }
    }
    let slash = if text.ends_with('/') && !segments.is_empty() { "/" } else { "" };
    format!("/{}{slash}", segments.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_where_a_segment_does() {
        for (path, prefix, expected) in [
            ("/a", "/a", true),
            ("/a/", "/a", true),
            ("/a/b", "/a", true),
            ("/ab", "/a", false),
            ("/a", "/a/", true),
            ("/a/b", "/a/", true),
            ("/anything", "/", true),
            ("/", "/", true),
        ] {
            assert_eq!(is_under(path, prefix), expected, "{path} under {prefix}");
        }
    }

    #[test]
    fn every_reading_is_found() {
        let admin = |path: &str| readings(path).map(|reading| is_under(&reading, "/admin")).collect::<Vec<_>>();
        for path in [
            "/%61dmin",
            "/%2561dmin",
            "//admin",
            "/./admin",
            "/x/../admin",
            "/x/..%2fadmin",
            "/x/%2e%2e/admin",
            "/x%2f..%2fadmin",
            "/x\\..\\admin",
            "/x%5c..%5cadmin",
            "/admin;a=b/c",
            "/;a/admin",
            "/x;a/../admin",
            "/x/..;/admin",
        ] {
            assert!(admin(path).contains(&true), "{path}");
        }
        assert_eq!(admin("/admin/x"), [true]);
        assert_eq!(admin("/admin/a%20b"), [true, true, true]);
        assert_eq!(admin("/x/a%20b//c"), [false, false, false]);
        assert_eq!(admin("/../../admin/x").last(), Some(&true));
    }
}
