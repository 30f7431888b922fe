//! Distributions that can be added up: counts in buckets whose bounds grow by a sixteenth of a doubling.
//!
//! These are the buckets of OpenTelemetry's exponential histogram at scale 4 (data model, *ExponentialHistogram*): a value is known to within
//! ±2.2 %, two of them are merged by adding, and those of a power of two are exact.

/// How many buckets a doubling has.
pub(crate) const PER_DOUBLING: i16 = 16;
/// The lowest bucket begins a sixteenth of a doubling below 2⁻³⁰, a nanosecond if it is seconds; it takes zero and what is below it.
pub(crate) const LOWEST: i16 = -30 * PER_DOUBLING - 1;
/// The highest ends at 2⁵⁰, a pebibyte if it is bytes; it takes what is above it.
pub(crate) const HIGHEST: i16 = 50 * PER_DOUBLING - 1;

/// How many values fell into which bucket; sorted, only those that are not empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Buckets(Vec<(i16, u64)>);

/// The bucket of a value: it is above the bucket's lower bound, and not above the upper one.
pub(crate) fn bucket(value: f64) -> i16 {
    if value <= 0.0 {
        return LOWEST;
    }
    let place = (value.log2() * f64::from(PER_DOUBLING)).ceil() - 1.0;
    place.clamp(f64::from(LOWEST), f64::from(HIGHEST)) as i16
}

/// The largest value of a bucket.
pub(crate) fn upper(bucket: i16) -> f64 {
    (f64::from(bucket + 1) / f64::from(PER_DOUBLING)).exp2()
}

/// What a value in this bucket is taken for: the geometric middle.
fn middle(bucket: i16) -> f64 {
    ((f64::from(bucket) + 0.5) / f64::from(PER_DOUBLING)).exp2()
}

// === impl Buckets ===

impl Buckets {
    pub(crate) fn add(&mut self, bucket: i16, count: u64) {
        match self.0.binary_search_by_key(&bucket, |&(bucket, _)| bucket) {
            Ok(at) => self.0[at].1 = self.0[at].1.saturating_add(count),
            Err(at) => self.0.insert(at, (bucket, count)),
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        if self.0.is_empty() {
            self.0.clone_from(&other.0);
        } else {
            other.iter().for_each(|(bucket, count)| self.add(bucket, count));
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (i16, u64)> {
        self.0.iter().copied()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum, &(_, count)| sum.saturating_add(count))
    }

    /// How many values are at most as large as the largest of this bucket.
    pub(crate) fn up_to(&self, bucket: i16) -> u64 {
        self.0.iter().filter(|&&(at, _)| at <= bucket).fold(0, |sum, &(_, count)| sum.saturating_add(count))
    }

    /// The value that a share `q` of all is not above, to within ±2.2 %: the nearest rank. `None` if there are no values.
    pub(crate) fn quantile(&self, q: f64) -> Option<f64> {
        let rank = (q.clamp(0.0, 1.0) * self.count() as f64).ceil().max(1.0) as u64;
        let mut seen = 0_u64;
        let found = self.0.iter().find(|&&(_, count)| {
            seen = seen.saturating_add(count);
            seen >= rank
        });
        found.map(|&(bucket, _)| if bucket == LOWEST { 0.0 } else { middle(bucket) })
    }
}

impl FromIterator<(i16, u64)> for Buckets {
    fn from_iter<I: IntoIterator<Item = (i16, u64)>>(buckets: I) -> Self {
        let mut all = Self::default();
        buckets.into_iter().for_each(|(bucket, count)| all.add(bucket, count));
        all
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_power_of_two_is_the_largest_of_its_bucket() {
        for power in -30..=50_i16 {
            let value = f64::from(power).exp2();
            assert_eq!(upper(bucket(value)), value);
            assert_eq!(bucket(value * 1.0001), (bucket(value) + 1).min(HIGHEST));
        }
    }

    #[test]
    fn what_is_no_measure_falls_to_an_end() {
        let table =
            [(0.0, LOWEST), (-1.0, LOWEST), (f64::MIN_POSITIVE, LOWEST), (f64::MAX, HIGHEST), (f64::INFINITY, HIGHEST)];
        for (value, expected) in table {
            assert_eq!(bucket(value), expected, "{value}");
        }
    }

    #[test]
    fn quantiles_of_what_is_known() {
        let buckets: Buckets = (1..=1000).map(|millis| (bucket(f64::from(millis) / 1000.0), 1)).collect();
        for (q, expected) in [(0.0, 0.001), (0.5, 0.5), (0.9, 0.9), (0.99, 0.99), (1.0, 1.0)] {
            let found = buckets.quantile(q).unwrap();
            assert!((found / expected - 1.0).abs() < 0.0225, "{q}: {found} for {expected}");
        }
        assert_eq!(Buckets::default().quantile(0.5), None);
        assert_eq!(Buckets::from_iter([(bucket(0.0), 3)]).quantile(0.5), Some(0.0));
    }

    proptest! {
        #[test]
        fn a_quantile_is_near_the_value_of_that_rank(mut values in prop::collection::vec(1e-6_f64..1e6, 1..200), q in 0.0..=1.0_f64) {
            let buckets: Buckets = values.iter().map(|&value| (bucket(value), 1)).collect();
            values.sort_by(f64::total_cmp);
            let rank = (q * values.len() as f64).ceil().max(1.0) as usize;
            let (found, exact) = (buckets.quantile(q).unwrap(), values[rank - 1]);
            prop_assert!((found / exact - 1.0).abs() < 0.0225, "{found} for {exact}");
        }

        #[test]
        fn merged_is_as_if_it_had_been_one(one in prop::collection::vec((-400..700_i16, 1..9_u64), 0..40), other in prop::collection::vec((-400..700_i16, 1..9_u64), 0..40)) {
            let mut merged: Buckets = one.iter().copied().collect();
            merged.merge(&other.iter().copied().collect());
            prop_assert_eq!(merged, one.into_iter().chain(other).collect::<Buckets>());
        }
    }
}
