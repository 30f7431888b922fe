//! Sessions: visits of the demo, two gateways on one Redis, and what an upstream is told of who is logged in.

use std::convert::Infallible;
use std::io::Write as _;

use buttress::redis::Redis;
use buttress::session::{CookieKey, Session, SessionLayer, Sessions};
use buttress_tests::RedisServer;
use http::{Request, Response};
use tempfile::NamedTempFile;
use tower::{Layer as _, ServiceExt as _};

use crate::support::{Gateway, Message, Upstream, refused, response};

const KEY: &str = "7e1f5b0c94d2a3e6f8901b2c3d4e5f60a7b8c9d0";

fn file(text: &str) -> NamedTempFile {
    let mut file = NamedTempFile::with_suffix(".toml").expect("a file");
    file.write_all(text.as_bytes()).expect("it is written");
    file
}

fn gateway(file: &NamedTempFile, redis: &str) -> Gateway {
    let path = file.path().to_str().expect("a name");
    Gateway::start(&["--config", path, "--redis", redis, "--admin", "127.0.0.1:0"])
}

fn cookie(message: &Message) -> String {
    let line = message.field("set-cookie").expect("a cookie is set");
    format!("cookie: {}\r\n", line.split(';').next().expect("a pair"))
}

#[test]
fn visits_are_counted_in_both_gateways_and_never_stored() {
    let redis = RedisServer::start();
    let file = file(&format!("[session]\nkey = \"{KEY}\"\nseal_fields = true\n"));
    let (one, other) = (gateway(&file, &redis.url()), gateway(&file, &redis.url()));
    let first = one.get("/visits", "");
    assert_eq!((first.status(), first.text()), (200, "your visit number 1\n"));
    assert_eq!(first.field("cache-control"), Some("no-store"));
    let ours = cookie(&first);
    for (gateway, number) in [(&other, 2), (&one, 3), (&other, 4)] {
        let visit = gateway.get("/visits", &ours);
        assert_eq!(visit.text(), format!("your visit number {number}\n"));
        assert!(!visit.is_hit() && visit.field("set-cookie").is_none());
        assert_eq!((visit.field("vary"), visit.field("cache-control")), (Some("cookie"), Some("private")));
    }
    assert_eq!(one.get("/visits", "").text(), "your visit number 1\n", "somebody else's");
    one.ask(&format!("POST /visits/forget HTTP/1.1\r\nhost: a.example\r\n{ours}content-length: 0\r\n\r\n"));
    assert_eq!(other.get("/visits", &ours).text(), "your visit number 1\n", "it has ended in both");
}

#[test]
fn a_page_that_asks_for_no_session_is_shared_by_all_who_have_one() {
    let gateway = Gateway::start(&[]);
    let (one, other) = (cookie(&gateway.get("/visits", "")), cookie(&gateway.get("/visits", "")));
    assert!(!gateway.get("/products/1", &one).is_hit());
    let hit = gateway.get("/products/1", &other);
    assert!(hit.is_hit() && hit.field("set-cookie").is_none() && hit.field("vary").is_none());
}

/// What a service on the same Redis does: somebody logs in there.
fn logged_in(redis: &RedisServer, subject: &'static str) -> String {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let redis = Redis::connect(&redis.url()).expect("a URL");
        let layer = SessionLayer::new(Sessions::options(CookieKey::new(KEY).expect("a key")).redis(redis));
        let service = tower::service_fn(move |request: Request<()>| async move {
            let session = request.extensions().get::<Session>().expect("a session");
            session.login(subject).await.expect("logged in");
            Ok::<_, Infallible>(Response::new(String::new()))
        });
        let response = layer.layer(service).oneshot(Request::new(())).await.expect("an answer");
        let line = response.headers()["set-cookie"].to_str().expect("text").to_owned();
        format!("cookie: other=1; {}\r\n", line.split(';').next().expect("a pair"))
    })
}

#[test]
fn an_upstream_is_told_who_is_logged_in_and_an_operator_ends_it() {
    let redis = RedisServer::start();
    let upstream = Upstream::new();
    let file = file(&format!("upstream = \"{}\"\n[session]\nkey = \"{KEY}\"\nidentity = \"x-user\"\n", upstream.url()));
    let requests = upstream.answering(|_| response("200 OK", "cache-control: max-age=60\r\n", "hello"));
    let gateway = gateway(&file, &redis.url());
    let ada = logged_in(&redis, "ad\u{e0}");
    let told_at = |path: &str, fields: &str| {
        let answer = gateway.get(path, fields);
        assert_eq!(answer.status(), 200);
        let request = requests.try_recv().ok()?;
        Some((request.field("x-user").map(str::to_owned), request.field("cookie").map(str::to_owned)))
    };
    let told = |fields: &str| told_at("/x", fields);
    let forged = "x_user: eve\r\nX-User: eve\r\n";
    let (who, cookies) = told(&format!("{ada}{forged}")).expect("the upstream was asked");
    assert_eq!(
        (who.as_deref(), cookies.as_deref()),
        (Some("ad%C3%A0"), Some("other=1")),
        "the session's goes no further"
    );
    let (who, _) = told(&format!("{ada}{forged}")).expect("what is somebody's is not stored");
    assert_eq!(who.as_deref(), Some("ad%C3%A0"));
    assert_eq!(told_at("/y", forged), Some((None, None)), "nobody is told of");
    assert_eq!(told_at("/y", forged), None, "and what is nobody's is stored");
    let hit = gateway.get("/y", "");
    assert!(hit.is_hit() && hit.field("vary").is_none());

    let order = |order: &str| gateway.post("/logins", order, "localhost", "application/json");
    assert!(order("{\"subject\": \"ad\u{e0}\"}").text().contains("\"sid\":"));
    assert_eq!(order(r#"{"subject": "eve"}"#).text(), "{\"logins\":[]}\n");
    assert_eq!(order(r#"{"subject": "eve", "end": "all"}"#).text(), "{\"ended\":0}\n");
    assert_eq!(order(r#"{"user": "eve"}"#).status(), 400);
    assert_eq!(order("{\"subject\": \"ad\u{e0}\", \"end\": \"all\"}").text(), "{\"ended\":1}\n");
    redis.kill();
    assert_eq!(gateway.get("/z", &ada).status(), 503, "nobody knows whose it is");
    assert!(requests.try_recv().is_err(), "and the upstream is not asked");
    assert_eq!(gateway.get("/z", "").status(), 200, "who has no session does not need Redis");
}

#[test]
fn what_cannot_be_meant_is_refused_at_start() {
    let whole = format!("identity = \"x-user\"\nkey = \"{KEY}\"\n");
    for (table, says) in [
        (format!("key = \"{KEY}\"\n"), "[session] identity"),
        ("identity = \"x-user\"\n".to_owned(), "[session] key"),
        ("identity = \"x-user\"\nkey = \"short\"\n".to_owned(), "at least 32 bytes"),
        ("identity = \"x-user\"\nkey_file = \"/nowhere\"\n".to_owned(), "/nowhere"),
        (format!("{whole}key_file = \"/nowhere\"\n"), "key is given, too"),
        (format!("{whole}former_key_files = [\"/nowhere\"]\n"), "/nowhere"),
        (format!("identity = \"x user\"\nkey = \"{KEY}\"\n"), "x user"),
        (format!("{whole}domain = \"shop.example\"\n"), "Domain"),
        (format!("{whole}same_site = \"none\"\nplain_http = true\n"), "SameSite=None"),
        (format!("{whole}same_site = \"sometimes\"\n"), "sometimes"),
        (format!("{whole}idel = 3\n"), "idel"),
    ] {
        let file = file(&format!("upstream = \"http://127.0.0.1:9\"\n[session]\n{table}"));
        let (code, message) = refused(&["--config", file.path().to_str().expect("a name")]);
        assert_eq!(code, Some(2), "{table}: {message}");
        assert!(message.contains(says), "{table}: {message}");
        assert!(!message.contains(KEY), "{message}");
    }
}
