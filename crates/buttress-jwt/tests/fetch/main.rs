//! Keys that are fetched by URL, with a real https server and a real Redis.

mod bed;
mod issuer;
mod signer;

mod answers;
mod fleet;
mod layer;
mod outages;
mod rollover;
