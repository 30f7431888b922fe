//! A bare hyper server: what the gateway is compared with, and the origin behind it.
//!
//! `bare SIZE` answers every request with the same SIZE bytes and with the fields of a hit, on one thread. `bare SIZE
//! origin` leaves out the fields that a gateway adds.

use std::convert::Infallible;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let size: usize = std::env::args().nth(1).and_then(|size| size.parse().ok()).expect("bare SIZE");
    let is_origin = std::env::args().nth(2).is_some_and(|role| role == "origin");
    let body = Bytes::from(vec![b'x'; size]);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("listening on http://{}", listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let body = body.clone();
        tokio::spawn(async move {
            let service = service_fn(move |_: Request<Incoming>| {
                let response = answer(body.clone(), is_origin);
                async { Ok::<_, Infallible>(response) }
            });
            let connection =
                http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
            // A client that hangs up is how each round ends.
            drop(connection.await);
        });
    }
}

fn answer(body: Bytes, is_origin: bool) -> Response<Full<Bytes>> {
    let mut response = Response::builder()
        .header("content-type", "text/html; charset=utf-8")
        .header("cache-control", "public, max-age=86400")
        .header("etag", "\"5f2d9c81\"");
    if !is_origin {
        response =
            response.header("via", "1.1 gateway").header("age", "3").header("cache-status", "Buttress; hit; ttl=86397");
    }
    response.body(Full::new(body)).expect("a valid response")
}
