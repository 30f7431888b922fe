//! One exchange after the service has answered: verdict, tag, conditions, in this order.

use std::sync::Arc;

use buttress_core::Refusal;
use buttress_rfc9111::ResponseDirectives;
use buttress_rfc9111::precondition::to_not_modified;
use buttress_rfc9111::range::{to_partial, to_unsatisfiable};
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, CONTENT_LENGTH, ETAG, HeaderMap, LAST_MODIFIED};
use http::{Response, StatusCode, response};
use http_body::Body;
use metrics::counter;

use crate::body::AssetsBody;
use crate::conditions::{Answer, Conditions};
use crate::fields;
use crate::layer::Settings;
use crate::policy::{self, Left, Verdict};
use crate::served::{Asked, Served};
use crate::tag::{self, Tag, Tagged};

/// What is kept of a request until the service has answered.
#[derive(Debug)]
pub(crate) struct Exchange {
    pub(crate) asked: Asked,
    pub(crate) conditions: Option<Box<Conditions>>,
    pub(crate) settings: Arc<Settings>,
}

// === impl Exchange ===

impl Exchange {
    /// Writes what is to be said into the fields. `Some` with its length if the content has to be read, to make its tag.
    pub(crate) fn say(&self, parts: &mut response::Parts, exact: Option<u64>) -> Option<u64> {
        let settings = &*self.settings;
        let index = settings.index();
        let one_mtime = settings.has_one_mtime(index.as_deref());
        let served = Served::new(&self.asked, parts.status, &parts.headers, exact, index.as_deref());

        let verdict = policy::decide(&settings.rules, &served);
        let tag = self.tag(&served, one_mtime);
        let varies = served.fields.content_encoding.is_some() || served.has_codings;
        let length = if tag == Tag::Hash { served.length() } else { None };
        tracing::trace!(path = served.path(), %verdict, ?tag);
        count(verdict);

        let headers = &mut parts.headers;
        policy::apply(headers, verdict, || settings.clock.now());
        if matches!(verdict, Verdict::Left(Left::NotModified)) {
            policy::apply_not_modified(headers, &settings.rules);
        }
        if varies {
            policy::merge_vary(headers, &ACCEPT_ENCODING);
        }
        if one_mtime {
            headers.remove(LAST_MODIFIED);
        }
        match tag {
            Tag::Service => {}
            Tag::Ours(tag) => {
                headers.insert(ETAG, tag);
            }
            Tag::Gone => {
                headers.remove(ETAG);
            }
            Tag::Hash => {
                headers.remove(ETAG); // whatever it says, it is not what is about to be said
                return length;
            }
        }
        None
    }

    /// Only what stands for a file gets a tag: a success that is made for nobody in particular, and may be kept.
    fn tag(&self, served: &Served<'_>, one_mtime: bool) -> Tag {
        if !served.is_read || !served.is_file() || served.fields.sets_cookie {
            return Tag::none(one_mtime);
        }
        // The usual case comes first: to read a length costs as much as all that is decided here.
        let fields = &served.fields;
        if fields.etag.is_some() && fields.content_encoding.is_none() && served.is.is_none() && !one_mtime {
            return Tag::Service;
        }
        let tag = tag::choose(&Tagged {
            fields,
            is: served.is.filter(|_| served.agrees),
            length: served.length(),
            may_hash: policy::may_hash(served, self.settings.hash_up_to),
            one_mtime,
            clock: &self.settings.clock,
        });
        let is_kept = || !ResponseDirectives::from_headers(served.headers).no_store;
        if tag == Tag::Hash && !is_kept() { Tag::none(one_mtime) } else { tag }
    }

    /// Judges the request's conditions, now that the fields are final.
    pub(crate) fn answer<B: Body<Data = Bytes>>(
        &self,
        mut parts: response::Parts,
        body: AssetsBody<B>,
    ) -> Response<AssetsBody<B>> {
        let Some(conditions) = &self.conditions else { return Response::from_parts(parts, body) };
        let length = parts.headers.get(CONTENT_LENGTH).and_then(fields::length);
        let length = length.or_else(|| body.size_hint().exact());
        let body = match conditions.judge(&self.asked.method, parts.status, &parts.headers, length) {
            Answer::Whole => body,
            Answer::NotModified => {
                parts.status = StatusCode::NOT_MODIFIED;
                to_not_modified(&mut parts.headers);
                AssetsBody::default()
            }
            Answer::Part(first, _) if !body.is_cut_at(first) => body,
            Answer::Part(first, last) => {
                parts.status = StatusCode::PARTIAL_CONTENT;
                to_partial(&mut parts.headers, first, last, length);
                body.part(first, last)
            }
            Answer::Unsatisfiable => {
                parts.status = StatusCode::RANGE_NOT_SATISFIABLE;
                to_unsatisfiable(&mut parts.headers, length.unwrap_or_default());
                AssetsBody::default()
            }
            Answer::Failed(why) => return refuse(why),
        };
        Response::from_parts(parts, body)
    }
}

fn refuse<B: Body<Data = Bytes>>(why: &'static str) -> Response<AssetsBody<B>> {
    Refusal::new(StatusCode::PRECONDITION_FAILED, why)
        .detail("what is here is not what the request is about")
        .response(&HeaderMap::new())
        .map(AssetsBody::own)
}

/// Counts what was said. Name and label are literals, so that counting neither allocates nor hashes.
fn count(verdict: Verdict<'_>) {
    macro_rules! count {
        ($($verdict:pat => $word:literal,)*) => {
            match verdict {
                $($verdict => counter!("buttress_assets_responses_total", "verdict" => $word).increment(1),)*
            }
        };
    }
    count! {
        Verdict::Says(_) => "says",
        Verdict::Removed(_) => "removed",
        Verdict::Left(Left::Authorized) => "authorized",
        Verdict::Left(Left::NoRule) => "no-rule",
        Verdict::Left(Left::NotModified) => "not-modified",
        Verdict::Left(Left::Personal) => "personal",
        Verdict::Left(Left::Says) => "kept",
        Verdict::Left(Left::SetCookie) => "set-cookie",
        Verdict::Left(Left::Silent) => "silent",
    }
}
