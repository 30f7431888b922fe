#![no_main]
//! `Vary`: what is read comes back from its names, and its union with itself is itself.

use buttress_rfc9111::vary::{MAX_NAMES, VaryFields};

buttress_fuzz::field!("vary", |headers| {
    let vary = VaryFields::of(headers);
    let names: Vec<_> = vary.names().collect();
    assert!(names.len() <= MAX_NAMES && names.is_sorted());
    assert_eq!(VaryFields::from_names(&names).names().collect::<Vec<_>>(), names);
    assert_eq!(vary.union(&vary), Some(vary.clone()));
    assert!(vary.covers(&vary));
});
