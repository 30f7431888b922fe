//! The word between whoever ends a login and whoever has handed out something that lives as long as it.

use std::pin::Pin;

use crate::BoxError;

/// Whether a login was ended; an error leaves it open.
pub type Ending<'a> = Pin<Box<dyn Future<Output = Result<(), BoxError>> + Send + 'a>>;

/// Ends what hangs on a login when the login ends, such as the tokens that were made for a session.
///
/// `login` is the name that both sides know it by: the claim `sid` of tokens (OpenID Connect Back-Channel Logout §2.1). Whoever ends a session
/// calls this first and the session itself ends after it, so that an error leaves something to try again.
///
/// ```
/// use buttress_core::{EndLogin, Ending};
///
/// struct Told;
///
/// impl EndLogin for Told {
///     fn end_login<'a>(&'a self, login: &'a str) -> Ending<'a> {
///         Box::pin(async move { Ok(println!("{login} has ended")) })
///     }
/// }
/// ```
pub trait EndLogin: Send + Sync {
    /// Ends what hangs on this login. Ending what has ended is no error.
    ///
    /// # Errors
    /// It may go on.
    fn end_login<'a>(&'a self, login: &'a str) -> Ending<'a>;
}
