//! One request's way: find the token, believe it, ask whether it was revoked, ask the rule.

use std::time::SystemTime;

use http::Method;
use http::header::{ACCESS_CONTROL_REQUEST_METHOD, ORIGIN};
use http::request::Parts;

use buttress_core::{Identified, Outage};

use crate::claims::millis;
use crate::fault::Fault;
use crate::layer::Settings;
use crate::reason::Reason;
use crate::revocations::{Known, Standing};
use crate::rule::{self, Need};
use crate::source::{Place, is_token};
use crate::token::Token;
use crate::verifier::Disbelieved;

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// It goes on as nobody's.
    Pass(Pass),
    /// It goes on as somebody's.
    Admit(Place, Token),
    Refuse(Reason, Option<usize>),
    /// Somebody has to be asked first.
    Wait(Wait),
}

/// Why a request goes on without a token.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Pass {
    /// The rule does not ask for one.
    Open,
    /// It was not there, and need not be.
    Anonymous,
    /// A preflight cannot carry one (Fetch §3.3.5).
    Preflight,
}

/// Who has to be asked.
#[derive(Debug)]
pub(crate) struct Wait {
    rule: usize,
    place: Place,
    question: Question,
}

#[derive(Debug)]
enum Question {
    /// The issuer, for a key that is not known.
    Key(String, Disbelieved),
    /// Redis, whether it was revoked.
    Standing(Token),
}

// === impl Settings ===

impl Settings {
    /// The verdict on a request, as far as it is known here.
    pub(crate) fn judge(&self, parts: &Parts) -> Verdict {
        if is_preflight(parts) {
            return Verdict::Pass(Pass::Preflight);
        }
        let rule = match rule::rule_for(&self.rules, parts) {
            Ok(rule) => rule,
            Err(reason) => return Verdict::Refuse(reason, None),
        };
        let need = self.rules[rule].need;
        if need == Need::Open {
            return Verdict::Pass(Pass::Open);
        }
        let now = self.revocations.clock().now();
        match self.sources.find(parts) {
            Err(reason) => Verdict::Refuse(reason, Some(rule)),
            Ok(None) if need == Need::Optional => Verdict::Pass(Pass::Anonymous),
            Ok(None) => Verdict::Refuse(Reason::NoToken, Some(rule)),
            Ok(Some((place, token))) => match self.verifier.check(token, now) {
                Ok(token) => self.on_believed(parts, rule, place, token, now),
                Err(_) if !is_token(token) => Verdict::Refuse(Reason::Malformed, Some(rule)),
                Err(disbelieved) if disbelieved.can_be_mended() => {
                    let question = Question::Key(token.to_owned(), disbelieved);
                    Verdict::Wait(Wait { rule, place, question })
                }
                Err(disbelieved) => Verdict::Refuse(Reason::Invalid(disbelieved.fault), Some(rule)),
            },
        }
    }

    /// The verdict when those have answered who had to be asked.
    pub(crate) async fn resume(&self, parts: &Parts, wait: Wait) -> Verdict {
        let Wait { rule, place, question } = wait;
        let now = self.revocations.clock().now();
        let token = match question {
            Question::Standing(token) => token,
            Question::Key(text, disbelieved) => match self.with_new_keys(&text, &disbelieved).await {
                Err(reason) => return Verdict::Refuse(reason, Some(rule)),
                Ok(token) => match self.on_believed(parts, rule, place, token, now) {
                    Verdict::Wait(Wait { question: Question::Standing(token), .. }) => token,
                    verdict => return verdict,
                },
            },
        };
        let now = self.revocations.clock().now();
        let standing = self.revocations.shared.ask(&token, millis(now)).await;
        self.on_standing(rule, place, token, standing, now)
    }

    fn on_believed(&self, parts: &Parts, rule: usize, place: Place, token: Token, now: SystemTime) -> Verdict {
        if place == Place::Cookie
            && let Err(reason) = self.csrf.check(parts, &token)
        {
            return Verdict::Refuse(reason, Some(rule));
        }
        match self.revocations.shared.known(&token, millis(now)) {
            Known::Standing(standing) => self.on_standing(rule, place, token, standing, now),
            Known::Ask => Verdict::Wait(Wait { rule, place, question: Question::Standing(token) }),
        }
    }

    fn on_standing(&self, rule: usize, place: Place, token: Token, standing: Standing, now: SystemTime) -> Verdict {
        let refuse = |reason| Verdict::Refuse(reason, Some(rule));
        match standing {
            Standing::Revoked(kind) => return refuse(Reason::Revoked(kind)),
            Standing::Unknown if self.outage == Outage::Closed => return refuse(Reason::Unknown),
            Standing::Unknown | Standing::Good => {}
        }
        let roles = &self.verifier.trusted(&token).roles;
        match self.rules[rule].permits(&token, roles, now) {
            Ok(()) => Verdict::Admit(place, token),
            Err(reason) => refuse(reason),
        }
    }

    #[cfg(feature = "fetch")]
    async fn with_new_keys(&self, token: &str, disbelieved: &Disbelieved) -> Result<Token, Reason> {
        use crate::fetch::Found;
        match self.verifier.find_key(disbelieved).await {
            Found::Away => Err(Reason::KeysAway),
            Found::Unknown => Err(Reason::Invalid(Fault::Key)),
            Found::Refreshed => {
                let now = self.revocations.clock().now();
                self.verifier.check(token, now).map_err(|disbelieved| Reason::Invalid(disbelieved.fault))
            }
        }
    }

    #[cfg(not(feature = "fetch"))]
    #[expect(clippy::unused_async, reason = "with the feature `fetch` it waits")]
    async fn with_new_keys(&self, _: &str, _: &Disbelieved) -> Result<Token, Reason> {
        Err(Reason::Invalid(Fault::Key))
    }

    /// Makes a request ready to go on. False if the claims are not of the application's type.
    pub(crate) fn introduce(&self, parts: &mut Parts, place: Place, token: &Token) -> bool {
        if let Some(typed) = &self.typed
            && !typed(token, &mut parts.extensions)
        {
            return false;
        }
        self.identity.tell(token, &mut parts.headers);
        if !self.keeps_token {
            self.sources.remove(parts, place);
        }
        parts.extensions.insert(Identified);
        parts.extensions.insert(token.clone());
        true
    }
}

// === impl Verdict ===

impl Verdict {
    /// Counts it, and tells the log why somebody was refused: by words, never by what was sent.
    pub(crate) fn note(&self) {
        let outcome = match self {
            Self::Pass(Pass::Open) => "open",
            Self::Pass(Pass::Anonymous) => "anonymous",
            Self::Pass(Pass::Preflight) => "preflight",
            Self::Admit(..) => "admitted",
            Self::Refuse(reason, _) => {
                tracing::debug!(target: "buttress_jwt", reason = reason.as_str(), detail = reason.detail(), "refused");
                if let Reason::Invalid(fault) = reason {
                    metrics::counter!("buttress_jwt_faults_total", "fault" => fault.as_str()).increment(1);
                }
                reason.as_str()
            }
            Self::Wait(_) => return,
        };
        metrics::counter!("buttress_jwt_requests_total", "outcome" => outcome).increment(1);
    }
}

fn is_preflight(parts: &Parts) -> bool {
    parts.method == Method::OPTIONS
        && parts.headers.contains_key(ORIGIN)
        && parts.headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
}
