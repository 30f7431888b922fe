//! Which series there are in this process: each is resolved once, and there are never more than so many.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use arc_swap::ArcSwap;
use hashbrown::HashMap;

use crate::policy::{Class, Verb};
use crate::series::{
    Asked, METHOD, MOST_LABELS, OVERFLOW, OVERFLOWN_ROUTE, REQUESTS, ROUTE, STATUS, Series, SeriesRef, UNMATCHED_ROUTE,
    cut,
};

/// A series of this process: its place in the shards.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Slot(pub(crate) u32);

/// A route of this process.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct RouteId(u32);

/// The series of this process.
pub(crate) struct Registry {
    slots: ArcSwap<Slots>,
    all: ArcSwap<Vec<Arc<Series>>>,
    routes: ArcSwap<HashMap<Box<str>, RouteId, foldhash::fast::RandomState>>,
    /// The slots of each route's methods and outcomes.
    cells: Box<[OnceLock<Cells>]>,
    writer: Mutex<()>,
    most: usize,
    overflowed: AtomicU64,
}

type Slots = HashMap<Arc<Asked>, Slot, foldhash::fast::RandomState>;

struct Cells {
    route: Box<str>,
    /// One more than the slot; zero is not resolved yet.
    slots: Box<[AtomicU32]>,
}

/// Requests that no route took.
pub(crate) const UNMATCHED: RouteId = RouteId(0);
/// Requests of routes that are too many.
const OVERFLOWN: RouteId = RouteId(1);
/// So many names have an overflow of their own, beyond the cap.
const MOST_OVERFLOWS: usize = 100;

// === impl Registry ===

impl Registry {
    pub(crate) fn new(most: usize) -> Self {
        let registry = Self {
            slots: ArcSwap::default(),
            all: ArcSwap::default(),
            routes: ArcSwap::default(),
            cells: (0..most + 2).map(|_| OnceLock::new()).collect(),
            writer: Mutex::new(()),
            most,
            overflowed: AtomicU64::new(0),
        };
        for (id, label) in [(UNMATCHED, UNMATCHED_ROUTE), (OVERFLOWN, OVERFLOWN_ROUTE)] {
            registry.cells[id.0 as usize].get_or_init(|| Cells::new(label));
        }
        registry
    }

    /// The slot of a series; if there are too many already, of its name's overflow.
    pub(crate) fn resolve(&self, series: SeriesRef<'_>) -> Slot {
        if let Some(&slot) = self.slots.load().get(&series) {
            return slot;
        }
        if series.fits() { self.add(series) } else { self.resolve_cut(series) }
    }

    fn resolve_cut(&self, series: SeriesRef<'_>) -> Slot {
        let name = cut(series.name);
        if series.labels.len() > MOST_LABELS {
            self.overflowed.fetch_add(1, Ordering::Relaxed);
            return self.resolve(SeriesRef { name, labels: &[(OVERFLOW, "labels")] });
        }
        let mut labels = [("", ""); MOST_LABELS];
        for (to, from) in labels.iter_mut().zip(series.labels) {
            *to = (cut(from.0), cut(from.1));
        }
        self.resolve(SeriesRef { name, labels: &labels[..series.labels.len()] })
    }

    fn add(&self, series: SeriesRef<'_>) -> Slot {
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = self.slots.load();
        let series = self.admitted(series, &slots);
        if let Some(&slot) = slots.get(&series) {
            return slot;
        }
        let mut all = Vec::clone(&self.all.load());
        let slot = Slot(all.len() as u32);
        all.push(Arc::new(Series::new(series)));
        let mut slots = HashMap::clone(&slots);
        slots.insert(Arc::new(Asked::new(series)), slot);
        self.all.store(Arc::new(all)); // first: whoever finds a slot finds its series
        self.slots.store(Arc::new(slots));
        slot
    }

    /// The series itself, or what is counted in its place.
    fn admitted<'a>(&self, series: SeriesRef<'a>, slots: &Slots) -> SeriesRef<'a> {
        let is_reserved = series.is_reserved() && slots.len() < self.most + 2 * MOST_OVERFLOWS;
        if slots.contains_key(&series) || slots.len() < self.most || is_reserved {
            return series;
        }
        self.overflowed.fetch_add(1, Ordering::Relaxed);
        let own = SeriesRef { name: series.name, labels: &[(OVERFLOW, "true")] };
        if slots.contains_key(&own) || slots.len() < self.most + MOST_OVERFLOWS {
            own // its total is still to be known
        } else {
            SeriesRef { name: OVERFLOW, labels: &[] }
        }
    }

    /// The route of that name; if there are too many already, the one for all that are too many.
    pub(crate) fn route(&self, name: &str) -> RouteId {
        if let Some(&id) = self.routes.load().get(name) {
            return id;
        }
        let name = cut(name);
        let _writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let routes = self.routes.load();
        if let Some(&id) = routes.get(name) {
            return id;
        }
        if routes.len() == self.most / 4 {
            return OVERFLOWN;
        }
        let id = RouteId(routes.len() as u32 + 2);
        self.cells[id.0 as usize].get_or_init(|| Cells::new(name));
        let mut routes = HashMap::clone(&routes);
        routes.insert(name.into(), id);
        self.routes.store(Arc::new(routes));
        id
    }

    /// The slot of a route's requests.
    pub(crate) fn requests(&self, route: RouteId, verb: Verb, class: Class) -> Slot {
        let cells = self.cells[route.0 as usize].get().expect("a route has cells before it has an id");
        let cell = &cells.slots[verb as usize * Class::COUNT + class as usize];
        match cell.load(Ordering::Relaxed).checked_sub(1) {
            Some(slot) => Slot(slot),
            None => {
                let slot = self.resolve_request(&cells.route, verb, class);
                cell.store(slot.0 + 1, Ordering::Relaxed);
                slot
            }
        }
    }

    fn resolve_request(&self, route: &str, verb: Verb, class: Class) -> Slot {
        let rest = [(METHOD, verb.as_str()), (STATUS, class.as_str())];
        let slot = self.resolve(SeriesRef { name: REQUESTS, labels: &[(ROUTE, route), rest[0], rest[1]] });
        if !self.all.load()[slot.0 as usize].is_overflow() {
            return slot;
        }
        // How many failed is still to be known.
        self.resolve(SeriesRef { name: REQUESTS, labels: &[(ROUTE, OVERFLOWN_ROUTE), rest[0], rest[1]] })
    }

    /// What a series is counted as where there are too many.
    pub(crate) fn overflow(&self, series: &Series) -> Slot {
        match (series.label(METHOD), series.label(STATUS)) {
            (Some(method), Some(status)) if &*series.name == REQUESTS => {
                let labels = [(ROUTE, OVERFLOWN_ROUTE), (METHOD, method), (STATUS, status)];
                self.resolve(SeriesRef { name: REQUESTS, labels: &labels })
            }
            _ => self.resolve(SeriesRef { name: &series.name, labels: &[(OVERFLOW, "true")] }),
        }
    }

    pub(crate) fn series(&self, slot: Slot) -> Arc<Series> {
        Arc::clone(&self.all.load()[slot.0 as usize])
    }

    /// How often a series was asked for and another one counted in its place.
    pub(crate) fn overflowed(&self) -> u64 {
        self.overflowed.load(Ordering::Relaxed)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.all.load().len()
    }
}

// === impl Cells ===

impl Cells {
    fn new(route: &str) -> Self {
        Self { route: route.into(), slots: (0..Verb::COUNT * Class::COUNT).map(|_| AtomicU32::new(0)).collect() }
    }
}

// === impl SeriesRef ===

impl SeriesRef<'_> {
    /// Those that are few by nature, and are made when there are too many already: how many requests failed is still to be known then.
    fn is_reserved(&self) -> bool {
        self.name == REQUESTS && self.labels.contains(&(ROUTE, OVERFLOWN_ROUTE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(plan: &str) -> [(&str, &str); 1] {
        [("plan", plan)]
    }

    #[test]
    fn a_series_is_made_once() {
        let registry = Registry::new(10);
        let one = registry.resolve(SeriesRef { name: "login", labels: &login("pro") });
        assert_eq!(registry.resolve(SeriesRef { name: "login", labels: &login("pro") }), one);
        assert_ne!(registry.resolve(SeriesRef { name: "login", labels: &login("free") }), one);
        assert_eq!(registry.series(one).label("plan"), Some("pro"));
    }

    #[test]
    fn a_million_names_take_no_more_memory_than_the_cap() {
        let registry = Registry::new(50);
        for n in 0..10_000 {
            registry.resolve(SeriesRef { name: "login", labels: &login(&n.to_string()) });
            registry.resolve(SeriesRef { name: &n.to_string(), labels: &[] });
            registry.requests(registry.route(&format!("/{n}")), Verb::Get, Class::Success);
            registry.resolve(SeriesRef { name: "login", labels: &login(&"long".repeat(100 + n)) });
        }
        assert!(registry.len() <= 50 + MOST_OVERFLOWS + 2, "{}", registry.len());
        let over = registry.resolve(SeriesRef { name: "login", labels: &login("one more") });
        assert_eq!(registry.series(over).label(OVERFLOW), Some("true"), "by its name it is still known");
        let over = registry.resolve(SeriesRef { name: "one more", labels: &[] });
        assert_eq!(&*registry.series(over).name, OVERFLOW);
    }

    #[test]
    fn requests_that_are_too_many_keep_their_method_and_outcome() {
        let registry = Registry::new(8);
        for n in 0..100 {
            registry.requests(registry.route(&format!("/{n}")), Verb::Get, Class::Success);
        }
        let failed = registry.series(registry.requests(registry.route("/new"), Verb::Post, Class::ServerError));
        let labels = [ROUTE, METHOD, STATUS].map(|key| failed.label(key));
        assert_eq!(labels, [Some(OVERFLOWN_ROUTE), Some("POST"), Some("5xx")]);
        let known = registry.series(registry.requests(registry.route("/0"), Verb::Get, Class::Success));
        assert_eq!(known.label(ROUTE), Some("/0"), "who came first stays");
    }

    #[test]
    fn too_many_labels_are_left_out_and_said() {
        let registry = Registry::new(10);
        let slot = registry.resolve(SeriesRef { name: "login", labels: &[("a", "b"); MOST_LABELS + 1] });
        assert_eq!(registry.series(slot).label(OVERFLOW), Some("labels"));
        assert_eq!(registry.overflowed(), 1);
    }
}
