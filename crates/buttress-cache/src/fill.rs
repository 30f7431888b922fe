//! An entry that is being filled from a body that passes by.

use std::sync::Weak;

use buttress_core::Personal;
use bytes::Bytes;
use http::HeaderMap;
use metrics::counter;
use tokio::sync::OwnedSemaphorePermit;

use crate::cache::Space;
use crate::entry::Entry;
use crate::growing::Growing;
use crate::grpc::Unary;
use crate::keeper::Keeper;
use crate::manifest::PART;
use crate::parts::{Parts, position};
use crate::policy;
use crate::writer::EntryWriter;

/// What a reader that lags behind is given at once: more would keep the others waiting while it is copied.
const COPIED: usize = 64 << 10;

/// The entry so far. It is kept only if the body ends cleanly and as long as it said.
///
/// Dropped earlier, the lead it holds has failed, and a follower tries again.
pub(crate) struct Fill {
    /// The head, and the body from the last part on.
    writer: EntryWriter,
    parts: Parts,
    /// The length that the response announced.
    expected: Option<u64>,
    received: u64,
    /// The largest body that is stored.
    limit: u64,
    space: Space,
    /// What is known of a unary answer. Nobody reads along before it is known to have gone well.
    unary: Option<Unary>,
    /// Whether it begins to depend on who has asked, while it comes.
    personal: Personal,
    keeper: Keeper,
}

/// Why a response that depends on who asks is not stored.
pub(crate) const PERSONAL: &str = "personal";

/// Why a fill ends before its body does.
pub(crate) enum GaveUp {
    /// The body is longer than it said, or than what is stored.
    TooLong,
    /// Other fills have taken the memory.
    NoSpace,
    /// The answer to a call is more than one message.
    NotUnary,
    /// What comes is for who has asked, and for nobody else.
    Personal,
}

// === impl Fill ===

impl Fill {
    /// Begins a fill. `space` is what the fill may take of the memory that all fills share.
    pub(crate) fn new(writer: EntryWriter, expected: Option<u64>, limit: u64, space: Space, keeper: Keeper) -> Self {
        let parts = keeper.parts();
        keeper.received(0);
        Self { writer, parts, expected, received: 0, limit, space, unary: None, personal: Personal::default(), keeper }
    }

    /// Whether what comes has to be the answer to a unary call that went well.
    pub(crate) fn unary(mut self, yes: bool) -> Self {
        self.unary = yes.then(Unary::default);
        self
    }

    /// The switch that is thrown when what comes begins to depend on who has asked.
    pub(crate) fn personal(mut self, personal: Personal) -> Self {
        self.personal = personal;
        self
    }

    /// Takes a copy of what came.
    pub(crate) fn take(&mut self, mut data: &[u8]) -> Result<(), GaveUp> {
        self.received += data.len() as u64;
        if self.personal.is_marked() {
            return Err(GaveUp::Personal);
        }
        let announced = self.expected.is_none_or(|expected| self.received <= expected);
        if !announced || self.received > self.limit {
            return Err(GaveUp::TooLong);
        }
        if self.unary.as_mut().is_some_and(|unary| !unary.take(data)) {
            return Err(GaveUp::NotUnary);
        }
        if !self.space.grow(self.received) {
            return Err(GaveUp::NoSpace);
        }
        self.keeper.received(self.received);
        while self.writer.body().len() + data.len() >= PART {
            let (fits, rest) = data.split_at(PART - self.writer.body().len());
            self.writer.push(fits);
            self.parts.push(self.writer.take_body());
            data = rest;
        }
        self.writer.push(data);
        Ok(())
    }

    /// Keeps the trailers.
    pub(crate) fn trailers(&mut self, trailers: &HeaderMap) {
        if let Some(unary) = &mut self.unary {
            unary.trailers(trailers);
        }
        self.writer.trailers(trailers);
    }

    /// What came after the first `at` bytes, or a beginning of it.
    pub(crate) fn read(&self, at: u64) -> Option<Bytes> {
        let (part, within) = position(at);
        if let Some(part) = self.parts.get(part) {
            return Some(part.slice(within..));
        }
        let rest = &self.writer.body()[within..];
        (!rest.is_empty()).then(|| Bytes::copy_from_slice(&rest[..rest.len().min(COPIED)]))
    }

    /// The response without its body, for those who are answered while that still comes.
    pub(crate) fn head(&self) -> Entry {
        self.writer.head()
    }

    /// Ends a fill that comes to nothing.
    pub(crate) fn give_up(self, why: &GaveUp) {
        match why {
            GaveUp::TooLong | GaveUp::NotUnary => self.keeper.give_up(),
            GaveUp::NoSpace => self.keeper.let_go(),
            GaveUp::Personal => {
                counter!("buttress_cache_not_stored_total", "reason" => PERSONAL).increment(1);
                self.keeper.give_up();
            }
        }
    }

    /// The body has ended: keeps the entry, if nothing is missing. Answers whether that is so, and gives what came in parts
    /// to those who share it and may be behind.
    pub(crate) fn finish(self, is_shared: bool) -> (bool, Vec<Bytes>) {
        if !self.is_whole() {
            return (false, self.into_parts());
        }
        if let Some(Err(why)) = self.unary.as_ref().map(Unary::verdict) {
            return (true, self.refuse(why.as_str()));
        }
        if self.personal.is_marked() {
            return (true, self.refuse(PERSONAL));
        }
        let Self { mut writer, mut parts, keeper, .. } = self;
        if parts.is_empty() {
            let entry = writer.finish();
            // A slice of it costs an allocation that stays as long as the entry does.
            let body = if is_shared { vec![entry.body()] } else { Vec::new() };
            keeper.keep(entry, None);
            return (true, body);
        }
        let rest = writer.take_body();
        if !rest.is_empty() {
            parts.push(rest);
        }
        let body = parts.all().to_vec();
        keeper.keep(writer.finish_with(parts.manifest()), Some(parts));
        (true, body)
    }

    /// Ends a fill whose answer is whole and not one to keep. Those who wait go their own way: a call that failed says nothing of theirs.
    fn refuse(mut self, why: &'static str) -> Vec<Bytes> {
        counter!("buttress_cache_not_stored_total", "reason" => why).increment(1);
        let body = self.take_parts();
        self.keeper.let_go();
        body
    }

    /// Ends a fill that has failed. What came of it, in parts.
    pub(crate) fn into_parts(mut self) -> Vec<Bytes> {
        self.take_parts()
    }

    fn take_parts(&mut self) -> Vec<Bytes> {
        let mut parts = self.parts.all().to_vec();
        parts.push(self.writer.take_body());
        parts
    }

    /// Whether all came that was announced.
    pub(crate) fn is_whole(&self) -> bool {
        self.expected.is_none_or(|expected| expected == self.received)
    }

    /// Whether all is there although nobody has asked for the end: a server that knows the length does not.
    pub(crate) fn is_complete(&self) -> bool {
        // How a call has ended comes behind its message.
        self.expected == Some(self.received) && self.unary.as_ref().is_none_or(Unary::has_ended)
    }

    /// Whether it should go on when nobody reads the body any more.
    pub(crate) fn is_worth_finishing(&self) -> bool {
        policy::is_worth_finishing(self.received, self.expected, self.keeper.followers())
    }

    /// Whether others may read along: only where it is known that all of it can be kept for them.
    pub(crate) fn may_be_shared(&self) -> bool {
        let fits = self.expected.is_some_and(|expected| expected <= self.limit);
        fits && self.unary.is_none() && !self.personal.is_marked() && self.keeper.is_current()
    }

    /// Whether what it fills was not forgotten meanwhile.
    pub(crate) fn is_current(&self) -> bool {
        self.keeper.is_current()
    }

    /// Tells those who wait for it that they can read along, if they can.
    pub(crate) fn share(&self, growing: Weak<Growing>) {
        if self.may_be_shared() {
            self.keeper.share(growing);
        }
    }

    /// The length that the response announced.
    pub(crate) fn expected(&self) -> Option<u64> {
        self.expected
    }

    pub(crate) fn background(&self) -> Option<OwnedSemaphorePermit> {
        self.keeper.background()
    }
}
