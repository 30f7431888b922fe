//! Several gateways before one slow origin, on one Redis: real processes, one of which is killed.

use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use buttress_tests::RedisServer;

use crate::support::{Gateway, Message, Upstream, entries, response};

const SLOW: Duration = Duration::from_millis(1_000);

struct Fleet {
    redis: RedisServer,
    gateways: Vec<Gateway>,
    /// A word for each request of what is slow, said before the origin takes its time.
    asked: Receiver<()>,
}

impl Fleet {
    fn new(count: usize) -> Self {
        let (redis, upstream) = (RedisServer::start(), Upstream::new());
        let (url, redis_url) = (upstream.url(), redis.url());
        let (begun, asked) = channel();
        let _answered = upstream.answering(move |request| {
            if request.start.contains("/slow") {
                begun.send(()).expect("the fleet listens");
                std::thread::sleep(SLOW);
            }
            response("200 OK", "cache-control: max-age=60\r\n", "body")
        });
        let gateways = (0..count)
            .map(|number| {
                let gateway = Gateway::start(&["--upstream", &url, "--redis", &redis_url]);
                // A gateway serves before its connection to Redis stands; here it should stand.
                for turn in 0.. {
                    gateway.get(&format!("/warm/{number}/{turn}"), "");
                    if entries(&redis) > number {
                        break;
                    }
                    std::thread::sleep(Duration::from_millis(5));
                }
                gateway
            })
            .collect();
        Self { redis, gateways, asked }
    }

    /// So many requests at once to each gateway but the `left_out` one.
    fn crowd(&self, each: usize, left_out: Option<usize>) -> Vec<JoinHandle<Message>> {
        let others = self.gateways.iter().enumerate().filter(|(number, _)| Some(*number) != left_out);
        let addresses = others.flat_map(|(_, gateway)| std::iter::repeat_n(gateway.address, each));
        addresses.map(|address| std::thread::spawn(move || Gateway::get_from(address, "/slow"))).collect()
    }

    /// How often the origin was asked for what is slow.
    fn calls(&self) -> usize {
        self.asked.try_iter().count()
    }
}

impl Fleet {
    /// Waits until the origin is asked, which is not counted again.
    fn is_asked(&self) {
        self.asked.recv_timeout(Duration::from_secs(20)).expect("asked in time");
    }
}

fn all_served(crowd: Vec<JoinHandle<Message>>) {
    for client in crowd {
        let message = client.join().unwrap();
        assert_eq!((message.status(), message.text()), (200, "body"));
    }
}

#[test]
fn a_thousand_cold_requests_are_one_request_of_the_origin() {
    for gateways in [2, 4] {
        let fleet = Fleet::new(gateways);
        all_served(fleet.crowd(1_000 / gateways, None));
        assert_eq!(fleet.calls(), 1, "{gateways} gateways");
    }
}

#[test]
fn a_gateway_that_dies_while_it_fills_costs_one_more() {
    let fleet = Fleet::new(3);
    let mut doomed = fleet.gateways[0].connect();
    doomed.say("GET /slow HTTP/1.1\r\nhost: a.example\r\n\r\n");
    let lease = || fleet.redis.cli(&["KEYS", "*:lease"]).array().len();
    while lease() == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    fleet.is_asked();
    // Held first: on a busy machine the crowd takes longer to come than the origin to answer.
    fleet.gateways[0].signal(rustix::process::Signal::STOP);
    let crowd = fleet.crowd(50, Some(0));
    fleet.gateways[0].signal(rustix::process::Signal::KILL);
    all_served(crowd);
    assert_eq!(fleet.calls(), 1, "one more than the one that died");
}

#[test]
fn a_purge_through_one_gateway_reaches_the_memory_of_the_other() {
    let (redis, upstream) = (RedisServer::start(), Upstream::new());
    let (url, redis_url) = (upstream.url(), redis.url());
    let _asked =
        upstream.answering(|_| response("200 OK", "cache-control: max-age=600\r\nsurrogate-key: a\r\n", "body"));
    let gateway = || Gateway::start(&["--upstream", &url, "--redis", &redis_url, "--admin", "127.0.0.1:0"]);
    let (one, other) = (gateway(), gateway());
    let warm = || {
        (0..500).any(|_| {
            std::thread::sleep(Duration::from_millis(5));
            other.get("/x", "").is_hit() && one.get("/x", "").is_hit()
        })
    };
    for order in [r#"{"tag": "a"}"#, r#"{"uri": "http://a.example/x"}"#, r#"{"everything": true}"#] {
        assert!(warm());
        let reply = one.order(order, "127.0.0.1", "application/json");
        assert_eq!(reply.status(), 200, "{}", reply.text());
        assert!(reply.text().contains("\"shared\":true"), "{}", reply.text());
        let served = (0..300).take_while(|_| {
            std::thread::sleep(Duration::from_millis(5));
            other.get("/x", "").is_hit()
        });
        assert!(served.count() < 300, "{order}: still served after more than the bound");
    }
    for (order, host, kind, status) in [
        ("{}", "127.0.0.1", "application/json", 400),
        (r#"{"tag": "a"}"#, "localhost:8081", "text/plain", 415),
        (r#"{"tag": "a"}"#, "evil.example", "application/json", 403),
    ] {
        assert_eq!(one.order(order, host, kind).status(), status, "{order} {host} {kind}");
    }
    redis.kill();
    let reply = one.order(r#"{"tag": "a"}"#, "[::1]:1", "application/json");
    assert_eq!(reply.status(), 503, "{}", reply.text());
}
