//! What a request does to the fields of its session: noted as it goes, so that it can be done again where another request was faster.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::{SessionError, SessionErrorKind};
use crate::record::{self, Fields};
use crate::store::{Act, Must, Write};

/// What a field becomes, by what it is.
pub(crate) type Updater = Arc<dyn Fn(Option<&Bytes>) -> Result<Option<Bytes>, SessionError> + Send + Sync>;
/// What all fields become, by what they are.
pub(crate) type Rewriter = Arc<dyn Fn(&Fields) -> Result<Fields, SessionError> + Send + Sync>;

/// One thing that is done to the fields.
#[derive(Clone)]
pub(crate) enum Op {
    /// The field becomes this, whatever it is; or is removed.
    Put(String, Option<Bytes>),
    /// The number is added to the field.
    Add(String, i64),
    /// The field becomes what is made of it.
    Update(String, Updater),
    /// The fields become what is made of all of them.
    Rewrite(Rewriter),
}

/// What is done to the fields, in its order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Changes(Vec<Op>);

/// What has to be written.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct Plan {
    /// Whether it is right for this version of the session only.
    pub(crate) for_this_version: bool,
    pub(crate) writes: Vec<Write>,
}

/// The fields that changes are based on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Base<'a> {
    /// As they are read.
    pub(crate) plain: &'a Fields,
    /// As they lie in the store.
    pub(crate) stored: &'a Fields,
    /// Whether those differ.
    pub(crate) sealed: bool,
}

// === impl Changes ===

impl Changes {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Notes what was done. What an earlier one of the same kind did to the same field is part of it then, so that many do not pile up.
    pub(crate) fn push(&mut self, op: Op) {
        if let Some(last) = self.0.last_mut()
            && let Some(both) = last.joined(&op)
        {
            *last = both;
            return;
        }
        if let Op::Put(field, _) = &op
            && !self.0.iter().any(|op| matches!(op, Op::Rewrite(_)))
        {
            self.0.retain(|earlier| earlier.field() != Some(field));
        }
        self.0.push(op);
    }

    /// What stands before `later` in time.
    pub(crate) fn then(mut self, later: Self) -> Self {
        later.0.into_iter().for_each(|op| self.push(op));
        self
    }

    /// The fields when all was done.
    pub(crate) fn on(&self, fields: &Fields) -> Result<Fields, SessionError> {
        let mut fields = fields.clone();
        self.0.iter().try_for_each(|op| op.apply(&mut fields))?;
        Ok(fields)
    }

    /// What has to be written so that all was done. `seal` makes of a field and its value what lies in the store.
    pub(crate) fn plan(&self, base: Base<'_>, seal: impl Fn(&str, &Bytes) -> Bytes) -> Result<Plan, SessionError> {
        let after = self.on(base.plain)?;
        let for_this_version = self.0.iter().any(|op| matches!(op, Op::Rewrite(_)));
        let touched: BTreeSet<&str> = if for_this_version {
            base.plain.keys().chain(after.keys()).map(String::as_str).collect()
        } else {
            self.0.iter().filter_map(Op::field).collect()
        };
        let act = |field: &str| match after.get(field) {
            Some(value) => Act::Set(seal(field, value)),
            None => Act::Delete,
        };
        let write = |field: &str| {
            let (must, act) = match self.kind(field) {
                Kind::Added(sum) if !base.sealed && !for_this_version => (Must::BeAnything, Act::Add(sum)),
                _ if base.plain.get(field) == after.get(field) => return None,
                Kind::Made(_) => (Must::BeAnything, act(field)),
                _ if for_this_version => (Must::BeAnything, act(field)),
                _ => (base.stored.get(field).map_or(Must::BeAbsent, |is| Must::Be(is.clone())), act(field)),
            };
            (act != Act::Add(0)).then(|| Write { field: field.to_owned(), must, act })
        };
        Ok(Plan { for_this_version, writes: touched.into_iter().filter_map(write).collect() })
    }

    /// What a field becomes depends on.
    fn kind(&self, field: &str) -> Kind {
        self.0.iter().filter(|op| op.field() == Some(field)).fold(Kind::Added(0), |kind, op| match (kind, op) {
            (_, Op::Put(..)) | (Kind::Made(()), _) => Kind::Made(()),
            (Kind::Added(sum), Op::Add(_, by)) => Kind::Added(sum.saturating_add(*by)),
            _ => Kind::Based,
        })
    }
}

/// What a field becomes depends on what it was by
enum Kind {
    /// so much that is added,
    Added(i64),
    /// nothing,
    Made(()),
    /// anything.
    Based,
}

// === impl Op ===

impl Op {
    /// The one field that it is about.
    fn field(&self) -> Option<&str> {
        match self {
            Self::Put(field, _) | Self::Add(field, _) | Self::Update(field, _) => Some(field),
            Self::Rewrite(_) => None,
        }
    }

    /// Both in one.
    fn joined(&self, next: &Self) -> Option<Self> {
        match (self, next) {
            (Self::Add(one, first), Self::Add(other, second)) if one == other => {
                Some(Self::Add(one.clone(), first.checked_add(*second)?))
            }
            (Self::Put(one, Some(value)), Self::Add(other, by)) if one == other => {
                Some(Self::Put(one.clone(), Some(sum(one, Some(value), *by).ok()?)))
            }
            _ => None,
        }
    }

    pub(crate) fn apply(&self, fields: &mut Fields) -> Result<(), SessionError> {
        let (field, value) = match self {
            Self::Put(field, value) => (field, value.clone()),
            Self::Add(field, by) => (field, Some(sum(field, fields.get(field), *by)?)),
            Self::Update(field, update) => (field, update(fields.get(field))?),
            Self::Rewrite(rewrite) => {
                *fields = rewrite(fields)?;
                return Ok(());
            }
        };
        match value {
            Some(value) => fields.insert(field.clone(), value),
            None => fields.remove(field),
        };
        Ok(())
    }
}

fn sum(field: &str, value: Option<&Bytes>, by: i64) -> Result<Bytes, SessionError> {
    record::sum(value, by).ok_or_else(|| SessionError::about(SessionErrorKind::NotANumber, field))
}

impl fmt::Debug for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Put(field, value) => f.debug_tuple("Put").field(field).field(value).finish(),
            Self::Add(field, by) => f.debug_tuple("Add").field(field).field(by).finish(),
            Self::Update(field, _) => f.debug_tuple("Update").field(field).finish(),
            Self::Rewrite(_) => f.write_str("Rewrite"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Bytes {
        Bytes::copy_from_slice(text.as_bytes())
    }

    fn put(field: &str, value: &str) -> Op {
        Op::Put(field.to_owned(), (!value.is_empty()).then(|| text(value)))
    }

    fn add(field: &str, by: i64) -> Op {
        Op::Add(field.to_owned(), by)
    }

    /// Writes `x` behind what is there.
    fn update(field: &str) -> Op {
        let longer = |is: Option<&Bytes>| Ok(Some([is.map_or(&[][..], |is| &is[..]), b"x"].concat().into()));
        Op::Update(field.to_owned(), Arc::new(longer))
    }

    /// Puts one field in another's place.
    fn rename() -> Op {
        Op::Rewrite(Arc::new(|fields| {
            Ok(fields.iter().map(|(name, value)| (format!("{name}'"), value.clone())).collect())
        }))
    }

    fn fields(fields: &[(&str, &str)]) -> Fields {
        fields.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect()
    }

    fn set(field: &str, must: Must, value: &str) -> Write {
        Write { field: field.to_owned(), must, act: Act::Set(text(value)) }
    }

    fn delete(field: &str, must: Must) -> Write {
        Write { field: field.to_owned(), must, act: Act::Delete }
    }

    fn added(field: &str, by: i64) -> Write {
        Write { field: field.to_owned(), must: Must::BeAnything, act: Act::Add(by) }
    }

    #[test]
    fn only_what_has_changed_is_written_and_bound_to_what_it_was_made_of() {
        use Must::{Be, BeAbsent, BeAnything};
        let plain = fields(&[("a", "1"), ("b", "2")]);
        for (what, ops, expected) in [
            ("nothing", vec![], vec![]),
            ("another value", vec![put("a", "5")], vec![set("a", BeAnything, "5")]),
            ("a new field", vec![put("c", "5")], vec![set("c", BeAnything, "5")]),
            ("the same value", vec![put("a", "1")], vec![]),
            ("there and back", vec![put("a", "5"), put("a", "1")], vec![]),
            ("the last one holds", vec![put("a", "5"), put("a", "6")], vec![set("a", BeAnything, "6")]),
            ("removed", vec![put("a", "")], vec![delete("a", BeAnything)]),
            ("removed though not there", vec![put("c", "")], vec![]),
            ("added", vec![add("a", 2), add("b", 1), add("a", 1)], vec![added("a", 3), added("b", 1)]),
            ("added to what is not there", vec![add("c", 2)], vec![added("c", 2)]),
            ("added and taken away", vec![add("a", 2), add("a", -2)], vec![]),
            ("set and added", vec![put("a", "5"), add("a", 2)], vec![set("a", BeAnything, "7")]),
            ("updated", vec![update("a")], vec![set("a", Be(text("1")), "1x")]),
            ("updated though not there", vec![update("c")], vec![set("c", BeAbsent, "x")]),
            ("added and updated", vec![add("a", 4), update("a")], vec![set("a", Be(text("1")), "5x")]),
            ("updated and set", vec![update("a"), put("a", "5")], vec![set("a", BeAnything, "5")]),
            ("set and updated", vec![put("a", "5"), update("a")], vec![set("a", BeAnything, "5x")]),
        ] {
            let mut changes = Changes::default();
            ops.into_iter().for_each(|op| changes.push(op));
            let base = Base { plain: &plain, stored: &plain, sealed: false };
            let plan = changes.plan(base, |_, value| value.clone()).unwrap();
            assert_eq!(plan, Plan { for_this_version: false, writes: expected }, "{what}");
        }
    }

    #[test]
    fn what_is_made_of_all_is_right_for_one_version() {
        let plain = fields(&[("a", "1")]);
        let mut changes = Changes::default();
        [add("a", 1), rename(), put("b", "3")].into_iter().for_each(|op| changes.push(op));
        let base = Base { plain: &plain, stored: &plain, sealed: false };
        let plan = changes.plan(base, |_, value| value.clone()).unwrap();
        let any = || Must::BeAnything;
        let writes = vec![delete("a", any()), set("a'", any(), "2"), set("b", any(), "3")];
        assert_eq!(plan, Plan { for_this_version: true, writes });
    }

    #[test]
    fn sealed_fields_are_compared_as_they_lie_there() {
        let (plain, stored) = (fields(&[("a", "1")]), fields(&[("a", "sealed")]));
        let seal = |field: &str, value: &Bytes| text(&format!("{field}:{}", std::str::from_utf8(value).unwrap()));
        let base = Base { plain: &plain, stored: &stored, sealed: true };
        for (op, expected) in [
            (add("a", 1), set("a", Must::Be(text("sealed")), "a:2")),
            (put("a", "5"), set("a", Must::BeAnything, "a:5")),
            (update("a"), set("a", Must::Be(text("sealed")), "a:1x")),
        ] {
            let mut changes = Changes::default();
            changes.push(op);
            assert_eq!(changes.plan(base, seal).unwrap().writes, [expected]);
        }
    }

    #[test]
    fn only_whole_numbers_of_53_bits_are_added_to() {
        for (value, by, expected) in [
            ("1", -3, Some("-2")),
            ("9007199254740990", 1, Some("9007199254740991")),
            ("9007199254740991", 1, None),
            ("-9007199254740991", -1, None),
            ("1.5", 1, None),
            ("\"1\"", 1, None),
            ("99999999999999999999", 1, None),
            ("1", i64::MAX, None),
        ] {
            let after = add("a", by).apply(&mut fields(&[("a", value)])).map(|()| "");
            let mut there = fields(&[("a", value)]);
            let done = add("a", by).apply(&mut there).is_ok();
            assert_eq!(done.then(|| there["a"].clone()), expected.map(text), "{value} + {by}: {after:?}");
        }
    }

    #[test]
    fn many_do_not_pile_up() {
        let mut changes = Changes::default();
        (0..1000).for_each(|_| changes.push(add("a", 1)));
        (0..1000).for_each(|n| changes.push(put("b", &n.to_string())));
        assert_eq!(changes.0.len(), 2);
    }
}
