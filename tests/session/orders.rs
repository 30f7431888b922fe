//! Requests at the same time, in every order of their steps in Redis: whoever is out stays out, nothing that was acknowledged is missing, and the list
//! of logins knows all that lives.

use std::fmt;

use buttress::session::SessionsOptions;

use crate::bed::Orders;
use crate::browser::Browser;
use crate::stage::{Op, Outcome, View, World, defaults};

/// One order in which these were done.
struct Run<'a> {
    world: &'a World,
    ops: &'a [Op],
    first: Browser,
    /// What it saw before all this.
    began: View,
    outcomes: Vec<Option<Outcome>>,
    /// What was done when the first of them was that ends the session, and whether it has said so.
    done_at_end: Option<Vec<bool>>,
    order: String,
}

// === impl Run ===

impl<'a> Run<'a> {
    async fn play(world: &'a World, ops: &'a [Op], is_logged_in: bool, orders: &mut Orders) -> Self {
        let first = world.begin(is_logged_in).await;
        let began = world.view(&first).await;
        let mut stepped: Vec<_> = world.stage(&first, ops).await.into_iter().map(Some).collect();
        let outcomes = vec![None; ops.len()];
        let mut run = Run { world, ops, first, began, outcomes, done_at_end: None, order: String::new() };
        loop {
            let there: Vec<_> = (0..ops.len()).filter(|n| stepped[*n].is_some()).collect();
            let number = match there[..] {
                [] => break,
                [one] => one,
                _ => there[orders.choose(there.len())],
            };
            let one = stepped[number].take().expect("it is there");
            if !one.is_done() {
                one.step().await;
            }
            if one.is_done() {
                run.outcomes[number] = Some(one.finish().await);
                run.order = orders.shown();
                run.note_end(number).await;
            } else {
                stepped[number] = Some(one);
            }
        }
        run
    }

    /// At once, and while the others are half-way: nobody is let in by what was ended.
    async fn note_end(&mut self, number: usize) {
        let ends = self.ops[number].ends(!self.began.sid.is_empty()) && self.outcome(number).status == 200;
        if ends && self.done_at_end.is_none() {
            self.done_at_end = Some(self.outcomes.iter().map(Option::is_some).collect());
            self.check_all_are_out("at once").await;
        }
    }

    async fn check_all_are_out(&self, when: &str) {
        for (whose, browser) in self.browsers() {
            let view = self.world.view(browser).await;
            // A request that came later may have begun a session of its own.
            let is_same_login = !view.sid.is_empty() && view.sid == self.began.sid;
            let is_out = !is_same_login && !view.fields.iter().any(|name| name == "first");
            assert!(is_out, "{when}, {whose} is let in: {view:?}; {self}");
        }
    }

    async fn check(&self) {
        let has_ended = self.done_at_end.is_some();
        for (number, op) in self.ops.iter().enumerate() {
            let Outcome { status, browser, has_new_cookie } = self.outcome(number);
            let refused = has_ended || self.ops.iter().any(|op| op.begins());
            assert!(*status == 200 || refused && *status == 409, "{op:?} was answered with {status}; {self}");
            let was_done = self.done_at_end.as_ref().is_none_or(|done| done[number]);
            if op.writes() && !self.began.sid.is_empty() {
                let is_late = *status == 200 && !has_new_cookie && !was_done;
                assert!(!is_late, "{op:?} was acknowledged after the end; {self}");
            }
            if *status == 200 && *has_new_cookie && !has_ended && !self.ops.contains(&Op::EndAll) {
                let view = self.world.view(browser).await;
                assert!(!view.fields.is_empty(), "{op:?} got a cookie for nothing; {self}");
                self.check_writes(&view);
            }
        }
        if has_ended {
            self.check_all_are_out("in the end").await;
        }
        self.check_list().await;
    }

    /// All that was acknowledged is in a session that lives.
    fn check_writes(&self, view: &View) {
        let two_logins = self.ops.iter().filter(|op| op.begins()).count() > 1;
        for (number, op) in self.ops.iter().enumerate().filter(|(_, op)| op.writes()) {
            let is_there = view.fields.contains(&format!("of-{number}"));
            let is_acknowledged = self.outcome(number).status == 200;
            assert!(is_there == is_acknowledged || two_logins, "{op:?} {is_acknowledged}, {view:?}; {self}");
        }
    }

    /// Who is let in is in the list, and is out when all are.
    async fn check_list(&self) {
        let listed = self.world.free.list("ada").await.expect("redis is there");
        let mut seen = Vec::new();
        for (whose, browser) in self.browsers() {
            let view = self.world.view(browser).await;
            if view.who == "ada" {
                assert!(listed.iter().any(|device| device.sid == view.sid), "{whose} is in no list; {self}");
                seen.push(view.sid);
            }
        }
        let ghosts = listed.iter().filter(|device| !seen.contains(&device.sid)).count();
        assert_eq!(ghosts, 0, "nobody has a session that is listed; {self}");
        self.world.free.end_all("ada").await.expect("redis is there");
        for (whose, browser) in self.browsers() {
            let view = self.world.view(browser).await;
            assert_ne!(view.who, "ada", "{whose} is let in when all are out; {self}");
        }
        assert_eq!(self.world.live(Some("ada")), 0, "alive when all are out; {self}");
    }

    fn outcome(&self, number: usize) -> &Outcome {
        self.outcomes[number].as_ref().expect("all are done")
    }

    /// All cookies that anybody was ever given.
    fn browsers(&self) -> impl Iterator<Item = (String, &Browser)> {
        let later = self.outcomes.iter().zip(self.ops).filter_map(|(outcome, op)| Some((op, outcome.as_ref()?)));
        let later = later.map(|(op, outcome)| (format!("the browser of {op:?}"), &*outcome.browser));
        std::iter::once(("the first browser".to_owned(), &self.first)).chain(later)
    }
}

impl fmt::Display for Run<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let said = |outcome: &Option<Outcome>| outcome.as_ref().map(|one| (one.status, one.has_new_cookie));
        let said: Vec<_> = self.outcomes.iter().map(said).collect();
        write!(f, "{:?} in the order {}, answered {said:?}", self.ops, self.order)
    }
}

/// Does these at the same time, in every order.
async fn explore(is_logged_in: bool, pairs: &[&[Op]]) {
    let world = World::new(defaults).await;
    for ops in pairs {
        let (mut orders, mut count) = (Orders::default(), 0);
        loop {
            Run::play(&world, ops, is_logged_in, &mut orders).await.check().await;
            count += 1;
            if !orders.advance() {
                break;
            }
        }
        println!("{ops:?}: {count} orders");
        assert!(count > 5, "they are interleaved");
    }
}

/// Does these at the same time, in some orders.
async fn explore_some(is_logged_in: bool, options: impl Fn() -> SessionsOptions, all: &[&[Op]]) {
    const SOME: u64 = 80;
    let world = World::new(options).await;
    for ops in all {
        for seed in 0..SOME {
            Run::play(&world, ops, is_logged_in, &mut Orders::by_chance(seed)).await.check().await;
        }
    }
}

#[tokio::test]
async fn three_at_a_time_while_a_login_ends() {
    use Op::*;
    explore_some(
        true,
        defaults,
        &[&[EndAll, Renew, Write], &[EndAll, Renew, RenewAndWrite], &[Logout, Login, Renew], &[Logout, Renew, Write]],
    )
    .await;
}

#[tokio::test]
async fn three_at_a_time_before_a_login() {
    use Op::*;
    explore_some(
        false,
        defaults,
        &[
            &[Login, Write, EndAll],
            &[Login, RenewAndWrite, Write],
            &[Login, RenewAndWrite, EndAll],
            &[Destroy, Renew, Write],
        ],
    )
    .await;
}

#[tokio::test]
async fn sealed_fields_make_no_difference() {
    use Op::*;
    let all: &[&[Op]] = &[&[RenewAndWrite, Write, Write], &[Login, Write, RenewAndWrite]];
    explore_some(true, || defaults().seal_fields(), all).await;
}

#[tokio::test]
async fn without_grace_it_makes_none_either() {
    use Op::*;
    let all: &[&[Op]] = &[&[EndAll, Renew, Write], &[EndAll, Login, RenewAndWrite]];
    explore_some(true, || defaults().grace(std::time::Duration::ZERO), all).await;
}

#[tokio::test]
async fn who_is_logged_in_and_asks_twice() {
    use Op::*;
    let pairs: &[&[Op]] = &[
        &[Renew, Renew],
        &[RenewAndWrite, Write],
        &[Write, Write],
        &[Login, Write],
        &[Login, Renew],
        &[Login, Login],
        &[LoginBob, Renew],
        &[LoginBob, Write],
    ];
    explore(true, pairs).await;
}

#[tokio::test]
async fn all_logins_end_while_something_is_done() {
    use Op::*;
    explore(
        true,
        &[&[EndAll, Write], &[EndAll, RenewAndWrite], &[EndAll, Login], &[EndAll, Logout], &[EndAll, EndAll]],
    )
    .await;
}

#[tokio::test]
async fn who_is_logged_in_logs_out_while_something_is_done() {
    use Op::*;
    explore(true, &[&[Logout, Write], &[Logout, RenewAndWrite], &[Destroy, Login], &[Logout, Logout]]).await;
}

#[tokio::test]
async fn who_is_not_logged_in_asks_twice() {
    use Op::*;
    let pairs: &[&[Op]] =
        &[&[Login, Login], &[Login, RenewAndWrite], &[Login, Write], &[Renew, RenewAndWrite], &[Login, EndAll]];
    explore(false, pairs).await;
}

#[tokio::test]
async fn a_session_of_nobody_ends_while_something_is_done() {
    use Op::*;
    explore(false, &[&[Destroy, Write], &[Destroy, RenewAndWrite], &[Logout, RenewAndWrite], &[Destroy, Login]]).await;
}
