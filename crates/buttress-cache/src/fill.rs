//! An entry that is being filled from a body that passes by.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame};
use tokio::runtime::Handle;

use crate::cache::Space;
use crate::keeper::Keeper;
use crate::policy;
use crate::writer::EntryWriter;

/// How long a fill may go on after its client has left.
const PATIENCE: Duration = Duration::from_secs(30);

/// The entry so far. It is kept only if the body ends cleanly and as long as it said.
///
/// Dropped earlier, the lead it holds has failed, and a follower tries again.
pub(crate) struct Fill {
    writer: EntryWriter,
    /// The length that the response announced.
    expected: Option<u64>,
    received: u64,
    /// The largest body that is stored.
    limit: u64,
    space: Space,
    keeper: Keeper,
}

// === impl Fill ===

impl Fill {
    /// Begins a fill. `space` is what the fill may take of the memory that all fills share.
    pub(crate) fn new(writer: EntryWriter, expected: Option<u64>, limit: u64, space: Space, keeper: Keeper) -> Self {
        Self { writer, expected, received: 0, limit, space, keeper }
    }

    /// Takes a copy of a frame. `None` when the body turns out not to be one that can be stored.
    pub(crate) fn take_frame(mut self, frame: &Frame<Bytes>) -> Option<Self> {
        if let Some(trailers) = frame.trailers_ref() {
            self.writer.trailers(trailers);
            return Some(self);
        }
        let data = frame.data_ref()?;
        self.received += data.len() as u64;
        let announced = self.expected.is_none_or(|expected| self.received <= expected);
        if !announced || self.received > self.limit {
            self.keeper.give_up();
            return None;
        }
        if !self.space.grow(self.received) {
            self.keeper.let_go();
            return None;
        }
        self.writer.push(data);
        Some(self)
    }

    /// The body has ended: keeps the entry, if nothing is missing.
    pub(crate) fn finish(self) {
        if self.is_whole() {
            let Self { writer, keeper, .. } = self;
            keeper.keep(writer.finish());
        }
    }

    fn is_whole(&self) -> bool {
        self.expected.is_none_or(|expected| expected == self.received)
    }

    /// The client has left: goes on with a fill that is worth it, in a task that the cache bounds in number and time.
    pub(crate) fn leave<B>(body: Pin<Box<B>>, fill: Self)
    where
        B: Body<Data = Bytes> + Send + 'static,
    {
        if fill.expected.is_some() && fill.is_whole() {
            return fill.finish(); // a server that had all it wanted may drop the body without asking for its end
        }
        if policy::is_worth_finishing(fill.received, fill.expected, fill.keeper.followers()) {
            Self::drain(body, fill);
        }
    }

    /// Reads the rest of a body that no client wants.
    pub(crate) fn drain<B>(body: Pin<Box<B>>, fill: Self)
    where
        B: Body<Data = Bytes> + Send + 'static,
    {
        let Some(permit) = fill.keeper.background() else { return };
        let Ok(runtime) = Handle::try_current() else { return }; // the runtime is being shut down
        runtime.spawn(async move {
            // Past its time the fill is dropped, and with it the lead: a follower tries again.
            let _in_time = tokio::time::timeout(PATIENCE, rest(body, fill)).await.is_ok();
            drop(permit);
        });
    }
}

/// Reads a body to its end, for what fills beside it.
pub(crate) async fn read_to_end<B: Body>(body: B) {
    let mut body = Box::pin(body);
    let read = async { while let Some(Ok(_)) = next_frame(&mut body).await {} };
    let _in_time = tokio::time::timeout(PATIENCE, read).await.is_ok();
}

async fn rest<B>(mut body: Pin<Box<B>>, fill: Fill)
where
    B: Body<Data = Bytes>,
{
    let mut fill = Some(fill);
    while let Some(filling) = fill.take() {
        match next_frame(&mut body).await {
            Some(Ok(frame)) => fill = filling.take_frame(&frame),
            Some(Err(_)) => return,
            None => return filling.finish(),
        }
    }
}

/// The next frame of a body.
pub(crate) fn next_frame<B: Body>(
    body: &mut Pin<Box<B>>,
) -> impl Future<Output = Option<Result<Frame<B::Data>, B::Error>>> {
    std::future::poll_fn(|cx| body.as_mut().poll_frame(cx))
}
