//! A body that several read while it comes.
//!
//! ```text
//! service ──▶ source ──▶ fill ──┬──▶ the one who asked first
//!                               ├──▶ a follower, from the first byte on
//!                               └──▶ nobody, when all have left and little is missing
//! ```
//!
//! There is no task that pumps: whoever has read all that came asks the source for more, and wakes the others. So the body
//! comes as fast as the fastest reader takes it, a slow one keeps nobody waiting, and a body that is read by one behaves
//! as if this module were not there.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake as _, ready};

use buttress_core::BoxError;
use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use tokio::runtime::Handle;

use crate::entry::Entry;
use crate::fill::{Fill, GaveUp};
use crate::parts;
use crate::reader::{Kind, Reader, Wakers, read_to_end};

/// The service's body, whatever its type.
pub(crate) type Source = Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>;

/// A body that comes, and what came of it.
pub(crate) struct Growing {
    state: Mutex<State>,
    pub(crate) wakers: Arc<Wakers>,
    /// The response as it is told to those who read along.
    head: OnceLock<Entry>,
}

pub(crate) struct State {
    /// Gone once it has ended, or when nobody wants the rest.
    source: Option<Source>,
    content: Content,
    /// How many bytes came.
    pub(crate) len: u64,
    pub(crate) trailers: Option<HeaderMap>,
    pub(crate) end: Option<End>,
    readers: usize,
    /// The tickets that were given so far.
    tickets: u64,
}

enum Content {
    /// It is being stored.
    Filling(Box<Fill>),
    /// It has ended, and what came is here in parts.
    Ended(Vec<Bytes>),
    /// It is not stored: what came is with the one reader it had.
    Passing,
}

/// How a body has ended.
pub(crate) enum End {
    Clean,
    /// Less came than was announced: the one who asked is told what the service told.
    Short,
    /// The error is for the one who asked; those who read along learn that there was one.
    Broken(Option<BoxError>),
}

// === impl Growing ===

impl Growing {
    /// A body that fills an entry while it is read.
    pub(crate) fn new(source: Source, fill: Fill) -> Arc<Self> {
        let content = Content::Filling(Box::new(fill));
        let state = State { source: Some(source), content, len: 0, trailers: None, end: None, readers: 0, tickets: 0 };
        let growing = Arc::new(Self { state: Mutex::new(state), wakers: Arc::default(), head: OnceLock::new() });
        if let Some(fill) = growing.lock().fill() {
            fill.share(Arc::downgrade(&growing));
        }
        growing
    }

    /// The reader for the request that brought the body.
    pub(crate) fn first(self: &Arc<Self>) -> Reader {
        self.reader(&mut self.lock(), Kind::First)
    }

    /// The response so far, for a request that came later. `None` when it should not be shared, or has just ended.
    pub(crate) fn head(&self) -> Option<Entry> {
        let state = self.lock();
        let fill = state.shared()?;
        Some(self.head.get_or_init(|| fill.head()).clone())
    }

    /// A reader from the first byte on.
    pub(crate) fn attach(self: &Arc<Self>) -> Option<Reader> {
        let mut state = self.lock();
        state.shared()?;
        Some(self.reader(&mut state, Kind::Follower))
    }

    /// Whether what comes was changed since it was asked for.
    pub(crate) fn is_outdated(&self) -> bool {
        self.lock().fill().is_some_and(|fill| !fill.is_current())
    }

    /// How long the body will be.
    pub(crate) fn expected(&self) -> Option<u64> {
        self.lock().fill()?.expected()
    }

    /// Reads the rest for the store, in a task that the cache bounds in number and time.
    pub(crate) fn drain(self: &Arc<Self>) {
        let mut state = self.lock();
        let Some(permit) = state.fill().and_then(Fill::background) else { return };
        let Ok(runtime) = Handle::try_current() else { return }; // the runtime is being shut down
        let reader = self.reader(&mut state, Kind::Drain);
        drop(state);
        runtime.spawn(async move {
            // Past its time the fill is dropped, and with it the lead: a follower tries again.
            read_to_end(reader).await;
            drop(permit);
        });
    }

    fn reader(self: &Arc<Self>, state: &mut State, kind: Kind) -> Reader {
        state.readers += 1;
        state.tickets += 1;
        Reader::new(Arc::clone(self), kind, state.tickets)
    }

    /// A reader has left.
    pub(crate) fn leave(self: &Arc<Self>, kind: Kind) {
        let mut state = self.lock();
        state.readers -= 1;
        if let Some(End::Broken(_)) = state.end {
            state.stop_filling(); // where the source has panicked, nobody else has done it, nor woken the others
            self.wakers.wake_by_ref();
        }
        let goes_on = state.readers == 0 && state.abandon(kind);
        drop(state);
        if goes_on {
            self.drain();
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl State ===

impl State {
    fn fill(&self) -> Option<&Fill> {
        match &self.content {
            Content::Filling(fill) => Some(fill),
            Content::Ended(_) | Content::Passing => None,
        }
    }

    /// The fill, if others may read along.
    fn shared(&self) -> Option<&Fill> {
        self.fill().filter(|fill| self.source.is_some() && fill.may_be_shared())
    }

    /// What came after the first `at` bytes, or a beginning of it.
    pub(crate) fn read(&self, at: u64) -> Option<Bytes> {
        match &self.content {
            Content::Filling(fill) => fill.read(at),
            Content::Ended(parts) => {
                let (part, within) = parts::position(at);
                parts.get(part).filter(|part| within < part.len()).map(|part| part.slice(within..))
            }
            Content::Passing => None,
        }
    }

    /// Whether what comes goes to the one reader there is, and nowhere else.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self.content, Content::Passing)
    }

    /// How much is to come, beyond `behind` bytes that came.
    pub(crate) fn to_come(&self, behind: u64) -> SizeHint {
        let source = match (&self.source, &self.end) {
            (Some(source), _) => source.size_hint(),
            (None, Some(End::Clean | End::Short)) => SizeHint::with_exact(0),
            // Whoever announced the rest as the whole would pass it off as that.
            (None, _) => SizeHint::default(),
        };
        let mut hint = SizeHint::new();
        hint.set_lower(source.lower().saturating_add(behind));
        if let Some(upper) = source.upper() {
            hint.set_upper(upper.saturating_add(behind));
        }
        hint
    }

    /// Asks the source for more. Data is given back to whoever asked, who need not read it again.
    pub(crate) fn advance(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        // Out of its place while it is asked: should it panic, nobody asks it again.
        let Some(mut source) = self.source.take() else {
            self.end.get_or_insert(End::Broken(None));
            return Poll::Ready(None);
        };
        self.end = Some(End::Broken(None)); // should it panic
        let frame = source.as_mut().poll_frame(cx);
        self.end = None;
        if !matches!(frame, Poll::Ready(None | Some(Err(_)))) {
            self.source = Some(source);
        }
        let data = match ready!(frame) {
            Some(Ok(frame)) => self.take_frame(frame),
            Some(Err(error)) => {
                self.stop_filling(); // a dropped fill lets a follower try again
                self.end = Some(End::Broken(Some(error)));
                None
            }
            None => {
                self.finish();
                None
            }
        };
        // A server that knows the length does not ask for the end: the last frame must do.
        if self.end.is_none() && self.source.as_ref().is_some_and(|source| source.is_end_stream()) {
            self.source = None;
            self.finish();
        }
        Poll::Ready(data)
    }

    fn take_frame(&mut self, frame: Frame<Bytes>) -> Option<Bytes> {
        match frame.into_data() {
            Ok(data) => {
                self.len += data.len() as u64;
                if let Content::Filling(fill) = &mut self.content
                    && let Err(why) = fill.take(&data)
                {
                    self.give_up(&why);
                }
                // Whoever asks may be one of those whom it is not for.
                self.end.is_none().then_some(data)
            }
            Err(frame) => {
                self.trailers = frame.into_trailers().ok();
                if let (Content::Filling(fill), Some(trailers)) = (&mut self.content, &self.trailers) {
                    fill.trailers(trailers);
                }
                None
            }
        }
    }

    fn finish(&mut self) {
        self.end = Some(End::Clean);
        if let Content::Filling(fill) = std::mem::replace(&mut self.content, Content::Passing) {
            // Whoever has found the end has read all before it.
            let (is_whole, parts) = fill.finish(self.readers > 1);
            self.content = Content::Ended(parts);
            if !is_whole {
                self.end = Some(End::Short);
            }
        }
    }

    /// What came stays for those who have not read it yet.
    fn stop_filling(&mut self) {
        if let Content::Filling(fill) = std::mem::replace(&mut self.content, Content::Passing) {
            self.content = Content::Ended(fill.into_parts());
        }
    }

    /// It can be kept no longer. The one reader that there is reads on; among several nobody would know what is whose, and of what is
    /// for who asked first nobody else shall know anything.
    fn give_up(&mut self, why: &GaveUp) {
        let Content::Filling(fill) = std::mem::replace(&mut self.content, Content::Passing) else { return };
        let is_others = matches!(why, GaveUp::Personal) && self.tickets > 1;
        if self.readers > 1 || is_others {
            self.end = Some(End::Broken(None));
            self.source = None;
        }
        fill.give_up(why);
    }

    /// The last reader has left. Answers whether the rest should be read all the same.
    fn abandon(&mut self, kind: Kind) -> bool {
        if self.end.is_some() {
            return false;
        }
        if self.fill().is_some_and(Fill::is_complete) {
            self.finish();
            return false;
        }
        let goes_on = kind != Kind::Drain && self.fill().is_some_and(Fill::is_worth_finishing);
        if !goes_on {
            self.content = Content::Passing;
            self.source = None;
        }
        goes_on
    }
}
