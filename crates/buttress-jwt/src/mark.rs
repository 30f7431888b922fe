//! What can be revoked, as a digest: so that no name of a person or session lies in memory or in Redis.

use crate::claims::Claims;

/// What a revocation is of.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// One token, by its `jti`.
    Token,
    /// One login and all that came of it, by `sid`.
    Session,
    /// Everything of one subject: *log out everywhere*.
    Subject,
    /// Everything issued to one application.
    Client,
    /// Everything signed with one key.
    Key,
    /// Everything of one issuer.
    Issuer,
    /// Everything.
    Everything,
}

/// The digest of one thing that can be revoked, with its kind and issuer.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Mark(pub(crate) [u8; 16]);

/// All marks that a token can be revoked by. Made once per token.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marks {
    pub(crate) token: Mark,
    pub(crate) session: Option<Mark>,
    pub(crate) subject: Option<Mark>,
    pub(crate) client: Option<Mark>,
    pub(crate) key: Option<Mark>,
    pub(crate) issuer: Mark,
}

// === impl Kind ===

impl Kind {
    pub(crate) const ALL: [Self; 7] =
        [Self::Token, Self::Session, Self::Subject, Self::Client, Self::Key, Self::Issuer, Self::Everything];

    /// The word used in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Session => "session",
            Self::Subject => "subject",
            Self::Client => "client",
            Self::Key => "key",
            Self::Issuer => "issuer",
            Self::Everything => "everything",
        }
    }

    /// Its byte in a record.
    pub(crate) const fn byte(self) -> u8 {
        self as u8
    }

    pub(crate) fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.get(usize::from(byte)).copied()
    }
}

// === impl Mark ===

impl Mark {
    /// The mark of a name of this kind under an issuer. Names of two issuers, or of two kinds, have nothing to do with each other.
    pub(crate) fn of(kind: Kind, issuer: &str, name: &str) -> Self {
        // The length keeps issuer and name apart; kind and version stand first.
        let length = (issuer.len() as u64).to_le_bytes();
        let text = [&[1, kind.byte()], &length[..], issuer.as_bytes(), name.as_bytes()].concat();
        let digest = blake3::hash(&text);
        Self(std::array::from_fn(|at| digest.as_bytes()[at]))
    }

    /// The mark of a token without `jti`, by what was signed: not by its signature, of which ECDSA has two.
    pub(crate) fn unnamed(claims: &Claims, signed: &str) -> Option<Self> {
        claims.id().is_none().then(|| Self::of(Kind::Token, claims.issuer(), &format!("\0{signed}")))
    }

    pub(crate) fn everything() -> Self {
        Self::of(Kind::Everything, "", "")
    }

    /// Its name in a key of Redis.
    pub(crate) fn hex(self) -> String {
        data_encoding::HEXLOWER.encode(&self.0)
    }
}

// === impl Marks ===

impl Marks {
    /// The marks of a believed token; `unnamed` of one that has no `jti`.
    pub(crate) fn of(claims: &Claims, kid: Option<&str>, unnamed: Option<Mark>) -> Self {
        let issuer = claims.issuer();
        let mark = |kind, name: Option<&str>| name.map(|name| Mark::of(kind, issuer, name));
        Self {
            token: unnamed.unwrap_or_else(|| Mark::of(Kind::Token, issuer, claims.id().unwrap_or_default())),
            session: mark(Kind::Session, claims.session()),
            subject: mark(Kind::Subject, claims.subject()),
            client: mark(Kind::Client, claims.client()),
            key: mark(Kind::Key, kid),
            issuer: Mark::of(Kind::Issuer, issuer, ""),
        }
    }

    /// All of them, the most special first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Kind, Mark)> {
        [
            (Kind::Token, Some(self.token)),
            (Kind::Session, self.session),
            (Kind::Subject, self.subject),
            (Kind::Client, self.client),
            (Kind::Key, self.key),
            (Kind::Issuer, Some(self.issuer)),
            (Kind::Everything, Some(Mark::everything())),
        ]
        .into_iter()
        .filter_map(|(kind, mark)| mark.map(|mark| (kind, mark)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_differ_by_kind_issuer_and_name() {
        let all = [
            Mark::of(Kind::Token, "a", "b"),
            Mark::of(Kind::Session, "a", "b"),
            Mark::of(Kind::Token, "ab", ""),
            Mark::of(Kind::Token, "", "ab"),
            Mark::of(Kind::Token, "a", "c"),
            Mark::everything(),
        ];
        let different: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(different.len(), all.len());
    }

    #[test]
    fn kinds_keep_their_bytes() {
        let bytes: Vec<_> = Kind::ALL.iter().map(|kind| kind.byte()).collect();
        assert_eq!(bytes, [0, 1, 2, 3, 4, 5, 6]); // they stand in records
        assert!(Kind::ALL.iter().all(|kind| Kind::from_byte(kind.byte()) == Some(*kind)));
        assert_eq!(Kind::from_byte(7), None);
    }
}
