//! What the gateway counts, and to whom it says so.

use buttress_tests::RedisServer;
use rustix::process::Signal;
use serde_json::Value;

use crate::support::{Gateway, Line, Message, Upstream};

/// What the admin listener answers.
fn admin(gateway: &Gateway, path: &str, fields: &str) -> Message {
    let mut line = Line::to(gateway.admin.expect("started with --admin"));
    line.say(format!("GET {path} HTTP/1.1\r\nhost: 127.0.0.1\r\n{fields}connection: close\r\n\r\n"));
    line.message()
}

fn overview(gateway: &Gateway) -> Value {
    let answer = admin(gateway, "/dashboard/api/overview", "");
    serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

/// Waits until it is so.
fn until(mut is: impl FnMut() -> bool) {
    for _ in 0..400 {
        if is() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    panic!("it never is");
}

#[test]
fn two_gateways_count_together_and_the_last_second_is_not_lost() {
    let redis = RedisServer::start();
    let url = redis.url();
    let upstream = Upstream::new();
    let origin = upstream.url();
    let _requests =
        upstream.answering(|_| "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncache-control: no-store\r\n\r\nhi".to_owned());
    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(config.path(), "[events]\nroutes = [\"/shop\"]\npaths = true\nreferrers = true\nvisitors = true\n")
        .unwrap();
    let config = config.path().to_string_lossy();
    let start =
        || Gateway::start(&["--upstream", &origin, "--admin", "127.0.0.1:0", "--redis", &url, "--config", &config]);
    let (one, mut other) = (start(), start());
    for gateway in [&one, &other] {
        for n in 0..3 {
            gateway.get(&format!("/shop/{n}"), "referer: https://news.example/x\r\n");
        }
        gateway.get("/elsewhere", "sec-gpc: 1\r\n");
    }
    other.signal(Signal::TERM); // at once: what it has counted is in no flush yet
    assert_eq!(other.end(), Some(0));
    until(|| overview(&one)["requests"]["total"] == 8);
    let seen = overview(&one);
    let routes: Vec<_> = seen["routes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|route| (route["route"].as_str().unwrap(), route["requests"].as_u64().unwrap()))
        .collect();
    assert_eq!(routes, [("/shop", 6), ("<unmatched>", 2)]);
    assert_eq!(seen["rankings"][0]["entries"][0], serde_json::json!(["/elsewhere", 2]));
    assert_eq!(
        (&seen["rankings"][1]["name"], &seen["rankings"][1]["entries"][0]),
        (&"referrer".into(), &serde_json::json!(["news.example", 6]))
    );
    assert_eq!(seen["uniques"][0]["days"][6][1], 1, "one address, and who asked not to be counted is not");
    let totals = String::from_utf8(admin(&one, "/metrics/cluster", "").body).unwrap();
    let line = "http_server_request_duration_seconds_count{method=\"GET\",route=\"/shop\",status=\"2xx\"} 6";
    assert!(totals.lines().any(|found| found == line), "{totals}");
}

#[test]
fn only_who_may_look_does() {
    let gateway = Gateway::start(&["--admin", "127.0.0.1:0"]);
    let mut line = Line::to(gateway.admin.unwrap());
    line.say("GET /dashboard/api/overview HTTP/1.1\r\nhost: rebound.example\r\n\r\n");
    assert!(line.message().start.contains("403"), "a web page by a name of its own");

    let gateway = Gateway::start(&["--admin", "127.0.0.1:0", "--admin-token", "secret"]);
    let basic = |password: &str| {
        format!("authorization: Basic {}\r\n", data_encoding::BASE64.encode(format!("me:{password}").as_bytes()))
    };
    let table = [
        ("", "401"),
        ("authorization: Bearer secret\r\n", "200"),
        ("authorization: Bearer wrong\r\n", "401"),
        (&basic("secret"), "200"),
        (&basic("wrong"), "401"),
        ("authorization: Basic c2VjcmV0\r\n", "401"),
        ("authorization: Basic \u{7f}\r\n", "4"),
    ];
    for (fields, expected) in table {
        let answer = admin(&gateway, "/dashboard/", fields);
        assert!(answer.start.contains(&format!(" {expected}")), "{fields}: {}", answer.start);
    }
    // A browser sends a password by itself, whoever has it ask.
    let mut line = Line::to(gateway.admin.unwrap());
    let order = "{\"everything\": true}";
    line.say(format!("POST /purge HTTP/1.1\r\nhost: 127.0.0.1\r\n{}content-type: application/json\r\ncontent-length: {}\r\n\r\n{order}", basic("secret"), order.len()));
    assert!(line.message().start.contains("401"));
}

#[test]
fn a_plain_proxy_counts_nothing_and_a_bad_table_is_said() {
    let redis = RedisServer::start();
    let upstream = Upstream::new();
    let origin = upstream.url();
    let _requests = upstream.answering(|_| "HTTP/1.1 204 No Content\r\n\r\n".to_owned());
    let mut gateway = Gateway::start(&["--upstream", &origin, "--redis", &redis.url()]);
    gateway.get("/", "");
    gateway.signal(Signal::TERM);
    gateway.end();
    assert_eq!(redis.cli(&["KEYS", "buttress:events:*"]).array().len(), 0);

    let config = tempfile::NamedTempFile::new().unwrap();
    for (table, offending) in [
        ("[events]\nroutes = [\"shop\"]\n", "shop"),
        ("[events]\notlp = \"https://collector/\"\n", "https://collector/"),
        ("[events]\npath = true\n", "path"),
    ] {
        std::fs::write(config.path(), table).unwrap();
        let (code, said) = crate::support::refused(&["--config", &config.path().to_string_lossy()]);
        assert!(code == Some(2) && said.contains(offending) && said.trim().lines().count() == 1, "{code:?} {said}");
    }
}
