//! How counting is often shown: an `INCR` and a `ZINCRBY` for each request, by a client as it comes.

use std::collections::HashMap;
use std::time::Duration;

use buttress_tests::RedisServer;
use fred::clients::Client;
use fred::interfaces::{ClientLike as _, KeysInterface as _, SortedSetsInterface as _};
use fred::types::Builder;
use fred::types::config::{Config, ReconnectPolicy};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use crate::truth::Sums;

const SLUGS: u64 = 20;

/// Counts until told to end; answers what it has counted.
pub(crate) async fn count(url: String, end: watch::Receiver<bool>) -> Sums {
    let config = Config::from_url(&url).expect("a URL");
    let client = Builder::from_config(config).set_policy(ReconnectPolicy::default()).build().expect("a client");
    client.init().await.expect("Redis is there");
    let mut truth = Sums::new();
    for number in 0.. {
        if *end.borrow() {
            break;
        }
        let slug = (number % SLUGS).to_string();
        view(&client, &slug).await;
        *truth.entry(format!("views {slug}")).or_default() += 1;
        *truth.entry(format!("rank {slug}")).or_default() += 1;
        sleep(Duration::from_millis(5)).await;
    }
    drop(timeout(Duration::from_secs(1), client.quit()).await);
    truth
}

/// Nobody lets a request fail because it could not be counted.
async fn view(client: &Client, slug: &str) {
    const PATIENCE: Duration = Duration::from_secs(5);
    drop(timeout(PATIENCE, client.incr::<u64, _>(format!("views:{slug}"))).await);
    drop(timeout(PATIENCE, client.zincrby::<f64, _, _>("ranking", 1.0, slug)).await);
}

pub(crate) fn together(mut one: Sums, other: Sums) -> Sums {
    for (key, sum) in other {
        *one.entry(key).or_default() += sum;
    }
    one
}

/// What came of it.
pub(crate) fn found(server: &RedisServer) -> Sums {
    let mut sums = Sums::new();
    let ranking = server.cli(&["ZRANGE", "ranking", "0", "-1", "WITHSCORES"]);
    let ranking: Vec<_> = ranking.array().iter().map(|reply| reply.text()).collect();
    let scores: HashMap<_, _> = ranking.chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect();
    for slug in 0..SLUGS {
        let views = server.cli(&["INCR", &format!("views:{slug}")]).int() - 1;
        sums.insert(format!("views {slug}"), u64::try_from(views).expect("a count"));
        let score = scores.get(&slug.to_string()).map_or(0, |score| score.parse().expect("a number"));
        sums.insert(format!("rank {slug}"), score);
    }
    sums
}
