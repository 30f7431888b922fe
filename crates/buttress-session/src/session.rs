//! The handle that handlers read and write a session by.

use std::fmt;
use std::marker::PhantomData;
use std::sync::{Arc, MutexGuard};

use bytes::Bytes;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::changes::Op;
use crate::commit;
use crate::error::{SessionError, SessionErrorKind};
use crate::record;
use crate::visit::{State, Visit};

/// The session of a request, in the request's extensions: cheap to clone, nothing is read before it is asked.
///
/// `Session` is a map of fields, each a value that serde can write; `Session<T>` is the same session as a type of the application's.
///
/// ```
/// use buttress_session::{Session, SessionError};
///
/// # #[derive(serde::Serialize, serde::Deserialize, Default)] struct Cart { items: Vec<String> }
/// async fn add(session: &Session, item: String) -> Result<String, SessionError> {
///     let visits = session.incr("visits", 1).await?;
///     session.update("cart", move |cart: &mut Cart| cart.items.push(item.clone())).await?;
///     let name: Option<String> = session.get("name").await?;
///     Ok(format!("visit {visits} of {}", name.unwrap_or_default()))
/// }
/// ```
///
/// What is done is seen by what comes after it in the same request, and kept when the response is ready, in one step: only the fields that have changed,
/// so that requests at the same time lose nothing of each other. If the response is an error of the server (5xx), nothing is kept. Once it has
/// begun, a write is an error ([`SessionErrorKind::Late`]): a response that is streamed [saves](Self::save) before.
pub struct Session<T = Map> {
    pub(crate) visit: Arc<Visit>,
    of: PhantomData<fn() -> T>,
}

/// That a [`Session`] is read and written by the names of its fields.
#[derive(Debug)]
#[non_exhaustive]
pub struct Map {}

/// The longest name of a field.
const LONGEST_NAME: usize = 256;

// === impl Session ===

impl<T> Session<T> {
    pub(crate) fn new(visit: Arc<Visit>) -> Self {
        Self { visit, of: PhantomData }
    }

    /// The same session as a type, or as a [`Map`].
    #[must_use]
    pub fn typed<U>(&self) -> Session<U> {
        Session::new(Arc::clone(&self.visit))
    }

    /// Whether there is nothing in it: no fields, and nobody is logged in.
    ///
    /// # Errors
    /// Where sessions are kept cannot be reached.
    pub async fn is_empty(&self) -> Result<bool, SessionError> {
        let state = self.visit.read().await?;
        Ok(state.view.is_empty() && state.login().is_none())
    }

    /// Whether the session cannot be known, since where it is kept cannot be reached: it looks empty then, if the layer lets requests go on
    /// ([`Outage::Open`](buttress_core::Outage::Open)).
    pub async fn is_unavailable(&self) -> bool {
        self.visit.read().await.map_or(true, |state| state.away.is_some())
    }

    /// Keeps what was done now, rather than when the response is ready: for a response that is streamed, and for who wants to answer an error
    /// themselves. What is saved is kept whatever the response is.
    ///
    /// # Errors
    /// Nothing was kept, and will be tried again when the response is ready; [`SessionErrorKind::Away`] leaves that open. The same holds if nobody
    /// waits for it to the end. When the response has begun, what was not kept with it is not kept later ([`SessionErrorKind::Late`]).
    pub async fn save(&self) -> Result<(), SessionError> {
        drop(self.visit.read().await?);
        commit::save(&self.visit).await
    }
}

impl Session {
    /// The value of a field, if there is one.
    ///
    /// # Errors
    /// It is of another type, or where sessions are kept cannot be reached.
    pub async fn get<V: DeserializeOwned>(&self, field: &str) -> Result<Option<V>, SessionError> {
        let field = record::user(field);
        let value = self.visit.read().await?.view.get(&field).cloned();
        value.map(|value| read(&field, &value)).transpose()
    }

    /// The names of all fields, in their order.
    ///
    /// # Errors
    /// Where sessions are kept cannot be reached.
    pub async fn fields(&self) -> Result<Vec<String>, SessionError> {
        let state = self.visit.read().await?;
        Ok(state.view.keys().filter_map(|name| name.strip_prefix('=')).map(str::to_owned).collect())
    }

    /// Sets a field, whatever it was. Of two requests that set it at the same time, the last one holds; see [`update`](Self::update).
    ///
    /// # Errors
    /// The session would be too large, has ended, or cannot be reached; the response has begun; the value is not for JSON.
    pub async fn insert<V: Serialize + ?Sized>(&self, field: &str, value: &V) -> Result<(), SessionError> {
        let field = named(field)?;
        let value = written(&field, value)?;
        self.visit.change(Op::Put(field, Some(value))).await.map(drop)
    }

    /// Removes a field, and answers what it was.
    ///
    /// # Errors
    /// As [`insert`](Self::insert); or it was of another type: then it is removed all the same.
    pub async fn remove<V: DeserializeOwned>(&self, field: &str) -> Result<Option<V>, SessionError> {
        let field = record::user(field);
        let was = self.visit.write().await?.view.get(&field).cloned();
        if was.is_some() {
            drop(self.visit.change(Op::Put(field.clone(), None)).await?);
        }
        was.map(|was| read(&field, &was)).transpose()
    }

    /// Changes a field from what it is, or from its default. If another request was faster, `change` is called again with what that one has made of it
    /// when the response is ready: it should do nothing else. Answers with the value as it is for this request.
    ///
    /// # Errors
    /// As [`insert`](Self::insert); or the field is of another type.
    pub async fn update<V, F>(&self, field: &str, change: F) -> Result<V, SessionError>
    where
        V: Serialize + DeserializeOwned + Default,
        F: Fn(&mut V) + Send + Sync + 'static,
    {
        let field = named(field)?;
        let name = field.clone();
        let updater = move |is: Option<&Bytes>| {
            let mut value: V = is.map(|is| read(&name, is)).transpose()?.unwrap_or_default();
            change(&mut value);
            written(&name, &value).map(Some)
        };
        self.visit.change(Op::Update(field.clone(), Arc::new(updater))).await.and_then(|state| field_of(&state, &field))
    }

    /// Adds to a field that is a whole number; nothing is 0. Requests at the same time are summed exactly. Answers with the sum as it is for this
    /// request: another one may see the same.
    ///
    /// # Errors
    /// As [`insert`](Self::insert); or the field is no whole number, or would be one of more than 53 bits.
    pub async fn incr(&self, field: &str, by: i64) -> Result<i64, SessionError> {
        let field = named(field)?;
        self.visit.change(Op::Add(field.clone(), by)).await.and_then(|state| field_of(&state, &field))
    }

    /// Removes all fields. Whoever is logged in stays so.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub async fn clear(&self) -> Result<(), SessionError> {
        let fields = self.fields().await?;
        for field in fields {
            drop(self.visit.change(Op::Put(record::user(&field), None)).await?);
        }
        Ok(())
    }
}

impl<T> Clone for Session<T> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.visit))
    }
}

/// Nothing of what is in it.
impl<T> fmt::Debug for Session<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("touched", &self.visit.is_touched()).finish_non_exhaustive()
    }
}

fn named(field: &str) -> Result<String, SessionError> {
    if field.is_empty() || field.len() > LONGEST_NAME {
        return Err(SessionError::new(SessionErrorKind::Name));
    }
    Ok(record::user(field))
}

fn field_of<V: DeserializeOwned>(state: &MutexGuard<'_, State>, field: &str) -> Result<V, SessionError> {
    read(field, state.view.get(field).map_or(&b"null"[..], |value| value))
}

pub(crate) fn read<V: DeserializeOwned>(field: &str, value: &[u8]) -> Result<V, SessionError> {
    serde_json::from_slice(value).map_err(|_| SessionError::about(SessionErrorKind::Unreadable, field))
}

pub(crate) fn written<V: Serialize + ?Sized>(field: &str, value: &V) -> Result<Bytes, SessionError> {
    let value = serde_json::to_vec(value).map_err(|_| SessionError::about(SessionErrorKind::Unwritable, field))?;
    Ok(value.into())
}
