//! How do I give my static files cache headers that are right?
//!
//! ```sh
//! cargo run --release --example site
//! curl -I http://127.0.0.1:3000/                          # no-cache: validated each time
//! curl -I http://127.0.0.1:3000/assets/app-5d41402abc4b.js  # immutable: its name holds the MD5 of its content
//! curl -I http://127.0.0.1:3000/assets/app-DA15JTLU.js    # looks hashed, and nobody vouches for it: no-cache
//! curl -I http://127.0.0.1:3000/missing-DA15JTLU.js       # 404, no-store: the next server may have it
//! ```
//!
//! `SITE=path/to/dist` serves a build of yours: its manifest is found, and each file's verdict printed at start.

use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use buttress::assets::{AssetsLayer, Build, CacheControl, Pages, Rule};
use tower_http::services::ServeDir;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let site = std::env::var_os("SITE").map_or_else(demo, |site| Ok(PathBuf::from(site)))?;

    let month = Duration::from_secs(30 * 86_400);
    let layer = AssetsLayer::new()
        .build(Build::open(&site)?)
        .pages(Pages::StaleWhileRevalidate)
        .rule(Rule::new().glob("/photos/**")?.cache(CacheControl::new().public().max_age(month)));
    println!("{}\n", layer.lint(&site)?);

    let app = Router::new().fallback_service(ServeDir::new(&site)).layer(layer);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app).await?;
    Ok(())
}

/// A site of four files.
fn demo() -> std::io::Result<PathBuf> {
    let site = std::env::temp_dir().join("buttress-site");
    for (path, content) in [
        ("index.html", "<!doctype html><script src=/assets/app-5d41402abc4b.js></script>"),
        ("assets/app-5d41402abc4b.js", "hello"),
        ("assets/app-DA15JTLU.js", "// which tool named this?"),
        ("photos/cat.txt", "a picture of a cat"),
    ] {
        let file = site.join(path);
        std::fs::create_dir_all(file.parent().expect("it lies in the site"))?;
        std::fs::write(file, content)?;
    }
    Ok(site)
}
