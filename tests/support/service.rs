//! Inner services that count: the origin behind a layer under test.
//!
//! ```
//! use buttress_tests::counting;
//! use tower_service::Service as _;
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let (mut origin, calls) = counting(|n: u32| async move { Ok::<_, std::convert::Infallible>(n + 1) });
//! assert_eq!(origin.call(1).await, Ok(2));
//! assert_eq!(calls.get(), 1);
//! # });
//! ```

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tower_service::Service;

/// A service made of a function, always ready; see [`counting`].
#[derive(Clone)]
pub struct Counting<F> {
    answer: F,
    calls: Calls,
}

/// How often a [`Counting`] service and its clones were called.
#[derive(Clone, Debug, Default)]
pub struct Calls(Arc<AtomicUsize>);

/// A service that answers with `answer`, and the count of its calls over all clones.
pub fn counting<F>(answer: F) -> (Counting<F>, Calls) {
    let calls = Calls::default();
    (Counting { answer, calls: calls.clone() }, calls)
}

// === impl Counting ===

impl<F, Request, Answer, Response, E> Service<Request> for Counting<F>
where
    F: FnMut(Request) -> Answer,
    Answer: Future<Output = Result<Response, E>>,
{
    type Response = Response;
    type Error = E;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Answer {
        self.calls.0.fetch_add(1, Ordering::SeqCst);
        (self.answer)(request)
    }
}

impl<F> fmt::Debug for Counting<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counting").field("calls", &self.calls).finish_non_exhaustive()
    }
}

// === impl Calls ===

impl Calls {
    /// The calls so far, answered or not.
    #[must_use]
    pub fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}
