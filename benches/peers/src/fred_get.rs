//! A hyper handler that does one `GET` through fred for each request, and answers with the value.
//!
//! `peer-fred-get REDIS-URL SIZE`

use std::convert::Infallible;

use bytes::Bytes;
use fred::prelude::*;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let (url, size) = (arguments.next().ok_or("no URL")?, arguments.next().ok_or("no size")?.parse::<usize>()?);
    let redis = Builder::from_config(Config::from_url(&url)?).build()?;
    redis.init().await?;
    let _: () = redis.set("peer:value", Bytes::from(vec![b'x'; size]), None, None, false).await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let redis = redis.clone();
        tokio::spawn(async move {
            let service = service_fn(move |_: Request<Incoming>| {
                let redis = redis.clone();
                async move {
                    let value: Option<Bytes> = redis.get("peer:value").await.unwrap_or_default();
                    Ok::<_, Infallible>(answer(value.unwrap_or_default()))
                }
            });
            let connection =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
            drop(connection.await);
        });
    }
}

fn answer(body: Bytes) -> Response<Full<Bytes>> {
    Response::builder()
        .header("content-type", "text/html; charset=utf-8")
        .header("cache-control", "public, max-age=86400")
        .header("etag", "\"5f2d9c81\"")
        .header("via", "1.1 gateway")
        .header("age", "3")
        .header("cache-status", "Buttress; hit; ttl=86397")
        .body(Full::new(body))
        .expect("a valid response")
}
