//! The decisions: plain functions over a token's parts, a rule and the time, that answer with a reason.

use crate::claims::{Claims, whole_millis};
use crate::fault::Fault;
use crate::header::Header;
use crate::store::{Digest, Exchange, Life, Rotation};
use crate::trusted::TrustedIssuer;

/// Whether a token of this header may be one of the issuer's, before its signature is looked at.
pub(crate) fn on_header(header: &Header, trusted: &TrustedIssuer) -> Result<(), Fault> {
    if !trusted.algorithms.contains(&header.algorithm) {
        return Err(Fault::Algorithm);
    }
    match &header.kind {
        Some(kind) if !trusted.kinds.contains(kind) => Err(Fault::Kind),
        None if trusted.must_name_kind => Err(Fault::Kind),
        _ => Ok(()),
    }
}

/// Whether the claims are those of a token for us. The issuer was compared when its keys were chosen.
pub(crate) fn on_claims(claims: &Claims, trusted: &TrustedIssuer) -> Result<(), Fault> {
    let is_ours = |known: &Vec<String>| claims.audience().iter().any(|audience| known.contains(audience));
    match () {
        () if !trusted.audience.0.as_ref().is_none_or(is_ours) => Err(Fault::Audience),
        () if !is_of_kind(claims, trusted.of_type) => Err(Fault::Kind),
        () if claims.get("cnf").is_some() => Err(Fault::Bound),
        () if trusted.required.iter().any(|name| claims.get(name).is_none()) => Err(Fault::Incomplete),
        () => Ok(()),
    }
}

/// Whether the time is the token's. Asked each time that it is presented.
pub(crate) fn on_time(claims: &Claims, trusted: &TrustedIssuer, now: u64) -> Result<(), Fault> {
    let skew = whole_millis(trusted.skew);
    let Some(expires) = claims.expires else { return Err(Fault::Endless) };
    let lifetime = expires.saturating_sub(claims.issued.unwrap_or(now));
    match () {
        () if expires.saturating_add(trusted.late()) <= now => Err(Fault::Expired),
        () if claims.not_before.is_some_and(|begin| begin > now.saturating_add(skew)) => Err(Fault::Early),
        () if claims.issued.is_some_and(|issued| issued > now.saturating_add(skew)) => Err(Fault::Unborn),
        () if lifetime > whole_millis(trusted.max_lifetime) => Err(Fault::Lifetime),
        () => Ok(()),
    }
}

/// Issuers that sign tokens of several kinds with one key say by a claim which is which.
fn is_of_kind(claims: &Claims, wanted: Option<&str>) -> bool {
    match wanted {
        Some(wanted) => claims.get("type").and_then(|kind| kind.as_str()) == Some(wanted),
        None => !says_another_kind(claims),
    }
}

fn says_another_kind(claims: &Claims) -> bool {
    const OTHERS: [(&str, &[&str]); 3] = [
        ("type", &["refresh"]),                           // flask-jwt-extended
        ("typ", &["ID", "Refresh", "Offline", "Logout"]), // Keycloak
        ("token_use", &["id", "refresh"]),                // Cognito
    ];
    let says = |(name, others): &(&str, &[&str])| {
        claims.get(name).and_then(|value| value.as_str()).is_some_and(|kind| others.contains(&kind))
    };
    // What only id tokens (OpenID Connect Core §3.1.3.6) and security event tokens (RFC 8417) have.
    OTHERS.iter().any(says) || ["at_hash", "c_hash", "events"].iter().any(|name| claims.get(name).is_some())
}

/// One login, and where its refresh tokens have got to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Family {
    current: Digest,
    /// The token that was exchanged last, and when.
    previous: Option<(Digest, u64)>,
    idle_end: u64,
    end: u64,
}

// === impl Family ===

impl Family {
    pub(crate) fn begin(first: Digest, life: Life, now: u64) -> Self {
        let end = now.saturating_add(life.longest);
        Self { current: first, previous: None, idle_end: end.min(now.saturating_add(life.idle)), end }
    }

    pub(crate) fn ends(&self) -> u64 {
        self.idle_end
    }
}

/// Exchanges a refresh token for its successor. A copy of a token shows by its being presented after its successor, or late (RFC 9700
/// §4.14.2); two tabs that refresh at once present the same one within the grace, and get the same successor.
pub(crate) fn rotate(family: &mut Family, exchange: Exchange, now: u64) -> Rotation {
    let Exchange { presented, successor, grace, idle } = exchange;
    let end = family.end;
    match family.previous {
        _ if family.ends() <= now => Rotation::Gone,
        _ if family.current == presented => {
            family.previous = Some((presented, now));
            family.current = successor;
            family.idle_end = end.min(now.saturating_add(idle));
            Rotation::Done { at: now, end, again: false }
        }
        Some((previous, at))
            if previous == presented && family.current == successor && now <= at.saturating_add(grace) =>
        {
            Rotation::Done { at, end, again: true }
        }
        _ => Rotation::Reused,
    }
}

#[cfg(test)]
mod tests;
