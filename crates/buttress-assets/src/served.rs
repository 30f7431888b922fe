//! One exchange, as rules see it: what was asked for, and what the service answered.

use std::borrow::Cow;

use buttress_rfc9111::range::ContentRange;
use http::header::HeaderMap;
use http::{Method, StatusCode, Uri};

use crate::build::{Index, Is, Seen, Vouched};
use crate::fields::{self, Fields};
use crate::kind::{self, Kind};
use crate::name;

/// What was asked for, kept until the service has answered.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    /// `Authorization` was there.
    pub(crate) authorized: bool,
    /// `Service-Worker: script`, which a browser sends when it fetches one.
    pub(crate) service_worker: bool,
}

/// What was asked for, and what the service answered: what a rule's closure looks at.
#[derive(Debug)]
pub struct Served<'a> {
    pub(crate) asked: &'a Asked,
    pub(crate) status: StatusCode,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) fields: Fields<'a>,
    /// The length of the body, where it says so itself.
    exact: Option<u64>,
    /// GET or HEAD.
    pub(crate) is_read: bool,
    /// Whether the media type can be what the extension promises.
    pub(crate) agrees: bool,
    /// How this response is the file that was read under its name, if it is.
    pub(crate) is: Option<Is<'a>>,
    /// Whether somebody vouches for the name, whatever the response is.
    is_known_hashed: bool,
    /// Whether the file lies there in other codings too.
    pub(crate) has_codings: bool,
    pub(crate) vouched: Option<Vouched>,
    path: Cow<'a, str>,
    media_type: Option<&'a str>,
    kind: Option<Kind>,
    /// The kind's place in a set; a place of its own for what is of none.
    pub(crate) kind_bit: u32,
}

// === impl Served ===

impl<'a> Served<'a> {
    /// `exact` is the length of the body, where it says so itself.
    pub(crate) fn new(
        asked: &'a Asked,
        status: StatusCode,
        headers: &'a HeaderMap,
        exact: Option<u64>,
        index: Option<&'a Index>,
    ) -> Self {
        let fields = Fields::of(headers);
        let path = crate::build::decoded(asked.uri.path());
        let media_type = fields.content_type.and_then(|value| kind::essence(value.as_bytes()));
        let (agrees, kind) = kind::of(kind::extension(&path), media_type);
        // A body that is left out, as those of HEAD and 304 are, says nothing of the length.
        let has_body = asked.method != Method::HEAD && status != StatusCode::NOT_MODIFIED;
        let exact = exact.filter(|_| has_body);
        let known = index.and_then(|index| index.file(&path));
        let is = known.and_then(|file| {
            let length = whole_length(status, &fields, exact);
            file.is(Seen { coding: fields.coding(), length, modified: fields.last_modified })
        });
        let vouched = match known {
            Some(file) => is.and(file.vouched.ok()),
            None => index.and_then(|index| index.vouches_for(&path)),
        };
        // Whoever asks chooses the name; a page may answer for any.
        let vouched = vouched.filter(|vouched| *vouched != Vouched::Path || kind != Some(Kind::Page));
        let is_known_hashed = known.is_some_and(|file| file.vouched.is_ok());
        let has_codings = known.is_some_and(|file| !file.coded.is_empty());
        let is_read = matches!(asked.method, Method::GET | Method::HEAD);
        Self {
            asked,
            status,
            headers,
            fields,
            exact,
            is_read,
            agrees,
            is,
            has_codings,
            is_known_hashed,
            vouched,
            path,
            media_type,
            kind,
            kind_bit: kind.map_or(1 << 31, Kind::bit),
        }
    }

    /// The request's method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.asked.method
    }

    /// What was asked for.
    #[must_use]
    pub fn uri(&self) -> &Uri {
        &self.asked.uri
    }

    /// The path of what was asked for, without percent-encoding.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The extension of the path, as written.
    #[must_use]
    pub fn extension(&self) -> Option<&str> {
        kind::extension(&self.path)
    }

    /// The response's status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The response's fields, as the service made them.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.headers
    }

    /// The response's media type without parameters.
    #[must_use]
    pub fn media_type(&self) -> Option<&str> {
        self.media_type
    }

    /// What kind of thing it is, by its extension where its media type does not contradict, and else by that.
    #[must_use]
    pub fn kind(&self) -> Option<Kind> {
        self.kind
    }

    /// Who says that it never changes under its name.
    #[must_use]
    pub fn vouched(&self) -> Option<Vouched> {
        self.vouched
    }

    /// The length of the whole representation, if it is known.
    pub(crate) fn length(&self) -> Option<u64> {
        whole_length(self.status, &self.fields, self.exact)
    }

    /// Whether the response is a representation of what was asked for, or a part of it.
    pub(crate) fn is_file(&self) -> bool {
        matches!(self.status, StatusCode::OK | StatusCode::PARTIAL_CONTENT)
    }

    /// Whether its name looks as if it held a hash, or is known to.
    pub(crate) fn looks_hashed(&self) -> bool {
        self.is_known_hashed || name::hash_in(name::file_name(&self.path)).is_ok()
    }
}

/// The length of the whole representation that a response is, or is a part of.
fn whole_length(status: StatusCode, found: &Fields<'_>, exact: Option<u64>) -> Option<u64> {
    match status {
        StatusCode::PARTIAL_CONTENT => match ContentRange::parse(found.content_range?.as_bytes())? {
            ContentRange::Part { complete, .. } => complete,
            ContentRange::Unsatisfied { complete } => Some(complete),
        },
        // A HEAD has the length in its fields alone, a body that nobody has framed yet in its size hint.
        _ => found.content_length.map_or(exact, fields::length),
    }
}
