//! What a file's name says of itself: where a hash of the content would stand in it, and whether it looks like one.
//!
//! A name is never evidence enough for *immutable*. This is what a manifest, or the operator's word for a path, is
//! combined with, and what makes the answer "no" where a date, a size or a word stands where a hash would.
//!
//! Real hashes are unlike words in a way that can be measured: those of Vite are eight characters of base64url, those of
//! esbuild eight of base32, others are hexadecimal. What could be both is taken for a word. So of a thousand hashes a few
//! are not recognised by their looks alone, and those files are validated rather than kept for ever.

use std::fmt;

/// The shortest that counts as a hash by its looks: 32 bits in hexadecimal.
const SHORTEST: usize = 8;
/// The shortest that counts where a build tool tells the name without it.
const SHORTEST_TOLD: usize = 6;
/// SHA-256 in hexadecimal.
const LONGEST: usize = 64;
/// What bundlers write between a hash and the extension.
const SUFFIXES: [&str; 7] = ["bundle", "chunk", "map", "min", "module", "umd", "worker"];
/// What may stand between a name and its hash.
const SEPARATORS: [char; 4] = ['-', '.', '_', '~'];

/// A hash in a file's name, by its looks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct NameHash<'a> {
    /// The name that it was added to; empty when the hash is the whole name.
    pub(crate) base: &'a str,
    pub(crate) text: &'a str,
    pub(crate) separator: Option<char>,
}

/// Why a name does not carry a hash of its content, as far as one can see.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum NotAHash {
    /// A date, as in `logo-20240608.png`.
    Date,
    /// A number, as in `photo-00012345.jpg`.
    Digits,
    /// The name has no extension.
    NoExtension,
    /// The build tool says that the name is that of the source.
    SameAsSource,
    /// Nothing in it is long enough, as in `icon-v2.svg`.
    Short,
    /// Width and height, as in `mstile-1500x1500.png`.
    Size,
    /// An id, which names a thing and not its content.
    Uuid,
    /// Words, as in `readme-how-to-build.js`.
    Words,
}

// === Where ===

/// The hash in a file's name, if what stands there looks like one.
pub(crate) fn hash_in(file: &str) -> Result<NameHash<'_>, NotAHash> {
    let stem = stem(file).ok_or(NotAHash::NoExtension)?;
    if is_uuid(stem) {
        return Err(NotAHash::Uuid);
    }
    let mut why = NotAHash::Short;
    for found in candidates(stem) {
        match looks(found.text) {
            Ok(()) => return Ok(found),
            Err(no) => why = no,
        }
    }
    Err(why)
}

/// The hash that a build tool added to a source's name; whatever stands there, if it could be one.
///
/// `Ok(None)` if the name has nothing to do with that of its source.
pub(crate) fn hash_added<'a>(file: &'a str, source: &str) -> Result<Option<NameHash<'a>>, NotAHash> {
    let stem = stem(file).ok_or(NotAHash::NoExtension)?;
    let base = self::stem(source).unwrap_or(source);
    let Some(rest) = stem.strip_prefix(base) else { return Ok(None) };
    if rest.is_empty() {
        return Err(NotAHash::SameAsSource);
    }
    let Some(text) = rest.strip_prefix(SEPARATORS) else { return Ok(None) };
    if text.len() < SHORTEST_TOLD || text.len() > LONGEST || !text.chars().all(is_hash_character) {
        return Err(NotAHash::Short);
    }
    Ok(Some(NameHash { base: &stem[..base.len()], text, separator: rest.chars().next() }))
}

/// Each text in a name that could be a hash by its place and length.
pub(crate) fn candidates(stem: &str) -> impl Iterator<Item = NameHash<'_>> {
    // base64url has `-` and `_` in it, so the eight characters that are most usual are looked at first as they stand.
    let eight = stem.len().checked_sub(SHORTEST).filter(|at| stem.is_char_boundary(*at)).and_then(|at| cut(stem, at));
    let last = stem.rfind(SEPARATORS).and_then(|at| cut(stem, at + 1));
    let dotted = stem.rfind('.').and_then(|at| cut(stem, at + 1));
    let is_one = stem.len() == SHORTEST || !stem.contains(SEPARATORS);
    let whole = is_one.then_some(NameHash { base: "", text: stem, separator: None });
    let all = [eight, last, dotted, whole].into_iter().flatten();
    all.filter(|found| (SHORTEST..=LONGEST).contains(&found.text.len()) && found.text.chars().all(is_hash_character))
}

/// The last segment of a path.
pub(crate) fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// A file's name without its extensions.
pub(crate) fn stem(file: &str) -> Option<&str> {
    let (mut stem, _) = file.rsplit_once('.').filter(|(stem, _)| !stem.is_empty())?;
    // `app.5f2d9c81.js.map`: the extension of what the map is for goes too.
    if file.ends_with(".map")
        && let Some((inner, "css" | "js" | "mjs")) = stem.rsplit_once('.')
    {
        stem = inner;
    }
    while let Some((inner, suffix)) = stem.rsplit_once('.') {
        if inner.is_empty() || !SUFFIXES.contains(&suffix) {
            break;
        }
        stem = inner;
    }
    Some(stem)
}

/// Cuts a stem where a hash would begin, if a separator stands before it.
fn cut(stem: &str, at: usize) -> Option<NameHash<'_>> {
    let (before, text) = stem.split_at(at);
    let separator = before.chars().next_back()?;
    let base = before.strip_suffix(SEPARATORS)?;
    Some(NameHash { base, text, separator: Some(separator) })
}

fn is_hash_character(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '-' | '_')
}

/// Whether a path is that of a source map, which most tools name after what it is for and not after its content.
pub(crate) fn is_map(path: &str) -> bool {
    path.len().checked_sub(4).and_then(|at| path.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(".map"))
}

// === Whether ===

/// Whether a text of the right place and length looks like a hash.
pub(crate) fn looks(text: &str) -> Result<(), NotAHash> {
    match () {
        () if is_date(text) => Err(NotAHash::Date),
        () if text.bytes().all(|byte| byte.is_ascii_digit()) => Err(NotAHash::Digits),
        () if is_size(text) => Err(NotAHash::Size),
        () if is_hexadecimal(text) => Ok(()),
        () if is_made_of_words(text) => Err(NotAHash::Words),
        () => Ok(()),
    }
}

/// `20240608`, and what begins so: `20240608T1200`.
fn is_date(text: &str) -> bool {
    let number = |at: std::ops::Range<usize>| text.get(at).and_then(|digits| digits.parse::<u32>().ok());
    let is_year = text.starts_with("19") || text.starts_with("20");
    let is_day = number(4..6).is_some_and(|month| (1..=12).contains(&month))
        && number(6..8).is_some_and(|day| (1..=31).contains(&day));
    is_year && is_day && text.as_bytes().iter().take(8).all(u8::is_ascii_digit)
}

/// `1500x1500`.
fn is_size(text: &str) -> bool {
    let is_number = |digits: &str| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    text.split_once('x').is_some_and(|(width, height)| is_number(width) && is_number(height))
}

/// Lower case or upper case throughout, with a digit and a letter: words of `a` to `f` have no digits.
fn is_hexadecimal(text: &str) -> bool {
    let is_of = |letters: std::ops::RangeInclusive<u8>| {
        text.bytes().all(|byte| byte.is_ascii_digit() || letters.contains(&byte))
            && text.bytes().any(|byte| byte.is_ascii_digit())
            && text.bytes().any(|byte| letters.contains(&byte))
    };
    is_of(b'a'..=b'f') || is_of(b'A'..=b'F')
}

/// `8-4-4-4-12` hexadecimal digits at the end.
fn is_uuid(stem: &str) -> bool {
    let Some(at) = stem.len().checked_sub(36).filter(|at| stem.is_char_boundary(*at)) else { return false };
    let groups = stem[at..].split('-').map(|group| (group.len(), group.bytes().all(|byte| byte.is_ascii_hexdigit())));
    groups.eq([(8, true), (4, true), (4, true), (4, true), (12, true)])
}

/// Whether somebody may have written this: words that can be pronounced and numbers make up most of it.
///
/// A run of letters ends where their case changes, but for a capital before small letters. Random text changes at nearly
/// every character and is seldom fit to be spoken; that is what tells `DA15JTLU` from `BarChart`.
fn is_made_of_words(text: &str) -> bool {
    let runs = runs(text);
    let is_number = |run: &&str| run.starts_with(|first: char| first.is_ascii_digit());
    // Nobody shouts in the middle of a word, nor numbers the middle of a shout.
    let shouts = !text.bytes().any(|byte| byte.is_ascii_lowercase());
    if shouts && runs.iter().rev().skip(1).any(is_number) {
        return false;
    }
    let is_word =
        |run: &&&str| (shouts || run[1..].bytes().all(|byte| byte.is_ascii_lowercase())) && is_pronounceable(run);
    let words: Vec<_> = runs.iter().filter(|run| !is_number(run)).filter(is_word).collect();
    let has_letters = runs.iter().any(|run| !is_number(run));
    if has_letters && !words.iter().any(|word| word.len() >= 4) {
        return false;
    }
    let all: usize = runs.iter().map(|run| run.len()).sum();
    let numbers: usize = runs.iter().filter(|run| is_number(run)).map(|run| run.len()).sum();
    let said = words.iter().map(|word| word.len()).sum::<usize>() + numbers;
    said * 10 >= all * 8
}

/// The runs of one class of characters; separators belong to none.
fn runs(text: &str) -> Vec<&str> {
    let bytes = text.as_bytes();
    let mut runs = Vec::new();
    let mut start = 0;
    for at in 1..=bytes.len() {
        if at == bytes.len() || class(bytes[at]) != class(bytes[at - 1]) && !is_capital_of(&bytes[start..=at]) {
            runs.push(&text[start..at]);
            start = at;
        }
    }
    runs.retain(|run| !run.starts_with(['-', '_']));
    runs
}

fn class(byte: u8) -> u8 {
    match byte {
        b'a'..=b'z' => 0,
        b'A'..=b'Z' => 1,
        b'0'..=b'9' => 2,
        _ => 3,
    }
}

/// A single capital and the small letter after it.
fn is_capital_of(run: &[u8]) -> bool {
    matches!(run, [first, second] if first.is_ascii_uppercase() && second.is_ascii_lowercase())
}

/// Vowels and consonants in such turns as people can speak.
fn is_pronounceable(run: &str) -> bool {
    let is_vowel = |byte: u8| b"aeiouyAEIOUY".contains(&byte);
    let count = run.bytes().filter(|byte| is_vowel(*byte)).count();
    let longest = |vowels: bool| {
        let same = run.as_bytes().split(|byte| is_vowel(*byte) != vowels);
        same.map(<[u8]>::len).max().unwrap_or(0)
    };
    let most = if run.len() <= 4 { 2 } else { 3 };
    let is_odd = run.bytes().zip(run.bytes().skip(1)).any(|pair| {
        let (first, second) = (pair.0.to_ascii_lowercase(), pair.1.to_ascii_lowercase());
        first == b'q' && second != b'u' || first == second && b"ahijkquvwxy".contains(&first)
    });
    run.len() >= 2
        && !is_odd
        && count * 5 >= run.len()
        && count * 10 <= run.len() * 7
        && longest(true) <= 2
        && longest(false) <= most
}

// === impl NotAHash ===

impl NotAHash {
    /// The reason as a word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Date => "a date",
            Self::Digits => "a number",
            Self::NoExtension => "no extension",
            Self::SameAsSource => "the name of its source",
            Self::Short => "too short for a hash",
            Self::Size => "width and height",
            Self::Uuid => "an id",
            Self::Words => "words",
        }
    }
}

impl fmt::Display for NotAHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests;
