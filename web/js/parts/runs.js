/** State and progress of a run. */
import { count } from "../format.js";
import { html } from "../html.js";
import { state } from "./badges.js";
import { bar } from "./bars.js";

const sum = (tasks) => Object.values(tasks).reduce((total, value) => total + value, 0);

/** Render the state of a run. */
export function standing(run) {
  if (run.ended_at) return state(run.tasks.failed ? "failed" : "succeeded");
  return state(run.tasks.running || run.tasks.succeeded || run.tasks.failed ? "running" : "planned");
}

/** Render the number of ended tasks as text and a bar. */
export function progress(tasks) {
  const { succeeded = 0, failed = 0, running = 0, planned = 0 } = tasks;
  return html`<span>${count(succeeded + failed)} of ${count(sum(tasks))}</span>
    ${bar([["good", succeeded], ["critical", failed], ["low", running], ["none", planned]], "progress")}`;
}
