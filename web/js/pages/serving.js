/** Page of real-time scoring: counts of readings, models with their latency, and newest results. */
import { get } from "../api.js";
import { count, duration, number, time } from "../format.js";
import { html, nothing } from "../html.js";
import { empty, livePage } from "../page.js";
import { linkTo } from "../router.js";

export const title = "Real time";
const ANOMALOUS = 50;
const COUNTS = [
  ["received", "Readings received"], ["scored", "Scored"], ["not_in_time", "Missed the deadline"], ["without_model", "Without a model"],
  ["late", "Late"], ["duplicate", "Duplicate"], ["invalid", "Invalid"],
];

/** Show the page. */
export function open({ root }) {
  const page = livePage({
    root,
    load: async (signal) => ({ serving: await get("/api/serving", { signal }) }),
    template: ({ serving }) => html`
      <div class="page-head"><div><h1>Real time</h1><p class="sub">Readings are scored as they arrive. Batch scoring later confirms or replaces each result.</p></div></div>
      ${serving.partitions.length || serving.models.length ? content(serving) : empty("Nothing is scored in real time yet", html`Set <code>SERVING_CONSUMER_GROUP</code> to a consumer group of the event hub. Scoring starts with the next readings.`)}`,
  });
  return { close: page.close };
}

function content({ partitions, models, refused, windows }) {
  return html`
    <dl class="tiles">${tiles(partitions).map(([text, value]) => html`<div class="card tile"><dt>${text}</dt><dd>${count(value)}</dd></div>`)}</dl>
    <section class="section" aria-labelledby="models"><h2 id="models">Models</h2>
      ${models.length ? modelTable(models) : empty("No model has scored yet", "Models are used here as soon as training has published them.")}
    </section>
    ${refused.length ? html`<section class="section" aria-labelledby="refused"><h2 id="refused">Rejected versions</h2>${refusedTable(refused)}</section>` : nothing}
    <section class="section" aria-labelledby="windows"><h2 id="windows">Newest anomalous windows</h2>
      ${windows.length ? windowTable(windows) : empty("No such windows")}
    </section>
    <section class="section" aria-labelledby="partitions"><h2 id="partitions">Partitions</h2>${partitionTable(partitions)}</section>`;
}

function tiles(partitions) {
  const total = (names) => partitions.reduce((sum, each) => sum + names.reduce((part, name) => part + each[name], 0), 0);
  return [...COUNTS.slice(0, 4).map(([name, text]) => [text, total([name])]), ["Late, duplicate, invalid", total(["late", "duplicate", "invalid"])]];
}

function modelTable(models) {
  return html`<div class="table-box"><table>
    <caption class="hidden-visually">Models in real-time scoring</caption>
    <thead><tr><th scope="col">Model</th><th scope="col" class="number">Windows</th><th scope="col" class="number">Mean latency</th><th scope="col" class="number">99th percentile</th><th scope="col" class="wide number">Longest</th><th scope="col" class="wide number">Timeouts</th><th scope="col" class="wide number">Failures</th><th scope="col" class="wide number">Disagreement</th><th scope="col" class="wide">Version</th></tr></thead>
    <tbody>${models.map((model) => html`<tr>
      <td><span class="name">${model.model}</span><br><span class="soft">${model.detector}</span></td>
      <td class="number">${count(model.uses)}</td>
      <td class="number">${milliseconds(model.mean_ms)}</td>
      <td class="number">${milliseconds(model.p99_ms)}</td>
      <td class="wide number">${milliseconds(model.longest_ms)}</td>
      <td class="wide number">${count(model.timeouts)}</td>
      <td class="wide number">${count(model.failures)}</td>
      <td class="wide number">${model.disagreement_rate === null ? "–" : `${number(Math.round(model.disagreement_rate * 1000) / 10)} %`}</td>
      <td class="wide"><code>${model.version}</code><br><span class="soft">since ${time(model.version_since)}</span></td>
    </tr>`)}</tbody>
  </table></div>`;
}

function refusedTable(refused) {
  return html`<div class="table-box"><table>
    <caption class="hidden-visually">Rejected versions; the previous version stays in use</caption>
    <thead><tr><th scope="col">Model</th><th scope="col">Shard</th><th scope="col" class="wide">Version</th><th scope="col">Reason</th><th scope="col" class="wide">Since</th></tr></thead>
    <tbody>${refused.map((each) => html`<tr>
      <td>${each.model}</td><td><a href=${linkTo("models", each.shard)}>${each.shard}</a></td><td class="wide"><code>${each.version}</code></td><td>${each.reason}</td><td class="wide">${time(each.refused_at)}</td>
    </tr>`)}</tbody>
  </table></div>`;
}

function windowTable(windows) {
  return html`<div class="table-box"><table>
    <caption class="hidden-visually">Newest anomalous windows</caption>
    <thead><tr><th scope="col">Sensor</th><th scope="col" class="wide">End of window</th><th scope="col" class="wide number">Value</th><th scope="col" class="wide number">Readings</th><th scope="col" class="number">Score</th><th scope="col">Scores of the models</th><th scope="col" class="wide">Decided by</th></tr></thead>
    <tbody>${windows.map((window) => html`<tr>
      <td><a class="name" href=${linkTo("sensors", window.sensor_id)}>${window.device === null ? `Sensor ${window.sensor_id}` : `${window.device} / ${window.tag}`}</a></td>
      <td class="wide">${time(window.ts)}</td>
      <td class="wide number">${number(window.value)}</td>
      <td class="wide number">${count(window.readings)}</td>
      <td class="number">${score(window.score)}</td>
      <td>${Object.entries(window.answers).map(([model, answer]) => html`<div>${model}: ${answer ? html`${score(answer.score)} <span class="soft">in ${milliseconds(answer.seconds * 1000)}</span>` : html`<span class="soft">timeout</span>`}</div>`)}
        ${window.disagreement ? html`<span class="badge tone-medium">disagreement</span>` : nothing}</td>
      <td class="wide">${window.decider}: ${window.winner}</td>
    </tr>`)}</tbody>
  </table></div>`;
}

function partitionTable(partitions) {
  return html`<div class="table-box"><table>
    <caption class="hidden-visually">Counts of readings by partition</caption>
    <thead><tr><th scope="col">Partition</th>${COUNTS.map(([, text], i) => html`<th scope="col" class=${i > 1 ? "wide number" : "number"}>${text}</th>`)}<th scope="col" class="wide">Updated</th></tr></thead>
    <tbody>${partitions.map((each) => html`<tr>
      <td>${each.partition_id} <span class="soft">of ${each.hub}</span></td>
      ${COUNTS.map(([name], i) => html`<td class=${i > 1 ? "wide number" : "number"}>${count(each[name])}</td>`)}
      <td class="wide">${time(each.updated)}</td>
    </tr>`)}</tbody>
  </table></div>`;
}

function milliseconds(value) {
  if (value === null) return "–";
  return value < 1000 ? `${number(Math.round(value * 100) / 100)} ms` : duration(value / 1000);
}

function score(value) {
  const shown = number(Math.round(value));
  return value >= ANOMALOUS ? html`<b>${shown}</b>` : shown;
}
