//! A browser's private cache, by the policy of `http-cache-semantics`, over a real connection: what a second visit downloads.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use axum::Router;
use buttress::assets::{AssetsLayer, Build};
use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use http_cache_semantics::{AfterResponse, BeforeRequest, CacheOptions, CachePolicy};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tower_http::services::{ServeDir, ServeFile};

use crate::bed::{dir, write};

/// Names hold the MD5 of the contents.
const OLD: (&str, &str) = ("assets/app-0cc175b9c0f1.js", "a");
const NEW: (&str, &str) = ("assets/app-92eb5ffee6ae.js", "b");
const PAGE: &str = "<!doctype html><script src=/assets/app-0cc175b9c0f1.js></script>";

/// A browser: it keeps what it may, and notes what it had to ask for.
struct Browser {
    client: Client<HttpConnector, Empty<Bytes>>,
    server: SocketAddr,
    kept: HashMap<String, (CachePolicy, Bytes)>,
    now: SystemTime,
    /// What went over the wire since the last look: path, status, bytes of the body.
    asked: Vec<(String, u16, usize)>,
}

/// A site that is served like a single-page application: what is missing is answered with the page.
async fn serve(dir: &TempDir) -> SocketAddr {
    let files = ServeDir::new(dir.path()).fallback(ServeFile::new(dir.path().join("index.html")));
    let layer = AssetsLayer::new().build(Build::open(dir.path()).expect("a build"));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback_service(files).layer(layer)).await });
    address
}

// === impl Browser ===

impl Browser {
    fn new(server: SocketAddr) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { client, server, kept: HashMap::new(), now: buttress::core::Clock::system().now(), asked: Vec::new() }
    }

    async fn get(&mut self, path: &str) -> Bytes {
        let mut request = self.request(path);
        if let Some((policy, body)) = self.kept.get(path) {
            match policy.before_request(&request, self.now) {
                BeforeRequest::Fresh(_) => return body.clone(),
                BeforeRequest::Stale { request: validating, .. } => *request.headers_mut() = validating.headers,
            }
        }
        let (response, body) = self.send(request.clone()).await;
        self.asked.push((path.to_owned(), response.status().as_u16(), body.len()));
        let (policy, body) = match self.kept.remove(path).filter(|_| response.status() == StatusCode::NOT_MODIFIED) {
            Some((old, kept)) => match old.after_response(&request, &response, self.now) {
                AfterResponse::NotModified(policy, _) => (policy, kept),
                AfterResponse::Modified(policy, _) => (policy, body),
            },
            None => {
                let options = CacheOptions { shared: false, ..CacheOptions::default() };
                (CachePolicy::new_options(&request, &response, self.now, options), body)
            }
        };
        if policy.is_storable() {
            self.kept.insert(path.to_owned(), (policy, body.clone()));
        }
        body
    }

    /// The page and what it names, as a browser fetches them.
    async fn visit(&mut self, others: &[&str]) -> Vec<(String, u16, usize)> {
        let page = String::from_utf8(self.get("/").await.to_vec()).expect("a page");
        let script = page.split("src=").nth(1).and_then(|rest| rest.split('>').next()).expect("it names a script");
        self.get(script).await;
        for path in others {
            self.get(path).await;
        }
        std::mem::take(&mut self.asked)
    }

    fn request(&self, path: &str) -> Request<Empty<Bytes>> {
        Request::get(format!("http://site.example{path}"))
            .header("accept-encoding", "br, gzip")
            .body(Empty::new())
            .expect("a request")
    }

    /// Whichever server answers, it is the same site to the browser.
    async fn send(&self, mut request: Request<Empty<Bytes>>) -> (Response<()>, Bytes) {
        *request.uri_mut() = format!("http://{}{}", self.server, request.uri().path()).parse().expect("a URI");
        let (parts, body) = self.client.request(request).await.expect("an answer").into_parts();
        let body = body.collect().await.expect("a body").to_bytes();
        (Response::from_parts(parts, ()), body)
    }
}

#[tokio::test]
async fn a_second_visit_downloads_only_what_may_have_changed() {
    let dir = dir(&[OLD, ("index.html", PAGE), ("logo.png", "png"), ("style.css", "body{}")]);
    let mut browser = Browser::new(serve(&dir).await);
    let others = ["/logo.png", "/style.css"];
    let row = |path: &str, status, bytes| (path.to_owned(), status, bytes);

    let script = "/assets/app-0cc175b9c0f1.js";
    let first = browser.visit(&others).await;
    assert_eq!(
        first,
        [row("/", 200, PAGE.len()), row(script, 200, 1), row("/logo.png", 200, 3), row("/style.css", 200, 6)]
    );

    browser.now += Duration::from_secs(3600);
    assert_eq!(browser.visit(&others).await, [row("/", 304, 0), row("/style.css", 304, 0)]);
    browser.now += Duration::from_secs(30 * 86_400);
    let month_later = browser.visit(&others).await;
    assert_eq!(month_later, [row("/", 304, 0), row("/logo.png", 304, 0), row("/style.css", 304, 0)]);

    // A new version is deployed.
    let page = PAGE.replace("0cc175b9c0f1", "92eb5ffee6ae");
    write(dir.path(), NEW.0, NEW.1, Duration::from_secs(1));
    write(dir.path(), "index.html", &page, Duration::from_secs(1));
    browser.server = serve(&dir).await;
    let deployed = browser.visit(&others).await;
    assert_eq!(
        deployed,
        [row("/", 200, page.len()), row("/assets/app-92eb5ffee6ae.js", 200, 1), row("/style.css", 304, 0)]
    );
}

/// A browser has the new page, and its next request reaches a server that has the old version: it must not keep what that
/// answers under the script's name.
#[tokio::test]
async fn a_rolling_deployment_leaves_nothing_behind() {
    let page = PAGE.replace("0cc175b9c0f1", "92eb5ffee6ae");
    let (old, new) = (dir(&[OLD, ("index.html", PAGE)]), dir(&[OLD, NEW, ("index.html", &page)]));
    let (old, new) = (serve(&old).await, serve(&new).await);
    let mut browser = Browser::new(new);
    browser.get("/").await;
    browser.server = old;
    let fallback = browser.get("/assets/app-92eb5ffee6ae.js").await;
    assert_eq!(fallback, PAGE, "a page in the script's place");
    // The same server again: it is validated, and is not the script's for that.
    browser.get("/assets/app-92eb5ffee6ae.js").await;
    assert_eq!(browser.asked.last().map(|(_, status, _)| *status), Some(304));
    browser.server = new;
    assert_eq!(browser.get("/assets/app-92eb5ffee6ae.js").await, "b");
}

/// What is sent with a 304 is what a browser will go by.
#[tokio::test]
async fn the_headers_of_a_304_keep_what_is_immutable_so() {
    let dir = dir(&[OLD, ("index.html", PAGE)]);
    let mut browser = Browser::new(serve(&dir).await);
    let (response, _) = browser.send(browser.request("/assets/app-0cc175b9c0f1.js")).await;
    let tag = response.headers()["etag"].clone();
    let mut request = browser.request("/assets/app-0cc175b9c0f1.js");
    request.headers_mut().insert("if-none-match", tag);
    let (again, body) = browser.send(request).await;
    let said = |headers: &HeaderMap| headers["cache-control"].clone();
    assert_eq!((again.status(), said(again.headers())), (StatusCode::NOT_MODIFIED, said(response.headers())));
    assert!(body.is_empty());
    browser.asked.clear();
}
