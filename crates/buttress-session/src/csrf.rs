//! A word that only the pages of the session know.

use data_encoding::BASE64URL_NOPAD;
use subtle::ConstantTimeEq as _;

use crate::changes::Op;
use crate::error::SessionError;
use crate::record;
use crate::session::{Session, read, written};
use crate::visit::State;

impl<T> Session<T> {
    /// A random word for forms to repeat, so that pages of other sites cannot post them: they can have the browser send the cookie, and cannot read
    /// this. It is made when it is asked for first, and anew by a login.
    ///
    /// `SameSite=Lax` keeps most of such requests away already; this holds for old browsers, and for hosts of the same site.
    ///
    /// # Errors
    /// As [`Session::insert`].
    pub async fn csrf_token(&self) -> Result<String, SessionError> {
        if let Some(token) = self.visit.read().await?.view.get(&name()) {
            return read(&name(), token);
        }
        let token = BASE64URL_NOPAD.encode(&rand::random::<[u8; 16]>());
        drop(self.visit.change(Op::Put(name(), Some(written(&name(), &token)?))).await?);
        Ok(token)
    }

    /// Whether this is the [word](Self::csrf_token) of the session; compared in constant time. Without one, nothing is.
    ///
    /// # Errors
    /// Where sessions are kept cannot be reached.
    pub async fn is_csrf_token(&self, presented: &str) -> Result<bool, SessionError> {
        let state = self.visit.read().await?;
        let token = state.view.get(&name()).and_then(|token| read::<String>(&name(), token).ok());
        Ok(token.is_some_and(|token| token.as_bytes().ct_eq(presented.as_bytes()).into()))
    }
}

fn name() -> String {
    record::own("csrf")
}

// === impl State ===

impl State {
    /// Who knew the old word shall not know the new one.
    pub(crate) fn forget_csrf_token(&mut self) {
        if self.view.remove(&name()).is_some() {
            self.changes.push(Op::Put(name(), None));
        }
    }
}
