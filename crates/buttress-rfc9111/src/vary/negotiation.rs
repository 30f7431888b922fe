//! `Accept`, `Accept-Encoding` and `Accept-Language` by meaning (RFC 9110 section 12).

use std::cmp::Ordering;

use http::HeaderValue;

use super::normalization::split_unquoted;

/// More members than this are not weighed; browsers send up to about ten.
const MAX_MEMBERS: usize = 32;
/// Weights are kept in thousandths, all that `qvalue` can say.
const FULL_WEIGHT: u16 = 1000;

/// The members of a negotiation field by falling weight, on the stack.
pub(super) struct Preferences<'a> {
    members: [Member<'a>; MAX_MEMBERS],
    count: usize,
}

#[derive(Clone, Copy, Default)]
struct Member<'a> {
    /// The coding, language range or media type.
    value: &'a [u8],
    /// What follows the first semicolon, up to the weight.
    parameters: &'a [u8],
    weight: u16,
}

// === impl Preferences ===

impl<'a> Preferences<'a> {
    /// `Accept-Encoding`. `None` if malformed, too long, or if it names a coding twice.
    pub(super) fn of_codings(lines: impl Iterator<Item = &'a HeaderValue>) -> Option<Self> {
        let mut accepted = Self::parse(lines, |value, parameters| parameters.is_empty() && is_token(value))?;
        for at in 0..accepted.count {
            accepted.members[at].value = without_alias(accepted.members[at].value);
        }
        let unique = (1..accepted.count).all(|at| {
            let value = accepted.members[at].value;
            !accepted.members[..at].iter().any(|other| other.value.eq_ignore_ascii_case(value))
        });
        // Which of them stands first does not matter: all are acceptable, and all decode to the same content.
        accepted.members[..accepted.count]
            .sort_unstable_by(|a, b| b.weight.cmp(&a.weight).then_with(|| compare(a.value, b.value)));
        unique.then_some(accepted)
    }

    /// `Accept-Language`. `None` if malformed, too long, or contradicting itself.
    pub(super) fn of_languages(lines: impl Iterator<Item = &'a HeaderValue>) -> Option<Self> {
        Self::parse(lines, |value, parameters| parameters.is_empty() && is_language_range(value))
    }

    /// `Accept`. `None` if malformed, too long, or contradicting itself.
    pub(super) fn of_media(lines: impl Iterator<Item = &'a HeaderValue>) -> Option<Self> {
        Self::parse(lines, |value, parameters| {
            let parts = value.iter().position(|octet| *octet == b'/').map(|at| (&value[..at], &value[at + 1..]));
            parts.is_some_and(|(kind, subtype)| is_token(kind) && is_token(subtype))
                && parameters_of(parameters).all(|parameter| parameter.is_some())
        })
    }

    fn parse(lines: impl Iterator<Item = &'a HeaderValue>, is_valid: impl Fn(&[u8], &[u8]) -> bool) -> Option<Self> {
        let mut accepted = Self { members: [Member::default(); MAX_MEMBERS], count: 0 };
        for member in lines.flat_map(|line| split_unquoted(line.as_bytes(), b',')) {
            let member = member?.trim_ascii();
            if member.is_empty() {
                continue;
            }
            let member = Member::parse(member)?;
            if !is_valid(member.value, member.parameters) || accepted.count == MAX_MEMBERS {
                return None;
            }
            accepted.insert(member)?;
        }
        Some(accepted)
    }

    /// Keeps the order of equal weights. `None` if that would turn round two members with the same value: which of them
    /// counts is then for the origin to say.
    fn insert(&mut self, member: Member<'a>) -> Option<()> {
        let mut at = self.count;
        while at > 0 && self.members[at - 1].weight < member.weight {
            if self.members[at - 1].value.eq_ignore_ascii_case(member.value) {
                return None;
            }
            self.members[at] = self.members[at - 1];
            at -= 1;
        }
        self.members[at] = member;
        self.count += 1;
        Some(())
    }

    fn members(&self) -> &[Member<'a>] {
        &self.members[..self.count]
    }

    fn weight_of(&self, value: &[u8]) -> Option<u16> {
        self.members().iter().find(|member| member.value.eq_ignore_ascii_case(value)).map(|member| member.weight)
    }

    /// All members with their weights.
    pub(super) fn write(&self, key: &mut Vec<u8>) {
        self.members().iter().for_each(|member| member.write(key));
    }

    /// Content codings, without what changes nothing (RFC 9110 section 12.5.3).
    ///
    /// A coding that is not listed is not accepted unless `*` is; so `;q=0` says something only beside an accepted `*`,
    /// or of `identity`, which alone is accepted unlisted.
    pub(super) fn write_codings(&self, key: &mut Vec<u8>) {
        let any = self.weight_of(b"*").unwrap_or(0);
        let identity = self.identity();
        let says_something = |member: &&Member<'_>| match member.weight {
            0 => any > 0 && !member.value.eq_ignore_ascii_case(b"identity"),
            _ => true,
        };
        self.members().iter().filter(says_something).for_each(|member| member.write(key));
        if identity == Some(0) {
            key.extend_from_slice(b"!identity");
        }
    }

    /// The weight of `identity`: its own or that of `*`; `None` if it is accepted because nothing is said about it.
    fn identity(&self) -> Option<u16> {
        self.weight_of(b"identity").or_else(|| self.weight_of(b"*"))
    }

    /// The accepted ones of the `offered` codings in order of preference, `identity` among them if it is weighed.
    pub(super) fn reduce_codings(&self, offered: &[String], key: &mut Vec<u8>) {
        let any = self.weight_of(b"*").unwrap_or(0);
        let weighed = || {
            let offered = offered.iter().map(|coding| {
                let coding = without_alias(coding.as_bytes());
                (coding, self.weight_of(coding).unwrap_or(any))
            });
            offered.chain(self.identity().map(|weight| (&b"identity"[..], weight)))
        };
        // Level by level, as there is nowhere to sort them; few codings are ever offered.
        let mut level = FULL_WEIGHT + 1;
        while let Some(next) = weighed().map(|(_, weight)| weight).filter(|&w| w > 0 && w < level).max() {
            level = next;
            for (coding, _) in weighed().filter(|&(_, weight)| weight == level) {
                key.extend_from_slice(coding);
                key.push(b',');
            }
            key.push(b'>');
        }
        if self.identity() == Some(0) {
            key.extend_from_slice(b"!identity");
        }
    }

    /// The `offered` languages that are asked for in order of preference, and the refused ranges that touch any.
    pub(super) fn reduce_languages(&self, offered: &[String], key: &mut Vec<u8>) {
        let mut written = 0_u64;
        for range in self.members() {
            if range.weight == 0 {
                if range.value == b"*" || offered.iter().any(|tag| begins_with(tag.as_bytes(), range.value)) {
                    key.push(b'!');
                    write_lowercase(range.value, key);
                    key.push(b',');
                }
            } else if range.value == b"*" {
                key.extend_from_slice(b"*,");
            } else {
                let found = look_up(range.value, offered);
                let within = (0..offered.len()).filter(|&at| begins_with(offered[at].as_bytes(), range.value));
                for at in found.into_iter().chain(within) {
                    if written & 1 << at == 0 {
                        written |= 1 << at;
                        key.extend_from_slice(offered[at].as_bytes());
                        key.push(b',');
                    }
                }
            }
        }
    }
}

// === impl Member ===

impl<'a> Member<'a> {
    /// `value *( OWS ";" OWS parameter ) [ weight ]`; `None` if the weight is malformed or not the last parameter.
    fn parse(member: &'a [u8]) -> Option<Self> {
        let mut parts = split_unquoted(member, b';');
        let value = parts.next()??;
        let (mut end, mut parameters_end, mut weight) = (value.len(), value.len(), None);
        for part in parts {
            let part = part?;
            if weight.is_some() {
                return None;
            }
            end += 1 + part.len();
            match part.trim_ascii() {
                [b'q' | b'Q', b'=', qvalue @ ..] => weight = Some(parse_weight(qvalue)?),
                _ => parameters_end = end,
            }
        }
        let parameters = member[value.len()..parameters_end].strip_prefix(b";").unwrap_or_default();
        Some(Self { value: value.trim_ascii(), parameters, weight: weight.unwrap_or(FULL_WEIGHT) })
    }

    fn write(&self, key: &mut Vec<u8>) {
        write_lowercase(self.value, key);
        for (name, value) in parameters_of(self.parameters).flatten() {
            key.push(b';');
            write_lowercase(name, key);
            key.push(b'=');
            key.extend_from_slice(value);
        }
        if self.weight != FULL_WEIGHT {
            key.extend_from_slice(b";q=");
            key.extend_from_slice(&self.weight.to_be_bytes());
        }
        key.push(b',');
    }
}

/// Names and values; `None` for one without an equals sign.
fn parameters_of(parameters: &[u8]) -> impl Iterator<Item = Option<(&[u8], &[u8])>> {
    split_unquoted(parameters, b';')
        .map(|part| part.unwrap_or_default().trim_ascii())
        .filter(|part| !part.is_empty())
        .map(|part| {
            let at = part.iter().position(|octet| *octet == b'=')?;
            is_token(&part[..at]).then(|| (&part[..at], &part[at + 1..]))
        })
}

/// `qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )`, in thousandths.
fn parse_weight(qvalue: &[u8]) -> Option<u16> {
    let (whole, fraction) = match qvalue {
        [whole] => (whole, &b""[..]),
        [whole, b'.', fraction @ ..] if fraction.len() <= 3 => (whole, fraction),
        _ => return None,
    };
    if !matches!(whole, b'0' | b'1') || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let mut weight = u16::from(whole - b'0');
    for place in 0..3 {
        weight = weight * 10 + u16::from(fraction.get(place).map_or(0, |digit| digit - b'0'));
    }
    (weight <= FULL_WEIGHT).then_some(weight)
}

/// `x-gzip` and `x-compress` are the codings without `x-` (RFC 9110 section 8.4.1).
fn without_alias(coding: &[u8]) -> &[u8] {
    if coding.eq_ignore_ascii_case(b"x-gzip") || coding.eq_ignore_ascii_case(b"x-compress") {
        &coding[2..]
    } else {
        coding
    }
}

/// RFC 4647 section 3.4: the range, shortened from its end until it is one of the tags.
fn look_up(mut range: &[u8], offered: &[String]) -> Option<usize> {
    loop {
        if let Some(at) = offered.iter().position(|tag| tag.as_bytes().eq_ignore_ascii_case(range)) {
            return Some(at);
        }
        range = &range[..range.iter().rposition(|octet| *octet == b'-')?];
        if let [shorter @ .., b'-', _] = range {
            range = shorter;
        }
    }
}

/// RFC 4647 section 3.3.1: the tag is the range, or goes on after it with a hyphen.
fn begins_with(tag: &[u8], range: &[u8]) -> bool {
    tag.get(..range.len()).is_some_and(|start| start.eq_ignore_ascii_case(range))
        && matches!(tag.get(range.len()), None | Some(b'-'))
}

fn is_language_range(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(|octet| octet.is_ascii_alphanumeric() || matches!(octet, b'-' | b'*'))
}

fn is_token(value: &[u8]) -> bool {
    !value.is_empty() && value.iter().all(|octet| octet.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(octet))
}

fn write_lowercase(value: &[u8], key: &mut Vec<u8>) {
    key.extend(value.iter().map(u8::to_ascii_lowercase));
}

fn compare(a: &[u8], b: &[u8]) -> Ordering {
    a.iter().map(u8::to_ascii_lowercase).cmp(b.iter().map(u8::to_ascii_lowercase))
}
