//! What to know before it runs in production.
//!
//! Nothing is in here but text: [`stack`] on composition, [`caching`] on what is stored, [`purging`] on taking it back,
//! [`memoizing`] on results of functions, [`assets`] on static files, [`tokens`] on who is calling, [`sessions`] on what is
//! known of a visitor, [`events`] on what is counted, [`operation`] on Redis.

pub mod stack {
    //! Where the layers stand.
    //!
    //! The first layer of a `ServiceBuilder`, and the last `.layer()` of an axum router, is the outermost: it sees the request
    //! first and the response last. From the outside in:
    //!
    //! 1. **What must see every request**: tracing, limits on connections and bodies, TLS; and `EventsLayer`, so that hits and refusals are counted too.
    //! 2. **What may refuse**: authentication, `JwtLayer`. Inside it the cache never shows a response to somebody who may not ask. It takes the token
    //!    out of the request and leaves the word [`Identified`](crate::core::Identified), so that a cache inside treats the answer as one person's.
    //! 3. **What gives a request its visitor's state**: sessions, `SessionLayer`. It takes its cookie out of the request, so that pages that ask for no
    //!    session are shared by all; the cache inside is told of those that do.
    //! 4. **The response cache**. A hit ends here.
    //! 5. **What changes the response for one client**, if it must stand inside, has to say so: `Vary` for what depends on a
    //!    request field, `private` or `no-store` for what is one visitor's own. Compression may stand inside (an entry for each
    //!    coding, `Vary: Accept-Encoding` tells) or outside (one entry, compressed for each answer).
    //! 6. **Headers of assets**, around the file service alone, inside the cache that goes by them.
    //! 7. **Your service.**
    //!
    //! ```
    //! # #[cfg(feature = "cache")] {
    //! use std::time::Duration;
    //! use buttress::cache::{Cache, CacheLayer};
    //! use tower_layer::Layer;
    //!
    //! # fn wrap<S>(your_service: S) -> impl Sized {
    //! let cache = Cache::embedded(); // a handle: clones share what is stored
    //! let pages = CacheLayer::new(cache).default_ttl(Duration::from_secs(10));
    //! pages.layer(your_service)
    //! # }
    //! # }
    //! ```
    //!
    //! Each layer clones the service for each request and calls the clone that it has made ready, so that back-pressure
    //! passes through. Under axum use `Router::layer`, under hyper `TowerToHyperService`, under tonic `Server::layer`.
    //! gRPC and upgraded connections pass the cache untouched, but for the unary methods that you name to a
    //! `ContentKeyLayer`.
}

pub mod caching {
    //! What is stored, and what is not.
    //!
    //! RFC 9111 decides, as for any shared cache; the settings of the layer can only take away from it, or say what the
    //! standard leaves to the operator. **Nothing is stored that does not say how long it is good**, unless
    //! `Last-Modified` allows an estimate or you set `default_ttl`. Beyond the standard, these are not stored by default:
    //!
    //! | response | because | stored with |
    //! |---|---|---|
    //! | with `Set-Cookie` | the cookie is one visitor's | `drop_set_cookie`, without the field |
    //! | to a request with `Authorization` | most handlers forget `Vary` | `share_authorized`, if it says `public`, `s-maxage` or `must-revalidate` |
    //! | to a request with `Cookie`, freshness only estimated or by `default_ttl` | it may be that visitor's page | `share_cookies` |
    //! | made with the visitor's session, or another state of theirs ([`Personal`](crate::core::Personal)) | it is theirs, whatever its fields say | |
    //! | an error but 404 and 410 | it is often about one request, and somebody may provoke it | `keep_errors`, where it says how long |
    //! | to any method but GET, and QUERY or gRPC whose content was read | | `ContentKeyLayer` |
    //! | larger than 8 MiB | it would push out the rest | `max_body` |
    //! | a part (206) | a range of a stored whole is answered from the store | |
    //!
    //! An entry is found by scheme, authority, path and query, and by the fields that the response named in `Vary`, compared by
    //! meaning. Fields by which some frameworks rewrite a URL (`X-Forwarded-Host`, `X-Original-URL` and their kind) are
    //! part of the key when they are sent, so that nobody can store an answer to another question under it.
    //!
    //! A QUERY (RFC 10008) asks by its content, and so does a gRPC call. A `ContentKeyLayer` outside of the cache reads up to
    //! 64 KiB of it and makes its digest part of the key, with the fields that describe it. Each QUERY is read then; of gRPC the unary
    //! methods that you name, since only you know that they change nothing, with the metadata that their answers depend on. An
    //! answer to a call is stored with its trailers, once those say `grpc-status: 0`. What changes a URI forgets the answers
    //! to all its questions; calls are purged by tag. Connect by GET is cached as any GET: its message stands in the URI.
    //!
    //! ```
    //! # #[cfg(feature = "cache")] {
    //! use std::time::Duration;
    //! use buttress::cache::{Cache, CacheLayer, ContentKeyLayer, GrpcMethod};
    //! use tower_layer::Layer;
    //!
    //! # fn wrap<S>(your_service: S) -> Result<impl Sized, buttress::cache::InvalidMethod> {
    //! let prices = GrpcMethod::new("/shop.Prices/Get")?.ttl(Duration::from_secs(10));
    //! let cached = CacheLayer::new(Cache::embedded()).layer(your_service);
    //! # Ok(
    //! ContentKeyLayer::new().grpc(prices).layer(cached)
    //! # )
    //! # }
    //! # }
    //! ```
    //!
    //! With `CacheLayer::no_vary_search`, a success that states `No-Vary-Search` (a draft) answers every query that it says is the same:
    //! with `No-Vary-Search: key-order, params=("utm_source")` an advertisement costs no miss. It speaks for itself only: what is found by
    //! another query says so in its own field, what was stored for the very URI comes first, and errors and redirects say nothing of
    //! other queries. A path whose last response lacks the field has none. A change or a purge of one URI takes along all that
    //! answers several queries of its path, since only each response knows which. Trust it as you trust `Vary`: a service that
    //! says too much is believed.
    //!
    //! Of a response that is being stored, clients that come meanwhile read along, from the first byte and each at its own pace,
    //! where its length was announced (short ones are waited for; those of unknown length too, for at most `wait`). If the
    //! service breaks off, it breaks off for all who read; those who still wait try again. Bodies from 1 MiB on lie in parts of
    //! 1 MiB, so that a range moves no more than it touches.
    //!
    //! Before the cache is trusted: `CacheLayer::shadow` lets the service answer every request and reports where the cache
    //! would have answered something else, out of date or somebody else's.
    //!
    //! A test with `CacheLayer::audit` asks a service of yours with one field more each time, and names those that change its
    //! answer and not the key.
    //!
    //! Each response says in `Cache-Status` (RFC 9211) what became of it: `hit`, or `fwd=` and why the service was asked
    //! (`uri-miss`, `vary-miss`, `stale`, `request`, `bypass`, `method`), `stored` if it is kept from now on, `ttl` for how many
    //! seconds, `collapsed` if another request's answer was waited for, `detail=stale-if-error` where a stale one took the
    //! place of an error. The counters `buttress_cache_not_stored_total` and `buttress_cache_requests_total` say the same of
    //! all together.
    //!
    //! ```text
    //! Cache-Status: Buttress; fwd=uri-miss; ttl=60; stored       asked, and kept for a minute
    //! Cache-Status: Buttress; hit; ttl=42                        from the store
    //! Cache-Status: Buttress; fwd=stale; fwd-status=304; ttl=60; stored   the service said: still good
    //! ```
}

pub mod purging {
    //! Taking back what was stored.
    //!
    //! ```
    //! # #[cfg(feature = "cache")] {
    //! # #[tokio::main(flavor = "current_thread")]
    //! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    //! use buttress::cache::{Cache, Purge};
    //!
    //! let cache = Cache::embedded(); // the handle that the layers were given
    //! cache.purge(Purge::tag("product-7")).await?;
    //! cache.purge(Purge::prefix(&"https://shop.example/catalogue/".parse()?)?.soft()).await?;
    //! # Ok(())
    //! # }
    //! # }
    //! ```
    //!
    //! A response is tagged by `Surrogate-Key` (names separated by spaces) or `Cache-Tag` (by commas), which go no further, or
    //! by the groups of `Cache-Groups` (RFC 9875), which belong to one origin. A handler that changes something names groups in
    //! `Cache-Group-Invalidation`; its target, `Location` and `Content-Location` go without being named (RFC 9111
    //! section 4.4). What says its tags in a way that cannot be read is not stored, since a purge would miss it.
    //!
    //! | what | one of | costs in Redis |
    //! |---|---|---|
    //! | everything, a host, a path and all below it | `Purge::everything`, `host`, `prefix` | a line in the ledger, of which 64 are kept; of more, the oldest becomes a purge of everything before it |
    //! | a tag, a group | `tag`, `group` | a stamp (136 bytes), for as long as something with the tag lives, a minute at least |
    //! | a URI with all its variants | `uri` | two stamps for a minute, of the URI and of what answers several queries of its path |
    //! | any of them, softly | `.soft()` | the same; a URI a line in the ledger |
    //!
    //! Whatever it concerns, a purge is one round trip (a URI's three) and searches nothing: each entry knows when its fill
    //! began, in the order of purges, and is compared with them when it is asked for. So a response that was fetched before a
    //! purge and arrives after it is not stored. When `purge` returns, this process serves nothing of it; the others hear
    //! of it, within a millisecond or so (`scripts/bench`), and within `local_max_stale` whatever happens. Where Redis
    //! has lost a stamp, what carries the tag is fetched anew. Redis replicates without waiting: a master that dies right after a
    //! purge may take it along for a process that had not heard of it.
}

pub mod memoizing {
    //! Results of functions and queries.
    //!
    //! ```
    //! # #[cfg(feature = "memo")] {
    //! # #[tokio::main(flavor = "current_thread")]
    //! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    //! use std::time::Duration;
    //! use buttress::cache::Cache;
    //! use buttress::cache::memo::Memo;
    //!
    //! let cache = Cache::embedded(); // the handle that the layers were given
    //! let prices = Memo::<u32, u64>::new(&cache, "prices").ttl(Duration::from_secs(60));
    //! let price = prices.get_or_try_insert_with(&7, |_| async { Ok::<_, std::io::Error>(12) }).await?;
    //! assert_eq!(*price, 12);
    //! prices.invalidate(&7).await?;
    //! # Ok(())
    //! # }
    //! # }
    //! ```
    //!
    //! A value has all that a response has: one load for all who ask at once, in the fleet; tags; purges that reach everybody; a stale
    //! window; early refresh. And whatever is made while a value is used, a page behind the cache or another value, is made of it:
    //! it goes when the value goes, without a word in the code that makes it. `cargo run --example memo` shows it.
    //!
    //! | what | is |
    //! |---|---|
    //! | an error of the loader | its caller's, and not stored. An error that is worth remembering is a value: memoize a `Result` |
    //! | `None` | not stored, or for `negative_ttl`: `get_or_try_insert_optional_with` |
    //! | a changed type | another key, if its name or `version` changes; else raise `version` |
    //! | work in another task (`tokio::spawn`) | not seen as use: use the value before, and hand it over |
    //!
    //! In Redis a value takes its encoding and some 200 bytes, and a stamp of 136 bytes by which it is taken back; in this process
    //! as much, and the decoded value beside it, which counts as large as its encoding.
}

pub mod assets {
    //! Static files: what may be kept, by whom, for how long.
    //!
    //! An `AssetsLayer` goes around what serves files. What it says by default is safe for what front-end builds put out; what you know
    //! better you say by rules, as in nginx's `map $sent_http_content_type $expires` or a `_headers` file:
    //!
    //! ```
    //! # #[cfg(feature = "assets")] {
    //! use std::time::Duration;
    //! use buttress::assets::{AssetsLayer, Build, CacheControl, Mode, Pages, Rule};
    //! use tower_layer::Layer;
    //!
    //! # fn wrap<S>(serve_dir: S, dist: &std::path::Path) -> Result<impl Sized, Box<dyn std::error::Error>> {
    //! let (hour, day) = (Duration::from_secs(3600), Duration::from_secs(86_400));
    //! let site = AssetsLayer::new()
    //!     .build(Build::open(dist)?)
    //!     .pages(Pages::StaleWhileRevalidate)
    //!     // A CDN that is purged with each deployment keeps for a day what browsers validate.
    //!     .rule(Rule::new().media_type(["text/html"]).cache(CacheControl::new().no_cache()).cdn(&CacheControl::new().max_age(day))?)
    //!     .rule(Rule::new().glob("/downloads/**/*.{zip,gz}")?.cache(CacheControl::new().public().max_age(hour)))
    //!     .rule(Rule::new().prefix("/internal/").cache(CacheControl::new().no_store()).mode(Mode::Override))
    //!     .layer(serve_dir);
    //! # Ok(site)
    //! # }
    //! # }
    //! ```
    //!
    //! **A build is tested once, in CI.** `lint` fails where a name looks hashed and nobody vouches for it, where a manifest lists what is
    //! not there, and where a file is not what its name says:
    //!
    //! ```
    //! # #[cfg(feature = "assets")] {
    //! use buttress::assets::{AssetsLayer, Build};
    //!
    //! # fn test(dist: &std::path::Path) -> Result<(), Box<dyn std::error::Error>> {
    //! let lint = AssetsLayer::new().build(Build::open(dist)?).lint(dist)?;
    //! assert!(lint.is_clean(), "{lint}");
    //! # Ok(())
    //! # }
    //! # }
    //! ```
    //!
    //! | you have | do |
    //! |---|---|
    //! | Vite | `build.manifest: true`, and `Build::open("dist")` finds it |
    //! | esbuild | `--metafile=dist/meta.json` and `--entry-names=[dir]/[name]-[hash]` |
    //! | webpack | `webpack-manifest-plugin`, or `--json=dist/stats.json`, which says itself what is immutable |
    //! | Django, Phoenix | `Build::options().dir(STATIC_ROOT).at("/static/")`: the names hold digests of the contents |
    //! | Next.js and others without a manifest | `Build::options().trust("/_next/static/")`: your word |
    //! | files in the program | `Build::options().file("app.js", bytes)` for each |
    //! | a proxy before it all | `Build::options().manifest(…)` and `pass_conditions(true)` |
    //! | a container or Nix | nothing: that all files carry one time is noticed |
    //!
    //! Where Redis is away nothing changes: this layer has nothing there.
}

pub mod tokens {
    //! Who is calling, and moving there from somewhere else.
    //!
    //! ```
    //! # #[cfg(feature = "jwt")] {
    //! use buttress::jwt::{Algorithm, JwtLayer, Key, Keys, Revocations, TrustedIssuer, Verifier};
    //!
    //! # fn guard(public_key: &[u8]) -> Result<JwtLayer, Box<dyn std::error::Error>> {
    //! let keys = Keys::new([Key::pem(Algorithm::RS256, public_key)?]);
    //! let issuer = TrustedIssuer::new("https://accounts.example", "https://api.example", [Algorithm::RS256], keys);
    //! let guard = JwtLayer::new(Verifier::new([issuer])?, Revocations::embedded());
    //! # Ok(guard) }
    //! # }
    //! ```
    //!
    //! **What to set.** Issuer, audience and algorithms are the three things that a token is checked against, and none has a default. Keep access
    //! tokens short (a quarter of an hour): then a lost one does little harm, and the refresh token, which goes to one place only, is exchanged each
    //! time. For browsers use cookies: scripts cannot read them, and the word in `x-csrf-token` tells the own page from a foreign one. For programs
    //! use `Authorization`.
    //!
    //! **What is told to whom.** Handlers find `Token` in the extensions, or their own type with `JwtLayer::claims`. A service behind a proxy is told in
    //! fields (`JwtLayer::identity`), which are taken out of what clients send, in every spelling. The token itself goes no further.
    //!
    //! **What happens when Redis is away.** Every process knows all revocations, and as of when. For `max_staleness` (1 s) it goes on; then each
    //! token is asked for in Redis; then the answer is 503 with `Retry-After`: 401 would have clients throw away good tokens. `Outage::Open` admits
    //! instead. What was revoked meanwhile holds where it was revoked, and is told when Redis is back.
    //!
    //! | Redis | tokens that were revoked | others | `revoke` | login, refresh |
    //! |---|---|---|---|---|
    //! | there | refused | admitted, in memory | told to all in milliseconds | |
    //! | hangs, restarts, is cut off | refused, wherever it was heard | admitted for `max_staleness`, then 503 | an error; holds here, told later | 503 |
    //! | was flushed, or failed over to a replica that lagged | refused, wherever it was heard | 503 until the processes have told again what they know: half of `max_staleness` and a second | told to all | log in again |
    //! | evicts keys | refused, wherever it was heard; told again when a loss is noticed | | an error log at start | |
    //!
    //! # Moving from flask-jwt-extended
    //!
    //! While both run they share the secret, the cookies and the list of what was logged out: `TrustedIssuer::flask` believes tokens of that,
    //! `Issuer::flask` makes them, `TokenCookies::flask` names the cookies, and `RevocationsOptions::blacklist` reads and writes the keys
    //! (`blacklist:<jti>`) that its documentation has in `token_in_blocklist_loader`. Each request asks Redis once for that long; without it none does.
    //! `buttress::jwt::flask` has the five lines, each setting's counterpart, and what differs.
    //!
    //! | there | here |
    //! |---|---|
    //! | 422 for a malformed token, no `WWW-Authenticate` | 400 or 401 by RFC 6750 |
    //! | `JWT_COOKIE_SECURE` off, `SameSite` unset | `Secure`, `Lax`; `dangerous_plain_http` for development |
    //! | any secret | 32 random bytes at least; `dangerous_weak_secret` until it is replaced |
    //! | a refresh token is good for a month of refreshes | it is exchanged each time, and a copy ends the login |
    //! | the callback asks Redis for each request | memory |
}

pub mod sessions;

pub mod events;

pub mod operation {
    //! The Redis behind the layers.
    //!
    //! # What it needs
    //!
    //! Redis 6.2 (7.0 recommended) or Valkey 7.2; one server, sentinels or a cluster, by URL. A cache should have a `maxmemory` and
    //! the eviction policy `volatile-lfu` or another `volatile` one: each record has a lifetime and none is missed, but for
    //! the ledger of purges, which has none. Where an `allkeys` policy takes it, everything is fetched anew once.
    //!
    //! A user with restricted rights needs `PING`, `HELLO` and `CLIENT` (`CLIENT TRACKING` too), and under the prefix `GET`,
    //! `SET`, `GETRANGE`, `EXISTS`, `PTTL`, `PEXPIRE`, `DEL`, `UNLINK`, `HGET`, `HGETALL`, `HKEYS`, `HSET`, `HDEL`, and
    //! `EVAL`, `EVALSHA`, `TIME`.
    //!
    //! **Tokens want another Redis than a cache does**: what was revoked must not be evicted, so `maxmemory-policy noeviction`, and appended to disk
    //! (`appendonly yes`). A cache in the same Redis works, with purges and lifetimes as its only end, or give the layers one each. Behind
    //! sentinels and in a cluster `min-replicas-to-write 1` keeps a master that was replaced from being believed. Beside the commands above: `HMGET`, `TYPE`,
    //! `XADD`, `XDEL`, `XRANGE`, `XREAD`, `ZADD`, `ZCARD`, `ZREM`, `ZREMRANGEBYSCORE`, `PEXPIREAT`, `INFO`, and `WAIT` where it is asked for.
    //! Sessions want the same, `noeviction` and a disk: `HMGET`, `HINCRBY`, `PTTL` and `PEXPIREAT` beside the first ones.
    //!
    //! # Keys
    //!
    //! | key | holds | lives |
    //! |---|---|---|
    //! | `PREFIX:cache:v1:{DIGEST}`, braces included | one response with its fields and body (compressed, with `CacheOptions::compress`), or the list of fields that a URI varies by | as long as it is fresh, and `keep_stale` longer where it can be validated |
    //! | the same, of a path | the `No-Vary-Search` that its last response stated, where that is followed | an hour, or twice as long as that response |
    //! | `PREFIX:cache:v1:{tags}` | the ledger of purges | for ever |
    //! | the same with `:TAG`, a digest | when the tag was purged last | as long as an entry with it; a minute at least after a purge |
    //! | the same with `:recent` | the tags that were purged last, 512 at most | a minute after the last of them |
    //! | `PREFIX:cache:news:…` | nothing: set and removed at once, to announce a change | |
    //! | a record's name with `:part:FILL:N` | 1 MiB of a large body | a minute longer than the record; five minutes when another took its place |
    //! | a record's name with `:lease` | the token of the process that fills it | two seconds, renewed while it does: half a minute since the body moved last, ten minutes in all |
    //! | `PREFIX:jwt:v1:{revoked}:…` | what was revoked, and the stream that tells it: digests, no names | as long as a token may be refused for it |
    //! | `PREFIX:jwt:v1:{DIGEST}` | one login: digests of its refresh tokens | as long as the last of them |
    //! | `PREFIX:jwt:v1:{keys}:…` | a key set that a fleet fetches once | as long as it may be used |
    //! | `PREFIX:session:v1:{DIGEST}` | one session: its times, whose it is, its fields, sealed if that is asked for | as long as it is used; a day at most by default |
    //! | `PREFIX:session:v1:{of:DIGEST}` | the logins of one subject: sessions, devices, times | as long as the last of them |
    //! | `PREFIX:events:v1:{m:START}`, `{h:…}`, `{d:…}` | the counts of a minute, an hour, a day | 8 hours, 35 days, 400 days after its end |
    //! | `PREFIX:events:v1:{names:START}` | what the ids of a day's counts stand for | as long as the day |
    //! | `PREFIX:events:v1:{r:m:START:ID}`, …, each with `:seen` | the highest members of a ranking, and which flushes they have | as long as the step |
    //! | `PREFIX:events:v1:{u:START:ID}`, `{salt:START}` | a day's visitors as a HyperLogLog, and the salt of their digests | 40 days, 26 hours |
    //! | `PREFIX:events:v1:{leader}` | which process pushes totals for all | two and a half of its turns |
    //! | `PREFIX:cache:news:canary:N` | the mark by which a feed notices `FLUSHALL` | a day |
    //!
    //! `CacheOptions::compress` packs bodies of text from 2 KiB on with LZ4. It is off by default: it costs time at each read out of
    //! Redis (tens of microseconds for 16 KiB), nothing is gained where the service compresses, and processes of an older version miss
    //! what is packed. With and without it, processes read each other's records.
    //!
    //! Each value opens with 24 bytes that name its key, and is believed under that key only. Records have a version: old and
    //! new deployments can share one Redis, each treats what it cannot read as absent. `FLUSHDB` is safe at any time for what is cached; of logins it is the end, and of
    //! revocations the processes tell what they know.
    //!
    //! # When it is away
    //!
    //! No request fails because of it. The first to meet a hung server pay one deadline (250 ms for records, which may be
    //! large; 50 ms for stamps), then it is not asked until it answers again; what is fetched meanwhile lands in process
    //! memory, and in Redis nothing is written for which no lease was given. A purge is an error then. `buttress_redis_up` and
    //! the gateway's `/readyz` tell.
    //!
    //! # Staleness
    //!
    //! Changes and purges are announced to every process, so a copy in process memory costs no round trip for as long as it is
    //! fresh. While announcements may be missing (at the start, when the connection that brings them hangs or is cut) a process
    //! asks again for what it holds, so that it is never behind by more than `local_max_stale` (one second). With a capacity of
    //! zero there are no copies, and each hit is one round trip.
    //!
    //! A user who may not use `CLIENT TRACKING` is served all the same, with two round trips for a hit where one was enough.
}
