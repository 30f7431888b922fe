//! The request's body on its way to the upstream: never buffered, watched for progress, and held back while the
//! upstream has not said `100 Continue` to a client that waits for it (RFC 9110 section 10.1.1).

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep};
use tower::BoxError;

/// How long an upstream that says nothing is waited for: it may be too old to know of `100 Continue`.
const PATIENCE: Duration = Duration::from_secs(1);

const HELD: u8 = 0;
const OPEN: u8 = 1;
const ANSWERED: u8 = 2;
const UNWANTED: u8 = 3;

/// A request's body that passes on its client's back-pressure, and the upstream's.
#[derive(Debug)]
pub(crate) struct Upload {
    body: Option<Incoming>,
    watch: Option<Arc<Progress>>,
    patience: Option<Pin<Box<Sleep>>>,
}

/// How an upload is getting on, seen from outside.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    gate: AtomicU8,
    waker: AtomicWaker,
    frames: AtomicU64,
    /// The last look at the client's side found nothing there.
    starving: AtomicBool,
}

/// Ends an upload that was answered before it was wanted, once the answer has been passed on.
#[derive(Debug)]
pub(crate) struct Unwanted(Arc<Progress>);

// === impl Upload ===

impl Upload {
    /// A body that has none of the costs of the others.
    pub(crate) const fn empty() -> Self {
        Self { body: None, watch: None, patience: None }
    }

    /// A body, and its progress; `hold` it until the upstream wants it.
    pub(crate) fn new(body: Incoming, hold: bool) -> (Self, Arc<Progress>) {
        let progress = Arc::new(Progress::default());
        progress.gate.store(if hold { HELD } else { OPEN }, Ordering::Release);
        let patience = hold.then(|| Box::pin(sleep(PATIENCE)));
        (Self { body: Some(body), watch: Some(Arc::clone(&progress)), patience }, progress)
    }

    fn poll_gate(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let Some(patience) = &mut self.patience else { return Poll::Ready(Ok(())) };
        let Some(progress) = &self.watch else { return Poll::Ready(Ok(())) };
        progress.waker.register(cx.waker());
        if progress.gate.load(Ordering::Acquire) == HELD && patience.as_mut().poll(cx).is_ready() {
            progress.open();
        }
        match progress.gate.load(Ordering::Acquire) {
            OPEN => {
                self.patience = None;
                Poll::Ready(Ok(()))
            }
            UNWANTED => Poll::Ready(Err("the upstream did not want the body".into())),
            _ => Poll::Pending,
        }
    }
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        ready!(self.poll_gate(cx))?;
        let this = &mut *self;
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(cx).map_err(BoxError::from);
        if let Some(progress) = &this.watch {
            progress.starving.store(frame.is_pending(), Ordering::Relaxed);
            progress.frames.fetch_add(u64::from(frame.is_ready()), Ordering::Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

// === impl Progress ===

impl Progress {
    /// The upstream wants the body.
    pub(crate) fn open(&self) {
        self.leave(HELD, OPEN);
    }

    /// The upstream has answered. A body that is still held back by then stays so until the answer has been passed
    /// on, since ending it ends the connection.
    pub(crate) fn answered(self: &Arc<Self>) -> Option<Unwanted> {
        self.leave(HELD, ANSWERED);
        (self.gate.load(Ordering::Acquire) == ANSWERED).then(|| Unwanted(Arc::clone(self)))
    }

    /// Grows with every piece that has passed.
    pub(crate) fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    /// Whether it is the client that is waited for.
    pub(crate) fn is_starving(&self) -> bool {
        self.starving.load(Ordering::Relaxed)
    }

    fn leave(&self, from: u8, to: u8) {
        if self.gate.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            self.waker.wake();
        }
    }
}

// === impl Unwanted ===

impl Drop for Unwanted {
    fn drop(&mut self) {
        self.0.leave(ANSWERED, UNWANTED);
    }
}
