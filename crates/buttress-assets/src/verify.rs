//! Whether the hash in a name is that of the content, for the build tools that use a plain one.
//!
//! Django, Phoenix, gulp-rev, Hugo and Trunk's users name a file by a digest of its bytes. Vite, esbuild and webpack hash what
//! went into a file instead, and need their manifest.

use blake3::Hasher as Blake3;
use data_encoding::{BASE32_NOPAD, BASE64URL_NOPAD, HEXLOWER};
use md5::Md5;
use sha1::Sha1;
use sha2::digest::Update;
use sha2::{Digest as _, Sha256, Sha512};

use crate::name::candidates;

/// A digest that a name can hold, in hexadecimal, base32 or base64url, whole or cut short.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Digest {
    /// BLAKE3.
    Blake3,
    /// MD5, as Django, Phoenix and gulp-rev use it.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-256, as Hugo uses it.
    Sha256,
    /// SHA-512.
    Sha512,
}

/// All digests of one content, fed in one reading.
#[derive(Default)]
pub(crate) struct Digests {
    blake3: Blake3,
    md5: Md5,
    sha1: Sha1,
    sha256: Sha256,
    sha512: Sha512,
}

// === impl Digests ===

impl Digests {
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.blake3.update(bytes);
        Update::update(&mut self.md5, bytes);
        Update::update(&mut self.sha1, bytes);
        Update::update(&mut self.sha256, bytes);
        Update::update(&mut self.sha512, bytes);
    }

    /// The digest that the name of a file with this stem holds.
    pub(crate) fn found_in(self, stem: &str) -> Option<Digest> {
        let all: [(Digest, Box<[u8]>); 5] = [
            (Digest::Md5, self.md5.finalize().as_slice().into()),
            (Digest::Sha1, self.sha1.finalize().as_slice().into()),
            (Digest::Sha256, self.sha256.finalize().as_slice().into()),
            (Digest::Sha512, self.sha512.finalize().as_slice().into()),
            (Digest::Blake3, self.blake3.finalize().as_bytes()[..].into()),
        ];
        let texts: Vec<_> = candidates(stem).map(|found| found.text).collect();
        all.into_iter().find(|(_, bytes)| texts.iter().any(|text| begins(bytes, text))).map(|(digest, _)| digest)
    }
}

/// Whether a digest, written in one of the usual ways, begins with this text. Eight characters are 32 bits at least, so that
/// chance plays no part.
fn begins(digest: &[u8], text: &str) -> bool {
    let same = |written: &str, exact: bool| {
        written
            .get(..text.len())
            .is_some_and(|begin| if exact { begin == text } else { begin.eq_ignore_ascii_case(text) })
    };
    same(&HEXLOWER.encode(digest), false)
        || same(&BASE32_NOPAD.encode(digest), false)
        || same(&BASE64URL_NOPAD.encode(digest), true)
}

// === impl Digest ===

impl Digest {
    /// Its usual name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blake3 => "BLAKE3",
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha512 => "SHA-512",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The digests of `a`, by the tools of coreutils.
    #[test]
    fn a_plain_digest_in_a_name_is_found() {
        for (stem, expected) in [
            ("app-0cc175b9c0f1b6a831c399e269772661", Some(Digest::Md5)),
            ("base.0cc175b9c0f1", Some(Digest::Md5)),
            ("base.0CC175B9", Some(Digest::Md5)),
            ("app-86f7e437faa5a7fc", Some(Digest::Sha1)),
            ("ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb", Some(Digest::Sha256)),
            ("app-ypeBEsob", Some(Digest::Sha256)),
            ("app-YPEBESOB", None),
            ("app-1f40fc92da24", Some(Digest::Sha512)),
            ("app-17762fddd969", Some(Digest::Blake3)),
            ("app-0cc175b", None),
            ("app-0cc175b8", None),
            ("0cc175b9-app", None),
        ] {
            let mut digests = Digests::default();
            digests.update(b"a");
            assert_eq!(digests.found_in(stem), expected, "{stem}");
        }
    }
}
