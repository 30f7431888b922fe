//! From field lines to directives: `name`, `name=token` or `name="quoted"`, separated by commas.

use std::borrow::Cow;

use http::{HeaderMap, HeaderName};

/// One directive as it was written.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Directive<'a> {
    /// A token in any case.
    pub(crate) name: &'a [u8],
    pub(crate) argument: Argument<'a>,
}

/// What stands behind the name.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Argument<'a> {
    Absent,
    /// A bare or a quoted value, without its quotes and escapes.
    Text(Cow<'a, [u8]>),
    /// White space around `=`, or more after the closing quote.
    Malformed,
}

/// All directives in all lines of this field.
pub(crate) fn directives<'a>(headers: &'a HeaderMap, field: &HeaderName) -> impl Iterator<Item = Directive<'a>> {
    headers.get_all(field).into_iter().flat_map(|line| Lexer { rest: line.as_bytes() })
}

struct Lexer<'a> {
    rest: &'a [u8],
}

// === impl Directive ===

impl Directive<'_> {
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }
}

// === impl Argument ===

impl Argument<'_> {
    /// The argument's text; `None` when it is absent or malformed.
    pub(crate) fn text(&self) -> Option<&[u8]> {
        match self {
            Self::Text(text) => Some(text),
            Self::Absent | Self::Malformed => None,
        }
    }
}

// === impl Lexer ===

impl<'a> Iterator for Lexer<'a> {
    type Item = Directive<'a>;

    fn next(&mut self) -> Option<Directive<'a>> {
        while !self.rest.is_empty() {
            let end = self.rest.iter().position(|byte| matches!(byte, b'=' | b',')).unwrap_or(self.rest.len());
            let (written, rest) = self.rest.split_at(end);
            self.rest = rest;
            let mut argument = if rest.first() == Some(&b'=') { self.argument() } else { Argument::Absent };
            self.rest = self.rest.get(1..).unwrap_or_default(); // the comma
            // What is no name, as in `no-store; max-age=9`, must not hide the one that it begins with.
            let written = written.trim_ascii_start();
            let (name, after) = written.split_at(written.iter().take_while(|byte| is_tchar(**byte)).count());
            if !after.trim_ascii_end().is_empty() || (!after.is_empty() && argument != Argument::Absent) {
                argument = Argument::Malformed;
            }
            if !name.is_empty() {
                return Some(Directive { name, argument });
            }
        }
        None
    }
}

impl<'a> Lexer<'a> {
    /// Reads from `=` up to the comma or the end, and leaves the comma.
    fn argument(&mut self) -> Argument<'a> {
        let text = &self.rest[1..];
        if let Some((value, after)) = text.strip_prefix(b"\"").and_then(quoted) {
            let tail = self.until_comma(after);
            return if tail.trim_ascii().is_empty() { Argument::Text(value) } else { Argument::Malformed };
        }
        // A quote that is never closed must not swallow the directives behind it, so it is an ordinary character.
        let value = self.until_comma(text).trim_ascii_end();
        if is_token(value) || value.is_empty() { Argument::Text(Cow::Borrowed(value)) } else { Argument::Malformed }
    }

    fn until_comma(&mut self, text: &'a [u8]) -> &'a [u8] {
        let end = text.iter().position(|byte| *byte == b',').unwrap_or(text.len());
        self.rest = &text[end..];
        &text[..end]
    }
}

/// The content of a quoted string and what follows it; `None` when it is never closed.
pub(super) fn quoted(text: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let mut unescaped: Option<Vec<u8>> = None;
    let mut at = 0;
    loop {
        match (*text.get(at)?, &mut unescaped) {
            (b'"', _) => {
                let value = unescaped.map_or(Cow::Borrowed(&text[..at]), Cow::Owned);
                return Some((value, &text[at + 1..]));
            }
            (b'\\', copy) => {
                at += 1;
                copy.get_or_insert_with(|| text[..at - 1].to_vec()).push(*text.get(at)?);
            }
            (byte, Some(copy)) => copy.push(byte),
            (_, None) => {}
        }
        at += 1;
    }
}

pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| is_tchar(*byte))
}

/// A character of a token (RFC 9110 section 5.6.2).
fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use http::header::CACHE_CONTROL;

    use super::*;
    use crate::testing::headers;

    /// Writes directives as `name`, `name=text` and `name=?` for a malformed argument.
    fn written(lines: &str) -> String {
        let headers = headers(lines);
        let all = directives(&headers, &CACHE_CONTROL).map(|directive| {
            let name = String::from_utf8_lossy(directive.name).into_owned();
            match &directive.argument {
                Argument::Absent => name,
                Argument::Text(text) => format!("{name}=<{}>", String::from_utf8_lossy(text)),
                Argument::Malformed => format!("{name}=?"),
            }
        });
        all.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_line_falls_into_directives() {
        for (line, expected) in [
            ("", ""),
            (", ,,\t,", ""),
            ("a", "a"),
            ("a,b , c", "a b c"),
            ("a=1,b=\"2\"", "a=<1> b=<2>"),
            ("a=\"x, y\", b", "a=<x, y> b"),
            (r#"a="x\"y\\, z", b"#, r#"a=<x"y\, z> b"#),
            ("a=", "a=<>"),
            ("a=\"\"", "a=<>"),
            ("a =1, b= 1, c = 1", "a=? b=? c=?"),
            ("a , b", "a b"),
            ("a=\"1\"x, b", "a=? b"),
            ("a=\"1\" , b", "a=<1> b"),
            ("a=\"open, b", "a=? b"),
            ("a='1'", "a=<'1'>"),
            ("a=1=2", "a=?"),
            ("=1, b", "b"),
            ("a b, c", "a=? c"),
            ("no-store; max-age=9, b", "no-store=? b"),
            ("a=b c, d", "a=? d"),
            ("\"a\", b", "b"),
            ("\"a, b=1\", c", "b=? c"),
        ] {
            assert_eq!(written(&format!("Cache-Control: {line}")), expected, "{line}");
        }
        assert_eq!(written("Cache-Control: a=\"x\nCache-Control: b\""), "a=? b=?", "a quote ends with its line");
    }
}
