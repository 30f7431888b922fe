//! The word between a layer that knows who is calling and a cache behind it.

/// In a request's extensions: the answer may be for one caller only, although nothing in the request's headers says so any more.
///
/// A layer that takes credentials out of a request before it goes on leaves this in their place. A cache treats such a request as if it carried
/// `Authorization` (RFC 9111 §3.5).
///
/// ```
/// use buttress_core::Identified;
///
/// let mut request = http::Request::new(());
/// request.extensions_mut().insert(Identified);
/// assert!(request.extensions().get::<Identified>().is_some());
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Identified;
