//! Keeps one connection open: watches it, leaves it when it is dead or hung, opens the next.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use crate::{
    Error, ErrorKind, Rejection,
    line::{Driver, Line},
    link::Post,
    names,
};

/// So many probes in a row without an answer, and the connection is left.
const SILENCE_UNTIL_LEFT: u32 = 3;
/// The pause between two probes while one was not answered.
const RECHECK: Duration = Duration::from_millis(20);
/// The pause between two attempts to connect grows from the first to the last.
const PAUSES: [Duration; 5] = [
    Duration::from_millis(10),
    Duration::from_millis(25),
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
];
/// A connection that lived for so long was a good one: the next pause is the shortest again.
const GOOD_LIFE: Duration = Duration::from_secs(2);

/// What to do after a probe.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Next {
    /// Send commands.
    Serve,
    /// Send none, probe again.
    Hold,
    /// Open another connection.
    Leave,
}

/// Runs until aborted.
pub(crate) async fn supervise(post: Arc<Post>) {
    let mut attempt = 0;
    let mut plan = post.plan.clone();
    loop {
        let opened = Instant::now();
        let error = match Line::open(&plan).await {
            Ok((line, mut driver)) => {
                names::connection(post.role);
                plan = post.plan.knowing(line.nodes());
                tokio::select! {
                    biased;
                    error = line.replaced(plan.votes.clone()) => error,
                    error = serve(&post, &line, &mut driver) => error,
                }
            }
            Err(error) => error,
        };
        post.down(&error);
        attempt = if opened.elapsed() >= GOOD_LIFE { 0 } else { attempt + 1 };
        sleep(pause(attempt)).await;
    }
}

/// Has the connection serve for as long as it does.
async fn serve(post: &Post, line: &Arc<Line>, driver: &mut Driver) -> Error {
    post.up(line);
    tokio::select! {
        error = driver.ended() => error,
        error = line.condemned() => error,
        error = watch(post, line) => error,
    }
}

/// Probes until the connection is to be left.
async fn watch(post: &Post, line: &Arc<Line>) -> Error {
    let mut silent = 0;
    loop {
        tokio::select! {
            () = sleep(if silent == 0 { post.pace.watch } else { RECHECK }) => {}
            () = post.suspicion.notified() => {}
        }
        let probed = line.probe(post.pace.probe).await;
        silent = if probed.is_ok() { 0 } else { silent + 1 };
        match (after_probe(probed.as_ref().err(), silent), probed) {
            (Next::Serve, _) => post.up(line),
            (Next::Hold, Err(error)) => post.down(&error),
            (Next::Leave, Err(error)) => return error,
            (Next::Hold | Next::Leave, Ok(())) => {}
        }
    }
}

/// What a probe's outcome means, `silent` probes in a row having failed.
fn after_probe(error: Option<&Error>, silent: u32) -> Next {
    match error.map(Error::kind) {
        None => Next::Serve,
        // The server answers, and will say when it is ready: another connection would not be served sooner.
        Some(ErrorKind::Rejected(Rejection::Loading | Rejection::Busy)) => Next::Hold,
        Some(ErrorKind::TimedOut) if silent < SILENCE_UNTIL_LEFT => Next::Hold,
        Some(_) => Next::Leave,
    }
}

/// How long to wait before the next attempt to connect.
fn pause(attempt: usize) -> Duration {
    PAUSES[attempt.min(PAUSES.len() - 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(error: Option<ErrorKind>, silent: u32, expected: Next) {
        let error = error.map(|kind| Error::new(kind, ""));
        assert_eq!(after_probe(error.as_ref(), silent), expected);
    }

    #[test]
    fn a_probe_decides_what_comes_next() {
        check(None, 0, Next::Serve);
        check(Some(ErrorKind::TimedOut), 1, Next::Hold);
        check(Some(ErrorKind::TimedOut), 2, Next::Hold);
        check(Some(ErrorKind::TimedOut), 3, Next::Leave);
        check(Some(ErrorKind::Disconnected), 1, Next::Leave);
        check(Some(ErrorKind::Unproven), 1, Next::Leave);
        check(Some(ErrorKind::Rejected(Rejection::Denied)), 1, Next::Leave);
        check(Some(ErrorKind::Rejected(Rejection::Loading)), 99, Next::Hold);
        check(Some(ErrorKind::Rejected(Rejection::Busy)), 99, Next::Hold);
    }

    #[test]
    fn pauses_grow_and_end() {
        assert_eq!(pause(0), PAUSES[0]);
        assert_eq!(pause(usize::MAX), PAUSES[4]);
        assert!(PAUSES.is_sorted());
    }
}
