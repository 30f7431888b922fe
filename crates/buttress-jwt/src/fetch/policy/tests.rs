use super::*;

const MINUTE: Duration = Duration::from_secs(60);
const TEN: Duration = Duration::from_secs(600);

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_764_000_000 + seconds)
}

#[test]
fn a_token_with_an_unknown_key_is_answered_waits_or_has_the_keys_asked_for() {
    let nothing = Known { is_there: false, usable: false, pointless: false, under_way: false, cooled_down: false };
    let usable = Known { usable: true, ..nothing };
    for (known, expected) in [
        (Known { is_there: true, under_way: true, ..usable }, Step::Answer(Found::Refreshed)),
        (Known { cooled_down: true, ..usable }, Step::Ask),
        (Known { cooled_down: true, pointless: true, ..usable }, Step::Answer(Found::Unknown)),
        (Known { cooled_down: true, under_way: true, ..usable }, Step::Join),
        (Known { under_way: true, ..usable }, Step::Join),
        (Known { under_way: true, pointless: true, ..usable }, Step::Answer(Found::Unknown)),
        (usable, Step::Answer(Found::Unknown)),
        (nothing, Step::Answer(Found::Away)),
        (Known { pointless: true, ..nothing }, Step::Answer(Found::Away)),
        (Known { pointless: true, cooled_down: true, ..nothing }, Step::Ask),
        (Known { under_way: true, ..nothing }, Step::Join),
    ] {
        assert_eq!(on_unknown(known), expected, "{known:?}");
    }
}

#[test]
fn a_copy_is_taken_if_it_is_news_and_new_enough() {
    let wanted = Why::Wanted(Some("new".to_owned()));
    let seen =
        |fetched, fresh_until, has_wanted| Seen { fetched: at(fetched), fresh_until: at(fresh_until), has_wanted };
    for (seen, own, why, now, expected) in [
        (seen(0, 600, false), None, &Why::Due, 599, true),
        (seen(0, 600, false), None, &Why::Due, 600, false),
        (seen(10, 610, false), Some(0), &Why::Due, 600, true),
        (seen(10, 610, false), Some(10), &Why::Due, 600, false),
        (seen(10, 610, false), Some(20), &Why::Due, 600, false),
        (seen(10, 610, true), Some(0), &wanted, 600, true), // it has the key
        (seen(10, 610, false), Some(0), &wanted, 600, false), // it has not, and is old
        (seen(580, 610, false), Some(0), &wanted, 600, true), // it has not, and was asked for just now
        (seen(570, 610, false), Some(0), &wanted, 600, false),
        (seen(580, 610, true), Some(580), &wanted, 600, false), // it is what this process has
    ] {
        let takes = takes_copy(seen, own.map(at), why, at(now));
        assert_eq!(takes, expected, "{seen:?} over {own:?} for {why:?}");
    }
}

#[test]
fn a_copy_is_neither_too_old_nor_from_the_future() {
    for (fetched, now, expected) in
        [(0, 0, true), (0, 599, true), (0, 600, false), (60, 0, true), (61, 0, false), (10_000_000, 0, false)]
    {
        assert_eq!(is_believable(at(fetched), TEN, at(now)), expected, "{fetched} at {now}");
    }
}

#[test]
fn keys_are_asked_for_no_more_often_than_said() {
    for (max_age, expected) in
        [(None, TEN), (Some(Duration::ZERO), MINUTE), (Some(MINUTE * 3), MINUTE * 3), (Some(TEN * 100), TEN)]
    {
        assert_eq!(lifetime(max_age, TEN), expected, "{max_age:?}");
    }
    assert_eq!((pause_after_answer(TEN, 0.0), pause_after_answer(TEN, 1.0)), (TEN, MINUTE * 11));
}

#[test]
fn failures_make_it_rarer() {
    let pauses = |usable| [1, 2, 3, 6, 10, 60, u32::MAX].map(|n| pause_after_failure(n, usable, TEN, 0.5).as_secs());
    assert_eq!(pauses(true), [1, 2, 4, 32, 512, 600, 600]);
    assert_eq!(pauses(false), [1, 2, 4, 30, 30, 30, 30]);
    assert_eq!(pause_after_failure(3, true, TEN, 0.0), Duration::from_secs(3));
    assert_eq!(pause_after_failure(3, true, TEN, 1.0), Duration::from_secs(5));
}

#[test]
fn the_issuers_word_is_read() {
    for (fields, expected) in [
        (&[][..], None),
        (&["max-age=300"], Some(300)),
        (&["public, MAX-AGE = 300 , must-revalidate"], Some(300)),
        (&["public", "max-age=\"300\""], Some(300)),
        (&["s-maxage=5"], None),
        (&["max-age"], None),
        (&["max-age="], None),
        (&["max-age=-1"], None),
        (&["max-age=1.5"], None),
        (&["max-age=99999999999999999999"], Some(u64::from(u32::MAX))),
        (&["no-store"], None),
    ] {
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(CACHE_CONTROL, field.parse().unwrap());
        }
        assert_eq!(max_age(&headers), expected.map(Duration::from_secs), "{fields:?}");
    }
}
