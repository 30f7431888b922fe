//! The response cache, through `tower::ServiceExt`: each test runs on the embedded store and on a real Redis, where it makes
//! sense. What this crate promises, and where it is shown; the rules of RFC 9111 by themselves have their tables beside them in
//! `buttress-rfc9111`, and what needs a socket (framing, hosts, smuggling) is in `examples/gateway/tests`.
//!
//! | promise | shown in |
//! |---|---|
//! | a variant goes to those it is for: `Vary` on absent fields, several, changing, `*`, in every spelling; under a default lifetime too | `variants`, `hostile_fields` |
//! | HEAD, conditions, ranges and 304 are answered from one whole entry, which none of them spoils | `reuse`, `framing` |
//! | fields that are doubled, malformed, contradictory or meant for another cache are read strictly | `hostile_fields` |
//! | what is for one client, one hop or one request stays there: credentials, cookies, certificates, identifiers, extensions | `identity`, `hostile_fields`, `defaults` |
//! | what was made with a caller's own state is for that caller, however late it was asked for, whatever the response says | `personal` |
//! | nothing is taken for the same target that a service may tell apart; a body on GET goes past | `targets` |
//! | what is cut off, broken, too long or without an end is not kept, and nobody is made to wait for it | `framing`, `streaming`, `endings` |
//! | a change takes along what it names, its groups and its variants, and nothing of other origins | `invalidation`, `tags` |
//! | many misses are one call, in a process and in a fleet; however the one ends, the others are served | `coalescing`, `fleet`, `endings` |
//! | a refresh is one for all, anonymous, and may fail | `reuse`, `fleet`, `refreshing`, `lifetimes`, `identity` |
//! | what was purged is not served again: during fills, in storms, to other processes, when a master dies | `purging`, `coherence`, `failover`, `floods`, `fleet` |
//! | a Redis that is away, slow, full, read-only, evicting or filled by others costs hits and nothing else; a purge that it did not take is an error | `redis`, `faults`, `coherence` |
//! | clocks that disagree or are set back let nothing live longer | `clocks` |
//! | caches nest, before and behind compression, on many routes, applied twice | `nesting` |
//! | floods stay within the memory that was given, and leave what is asked for often | `floods`; a million of each in `benches/flat.rs` |
//! | what a QUERY or a named gRPC method asks by its content is told apart by it; a call that did not go well is not kept | `query`, `grpc` |
//! | who comes while a body does reads along, whole, at its own pace, and never what was changed meanwhile | `sharing`, `sharing_faults` |
//! | a large body is whole and of one fill, or a miss; what is left of others goes soon | `large`, `large_leftovers` |
//! | a memoized value is loaded once, apart from all others, and taken back with all that was made of it | `memo`, `memo_loading`, `memo_made_of`, `memo_spoilt` |
//! | equivalent queries are one response by its own word, and no further: not for another path or host, an error, or one that lacks the field | `no_vary_search`, `no_vary_search_fleet` |
//! | what is compressed in Redis reads the same with the setting and without, and damage is a miss | `compression` |
//! | in shadow nothing is served that the service did not say, and what would have been wrong is reported | `shadow` |
//! | poisoning, provoked errors and deception get nothing stored for others | `deception`, `poisoning`, `lifetimes` |
//!
//! What does not hold, and why:
//!
//! - **Who somebody is, when no field says so.** An identity in the extensions of a request (a session, a client certificate) is
//!   invisible here. `private`, `Vary`, a `key` or a `bypass` says it; `identity` shows the key.
//! - **A service that looks at what it does not name** in `Vary` (CORS reflection without `Vary: Origin`, a field of one's own).
//!   No cache can know; `CacheLayer::audit` finds it. A page with a nonce is the same page for all who get the copy.
//! - **All fields are stored** (RFC 9111 section 3.1), but not `X-Request-Id`, `X-Correlation-Id`, `Server-Timing` and Trace Context:
//!   nginx and Varnish replay them, and a copy that claims to be the answer to somebody else's request is a lie.
//! - **Variants have no number of their own**: a URI that varies on `User-Agent` may fill the store. In process they share the
//!   bytes with all else, and what is asked for often stays; Redis has its `maxmemory`. A `Normalization` makes few of many.
//! - **Under another key, a change reaches what its own client would have been given.** Where a `key` of one's own, or what a proxy
//!   says in `X-Forwarded-…`, gives one URI several entries, the others stay until they are purged by URI.
//! - **Below a router that strips a prefix** (`nest` in axum) two targets look like one. The layer goes around it, or its key says
//!   the whole URI; `nesting` shows both.
//! - **Clocks that are further apart than a response lives** make two processes take its place from each other in turn: right,
//!   and of no use.
//! - **A purge that a master had not replicated when it died** may be lost to other processes; the one that purged remembers.

mod bed;
mod clocks;
mod coalescing;
mod coherence;
mod compression;
mod deception;
mod defaults;
mod endings;
mod failover;
mod faults;
mod fleet;
mod floods;
mod framing;
mod grpc;
mod hostile_fields;
mod identity;
mod invalidation;
mod large;
mod large_leftovers;
mod lifetimes;
mod memo;
mod memo_bed;
mod memo_loading;
mod memo_made_of;
mod memo_spoilt;
mod nesting;
mod no_vary_search;
mod no_vary_search_fleet;
mod personal;
mod poisoning;
mod purging;
mod query;
mod redis;
mod refreshing;
mod reuse;
mod shadow;
mod sharing;
mod sharing_faults;
mod shop;
mod streaming;
mod tags;
mod targets;
mod traces;
mod variants;
