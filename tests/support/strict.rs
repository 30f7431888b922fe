//! A probe for tower's first law: only the service that said it is ready may be called.
//!
//! ```
//! use buttress_tests::Strict;
//! use tower_service::Service as _;
//! # use std::task::{Context, Poll, Waker};
//! # #[derive(Clone)] struct Echo;
//! # impl tower_service::Service<u8> for Echo {
//! #     type Response = u8; type Error = (); type Future = std::future::Ready<Result<u8, ()>>;
//! #     fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ()>> { Poll::Ready(Ok(())) }
//! #     fn call(&mut self, n: u8) -> Self::Future { std::future::ready(Ok(n)) }
//! # }
//! let mut service = Strict::new(Echo);
//! # let mut cx = Context::from_waker(Waker::noop());
//! assert!(service.poll_ready(&mut cx).is_ready());
//! let mut clone = service.clone(); // a clone is not ready, whatever the original was
//! assert!(std::panic::catch_unwind(move || clone.call(1)).is_err());
//! assert!(service.call(1).into_inner().is_ok());
//! ```

use std::task::{Context, Poll};

use tower_service::Service;

/// Wraps a service so that calling an instance that was not polled ready panics.
///
/// A layer that clones its inner service inside `call` and calls the clone works with most services and breaks those
/// that hold a permit from `poll_ready` on. Around a `Strict`, it breaks at once: clones are never ready, and a call
/// uses the readiness up.
#[derive(Debug)]
pub struct Strict<S> {
    inner: S,
    is_ready: bool,
}

// === impl Strict ===

impl<S> Strict<S> {
    /// Begins not ready.
    pub const fn new(inner: S) -> Self {
        Self { inner, is_ready: false }
    }
}

impl<S: Clone> Clone for Strict<S> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone())
    }
}

impl<S: Service<Request>, Request> Service<Request> for Strict<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        let polled = self.inner.poll_ready(cx);
        self.is_ready = matches!(polled, Poll::Ready(Ok(())));
        polled
    }

    fn call(&mut self, request: Request) -> S::Future {
        assert!(self.is_ready, "called a service that was not polled ready (a clone of the ready one?)");
        self.is_ready = false;
        self.inner.call(request)
    }
}
