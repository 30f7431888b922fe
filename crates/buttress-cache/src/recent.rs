//! The tags that were purged last: so that a tag nobody has heard of is known not to be one of them.

use std::collections::{HashMap, VecDeque};

use crate::ledger::Generation;
use crate::tag::Tag;

/// So many purges are remembered one by one, here and in Redis.
pub(crate) const MOST_RECENT: usize = 512;

/// The tags that were purged last.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    /// All that was purged later is here.
    since: Generation,
    order: VecDeque<(Generation, Tag)>,
    last: HashMap<Tag, Generation>,
}

// === impl Recent ===

impl Recent {
    /// A tag was purged, later than all before it.
    pub(crate) fn note(&mut self, tag: Tag, generation: Generation) {
        self.order.push_back((generation, tag));
        self.last.insert(tag, generation);
        if self.order.len() > MOST_RECENT
            && let Some((generation, tag)) = self.order.pop_front()
        {
            self.since = self.since.max(generation);
            if self.last.get(&tag) == Some(&generation) {
                self.last.remove(&tag);
            }
        }
    }

    /// Whether it is certain that the tag was not purged since.
    pub(crate) fn rules_out(&self, tag: &Tag, begun: Generation) -> bool {
        self.since <= begun && self.last.get(tag).is_none_or(|purged| *purged <= begun)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_among_the_last_purges_is_ruled_out_for_as_long_as_they_go_back() {
        let mut recent = Recent::default();
        let (tag, other) = (Tag::named("a"), Tag::named("b"));
        assert!(recent.rules_out(&tag, Generation(1)));
        recent.note(tag, Generation(5));
        assert!(!recent.rules_out(&tag, Generation(4)));
        assert!(recent.rules_out(&tag, Generation(5)) && recent.rules_out(&other, Generation(4)));
        recent.note(tag, Generation(6));
        for number in 0..MOST_RECENT as u64 {
            recent.note(Tag::named(&number.to_string()), Generation(10 + number));
        }
        assert!(!recent.rules_out(&other, Generation(5)), "it may have been purged at 6, for all that is known");
        assert!(recent.rules_out(&other, Generation(6)) && recent.rules_out(&tag, Generation(6)));
        assert!(recent.last.len() <= MOST_RECENT && recent.order.len() <= MOST_RECENT);
    }
}
