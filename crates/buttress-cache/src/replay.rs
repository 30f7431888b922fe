//! The body of a request of which a part was read before the service sees it.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::reader::next_frame;

pin_project! {
    /// The body of a request that went through [`ContentKeyLayer`](crate::ContentKeyLayer): what was read of it, and the rest.
    ///
    /// To whoever reads it, it is the body that the client sends: data, trailers, length, and an error where that broke off. A
    /// body that was not read passes through untouched, frame by frame.
    pub struct Replay<B>
    where
        B: Body,
    {
        content: Bytes,
        // What came behind the content that was kept: trailers, or the data that was too much.
        then: Option<Frame<Bytes>>,
        #[pin]
        rest: Rest<B, B::Error>,
    }
}

pin_project! {
    #[project = RestProj]
    enum Rest<B, E> {
        Untouched { #[pin] body: B },
        Begun { body: Pin<Box<B>> },
        Ended,
        Broken { error: Option<E> },
    }
}

// === impl Replay ===

impl<B: Body<Data = Bytes>> Replay<B> {
    /// A body of which nothing was read.
    pub(crate) fn untouched(body: B) -> Self {
        Self { content: Bytes::new(), then: None, rest: Rest::Untouched { body } }
    }

    /// Reads a body to its end, or until more than `most` bytes came. What came in small pieces is one from here on, so that
    /// a client cannot make it cost more memory than its length.
    pub(crate) async fn read(body: B, most: usize) -> Self {
        if body.size_hint().lower() > most as u64 {
            return Self::untouched(body);
        }
        let mut body = Box::pin(body);
        let mut content = BytesMut::new();
        let (then, rest) = loop {
            match next_frame(&mut body).await {
                None => break (None, Rest::Ended),
                Some(Err(error)) => break (None, Rest::Broken { error: Some(error) }),
                Some(Ok(frame)) => match frame.data_ref() {
                    Some(data) if content.len() + data.len() <= most => content.extend_from_slice(data),
                    _ => break (Some(frame), Rest::Begun { body }),
                },
            }
        };
        Self { content: content.freeze(), then, rest }
    }

    /// The content, if all of it was read and nothing but content came.
    pub(crate) fn content(&self) -> Option<&[u8]> {
        matches!(self.rest, Rest::Ended).then_some(&self.content)
    }
}

impl<B: Body<Data = Bytes>> Body for Replay<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        if !this.content.is_empty() {
            return Poll::Ready(Some(Ok(Frame::data(std::mem::take(this.content)))));
        }
        if let Some(frame) = this.then.take() {
            return Poll::Ready(Some(Ok(frame)));
        }
        match this.rest.project() {
            RestProj::Untouched { body } => body.poll_frame(cx),
            RestProj::Begun { body } => body.as_mut().poll_frame(cx),
            RestProj::Ended => Poll::Ready(None),
            RestProj::Broken { error } => Poll::Ready(error.take().map(Err)),
        }
    }

    fn is_end_stream(&self) -> bool {
        let is_rest_read = match &self.rest {
            Rest::Untouched { body } => body.is_end_stream(),
            Rest::Begun { body } => body.is_end_stream(),
            Rest::Ended => true,
            Rest::Broken { error } => error.is_none(),
        };
        self.content.is_empty() && self.then.is_none() && is_rest_read
    }

    fn size_hint(&self) -> SizeHint {
        let more = self.then.as_ref().and_then(Frame::data_ref).map_or(0, Bytes::len);
        let read = (self.content.len() + more) as u64;
        let rest = match &self.rest {
            Rest::Untouched { body } => body.size_hint(),
            Rest::Begun { body } => body.size_hint(),
            Rest::Ended => SizeHint::with_exact(0),
            Rest::Broken { .. } => SizeHint::default(),
        };
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(read));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(read));
        }
        hint
    }
}

impl<B: Body> fmt::Debug for Replay<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replay").field("read", &self.content.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use buttress_tests::body::{Scripted, slow};
    use http::HeaderMap;
    use http_body_util::BodyExt as _;

    use super::*;

    fn trailers() -> HeaderMap {
        HeaderMap::from_iter([(http::header::ETAG, "\"a\"".parse().expect("a value"))])
    }

    #[tokio::test]
    async fn what_is_read_comes_again_with_its_length() {
        for (frames, most, content) in [
            (&["one ", "two"][..], 7, Some(&b"one two"[..])),
            (&["one ", "two"], 6, None),
            (&["one two"], 6, None),
            (&["one ", "two"], 3, None),
            (&[], 0, Some(b"")),
            (&["", ""], 0, Some(b"")),
        ] {
            for hidden in [false, true] {
                let body = Scripted::of(frames.iter().copied());
                let replay = Replay::read(if hidden { body.hides_length() } else { body }, most).await;
                assert_eq!(replay.content(), content, "{frames:?} {most}");
                let length = frames.concat().len() as u64;
                let is_known = !hidden || content.is_some();
                assert_eq!(replay.size_hint().exact(), is_known.then_some(length), "{frames:?} {most} {hidden}");
                assert_eq!(replay.is_end_stream(), content == Some(b""), "{frames:?} {most}");
                assert_eq!(replay.collect().await.expect("it ends").to_bytes(), frames.concat());
            }
        }
    }

    #[tokio::test]
    async fn trailers_come_again_and_are_not_content() {
        let replay = Replay::read(Scripted::of(["one"]).trailers(trailers()), 10).await;
        assert_eq!(replay.content(), None);
        assert!(!replay.is_end_stream());
        let collected = replay.collect().await.expect("it ends");
        assert_eq!(collected.trailers(), Some(&trailers()));
        assert_eq!(collected.to_bytes(), "one");
    }

    #[tokio::test]
    async fn a_body_that_breaks_breaks_again_after_what_came() {
        let mut replay = Replay::read(Scripted::of(["one"]).breaks(), 10).await;
        assert_eq!(replay.content(), None);
        let data = replay.frame().await.expect("a frame").expect("that came").into_data().expect("of data");
        assert_eq!(data, "one");
        assert!(!replay.is_end_stream());
        assert!(replay.frame().await.expect("its end").is_err());
        assert!(replay.frame().await.is_none() && replay.is_end_stream());
    }

    #[tokio::test]
    async fn no_more_is_read_than_is_kept() {
        let (tap, body) = slow();
        assert!(tap.data("much") && tap.data("more"));
        let mut replay = Replay::read(body, 3).await;
        assert!(replay.content.is_empty() && replay.then.is_some());
        for expected in ["much", "more"] {
            let frame = replay.frame().await.expect("a frame").expect("that came");
            assert_eq!(frame.into_data().expect("of data"), expected);
        }
        drop(tap);
        assert!(replay.frame().await.is_none());
    }
}
