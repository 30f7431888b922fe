//! The gateway as a process, between raw sockets: what goes in, what comes out, what reaches the upstream.

mod assets;
mod browser;
mod caching;
mod dashboard;
mod endings;
mod events;
mod fleet;
mod intermediary;
mod life;
mod proxying;
mod sessions;
mod support;
mod tls;
mod tokens;
mod upstream;
mod wire;
