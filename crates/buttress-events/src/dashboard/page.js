// The page: asks for figures, says how old they are, and puts each where it belongs.

import { Chart, make, spark } from "./chart.js";
import { brief, change, count, rate, seconds, share, timeOfDay, moment } from "./format.js";

const CLASSES = [["2xx", "2xx"], ["3xx", "3xx"], ["1xx", "1xx"], ["4xx", "4xx"], ["5xx", "5xx errors"], ["cancelled", "cancelled"]];
const root = document.documentElement;
const $ = (selector) => document.querySelector(selector);

const charts = {
  requests: new Chart($('[data-chart="requests"]'), { title: "Requests by how they ended", height: 240, stacked: true, format: (n, exact) => (exact ? count(n) : brief(n)) }),
  latency: new Chart($('[data-chart="latency"]'), { title: "Latency", tens: true, format: seconds }),
  cache: new Chart($('[data-chart="cache"]'), { title: "Cache hit ratio", highest: 1, format: share }),
};

// === Colours ===

const dark = matchMedia("(prefers-color-scheme: dark)");
let theme = "system";
try { theme = localStorage.getItem("theme") ?? theme; } catch { /* no storage: the system's */ }

function paint() {
  root.dataset.theme = theme === "system" ? (dark.matches ? "dark" : "light") : theme;
  const chosen = $(`#theme [value="${theme}"]`);
  if (chosen) chosen.checked = true;
}

dark.addEventListener("change", paint);
$("#theme").addEventListener("change", (event) => {
  theme = event.target.value;
  try { localStorage.setItem("theme", theme); } catch { /* until the page is left */ }
  paint();
});
paint();

// === Figures as they come ===

let source = null, retry = null, wait = 500, latest = null, perSecond = [], sort = { by: "requests", down: true };

function say(state, text) {
  root.dataset.state = state;
  if ($("#state-text").textContent !== text) $("#state-text").textContent = text;
}

const asked = () => $("#window input:checked").value;

/** A stream ends with its window, and is opened again when the browser gives up. */
function open() {
  clearTimeout(retry);
  source?.close();
  source = new EventSource(`live?window=${asked()}`);
  const mine = source;
  mine.addEventListener("overview", (event) => {
    if (mine !== source) return;
    wait = 500;
    latest = JSON.parse(event.data);
    show(latest);
    if (latest.away) say("away", `away: figures of ${timeOfDay(latest.as_of)}`);
    else say("live", "live");
  });
  mine.addEventListener("error", () => {
    if (mine !== source) return;
    say("reconnecting", latest ? `reconnecting: figures of ${timeOfDay(latest.as_of)}` : "reconnecting");
    if (mine.readyState === EventSource.CLOSED) {
      retry = setTimeout(open, wait);
      wait = Math.min(wait * 2, 5000);
    }
  });
}

$("#window").addEventListener("change", () => {
  history.replaceState(null, "", `#${asked()}`);
  open();
});
const wanted = $(`#window [value="${CSS.escape(location.hash.slice(1))}"]`);
if (wanted) wanted.checked = true;
say("connecting", "connecting");
open();

// === What is shown ===

function figure(name, text, value) {
  const place = $(`[data-figure="${name}"]`);
  place.dataset.value = value ?? "";
  if (place.textContent !== text) place.textContent = text;
}

function beside(name, ...children) {
  $(`[data-beside="${name}"]`).replaceChildren(...children.filter(Boolean));
}

function compared(now, before, moreIsWorse) {
  const by = change(now, before);
  if (!by) return "nothing before";
  const kind = by.by === 0 || moreIsWorse === undefined ? "" : by.by > 0 === moreIsWorse ? "worse" : "better";
  return make("span", { class: kind, title: `${count(before)} in the window before` }, by.text);
}

function show(data) {
  const { requests, latency, cache, times, window: { step } } = data;
  figure("requests-total", requests.total < 1e6 ? count(requests.total) : brief(requests.total), requests.total);
  beside("requests", compared(requests.total, requests.previous));
  figure("per-second", rate(requests.per_second), requests.per_second);
  perSecond = [...perSecond, requests.per_second ?? 0].slice(-60);
  $('[data-spark="per-second"]').replaceChildren(spark(perSecond, "Requests per second in the last minute"));
  figure("error-rate", requests.total ? share(requests.errors / requests.total) : "–", requests.total ? requests.errors / requests.total : null);
  const errors = make("span", { "data-figure": "errors", "data-value": requests.errors }, `${count(requests.errors)} failed`);
  beside("errors", errors, requests.previous_errors ? ", " : "", requests.previous_errors ? compared(requests.errors, requests.previous_errors, true) : "");
  figure("p99", seconds(latency.window.p99), latency.window.p99);
  const quantile = (name, word) => make("span", { "data-figure": name, "data-value": latency.window[name] ?? "" }, `${word} ${seconds(latency.window[name])}`);
  beside("latency", quantile("p50", "median"), ", ", quantile("p90", "90th"));
  figure("cache-ratio", cache ? share(cache.ratio) : "–", cache?.ratio);
  const sum = (all) => all.reduce((one, other) => one + other, 0);
  beside("cache", cache ? `${count(sum(cache.hits))} of ${count(sum(cache.asked))}` : "no cache is counted");
  warn(data);

  const none = requests.total ? null : "No requests in this window yet.";
  const classes = CLASSES.map(([key, name]) => ({ key, name, values: requests[key] }));
  const happened = classes.filter((one) => ["2xx", "4xx", "5xx"].includes(one.key) || one.values.some(Boolean));
  charts.requests.show({ times, step, series: happened }, none);
  const lines = [["p50", "median"], ["p90", "90th percentile"], ["p99", "99th percentile"]];
  charts.latency.show({ times, step, series: lines.map(([key, name]) => ({ key, name, values: latency[key] })) }, none);
  const ratios = cache?.asked.map((all, n) => (all ? cache.hits[n] / all : null));
  const isAsked = ratios?.some((ratio) => ratio !== null);
  charts.cache.show({ times, step, series: [{ key: "ratio", name: "answered without the origin", values: ratios ?? [] }] }, isAsked ? null : "No cache was asked in this window.");

  showRoutes(data.routes);
  showEvents(data.events);
  showRankings(data.rankings);
  showUniques(data.uniques);
}

function warn({ dropped, overflowed }) {
  const words = [];
  if (overflowed) words.push(`${count(overflowed)} were counted without their labels: there are too many different ones. A label should have few values; rank what has many.`);
  if (dropped) words.push(`${count(dropped)} could not be counted since this process began: the store was away for too long, or too many members of a ranking came at once.`);
  $("#notice").textContent = words.join(" ");
  $("#notice").hidden = !words.length;
}

/** Keeps the focus where it is, though its element is made anew. */
function replace(place, ...children) {
  const held = place.contains(document.activeElement) ? document.activeElement.dataset.hold : null;
  place.replaceChildren(...children);
  if (held) place.querySelector(`[data-hold="${CSS.escape(held)}"]`)?.focus();
}

const empty = (text) => make("p", { class: "empty" }, text);
const bar = (part) => make("span", { class: "bar", "aria-hidden": "true" }, make("svg", { viewBox: "0 0 100 6", preserveAspectRatio: "none" }, make("rect", { width: part * 100, height: 6 })));
const rowSpark = (values, name) => {
  const svg = spark(values, `${name} over the window`);
  svg.setAttribute("class", "row-spark");
  return svg;
};

const COLUMNS = [["route", "Route", "left"], ["requests", "Requests", ""], ["errors", "Errors", ""], ["p50", "Median", "hide-small"], ["p99", "99th", ""]];

function showRoutes(routes) {
  const place = $('[data-list="routes"]');
  if (!routes.length) return replace(place, empty("No requests in this window yet."));
  const most = Math.max(...routes.map((one) => one.requests));
  const sorted = [...routes].sort((one, other) => {
    const [a, b] = [one[sort.by] ?? -1, other[sort.by] ?? -1];
    return (a < b ? -1 : a > b ? 1 : 0) * (sort.down ? -1 : 1);
  });
  const heads = COLUMNS.map(([key, name, kind]) => {
    const button = make("button", { type: "button", "data-hold": `sort-${key}` }, sort.by === key ? `${name} ${sort.down ? "↓" : "↑"}` : name);
    button.addEventListener("click", () => {
      sort = { by: key, down: sort.by === key ? !sort.down : key !== "route" };
      showRoutes(latest.routes);
    });
    return make("th", { scope: "col", class: kind, ...(sort.by === key ? { "aria-sort": sort.down ? "descending" : "ascending" } : {}) }, button);
  });
  heads.push(make("th", { scope: "col", class: "hide-small" }, "Share"), make("th", { scope: "col", class: "hide-small" }, "Over the window"));
  const rows = sorted.map((one) => make("tr", { "data-route": one.route, "data-method": one.method, "data-value": one.requests },
    make("td", { class: "name", title: `${one.method} ${one.route}` }, make("span", { class: "method" }, one.method), one.route),
    make("td", {}, count(one.requests)),
    make("td", { class: one.errors ? "worse" : "" }, count(one.errors)),
    make("td", { class: "hide-small" }, seconds(one.p50)),
    make("td", {}, seconds(one.p99)),
    make("td", { class: "hide-small" }, bar(one.requests / most)),
    make("td", { class: "hide-small" }, rowSpark(one.spark, one.route))));
  replace(place, make("div", { class: "scroll plain" }, make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows))));
}

function showEvents(events) {
  const place = $('[data-list="events"]');
  if (!events.length) return replace(place, empty("Nothing was recorded in this window: events.record(\"login\")."));
  const rows = events.map((one) => {
    const labels = Object.entries(one.labels).map(([key, value]) => make("span", { class: "label" }, `${key}=${value}`));
    const by = change(one.count, one.previous);
    return make("tr", { "data-event": one.name, "data-value": one.count },
      make("td", { class: "name", title: [one.name, ...Object.entries(one.labels).map((pair) => pair.join("="))].join(" ") }, one.name, ...labels),
      make("td", {}, count(one.count)),
      make("td", { class: "hide-small" }, by?.text ?? ""),
      make("td", { class: "hide-small" }, rowSpark(one.spark, one.name)));
  });
  const heads = [["Event", "left"], ["Count", ""], ["Change", "hide-small"], ["Over the window", "hide-small"]].map(([name, kind]) => make("th", { scope: "col", class: kind }, name));
  replace(place, make("div", { class: "scroll plain" }, make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows))));
}

function showRankings(rankings) {
  const place = $('[data-list="rankings"]');
  const full = rankings.filter((one) => one.entries.length);
  if (!full.length) return replace(place, empty("Nothing was ranked in this window: events.rank(\"article\", slug, 1)."));
  const all = full.map(({ name, entries }) => {
    const most = entries[0][1] || 1;
    const rows = entries.map(([member, value]) => make("tr", { "data-member": member, "data-value": value }, make("td", { class: "name", title: member }, member), make("td", {}, count(value)), make("td", {}, bar(value / most))));
    return make("div", { "data-ranking": name }, make("h3", {}, name), make("table", {}, make("tbody", {}, ...rows)));
  });
  replace(place, make("div", { class: "columns" }, ...all));
}

function showUniques(uniques) {
  const place = $('[data-list="uniques"]');
  if (!uniques.length) return replace(place, empty("Nobody is counted."));
  const all = uniques.map(({ name, days }) => {
    const most = Math.max(1, ...days.map(([, value]) => value));
    const rows = days.map(([day, value]) => make("tr", { "data-day": day, "data-value": value }, make("td", {}, moment(day, 86400)[0]), make("td", {}, count(value)), make("td", {}, bar(value / most))));
    return make("div", { "data-unique": name }, make("h3", {}, name), make("table", {}, make("tbody", {}, ...rows.reverse())));
  });
  replace(place, make("div", { class: "columns" }, ...all));
}
