//! What a trace shows: where the time of a request went, and nothing for a hit.

use std::fmt;
use std::sync::{Arc, Mutex};

use buttress::cache::Purge;
use tracing::field::{Field, Visit};
use tracing::span;
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};

use crate::bed::{Bed, Store, response};

/// The spans of the cache, with their fields.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<String>>>);

struct Fields<'a>(&'a mut String);

impl<S: tracing::Subscriber> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &span::Attributes<'_>, _: &span::Id, _: Context<'_, S>) {
        if attributes.metadata().target().starts_with("buttress_cache") {
            let mut span = attributes.metadata().name().to_owned();
            attributes.record(&mut Fields(&mut span));
            self.0.lock().unwrap().push(span);
        }
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.0.push_str(&format!(" {}={value:?}", field.name()));
    }
}

#[tokio::test]
async fn a_trace_says_what_a_request_waited_for() {
    let spans = Spans::default();
    // With one subscriber alone, tracing asks that of the thread that comes first; tests beside this one have none.
    let _another = tracing::Dispatch::new(tracing_subscriber::registry());
    let _here = tracing::subscriber::set_default(tracing_subscriber::registry().with(spans.clone()));
    let taken = || std::mem::take(&mut *spans.0.lock().unwrap());
    for (store, miss, hit) in [
        (Store::Embedded, &["cache.fetch why=\"uri-miss\" uri=/x"][..], &[][..]),
        (
            Store::Redis,
            &["cache.lookup", "cache.claim uri=/x", "cache.fetch why=\"uri-miss\" uri=/x"],
            &["cache.lookup"],
        ),
    ] {
        let bed = Bed::new(store, |_| response(200, &[("cache-control", "max-age=60")], "text")).await;
        bed.get("/x").await;
        assert_eq!(taken(), miss, "{store:?}");
        bed.get("/x").await;
        assert_eq!(taken(), hit, "{store:?}");
        bed.cache.purge(Purge::everything()).await.unwrap();
        assert_eq!(taken(), ["cache.purge purge.what=Everything purge.soft=false"]);
    }
}
