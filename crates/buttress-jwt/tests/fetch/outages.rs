//! The issuer is away, hangs, or comes back.

use std::pin::pin;
use std::time::Duration;

use buttress_jwt::Keys;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::bed::{AWAY, Service, UNKNOWN, eventually, hand};
use crate::issuer::Issuer;
use crate::signer::Signer;

const HOUR: u64 = 60 * 60;
const BROKEN: &str = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";

#[tokio::test]
async fn without_any_key_nothing_is_said_about_a_token() {
    let signer = Signer::new("known");
    let issuer = Issuer::away(&[&signer]);
    let service = Service::new(issuer.url());
    assert_eq!(service.ask(&signer.token(service.now())).await, AWAY);
    assert!(!service.is_ready());

    issuer.up().await;
    eventually("there are keys", || {
        service.advance(1);
        service.is_ready()
    })
    .await;
    assert_eq!(service.ask(&signer.token(service.now())).await, Ok(()));
}

#[tokio::test]
async fn whoever_comes_before_the_first_answer_waits_for_it() {
    let signer = Signer::new("known");
    let issuer = Issuer::start(&[&signer]).await;
    let service = Service::new(issuer.url());
    assert_eq!(service.ask(&signer.token(service.now())).await, Ok(()));
    assert_eq!(issuer.asked(), 1);
}

#[tokio::test]
async fn a_failure_is_shared_by_all_who_wait_for_it() {
    let signer = Signer::new("known");
    let issuer = Issuer::start(&[&signer]).await;
    let service = Service::ready(issuer.url()).await;
    issuer.say(BROKEN);
    let allowed = issuer.hesitate();
    service.advance(11 * 60);
    eventually("the issuer is asked because it is time", || issuer.asked() == 2).await;
    let token = signer.token_naming("unknown", "", service.now());
    let mut waiting = pin!(async { tokio::join!(service.ask(&token), service.ask(&token), service.ask(&token)) });
    assert!(timeout(Duration::ZERO, &mut waiting).await.is_err());
    allowed.notify_one();
    assert_eq!(waiting.await, (UNKNOWN, UNKNOWN, UNKNOWN));
    assert_eq!(issuer.asked(), 2);
}

#[tokio::test]
async fn an_issuer_that_comes_back_is_noticed_also_where_nobody_asks() {
    let signer = Signer::new("known");
    let issuer = Issuer::start(&[&signer]).await;
    let service = Service::ready(issuer.url().keep(Duration::from_secs(9_000))).await;
    issuer.say(BROKEN);
    // Eleven failures, until it is asked every ten minutes only.
    for _ in 1..=11 {
        service.advance(800);
        assert_eq!(service.ask(&signer.token_naming("unknown", "", service.now())).await, UNKNOWN);
    }
    service.advance(200);
    eventually("the keys are let go", || !service.is_ready()).await;
    issuer.publish(&[&signer]);
    service.advance(30);
    eventually("there are keys", || service.is_ready()).await;
}

#[tokio::test]
async fn the_last_good_keys_serve_for_a_day_and_no_longer() {
    let signer = Signer::new("known");
    let issuer = Issuer::start(&[&signer]).await;
    let service = Service::ready(issuer.url()).await;
    let token = signer.token(service.now());
    assert_eq!(service.ask(&token).await, Ok(()));

    issuer.down().await;
    service.advance(23 * HOUR);
    assert_eq!(service.ask(&signer.token_naming("other", "", service.now())).await, UNKNOWN);
    let token = signer.token(service.now());
    assert_eq!(service.ask(&token).await, Ok(()));

    service.advance(HOUR);
    eventually("the keys are let go", || !service.is_ready()).await;
    assert_eq!(service.ask(&token).await, AWAY); // although it was verified before, and is not over yet
    assert_eq!(service.ask(&signer.token(service.now())).await, AWAY);

    issuer.up().await;
    eventually("there are keys", || {
        service.advance(1);
        service.is_ready()
    })
    .await;
    assert_eq!(service.ask(&signer.token(service.now())).await, Ok(()));
}

#[tokio::test]
async fn an_issuer_that_hangs_costs_only_those_with_unknown_keys() {
    let (signer, late) = (Signer::new("known"), Signer::new("late"));
    let issuer = Issuer::start(&[&signer]).await;
    let service = Service::ready(issuer.url().timeout(Duration::from_secs(4))).await;
    issuer.hang();
    let (known, unknown) = (signer.token(service.now()), late.token(service.now()));
    let waiting = tokio::spawn({
        let service = service.clone();
        async move { service.ask(&unknown).await }
    });
    eventually("the issuer is asked", || issuer.asked() == 2).await;
    assert_eq!(timeout(Duration::ZERO, service.ask(&known)).await, Ok(Ok(()))); // without a wait of any kind
    assert_eq!(timeout(Duration::from_secs(20), waiting).await.unwrap().unwrap(), UNKNOWN);

    // Its silence is not taken for an answer: once it was given up and speaks, the name is looked for again.
    assert_eq!(service.ask(&late.token(service.now())).await, UNKNOWN);
    issuer.publish(&[&signer, &late]);
    service.advance(31);
    assert_eq!(service.ask(&late.token(service.now())).await, Ok(()));
}

#[tokio::test]
async fn requests_that_wait_for_an_issuer_that_hangs_are_bounded() {
    let signer = Signer::new("known");
    let issuer = Issuer::start(&[&signer]).await;
    let service = Service::ready(issuer.url().timeout(Duration::from_secs(20))).await;
    issuer.hang();
    let mut flood = JoinSet::new();
    for n in 0..1_500 {
        let token = signer.token_naming(&n.to_string(), "", service.now());
        let service = service.clone();
        flood.spawn(async move { service.ask(&token).await });
    }
    // Those beyond the bound are answered at once, while the others wait.
    for _ in 0..(1_500 - 1_024) {
        let answer = timeout(Duration::from_secs(15), flood.join_next()).await.expect("one that does not wait");
        assert_eq!(answer.unwrap().unwrap(), UNKNOWN);
    }
    assert_eq!(flood.len(), 1_024);
}

#[tokio::test]
async fn an_issuer_that_nobody_vouches_for_is_not_believed() {
    let signer = Signer::new("known");
    let (issuer, stranger) = (Issuer::start(&[&signer]).await, Issuer::away(&[]));
    let another_authority = issuer.url_for_strangers().certificate_authority(stranger.authority()).unwrap();
    for url in [issuer.url_for_strangers(), another_authority] {
        assert_eq!(Service::new(url).ask(&signer.token(hand().clock().now())).await, AWAY);
    }
    assert_eq!(issuer.asked(), 0);
}

#[tokio::test]
async fn the_task_ends_with_the_last_of_the_keys() {
    let issuer = Issuer::start(&[&Signer::new("known")]).await;
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let keys = Keys::url(issuer.url());
    let clone = keys.clone();
    assert!(tasks() > before);
    eventually("the issuer is asked", || issuer.asked() == 1).await;
    drop(keys);
    drop(clone);
    eventually("the task is gone", || tasks() == before).await;
}

#[test]
fn keys_outlive_the_runtime_that_followed_them() {
    let signer = Signer::new("known");
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let service = runtime().block_on(async {
        let issuer = Issuer::start(&[&signer]).await;
        Service::ready(issuer.url()).await
    });
    service.advance(31);
    runtime().block_on(async {
        assert_eq!(service.ask(&signer.token(service.now())).await, Ok(()));
        let unknown = signer.token_naming("unknown", "", service.now());
        let answer = timeout(Duration::from_secs(1), service.ask(&unknown)).await;
        assert_eq!(answer, Ok(UNKNOWN)); // at once: nobody would ever answer
    });
}
