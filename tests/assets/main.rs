//! What the layer for assets promises, and where that is tested.
//!
//! | promise | test |
//! |---|---|
//! | hashed files of real builds never change, everything else may | `builds` |
//! | each manifest lists what its tool wrote, with the name that it was made from | `manifests` |
//! | a manifest that cannot be read is an error at start; reading again fails safely | `builds` |
//! | a fallback page, an error, a replaced file is never kept as the asset it stands for | `serve_dir`, `visits` |
//! | a 304 says what the 200 said; parts, codings and the whole have tags that fit | `serve_dir`, `cached` |
//! | a part is of the file that the client has | `serve_dir`, `services` |
//! | one time of modification for all files hides no change | `serve_dir` |
//! | a second visit downloads only what may have changed | `visits` |
//! | under the response cache nothing is different | `cached` |
//! | streams are not held up; broken bodies break, trailers pass | `services` |
//! | nothing that only looks like the file is kept as it: encoded names, other lengths, times and media types | `deception` |
//! | HEAD, codings, parts and errors agree with the whole | `agreement` |
//! | what breaks off does not look whole, and a byte does not cost a file | `broken` |
//! | what is one person's, says something itself, or is no GET is left alone | `services` |
//!
//! What a rule says and when is tested beside the code, in tables.

mod agreement;
mod bed;
mod broken;
mod builds;
mod cached;
mod deception;
mod manifests;
mod serve_dir;
mod services;
mod visits;
