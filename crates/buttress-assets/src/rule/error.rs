//! Why a rule cannot be made.

use std::fmt;

/// Why a rule cannot be made.
#[derive(Debug)]
pub struct RuleError {
    pattern: String,
    why: String,
}

// === impl RuleError ===

impl RuleError {
    /// The pattern or value that cannot be used.
    #[must_use]
    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// What is wrong with it, in one line.
    #[must_use]
    pub fn why(&self) -> &str {
        &self.why
    }

    pub(super) fn new(pattern: &str, why: impl fmt::Display) -> Self {
        // A regular expression's error is a picture of several lines; the last one says it.
        let why = why.to_string();
        let why = why.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        Self { pattern: pattern.to_owned(), why }
    }
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.pattern, self.why)
    }
}

impl std::error::Error for RuleError {}
