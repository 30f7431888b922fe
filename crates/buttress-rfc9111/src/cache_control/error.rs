//! Why a text is no `Cache-Control`.

use std::fmt;

/// Why a text is no `Cache-Control`, or cannot be said in a targeted field: the offending directive, and what is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheControlError {
    directive: Box<str>,
    why: Why,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Argument,
    Character,
    Empty,
    Fields,
    Key,
    Known,
    Name,
    Quote,
    Rest,
    Seconds,
    Text,
    Twice,
}

// === impl CacheControlError ===

impl CacheControlError {
    pub(super) fn new(directive: &[u8], why: Why) -> Self {
        let mut text = String::new();
        for character in String::from_utf8_lossy(directive.trim_ascii()).chars() {
            if character.is_control() { text.extend(character.escape_default()) } else { text.push(character) }
        }
        Self { directive: text.into(), why }
    }

    /// The directive as it was written, its control characters escaped: a message ends up in logs and on terminals.
    #[must_use]
    pub fn directive(&self) -> &str {
        &self.directive
    }
}

impl fmt::Display for CacheControlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let why = match self.why {
            Why::Argument => "takes no argument",
            Why::Character => "has a control character in its argument",
            Why::Empty => "has nothing behind its `=`",
            Why::Fields => "needs the names of fields, such as \"set-cookie\"",
            Why::Key => "has a name that no structured field can hold",
            Why::Known => "has a meaning of its own",
            Why::Name => "has no name",
            Why::Quote => "opens a quote that is never closed",
            Why::Rest => "goes on after its end",
            Why::Seconds => "needs a whole number of seconds",
            Why::Text => "has an argument that no structured field can hold",
            Why::Twice => "stands there twice",
        };
        write!(f, "`{}` {why}", self.directive)
    }
}

impl std::error::Error for CacheControlError {}
