//! The words every buttress layer shares: time, outage, refusals, and the future and body a layer answers with.
//!
//! Nothing here does I/O or knows a runtime. A user meets this crate through a layer's settings; someone who writes
//! a layer begins here.
//!
//! ```
//! use std::time::{Duration, SystemTime};
//! use buttress_core::{Clock, ManualClock};
//!
//! // Layers never read the time themselves: they hold a `Clock`, and a test moves it by hand.
//! let hand = ManualClock::at(SystemTime::UNIX_EPOCH);
//! let clock: Clock = hand.clock();
//! hand.advance(Duration::from_secs(60));
//! assert_eq!(clock.now(), SystemTime::UNIX_EPOCH + Duration::from_secs(60));
//! ```

mod clock;
mod outage;
mod refusal;
mod identified;
mod personal;
mod end_login;
pub mod cookie;
pub mod told;
mod body;
mod future;

pub use body::{BoxError, EitherBody};
pub use clock::{Clock, ManualClock};
pub use end_login::{EndLogin, Ending};
pub use future::ResponseFuture;
pub use identified::Identified;
pub use outage::Outage;
pub use personal::Personal;
pub use refusal::{Refusal, is_grpc};
