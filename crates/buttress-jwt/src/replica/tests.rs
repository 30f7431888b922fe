use super::*;
use crate::revocation::{Revocation, WHENEVER};
use crate::testing;

const NOW: u64 = testing::NOW;

fn revoked(entries: &[Entry], claims: &str) -> Option<Kind> {
    let replica = Replica::new();
    for entry in entries {
        replica.add(entry);
    }
    replica.revoked(&testing::token(claims), NOW)
}

fn entry(revocation: &Revocation) -> Entry {
    revocation.entry(NOW, 3_600_000)
}

#[test]
fn each_level_refuses_what_it_is_about() {
    let now = NOW / 1000;
    let ada = format!(r#""sub":"ada","jti":"1","sid":"s","client_id":"c","iat":{}"#, now - 1);
    let token = ada.as_str();
    for (revocation, expected) in [
        (Revocation::id("a", "1"), Some(Kind::Token)),
        (Revocation::id("a", "2"), None),
        (Revocation::id("b", "1"), None),
        (Revocation::session("a", "s"), Some(Kind::Session)),
        (Revocation::session("a", "1"), None),
        (Revocation::subject("a", "ada"), Some(Kind::Subject)),
        (Revocation::subject("b", "ada"), None),
        (Revocation::client("a", "c"), Some(Kind::Client)),
        (Revocation::key("a", "k"), Some(Kind::Key)),
        (Revocation::issuer("a"), Some(Kind::Issuer)),
        (Revocation::issuer("b"), None),
        (Revocation::everything(), Some(Kind::Everything)),
    ] {
        assert_eq!(revoked(&[entry(&revocation)], token), expected, "{revocation:?}");
    }
}

#[test]
fn cut_offs_compose_by_maximum_and_only_move_forward() {
    let at = |cutoff| Entry { cutoff, ..entry(&Revocation::subject("a", "ada")) };
    let issuer = |cutoff| Entry { cutoff, ..entry(&Revocation::issuer("a")) };
    let token = |iat: &str| format!(r#""sub":"ada","jti":"1"{iat}"#);
    let issued = (NOW / 1000 - 10) * 1000;
    let iat = token(&format!(r#","iat":{}"#, issued / 1000));
    for (entries, token, expected) in [
        (vec![at(issued)], iat.clone(), Some(Kind::Subject)), // the same moment counts
        (vec![at(issued - 1)], iat.clone(), None),
        (vec![at(issued), at(issued - 1000)], iat.clone(), Some(Kind::Subject)),
        (vec![at(issued - 1000), at(issued)], iat.clone(), Some(Kind::Subject)),
        (vec![at(issued - 1), issuer(issued)], iat.clone(), Some(Kind::Issuer)),
        (vec![at(issued), issuer(issued - 1)], iat.clone(), Some(Kind::Subject)),
        (vec![at(0)], token(""), Some(Kind::Subject)), // who does not say when is meant
        // A login in the same second, a millisecond later, is another.
        (vec![at(issued)], token(&format!(r#","iat":{}.001"#, issued / 1000)), None),
    ] {
        assert_eq!(revoked(&entries, &token), expected, "{entries:?} {token}");
    }
}

#[test]
fn an_entry_ends_when_nothing_is_left_to_refuse() {
    let replica = Replica::new();
    let token = testing::token(r#""jti":"1","sub":"ada""#);
    replica.add(&Entry { until: NOW + 500, ..entry(&Revocation::id("a", "1")) });
    replica.add(&Entry { until: NOW - 500, ..entry(&Revocation::subject("a", "ada")) });
    assert_eq!(replica.len(), 2);
    replica.sweep(NOW);
    assert_eq!(replica.len(), 1);
    assert_eq!(replica.revoked(&token, NOW), Some(Kind::Token));
    replica.sweep(NOW + 2_000);
    assert_eq!((replica.len(), replica.revoked(&token, NOW)), (0, None));
}

#[test]
fn everything_known_is_told() {
    let replica = Replica::new();
    let known: Vec<_> = (0..500).map(|n| entry(&Revocation::id("a", &n.to_string()))).collect();
    known.iter().for_each(|entry| assert!(replica.add(entry)));
    let told: Vec<_> = replica.entries().flatten().collect();
    assert_eq!(told.len(), known.len());
    assert!(told.iter().all(|entry| entry.cutoff == WHENEVER && entry.until >= NOW + 3_600_000));
}

#[test]
fn what_the_stream_has_is_not_told_again() {
    let replica = Replica::new();
    let ada = |cutoff, until| Entry { cutoff, until, ..entry(&Revocation::subject("a", "ada")) };
    let untold = |round| replica.untold(round).flatten().collect::<Vec<_>>();
    assert!(replica.add(&ada(5, 10_000)));
    assert!(!replica.add(&ada(4, 9_000)));
    assert_eq!(untold(1), [ada(5, 10_000)]);
    replica.read(&ada(5, 9_000), 1);
    assert_eq!(untold(1).len(), 1, "the stream has it for a shorter time");
    replica.read(&ada(5, 10_000), 1);
    replica.read(&ada(4, 10_000), 1);
    assert_eq!(untold(1), []);
    assert_eq!(untold(2), [ada(5, 10_000)], "another stream");
    assert!(replica.add(&ada(6, 10_000)));
    assert_eq!(untold(1), [ada(6, 10_000)]);
    replica.read(&ada(1, 20_000), 1);
    assert_eq!(untold(1), [ada(6, 20_000)], "the stream has both, but no entry has");
}

#[test]
fn marks_that_share_a_bit_are_told_apart_and_outlive_each_other() {
    let replica = Replica::new();
    let token = |n: usize| testing::token(&format!(r#""jti":"{n}""#));
    // So many that some share a bit, and half of them end early.
    let count = 2 * SHARDS * WORDS;
    for n in 0..count {
        let until = if n % 2 == 0 { NOW - 1 } else { NOW + 10_000 };
        replica.add(&Entry { until, ..entry(&Revocation::id("a", &n.to_string())) });
    }
    for _ in 0..2 {
        let revoked = |n: usize| replica.revoked(&token(n), NOW).is_some();
        assert!((0..400).all(|n| revoked(n) == (n % 2 == 1)));
        assert!((count..count + 400).all(|n| !revoked(n)));
        replica.sweep(NOW);
    }
    assert_eq!(replica.len(), count / 2);
    replica.sweep(NOW + 20_000);
    assert!(replica.shards.iter().all(|shard| shard.filter.iter().all(|word| word.load(Ordering::Acquire) == 0)));
}
