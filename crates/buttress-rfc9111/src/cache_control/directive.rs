//! One directive as it is said, in either direction.

use std::fmt;
use std::time::Duration;

use http::HeaderName;

use super::error::{CacheControlError, Why};
use super::lexer::{is_token, quoted};
use super::{Extension, FieldNames, MAX_DELTA, list_of_names, parse_delta};

/// One directive of a [`CacheControl`](super::CacheControl).
///
/// Times are whole seconds, no more than [`MAX_DELTA`](super::MAX_DELTA).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Directive {
    /// One that this crate does not know.
    Extension(Extension),
    /// `immutable` (RFC 8246).
    Immutable,
    /// `max-age`.
    MaxAge(Duration),
    /// `max-stale`, of a request; without a time any staleness will do.
    MaxStale(Option<Duration>),
    /// `min-fresh`, of a request.
    MinFresh(Duration),
    /// `must-revalidate`.
    MustRevalidate,
    /// `must-understand`.
    MustUnderstand,
    /// `no-cache`, of the whole response or of some fields.
    NoCache(FieldNames),
    /// `no-store`.
    NoStore,
    /// `no-transform`.
    NoTransform,
    /// `only-if-cached`, of a request.
    OnlyIfCached,
    /// `private`, of the whole response or of some fields.
    Private(FieldNames),
    /// `proxy-revalidate`.
    ProxyRevalidate,
    /// `public`.
    Public,
    /// `s-maxage`.
    SMaxAge(Duration),
    /// `stale-if-error` (RFC 5861 section 4).
    StaleIfError(Duration),
    /// `stale-while-revalidate` (RFC 5861 section 3).
    StaleWhileRevalidate(Duration),
}

/// What stands behind a directive's name.
pub(super) enum Written<'a> {
    Nothing,
    Seconds(u64),
    Fields(&'a [HeaderName]),
    Text(&'a [u8]),
}

/// Whether a name, in lower case, is that of a directive with a meaning of its own.
pub(super) fn is_known(name: &str) -> bool {
    let probe = |argument| Directive::of(name, argument);
    !matches!(probe(None).or_else(|_| probe(Some(b"0"))), Ok(Directive::Extension(_)) | Err(Why::Name))
}

// === impl Directive ===

impl Directive {
    /// Its name, in lower case.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Extension(extension) => extension.name(),
            Self::Immutable => "immutable",
            Self::MaxAge(_) => "max-age",
            Self::MaxStale(_) => "max-stale",
            Self::MinFresh(_) => "min-fresh",
            Self::MustRevalidate => "must-revalidate",
            Self::MustUnderstand => "must-understand",
            Self::NoCache(_) => "no-cache",
            Self::NoStore => "no-store",
            Self::NoTransform => "no-transform",
            Self::OnlyIfCached => "only-if-cached",
            Self::Private(_) => "private",
            Self::ProxyRevalidate => "proxy-revalidate",
            Self::Public => "public",
            Self::SMaxAge(_) => "s-maxage",
            Self::StaleIfError(_) => "stale-if-error",
            Self::StaleWhileRevalidate(_) => "stale-while-revalidate",
        }
    }

    /// Reads the first directive of a text strictly, and what follows it. `None` if there is no more.
    pub(super) fn first(text: &[u8]) -> Option<Result<(Self, &[u8]), CacheControlError>> {
        // Empty elements are skipped (RFC 9110 section 5.6.1.2), however many there are.
        let start = text.iter().position(|byte| *byte != b',' && !byte.is_ascii_whitespace())?;
        let text = &text[start..];
        let (name, rest) = token(text);
        let read = if name.is_empty() { Err(Why::Name) } else { Self::after(name, rest) };
        Some(read.map_err(|why| CacheControlError::new(whole(text), why)))
    }

    fn after<'a>(name: &[u8], rest: &'a [u8]) -> Result<(Self, &'a [u8]), Why> {
        let is_bare = !rest.starts_with(b"=\"");
        let (argument, rest) = match rest {
            [b'=', b'"', rest @ ..] => {
                let (text, rest) = quoted(rest).ok_or(Why::Quote)?;
                (Some(text), rest)
            }
            [b'=', rest @ ..] => {
                let (text, rest) = token(rest);
                (Some(text.into()), rest)
            }
            rest => (None, rest),
        };
        let rest = match rest.trim_ascii_start() {
            [] => &[][..],
            [b',', rest @ ..] => rest,
            _ => return Err(Why::Rest),
        };
        if is_bare && argument.as_deref() == Some(b"") {
            return Err(Why::Empty);
        }
        let name = std::str::from_utf8(name).map_err(|_| Why::Name)?.to_ascii_lowercase();
        Ok((Self::of(&name, argument.as_deref())?, rest))
    }

    fn of(name: &str, argument: Option<&[u8]>) -> Result<Self, Why> {
        let time = || argument.and_then(parse_delta).ok_or(Why::Seconds);
        let fields = || match argument {
            None => Ok(FieldNames::All),
            Some(list) => {
                list_of_names(list).filter(|names| !names.is_empty()).map(FieldNames::Listed).ok_or(Why::Fields)
            }
        };
        let flag = |flag| if argument.is_none() { Ok(flag) } else { Err(Why::Argument) };
        match name {
            "immutable" => flag(Self::Immutable),
            "max-age" => time().map(Self::MaxAge),
            "max-stale" => argument.map(|_| time()).transpose().map(Self::MaxStale),
            "min-fresh" => time().map(Self::MinFresh),
            "must-revalidate" => flag(Self::MustRevalidate),
            "must-understand" => flag(Self::MustUnderstand),
            "no-cache" => fields().map(Self::NoCache),
            "no-store" => flag(Self::NoStore),
            "no-transform" => flag(Self::NoTransform),
            "only-if-cached" => flag(Self::OnlyIfCached),
            "private" => fields().map(Self::Private),
            "proxy-revalidate" => flag(Self::ProxyRevalidate),
            "public" => flag(Self::Public),
            "s-maxage" => time().map(Self::SMaxAge),
            "stale-if-error" => time().map(Self::StaleIfError),
            "stale-while-revalidate" => time().map(Self::StaleWhileRevalidate),
            name => Extension::checked(name, argument).map(Self::Extension),
        }
    }

    /// What a lenient reader kept as unknown: it may well be a directive of the other direction, whose argument that reader
    /// did not look at. A malformed one is read [as the readers of its direction do](super).
    pub(super) fn of_extension(extension: &Extension) -> Self {
        let name = extension.name();
        let restrictive = || match name {
            "max-stale" => Ok(Self::MaxStale(Some(Duration::ZERO))),
            "min-fresh" => Ok(Self::MinFresh(MAX_DELTA)),
            name => Self::of(name, None).or_else(|_| Self::of(name, Some(b"0"))),
        };
        let known = Self::of(name, extension.value()).or_else(|_| restrictive());
        known.unwrap_or_else(|_| Self::Extension(extension.clone()))
    }

    pub(super) fn argument(&self) -> Written<'_> {
        match self {
            Self::MaxAge(time)
            | Self::MaxStale(Some(time))
            | Self::MinFresh(time)
            | Self::SMaxAge(time)
            | Self::StaleIfError(time)
            | Self::StaleWhileRevalidate(time) => Written::Seconds(time.as_secs()),
            Self::NoCache(FieldNames::Listed(names)) | Self::Private(FieldNames::Listed(names)) => {
                Written::Fields(names)
            }
            Self::Extension(extension) => extension.value().map_or(Written::Nothing, Written::Text),
            _ => Written::Nothing,
        }
    }

    /// Adds it to a field's value: a token where that will do, and lists of fields always quoted (RFC 9111 section 5.2).
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.name().as_bytes());
        match self.argument() {
            Written::Nothing => {}
            Written::Seconds(seconds) => out.extend_from_slice(format!("={seconds}").as_bytes()),
            Written::Text(text) if is_token(text) => out.extend_from_slice(&[b"=", text].concat()),
            Written::Text(text) => quote(text, out),
            Written::Fields(names) => quote(joined(names).as_bytes(), out),
        }
    }
}

/// The token that a text begins with, and the rest.
fn token(text: &[u8]) -> (&[u8], &[u8]) {
    text.split_at(text.iter().take_while(|byte| is_token(&[**byte])).count())
}

/// The first element of a list, up to the comma that is not quoted.
fn whole(list: &[u8]) -> &[u8] {
    let (mut is_quoted, mut is_escaped) = (false, false);
    let end = list.iter().position(|byte| {
        let is_end = *byte == b',' && !is_quoted;
        is_quoted ^= *byte == b'"' && !is_escaped;
        is_escaped = *byte == b'\\' && is_quoted && !is_escaped;
        is_end
    });
    &list[..end.unwrap_or(list.len())]
}

pub(super) fn joined(names: &[HeaderName]) -> String {
    names.iter().map(HeaderName::as_str).collect::<Vec<_>>().join(", ")
}

fn quote(text: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"=\"");
    for byte in text {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

impl fmt::Display for Directive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = Vec::new();
        self.write(&mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}
