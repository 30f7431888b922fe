use super::*;

#[test]
fn hashes_of_real_tools_are_seen() {
    for (file, base, text) in [
        ("index-DA15JTLU.js", "index", "DA15JTLU"),
        ("app-VRTVD5R5.js", "app", "VRTVD5R5"),
        ("main.a1b2c3d4e5f6.js", "main", "a1b2c3d4e5f6"),
        ("chunk-D-tfNpnx.js", "chunk", "D-tfNpnx"),
        ("x.0a1b2c3d.css.map", "x", "0a1b2c3d"),
        ("site.js.9eee23d82f5c.map", "site.js", "9eee23d82f5c"),
        ("2.1a2b3c4d.chunk.js", "2", "1a2b3c4d"),
        ("app.5f2d9c81.min.js", "app", "5f2d9c81"),
        ("logo-DqPO_ZbB.png", "logo", "DqPO_ZbB"),
        ("foo_bar-BxW2-4kq.woff2", "foo_bar", "BxW2-4kq"),
        ("base.27e20196a850.css", "base", "27e20196a850"),
        ("d41d8cd98f00b204e980.png", "", "d41d8cd98f00b204e980"),
        ("DqPO_ZbB.png", "", "DqPO_ZbB"),
        ("app-0cc175b9c0f1b6a831c399e269772661.js", "app", "0cc175b9c0f1b6a831c399e269772661"),
        ("chunk-vrtvd5r5.js", "chunk", "vrtvd5r5"),
        ("app-5F2D9C81.js", "app", "5F2D9C81"),
    ] {
        let found = hash_in(file).map(|found| (found.base, found.text));
        assert_eq!(found, Ok((base, text)), "{file}");
    }
}

#[test]
fn what_people_write_is_no_hash() {
    for (file, why) in [
        ("apple-touch-icon.png", NotAHash::Short),
        ("safari-pinned-tab.svg", NotAHash::Short),
        ("mstile-150x150.png", NotAHash::Short),
        ("mstile-1500x1500.png", NotAHash::Size),
        ("logo-20240608.png", NotAHash::Date),
        ("log-20240608T120000.txt", NotAHash::Date),
        ("photo-00012345.jpg", NotAHash::Digits),
        ("readme-how-to-build.js", NotAHash::Words),
        ("how-To-Build.js", NotAHash::Words),
        ("icon-v2.svg", NotAHash::Short),
        ("jquery-3.7.1.min.js", NotAHash::Short),
        ("react-dom.production.min.js", NotAHash::Words),
        ("vendor-BarChart.js", NotAHash::Words),
        ("monochrome-portrait.svg", NotAHash::Words),
        ("CONTRIBUTING.md", NotAHash::Words),
        ("docs-LICENSES.txt", NotAHash::Words),
        ("chapter-section12.png", NotAHash::Words),
        ("promo-iphone15pro.png", NotAHash::Words),
        ("app-1.2.3.js", NotAHash::Short),
        ("main.bundle.js", NotAHash::Short),
        ("polyfills-legacy.js", NotAHash::Short),
        ("messages.zh-Hans.json", NotAHash::Short),
        ("a-deadbeef.js", NotAHash::Words),
        ("avatar-123e4567-e89b-12d3-a456-426614174000.png", NotAHash::Uuid),
        ("2024-06-08.html", NotAHash::Short),
        ("Makefile", NotAHash::NoExtension),
        (".htaccess", NotAHash::NoExtension),
        ("", NotAHash::NoExtension),
        ("größe-überall.png", NotAHash::Short),
    ] {
        assert_eq!(hash_in(file), Err(why), "{file}");
    }
}

#[test]
fn a_build_tool_tells_what_it_added() {
    let added = |file, source| hash_added(file, source).map(|found| found.map(|found| found.text));
    assert_eq!(added("monochrome-portrait.svg", "monochrome-portrait.svg"), Err(NotAHash::SameAsSource));
    assert_eq!(added("index-abcdefgh.js", "index.html"), Ok(Some("abcdefgh")));
    assert_eq!(added("index-20240608.js", "index.ts"), Ok(Some("20240608")), "whether to believe it is for the build");
    assert_eq!(added("index-v2.js", "index.js"), Err(NotAHash::Short));
    assert_eq!(added("vendor-DA15JTLU.js", "index.js"), Ok(None));
    assert_eq!(added("base.27e20196a850.css", "base.css").map(|_| ()), Ok(()));
    assert_eq!(added("app.5f2d9c81.js.map", "app.js.map"), Ok(Some("5f2d9c81")));
}

/// Hashes are drawn as the tools make them; nearly all have to be seen by their looks alone.
#[test]
fn nearly_every_random_hash_is_seen() {
    const BASE64: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (tool, alphabet, length, at_least) in [
        ("Vite", BASE64, 8, 970),
        ("esbuild", &b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"[..], 8, 900),
        ("Bun", &b"0123456789abcdefghjkmnpqrstvwxyz"[..], 8, 920),
        ("Django", &b"0123456789abcdef"[..], 12, 990),
        ("webpack", &b"0123456789abcdef"[..], 20, 990),
        ("8 hexadecimal digits", &b"0123456789abcdef"[..], 8, 960),
    ] {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut draw = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            alphabet[(state >> 33) as usize % alphabet.len()] as char
        };
        let hashes = (0..10_000).map(|_| (0..length).map(|_| draw()).collect::<String>());
        let seen = hashes.filter(|hash| hash_in(&format!("index.{hash}.js")).is_ok()).count() / 10;
        assert!(seen >= at_least, "{tool}: {seen} of 1000");
    }
}
