//! What a request that has to be fetched may do with the response.

use buttress_rfc9111::cache_status::{CacheName, CacheStatus, Forward};
use buttress_rfc9111::reuse::Outdated;

use crate::entry::Entry;
use crate::flight::Lead;

/// What a request that has to be fetched may do with the response.
pub(crate) struct Errand {
    pub(crate) why: Forward,
    /// Without a lead nothing is stored.
    pub(crate) lead: Option<Lead>,
    /// The entry that is stale or must be validated.
    pub(crate) stale: Option<Entry>,
    /// Whether this request waited for another in vain.
    pub(crate) waited: bool,
}

// === impl Errand ===

impl Errand {
    pub(crate) fn unstored(why: Forward) -> Self {
        Self { why, lead: None, stale: None, waited: false }
    }

    /// Whether the request goes out with the validators of the stale entry.
    pub(crate) fn validates(&self) -> bool {
        self.lead.is_some() && self.stale.is_some()
    }

    /// The errand came to nothing: somebody who waits may try again.
    pub(crate) fn fail(self) {
        if let Some(lead) = self.lead {
            lead.fail();
        }
    }

    /// What `Cache-Status` says of it.
    pub(crate) fn status<'a>(&self, name: &'a CacheName) -> CacheStatus<'a> {
        let status = CacheStatus::forwarded(name, self.why);
        if self.waited { status.collapsed(false) } else { status }
    }
}

/// RFC 9211's word for a reason to ask the service although an entry is there.
pub(crate) fn forward_word(why: Outdated) -> Forward {
    match why {
        Outdated::RequestMaxAge | Outdated::RequestMinFresh | Outdated::RequestNoCache => Forward::Request,
        _ => Forward::Stale,
    }
}
