//! What to know before it runs in production.
//!
//! Nothing is in here but text: [`stack`] on composition, [`caching`] on what is stored, [`operation`] on Redis.

pub mod stack {
    //! Where the layers stand.
    //!
    //! The first layer of a `ServiceBuilder`, and the last `.layer()` of an axum router, is the outermost: it sees the request
    //! first and the response last. From the outside in:
    //!
    //! 1. **What must see every request**: tracing, limits on connections and bodies, TLS.
    //! 2. **What may refuse**: authentication. Inside it the cache never shows a response to somebody who may not ask.
    //! 3. **The response cache**. A hit ends here.
    //! 4. **What changes the response for one client**, if it must stand inside, has to say so: `Vary` for what depends on a
    //!    request field, `private` or `no-store` for what is one visitor's own. Compression may stand inside (an entry for each
    //!    coding, `Vary: Accept-Encoding` tells) or outside (one entry, compressed for each answer).
    //! 5. **Your service.**
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
    //! gRPC and upgraded connections pass the cache untouched.
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
    //! | to any method but GET | | |
    //! | larger than 8 MiB | it would push out the rest | `max_body` |
    //! | a part (206) | a range of a stored whole is answered from the store | |
    //!
    //! An entry is found by scheme, authority, path and query, and by the fields that the response named in `Vary`, compared by
    //! meaning. Fields by which some frameworks rewrite a URL (`X-Forwarded-Host`, `X-Original-URL` and their kind) are
    //! part of the key when they are sent, so that nobody can store an answer to another question under it.
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

pub mod operation {
    //! The Redis behind the layers.
    //!
    //! # What it needs
    //!
    //! Redis 6.2 (7.0 recommended) or Valkey 7.2; one server, sentinels or a cluster, by URL. A cache should have a `maxmemory` and
    //! an eviction policy such as `allkeys-lfu`: each record has a lifetime, and none is missed. A user with restricted rights
    //! needs `PING`, `HELLO` and `CLIENT`, for the cache `GET`, `SET`, `GETRANGE`, `PTTL`, `PEXPIRE`, `DEL`, `UNLINK`, `EVAL` and `EVALSHA`, for a feed `CLIENT TRACKING`, `GET`,
    //! `SET` and `PEXPIRE`, each under the prefix.
    //!
    //! # Keys
    //!
    //! | key | holds | lives |
    //! |---|---|---|
    //! | `PREFIX:cache:v1:{DIGEST}`, braces included | one response with its fields and body, or the list of fields that a URI varies by | as long as it is fresh, and `keep_stale` longer where it can be validated |
    //! | the same with `:lease` | the token of the process that fills it | two seconds, renewed while it does |
    //! | `PREFIXcanary:N` | the mark by which a feed notices `FLUSHALL` | a day |
    //!
    //! Each value opens with 24 bytes that name its key, and is believed under that key only. Records have a version: old and
    //! new deployments can share one Redis, each treats what it cannot read as absent. `FLUSHDB` is safe at any time.
    //!
    //! # When it is away
    //!
    //! No request fails because of it. The first to meet a hung server pay one deadline (250 ms for the cache, whose values may be large; 50 ms for small ones), then it is
    //! not asked until it answers again; what is fetched meanwhile lands in process memory. `buttress_redis_up` and the gateway's
    //! `/readyz` tell.
    //!
    //! # Staleness
    //!
    //! Each process believes its own copy for `local_max_stale` (one second) before it asks Redis again. With a capacity of
    //! zero there are no copies, and each hit is one round trip.
}
