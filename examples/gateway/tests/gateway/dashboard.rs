//! The dashboard in a real browser: its figures are those of a ground truth, it is read by keys, and it comes back by itself.

use std::time::Duration;

use buttress_tests::RedisServer;
use rustix::process::Signal;
use serde_json::Value;

use crate::browser::Browser;
use crate::support::Gateway;

/// How often each was asked, while the page was open.
#[derive(Clone, Copy, Debug, Default)]
struct Truth {
    products: u64,
    reports: u64,
    unmatched: u64,
}

// === impl Truth ===

impl Truth {
    fn total(self) -> u64 {
        self.products + self.reports + self.unmatched
    }

    /// Four clients at the same time, each so often.
    fn load(&mut self, gateway: &Gateway, rounds: u64) {
        let address = gateway.address;
        let clients: Vec<_> = (0..4)
            .map(|client| {
                std::thread::spawn(move || {
                    for round in 0..rounds {
                        Gateway::get_from(address, &format!("/products/{}", (client + round) % 5));
                        Gateway::get_from(address, "/products/5000"); // there is none
                        Gateway::get_from(address, "/greeting");
                        Gateway::get_from(address, &format!("/.env?{round}"));
                    }
                })
            })
            .collect();
        clients.into_iter().for_each(|client| client.join().unwrap());
        self.products += 4 * rounds * 2;
        self.reports += 4 * rounds;
        self.unmatched += 4 * rounds;
    }
}

fn start(redis: &RedisServer, ports: Option<(&str, &str)>) -> Gateway {
    let url = redis.url();
    // With a Redis sessions want a key.
    let config = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(config.path(), "[session]\nkey = \"0123456789abcdef0123456789abcdef\"\n").unwrap();
    let (listen, admin) = ports.unwrap_or(("127.0.0.1:0", "127.0.0.1:0"));
    Gateway::start_at(listen, &["--admin", admin, "--redis", &url, "--config", &config.path().to_string_lossy()])
}

/// Waits until the page shows what is true.
async fn shows(browser: &Browser, truth: Truth) {
    browser
        .until(&format!("document.querySelector('[data-figure=requests-total]').dataset.value === '{}'", truth.total()))
        .await;
    assert_eq!(browser.value("[data-route=\"/products\"][data-method=GET]").await, truth.products as f64);
    assert_eq!(browser.value("[data-route=\"/greeting\"]").await, truth.reports as f64);
    assert_eq!(browser.value("[data-route=\"<unmatched>\"]").await, truth.unmatched as f64);
}

#[tokio::test(flavor = "multi_thread")]
async fn its_figures_are_true_and_it_comes_back_by_itself() {
    let Some(browser) = Browser::start(1280).await else { return };
    let redis = RedisServer::start();
    let mut gateway = start(&redis, None);
    let (address, admin) = (gateway.address, gateway.admin.unwrap());
    let mut truth = Truth::default();
    truth.load(&gateway, 1); // what is counted is on the page from its beginning
    browser.page.goto(&format!("http://{admin}/dashboard")).await.unwrap();
    browser.until("document.documentElement.dataset.state === 'live'").await;
    assert!(browser.page.current_url().await.unwrap().path().ends_with("/dashboard/"));

    truth.load(&gateway, 40);
    shows(&browser, truth).await;
    browser.until("Number(document.querySelector('[data-figure=per-second]').dataset.value) > 0").await;
    let (ratio, p99) = (browser.value("[data-figure=cache-ratio]").await, browser.value("[data-figure=p99]").await);
    assert!(ratio > 0.3 && ratio <= 1.0, "hits are counted by the cache's own metrics: {ratio}");
    assert!(p99 > 0.0 && p99 < 30.0, "{p99}");
    browser.shot("light").await;

    // By keys alone: another window, and the chart's last step.
    browser.keys("#window [value=\"60m\"]", "\u{E014}").await; // the right arrow
    browser.until("location.hash === '#24h' && document.querySelector('#window :checked').value === '24h'").await;
    shows(&browser, truth).await;
    browser.keys("[data-chart=requests] svg[tabindex]", "\u{E010}").await; // End
    let said = browser.eval("document.querySelector('[data-chart=requests] [data-said]').textContent").await;
    let count = |class: &str| {
        said.as_str()
            .and_then(|said| said.split(&format!("{class} ")).nth(1)?.split([',', ' ']).next()?.parse::<u64>().ok())
    };
    assert_eq!(count("4xx"), Some(truth.products / 2 + truth.unmatched), "{said}");

    // The gateway is replaced, on the same ports.
    gateway.signal(Signal::TERM);
    gateway.end();
    browser.until("document.documentElement.dataset.state === 'reconnecting'").await;
    assert_eq!(browser.value("[data-figure=requests-total]").await, truth.total() as f64, "the last figures stay");
    browser.shot("reconnecting").await;
    let gateway = start(&redis, Some((&address.to_string(), &admin.to_string())));
    browser.until("document.documentElement.dataset.state === 'live'").await;
    truth.load(&gateway, 5);
    shows(&browser, truth).await;

    // Redis stands still: the page says of when its figures are.
    redis.stop();
    browser.until("document.documentElement.dataset.state === 'away'").await;
    truth.load(&gateway, 1);
    redis.cont();
    browser.until("document.documentElement.dataset.state === 'live'").await;
    shows(&browser, truth).await;

    assert_eq!(browser.complaints().await, Vec::<String>::new());
    let elsewhere =
        "performance.getEntriesByType('resource').filter((one) => !one.name.startsWith(location.origin)).length";
    assert_eq!(browser.eval(elsewhere).await, Value::from(0), "nothing is fetched from elsewhere");
}

/// Every text on the page against what is behind it (WCAG 2.2, 1.4.3).
const FAINT: &str = r"(() => {
  const parse = (color) => (color.match(/[\d.]+/g) ?? [0, 0, 0, 0]).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((n) => n / 255).map((n) => (n <= 0.04045 ? n / 12.92 : ((n + 0.055) / 1.055) ** 2.4))
    .reduce((sum, n, at) => sum + n * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color.length < 4 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const element of document.querySelectorAll('body *')) {
    const text = [...element.childNodes].filter((node) => node.nodeType === 3 && node.data.trim()).map((node) => node.data.trim()).join(' ');
    if (!text || !element.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true })) continue;
    const style = getComputedStyle(element);
    const [one, other] = [light(parse(element instanceof SVGElement ? style.fill : style.color)), light(ground(element))];
    const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (contrast < 4.5) faint.push(`${contrast.toFixed(2)}: ${text}`);
  }
  return faint;
})()";

#[tokio::test(flavor = "multi_thread")]
async fn it_can_be_read_in_light_and_dark_on_a_small_screen_too() {
    let Some(browser) = Browser::start(1280).await else { return };
    let gateway = Gateway::start(&["--admin", "127.0.0.1:0"]);
    let page = format!("http://{}/dashboard/", gateway.admin.unwrap());
    browser.page.goto(&page).await.unwrap();
    browser.until("document.documentElement.dataset.state === 'live'").await;
    let empty =
        browser.eval("[...document.querySelectorAll('.empty')].filter((one) => one.checkVisibility()).length").await;
    assert!(empty.as_u64() >= Some(5), "what is empty says so");
    Truth::default().load(&gateway, 3);
    browser.until("document.querySelector('[data-ranking]') !== null").await;
    for theme in ["light", "dark"] {
        browser.eval(&format!("document.querySelector('#theme [value={theme}]').click()")).await;
        browser.until(&format!("document.documentElement.dataset.theme === '{theme}'")).await;
        assert_eq!(browser.eval(FAINT).await, Value::Array(Vec::new()), "{theme}");
        for width in [1600, 1100, 400] {
            browser.page.set_window_size(width, 1000).await.unwrap();
            tokio::time::sleep(Duration::from_millis(300)).await; // it draws its charts anew
            let over = browser.eval("document.documentElement.scrollWidth - innerWidth").await;
            assert!(over.as_i64() <= Some(0), "{theme}, {width}: {over} pixels too wide");
            browser.shot(&format!("{theme}-{width}")).await;
        }
    }
    let tables = browser
        .eval("[...document.querySelectorAll('details')].map((one) => { one.open = true; return 1 }).length")
        .await;
    assert_eq!(tables, Value::from(3), "each chart can be a table");
    browser.until("document.querySelectorAll('[data-chart=requests] tbody tr').length === 60").await;
    assert_eq!(browser.complaints().await, Vec::<String>::new());
}
