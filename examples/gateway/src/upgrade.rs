//! Connections that change their protocol: once both sides agree, bytes pass both ways untouched.

use http::Request;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use crate::shutdown::Watcher;

/// The client's side of an upgrade. `forward::request` has left `Upgrade` only where one is meant.
pub(crate) fn wanted<B>(request: &mut Request<B>) -> Option<OnUpgrade> {
    request.headers().contains_key(http::header::UPGRADE).then(|| hyper::upgrade::on(request))
}

/// Joins the two sides, in a task that ends with the connections. The end of the process waits for it, within its grace.
pub(crate) fn splice(client: OnUpgrade, upstream: OnUpgrade, watcher: Watcher) {
    tokio::spawn(async move {
        let (client, upstream) = match tokio::try_join!(client, upstream) {
            Ok(sides) => sides,
            Err(error) => return tracing::debug!(%error, "an upgrade came to nothing"),
        };
        let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
        if let Err(error) = tokio::io::copy_bidirectional(&mut client, &mut upstream).await {
            tracing::debug!(%error, "an upgraded connection broke");
        }
        drop(watcher);
    });
}
