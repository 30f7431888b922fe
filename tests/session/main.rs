//! What the layer for sessions promises, and where that is tested.
//!
//! | promise | test |
//! |---|---|
//! | a session is read and written as its handle says, kept with the response and not with an error; visitors cost nothing | `life` |
//! | who logs in has a new id, who is logged out is so everywhere, and nobody is logged in by an id that somebody else knew | `logins` |
//! | a response says that it depends on the session, and no cache keeps a cookie | `answers` |
//! | no cookie that was planted, tampered with or misread is a session, over real sockets | `cookies` |
//! | the newest tower-sessions keeps its sessions here, loses none and brings none back | `tower_sessions` |
//! | what the real Flask-Session stores is read, whatever its format; what was taken over or ended here has ended there, and the other way round | `flask` |
//! | what is no session of Flask-Session is none here, is counted, and stays; Redis away is an error and no guess | `flask_odd` |
//! | of requests at the same time, whatever the order of their steps, none loses what another one was told is kept, and none lives on after an end | `orders` |
//! | a request that dies between two steps, or whose answer from Redis is lost, lets nobody in, shuts nobody out, and can be tried again | `halfway` |
//! | what nobody waits for, what panics or fails, and what comes too late is kept whole or not at all, and said | `cancelled` |
//! | a crowd in one session, in two processes, is counted exactly; what ends meanwhile is gone, and its writers learn | `hammer` |
//! | Redis killed, hung, full, read-only, emptied or cut off: each sees their own session or a refusal within milliseconds, and keeps the cookie | `faults` |
//! | the master replaced under load: nothing that was acknowledged is lost but what Redis has lost, and nobody comes back | `failover` |
//! | what is no session under a session's key, or no list under a list's, is counted and lets nobody in | `garbage` |
//! | each step is one round trip, and that a session was seen costs one more now and then | `trips` |
//! | the checklists of the guide name tests that are there | `checklist` |
//!
//! What every store does, and the plans of what is written, are tested beside the code.

#[path = "../asking.rs"]
mod asking;
mod answers;
mod bed;
mod browser;
mod cancelled;
mod checklist;
mod cookies;
mod failover;
mod faults;
mod flask;
mod flask_odd;
mod garbage;
mod halfway;
mod hammer;
mod life;
mod logins;
mod orders;
mod stage;
mod tower_sessions;
mod trips;
mod visitors;
