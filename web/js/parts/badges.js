/** Coloured labels of states and severities. */
import { html, nothing } from "../html.js";

/** Severities, most severe first. */
export const SEVERITIES = ["critical", "high", "medium", "low"];

/** States of sensors, each with the tone of its colour and its meaning. */
export const SENSOR_STATES = {
  ready: ["good", "Has a current model"],
  stale: ["medium", "Has an outdated model"],
  warming: ["low", "Collecting data for its first model"],
  failed: ["critical", "Training produced no model"],
  "no-data": ["quiet", "No data for a long time"],
};

const TONES = {
  open: "critical", acknowledged: "low", silenced: "quiet", resolved: "good", closed: "good",
  planned: "quiet", running: "low", succeeded: "good",
  failed: "critical", done: "good",
};
const WORDS = { silenced: "muted", "no-data": "no data" };
const KINDS = { anomaly: "anomaly", "no-data": "no data", flatline: "flatline", "failure-risk": "failure risk", "ingestion-stopped": "ingestion stopped" };

/** Render a severity. */
export function severity(name) {
  return name ? html`<span class=${`badge tone-${name}`}>${name}</span>` : nothing;
}

/** Return the word that people read for a state of the API. */
export const stateName = (name) => WORDS[name] ?? name;

/** Render the state of an alert, an incident, a task or a run. */
export function state(name) {
  return html`<span class=${`badge tone-${TONES[name] ?? "quiet"}`}>${stateName(name)}</span>`;
}

/** Render the state of a sensor. */
export function sensorState(name) {
  const [tone, meaning] = SENSOR_STATES[name] ?? ["quiet", ""];
  return html`<span class=${`badge tone-${tone}`} title=${meaning}>${stateName(name)}</span>`;
}

/** Return the word that people read for a kind of alert. */
export const kindOf = (kind) => KINDS[kind] ?? kind;
