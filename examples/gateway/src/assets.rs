//! `[assets]`: what is said of assets and pages, and `gateway lint`.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use buttress::assets::{AssetsLayer, Build, BuildError, CacheControl, Lint, Mode, Pages, Rule};
use http::Method;
use serde::Deserialize;
use tokio::signal::unix::{SignalKind, signal};

use crate::config::Problem;

/// `[assets]`: the build that is served, and rules before the table of defaults.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct AssetsTable {
    dir: Option<PathBuf>,
    manifest: Vec<PathBuf>,
    at: Option<String>,
    trust: Vec<String>,
    one_mtime: Option<bool>,
    pages: PagesWord,
    defaults: Option<bool>,
    hash_up_to: Option<u64>,
    #[serde(rename = "rule")]
    rules: Vec<RuleTable>,
}

/// `[[assets.rule]]`: conditions, all of which have to hold, and what is said.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RuleTable {
    glob: Option<String>,
    prefix: Option<String>,
    regex: Option<String>,
    extension: Vec<String>,
    media_type: Vec<String>,
    status: Option<Statuses>,
    method: Vec<String>,
    vouched: bool,
    cache_control: Option<String>,
    cdn_cache_control: Option<String>,
    mode: ModeWord,
    expires: bool,
    even_if_authorized: bool,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum PagesWord {
    Leave,
    #[default]
    Revalidate,
    StaleWhileRevalidate,
}

#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum ModeWord {
    #[default]
    IfAbsent,
    Override,
    Remove,
}

/// One status, or two that a range lies between.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
enum Statuses {
    One(u16),
    Range([u16; 2]),
}

/// The layer, and the build that it knows, to be read again on SIGHUP.
#[derive(Clone, Debug)]
pub(crate) struct Assets {
    pub(crate) layer: AssetsLayer,
    build: Option<Build>,
}

// === impl AssetsTable ===

impl AssetsTable {
    /// The layer that it describes. An upstream makes its own tags and judges conditions by itself, since its bodies come a long way.
    pub(crate) fn layer(&self, has_upstream: bool) -> Result<Assets, Problem> {
        let mut layer = AssetsLayer::new().pass_conditions(has_upstream).pages(match self.pages {
            PagesWord::Leave => Pages::Leave,
            PagesWord::Revalidate => Pages::Revalidate,
            PagesWord::StaleWhileRevalidate => Pages::StaleWhileRevalidate,
        });
        if self.defaults == Some(false) {
            layer = layer.without_defaults();
        }
        if let Some(bytes) = self.hash_up_to {
            layer = layer.hash_up_to(bytes);
        }
        for rule in &self.rules {
            layer = layer.rule(rule.rule()?);
        }
        let build = self.build(!has_upstream)?;
        if let Some(build) = &build {
            layer = layer.build(build.clone());
        }
        Ok(Assets { layer, build })
    }

    fn build(&self, tags: bool) -> Result<Option<Build>, Problem> {
        if self.dir.is_none() && self.manifest.is_empty() && self.trust.is_empty() {
            return Ok(None);
        }
        let mut options =
            self.manifest.iter().fold(Build::options().tags(tags), |options, path| options.manifest(path));
        options = self.trust.iter().fold(options, |options, prefix| options.trust(prefix));
        if let Some(dir) = &self.dir {
            options = options.dir(dir);
        }
        if let Some(at) = &self.at {
            options = options.at(at);
        }
        if let Some(yes) = self.one_mtime {
            options = options.one_mtime(yes);
        }
        options.load().map(Some).map_err(|error| unreadable(&error))
    }
}

fn unreadable(error: &BuildError) -> Problem {
    let why = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    Problem::new("[assets]", error.path().display(), why)
}

// === impl RuleTable ===

impl RuleTable {
    fn rule(&self) -> Result<Rule, Problem> {
        let bad = |key: &str, value: &str, why: &dyn std::fmt::Display| {
            Problem::new(format!("[[assets.rule]] {key}"), value, why)
        };
        let mut rule = Rule::new();
        if let Some(pattern) = &self.glob {
            rule = rule.glob(pattern).map_err(|error| bad("glob", pattern, &error.why()))?;
        }
        if let Some(prefix) = &self.prefix {
            rule = rule.prefix(prefix);
        }
        if let Some(pattern) = &self.regex {
            rule = rule.regex(pattern).map_err(|error| bad("regex", pattern, &error.why()))?;
        }
        if !self.extension.is_empty() {
            rule = rule.extension(&self.extension);
        }
        if !self.media_type.is_empty() {
            rule = rule.media_type(&self.media_type);
        }
        if let Some(statuses) = self.status {
            rule = rule.statuses(statuses.range());
        }
        if !self.method.is_empty() {
            let methods =
                self.method.iter().map(|name| name.parse::<Method>().map_err(|error| bad("method", name, &error)));
            rule = rule.method(methods.collect::<Result<Vec<_>, _>>()?);
        }
        if self.vouched {
            rule = rule.vouched();
        }
        if let Some(text) = &self.cache_control {
            rule = rule.cache(directives("cache_control", text)?);
        }
        if let Some(text) = &self.cdn_cache_control {
            let directives = directives("cdn_cache_control", text)?;
            rule = rule.cdn(&directives).map_err(|error| bad("cdn_cache_control", text, &error.why()))?;
        }
        if self.expires {
            rule = rule.expires();
        }
        if self.even_if_authorized {
            rule = rule.even_if_authorized();
        }
        Ok(rule.mode(match self.mode {
            ModeWord::IfAbsent => Mode::IfAbsent,
            ModeWord::Override => Mode::Override,
            ModeWord::Remove => Mode::Remove,
        }))
    }
}

fn directives(key: &str, text: &str) -> Result<CacheControl, Problem> {
    text.parse().map_err(|error| Problem::new(format!("[[assets.rule]] {key}"), text, error))
}

// === impl Statuses ===

impl Statuses {
    fn range(self) -> RangeInclusive<u16> {
        match self {
            Self::One(status) => status..=status,
            Self::Range([first, last]) => first..=last,
        }
    }
}

// === impl Assets ===

impl Assets {
    /// Reads the build again whenever SIGHUP comes; what cannot be read is logged, and what was known stays.
    pub(crate) fn reload_on_hangup(&self) {
        let (Some(build), Ok(mut hangup)) = (self.build.clone(), signal(SignalKind::hangup())) else { return };
        tokio::spawn(async move {
            while hangup.recv().await.is_some() {
                let build = build.clone();
                let read = tokio::task::spawn_blocking(move || build.reload().map(|()| build)).await;
                match read {
                    Ok(Ok(build)) => tracing::info!(?build, "the build was read again"),
                    Ok(Err(error)) => tracing::error!(%error, "the build was not read again"),
                    Err(error) => tracing::error!(%error, "the build was not read again"),
                }
            }
        });
    }
}

/// What would be said of each file in a directory, by the settings of `[assets]` or by the defaults.
pub(crate) fn lint(table: Option<AssetsTable>, dir: &Path) -> Result<Lint, Problem> {
    let table = AssetsTable { dir: Some(dir.to_owned()), ..table.unwrap_or_default() };
    let assets = table.layer(false)?;
    assets.layer.lint(dir).map_err(|error| Problem::new("lint", dir.display(), error))
}
