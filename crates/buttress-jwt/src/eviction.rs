//! Whether Redis may drop what it was told to keep.

use crate::sight::Sight;
use crate::stream::Stream;

/// Looks when a server is first reached, and when it may be another one.
#[derive(Debug, Default)]
pub(crate) struct Eviction {
    is_known: bool,
}

// === impl Eviction ===

impl Eviction {
    pub(crate) fn look_again(&mut self) {
        self.is_known = false;
    }

    /// Reports a server that may drop revocations. Nothing is asked of it then: what it does not have may have been there.
    pub(crate) async fn look(&mut self, stream: &Stream, sight: &Sight) {
        if self.is_known {
            return;
        }
        let Ok(eviction) = stream.eviction().await else { return };
        self.is_known = true;
        let may_drop = eviction.as_ref().is_some_and(|eviction| eviction.may_drop_keys());
        sight.may_forget(may_drop);
        metrics::gauge!("buttress_jwt_eviction").set(f64::from(u8::from(may_drop)));
        match eviction {
            Some(eviction) if may_drop => {
                let policy = eviction.policy;
                tracing::error!(target: "buttress_jwt", policy, "this redis may drop revocations: set maxmemory-policy to noeviction");
            }
            Some(_) => {}
            None => tracing::warn!(target: "buttress_jwt", "whether this redis may drop revocations cannot be known"),
        }
    }
}
