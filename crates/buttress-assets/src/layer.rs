//! The layer, and every setting it has.

use std::path::Path;
use std::sync::Arc;

use buttress_core::Clock;
use tower_layer::Layer;

use crate::build::{Build, Index, Snapshot};
use crate::lint::Lint;
use crate::rule::Rule;
use crate::service::AssetsService;
use crate::table::{self, Pages};

/// A body up to here is read to make a tag of it.
const HASH_UP_TO: u64 = 1 << 20;

/// Says of each response how long it may be kept, and answers conditional requests.
///
/// It goes around what serves files, not around an application whose pages are for one person each: what it says of an image
/// holds for whoever asks. Under a [response cache](https://docs.rs/buttress-cache) it stands inside, and above compression on
/// the fly outside, so that both see what it says.
///
/// ```
/// use std::time::Duration;
/// use buttress_assets::{AssetsLayer, Build, CacheControl, Rule};
///
/// let hour = Duration::from_secs(3600);
/// # let dist = tempfile::tempdir()?;
/// let layer = AssetsLayer::new()
///     .build(Build::open(dist.path())?)
///     .rule(Rule::new().prefix("/downloads/").cache(CacheControl::new().public().max_age(hour)));
/// # let _ = layer;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct AssetsLayer {
    settings: Arc<Settings>,
}

/// What the service needs to know of its layer.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// Those that were given, and after them the table.
    pub(crate) rules: Vec<Rule>,
    given: usize,
    pub(crate) build: Option<Build>,
    pub(crate) hash_up_to: u64,
    pub(crate) one_mtime: bool,
    pub(crate) pass_conditions: bool,
    pub(crate) clock: Clock,
}

// === impl Settings ===

impl Settings {
    /// What is known of the build now.
    pub(crate) fn index(&self) -> Option<Snapshot> {
        self.build.as_ref().map(Build::index)
    }

    /// Whether times of modification say nothing, by the setting or as the build was found.
    pub(crate) fn has_one_mtime(&self, index: Option<&Index>) -> bool {
        self.one_mtime || index.is_some_and(|index| index.one_mtime)
    }
}

// === impl AssetsLayer ===

impl AssetsLayer {
    /// The [table of defaults](crate#what-is-said-by-default), and nothing known of a build: nothing is immutable then.
    pub fn new() -> Self {
        let settings = Settings {
            rules: table::rules(Pages::default()),
            given: 0,
            build: None,
            hash_up_to: HASH_UP_TO,
            one_mtime: false,
            pass_conditions: false,
            clock: Clock::system(),
        };
        Self { settings: Arc::new(settings) }
    }

    /// The files that are served: which of them never change under their name, and their entity tags. Default: none are
    /// known.
    pub fn build(mut self, build: Build) -> Self {
        self.set().build = Some(build);
        self
    }

    /// A rule; the first that is for a response decides. They are asked in the order given, and all of them before the table of
    /// defaults. Costs a few nanoseconds for each that is asked, a glob or regular expression some dozens.
    pub fn rule(mut self, rule: Rule) -> Self {
        let settings = self.set();
        settings.rules.insert(settings.given, rule);
        settings.given += 1;
        self
    }

    /// What the table says of pages. Default: [`Pages::Revalidate`].
    pub fn pages(mut self, pages: Pages) -> Self {
        let settings = self.set();
        settings.rules.truncate(settings.given);
        settings.rules.extend(table::rules(pages));
        self
    }

    /// Only the rules that are given: no table of defaults.
    pub fn without_defaults(mut self) -> Self {
        let settings = self.set();
        settings.rules.truncate(settings.given);
        self
    }

    /// The longest body, in bytes, that is read and hashed to give it an entity tag, where the service gives neither a tag nor
    /// `Last-Modified`. Default: 1 MiB; 0 turns it off. Only bodies of known length are read, in memory, before the
    /// response begins; about 0.1 µs per KiB. Streams pass through.
    pub fn hash_up_to(mut self, bytes: u64) -> Self {
        self.set().hash_up_to = bytes;
        self
    }

    /// Whether times of modification say nothing, as in containers and under Nix. Then `Last-Modified` is left out, the tags that a
    /// file service makes of it are replaced by those of the [`Build`] or of the content, and files that are too long for that go
    /// without. Default: as the build was found.
    pub fn one_mtime(mut self, yes: bool) -> Self {
        self.set().one_mtime = yes;
        self
    }

    /// Whether the service judges conditional requests first. Default: no; it answers with the whole, and the layer with 304, 412
    /// or a part, so that a 304 always says what the 200 said. A part that depends on `If-Range` is cut out of the whole, if it begins
    /// within 8 MiB, and is the whole beyond. A file service opens a file for that and reads nothing of it. A
    /// service to which each body is a long way, such as a proxy, should judge by itself; its 304 pass then without a word. **Not over
    /// a service that overlooks `If-Range`**, as tower-http's `ServeDir` does: it would send parts of another version.
    pub fn pass_conditions(mut self, yes: bool) -> Self {
        self.set().pass_conditions = yes;
        self
    }

    /// Where the time is taken from. Default: the system's clock.
    pub fn clock(mut self, clock: Clock) -> Self {
        self.set().clock = clock;
        self
    }

    /// What would be said of each file in a directory that is served at `/`, and what looks wrong: for a test, or at start.
    ///
    /// # Errors
    /// If the directory or a file in it cannot be read.
    pub fn lint(&self, dir: impl AsRef<Path>) -> std::io::Result<Lint> {
        Lint::of(&self.settings, dir.as_ref())
    }

    fn set(&mut self) -> &mut Settings {
        Arc::make_mut(&mut self.settings)
    }
}

impl Default for AssetsLayer {
    fn default() -> Self {
        Self::new()
    }
}

impl<S> Layer<S> for AssetsLayer {
    type Service = AssetsService<S>;

    fn layer(&self, inner: S) -> AssetsService<S> {
        AssetsService::new(inner, Arc::clone(&self.settings))
    }
}
