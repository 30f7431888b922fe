//! Windows of time: how far back is looked, and in which steps.
//!
//! ```
//! use buttress_events::Window;
//!
//! let window = Window::minutes(90); // the last ninety, the current one among them
//! assert_eq!(window.steps(), 90);
//! let before = window.before();     // the ninety before those, to compare with
//! # let _ = before;
//! ```

use std::fmt;
use std::time::{Duration, SystemTime};

/// How long a step is. Steps begin at full minutes, hours and days of UTC.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Step {
    /// 60 seconds.
    Minute,
    /// 60 minutes.
    Hour,
    /// 24 hours, from midnight UTC.
    Day,
}

/// The last so many steps: the current one, which is not over, and those before it.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[must_use]
pub struct Window {
    step: Step,
    steps: u32,
    /// So many windows of this length earlier.
    back: u32,
    until: Option<SystemTime>,
}

/// Each step costs a read.
const MOST_STEPS: u32 = 1500;

// === impl Step ===

impl Step {
    /// How long it is.
    #[must_use]
    pub const fn duration(self) -> Duration {
        Duration::from_millis(self.millis())
    }

    pub(crate) const fn millis(self) -> u64 {
        match self {
            Self::Minute => 60_000,
            Self::Hour => 3_600_000,
            Self::Day => 86_400_000,
        }
    }

    /// When the step began that this moment is in, in milliseconds.
    pub(crate) const fn start(self, at: u64) -> u64 {
        at - at % self.millis()
    }

    /// As keys have it.
    pub(crate) const fn letter(self) -> char {
        match self {
            Self::Minute => 'm',
            Self::Hour => 'h',
            Self::Day => 'd',
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Minute => "minute",
            Self::Hour => "hour",
            Self::Day => "day",
        })
    }
}

// === impl Window ===

impl Window {
    /// The last so many minutes. They are kept for 8 hours, unless [set otherwise](crate::EventsOptions::keep).
    pub const fn minutes(steps: u32) -> Self {
        Self::new(Step::Minute, steps)
    }

    /// The last so many hours. They are kept for 35 days, unless [set otherwise](crate::EventsOptions::keep).
    pub const fn hours(steps: u32) -> Self {
        Self::new(Step::Hour, steps)
    }

    /// The last so many days. They are kept for 400 days, unless [set otherwise](crate::EventsOptions::keep).
    pub const fn days(steps: u32) -> Self {
        Self::new(Step::Day, steps)
    }

    /// At least one step, at most 1,500 of them.
    const fn new(step: Step, steps: u32) -> Self {
        let steps = match steps {
            0 => 1,
            1..=MOST_STEPS => steps,
            _ => MOST_STEPS,
        };
        Self { step, steps, back: 0, until: None }
    }

    /// As long a window, right before this one.
    pub const fn before(self) -> Self {
        Self { back: self.back + 1, ..self }
    }

    /// The window whose last step is the one that this moment is in. Default: the current one.
    pub const fn until(self, moment: SystemTime) -> Self {
        Self { until: Some(moment), ..self }
    }

    /// How long its steps are.
    #[must_use]
    pub const fn step(self) -> Step {
        self.step
    }

    /// How many steps it has.
    #[must_use]
    pub const fn steps(self) -> u32 {
        self.steps
    }

    /// When each step begins, the earliest first.
    pub(crate) fn starts(self, now: u64) -> Vec<u64> {
        let until = self.until.map_or(now, crate::policy::millis).min(now);
        let length = self.step.millis();
        let last = self.step.start(until);
        let later = u64::from(self.back) * u64::from(self.steps);
        (later..later + u64::from(self.steps)).rev().filter_map(|ago| last.checked_sub(ago * length)).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    const MINUTE: u64 = 60_000;

    #[test]
    fn the_last_step_is_the_current_one() {
        let now = 100 * MINUTE + 30_000;
        assert_eq!(Window::minutes(3).starts(now), [98 * MINUTE, 99 * MINUTE, 100 * MINUTE]);
        assert_eq!(Window::minutes(3).before().starts(now), [95 * MINUTE, 96 * MINUTE, 97 * MINUTE]);
        assert_eq!(Window::minutes(2).before().before().starts(now), [95 * MINUTE, 96 * MINUTE]);
        assert_eq!(Window::hours(2).starts(now), [0, 60 * MINUTE]);
    }

    #[test]
    fn a_window_in_the_past_or_at_the_beginning_of_time() {
        let now = 100 * MINUTE;
        let until = UNIX_EPOCH + Duration::from_millis(50 * MINUTE + 1);
        assert_eq!(Window::minutes(1).until(until).starts(now), [50 * MINUTE]);
        assert_eq!(Window::days(30).starts(now), [0], "there is nothing before 1970");
        assert_eq!(
            Window::minutes(1).until(until + Duration::from_secs(9_999)).starts(now),
            [now],
            "nor in the future"
        );
    }

    #[test]
    fn windows_are_bounded() {
        assert_eq!(Window::minutes(0).steps(), 1);
        assert_eq!(Window::minutes(u32::MAX).steps(), MOST_STEPS);
    }
}
