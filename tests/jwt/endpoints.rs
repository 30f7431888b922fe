//! The ready services, as a browser and as another program use them.

use buttress::jwt::{Algorithm, Credentials, Issuer, Login, Revocations, SigningKey, TokenCookies, TokenEndpoints};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use serde_json::Value;
use tower::ServiceExt as _;

use crate::bed::{ISSUER, secret};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

fn endpoints() -> TokenEndpoints {
    let key = SigningKey::secret(Algorithm::HS256, secret()).expect("a good secret");
    let issuer = Issuer::new(ISSUER, "shop", key, Revocations::embedded()).expect("an issuer");
    TokenEndpoints::new(issuer, |credentials: Credentials| async move {
        match (credentials.get("username"), credentials.get("password")) {
            (Some("error"), _) => Err("the database is away".into()),
            (Some("ada"), Some("lovelace")) => Ok(Some(Login::new("ada"))),
            _ => Ok(None),
        }
    })
}

async fn ask(
    service: &TokenEndpoints,
    method: &str,
    path: &str,
    fields: &[(&str, &str)],
    body: &str,
) -> Response<Bytes> {
    let request = Request::builder().method(method).uri(path).header("host", "here.example");
    let request = fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let request = request.body(Full::new(Bytes::copy_from_slice(body.as_bytes()))).expect("a request");
    let (parts, body) = service.clone().oneshot(request).await.expect("an answer").into_parts();
    Response::from_parts(parts, body.collect().await.expect("a body").to_bytes())
}

fn json(response: &Response<Bytes>) -> Value {
    serde_json::from_slice(response.body()).expect("JSON")
}

/// What a browser keeps: names and values.
fn jar(response: &Response<Bytes>) -> Vec<(String, String)> {
    let lines = response.headers().get_all("set-cookie").iter().map(|line| line.to_str().expect("text"));
    lines
        .map(|line| line.split(';').next().expect("a pair").split_once('=').expect("a pair"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn cookie(jar: &[(String, String)]) -> String {
    jar.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
}

fn value<'a>(jar: &'a [(String, String)], name: &str) -> &'a str {
    &jar.iter().find(|(known, _)| known == name).expect("it is set").1
}

#[tokio::test]
async fn a_browser_logs_in_refreshes_and_logs_out() {
    let service = endpoints();
    let login = ask(&service, "POST", "/auth/login", &[FORM], "username=ada&password=lovelace").await;
    assert_eq!((login.status().as_u16(), &login.headers()["cache-control"]), (200, &"no-store".parse().unwrap()));
    assert_eq!(json(&login).get("access_token"), None, "scripts see no token");
    let first = jar(&login);
    assert!(login.headers().get_all("set-cookie").iter().any(|line| {
        line.to_str().unwrap().starts_with("__Secure-refresh_token=")
            && line.to_str().unwrap().contains("; Path=/auth; Secure; HttpOnly")
    }));
    let word = ("x-csrf-token", value(&first, "__Host-csrf_refresh_token").to_owned());
    let cookies = cookie(&first);
    let refresh = async |fields: &[(&str, &str)]| ask(&service, "POST", "/auth/refresh", fields, "").await;
    assert_eq!(refresh(&[("cookie", &cookies)]).await.status(), 403, "without the word");
    let foreign = [("cookie", cookies.as_str()), (word.0, &word.1), ("sec-fetch-site", "cross-site")];
    assert_eq!(refresh(&foreign).await.status(), 403, "from a foreign page");
    let second = refresh(&[("cookie", &cookies), (word.0, &word.1)]).await;
    assert_eq!(second.status(), 200);
    let second = jar(&second);
    assert_ne!(value(&first, "__Secure-refresh_token"), value(&second, "__Secure-refresh_token"));
    // Logged out by the new cookies: unset, and good for nothing.
    let cookies = cookie(&second);
    assert_eq!(ask(&service, "POST", "/auth/logout", &[("cookie", &cookies)], "").await.status(), 403);
    let access_word = value(&second, "__Host-csrf_access_token");
    let logout =
        ask(&service, "POST", "/auth/logout", &[("cookie", &cookies), ("x-csrf-token", access_word)], "").await;
    assert_eq!(logout.status(), 204);
    assert!(jar(&logout).iter().all(|(_, value)| value.is_empty()));
    let refresh_word = value(&second, "__Host-csrf_refresh_token");
    let after = refresh(&[("cookie", &cookies), ("x-csrf-token", refresh_word)]).await;
    assert_eq!((after.status().as_u16(), &json(&after)["error"]), (400, &Value::from("invalid_grant")));
    assert_eq!(after.headers().get("set-cookie"), None, "who lost a race keeps what the winner was given");
    // Who is logged out may log out.
    assert_eq!(ask(&service, "POST", "/auth/logout", &[], "").await.status(), 204);
}

#[tokio::test]
async fn a_program_has_its_tokens_in_the_body() {
    let service = endpoints().in_body();
    let kind = ("content-type", "application/json; charset=utf-8");
    let login = ask(&service, "POST", "/auth/login", &[kind], r#"{"username":"ada","password":"lovelace"}"#).await;
    assert_eq!(login.headers().get("set-cookie"), None);
    let tokens = json(&login);
    assert_eq!((tokens["token_type"].as_str(), tokens["expires_in"].as_u64()), (Some("Bearer"), Some(900)));
    let refresh = format!("grant_type=refresh_token&refresh_token={}", tokens["refresh_token"].as_str().unwrap());
    let next = json(&ask(&service, "POST", "/auth/refresh", &[FORM], &refresh).await);
    let bearer = format!("Bearer {}", next["access_token"].as_str().unwrap());
    let everywhere = ask(&service, "POST", "/auth/logout-everywhere", &[("authorization", &bearer)], "").await;
    assert_eq!(everywhere.status(), 204);
    let again = ask(&service, "POST", "/auth/logout-everywhere", &[("authorization", &bearer)], "").await;
    assert_eq!(again.status(), 401);
    let revoke = ask(&service, "POST", "/auth/revoke", &[FORM], "token=nonsense").await;
    assert_eq!(revoke.status(), 200, "an unknown token is no error");
}

#[tokio::test]
async fn what_is_no_login_is_answered_clearly() {
    let service = endpoints();
    let long = format!("username={}", "a".repeat(9000));
    for (method, path, fields, body, status) in [
        ("POST", "/auth/login", &[FORM][..], "username=ada&password=wrong", 401),
        ("POST", "/auth/login", &[FORM], "", 401),
        ("POST", "/auth/login", &[FORM], "username=error", 503),
        ("POST", "/auth/login", &[FORM], "username=ada&username=eve", 400),
        ("POST", "/auth/login", &[FORM], long.as_str(), 415),
        ("POST", "/auth/login", &[("content-type", "text/plain")], "x", 415),
        ("POST", "/auth/login", &[("content-type", "application/json")], "[]", 400),
        ("POST", "/auth/login", &[FORM, ("origin", "https://evil.example")], "username=ada&password=lovelace", 403),
        ("POST", "/auth/login", &[FORM, ("sec-fetch-site", "cross-site")], "username=ada&password=lovelace", 403),
        ("GET", "/auth/login", &[], "", 405),
        ("POST", "/auth/refresh", &[], "", 401),
        ("POST", "/auth/refresh", &[FORM], "refresh_token=a.b.c", 400),
        ("POST", "/auth/logout-everywhere", &[], "", 401),
        ("POST", "/auth/revoke", &[FORM], "", 400),
        ("POST", "/auth/nothing", &[], "", 404),
        ("GET", "/.well-known/oauth-protected-resource", &[], "", 404),
    ] {
        let response = ask(&service, method, path, fields, body).await;
        assert_eq!(response.status(), status, "{method} {path} {body:.40}");
        assert_eq!(response.headers()["cache-control"], "no-store", "{path}");
    }
}

#[tokio::test]
async fn what_is_published_is_public() {
    let service = endpoints().resource("https://api.shop.example");
    let metadata = ask(&service, "GET", "/.well-known/oauth-protected-resource", &[], "").await;
    assert_eq!(json(&metadata)["resource"], "https://api.shop.example");
    assert_eq!(json(&metadata)["authorization_servers"][0], ISSUER);
    let keys = ask(&service, "GET", "/auth/jwks.json", &[], "").await;
    assert_eq!(json(&keys)["keys"].as_array().map(Vec::len), Some(0), "a secret is not published");
    assert!(TokenEndpoints::has(&service, "/auth/jwks.json") && !service.has("/auth"));
    let flask = endpoints().cookies(TokenCookies::flask());
    let login = ask(&flask, "POST", "/auth/login", &[FORM], "username=ada&password=lovelace").await;
    assert!(jar(&login).iter().any(|(name, _)| name == "access_token_cookie"));
}
