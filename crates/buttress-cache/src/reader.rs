//! Those who read a body while it comes.

use std::fmt;
use std::ops::DerefMut;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker, ready};
use std::time::Duration;

use buttress_core::BoxError;
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

use crate::growing::{End, Growing};
use crate::writer::shared_trailers;

/// How long a fill may go on after its last client has left.
const PATIENCE: Duration = Duration::from_secs(30);

/// One who reads a [`Growing`] body.
pub(crate) struct Reader {
    growing: Arc<Growing>,
    kind: Kind,
    ticket: u64,
    at: u64,
    has_trailers: bool,
    has_ended: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Kind {
    /// Its request went to the service.
    First,
    /// It came while the body did.
    Follower,
    /// Nobody: the body is read for the store.
    Drain,
}

/// Whom to wake when something came.
#[derive(Default)]
pub(crate) struct Wakers(Mutex<Vec<(u64, Waker)>>);

/// That a body which was shared ended before its end.
#[derive(Debug)]
struct Cut;

// === impl Reader ===

impl Reader {
    pub(crate) fn new(growing: Arc<Growing>, kind: Kind, ticket: u64) -> Self {
        Self { growing, kind, ticket, at: 0, has_trailers: false, has_ended: false }
    }

    pub(crate) fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let growing = Arc::clone(&self.growing);
        let mut state = growing.lock();
        loop {
            if self.kind == Kind::Drain {
                self.at = state.len;
            }
            if let Some(data) = state.read(self.at) {
                return Poll::Ready(Some(Ok(self.took(data))));
            }
            if let Some(trailers) = state.trailers.as_ref().filter(|_| !self.has_trailers) {
                self.has_trailers = true;
                let trailers = match self.kind {
                    Kind::First => trailers.clone(),
                    Kind::Follower | Kind::Drain => shared_trailers(trailers),
                };
                if !trailers.is_empty() {
                    return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
                }
            }
            if let Some(end) = &mut state.end {
                return Poll::Ready(self.end(end).map(Err));
            }
            if self.kind == Kind::Drain && state.is_passing() {
                return Poll::Ready(None);
            }
            growing.wakers.register(self.ticket, cx.waker());
            let data = ready!(state.advance(&mut Context::from_waker(&Waker::from(Arc::clone(&growing.wakers)))));
            growing.wakers.forget(self.ticket); // it is awake
            growing.wakers.wake_by_ref();
            if let Some(data) = data.filter(|data| !data.is_empty()) {
                return Poll::Ready(Some(Ok(self.took(data))));
            }
        }
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        let state = self.growing.lock();
        let has_all = self.at == state.len && (state.trailers.is_none() || self.has_trailers);
        let is_clean = match state.end {
            Some(End::Clean) => true,
            Some(End::Short) => self.kind == Kind::First,
            Some(End::Broken(_)) | None => false,
        };
        self.has_ended || has_all && is_clean
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        let state = self.growing.lock();
        state.to_come(state.len.saturating_sub(self.at))
    }

    fn took(&mut self, data: Bytes) -> Frame<Bytes> {
        self.at += data.len() as u64;
        Frame::data(data)
    }

    /// What the end is to this reader: each is told once.
    fn end(&mut self, end: &mut End) -> Option<BoxError> {
        if std::mem::replace(&mut self.has_ended, true) {
            return None;
        }
        match (end, self.kind) {
            (End::Clean, _) | (End::Short, Kind::First | Kind::Drain) => None,
            (End::Broken(error), Kind::First) => Some(error.take().unwrap_or_else(|| Box::new(Cut))),
            (End::Short | End::Broken(_), _) => Some(Box::new(Cut)),
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.growing.wakers.forget(self.ticket);
        self.growing.leave(self.kind);
    }
}

impl Body for Reader {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        Self::poll_frame(&mut self, cx)
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("kind", &self.kind).field("at", &self.at).finish_non_exhaustive()
    }
}

// === impl Wakers ===

impl Wakers {
    fn register(&self, ticket: u64, waker: &Waker) {
        let mut wakers = self.lock();
        match wakers.iter_mut().find(|(other, _)| *other == ticket) {
            Some((_, known)) => known.clone_from(waker),
            None => wakers.push((ticket, waker.clone())),
        }
    }

    fn forget(&self, ticket: u64) {
        self.lock().retain(|(other, _)| *other != ticket);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(u64, Waker)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wake for Wakers {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    /// All of them: who of them reads on is for each to say.
    fn wake_by_ref(self: &Arc<Self>) {
        let wakers = std::mem::take(&mut *self.lock());
        wakers.into_iter().for_each(|(_, waker)| waker.wake());
    }
}

// === impl Cut ===

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the response broke off while others read it too")
    }
}

impl std::error::Error for Cut {}

/// Reads a body to its end, within the time that the cache has for it.
pub(crate) async fn read_to_end<B: Body>(body: B) {
    let mut body = std::pin::pin!(body);
    let read = async { while let Some(Ok(_)) = next_frame(&mut body).await {} };
    let _in_time = tokio::time::timeout(PATIENCE, read).await.is_ok();
}

/// The next frame of a body.
pub(crate) fn next_frame<B: Body>(
    body: &mut Pin<impl DerefMut<Target = B>>,
) -> impl Future<Output = Option<Result<Frame<B::Data>, B::Error>>> {
    std::future::poll_fn(|cx| body.as_mut().poll_frame(cx))
}
