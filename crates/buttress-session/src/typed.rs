//! A session as a type of the application's.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::changes::Op;
use crate::error::{SessionError, SessionErrorKind};
use crate::record::{self, Fields};
use crate::session::Session;

/// Each member of the type is a field of the session; what is not there yet is as in the type's default.
///
/// ```
/// use buttress_session::{Session, SessionError};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Default, Deserialize, Serialize)]
/// struct Shopper {
///     visits: u32,
///     cart: Vec<String>,
/// }
///
/// async fn add(session: &Session<Shopper>, item: String) -> Result<u32, SessionError> {
///     let shopper = session.update(move |shopper| shopper.cart.push(item.clone())).await?;
///     Ok(shopper.visits)
/// }
/// ```
impl<T: Serialize + DeserializeOwned + Default> Session<T> {
    /// The session as it is.
    ///
    /// # Errors
    /// A field is of another type, or where sessions are kept cannot be reached.
    pub async fn get(&self) -> Result<T, SessionError> {
        of_fields(&self.visit.read().await?.view)
    }

    /// Changes the session from what it is. If another request was faster, `change` is called again with what that one has made of it when the response
    /// is ready: it should do nothing else. Only members that have changed are written; one that is `null` is removed. Answers with the
    /// session as it is for this request.
    ///
    /// # Errors
    /// The session would be too large, has ended, or cannot be reached; the response has begun; a field is of another type.
    pub async fn update<F>(&self, change: F) -> Result<T, SessionError>
    where
        F: Fn(&mut T) + Send + Sync + 'static,
    {
        let rewrite = move |fields: &Fields| {
            let mut value: T = of_fields(fields)?;
            let before = members(&value)?;
            change(&mut value);
            let mut fields = fields.clone();
            overlay(&mut fields, &before, members(&value)?);
            Ok(fields)
        };
        let state = self.visit.change(Op::Rewrite(Arc::new(rewrite))).await?;
        of_fields(&state.view)
    }
}

/// What is not there is as in the default.
fn of_fields<T: Serialize + DeserializeOwned + Default>(fields: &Fields) -> Result<T, SessionError> {
    let mut all = members(&T::default())?;
    for (name, value) in fields.iter().filter_map(|(name, value)| Some((name.strip_prefix('=')?, value))) {
        all.insert(name.to_owned(), crate::session::read(name, value)?);
    }
    serde_json::from_value(all.into()).map_err(|_| SessionError::new(SessionErrorKind::Unreadable))
}

fn members<T: Serialize>(value: &T) -> Result<Map<String, Value>, SessionError> {
    match serde_json::to_value(value) {
        Ok(Value::Object(members)) => Ok(members),
        _ => Err(SessionError::new(SessionErrorKind::Unwritable)),
    }
}

/// Members that were changed replace fields; what the type does not know stays as it is.
fn overlay(fields: &mut Fields, before: &Map<String, Value>, after: Map<String, Value>) {
    let left_out = before.keys().filter(|name| !after.contains_key(*name)).cloned().collect::<Vec<_>>();
    for name in left_out {
        fields.remove(&record::user(&name));
    }
    for (name, value) in after.into_iter().filter(|(name, value)| before.get(name) != Some(value)) {
        match value {
            Value::Null => fields.remove(&record::user(&name)),
            value => fields.insert(record::user(&name), Bytes::from(value.to_string())),
        };
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize, PartialEq, Serialize)]
    struct Shopper {
        visits: u32,
        name: Option<String>,
    }

    fn fields(fields: &[(&str, &str)]) -> Fields {
        fields.iter().map(|(name, value)| ((*name).to_owned(), Bytes::copy_from_slice(value.as_bytes()))).collect()
    }

    #[test]
    fn what_is_not_there_is_as_in_the_default_and_what_is_unknown_stays() {
        assert_eq!(of_fields::<Shopper>(&Fields::new()).unwrap(), Shopper::default());
        let some = fields(&[("=visits", "3"), ("=other", "[]"), ("!flash", "x")]);
        assert_eq!(of_fields::<Shopper>(&some).unwrap(), Shopper { visits: 3, name: None });
        let bad = of_fields::<Shopper>(&fields(&[("=visits", "\"x\"")])).unwrap_err();
        assert_eq!(bad.kind(), SessionErrorKind::Unreadable);
        assert_eq!(of_fields::<u32>(&some).unwrap_err().kind(), SessionErrorKind::Unwritable, "not a struct");
    }

    #[test]
    fn only_members_that_changed_are_written() {
        let before = members(&Shopper { visits: 1, name: Some("ada".to_owned()) }).unwrap();
        for (after, expected) in [
            (Shopper { visits: 1, name: Some("ada".to_owned()) }, &[("=visits", "1"), ("=other", "[]")][..]),
            (Shopper { visits: 2, name: Some("ada".to_owned()) }, &[("=visits", "2"), ("=other", "[]")]),
            (Shopper { visits: 1, name: None }, &[("=visits", "1"), ("=other", "[]")]),
            (
                Shopper { visits: 1, name: Some("eve".to_owned()) },
                &[("=visits", "1"), ("=name", "\"eve\""), ("=other", "[]")],
            ),
        ] {
            let mut there = fields(&[("=visits", "1"), ("=other", "[]")]);
            overlay(&mut there, &before, members(&after).unwrap());
            assert_eq!(there, fields(expected), "{after:?}");
        }
    }
}
