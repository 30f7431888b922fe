//! Where Redis is, from a URL.

use std::path::PathBuf;

use fred::types::config::{ClusterDiscoveryPolicy, Server, ServerConfig};
use percent_encoding::percent_decode_str;
use url::Url;

use crate::ConfigError;

/// What a URL says.
#[derive(Clone, Eq, PartialEq)]
pub(crate) struct Target {
    pub(crate) server: ServerConfig,
    pub(crate) tls: bool,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) database: Option<u8>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Shape {
    Cluster,
    Sentinel,
    Single,
    Unix,
}

/// What stands behind the question mark.
#[derive(Default)]
struct Query {
    nodes: Vec<Server>,
    service: Option<String>,
    sentinel_username: Option<String>,
    sentinel_password: Option<String>,
    database: Option<String>,
}

const REDIS_PORT: u16 = 6379;
const SENTINEL_PORT: u16 = 26379;

/// Reads `redis://`, `rediss://`, `redis-cluster://`, `rediss-cluster://`, `redis-sentinel://`, `rediss-sentinel://`, `unix://`
/// and `redis+unix://`.
pub(crate) fn parse(text: &str) -> Result<Target, ConfigError> {
    let url = Url::parse(text).map_err(|error| ConfigError::new(hide_password(text), error.to_string()))?;
    let (shape, tls) = shape(&url)?;
    let query = query(&url)?;
    let server = match shape {
        Shape::Cluster => ServerConfig::Clustered {
            hosts: hosts(&url, REDIS_PORT, &query)?,
            policy: ClusterDiscoveryPolicy::UseCache,
        },
        Shape::Sentinel => ServerConfig::Sentinel {
            hosts: hosts(&url, SENTINEL_PORT, &query)?,
            service_name: query.service.clone().ok_or_else(|| problem(&url, "no sentinelServiceName"))?,
            username: query.sentinel_username.clone(),
            password: query.sentinel_password.clone(),
        },
        Shape::Single => ServerConfig::Centralized { server: host(&url, REDIS_PORT)? },
        Shape::Unix => ServerConfig::Unix { path: socket(&url)? },
    };
    Ok(Target {
        server,
        tls,
        username: Some(decode(url.username())).filter(|name| !name.is_empty()),
        password: url.password().map(decode),
        database: database(&url, shape, &query)?,
    })
}

fn shape(url: &Url) -> Result<(Shape, bool), ConfigError> {
    match url.scheme() {
        "redis" => Ok((Shape::Single, false)),
        "rediss" => Ok((Shape::Single, true)),
        "redis-cluster" => Ok((Shape::Cluster, false)),
        "rediss-cluster" => Ok((Shape::Cluster, true)),
        "redis-sentinel" => Ok((Shape::Sentinel, false)),
        "rediss-sentinel" => Ok((Shape::Sentinel, true)),
        "unix" | "redis+unix" => Ok((Shape::Unix, false)),
        _ => Err(problem(url, "unknown scheme")),
    }
}

fn query(url: &Url) -> Result<Query, ConfigError> {
    let mut query = Query::default();
    for (name, value) in url.query_pairs() {
        let value = value.into_owned();
        match &*name {
            "node" => {
                query.nodes.push(Server::try_from(value.as_str()).map_err(|_| problem(url, "node is not host:port"))?)
            }
            "sentinelServiceName" => query.service = Some(value),
            "sentinelUsername" => query.sentinel_username = Some(value),
            "sentinelPassword" => query.sentinel_password = Some(value),
            "db" => query.database = Some(value),
            _ => return Err(problem(url, format!("unknown parameter {name}"))),
        }
    }
    Ok(query)
}

fn hosts(url: &Url, port: u16, query: &Query) -> Result<Vec<Server>, ConfigError> {
    let mut hosts = vec![host(url, port)?];
    hosts.extend(query.nodes.iter().cloned());
    Ok(hosts)
}

fn host(url: &Url, port: u16) -> Result<Server, ConfigError> {
    let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| problem(url, "no host"))?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    Ok(Server::new(decode(bare), url.port().unwrap_or(port)))
}

fn socket(url: &Url) -> Result<PathBuf, ConfigError> {
    let path = decode(url.path());
    if path.len() > 1 { Ok(PathBuf::from(path)) } else { Err(problem(url, "no path to a socket")) }
}

/// The number after the host, or `db=` for a socket, whose path is taken.
fn database(url: &Url, shape: Shape, query: &Query) -> Result<Option<u8>, ConfigError> {
    let path = if shape == Shape::Unix { "" } else { url.path().trim_matches('/') };
    let number = query.database.as_deref().unwrap_or(path);
    if number.is_empty() {
        return Ok(None);
    }
    let number = number.parse().map_err(|_| problem(url, "database is not a number from 0 to 255"))?;
    if shape == Shape::Cluster && number != 0 {
        return Err(problem(url, "a cluster has database 0 only"));
    }
    Ok(Some(number))
}

fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

fn problem(url: &Url, problem: impl Into<std::borrow::Cow<'static, str>>) -> ConfigError {
    ConfigError::new(hide_password(url.as_str()), problem)
}

/// The text of a URL without what may be secret: the user information, and the value of a parameter named after a password.
fn hide_password(text: &str) -> String {
    let (head, query) = text.split_once('?').map_or((text, None), |(head, query)| (head, Some(query)));
    // Whatever comes before the last `@` may be a password, in a URL that does not parse too.
    let head = match (head.split_once("://"), head.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, host))) => format!("{scheme}://***@{host}"),
        (None, Some((_, host))) => format!("***@{host}"),
        (_, None) => head.to_owned(),
    };
    let hide = |pair: &str| match pair.split_once('=') {
        Some((name, _)) if name.to_ascii_lowercase().contains("pass") => format!("{name}=***"),
        _ => pair.to_owned(),
    };
    match query {
        Some(query) => format!("{head}?{}", query.split('&').map(hide).collect::<Vec<_>>().join("&")),
        None => head,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, server: ServerConfig, tls: bool) -> Target {
        let target = parse(text).unwrap();
        assert_eq!((&target.server, target.tls), (&server, tls), "{text}");
        target
    }

    #[track_caller]
    fn check_error(text: &str, expected: &str) {
        let error = parse(text).err().expect("an error").to_string();
        assert_eq!(error, expected);
    }

    fn single(host: &str, port: u16) -> ServerConfig {
        ServerConfig::Centralized { server: Server::new(host, port) }
    }

    #[test]
    fn one_server() {
        check("redis://localhost", single("localhost", 6379), false);
        check("rediss://[::1]:7000", single("::1", 7000), true);
        let full = check("redis://us%40er:p%3Ass@db.internal:7/3", single("db.internal", 7), false);
        assert_eq!(full.username.as_deref(), Some("us@er"));
        assert_eq!(full.password.as_deref(), Some("p:ss"));
        assert_eq!(full.database, Some(3));
        let password_only = check("redis://:secret@h", single("h", 6379), false);
        assert_eq!((password_only.username, password_only.password.as_deref()), (None, Some("secret")));
    }

    #[test]
    fn a_socket() {
        let socket = |path: &str| ServerConfig::Unix { path: path.into() };
        assert_eq!(check("unix:///run/redis.sock", socket("/run/redis.sock"), false).database, None);
        assert_eq!(check("redis+unix:///run/a%20b.sock?db=2", socket("/run/a b.sock"), false).database, Some(2));
    }

    #[test]
    fn a_cluster() {
        let hosts = vec![Server::new("a", 1), Server::new("b", 2)];
        check(
            "redis-cluster://a:1?node=b:2",
            ServerConfig::Clustered { hosts, policy: ClusterDiscoveryPolicy::UseCache },
            false,
        );
    }

    #[test]
    fn sentinels() {
        let expected = ServerConfig::Sentinel {
            hosts: vec![Server::new("a", 26379), Server::new("b", 2)],
            service_name: "main".into(),
            username: None,
            password: Some("s".into()),
        };
        check("rediss-sentinel://a/0?sentinelServiceName=main&node=b:2&sentinelPassword=s", expected, true);
    }

    #[test]
    fn what_cannot_be_used_is_named_without_its_password() {
        check_error("localhost:6379", r#"unknown scheme in "localhost:6379""#);
        check_error("http://h", r#"unknown scheme in "http://h/""#);
        check_error("redis://", r#"no host in "redis://""#);
        check_error("redis://:secret@h/x", r#"database is not a number from 0 to 255 in "redis://***@h/x""#);
        check_error("redis://u:sec@ret@h:port", r#"invalid port number in "redis://***@h:port""#);
        check_error("redis://h?pool=3", r#"unknown parameter pool in "redis://h?pool=3""#);
        check_error("redis-cluster://h/1", r#"a cluster has database 0 only in "redis-cluster://h/1""#);
        check_error(
            "redis-sentinel://h?sentinelPassword=s",
            r#"no sentinelServiceName in "redis-sentinel://h?sentinelPassword=***""#,
        );
        check_error("unix://", r#"no path to a socket in "unix://""#);
        check_error("", r#"relative URL without a base in """#);
    }
}
