//! What a file is, by its extension and by its media type, and whether the two agree.
//!
//! They disagree where a single-page application answers a missing `/assets/x-abc.js` with its `index.html`: what would
//! be right for a script would keep a page under the script's name, for a year.

/// The longest extension that is looked at.
const LONGEST: usize = 12;

/// What kind of thing a response is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Kind {
    /// Collections of files, executables, disk images.
    Archive,
    /// JSON, XML and other data.
    Data,
    /// PDF and office documents.
    Document,
    /// RSS and Atom.
    Feed,
    /// Web fonts.
    Font,
    /// Images.
    Image,
    /// Sound and video.
    Media,
    /// HTML.
    Page,
    /// JavaScript.
    Script,
    /// Source maps.
    SourceMap,
    /// CSS.
    Style,
    /// Plain text.
    Text,
    /// WebAssembly.
    Wasm,
    /// The manifest of a web application.
    WebManifest,
}

/// The extension of a path's last segment, as written. `None` if it has none, or begins with the only dot.
pub(crate) fn extension(path: &str) -> Option<&str> {
    // Every request comes through here, and `str`'s own searches take several times as long.
    let at = path.bytes().rposition(|byte| matches!(byte, b'.' | b'/'))?;
    let (before, extension) = (&path.as_bytes()[..at], path.get(at + 1..)?);
    let has_stem = !matches!(before.last(), None | Some(b'/'));
    (path.as_bytes()[at] == b'.' && has_stem && !extension.is_empty()).then_some(extension)
}

/// A media type without its parameters; `None` if it is no text.
pub(crate) fn essence(content_type: &[u8]) -> Option<&str> {
    let end = content_type.iter().position(|byte| *byte == b';').unwrap_or(content_type.len());
    std::str::from_utf8(&content_type[..end]).ok().map(str::trim_ascii)
}

/// Whether a response of this media type may be what the extension promises, and what it is: by its extension, or by its media
/// type where that contradicts.
///
/// No media type, or one that only says "bytes", contradicts nothing. An extension that we do not know contradicts only
/// a page, which is what stands in for what is missing.
pub(crate) fn of(extension: Option<&str>, media_type: Option<&str>) -> (bool, Option<Kind>) {
    let promised = extension.and_then(Kind::of_extension);
    let Some(media_type) = media_type.filter(|media_type| !says_nothing(media_type)) else { return (true, promised) };
    let found = Kind::of_media_type(media_type);
    let agrees = match promised {
        None => extension.is_none() || found != Some(Kind::Page),
        // Media types of these are too many to know; what matters is that it is nothing else that is known.
        Some(promised @ (Kind::Archive | Kind::Document)) => found.is_none_or(|found| found == promised),
        Some(promised) => found.is_some_and(|found| promised.may_be(found)),
    };
    (agrees, promised.filter(|_| agrees).or(found))
}

fn says_nothing(media_type: &str) -> bool {
    ["application/octet-stream", "binary/octet-stream"].iter().any(|bytes| media_type.eq_ignore_ascii_case(bytes))
}

// === impl Kind ===

impl Kind {
    /// What files with this extension are, without its dot and in any case; `None` if it is not known.
    #[must_use]
    pub fn of_extension(extension: &str) -> Option<Self> {
        let mut lower = [0; LONGEST];
        let lower = lower.get_mut(..extension.len())?;
        lower.copy_from_slice(extension.as_bytes());
        lower.make_ascii_lowercase();
        Some(match &*lower {
            b"7z" | b"apk" | b"bz2" | b"deb" | b"dmg" | b"exe" | b"gz" | b"iso" | b"jar" | b"msi" | b"rar" | b"rpm"
            | b"tar" | b"tgz" | b"xz" | b"zip" | b"zst" => Self::Archive,
            b"csv" | b"geojson" | b"ics" | b"json" | b"json5" | b"jsonld" | b"ndjson" | b"toml" | b"tsv" | b"xml"
            | b"xsl" | b"yaml" | b"yml" => Self::Data,
            b"doc" | b"docx" | b"epub" | b"odp" | b"ods" | b"odt" | b"pdf" | b"ppt" | b"pptx" | b"rtf" | b"xls"
            | b"xlsx" => Self::Document,
            b"atom" | b"rss" => Self::Feed,
            b"eot" | b"otf" | b"ttc" | b"ttf" | b"woff" | b"woff2" => Self::Font,
            b"apng" | b"avif" | b"bmp" | b"cur" | b"gif" | b"heic" | b"heif" | b"ico" | b"jfif" | b"jpeg" | b"jpg"
            | b"jxl" | b"png" | b"svg" | b"svgz" | b"tif" | b"tiff" | b"webp" => Self::Image,
            b"aac" | b"avi" | b"flac" | b"m4a" | b"m4v" | b"mkv" | b"mov" | b"mp3" | b"mp4" | b"mpeg" | b"mpg"
            | b"oga" | b"ogg" | b"ogv" | b"opus" | b"vtt" | b"wav" | b"weba" | b"webm" => Self::Media,
            b"htm" | b"html" | b"shtml" | b"xht" | b"xhtml" => Self::Page,
            b"cjs" | b"js" | b"mjs" => Self::Script,
            b"map" => Self::SourceMap,
            b"css" => Self::Style,
            b"md" | b"text" | b"txt" => Self::Text,
            b"wasm" => Self::Wasm,
            b"webmanifest" => Self::WebManifest,
            _ => return None,
        })
    }

    /// What responses of this media type are, in any case, without parameters; `None` if it is not known.
    #[must_use]
    pub fn of_media_type(media_type: &str) -> Option<Self> {
        let (top, sub) = media_type.split_once('/')?;
        let is = |names: &[&str]| names.iter().any(|name| sub.eq_ignore_ascii_case(name));
        let ends = |suffix: &str| {
            sub.len()
                .checked_sub(suffix.len())
                .and_then(|at| sub.get(at..))
                .is_some_and(|end| end.eq_ignore_ascii_case(suffix))
        };
        match top {
            top if top.eq_ignore_ascii_case("text") => Some(match () {
                () if is(&["html"]) => Self::Page,
                () if is(&["css"]) => Self::Style,
                () if is(&["javascript", "ecmascript", "x-javascript", "jscript"]) => Self::Script,
                () if is(&["xml", "json", "csv", "calendar", "tab-separated-values"]) => Self::Data,
                () if is(&["vtt"]) => Self::Media,
                () => Self::Text,
            }),
            top if top.eq_ignore_ascii_case("image") => Some(Self::Image),
            top if top.eq_ignore_ascii_case("font") => Some(Self::Font),
            top if top.eq_ignore_ascii_case("audio") || top.eq_ignore_ascii_case("video") => Some(Self::Media),
            top if top.eq_ignore_ascii_case("application") => Some(match () {
                () if is(&["javascript", "x-javascript", "ecmascript", "node"]) => Self::Script,
                () if is(&["wasm"]) => Self::Wasm,
                () if is(&["manifest+json"]) => Self::WebManifest,
                () if is(&["xhtml+xml"]) => Self::Page,
                () if is(&["rss+xml", "atom+xml", "feed+json"]) => Self::Feed,
                () if is(&[
                    "font-woff",
                    "font-woff2",
                    "font-sfnt",
                    "vnd.ms-fontobject",
                    "x-font-ttf",
                    "x-font-otf",
                ]) =>
                {
                    Self::Font
                }
                () if is(&["json", "xml", "yaml", "toml", "x-ndjson"]) || ends("+json") || ends("+xml") => Self::Data,
                () if is(&["ogg", "mp4"]) => Self::Media,
                () if is(&["pdf", "rtf", "msword", "epub+zip"]) || ends("document") || ends("sheet") => Self::Document,
                () => return None,
            }),
            _ => None,
        }
    }

    /// Its place in a set of kinds.
    pub(crate) const fn bit(self) -> u32 {
        1 << self as u32
    }

    /// Whether what should be this may be sent as that: some kinds are written in the language of another.
    fn may_be(self, found: Self) -> bool {
        match self {
            Self::Feed | Self::WebManifest => matches!(found, Self::Feed | Self::WebManifest | Self::Data),
            Self::Data => matches!(found, Self::Data | Self::Feed | Self::Text),
            Self::SourceMap => matches!(found, Self::Data | Self::Text),
            _ => self == found,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extensions_are_of_the_last_segment() {
        for (path, expected) in [
            ("/a/b.css", Some("css")),
            ("/a.b/c", None),
            ("/x.CSS.map", Some("map")),
            ("/account;x.css", Some("css")),
            ("/.well-known", None),
            ("/a.", None),
            ("", None),
        ] {
            assert_eq!(extension(path), expected, "{path}");
        }
    }

    #[test]
    fn a_page_under_the_name_of_another_thing_disagrees() {
        for (extension, media_type, expected) in [
            ("js", Some("text/javascript"), true),
            ("JS", Some("Application/JavaScript"), true),
            ("mjs", Some("text/html"), false),
            ("js", None, true),
            ("js", Some("application/octet-stream"), true),
            ("js", Some("application/json"), false),
            ("js", Some("text/plain"), false),
            ("js", Some("nonsense"), false),
            ("css", Some("text/css"), true),
            ("css", Some("text/html"), false),
            ("png", Some("image/webp"), true),
            ("png", Some("application/xhtml+xml"), false),
            ("svg", Some("image/svg+xml"), true),
            ("ico", Some("image/vnd.microsoft.icon"), true),
            ("woff2", Some("font/woff2"), true),
            ("woff2", Some("application/font-woff2"), true),
            ("map", Some("application/json"), true),
            ("webmanifest", Some("application/manifest+json"), true),
            ("rss", Some("text/xml"), true),
            ("xml", Some("application/atom+xml"), true),
            ("html", Some("text/html"), true),
            ("html", Some("application/json"), false),
            ("zip", Some("application/zip"), true),
            ("pdf", Some("application/pdf"), true),
            ("pdf", Some("text/html"), false),
            ("glb", Some("model/gltf-binary"), true),
            ("glb", Some("text/html"), false),
            ("averyverylongextension", Some("text/html"), false),
        ] {
            assert_eq!(of(Some(extension), media_type).0, expected, "{extension} as {media_type:?}");
        }
        assert_eq!(of(None, Some("text/html")), (true, Some(Kind::Page)));
        assert_eq!(of(Some("js"), Some("text/html")), (false, Some(Kind::Page)));
    }
}
