//! What a URI's responses vary on: the record under the plain key when there are several.

use std::time::SystemTime;

use buttress_rfc9111::vary::VaryFields;
use bytes::Bytes;

use crate::block::array;
use crate::entry::Malformed;
use crate::millis::{from_millis, to_millis};
use crate::sealed::{SUM, opened, part, push_part, seal};

/// `magic | version | kind` of this record; entries begin alike, with another kind.
const MARK: [u8; 4] = [0xB7, b'c', 1, b'v'];
const FIXED: usize = 4 + 8 + 8 + 4 + 4;

/// The fields that the responses of one URI vary on, and the epoch of its variants.
///
/// Each variant lies under a key made of the plain key, the epoch and the request's values of these fields
/// (RFC 9111 section 4.1). The fields are the union over the responses seen: keying on a field too many costs hits,
/// on one too few it would serve the wrong variant. When the record goes, a new one begins a new epoch, and all
/// variants of the old one are out of reach at once.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Variants {
    key: Vec<u8>,
    epoch: u64,
    /// The epoch of the record that this one takes the place of.
    follows: u64,
    /// When the last of the variants will be of no more use.
    until: SystemTime,
    fields: VaryFields,
}

// === impl Variants ===

impl Variants {
    /// A new epoch for the URI of this key.
    pub(crate) fn new(key: &[u8], fields: VaryFields, until: SystemTime) -> Self {
        let epoch = rand::random();
        Self { key: key.to_vec(), epoch, follows: epoch, until, fields }
    }

    /// The record after a response that varies on `fields` and is of use until `until`.
    pub(crate) fn extended(&self, fields: &VaryFields, until: SystemTime) -> Self {
        match self.fields.union(fields) {
            Some(fields) => Self { until: self.until.max(until), fields, follows: self.epoch, ..self.clone() },
            // Too many to tell apart: the old ones go.
            None => Self { follows: self.epoch, ..Self::new(&self.key, fields.clone(), until) },
        }
    }

    pub(crate) fn key(&self) -> &[u8] {
        &self.key
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.epoch
    }

    /// How the record begins that this one takes the place of.
    pub(crate) fn head_of_predecessor(&self) -> Bytes {
        [MARK.as_slice(), &self.follows.to_le_bytes()].concat().into()
    }

    pub(crate) fn until(&self) -> SystemTime {
        self.until
    }

    pub(crate) fn fields(&self) -> &VaryFields {
        &self.fields
    }

    pub(crate) fn len(&self) -> usize {
        FIXED + self.key.len() + self.names().len() + SUM
    }

    /// Whether the bytes are this kind of record.
    pub(crate) fn is_encoded_in(bytes: &[u8]) -> bool {
        bytes.starts_with(&MARK)
    }

    pub(crate) fn encode(&self) -> Bytes {
        let names = self.names();
        let mut out = Vec::with_capacity(self.len());
        out.extend_from_slice(&MARK);
        out.extend_from_slice(&self.epoch.to_le_bytes());
        out.extend_from_slice(&to_millis(self.until).to_le_bytes());
        for part in [self.key.as_slice(), names.as_bytes()] {
            push_part(&mut out, part);
        }
        seal(out)
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        Self::fields_of(opened(bytes)?).ok_or(Malformed::Truncated)
    }

    fn fields_of(bytes: &[u8]) -> Option<Self> {
        let epoch = u64::from_le_bytes(array(bytes, 4)?);
        let until = from_millis(u64::from_le_bytes(array(bytes, 12)?));
        let (key, at) = part(bytes, 20)?;
        let (names, _) = part(bytes, at)?;
        let fields = VaryFields::from_names(names.split(|&byte| byte == b','));
        Some(Self { key: key.to_vec(), epoch, follows: epoch, until, fields })
    }

    fn names(&self) -> String {
        self.fields.names().collect::<Vec<_>>().join(",")
    }
}
