//! Cache headers for assets and pages, as a tower layer: how long each response may be kept, by whom, and which never changes.
//!
//! ```
//! use buttress_assets::{AssetsLayer, Build};
//! use tower::Layer as _;
//!
//! # let dist = tempfile::tempdir()?;
//! # let dist = dist.path();
//! # fn serve_dir(_: &std::path::Path) {}
//! let build = Build::open(dist)?; // its manifest, and what its names say of its contents
//! let site = AssetsLayer::new().build(build).layer(serve_dir(dist)); // such as tower-http's `ServeDir`
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! That is all for a usual front end: hashed files are kept for ever, pages are validated, images and fonts are kept for a
//! day, and a second visit fetches only what has changed. [`Rule`]s say otherwise where you know better; they are asked before the
//! table. [`AssetsLayer::lint`] says of each file of a build what would be said and why, in a test or at start.
//!
//! # What never changes
//!
//! `immutable` for a year is a promise that cannot be taken back: a browser does not ask again. So it is given only to what somebody
//! [vouches](Vouched) for:
//!
//! 1. a **build manifest** (Vite, webpack, esbuild's metafile, Propshaft, Django; known by its shape) lists the file under a name
//!    that it added a hash to, and the tool's hash covers all of the file: that of Vite and webpack does not cover source maps, and that of
//!    Phoenix and gulp-rev not what they write into a style afterwards;
//! 2. the **content** has the digest that the name holds, for tools that use a plain one;
//! 3. the **operator** [trusts](BuildOptions::trust) a path, and the name looks hashed beyond doubt;
//! 4. a **name alone** is never enough: `logo-20240608.png`, `readme-how-to-build.js` and `jquery-3.7.1.min.js` look the part.
//!
//! And even then only a success whose media type is what its extension promises: a single-page application that answers a
//! missing script with its `index.html` does not have it kept as that script. A file that has not the length or the time that it had
//! when it was read is not trusted either. Errors under names that look hashed are `no-store`, since in a rolling deployment the next server may
//! have the file.
//!
//! # What is said by default
//!
//! | what | `Cache-Control` | why |
//! |---|---|---|
//! | errors under names that look hashed | `no-store` | in a rolling deployment the next server may have it |
//! | what somebody [vouches](crate::Vouched) for | `public, max-age=31536000, immutable` | it never changes under its name |
//! | ACME challenges | `no-store` | they live for seconds |
//! | service workers, web application manifests | `no-cache` | they decide what else is fetched |
//! | pages | `no-cache`, or as [`Pages`] says | they name everything else |
//! | scripts, styles, wasm, source maps | `no-cache` | they change together, or break each other |
//! | fonts, images, sound, video, documents | `max-age=86400, stale-while-revalidate=604800` | a day late does no harm |
//! | feeds | `max-age=3600` | readers poll them |
//! | data, text | `no-cache` | who knows what it is for |
//!
//! All of them leave what says something itself. None says `public` but for what is vouched for.
//!
//! # Tags and conditions
//!
//! Each file of a [`Build`] has a strong entity tag of its content, the same on every replica, and one for each precompressed form.
//! Elsewhere the service's own stays; a service that gives none gets a weak one of `Last-Modified` and length, or a strong one of the
//! content if that is known to be short ([`hash_up_to`](AssetsLayer::hash_up_to)). Conditions (`If-None-Match` and its kind, `If-Range`)
//! are judged by the layer, on the response as it would be sent, so that a 304 says what the 200 says.
//!
//! # What it does not do
//!
//! It serves no files, compresses nothing, and needs no Redis. It goes around a file service, not around an application: of an
//! image that a cookie decides about, it must be told by `Vary: Cookie`, `Cache-Control` or a [`Rule`] that it is nobody else's.
//! What it said is counted in `buttress_assets_responses_total`, by `verdict`.

mod layer;
mod service;
mod exchange;
mod policy;
mod rule;
mod table;
mod served;
mod fields;
mod kind;
mod name;
mod manifest;
mod build;
mod verify;
mod tag;
mod conditions;
mod lint;
mod body;
mod future;
#[cfg(test)]
mod testing;

pub use body::AssetsBody;
pub use build::{Build, BuildError, BuildOptions, Vouched};
pub use buttress_rfc9111::CacheControl;
pub use future::AssetsFuture;
pub use kind::Kind;
pub use layer::AssetsLayer;
pub use lint::{Concern, Lint, Linted};
pub use manifest::{Manifest, ManifestError, Output, Shape};
pub use name::NotAHash;
pub use rule::{Mode, Rule, RuleError};
pub use served::Served;
pub use service::AssetsService;
pub use table::Pages;
pub use verify::Digest;
