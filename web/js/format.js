/** Formatting of numbers, times and durations. Times are in the viewer's time zone, with UTC on hover. */
import { html } from "./html.js";

const NONE = "–";
const whole = new Intl.NumberFormat("en");
const digits = new Intl.NumberFormat("en", { maximumSignificantDigits: 5 });
const sameYear = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });
const otherYear = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

/** Time zone of the viewer, such as `Europe/Berlin`. */
export const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;

/** Format a count with thousands separators. */
export const count = (value) => (value === null || value === undefined ? NONE : whole.format(value));

/** Format a measured value with five significant digits. */
export const number = (value) => (value === null || value === undefined ? NONE : digits.format(value));

/** Format a count with its noun: `3 alerts`. */
export const counted = (value, one, many = `${one}s`) => `${count(value)} ${value === 1 ? one : many}`;

/** Format a range; one side may be open. */
export function range(low, high) {
  if (low === null || low === undefined) return high === null || high === undefined ? NONE : `at most ${number(high)}`;
  return high === null || high === undefined ? `at least ${number(low)}` : `${number(low)} to ${number(high)}`;
}

/** Format a duration in its largest suitable unit. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return NONE;
  const size = Math.abs(seconds);
  if (size < 1) return `${Math.round(size * 1000)} ms`;
  if (size < 100) return `${number(Math.round(size * 10) / 10)} s`;
  if (size < 6000) return `${Math.round(size / 60)} min`;
  if (size < 172_800) return `${number(Math.round(size / 360) / 10)} h`;
  return `${Math.round(size / 86_400)} days`;
}

/** Format a time in the viewer's time zone. */
export function moment(value) {
  const date = new Date(typeof value === "number" ? value * 1000 : value);
  return (date.getFullYear() === new Date().getFullYear() ? sameYear : otherYear).format(date);
}

/** Format a time in UTC, to the second. */
export function utc(value) {
  return new Date(typeof value === "number" ? value * 1000 : value).toISOString().replace("T", " ").replace(/\.\d+Z$/, " UTC");
}

/** Render a time as an element; `value` is an ISO 8601 text or seconds since 1970. */
export function time(value) {
  if (value === null || value === undefined) return NONE;
  const date = new Date(typeof value === "number" ? value * 1000 : value);
  return html`<time datetime=${date.toISOString()} title=${utc(value)}>${moment(value)}</time>`;
}
