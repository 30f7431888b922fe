//! A request that dies between two of its steps, or whose answer from Redis is lost after one: nobody is let in who was not, nobody is out for good, and
//! it can be tried again.

use buttress::session::SessionLayer;

use crate::browser::Browser;
use crate::stage::{Op, Outcome, View, World, defaults, grace_is_over};

/// What goes wrong.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// The process dies before a step, or the client has gone.
    Death,
    /// The line is cut when Redis has done a step.
    Cut,
}

/// Does this up to a step, where the fault comes. What it answers, if it does; `None` if it is over before that step.
async fn halfway(world: &World, first: &Browser, op: Op, fault: Fault, at: usize) -> Option<Option<Outcome>> {
    let one = world.stage(first, &[op]).await.remove(0);
    for _ in 0..at {
        if one.is_done() {
            break;
        }
        one.step().await;
    }
    if one.is_done() {
        drop(one.finish().await);
        return None;
    }
    match fault {
        Fault::Death => {
            one.die().await;
            Some(None)
        }
        Fault::Cut => {
            one.step_and_cut().await;
            Some(Some(one.finish().await))
        }
    }
}

/// Tries it with a fault at each step.
async fn at_each_step(is_logged_in: bool, op: Op, check: impl AsyncFn(&World, &Browser, View, View)) {
    let world = World::new(defaults).await;
    for fault in [Fault::Death, Fault::Cut] {
        for at in 0.. {
            let first = world.begin(is_logged_in).await;
            let began = world.view(&first).await;
            let Some(outcome) = halfway(&world, &first, op, fault, at).await else {
                assert!(at > 1, "it has more than one step");
                break;
            };
            println!("{op:?}, {fault:?} at step {at}");
            if let Some(Outcome { status, has_new_cookie, .. }) = outcome {
                assert_eq!((status, has_new_cookie), (503, false), "the cookie stays as it is");
            }
            world.is_well_again().await;
            let view = world.view(&first).await;
            check(&world, &first, began, view).await;
            assert!(world.free.end_all("ada").await.is_ok());
            assert_ne!(world.view(&first).await.who, "ada");
            assert_eq!(world.free.list("ada").await.unwrap(), []);
        }
    }
}

/// The same request once more, by the browser, at a process that is well.
async fn again(world: &World, browser: &Browser, op: Op) -> Outcome {
    op.run(9, browser.with(&SessionLayer::new(world.free.clone())), world.free.clone()).await
}

#[tokio::test]
async fn a_write_happens_whole_or_not_at_all() {
    for is_logged_in in [false, true] {
        at_each_step(is_logged_in, Op::Write, async |world, first, began, view| {
            assert_eq!((&view.who, &view.sid), (&began.who, &began.sid));
            let is_written = view.fields == ["count", "first", "list", "of-0"];
            assert!(is_written || view.fields == ["first"], "{view:?}");
            assert_eq!(again(world, first, Op::Write).await.status, 200);
        })
        .await;
    }
}

#[tokio::test]
async fn a_login_is_none_until_it_is_heard_of() {
    at_each_step(false, Op::Login, async |world, first, began, view| {
        assert_eq!(view, began, "the old id sees what it saw");
        let next = again(world, first, Op::Login).await;
        assert_eq!((next.status, next.has_new_cookie), (200, true));
        grace_is_over(&world.server);
        let view = world.view(&next.browser).await;
        assert_eq!((view.who.as_str(), view.fields), ("ada", began.fields));
        assert_eq!(world.view(first).await.who, "", "and is nobody's");
    })
    .await;
}

#[tokio::test]
async fn who_proves_it_again_stays_logged_in() {
    at_each_step(true, Op::Login, async |world, first, began, view| {
        assert_eq!(view, began);
        let next = again(world, first, Op::Login).await;
        assert_eq!((next.status, next.has_new_cookie), (200, true));
        grace_is_over(&world.server);
        let view = world.view(&next.browser).await;
        assert_eq!(view.who, "ada");
    })
    .await;
}

#[tokio::test]
async fn a_renewal_is_tried_again() {
    for is_logged_in in [false, true] {
        at_each_step(is_logged_in, Op::RenewAndWrite, async |world, first, began, view| {
            assert_eq!((&view.who, &view.sid), (&began.who, &began.sid));
            assert!(view.fields.contains(&"first".to_owned()), "{view:?}");
            let next = again(world, first, Op::RenewAndWrite).await;
            assert_eq!((next.status, next.has_new_cookie), (200, true));
            grace_is_over(&world.server);
            let view = world.view(&next.browser).await;
            assert_eq!((&view.who, &view.sid), (&began.who, &began.sid));
            assert!(view.fields.contains(&"of-9".to_owned()), "{view:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn an_end_is_tried_again() {
    for (is_logged_in, op) in [(true, Op::Logout), (true, Op::EndAll), (false, Op::Destroy)] {
        at_each_step(is_logged_in, op, async |world, first, began, view| {
            assert!(view == began || (view.who.is_empty() && view.fields.is_empty()), "{view:?}");
            assert_eq!(again(world, first, op).await.status, 200);
            let view = world.view(first).await;
            assert!(view.who.is_empty() && view.fields.is_empty(), "{view:?}");
        })
        .await;
    }
}
