//! Beside Flask-Session: what its sessions hold, for the service that people move to.
//!
//! ```
//! use buttress_session::{Session, flask::FlaskSessions};
//! use http::HeaderMap;
//!
//! /// `before` is `FlaskSessions::new(redis)`: one for all requests.
//! async fn take_over(session: &Session, before: &FlaskSessions, headers: &HeaderMap) -> Result<(), Box<dyn std::error::Error>> {
//!     if session.is_empty().await? && let Some(old) = before.take(headers).await? {
//!         if let Some(user) = old.get("_user_id").and_then(|user| user.as_str()) {
//!             session.login(user).await?; // under an id of its own
//!         }
//!         if let Some(cart) = old.get("cart") {
//!             session.insert("cart", cart).await?;
//!         }
//!         session.save().await?; // now, whatever becomes of this request: the old one has ended
//!     }
//!     Ok(())
//! }
//! # let _ = take_over;
//! ```
//!
//! # Moving from Flask-Session
//!
//! For Flask-Session 0.7 and 0.8 on Redis. Older ones wrote pickles, which nobody but Python can read, and not even Python safely: they are
//! refused. Let 0.8 run for as long as a session lives (`PERMANENT_SESSION_LIFETIME`, 31 days) first: it writes each anew at its next request.
//!
//! - While both services run, [`read`](FlaskSessions::read) what the old one holds; its session goes on.
//! - Where the new one has replaced it, [`take`](FlaskSessions::take) the session over: it is read and ends at once, so that a copied cookie of before opens
//!   nothing any more, on either side. For a [moment](FlaskSessions::grace) requests that were on their way with the same cookie are answered the same, each for
//!   a session of its own; so is who takes again because the answer was lost.
//! - On logout, [`end`](FlaskSessions::end) it here as well.
//!
//! The old id is never adopted: no more is known of it than that a browser sent it, and before 0.6 Flask-Session itself took any id that a request came with. So what
//! an old session says is worth what it was worth there. Its cookie stays in the browser, unless the new service removes it with the domain and path that the old
//! one gave it; it costs a round trip whenever it is asked for.
//!
//! | in Flask's configuration | here |
//! |---|---|
//! | `SESSION_REDIS` | [`new`](FlaskSessions::new) |
//! | `SESSION_KEY_PREFIX` | [`key_prefix`](FlaskSessions::key_prefix); `session:` on both sides |
//! | `SESSION_COOKIE_NAME` | [`cookie_name`](FlaskSessions::cookie_name); `session` on both sides |
//! | `SESSION_USE_SIGNER` and `SECRET_KEY` | [`signed`](FlaskSessions::signed) |
//! | `SESSION_SERIALIZATION_FORMAT` | nothing: each record says its format |
//! | `session_interface.serializer` set to Flask's `session_json_serializer` | [`tagged_json`](FlaskSessions::tagged_json) |
//! | `SESSION_ID_LENGTH` | nothing: ids of 11 to 128 letters, digits, `-` and `_` are looked for, and no others |
//!
//! # What values become
//!
//! Those of JSON are themselves, whatever the format. The others are what Flask-Session would write into JSON; what was a text of that form cannot be told from them.
//!
//! | in Python | here |
//! |---|---|
//! | `bytes` | text: base64 with padding |
//! | `datetime` with a zone | text by RFC 3339: in UTC out of msgpack, in its zone out of JSON |
//! | `datetime` without | text by RFC 3339 without a zone; out of tagged JSON in UTC, and whole seconds |
//! | `date`, `time`, `timedelta`, `UUID`, `Decimal` | text: `2024-01-02`, `01:02:03`, `P1DT2S`, with hyphens, `1.50` |
//! | `tuple`, `set` | array, a set's in no order |
//! | keys that are no text | text: that of the value in JSON, such as `1`, `1.5`, `null`, `[1,2]` |
//! | `nan`, `inf` | null |
//! | an `int` beyond 64 bits (JSON alone has those) | the record is refused: rounded, two ids might become one |
//! | `{1: …, "1": …}` out of msgpack | the record is refused: JSON has one key for both |
//! | `msgspec.msgpack.Ext` | text: the base64 of its bytes |
//!
//! `_permanent` is Flask's own, `_flashes` are messages as `[category, text]`, `_user_id`, `_fresh` and `_id` are those of Flask-Login.
//!
//! # Keys
//!
//! `{SESSION_KEY_PREFIX}{id}` is Flask-Session's; here it is read, renamed and deleted, never written. `{that}:taken`, the braces included, is where the copy
//! of a moment lies; without them if the prefix has braces of its own. A record is read by whoever asks with its id, as there: it carries no proof that it is
//! that of its key, which the values of this workspace do.
//!
//! # When Redis is away
//!
//! Each method fails, at once or by the deadline for large values, with the error of the wire; answer 503, and leave the cookie alone. If
//! [`take`](FlaskSessions::take) fails in a way that [may have happened](buttress_redis::ErrorKind::may_have_happened), the next finds the copy, for that moment.
//!
//! # Metrics
//!
//! | name | counts |
//! |---|---|
//! | `buttress_session_flask_lookups_total` | requests with such a cookie, by `outcome`: `found`; of the cookie `ambiguous`, `no-id`, `signature`; of the record `gone`, `foreign` (no string), `too-large`, `pickle`, `malformed`, `keys`, `number` |

mod miss;
mod signer;
mod ticket;
mod record;
mod msgpack;
mod tagged;
mod text;
mod store;

use std::time::Duration;

use buttress_redis::{Error, Redis};
use http::HeaderMap;
use metrics::counter;
use serde_json::{Map, Value};

use miss::Miss;
use signer::Signer;
use store::{Place, Store};

/// The sessions of a Flask-Session on this Redis. See [the module](self).
///
/// Cheap to clone but for its names; share one.
#[derive(Clone, Debug)]
#[must_use]
pub struct FlaskSessions {
    store: Store,
    cookie_name: String,
    key_prefix: String,
    signer: Option<Signer>,
    is_tagged: bool,
}

// === impl FlaskSessions ===

impl FlaskSessions {
    /// The sessions of a Flask-Session with its default settings, on this Redis. They are read over its connection for
    /// [large values](Redis::bodies), as nobody knows how large they are.
    pub fn new(redis: Redis) -> Self {
        Self {
            store: Store::new(redis),
            cookie_name: "session".to_owned(),
            key_prefix: "session:".to_owned(),
            signer: None,
            is_tagged: false,
        }
    }

    /// What stands before the id in a key (`SESSION_KEY_PREFIX`). Default `session:`.
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.key_prefix = prefix.into();
        self
    }

    /// The name of the cookie (`SESSION_COOKIE_NAME`), octet by octet. Default `session`.
    pub fn cookie_name(mut self, name: impl Into<String>) -> Self {
        self.cookie_name = name.into();
        self
    }

    /// Only ids that were signed with this secret (`SESSION_USE_SIGNER`, and the `SECRET_KEY`). Said again, with that one too. Default: ids as they
    /// are. An empty secret signs nothing, as Flask does not start with one. Costs two blocks of SHA-1 for each secret, and saves Redis
    /// every forged id.
    pub fn signed(mut self, secret_key: impl AsRef<[u8]>) -> Self {
        self.signer.get_or_insert_default().add(secret_key.as_ref());
        self
    }

    /// Records in JSON are those of Flask itself, `session_json_serializer`, whose tags tell a tuple from a list. Default: they are those of
    /// Flask-Session, where an object that looks like a tag is just that.
    pub fn tagged_json(mut self) -> Self {
        self.is_tagged = true;
        self
    }

    /// How large a record may be, in bytes; a larger one is not found, and stays. Default 256 KiB. What is read of a record takes up to
    /// a hundred times its bytes for a moment, if it was made to.
    pub fn max_record(mut self, bytes: u32) -> Self {
        self.store.max_record = bytes;
        self
    }

    /// For how long a session that was [taken](Self::take) is given to other requests with the same cookie. Default 10 seconds: those of one page. Zero: to one
    /// alone, and the others find none.
    pub fn grace(mut self, time: Duration) -> Self {
        self.store.grace = time;
        self
    }

    /// What the session of this request holds; it goes on there. None without a cookie, and if there is no such session or it
    /// cannot be read. One round trip, and none without a cookie.
    ///
    /// # Errors
    ///
    /// Redis is away, slow, or refuses.
    pub async fn read(&self, headers: &HeaderMap) -> Result<Option<Map<String, Value>>, Error> {
        let Some(place) = self.place(headers) else { return Ok(None) };
        let found = self.store.peek(&[&place.record]).await?;
        Ok(self.said(found))
    }

    /// What the session of this request held; it ends there. None as for [`read`](Self::read); what cannot be read stays as it is. Two round trips.
    ///
    /// # Errors
    ///
    /// Redis is away, slow, or refuses. Then it may have been taken: take it again within the [grace](Self::grace).
    pub async fn take(&self, headers: &HeaderMap) -> Result<Option<Map<String, Value>>, Error> {
        let Some(place) = self.place(headers) else { return Ok(None) };
        // Looked at first, so that nothing is lost that the old service can read and we cannot.
        let found = self.store.peek(&[&place.record, &place.copy]).await?;
        if let Err(miss) = self.decode(found) {
            return Ok(noted(Err(miss)));
        }
        let found = self.store.take(&place).await?;
        Ok(self.said(found))
    }

    /// Ends the session of this request there, whatever it holds; also one that was taken a moment ago. Answers whether there was one. One
    /// round trip.
    ///
    /// # Errors
    ///
    /// Redis is away, slow, or refuses. [`may_have_happened`](buttress_redis::ErrorKind::may_have_happened) tells which leave it open.
    pub async fn end(&self, headers: &HeaderMap) -> Result<bool, Error> {
        match self.place(headers) {
            Some(place) => self.store.end(&place).await,
            None => Ok(false),
        }
    }

    fn place(&self, headers: &HeaderMap) -> Option<Place> {
        let id = noted(ticket::id(headers, &self.cookie_name, self.signer.as_ref()))?;
        Some(Place::of(&self.key_prefix, id))
    }

    fn said(&self, found: Result<bytes::Bytes, Miss>) -> Option<Map<String, Value>> {
        let said = noted(self.decode(found));
        if said.is_some() {
            count("found");
        }
        said
    }

    fn decode(&self, found: Result<bytes::Bytes, Miss>) -> Result<Map<String, Value>, Miss> {
        record::read(&found?, self.is_tagged)
    }
}

/// Neither the cookie nor the record is told: the one opens a session, the other is somebody's own.
fn noted<T>(found: Result<T, Miss>) -> Option<T> {
    match found {
        Ok(found) => Some(found),
        Err(Miss::NoCookie) => None,
        Err(miss) => {
            tracing::debug!(reason = miss.as_str(), "no session of flask to take over");
            count(miss.as_str());
            None
        }
    }
}

fn count(outcome: &'static str) {
    counter!("buttress_session_flask_lookups_total", "outcome" => outcome).increment(1);
}
