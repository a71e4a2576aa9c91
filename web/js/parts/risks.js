/** Risks of components as words with a colour. */
import { number } from "../format.js";
import { html, nothing } from "../html.js";
import { bar } from "./bars.js";

/** A probability in percent. */
export const percent = (value) => (value === null || value === undefined ? "–" : `${number(Math.round(value * 1000) / 10)} %`);

/** A component's risk, as a number and as a bar. */
export function risk(component) {
  return html`<span>${percent(component.risk)}</span>
    ${bar([[component.warns ? "critical" : "low", component.risk], ["none", 1 - component.risk]], "progress")}`;
}

/** Whether a component warns. */
export function warning(component) {
  return component.warns ? html`<span class="badge tone-critical">warns</span>` : nothing;
}

/** How the first risks come about. */
export function noRisks() {
  return html`<code>sensorwatch maintenance ingest DIR</code> takes in the data of machines, and <code>sensorwatch maintenance run</code> trains a model and finds their risks; the timer does so from then on.`;
}
