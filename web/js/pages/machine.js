/** Page of one machine: the risks of its components with reasons, its signals and its events. */
import { get, url } from "../api.js";
import { number, time } from "../format.js";
import { html } from "../html.js";
import { empty, livePage } from "../page.js";
import { alertTable } from "../parts/alert-table.js";
import { machineCharts } from "../parts/machine-charts.js";
import { noRisks, percent, risk, warning } from "../parts/risks.js";
import { link } from "../router.js";

export const title = "Machine";
const RANGES = [[30, "30 days"], [90, "90 days"], [365, "1 year"]];
const DAYS = 90;
const NEWEST = 20;

/** Show the page; `days` in the URL is the length of the shown range. */
export function open({ root, id, query }) {
  const days = Number(query.get("days")) || DAYS;
  const path = `/api/machines/${encodeURIComponent(id)}`;
  let charts = null;
  let shown = null;
  document.title = `Machine ${id} – Sensorwatch`;
  const page = livePage({
    root,
    seconds: 60,
    async load(signal) {
      const [history, signals, alerts] = await Promise.all([
        get(url(path, { days }), { signal }),
        get(url(`${path}/signals`, { days }), { signal }),
        get(url("/api/alerts", { device: id, kind: "failure-risk", limit: NEWEST }), { signal }),
      ]);
      return { history, signals, alerts };
    },
    template: (data) => template(data, days),
    drawn() {
      if (shown === page.data) return;
      shown = page.data;
      const place = root.querySelector("[data-charts]");
      charts ??= place && machineCharts(place, `machine ${id}`);
      charts?.show(shown);
    },
  });
  return {
    close() {
      page.close();
      charts?.close();
    },
  };
}

function template({ history, signals, alerts }, days) {
  const { machine, warnings } = history;
  return html`
    <div class="page-head"><div>
      <p class="crumbs"><a href="#/machines">Machines</a></p>
      <h1>Machine ${machine.machine_id}</h1>
      <p class="sub">${machine.model}, ${number(machine.age)} years old${machine.sampled_at ? html`; newest sample ${time(machine.sampled_at)}` : ""}</p>
    </div></div>
    ${machine.components.length ? componentTable(machine.components) : empty("No risks yet", noRisks())}
    <nav class="tabs" aria-label="Range">${RANGES.map(([length, text]) => html`<a href=${link(`/machines/${machine.machine_id}`, { days: length })} aria-current=${length === days ? "true" : "false"}>${text}</a>`)}</nav>
    <div class="section" data-charts></div>
    <section class="section" aria-labelledby="alerts"><h2 id="alerts">Alerts</h2>
      ${alerts.items.length ? alertTable(alerts.items, { caption: "Alerts of this machine" }) : empty("No alerts", "No component of this machine has had a risk above its threshold for long enough.")}
    </section>
    <section class="section" aria-labelledby="warnings"><h2 id="warnings">Newest warnings</h2>
      ${warnings.length ? warningTable(warnings.slice(0, NEWEST)) : empty("No warnings in this range")}
    </section>
    <section class="section" aria-labelledby="events"><h2 id="events">Newest failures, replacements and errors</h2>${eventTable(signals)}</section>`;
}

function componentTable(components) {
  return html`<div class="table-box"><table>
    <caption class="hidden-visually">Components, highest risk first</caption>
    <thead><tr><th scope="col">Component</th><th scope="col">Risk</th><th scope="col" class="wide number">Threshold</th><th scope="col">Reason</th></tr></thead>
    <tbody>${components.map((component) => html`<tr>
      <th scope="row">${component.component} ${warning(component)}</th>
      <td>${risk(component)}</td>
      <td class="wide number">${percent(component.threshold)}</td>
      <td class="soft">${because(component)}</td>
    </tr>`)}</tbody>
  </table></div>`;
}

function warningTable(warnings) {
  return html`<div class="table-box"><table>
    <caption class="hidden-visually">Newest warnings, newest first</caption>
    <thead><tr><th scope="col">Sample</th><th scope="col">Component</th><th scope="col" class="number">Risk</th><th scope="col" class="wide">Reason</th></tr></thead>
    <tbody>${warnings.map((each) => html`<tr>
      <td>${time(each.ts)}</td><td>${each.component}</td><td class="number">${percent(each.risk)}</td><td class="wide soft">${because(each)}</td>
    </tr>`)}</tbody>
  </table></div>`;
}

function eventTable({ errors, replacements, failures }) {
  const kinds = [["failure", failures], ["replacement", replacements], ["error", errors]];
  const events = kinds.flatMap(([kind, items]) => items.map((event) => ({ ...event, kind })));
  const newest = events.sort((a, b) => Date.parse(b.ts) - Date.parse(a.ts)).slice(0, NEWEST);
  if (!newest.length) return empty("No events in this range");
  return html`<div class="table-box"><table>
    <caption class="hidden-visually">Newest failures, replacements and errors, newest first</caption>
    <thead><tr><th scope="col">Time</th><th scope="col">Event</th><th scope="col">Details</th></tr></thead>
    <tbody>${newest.map((event) => html`<tr><td>${time(event.ts)}</td><td>${event.kind}</td><td>${event.what}</td></tr>`)}</tbody>
  </table></div>`;
}

const because = ({ reasons }) => reasons.slice(0, 3).map((reason) => reason.text).join("; ") || "–";
