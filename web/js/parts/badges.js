/** States and severities as words with a colour. */
import { html, nothing } from "../html.js";

/** Severities from the worst to the mildest. */
export const SEVERITIES = ["critical", "high", "medium", "low"];

/** States of sensors, each with the tone of its colour and what it means. */
export const SENSOR_STATES = {
  ready: ["good", "Has a model of recent data"],
  stale: ["medium", "Its model is old"],
  warming: ["low", "Gathers windows for its first model"],
  failed: ["critical", "Training gave no model"],
  "no-data": ["quiet", "No recent data"],
};

const TONES = {
  open: "critical", acknowledged: "low", silenced: "quiet", resolved: "good", closed: "good",
  planned: "quiet", running: "low", succeeded: "good",
  failed: "critical", done: "good",
};
const KINDS = { anomaly: "anomaly", "no-data": "no data", flatline: "flatline", "failure-risk": "failure risk" };

/** How bad something is. */
export function severity(name) {
  return name ? html`<span class=${`badge tone-${name}`}>${name}</span>` : nothing;
}

/** Where an alert, an incident, a task or a run stands. */
export function state(name) {
  return html`<span class=${`badge tone-${TONES[name] ?? "quiet"}`}>${name}</span>`;
}

/** Where a sensor stands. */
export function sensorState(name) {
  const [tone, meaning] = SENSOR_STATES[name] ?? ["quiet", ""];
  return html`<span class=${`badge tone-${tone}`} title=${meaning}>${name}</span>`;
}

/** What an alert is about, in words. */
export const kindOf = (kind) => KINDS[kind] ?? kind;
