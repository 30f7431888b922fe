//! A session as the store has it.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::id::Name;

/// Fields by their names, as they lie in the store: perhaps sealed. The first octet of a name says whose it is ([`own`], [`user`]).
pub(crate) type Fields = BTreeMap<String, Bytes>;

/// A session as the store has it. Times are in milliseconds since 1970.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Record {
    /// How often it was written.
    pub(crate) version: u64,
    pub(crate) created: u64,
    /// When it ends, however often it is seen.
    pub(crate) ends: u64,
    pub(crate) seen: u64,
    pub(crate) login: Option<LoggedIn>,
    pub(crate) label: Option<String>,
    /// The key of its fields, wrapped; if they are sealed.
    pub(crate) key: Option<Bytes>,
    /// Set when it has ended in favour of another one; then it is only read, and not for long.
    pub(crate) moved: Option<Moved>,
    pub(crate) fields: Fields,
}

/// Somebody is logged in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct LoggedIn {
    pub(crate) subject: String,
    /// The login's name, which stays when the id changes.
    pub(crate) sid: String,
    /// When they proved who they are.
    pub(crate) at: u64,
}

/// Where a session went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Moved {
    pub(crate) to: Name,
    pub(crate) how: How,
}

/// How a session came by its successor.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum How {
    /// It goes on under another id: requests on their way read and write the successor.
    Renewed,
    /// Somebody logged in: requests on their way see what was before, and write nothing.
    Raised,
}

/// One of a subject's logins, as it is listed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Entry {
    pub(crate) sid: String,
    pub(crate) name: Name,
    /// The session that it had before, which may still be read.
    pub(crate) former: Option<Name>,
    pub(crate) created: u64,
    pub(crate) ends: u64,
    /// Whether somebody is about to end it.
    pub(crate) doomed: bool,
    pub(crate) label: String,
}

/// The name of a field of the application.
pub(crate) fn user(key: &str) -> String {
    format!("={key}")
}

/// The name of a field of this crate.
pub(crate) fn own(key: &str) -> String {
    format!("!{key}")
}

/// What a field counts towards the limit.
pub(crate) fn weight(name: &str, value: &[u8]) -> u64 {
    (name.len() + value.len()) as u64
}

/// The largest whole number that all who read it read alike (RFC 8259 §6).
const MOST: i64 = (1 << 53) - 1;

/// A field with a number added to it; nothing is 0. `None` if it is no whole number, or the sum is too large.
pub(crate) fn sum(value: Option<&Bytes>, by: i64) -> Option<Bytes> {
    let value = value.map_or(Some(0), |value| std::str::from_utf8(value).ok()?.parse::<i64>().ok())?;
    let sum = value.checked_add(by).filter(|sum| (-MOST..=MOST).contains(sum))?;
    Some(sum.to_string().into())
}

// === impl Record ===

impl Record {
    /// What its fields count together.
    pub(crate) fn weight(&self) -> u64 {
        self.fields.iter().map(|(name, value)| weight(name, value)).sum()
    }

    /// Reads what the store has, each name followed by its value. `None` if there is nothing; an error if it is nothing of this version.
    pub(crate) fn parse(pairs: Vec<Bytes>) -> Result<Option<Self>, Unreadable> {
        if pairs.is_empty() {
            return Ok(None);
        }
        let mut own = BTreeMap::new();
        let mut fields = Fields::new();
        let mut pairs = pairs.into_iter();
        while let (Some(name), Some(value)) = (pairs.next(), pairs.next()) {
            let name = String::from_utf8(name.into()).map_err(|_| Unreadable)?;
            if name.starts_with(['=', '!']) {
                fields.insert(name, Bytes::copy_from_slice(&value)); // a slice would hold the socket's whole buffer
            } else {
                own.insert(name, value);
            }
        }
        Self::assemble(&own, fields).map(Some).ok_or(Unreadable)
    }

    fn assemble(own: &BTreeMap<String, Bytes>, fields: Fields) -> Option<Self> {
        let text = |name: &str| own.get(name).and_then(|value| std::str::from_utf8(value).ok());
        let number = |name: &str| text(name)?.parse::<u64>().ok();
        if text("v") != Some("1") {
            return None;
        }
        let login = match text("s") {
            Some(subject) => {
                Some(LoggedIn { subject: subject.to_owned(), sid: text("l")?.to_owned(), at: number("a")? })
            }
            None => None,
        };
        let moved = match text("to") {
            Some(to) => Some(Moved { to: Name::parse(to.as_bytes())?, how: How::parse(text("how")?)? }),
            None => None,
        };
        Some(Self {
            version: number("n")?,
            created: number("c")?,
            ends: number("e")?,
            seen: number("t")?,
            login,
            label: text("d").map(str::to_owned),
            key: own.get("k").map(|key| Bytes::copy_from_slice(key)),
            moved,
            fields,
        })
    }
}

/// A record that is none, or of a version that this one does not know.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Unreadable;

// === impl How ===

impl How {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Renewed => "renewed",
            Self::Raised => "raised",
        }
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        [Self::Renewed, Self::Raised].into_iter().find(|how| how.as_str() == text)
    }
}

// === impl Entry ===

impl Entry {
    /// As it lies in the store.
    pub(crate) fn text(&self) -> String {
        let Self { name, former, created, ends, doomed, label, .. } = self;
        let former = former.map_or_else(|| "-".to_owned(), Name::hex);
        let mark = if *doomed { 'x' } else { '+' };
        format!("{} {former} {created} {ends} {mark} {label}", name.hex())
    }

    pub(crate) fn parse(sid: &str, text: &str) -> Option<Self> {
        let mut parts = text.splitn(6, ' ');
        let mut next = || parts.next();
        Some(Self {
            sid: sid.to_owned(),
            name: Name::parse(next()?.as_bytes())?,
            former: match next()? {
                "-" => None,
                former => Some(Name::parse(former.as_bytes())?),
            },
            created: next()?.parse().ok()?,
            ends: next()?.parse().ok()?,
            doomed: match next()? {
                "+" => false,
                "x" => true,
                _ => return None,
            },
            label: next()?.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::id::SessionId;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<Bytes> {
        let both = pairs.iter().flat_map(|(name, value)| [*name, *value]);
        both.map(|text| Bytes::copy_from_slice(text.as_bytes())).collect()
    }

    const PLAIN: [(&str, &str); 5] = [("v", "1"), ("n", "3"), ("c", "10"), ("e", "90"), ("t", "20")];

    #[test]
    fn a_record_is_read_whole_or_not_at_all() {
        assert_eq!(Record::parse(Vec::new()), Ok(None));
        let read = Record::parse(pairs(&[&PLAIN[..], &[("=a", "1"), ("!flash", "[]"), ("d", "phone")]].concat()));
        let record = read.unwrap().unwrap();
        assert_eq!((record.version, record.created, record.ends, record.seen), (3, 10, 90, 20));
        assert_eq!(record.fields.keys().collect::<Vec<_>>(), ["!flash", "=a"]);
        assert_eq!((record.label.as_deref(), record.weight()), (Some("phone"), 3 + 8));

        let name = SessionId::random().name();
        let (hex, text) = (name.hex(), "x".to_owned());
        for (what, more) in [
            ("another version", vec![("v", "2")]),
            ("no version", vec![("v", "")]),
            ("no number", vec![("n", "-1")]),
            ("too large a number", vec![("e", "99999999999999999999999")]),
            ("a subject without a login", vec![("s", "ada")]),
            ("a login without a time", vec![("s", "ada"), ("l", "x")]),
            ("a successor without a reason", vec![("to", &*hex)]),
            ("an unknown reason", vec![("to", &hex), ("how", "eaten")]),
            ("a successor that is none", vec![("to", &text), ("how", "renewed")]),
        ] {
            assert_eq!(Record::parse(pairs(&[&PLAIN[..], &more].concat())), Err(Unreadable), "{what}");
        }
        assert_eq!(Record::parse(pairs(&PLAIN[1..])), Err(Unreadable));
        let moved = Record::parse(pairs(&[&PLAIN[..], &[("to", &hex), ("how", "raised")]].concat()));
        assert_eq!(moved.unwrap().unwrap().moved, Some(Moved { to: name, how: How::Raised }));
    }

    #[test]
    fn an_entry_is_written_and_read() {
        let name = SessionId::random().name();
        for (former, doomed, label) in [(None, false, ""), (Some(name), true, "a + b x c"), (None, true, "Ünïcode")] {
            let label = label.to_owned();
            let entry = Entry { sid: "s".to_owned(), name, former, created: 1, ends: 2, doomed, label };
            assert_eq!(Entry::parse("s", &entry.text()), Some(entry));
        }
        for bad in ["", "x", "00 - 1 2 + label", &format!("{} - 1 2 ? label", name.hex())] {
            assert_eq!(Entry::parse("s", bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<Vec<u8>>, text: String) {
            let _read = Record::parse(bytes.into_iter().map(Bytes::from).collect());
            let _entry = Entry::parse("s", &text);
        }
    }
}
