//! What every store does, in memory and in Redis alike.

use std::time::Duration;

use buttress_core::{Clock, ManualClock};
use buttress_redis::Redis;
use buttress_tests::RedisServer;

use super::*;
use crate::backing::Backing;
use crate::id::SessionId;
use crate::memory::MemoryStore;
use crate::redis::RedisStore;

const PACE: Pace = Pace { idle: 60_000, slack: 6_000 };
const HOUR: u64 = 3_600_000;

/// A machine with more to do than cores stands still for longer than a server would.
fn patient(server: &RedisServer) -> Redis {
    Redis::connect(&server.url()).unwrap().with_script_deadline(Duration::from_secs(5))
}

/// A store in memory, and one in Redis.
async fn both(check: impl AsyncFn(&Backing)) {
    check(&Backing::Memory(MemoryStore::new(Clock::system(), 1 << 20))).await;
    let server = RedisServer::start();
    let redis = patient(&server);
    check(&Backing::Redis(RedisStore::new(redis, "test".to_owned(), Clock::system()))).await;
}

fn name() -> Name {
    SessionId::random().name()
}

fn fields(fields: &[(&str, &'static str)]) -> Fields {
    fields.iter().map(|(name, value)| ((*name).to_owned(), Bytes::from_static(value.as_bytes()))).collect()
}

fn draft(all: &[(&str, &'static str)]) -> Draft {
    Draft {
        idle: PACE.idle,
        span: Span::New(HOUR),
        login: None,
        logs_in: false,
        label: None,
        key: None,
        fields: fields(all),
    }
}

fn write(field: &str, must: Must, act: Act) -> Write {
    Write { field: field.to_owned(), must, act }
}

fn commit(writes: Vec<Write>) -> Commit {
    Commit { idle: PACE.idle, most: 1000, version: None, writes }
}

fn set(value: &'static str) -> Act {
    Act::Set(Bytes::from_static(value.as_bytes()))
}

fn entry(sid: &str, created: u64) -> Entry {
    let label = "a + phone x".to_owned();
    let ends = 4_000_000_000_000;
    Entry { sid: sid.to_owned(), name: name(), former: None, created, ends, doomed: false, label }
}

fn sids(entries: &[Entry]) -> Vec<&str> {
    let mut sids: Vec<_> = entries.iter().map(|entry| entry.sid.as_str()).collect();
    sids.sort_unstable();
    sids
}

#[tokio::test]
async fn what_was_created_is_loaded_as_it_was() {
    both(async |store| {
        let name = name();
        assert_eq!(store.load(name, PACE).await.unwrap(), None);
        let login = LoggedIn { subject: "ada".to_owned(), sid: "s".to_owned(), at: 5 };
        let key = Some(Bytes::from_static(b"\xff\x00wrapped"));
        let label = Some("phone".to_owned());
        let all = [("=a", "1"), ("=v", "\"v\""), ("!flash", "[]")];
        let new = Draft { login: Some(login.clone()), label: label.clone(), key: key.clone(), ..draft(&all) };
        let born = store.create(name, &new).await.unwrap();
        assert_eq!(born.ends, born.now + HOUR);
        let found = store.load(name, PACE).await.unwrap().unwrap();
        let expected = Record {
            version: 1,
            created: born.now,
            ends: born.ends,
            seen: born.now,
            login: Some(login),
            label,
            key,
            moved: None,
            fields: fields(&all),
        };
        assert_eq!(found, expected);
        assert_eq!(store.seen(name).await.unwrap(), Some(born.now));
    })
    .await;
}

#[tokio::test]
async fn a_login_is_as_of_the_stores_time_and_a_successor_keeps_its_span() {
    both(async |store| {
        let login = Some(LoggedIn { subject: "ada".to_owned(), sid: "s".to_owned(), at: 5 });
        let (one, other) = (name(), name());
        let born = store.create(one, &Draft { login, logs_in: true, ..draft(&[]) }).await.unwrap();
        let found = store.load(one, PACE).await.unwrap().unwrap();
        assert_eq!(found.login.unwrap().at, born.now);
        let span = Span::Of { created: 7, ends: born.ends - 1 };
        let next = store.create(other, &Draft { span, ..draft(&[]) }).await.unwrap();
        let found = store.load(other, PACE).await.unwrap().unwrap();
        assert_eq!((next.ends, found.created, found.ends), (born.ends - 1, 7, born.ends - 1));
    })
    .await;
}

#[tokio::test]
async fn a_commit_writes_all_or_nothing() {
    both(async |store| {
        let name = name();
        let nothing = commit(vec![write("=a", Must::BeAnything, set("1"))]);
        assert_eq!(store.commit(name, &nothing).await.unwrap(), Committed::Gone);
        assert_eq!(store.load(name, PACE).await.unwrap(), None, "nothing comes to be by a commit");

        store.create(name, &draft(&[("=a", "1"), ("=gone", "x")])).await.unwrap();
        let writes = vec![
            write("=a", Must::Be(Bytes::from_static(b"1")), set("2")),
            write("=gone", Must::BeAnything, Act::Delete),
            write("=new", Must::BeAbsent, set("3")),
            write("=sum", Must::BeAnything, Act::Add(-4)),
        ];
        assert_eq!(store.commit(name, &commit(writes.clone())).await.unwrap(), Committed::Done(2));
        let expected = fields(&[("=a", "2"), ("=new", "3"), ("=sum", "-4")]);
        assert_eq!(store.load(name, PACE).await.unwrap().unwrap().fields, expected);

        let Committed::Conflict(is) = store.commit(name, &commit(writes)).await.unwrap() else { panic!("twice") };
        assert_eq!((is.version, &is.fields), (2, &expected));
        let of_old = Commit { version: Some(1), ..commit(vec![write("=a", Must::BeAnything, set("9"))]) };
        assert!(matches!(store.commit(name, &of_old).await.unwrap(), Committed::Conflict(_)));
        let no_number = vec![write("=sum", Must::BeAnything, Act::Add(1)), write("=new2", Must::BeAnything, set("x"))];
        assert_eq!(store.commit(name, &commit(no_number)).await.unwrap(), Committed::Done(3));
        let text = vec![write("=t", Must::BeAnything, set("\"t\""))];
        store.commit(name, &commit(text)).await.unwrap();
        let add = vec![write("=a", Must::BeAnything, set("8")), write("=t", Must::BeAnything, Act::Add(1))];
        assert_eq!(store.commit(name, &commit(add)).await.unwrap(), Committed::NoNumber("=t".to_owned()));
        let most = vec![write("=sum", Must::BeAnything, Act::Add((1 << 53) - 1))];
        assert_eq!(store.commit(name, &commit(most)).await.unwrap(), Committed::Done(5));
        let more = vec![write("=sum", Must::BeAnything, Act::Add(4))];
        assert_eq!(store.commit(name, &commit(more)).await.unwrap(), Committed::NoNumber("=sum".to_owned()));
        assert_eq!(store.load(name, PACE).await.unwrap().unwrap().fields["=a"], "2");
    })
    .await;
}

#[tokio::test]
async fn a_session_grows_to_its_limit_whoever_writes() {
    both(async |store| {
        let name = name();
        store.create(name, &draft(&[("=a", "0123456789")])).await.unwrap(); // 12
        let limited =
            |field: &str, value| Commit { most: 20, ..commit(vec![write(field, Must::BeAnything, set(value))]) };
        assert_eq!(store.commit(name, &limited("=b", "012345")).await.unwrap(), Committed::Done(2));
        assert_eq!(store.commit(name, &limited("=c", "")).await.unwrap(), Committed::TooLarge(22));
        assert_eq!(store.commit(name, &limited("=a", "0")).await.unwrap(), Committed::Done(3));
        assert_eq!(store.commit(name, &limited("=c", "")).await.unwrap(), Committed::Done(4));
        let smaller = Commit { most: 2, ..commit(vec![write("=b", Must::BeAnything, Act::Delete)]) };
        assert_eq!(store.commit(name, &smaller).await.unwrap(), Committed::Done(5), "smaller, though still too large");
        let added = Commit { most: 8, ..commit(vec![write("=n", Must::BeAnything, Act::Add(100))]) };
        assert_eq!(store.commit(name, &added).await.unwrap(), Committed::TooLarge(10));
    })
    .await;
}

#[tokio::test]
async fn one_that_ends_in_favour_of_another_is_read_and_not_written() {
    both(async |store| {
        let (old, new) = (name(), name());
        let to = Moved::renewed(new);
        assert_eq!(store.freeze(old, 1, to, 10_000).await.unwrap(), Frozen::Gone);
        store.create(old, &draft(&[("=a", "1")])).await.unwrap();
        let Frozen::Conflict(is) = store.freeze(old, 2, to, 10_000).await.unwrap() else { panic!("no conflict") };
        assert_eq!(is.version, 1);
        assert_eq!(store.freeze(old, 1, to, 10_000).await.unwrap(), Frozen::Done);
        assert_eq!(store.freeze(old, 1, Moved::raised(name()), 10_000).await.unwrap(), Frozen::Moved(to));
        let found = store.load(old, PACE).await.unwrap().unwrap();
        assert_eq!((found.moved, &found.fields), (Some(to), &fields(&[("=a", "1")])));
        let late = commit(vec![write("=a", Must::BeAnything, set("2"))]);
        assert_eq!(store.commit(old, &late).await.unwrap(), Committed::Moved(to));

        let at_once = name();
        store.create(at_once, &draft(&[])).await.unwrap();
        assert_eq!(store.freeze(at_once, 1, to, 0).await.unwrap(), Frozen::Done);
        assert_eq!(store.load(at_once, PACE).await.unwrap(), None, "no grace");
    })
    .await;
}

#[tokio::test]
async fn what_has_ended_stays_ended() {
    both(async |store| {
        let name = name();
        store.create(name, &draft(&[("=a", "1")])).await.unwrap();
        assert_eq!(store.end(name, None).await.unwrap(), None);
        assert_eq!(store.end(name, None).await.unwrap(), None);
        assert_eq!(store.load(name, PACE).await.unwrap(), None);
        assert_eq!(store.seen(name).await.unwrap(), None);
        let late = commit(vec![write("=a", Must::BeAnything, set("2"))]);
        assert_eq!(store.commit(name, &late).await.unwrap(), Committed::Gone);
        assert_eq!(store.load(name, PACE).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn what_goes_on_elsewhere_ends_after_that() {
    both(async |store| {
        let (old, new) = (name(), name());
        let to = Moved::renewed(new);
        store.create(old, &draft(&[("=a", "1")])).await.unwrap();
        store.freeze(old, 1, to, 10_000).await.unwrap();
        assert_eq!(store.end(old, None).await.unwrap(), Some(to));
        assert_eq!(store.end(old, Some(old)).await.unwrap(), Some(to), "not this one");
        assert!(store.load(old, PACE).await.unwrap().is_some());
        assert_eq!(store.end(old, Some(new)).await.unwrap(), None);
        assert_eq!(store.load(old, PACE).await.unwrap(), None);
    })
    .await;
}

#[tokio::test]
async fn logins_are_listed_moved_doomed_and_forgotten() {
    both(async |store| {
        let ada = name();
        let (one, two) = (entry("one", 1), entry("two", 2));
        assert_eq!(store.list(ada).await.unwrap(), []);
        assert_eq!(store.enlist(ada, &one, 9).await.unwrap(), []);
        assert_eq!(store.enlist(ada, &two, 9).await.unwrap(), []);
        assert_eq!(sids(&store.list(ada).await.unwrap()), ["one", "two"]);

        let next = name();
        assert_eq!(
            store.move_to(ada, "one", &[next], (name(), 1)).await.unwrap(),
            Noted::Elsewhere,
            "not where it was"
        );
        for _ in 0..2 {
            let to = (next, 4_100_000_000_000);
            assert_eq!(
                store.move_to(ada, "one", &[one.name], to).await.unwrap(),
                Noted::Done,
                "again, if it was not heard"
            );
        }
        assert_eq!(
            store.move_to(ada, "one", &[one.name], (name(), 1)).await.unwrap(),
            Noted::Elsewhere,
            "it has moved"
        );
        assert_eq!(store.move_to(ada, "nobody", &[one.name], (next, 1)).await.unwrap(), Noted::Ended);
        let moved = store.list(ada).await.unwrap().into_iter().find(|entry| entry.sid == "one").unwrap();
        let expected = Entry { name: next, former: Some(one.name), ends: 4_100_000_000_000, ..one.clone() };
        assert_eq!(moved, expected);

        let doomed = store.doom(ada, Which::But("two")).await.unwrap();
        assert_eq!(doomed, [Entry { doomed: true, ..expected }]);
        assert_eq!(sids(&store.list(ada).await.unwrap()), ["one", "two"], "noted until it has ended");
        assert_eq!(store.move_to(ada, "one", &[next], (name(), 1)).await.unwrap(), Noted::Ended, "it does not escape");
        assert_eq!(store.doom(ada, Which::Only("one")).await.unwrap().len(), 1, "it can be tried again");
        assert_eq!(store.doom(ada, Which::Only("nobody")).await.unwrap(), []);
        store.strike(ada, &[("one".to_owned(), one.name), ("nobody".to_owned(), next)]).await.unwrap();
        assert_eq!(sids(&store.list(ada).await.unwrap()), ["one", "two"], "it is in another session by now");
        store.strike(ada, &[("one".to_owned(), next)]).await.unwrap();
        store.strike(ada, &[]).await.unwrap();
        assert_eq!(store.list(ada).await.unwrap(), [two]);
        assert_eq!(sids(&store.doom(ada, Which::All).await.unwrap()), ["two"]);
    })
    .await;
}

#[tokio::test]
async fn one_login_too_many_ends_the_oldest() {
    both(async |store| {
        let ada = name();
        for (sid, created) in [("b", 2), ("a", 1), ("c", 3)] {
            assert_eq!(store.enlist(ada, &entry(sid, created), 3).await.unwrap(), []);
        }
        let over = store.enlist(ada, &entry("new", 0), 3).await.unwrap();
        assert_eq!(sids(&over), ["a"], "not the new one, whatever its clock says");
        assert!(over[0].doomed && over[0].label == "a + phone x");
        let over = store.enlist(ada, &entry("newer", 9), 3).await.unwrap();
        assert_eq!(sids(&over), ["a", "new"], "what was not ended comes again");
        let ended: Vec<_> = over.iter().map(|entry| (entry.sid.clone(), entry.name)).collect();
        store.strike(ada, &ended).await.unwrap();
        let past = Entry { ends: 1, ..entry("past", 0) };
        store.enlist(ada, &past, 3).await.unwrap();
        assert_eq!(sids(&store.list(ada).await.unwrap()), ["b", "c", "newer"], "what has ended is forgotten");
    })
    .await;
}

#[tokio::test]
async fn a_session_lives_as_long_as_it_is_seen_and_no_longer_than_it_may() {
    let hand = ManualClock::at(std::time::UNIX_EPOCH + Duration::from_secs(1_000_000));
    let store = MemoryStore::new(hand.clock(), 1 << 20);
    let (idle, touched, longest) = (name(), name(), name());
    for name in [idle, touched, longest] {
        let span = Span::New(if name == longest { 90_000 } else { HOUR });
        store.create(name, &Draft { span, ..draft(&[]) }).await.unwrap();
    }
    hand.advance(Duration::from_secs(5));
    let seen = store.load(touched, PACE).await.unwrap().unwrap().seen;
    assert_eq!(seen, 1_000_000_000, "not worth a write yet");
    hand.advance(Duration::from_secs(35));
    let seen = store.load(touched, PACE).await.unwrap().unwrap().seen;
    assert_eq!(seen, 1_000_040_000);
    store.load(longest, PACE).await.unwrap().unwrap();
    hand.advance(Duration::from_secs(25));
    assert_eq!(store.load(idle, PACE).await.unwrap(), None, "65 s unseen");
    assert!(store.load(touched, PACE).await.unwrap().is_some());
    assert!(store.load(longest, PACE).await.unwrap().is_some());
    hand.advance(Duration::from_secs(26));
    assert_eq!(store.load(longest, PACE).await.unwrap(), None, "91 s old");
}

#[tokio::test]
async fn in_memory_a_crowd_of_strangers_takes_no_more_than_there_is_and_nothing_of_others() {
    let hand = ManualClock::at(std::time::UNIX_EPOCH + Duration::from_secs(1_000_000));
    let store = MemoryStore::new(hand.clock(), 100_000);
    let first = name();
    store.create(first, &Draft { idle: HOUR, ..draft(&[("=a", "1")]) }).await.unwrap();
    let mut strangers = 0;
    while store.create(name(), &draft(&[("=a", "1")])).await.is_ok() {
        strangers += 1;
    }
    assert!((100..200).contains(&strangers), "{strangers}");
    let grows =
        commit(vec![write("=a", Must::BeAnything, set("longer than it was, by much more than is left of it all"))]);
    let grown = async || {
        for _ in 0..20 {
            let field = SessionId::random().name().hex();
            let writes = grows.writes.iter().map(|write| Write { field: field.clone(), ..write.clone() }).collect();
            store.commit(first, &Commit { writes, most: 100_000, ..grows.clone() }).await?;
        }
        Ok::<_, StoreAway>(())
    };
    assert!(grown().await.is_err());
    assert!(store.load(first, PACE).await.unwrap().is_some(), "nobody makes room for them");
    hand.advance(Duration::from_secs(61));
    store.create(name(), &draft(&[])).await.expect("they have gone");
    grown().await.expect("there is room again");
}

#[tokio::test]
async fn in_redis_it_lives_by_its_expiry_and_is_touched_now_and_then() {
    let server = RedisServer::start();
    let store = RedisStore::new(patient(&server), "test".to_owned(), Clock::system());
    let name = name();
    let key = crate::key::session("test", name);
    let ttl = || server.cli(&["PTTL", &key]).int();
    store.create(name, &draft(&[("=a", "1")])).await.unwrap();
    assert!((50_000..=60_000).contains(&ttl()));
    drop(server.cli(&["PEXPIRE", &key, "20000"]));
    store.load(name, PACE).await.unwrap().unwrap();
    assert!(ttl() <= 20_000, "seen a moment ago");
    drop(server.cli(&["HSET", &key, "t", "1000"]));
    assert_eq!(store.load(name, PACE).await.unwrap().unwrap().seen, 1000, "as it was before");
    assert!(ttl() > 50_000, "noted with the same round trip");
    drop(server.cli(&["PEXPIRE", &key, "20000"]));
    store.commit(name, &commit(vec![write("=a", Must::BeAnything, set("2"))])).await.unwrap();
    assert!(ttl() > 50_000);

    // No later than its end, and not after it, whatever the key's expiry says.
    let ends = server.cli(&["TIME"]).array()[0].text().parse::<u64>().unwrap() * 1000 + 30_000;
    drop(server.cli(&["HSET", &key, "e", &ends.to_string(), "t", "1000"]));
    store.load(name, PACE).await.unwrap().unwrap();
    assert!(ttl() <= 30_000);
    drop(server.cli(&["HSET", &key, "e", "1000"]));
    assert_eq!(store.load(name, PACE).await.unwrap(), None);
    let late = commit(vec![write("=a", Must::BeAnything, set("2"))]);
    assert_eq!(store.commit(name, &late).await.unwrap(), Committed::Gone);
}

#[tokio::test]
async fn what_cannot_be_read_is_no_session_and_is_left_alone() {
    let server = RedisServer::start();
    let store = RedisStore::new(patient(&server), "test".to_owned(), Clock::system());
    for (what, command) in [
        ("another type", &["SET", "KEY", "text"][..]),
        ("another version", &["HSET", "KEY", "v", "2", "n", "1", "c", "1", "e", "9999999999999", "t", "1", "=a", "1"]),
        ("no session", &["HSET", "KEY", "name", "ada"]),
        ("binary names", &["HSET", "KEY", "v", "1", "\u{fffd}\u{1}", "\u{1}"]),
        ("no times", &["HSET", "KEY", "v", "1", "n", "x", "c", "", "e", "soon", "t", "-"]),
    ] {
        let name = name();
        let key = crate::key::session("test", name);
        let command: Vec<_> = command.iter().map(|word| if *word == "KEY" { key.as_str() } else { word }).collect();
        drop(server.cli(&command));
        let before = server.cli(&["DUMP", &key]);
        assert_eq!(store.load(name, PACE).await.unwrap(), None, "{what}");
        let late = commit(vec![write("=a", Must::BeAnything, set("2"))]);
        assert_eq!(store.commit(name, &late).await.unwrap(), Committed::Gone, "{what}");
        assert_eq!(store.freeze(name, 1, Moved::renewed(name), 1).await.unwrap(), Frozen::Gone, "{what}");
        assert_eq!(store.seen(name).await.unwrap(), None, "{what}");
        assert_eq!(server.cli(&["DUMP", &key]), before, "{what} is left alone");
    }
    let ada = name();
    let key = crate::key::logins("test", ada);
    drop(server.cli(&["HSET", &key, "old", "of another version", "older", ""]));
    assert_eq!(store.list(ada).await.unwrap(), []);
    assert_eq!(store.enlist(ada, &entry("new", 1), 3).await.unwrap(), []);
    assert_eq!(sids(&store.list(ada).await.unwrap()), ["new"]);
}
