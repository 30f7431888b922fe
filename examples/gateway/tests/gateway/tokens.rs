//! Tokens at the door: accounts of the demo, two gateways on one Redis, and configurations that cannot be used.

use std::io::Write as _;
use std::time::{Duration, Instant};

use buttress_tests::RedisServer;
use tempfile::NamedTempFile;

use crate::support::{Gateway, Message, refused};

const SECRET: &str = "c2a86b52b7e7ad5b9a2f60a4c9f1d3e07b5f8a41";
const OPEN: &str = "otherwise = \"open\"";

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::with_suffix(".toml").expect("a file");
    file.write_all(text.as_bytes()).expect("it is written");
    file
}

fn demo(file: &NamedTempFile, redis: &str) -> Gateway {
    let path = file.path().to_str().expect("a name");
    let gateway = Gateway::start(&["--config", path, "--redis", redis, "--admin", "127.0.0.1:0"]);
    let begun = now();
    while Gateway::get_from(gateway.admin.expect("an admin listener"), "/readyz").status() != 200 {
        assert!(begun.elapsed() < Duration::from_secs(10), "it is not ready");
        std::thread::sleep(Duration::from_millis(10));
    }
    gateway
}

fn post(gateway: &Gateway, path: &str, fields: &str, body: &str) -> Message {
    let length = body.len();
    let kind = if body.is_empty() { "" } else { "content-type: application/x-www-form-urlencoded\r\n" };
    gateway.ask(&format!(
        "POST {path} HTTP/1.1\r\nhost: a.example\r\n{kind}content-length: {length}\r\n{fields}\r\n{body}"
    ))
}

/// What a browser keeps of an answer: `Cookie`, and a word by the name of its cookie.
fn jar(message: &Message) -> (String, impl Fn(&str) -> String + use<>) {
    let set = message.fields.iter().filter(|(name, _)| name == "set-cookie");
    let pairs: Vec<String> = set.map(|(_, line)| line.split(';').next().expect("a pair").to_owned()).collect();
    let cookie = format!("cookie: {}\r\n", pairs.join("; "));
    let word = move |name: &str| {
        let pair = pairs.iter().find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
        format!("x-csrf-token: {}\r\n", pair.expect("it was set"))
    };
    (cookie, word)
}

fn login(gateway: &Gateway) -> Message {
    let login = post(gateway, "/auth/login", "", "username=ada&password=lovelace");
    assert_eq!(login.status(), 200);
    login
}

#[test]
fn a_login_is_good_in_both_gateways_until_it_ends_in_one() {
    let redis = RedisServer::start();
    let file = file(&format!("[jwt]\nsecret = \"{SECRET}\"\n{OPEN}\n"));
    let (one, other) = (demo(&file, &redis.url()), demo(&file, &redis.url()));
    assert_eq!(one.get("/account", "").status(), 401);
    let first = login(&one);
    let (cookie, word) = jar(&first);
    assert_eq!(other.get("/account", &cookie).status(), 200);
    // The refresh token is exchanged in the other gateway, and the access token goes on until the logout.
    let refresh = post(&other, "/auth/refresh", &(cookie.clone() + &word("__Host-csrf_refresh_token")), "");
    assert_eq!(refresh.status(), 200);
    let (next, word) = jar(&refresh);
    let logout = post(&one, "/auth/logout", &(next.clone() + &word("__Host-csrf_access_token")), "");
    assert_eq!(logout.status(), 204);
    let begun = now();
    while other.get("/account", &next).status() != 401 {
        assert!(begun.elapsed() < Duration::from_secs(1), "the other gateway does not hear");
    }
    assert_eq!(other.get("/account", &cookie).status(), 401, "its older sister ended with it");
}

#[test]
fn a_replayed_refresh_token_ends_the_login_everywhere() {
    let redis = RedisServer::start();
    let file = file(&format!("[jwt]\nsecret = \"{SECRET}\"\n{OPEN}\n"));
    let (one, other) = (demo(&file, &redis.url()), demo(&file, &redis.url()));
    let first = login(&one);
    let (stolen, stolen_word) = jar(&first);
    let mut cookies = (stolen.clone(), stolen_word("__Host-csrf_refresh_token"));
    for gateway in [&one, &other] {
        let refresh = post(gateway, "/auth/refresh", &(cookies.0 + &cookies.1), "");
        assert_eq!(refresh.status(), 200);
        let (cookie, word) = jar(&refresh);
        cookies = (cookie, word("__Host-csrf_refresh_token"));
    }
    assert_eq!(one.get("/account", &cookies.0).status(), 200);
    let replay = post(&other, "/auth/refresh", &(stolen + &stolen_word("__Host-csrf_refresh_token")), "");
    assert_eq!(replay.status(), 400, "invalid_grant");
    assert_eq!(other.get("/account", &cookies.0).status(), 401);
    let begun = now();
    while one.get("/account", &cookies.0).status() != 401 {
        assert!(begun.elapsed() < Duration::from_secs(1), "the other gateway does not hear");
    }
    assert_eq!(post(&one, "/auth/refresh", &(cookies.0 + &cookies.1), "").status(), 400);
}

#[test]
fn an_operator_ends_what_he_names() {
    let redis = RedisServer::start();
    let file = file(&format!("[jwt]\nsecret = \"{SECRET}\"\n{OPEN}\n"));
    let gateway = demo(&file, &redis.url());
    let (cookie, _) = jar(&login(&gateway));
    let order = |order: &str| gateway.post("/revoke", order, "localhost", "application/json").status();
    assert_eq!(order(r#"{"subject": "ada"}"#), 400);
    assert_eq!(order(r#"{"issuer": "https://shop.example", "subject": "bob"}"#), 200);
    assert_eq!(gateway.get("/account", &cookie).status(), 200);
    assert_eq!(order(r#"{"issuer": "https://shop.example", "subject": "ada"}"#), 200);
    assert_eq!(gateway.get("/account", &cookie).status(), 401);
}

#[test]
fn a_page_that_lies_in_the_cache_is_not_for_everybody() {
    let routes = "[[route]]\npath = \"/products\"\njwt = \"required\"\n";
    let file = file(&format!("[jwt]\nsecret = \"{SECRET}\"\n{OPEN}\n{routes}"));
    let gateway = Gateway::start(&["--config", file.path().to_str().expect("a name")]);
    assert_eq!(gateway.get("/products/1", "").status(), 401);
    let (cookie, word) = jar(&login(&gateway));
    assert_eq!(gateway.get("/products/1", &cookie).status(), 200);
    assert_eq!(gateway.get("/products/1", "").status(), 401);
    for odd in ["/products%2f1", "//products/1", "/x/..%2fproducts/1", "/./products/1", "/products;x/1"] {
        assert_eq!(gateway.get(odd, "").status(), 400, "{odd}");
    }
    let logout = post(&gateway, "/auth/logout", &(cookie.clone() + &word("__Host-csrf_access_token")), "");
    assert_eq!(logout.status(), 204);
    assert_eq!(gateway.get("/products/1", &cookie).status(), 401);
}

#[test]
fn what_cannot_be_meant_is_refused_at_start() {
    let secret = format!("secret = \"{SECRET}\"");
    let whole = format!("issuer = \"a\"\naudience = [\"b\"]\n{secret}");
    for (table, says) in [
        ("secret = \"short\"".to_owned(), "[jwt] secret"),
        (format!("{whole}\njwks = \"x.json\""), "exactly one of"),
        (
            "issuer = \"a\"\naudience = [\"b\"]\njwks = \"/nowhere.json\"\nalgorithms = [\"RS256\"]".to_owned(),
            "/nowhere.json",
        ),
        (
            "issuer = \"a\"\naudience = [\"b\"]\njwks_url = \"http://a.example\"\nalgorithms = [\"RS256\"]".to_owned(),
            "jwks_url",
        ),
        (format!("audience = [\"b\"]\n{secret}"), "[jwt] issuer"),
        (format!("issuer = \"a\"\n{secret}"), "[jwt] audience"),
        (format!("{whole}\nalgorithms = [\"none\"]"), "none"),
        (format!("{whole}\nalgorithms = [\"HS256\", \"RS256\"]"), "not mixed"),
        (format!("{whole}\nskew = 61"), "skew"),
        (format!("{whole}\nidentity = {{ \"x user\" = \"sub\" }}"), "x user"),
        (format!("{whole}\nissuers = 1"), "issuers"),
    ] {
        let file = file(&format!("upstream = \"http://127.0.0.1:9\"\n[jwt]\n{table}\n"));
        let (code, message) = refused(&["--config", file.path().to_str().expect("a name")]);
        assert_eq!(code, Some(2), "{table}: {message}");
        assert!(message.contains(says), "{table}: {message}");
        assert!(!message.contains(SECRET), "{message}");
    }
    let file = file("upstream = \"http://127.0.0.1:9\"\n[[route]]\npath = \"/a\"\nscopes = [\"x\"]\n");
    let (code, message) = refused(&["--config", file.path().to_str().expect("a name")]);
    assert_eq!(code, Some(2), "{message}");
    assert!(message.contains("no table [jwt]"), "{message}");
}

#[expect(clippy::disallowed_methods, reason = "how long somebody is waited for")]
fn now() -> Instant {
    Instant::now()
}
