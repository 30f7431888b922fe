use bytes::Bytes;

use super::*;
use crate::id::CookieKey;
use crate::record::LoggedIn;
use crate::store::Write;

fn key(seed: u8) -> CookieKey {
    CookieKey::new(std::array::from_fn::<u8, 32, _>(|n| seed ^ u8::try_from(n).unwrap())).unwrap()
}

fn sealed(sealer: &Sealer, id: &SessionId) -> Sealed {
    Sealed::parse(sealer.seal(id).as_bytes()).unwrap()
}

fn record() -> Record {
    let fields = [("=a", "1"), ("=b", "x")].map(|(name, value)| (name.to_owned(), Bytes::from(value)));
    Record {
        version: 7,
        created: 0,
        ends: 1000,
        seen: 0,
        login: None,
        label: None,
        key: None,
        moved: None,
        fields: fields.into(),
    }
}

fn somewhere() -> Moved {
    Moved::renewed(SessionId::random().name())
}

#[test]
fn only_one_session_that_was_sealed_here_is_believed() {
    let (ours, former) = (Sealer::new(&[key(1), key(2)], "sid"), Sealer::new(&[key(2)], "sid"));
    let (one, other) = (SessionId::random(), SessionId::random());
    let good = sealed(&ours, &one);
    let forged = sealed(&Sealer::new(&[key(3)], "sid"), &one);
    let found = |by_former_key| Presented::One { id: one, by_former_key };
    for (what, candidates, expected) in [
        ("none", &[][..], Presented::Nothing),
        ("one", &[good], found(false)),
        ("one by a former key", &[sealed(&former, &one)], found(true)),
        ("a forged one", &[forged], Presented::Forged),
        ("a forged one before", &[forged, good], found(false)),
        ("a forged one behind", &[good, forged], found(false)),
        ("twice the same", &[good, good], found(false)),
        ("two sessions", &[good, sealed(&ours, &other)], Presented::Ambiguous),
        ("two sessions and a forged one", &[forged, sealed(&ours, &other), good], Presented::Ambiguous),
    ] {
        assert_eq!(presented(Some(candidates), &ours), expected, "{what}");
    }
    assert_eq!(presented(None, &ours), Presented::Ambiguous, "more than are looked at");
}

#[test]
fn a_commit_happens_whole_or_not_at_all() {
    let set = |value: &'static str| Act::Set(Bytes::from_static(value.as_bytes()));
    let be = |value: &'static str| Must::Be(Bytes::from_static(value.as_bytes()));
    let write = |field: &str, must, act| Write { field: field.to_owned(), must, act };
    let any = || Must::BeAnything;
    let conflict = || Committed::Conflict(Box::new(record()));
    for (what, version, writes, expected) in [
        ("a field", None, vec![write("=c", any(), set("2"))], Committed::Done(8)),
        ("as it must be", None, vec![write("=a", be("1"), set("2"))], Committed::Done(8)),
        ("not as it must be", None, vec![write("=a", be("2"), set("3"))], conflict()),
        ("absent as it must be", None, vec![write("=c", Must::BeAbsent, set("3"))], Committed::Done(8)),
        ("there though it must not", None, vec![write("=a", Must::BeAbsent, set("3"))], conflict()),
        ("absent though it must not", None, vec![write("=c", be(""), set("3"))], conflict()),
        ("this version", Some(7), vec![write("=c", any(), set("2"))], Committed::Done(8)),
        ("another version", Some(6), vec![write("=c", any(), set("2"))], conflict()),
        ("one good, one not", None, vec![write("=c", any(), set("2")), write("=a", be("2"), set("3"))], conflict()),
        ("added", None, vec![write("=a", any(), Act::Add(2))], Committed::Done(8)),
        ("added to a text", None, vec![write("=b", any(), Act::Add(2))], Committed::NoNumber("=b".to_owned())),
        ("too large", None, vec![write("=c", any(), set("0123456789"))], Committed::TooLarge(18)),
        ("at the limit", None, vec![write("=c", any(), set("01"))], Committed::Done(8)),
        ("smaller", None, vec![write("=a", any(), Act::Delete)], Committed::Done(8)),
    ] {
        let mut there = record();
        let done = commit(&mut there, &Commit { idle: 1, most: 10, version, writes });
        assert_eq!(done, expected, "{what}");
        assert_eq!(there == record(), !matches!(done, Committed::Done(_)), "{what}");
    }
    let mut large = record();
    let shrunk = vec![write("=b", any(), Act::Delete)];
    let done = commit(&mut large, &Commit { idle: 1, most: 1, version: None, writes: shrunk });
    assert_eq!(done, Committed::Done(8), "what is too large may become smaller");
    let moved = somewhere();
    large.moved = Some(moved);
    let nothing = Commit { idle: 1, most: 10, version: None, writes: Vec::new() };
    assert_eq!(commit(&mut large, &nothing), Committed::Moved(moved));
}

#[test]
fn a_session_has_one_successor_and_that_has_all_of_it() {
    let (mut there, moved) = (record(), somewhere());
    assert!(matches!(freeze(&mut there, 6, moved), Frozen::Conflict(_)));
    assert_eq!(freeze(&mut there, 7, moved), Frozen::Done);
    assert_eq!(freeze(&mut there, 7, somewhere()), Frozen::Moved(moved));
    assert_eq!(found(&there), Found::Follow(moved));
    assert_eq!(found(&record()), Found::Here);
    assert!(is_written_to_the_successor(moved));
    assert!(!is_written_to_the_successor(Moved::raised(moved.to)), "who planted the id writes nothing into the login");
}

#[test]
fn fields_go_over_to_a_login_unless_they_are_somebody_elses() {
    let login = |subject: &str| Some(LoggedIn { subject: subject.to_owned(), sid: "s".to_owned(), at: 0 });
    for (login, expected) in [(None, true), (login("ada"), true), (login("eve"), false)] {
        assert_eq!(goes_over(&Record { login, ..record() }, "ada"), expected);
    }
}

#[test]
fn it_is_noted_now_and_then_that_a_session_was_seen() {
    let pace = Pace { idle: 100, slack: 10 };
    for (seen, now, expected) in [(0, 9, false), (0, 10, true), (50, 40, false), (0, 1000, true)] {
        assert_eq!(is_noted_again(&Record { seen, ..record() }, pace, now), expected, "{seen} {now}");
    }
    let moved = Record { moved: Some(somewhere()), ..record() };
    assert!(!is_noted_again(&moved, pace, 1000), "one that is ending is not kept alive");
}

#[test]
fn errors_leave_a_session_as_it_was() {
    for (status, grpc, keeps, dropped) in [
        (200, None, false, false),
        (404, None, false, false),
        (500, None, false, true),
        (503, None, true, false),
        (200, Some(&b"0"[..]), false, false),
        (200, Some(b"5"), false, false),
        (200, Some(b"13"), false, true),
        (200, Some(b"14"), true, false),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(is_dropped(status, grpc, keeps), dropped, "{status} {grpc:?}");
    }
}

#[test]
fn the_oldest_logins_go_first_and_doomed_ones_again() {
    let entry = |sid: &str, created, doomed| Entry {
        sid: sid.to_owned(),
        name: SessionId::random().name(),
        former: None,
        created,
        ends: 1000,
        doomed,
        label: String::new(),
    };
    let entries = [entry("b", 2, false), entry("a", 1, false), entry("new", 0, false), entry("x", 9, true)];
    for (most, expected) in [(3, &["x"][..]), (2, &["x", "a"]), (1, &["x", "a", "b"]), (0, &["x", "a", "b", "new"])] {
        assert_eq!(too_many(entries.iter(), "new", most), expected, "{most}");
    }
}
