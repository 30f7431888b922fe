//! Sessions: what to set, what a session is to a cache, and the checklists.
//!
//! ```
//! # #[cfg(feature = "session")] {
//! use std::time::Duration;
//! use buttress::session::{CookieKey, KeyError, Session, SessionError, SessionLayer, Sessions};
//!
//! # fn layer(secret: &[u8]) -> Result<SessionLayer, KeyError> {
//! let sessions = Sessions::options(CookieKey::new(secret)?).idle(Duration::from_secs(30 * 60)).embedded(); // or .redis(redis)
//! # Ok(SessionLayer::new(sessions)) }
//!
//! async fn log_in(session: Session, user: String) -> Result<(), SessionError> {
//!     session.login(user).await?; // always a new id; what was in the cart stays
//!     Ok(())
//! }
//!
//! async fn password_changed(session: Session) -> Result<(), SessionError> {
//!     if let (Some(user), Some(sid)) = (session.subject().await?, session.sid().await?) {
//!         session.sessions().end_others(&user, &sid).await?; // everywhere, at once
//!     }
//!     Ok(())
//! }
//! # let _ = (log_in, password_changed);
//! # }
//! ```
//!
//! **What to set.** A key of 32 random bytes, the same in all processes (`openssl rand -hex 32`), and a Redis that does not evict. `idle` and `longest`
//! are an hour and a day, as NIST has it for its second level; what people expect of a shop is more. Where a login comes back from another site,
//! `SameSite=Lax` is what works, and it is the default.
//!
//! **In which order.** Outside of the cache: the layer takes its cookie out of the request, so a page that asks for no session is shared by all, and one that
//! does is stored for nobody. Inside works too. Beside `JwtLayer` the order does not matter.
//!
//! **What to write with.** `incr` for counters, `update` for what depends on what was there, `insert` for what does not. They are kept together, when the
//! response is ready; a stream calls `save` first.
//!
//! **Tokens for programs, a session for the browser.** `Sessions::options(key).ends(Arc::new(issuer))` and `Login::new(user).session(sid)`: with the
//! session end its tokens, in every process.
//!
//! # The checklists
//!
//! OWASP's Session Management Cheat Sheet, NIST SP 800-63B-4 section 7.1, and what others get wrong; each with the test that holds it, in
//! `tests/session` or beside the code.
//!
//! | asked for | held by |
//! |---|---|
//! | an id of at least 64 (NIST) or 128 (here) bits from a cryptographic source, meaningless to the client | `id::nothing_at_rest_or_in_a_log_gives_the_id_away` |
//! | an id that the client made up is never adopted (strict mode) | `cookies::a_chosen_id_is_never_adopted` |
//! | an id is input: its length and alphabet are checked before it is used | `id::a_value_is_read_strictly`, `cookies::only_one_session_that_was_sealed_here_is_believed` |
//! | what was not made here costs no look into the store | `answers::commands_are_counted` |
//! | a new id at login and at a change of rights; nobody is logged in by the old one | `logins::who_knew_the_id_before_a_login_is_not_logged_in_with_it` |
//! | a renewed id overlaps with the old one, so that requests on their way stay logged in | `logins::a_new_id_leaves_requests_on_their_way_logged_in` |
//! | `Secure`, `HttpOnly`, `SameSite`, `__Host-`, no `Domain`; not kept when the browser is closed | `answers::the_cookie_is_as_it_was_ordered`, `cookie::it_is_set_as_it_says` |
//! | what no browser would keep is an error at start | `cookie::what_no_browser_would_keep_is_refused` |
//! | cookies of neighbours do not matter, whatever their bytes; planted ones take nothing away | `cookies::a_planted_second_session_takes_nothing_away` |
//! | one application's session is nothing to another's on the same host | `cookies::what_is_sealed_for_one_layer_is_nothing_to_another` |
//! | time-outs for idleness and in all, kept by the server, whatever the cookie says | `logins::it_ends_when_it_is_not_used_and_when_it_is_old`, `tests::in_redis_it_lives_by_its_expiry_and_is_touched_now_and_then` |
//! | a logout ends the session on the server, takes the cookie back, offers `Clear-Site-Data` | `logins::who_logs_out_is_out_everywhere_and_what_comes_after_is_new` |
//! | users see where they are logged in, and end it there; logins can be limited | `logins::logins_are_listed_and_ended_one_by_one`, `logins::one_login_too_many_ends_the_oldest` |
//! | what hangs on a session ends with it | `logins::what_hangs_on_a_session_ends_with_it_or_it_goes_on` |
//! | before what is dangerous, people prove again who they are | `logins::a_login_is_as_fresh_as_the_last_proof` |
//! | a word against forged requests that is the session's own | `logins::the_word_of_forms_is_the_sessions_own_and_new_after_a_login` |
//! | a response with an id is `no-store`, one that depends on the session varies by it, and no cache mixes them up | `answers::it_depends_on_the_cookie_when_the_session_was_asked_and_is_kept_nowhere_with_one`, `personal::a_session_stays_its_own_in_either_order` |
//! | ids are neither at rest nor in logs | `cookies::nothing_at_rest_takes_a_session_over`, `id::nothing_at_rest_or_in_a_log_gives_the_id_away` |
//! | fields can be sealed, so that the store's reader does not read them | `life::sealed_fields_are_read_by_their_cookie_alone`, `cipher::a_field_opens_under_its_name_with_its_key` |
//! | keys can be exchanged | `logins::a_former_key_is_believed_and_its_cookie_sealed_anew` |
//! | a visitor who does nothing fills no store | `life::a_visitor_who_writes_nothing_has_no_cookie` |
//! | a session is bounded in size, whoever writes | `life::it_is_bounded`, `tests::a_session_grows_to_its_limit_whoever_writes` |
//! | requests at the same time lose nothing | `hammer::nothing_that_was_written_at_the_same_time_is_missing`, `life::two_requests_at_the_same_time_lose_nothing_of_each_other` |
//! | what has ended does not come back, and the writer learns | `hammer::what_ends_meanwhile_is_gone_and_its_writers_learn`, `logins::an_ended_session_is_not_written_to_and_the_writer_learns` |
//! | an error leaves all as it was | `life::an_error_leaves_all_as_it_was` |
//! | a write that comes too late is an error | `life::a_write_after_the_response_is_an_error` |
//! | an outage drops no cookie and makes no empty session | `answers::without_redis_it_is_refused_or_goes_on_as_the_layer_says_and_the_cookie_stays` |
//!
//! Not held: that an id is bound to a TLS connection or a device (there is no standard that browsers have), and that unusual use is noticed
//! (`buttress_session_loads_total` counts forged and ambiguous cookies).
//!
//! # Moving here
//!
//! From tower-sessions, or axum-login: `buttress::session::tower_sessions::TowerSessionsStore` (feature `session-tower-sessions`) serves its
//! `SessionStore` of core 0.15 on this wire. Everything of tower-sessions works as before; then move handler by handler.
//!
//! From Flask-Session: `buttress::session::flask::FlaskSessions` (feature `session-flask`) reads or takes over what a visitor's old cookie stands for.
//!
//! | there | here |
//! |---|---|
//! | `session["a"] = x` | `session.insert("a", &x)`; or `update`, where it depends on what was there |
//! | `flash("saved", "success")` | `session.flash(Level::Success, "saved")` |
//! | `session.clear()` at logout | `session.logout()` |
//! | `login_user(user)` | `session.login(id)`, which cannot forget to change the id |
//! | `cycle_id()` of tower-sessions | `renew()`, or nothing: a login does it |
