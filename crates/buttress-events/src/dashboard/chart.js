// Charts: drawn as SVG, read by pointer, by arrow keys, by a screen reader, or as a table.

import { moment, tick } from "./format.js";

const NS = "http://www.w3.org/2000/svg";
const SIDE = 46, TOP = 8, BELOW = 22, RIGHT = 6;

/** An element with attributes and children; text is always text. */
export function make(name, attributes = {}, ...children) {
  const isSvg = ["svg", "g", "rect", "path", "line", "text", "circle", "pattern", "defs"].includes(name);
  const element = isSvg ? document.createElementNS(NS, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

/** Steps of 1, 2 or 5 that end above the highest value. */
export function ticks(highest, most = 4) {
  if (!(highest > 0)) return [0, 1];
  const raw = highest / most;
  const magnitude = 10 ** Math.floor(Math.log10(raw));
  const step = magnitude * ([1, 2, 5].find((n) => n * magnitude >= raw * 0.9999) ?? 10);
  const all = [];
  for (let value = 0; value < highest + step * 0.9999; value += step) all.push(value);
  return all;
}

/** A scale that grows by tens, for what lies far apart: the marks, and where a value stands between them. Nothing is below its lowest. */
function byTens(values) {
  const [low, high] = values.length ? [Math.min(...values), Math.max(...values)] : [1, 10];
  const bottom = 10 ** Math.floor(Math.log10(low) + 1e-9), top = 10 ** Math.ceil(Math.log10(high * 1.0001) - 1e-9);
  const decades = Math.max(1, Math.round(Math.log10(top / bottom)));
  const marks = [];
  for (let n = 0; n <= decades; n += 1) {
    marks.push(bottom * 10 ** n);
    if (decades <= 2 && n < decades) marks.push(bottom * 3 * 10 ** n);
  }
  return { marks, part: (value) => Math.log10(value / bottom) / decades };
}

/** One that grows evenly from nothing. */
function evenly(highest, fixed) {
  const marks = ticks(fixed ?? highest);
  const top = fixed ?? marks.at(-1);
  return { marks: marks.filter((mark) => mark <= top * 1.0001), part: (value) => value / top };
}

/** Which steps have their time below them: round ones, as many as have room. */
function labelled(times, step, room) {
  const every = [1, 2, 3, 5, 6, 10, 15, 30, 60].find((n) => (n * room.slot) >= room.least) ?? times.length;
  return times.map((at, n) => n).filter((n) => Math.round(times[n] / 1000 / step) % every === 0);
}

/** A line with what is below it, in so many units of width and height. */
export function spark(values, label) {
  const highest = Math.max(1e-9, ...values);
  const x = (n) => (values.length > 1 ? (n / (values.length - 1)) * 100 : 50);
  const points = values.map((value, n) => `${x(n).toFixed(1)},${(19 - (value / highest) * 17).toFixed(1)}`);
  const svg = make("svg", { viewBox: "0 0 100 20", preserveAspectRatio: "none", role: "img", "aria-label": label });
  if (points.length) {
    svg.append(make("path", { class: "spark-ground", d: `M0,20 L${points.join(" L")} L100,20 Z` }));
    svg.append(make("path", { class: "spark", d: `M${points.join(" L")}`, "vector-effect": "non-scaling-stroke" }));
  }
  return svg;
}

/**
 * A chart in a place. `series`: [{ key, name, values }], bars that are stacked or lines; up to `highest`, or by `tens`, or as high as they are. It is drawn
 * anew with `show`, and the reader's place in it stays.
 */
export class Chart {
  constructor(place, { title, height = 220, stacked, format, highest, tens }) {
    Object.assign(this, { place, title, height, stacked, format, highest, tens, at: null });
    this.plot = make("div", { class: "plot" });
    this.svg = make("svg", { tabindex: "0", role: "application", "aria-roledescription": "chart", "aria-label": `${title}. Arrow keys read the steps.` });
    this.tip = make("div", { class: "tip", hidden: "" });
    this.said = make("p", { class: "unseen", role: "status", "data-said": "" });
    this.legend = make("ul", { class: "legend" });
    this.table = make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": `${title} as a table` });
    this.details = make("details", {}, make("summary", {}, "Show as table"), this.table);
    this.empty = make("p", { class: "empty", hidden: "" });
    this.plot.append(this.svg, this.tip, this.said);
    place.append(this.empty, this.plot, this.legend, this.details);
    this.svg.addEventListener("pointermove", (event) => this.point(event));
    this.svg.addEventListener("pointerleave", () => this.go(null));
    this.svg.addEventListener("keydown", (event) => this.key(event));
    this.svg.addEventListener("blur", () => this.go(null));
    this.details.addEventListener("toggle", () => this.fill());
    new ResizeObserver(() => this.data && this.draw()).observe(this.plot);
  }

  show(data, empty) {
    this.data = data;
    this.empty.textContent = empty ?? "";
    this.empty.hidden = !empty;
    for (const part of [this.plot, this.legend, this.details]) part.hidden = Boolean(empty);
    if (!empty) {
      this.draw();
      this.fill();
    }
  }

  draw() {
    const { times, series, step } = this.data;
    const width = this.plot.clientWidth || 600, height = this.height;
    const inner = { width: width - SIDE - RIGHT, height: height - TOP - BELOW };
    const sums = times.map((_, n) => (this.stacked ? series.reduce((sum, one) => sum + one.values[n], 0) : Math.max(0, ...series.map((one) => one.values[n] ?? 0))));
    const known = series.flatMap((one) => one.values.filter((value) => value > 0));
    const { marks, part } = this.tens ? byTens(known) : evenly(Math.max(...sums), this.highest);
    this.slot = inner.width / times.length;
    const y = (value) => TOP + inner.height * (1 - Math.max(0, Math.min(part(value), 1)));
    const x = (n) => SIDE + this.slot * (n + 0.5);
    this.svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.svg.setAttribute("height", height);
    const parts = marks.flatMap((mark) => [
      make("line", { class: part(mark) > 0 ? "grid" : "base", x1: SIDE, x2: width - RIGHT, y1: y(mark), y2: y(mark) }),
      make("text", { x: SIDE - 8, y: y(mark) + 4, "text-anchor": "end" }, this.format(mark)),
    ]);
    for (const n of labelled(times, step, { slot: this.slot, least: 74 })) {
      const isAtEnd = x(n) > width - 34;
      parts.push(make("text", { x: isAtEnd ? width : x(n), y: height - 5, "text-anchor": isAtEnd ? "end" : "middle" }, tick(times[n], step)));
    }
    parts.push(...(this.stacked ? this.bars(x, y) : this.lines(x, y)));
    this.cursor = make("line", { class: "cursor", y1: TOP, y2: height - BELOW, visibility: "hidden" });
    this.svg.replaceChildren(...parts, this.cursor);
    this.legend.replaceChildren(...series.map((one) => make("li", {}, this.swatch(one), one.name)));
    if (this.at !== null) this.go(Math.min(this.at, times.length - 1), false);
  }

  bars(x, y) {
    const { times, series } = this.data;
    const thick = Math.max(1, this.slot - Math.min(3, this.slot * 0.25));
    const last = times.length - 1;
    return times.map((_, n) => {
      let below = 0;
      const pile = make("g", n === last ? { class: "unfinished" } : {});
      for (const one of series) {
        const value = one.values[n];
        if (!value) continue;
        const from = y(below), to = y(below + value);
        below += value;
        pile.append(make("rect", { class: `k-${one.key}`, x: (x(n) - thick / 2).toFixed(2), width: thick.toFixed(2), y: to.toFixed(2), height: Math.max(0.75, from - to).toFixed(2) }));
      }
      return pile;
    });
  }

  lines(x, y) {
    const last = this.data.times.length - 1;
    return this.data.series.flatMap((one) => {
      let path = "", alone = [];
      one.values.forEach((value, n) => {
        if (value === null) return;
        const follows = n > 0 && one.values[n - 1] !== null;
        path += `${follows ? "L" : "M"}${x(n).toFixed(1)},${y(value).toFixed(1)} `;
        const isAlone = !follows && (n === last || one.values[n + 1] === null);
        if (isAlone || n === last) alone.push(make("circle", { class: `point l-${one.key}${n === last ? " unfinished" : ""}`, cx: x(n), cy: y(value), r: 2.5 }));
      });
      return [make("path", { class: `line l-${one.key}`, d: path || "M0,0" }), ...alone];
    });
  }

  swatch(one) {
    const svg = make("svg", { viewBox: "0 0 12 12", "aria-hidden": "true" });
    svg.append(this.stacked ? make("rect", { class: `k-${one.key}`, width: 12, height: 12, rx: 3 }) : make("path", { class: `line l-${one.key}`, d: "M0,6 L12,6" }));
    return svg;
  }

  point(event) {
    const box = this.svg.getBoundingClientRect();
    const n = Math.floor((event.clientX - box.left - SIDE) / this.slot);
    this.go(Math.max(0, Math.min(n, this.data.times.length - 1)), false);
  }

  key(event) {
    const last = this.data.times.length - 1, at = this.at ?? last + 1;
    const to = { ArrowLeft: Math.max(0, at - 1), ArrowRight: Math.min(last, at + 1), Home: 0, End: last, Escape: null }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    this.go(to, true);
  }

  /** Reads a step; aloud if it was asked for by a key. */
  go(n, aloud) {
    this.at = n;
    this.tip.hidden = n === null;
    this.cursor?.setAttribute("visibility", n === null ? "hidden" : "visible");
    if (n === null) return;
    const { times, series, step } = this.data;
    const x = SIDE + this.slot * (n + 0.5);
    this.cursor.setAttribute("x1", x);
    this.cursor.setAttribute("x2", x);
    const [here, utc] = moment(times[n], step);
    const isLast = n === times.length - 1;
    const shown = series.filter((one) => !this.stacked || one.values[n]);
    const rows = shown.map((one) => make("span", {}, one.name, make("i", {}, this.format(one.values[n], true))));
    if (!rows.length) rows.push(make("span", {}, "nothing"));
    this.tip.replaceChildren(make("b", {}, here), ...rows, make("small", {}, isLast ? `${utc}, not over yet` : utc));
    const room = this.plot.clientWidth, width = this.tip.offsetWidth;
    this.tip.style.left = `${Math.max(0, Math.min(x > room / 2 ? x - width - 12 : x + 12, room - width))}px`;
    const words = shown.map((one) => `${one.name} ${this.format(one.values[n], true)}`).join(", ") || "nothing";
    if (aloud) this.said.textContent = `${here}: ${words}${isLast ? ", not over yet" : ""}`;
  }

  /** The table, while somebody has it open. */
  fill() {
    if (!this.details.open || !this.data) return;
    const { times, series, step } = this.data;
    const head = make("tr", {}, make("th", { scope: "col" }, "Step"), ...series.map((one) => make("th", { scope: "col" }, one.name)));
    const rows = times.map((at, n) => make("tr", {}, make("th", { scope: "row" }, moment(at, step)[0]), ...series.map((one) => make("td", {}, this.format(one.values[n], true)))));
    this.table.replaceChildren(make("table", {}, make("caption", { class: "unseen" }, this.title), make("thead", {}, head), make("tbody", {}, ...rows.reverse())));
  }
}
