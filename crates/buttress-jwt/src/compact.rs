//! A token as it arrives: three parts and two dots, nothing else.

use data_encoding::BASE64URL_NOPAD;

use crate::fault::Fault;

/// The parts of a signed token in compact form (RFC 7515 §7.1), not yet believed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Compact<'a> {
    header: &'a str,
    payload: &'a str,
    signature: &'a str,
    /// What is signed: header, dot and payload, as they stand there.
    pub(crate) signed: &'a str,
}

// === impl Compact ===

impl<'a> Compact<'a> {
    pub(crate) fn parse(token: &'a str, longest: usize) -> Result<Self, Fault> {
        if token.len() > longest {
            return Err(Fault::TooLong);
        }
        match token.bytes().filter(|byte| *byte == b'.').count() {
            2 => {}
            4 => return Err(Fault::Encrypted),
            _ => return Err(Fault::NotCompact),
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(Fault::NotCompact)?;
        let (header, payload) = signed.split_once('.').ok_or(Fault::NotCompact)?;
        if header.is_empty() || payload.is_empty() {
            return Err(Fault::NotCompact);
        }
        Ok(Self { header, payload, signature, signed })
    }

    pub(crate) fn header(&self) -> Result<Vec<u8>, Fault> {
        decode(self.header)
    }

    pub(crate) fn payload(&self) -> Result<Vec<u8>, Fault> {
        decode(self.payload)
    }

    /// An empty one is that of `none`, and no signature.
    pub(crate) fn signature(&self) -> Result<Vec<u8>, Fault> {
        if self.signature.is_empty() {
            return Err(Fault::Signature);
        }
        decode(self.signature)
    }
}

/// No padding, no spaces, and no bits behind the end: one text for one value.
fn decode(part: &str) -> Result<Vec<u8>, Fault> {
    BASE64URL_NOPAD.decode(part.as_bytes()).map_err(|_| Fault::NotBase64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_compact_form_passes() {
        for (token, expected) in [
            ("e30.e30.AA", None),
            ("e30.e30", Some(Fault::NotCompact)),
            ("e30", Some(Fault::NotCompact)),
            ("", Some(Fault::NotCompact)),
            (".e30.AA", Some(Fault::NotCompact)),
            ("e30..AA", Some(Fault::NotCompact)),
            ("e30.e30.AA.AA", Some(Fault::NotCompact)),
            ("e30.e30.AA.AA.AA", Some(Fault::Encrypted)),
            ("e30.e30.AA.AA.AA.AA", Some(Fault::NotCompact)),
            (r#"{"payload":"e30","signatures":[]}"#, Some(Fault::NotCompact)),
            ("0123456789.0123456789.0123456789.A", Some(Fault::TooLong)),
        ] {
            assert_eq!(Compact::parse(token, 33).err(), expected, "{token}");
        }
    }

    #[test]
    fn one_text_stands_for_one_value() {
        for (part, fine) in [
            ("e30", true),
            ("e30=", false),
            ("e3 0", false),
            ("e30\n", false),
            ("e3+", false),
            ("e3/", false),
            ("e31", false), // bits behind the end
            ("e", false),
            ("é", false),
        ] {
            assert_eq!(decode(part).is_ok(), fine, "{part:?}");
        }
        assert_eq!(Compact::parse("e30.e30.", 32).unwrap().signature(), Err(Fault::Signature));
    }
}
