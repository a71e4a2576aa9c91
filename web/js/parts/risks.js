/** Risks of components as text and bars. */
import { number } from "../format.js";
import { html, nothing } from "../html.js";
import { bar } from "./bars.js";

/** Format a probability in percent. */
export const percent = (value) => (value === null || value === undefined ? "–" : `${number(Math.round(value * 1000) / 10)} %`);

/** Render the risk of a component as a number and a bar. */
export function risk(component) {
  return html`<span>${percent(component.risk)}</span>
    ${bar([[component.warns ? "critical" : "low", component.risk], ["none", 1 - component.risk]], "progress")}`;
}

/** Render a label if the component has a warning. */
export function warning(component) {
  return component.warns ? html`<span class="badge tone-critical">warning</span>` : nothing;
}

/** Render the instructions that lead to the first risks. */
export function noRisks() {
  return html`Import the data of your machines with <code>sensorwatch maintenance ingest DIR</code>, then train a model and score the machines with <code>sensorwatch maintenance run</code>. After that, a timer keeps the risks up to date.`;
}
