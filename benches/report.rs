//! How a bench says what it found: one row per claim, which `scripts/bench` gathers into its closing table.
//!
//! ```
//! use buttress_benches::report::{Target, claim};
//!
//! claim("bytes per entry", Target::AtMost(1638.0), 1500.0, "bytes"); // | bytes per entry | ≤ 1638 | 1500 bytes | yes |
//! ```

/// What a measurement should come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Target {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
    /// Exactly this; for counts.
    Exactly(f64),
    /// Nothing was promised: the number is there to be seen.
    None,
}

/// Prints the row of a claim.
pub fn claim(name: &str, target: Target, measured: f64, unit: &str) {
    let verdict = match target.is_met(measured) {
        Some(true) => "yes",
        Some(false) => "MISSED",
        None => "",
    };
    println!("| {name} | {} | {} {unit} | {verdict} |", target.text(), number(measured));
}

/// The middle one; of an even count the upper of the two.
///
/// # Panics
///
/// When there is none.
#[must_use]
pub fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

// === impl Target ===

impl Target {
    /// Whether a measurement meets it, if there is anything to meet.
    #[must_use]
    pub fn is_met(self, measured: f64) -> Option<bool> {
        match self {
            Self::AtLeast(least) => Some(measured >= least),
            Self::AtMost(most) => Some(measured <= most),
            Self::Exactly(count) => Some((measured - count).abs() < 0.5),
            Self::None => None,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(least) => format!("≥ {}", number(least)),
            Self::AtMost(most) => format!("≤ {}", number(most)),
            Self::Exactly(count) => format!("= {}", number(count)),
            Self::None => "none".to_owned(),
        }
    }
}

/// Ratios with two or three places, counts with none: what a reader compares.
fn number(value: f64) -> String {
    if value.fract() == 0.0 || value >= 100.0 { format!("{value:.0}") } else { format!("{value:.3}") }
}
