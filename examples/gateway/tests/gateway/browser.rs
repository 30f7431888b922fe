//! A headless Chromium, driven by its WebDriver; both are ended by their own pid.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use buttress_tests::port;
use fantoccini::wd::{TimeoutConfiguration, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

/// Set, the tests with a browser are left out; said by each of them.
const SKIP: &str = "BUTTRESS_SKIP_BROWSER";
/// Where pictures go, if anybody wants to look.
const SHOTS: &str = "BUTTRESS_SHOTS";
const PATIENCE: Duration = Duration::from_secs(30);
/// As root, without a network, without a screen.
const FLAGS: [&str; 9] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
];

/// A browser with one page.
pub(crate) struct Browser {
    _driver: Driver,
    pub(crate) page: Client,
}

/// The driver's process, and its group, which the browser is in.
struct Driver(Child);

/// What the page has said into its console since the last time: errors, and what its policy forbade.
#[derive(Debug)]
struct Log;

// === impl Browser ===

impl Browser {
    /// `None` if the tests were told to go without.
    pub(crate) async fn start(width: u32) -> Option<Self> {
        if std::env::var_os(SKIP).is_some() {
            println!("{SKIP} is set: nothing was looked at in a browser");
            return None;
        }
        let port = port::free();
        let mut command = Command::new("chromedriver");
        command.arg(format!("--port={port}")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        std::os::unix::process::CommandExt::process_group(&mut command, 0); // the browser dies with it
        let driver = command.spawn().map(Driver).unwrap_or_else(|error| {
            panic!("chromedriver: {error}\nThese tests need chromium and chromedriver; {SKIP}=1 goes without them.")
        });
        let flags: Vec<_> =
            FLAGS.iter().map(ToString::to_string).chain([format!("--window-size={width},1000")]).collect();
        let wishes = json!({"goog:chromeOptions": {"args": flags}, "goog:loggingPrefs": {"browser": "ALL"}});
        let Value::Object(wishes) = wishes else { unreachable!("it was made as one") };
        let connect = async || {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            builder.capabilities(wishes.clone()).connect(&format!("http://127.0.0.1:{port}")).await
        };
        for _ in 0..200 {
            if let Ok(page) = connect().await {
                page.update_timeouts(TimeoutConfiguration::default()).await.expect("the browser answers");
                return Some(Self { _driver: driver, page });
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("chromedriver does not answer");
    }

    /// What a script says of the page.
    pub(crate) async fn eval(&self, expression: &str) -> Value {
        self.page.execute(&format!("return {expression}"), Vec::new()).await.expect("a script that works")
    }

    /// Waits until a script says so.
    pub(crate) async fn until(&self, expression: &str) {
        let waits = async {
            while self.eval(expression).await != Value::Bool(true) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, waits).await.is_err() {
            let page = self.eval("document.documentElement.dataset.state + ': ' + document.body.innerText").await;
            panic!("never: {expression}\n{page}");
        }
    }

    /// The number behind what an element shows.
    pub(crate) async fn value(&self, selector: &str) -> f64 {
        let value = self.eval(&format!("Number(document.querySelector('{selector}')?.dataset.value ?? NaN)")).await;
        value.as_f64().unwrap_or(f64::NAN)
    }

    /// Keys, to whatever has the focus after this element has been given it.
    pub(crate) async fn keys(&self, selector: &str, keys: &str) {
        let element = self.page.find(Locator::Css(selector)).await.expect("it is there");
        self.page
            .execute("arguments[0].focus()", vec![serde_json::to_value(&element).expect("an element")])
            .await
            .expect("it takes the focus");
        let active = self.page.active_element().await.expect("something has the focus");
        active.send_keys(keys).await.expect("it takes keys");
    }

    /// Whatever went wrong in the page, but for a connection that was lost on purpose.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let said = self.page.issue_cmd(Log).await.expect("chromedriver has a log");
        let lines = said.as_array().cloned().unwrap_or_default();
        let lines = lines.iter().filter_map(|line| line["message"].as_str().map(str::to_owned));
        lines.filter(|line| !line.contains("net::ERR_")).collect()
    }

    pub(crate) async fn shot(&self, name: &str) {
        let picture = self.page.screenshot().await.expect("a picture");
        if let Some(place) = std::env::var_os(SHOTS) {
            std::fs::write(Path::new(&place).join(format!("{name}.png")), picture).expect("a place for pictures");
        }
    }
}

// === impl Driver ===

impl Drop for Driver {
    fn drop(&mut self) {
        // One that has ended already is as good as killed.
        kill_process_group(Pid::from_child(&self.0), Signal::KILL).unwrap_or_default();
        drop(self.0.wait());
    }
}

// === impl Log ===

impl WebDriverCompatibleCommand for Log {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({"type": "browser"}).to_string()))
    }
}
