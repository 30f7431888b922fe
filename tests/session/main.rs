//! What the layer for sessions promises, and where that is tested.
//!
//! | promise | test |
//! |---|---|
//! | a session is read and written as its handle says, kept with the response and not with an error; visitors cost nothing | `life` |
//! | who logs in has a new id, who is logged out is so everywhere, and nobody is logged in by an id that somebody else knew | `logins` |
//! | a response says that it depends on the session, and no cache keeps a cookie | `answers` |
//! | no cookie that was planted, tampered with or misread is a session, over real sockets | `cookies` |
//! | 64 requests at the same time on two processes lose nothing of each other, with new ids and logouts among them | `crowd` |
//! | whatever happens to Redis under load: no wrong session, no acknowledged write lost, no cookie touched | `trials` |
//! | the newest tower-sessions keeps its sessions here, loses none and brings none back | `tower_sessions` |
//! | what the real Flask-Session stores is read, whatever its format; what was taken over or ended here has ended there, and the other way round | `flask` |
//! | what is no session of Flask-Session is none here, is counted, and stays; Redis away is an error and no guess | `flask_odd` |
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
mod crowd;
mod flask;
mod flask_odd;
mod halfway;
mod life;
mod logins;
mod orders;
mod stage;
mod tower_sessions;
mod trials;
