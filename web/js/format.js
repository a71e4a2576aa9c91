/** Numbers, times and durations as people read them. Times are in the viewer's zone, with UTC on hover. */
import { html } from "./html.js";

const NONE = "–";
const whole = new Intl.NumberFormat("en");
const digits = new Intl.NumberFormat("en", { maximumSignificantDigits: 5 });
const sameYear = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });
const otherYear = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

/** The viewer's time zone, such as `Europe/Berlin`. */
export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** A count with separators. */
export const count = (value) => (value === null || value === undefined ? NONE : whole.format(value));

/** A measured value, to five digits. */
export const number = (value) => (value === null || value === undefined ? NONE : digits.format(value));

/** One noun or more: `3 alerts`. */
export const counted = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;

/** A range with one side open, or none. */
export function range(low, high) {
  if (low === null || low === undefined) return high === null || high === undefined ? NONE : `at most ${number(high)}`;
  return high === null || high === undefined ? `at least ${number(low)}` : `${number(low)} to ${number(high)}`;
}

/** A duration in its largest sensible unit. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return NONE;
  const size = Math.abs(seconds);
  if (size < 1) return `${Math.round(size * 1000)} ms`;
  if (size < 100) return `${number(Math.round(size * 10) / 10)} s`;
  if (size < 6000) return `${Math.round(size / 60)} min`;
  if (size < 172_800) return `${number(Math.round(size / 360) / 10)} h`;
  return `${Math.round(size / 86_400)} days`;
}

/** A moment in words, in the viewer's zone. */
export function moment(value) {
  const date = new Date(typeof value === "number" ? value * 1000 : value);
  return (date.getFullYear() === new Date().getFullYear() ? sameYear : otherYear).format(date);
}

/** A moment in UTC, to the second. */
export function utc(value) {
  return new Date(typeof value === "number" ? value * 1000 : value).toISOString().replace("T", " ").replace(/\.\d+Z$/, " UTC");
}

/** A moment as an element; `value` is an ISO text or seconds since 1970. */
export function time(value) {
  if (value === null || value === undefined) return NONE;
  const date = new Date(typeof value === "number" ? value * 1000 : value);
  return html`<time datetime=${date.toISOString()} title=${utc(value)}>${moment(value)}</time>`;
}
