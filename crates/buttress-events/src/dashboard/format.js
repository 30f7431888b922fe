// Numbers and times in the words of the reader.

const whole = new Intl.NumberFormat("en");
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const one = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const three = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });

export const count = (n) => whole.format(n);
export const brief = (n) => (Math.abs(n) < 10000 ? one.format(n) : short.format(n));
export const share = (part) => (part === null ? "–" : `${three.format(part * 100)} %`);
export const rate = (n) => (n === null ? "–" : n < 10 ? one.format(n) : brief(Math.round(n)));

/** A latency, given in seconds. */
export function seconds(value) {
  if (value === null) return "–";
  if (value < 0.001) return `${three.format(value * 1e6)} µs`;
  if (value < 1) return `${three.format(value * 1e3)} ms`;
  return `${three.format(value)} s`;
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const exact = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
const date = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short", timeZone: "UTC" });
const full = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

export const timeOfDay = (at) => exact.format(at);

/** What stands below a step of this length, in seconds. Days are those of UTC. */
export const tick = (at, step) => (step >= 86400 ? date.format(at) : clock.format(at));

/** A step in full: by the clock here, and by UTC. */
export function moment(at, step) {
  const utc = `${new Date(at).toISOString().slice(0, step >= 86400 ? 10 : 16).replace("T", " ")} UTC`;
  return step >= 86400 ? [date.format(at), utc] : [full.format(at), utc];
}

/** How much more or less than before, in words; and null where there was nothing before. */
export function change(now, before) {
  if (before === null || before === 0) return null;
  const by = now / before - 1;
  if (Math.abs(by) < 0.005) return { text: "as before", by: 0 };
  return { text: `${by > 0 ? "▲" : "▼"} ${three.format(Math.abs(by) * 100)} %`, by };
}
