//! When a response is refreshed while it is still fresh, so that its end does not send all readers to the origin at once.
//!
//! Each reader throws a die: the closer the end and the dearer the refresh, the likelier it is the one that refreshes
//! (Vattani, Chierichetti and Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015). Nobody has to
//! know of anybody else, so it works over many processes without a lock. With `left` until the end, one read refreshes
//! with a chance of `exp(-left / (beta * cost))`:
//!
//! | `left`, with a `beta` of 1 | chance |
//! |---|---|
//! | none | 100 % |
//! | once the cost | 37 % |
//! | three times the cost | 5 % |
//! | five times the cost | 0.7 % |
//!
//! [`jittered`] keeps responses that came together from ending together. Both take the random number as an argument, as
//! the other rules take the time.
//!
//! ```
//! use std::time::Duration;
//! use buttress_rfc9111::early;
//!
//! let (left, cost) = (Duration::from_secs(2), Duration::from_millis(400));
//! assert!(!early::is_due(left, cost, 1.0, 0.5));
//! assert!(early::is_due(left, cost, 1.0, 0.005));
//!
//! let lifetime = Duration::from_secs(60);
//! assert_eq!(early::jittered(lifetime, 0.1, 0.5), Duration::from_secs(57));
//! ```

use std::time::Duration;

/// The largest share of a lifetime that [`jittered`] takes away.
pub const MAX_SHARE: f64 = 0.5;

/// Whether this reader refreshes a response that stays fresh for `left` and took `cost` to fetch.
///
/// `random` is uniform in (0, 1], and drawn anew for each read. A `beta` of 1 is right in most cases; more refreshes
/// earlier, and 0 or less never does. What costs nothing is never due: it can as well be fetched at its end. Nor is
/// anything with NaN or a `random` outside its range, except for 0, with which all else is due.
#[must_use]
pub fn is_due(left: Duration, cost: Duration, beta: f64, random: f64) -> bool {
    let may_be = !cost.is_zero() && beta > 0.0 && random <= 1.0;
    may_be && cost.as_secs_f64() * beta * -random.ln() >= left.as_secs_f64()
}

/// The lifetime without a random part of it, of at most this share: never longer, since the origin allows no more.
///
/// `share` counts as at most [`MAX_SHARE`], and `random` is uniform in \[0, 1\]. NaN takes nothing away.
#[must_use]
pub fn jittered(lifetime: Duration, share: f64, random: f64) -> Duration {
    let part = share.clamp(0.0, MAX_SHARE) * random.clamp(0.0, 1.0);
    if part.is_nan() { lifetime } else { lifetime.saturating_sub(lifetime.mul_f64(part)) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::seconds;

    /// How far a sum of this many steps can be from the chance.
    const STEPS: u32 = 100_000;

    /// The chance of one read: over how much of (0, 1] it is due.
    fn chance(left: Duration, cost: Duration, beta: f64) -> f64 {
        let middle = |step: u32| (f64::from(step) + 0.5) / f64::from(STEPS);
        let due = (0..STEPS).map(middle).filter(|random| is_due(left, cost, beta, *random)).count();
        f64::from(u32::try_from(due).unwrap()) / f64::from(STEPS)
    }

    fn millis(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn vldb2015_the_chance_of_a_read_grows_towards_the_end() {
        for (left, cost, beta, expected) in [
            (0, 400, 1.0, 1.0),
            (400, 400, 1.0, 0.3679),
            (1200, 400, 1.0, 0.0498),
            (2000, 400, 1.0, 0.0067),
            (400, 400, 2.0, 0.6065),
            (400, 400, 0.5, 0.1353),
            (60_000, 400, 1.0, 0.0),
        ] {
            let found = chance(millis(left), millis(cost), beta);
            assert!((found - expected).abs() < 0.0001, "{left} {cost} {beta}: {found}");
        }
    }

    #[test]
    fn vldb2015_the_chance_is_exponential() {
        for (left, cost, beta) in [(0.1, 0.4, 1.0), (1.0, 0.4, 1.0), (3.0, 1.0, 1.5), (0.02, 0.01, 0.7)] {
            let found = chance(Duration::from_secs_f64(left), Duration::from_secs_f64(cost), beta);
            let expected = (-left / (beta * cost)).exp();
            assert!((found - expected).abs() <= 1.0 / f64::from(STEPS), "{left} {cost} {beta}: {found}");
        }
    }

    #[test]
    fn what_costs_nothing_is_never_due() {
        for random in [0.0, f64::MIN_POSITIVE, 0.5, 1.0] {
            for left in [Duration::ZERO, seconds(1), Duration::MAX] {
                assert!(!is_due(left, Duration::ZERO, 1.0, random), "{left:?} {random}");
            }
        }
    }

    #[test]
    fn odd_numbers_are_never_due() {
        for (beta, random) in
            [(0.0, 0.5), (-1.0, 0.5), (f64::NAN, 0.5), (1.0, f64::NAN), (1.0, 1.5), (1.0, -0.5), (f64::INFINITY, 1.0)]
        {
            assert!(!is_due(Duration::ZERO, seconds(1), beta, random), "{beta} {random}");
        }
        // Many generators give [0, 1) instead.
        assert!(is_due(seconds(60), seconds(1), 1.0, 0.0));
    }

    #[test]
    fn jitter_takes_a_share() {
        for (share, random, expected) in [
            (0.0, 1.0, 100),
            (0.1, 0.0, 100),
            (0.1, 0.5, 95),
            (0.1, 1.0, 90),
            (0.5, 1.0, 50),
            (0.9, 1.0, 50),
            (-1.0, 1.0, 100),
            (0.1, 7.0, 90),
            (0.1, -7.0, 100),
            (f64::NAN, 1.0, 100),
            (0.1, f64::NAN, 100),
            (f64::INFINITY, 1.0, 50),
        ] {
            let found = jittered(seconds(100), share, random);
            assert_eq!(found.as_millis(), u128::from(expected * 1000_u64), "{share} {random}");
        }
    }

    proptest! {
        #[test]
        fn jitter_never_lengthens_nor_halves(lifetime in any::<Duration>(), share in any::<f64>(), random in any::<f64>()) {
            let found = jittered(lifetime, share, random);
            prop_assert!(found <= lifetime);
            // A float is less exact than a large duration.
            prop_assert!(found.as_secs_f64() >= lifetime.as_secs_f64() * 0.499_999);
        }

        #[test]
        fn any_numbers_are_answered(
            left in any::<Duration>(), cost in any::<Duration>(), beta in any::<f64>(), random in any::<f64>(),
        ) {
            prop_assert!(!is_due(left, cost, beta, random) || (!cost.is_zero() && beta > 0.0));
        }

        #[test]
        fn less_left_or_more_cost_is_no_less_due(
            left in 0..10_000_u64, cost in 0..10_000_u64, more in 0..1_000_u64, random in 0.000_1..=1.0,
        ) {
            let before = is_due(millis(left), millis(cost), 1.0, random);
            prop_assert!(!before || is_due(millis(left.saturating_sub(more)), millis(cost), 1.0, random));
            prop_assert!(!before || is_due(millis(left), millis(cost + more), 1.0, random));
        }
    }
}
