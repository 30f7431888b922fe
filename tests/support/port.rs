//! Free loopback ports for servers that must come back on the same port.
//!
//! ```
//! let port = buttress_tests::port::free();
//! assert!(std::net::TcpListener::bind(("127.0.0.1", port)).is_ok());
//! ```

use std::net::TcpListener;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below every system's ephemeral range, so that no outgoing connection takes the port while its server is down.
const FIRST: u32 = 10_000;
const COUNT: u32 = 12_000;

/// A port that nobody listens on, with its cluster bus twin (`port + 10000`) free as well.
///
/// Another process may still take it before the caller binds; whoever starts a server tries again then.
#[must_use]
pub fn free() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    // Test processes run side by side: each begins its walk elsewhere.
    let start = std::process::id().wrapping_mul(7_919);
    (0..COUNT)
        .map(|_| FIRST + start.wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed)) % COUNT)
        .filter_map(|port| u16::try_from(port).ok())
        .find(|&port| is_free(port) && is_free(port + 10_000))
        .expect("one of 12000 loopback ports is free")
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(("127.0.0.1", port)).is_ok()
}
