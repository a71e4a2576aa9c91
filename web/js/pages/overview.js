/** Overview of the fleet. */
import { get, serverNow, url } from "../api.js";
import { count, counted, duration, number, time } from "../format.js";
import { html, nothing } from "../html.js";
import { empty, livePage } from "../page.js";
import { alertTable } from "../parts/alert-table.js";
import { SENSOR_STATES, SEVERITIES, stateName } from "../parts/badges.js";
import { bar } from "../parts/bars.js";
import { heatLegend, heatMap, tagPager } from "../parts/heat-map.js";
import { pager } from "../parts/pager.js";
import { link } from "../router.js";

export const title = "Overview";
const DEVICES = 50;
const NEWEST = 5;

/** Show the page; `after` in the URL is the position in the heat map. */
export function open({ root, query }) {
  const mapUrl = url("/api/fleet-map", { limit: DEVICES, after: query.get("after") });
  const firstTag = Number(query.get("tags")) || 0;
  // The figures are drawn first, because the map takes longer to load.
  let map = null;
  const page = livePage({
    root,
    ages: true,
    async load(signal) {
      const [overview, alerts] = await Promise.all([
        get("/api/overview", { signal }),
        get(url("/api/alerts", { state: "open", limit: NEWEST }), { signal }),
      ]);
      return { overview, alerts };
    },
    template: ({ overview, alerts }) => html`
      <div class="page-head"><h1>Overview</h1><p class="soft">As of ${time(serverNow())}</p></div>
      ${tiles(overview)}
      <div class="columns">${sensorStates(overview.sensors)}${alertCounts(overview.alerts)}</div>
      <section class="section" aria-labelledby="newest">
        <div class="section-head"><h2 id="newest">Newest open alerts</h2><a href="#/alerts">All alerts</a></div>
        ${alerts.items.length ? alertTable(alerts.items, { caption: "Newest open alerts" }) : empty("No open alerts", "Nothing needs your attention.")}
      </section>
      ${map ? mapSection(map, firstTag, query) : html`<section class="section"><h2>Devices and tags</h2><p class="soft">Loading…</p></section>`}`,
  });
  const maps = livePage({
    root: document.createElement("div"),
    seconds: 15,
    load: async (signal) => ({ map: await get(mapUrl, { signal }) }),
    template: (loaded) => {
      map = loaded.map;
      return nothing;
    },
    drawn: () => page.data && page.draw(),
  });
  return {
    close() {
      page.close();
      maps.close();
    },
  };
}

function tiles({ sensors, alerts, ingest, runs }) {
  const severe = (alerts.severities.critical ?? 0) + (alerts.severities.high ?? 0);
  return html`<dl class="tiles">
    ${tile("Sensors", count(sensors.total), html`${count(sensors.states.ready ?? 0)} ready`)}
    ${tile("Open alerts", count(alerts.states.open ?? 0), html`${count(severe)} unresolved high or critical`)}
    ${tile("Readings per second", number(ingest.readings_per_second), html`${count(ingest.accepted)} accepted in total`)}
    ${tile("Ingestion lag", duration(lag(ingest.watermark)), "since the newest reading")}
    ${tile("Rejected readings", count(ingest.late + ingest.invalid), html`${count(ingest.late)} late, ${count(ingest.invalid)} invalid`)}
    ${tile("Jobs running", count(runs.active), html`<a href="#/jobs">Jobs</a>`)}
  </dl>`;
}

function lag(watermark) {
  return watermark === null ? null : Math.max(0, serverNow() - Date.parse(watermark) / 1000);
}

function tile(name, value, note) {
  return html`<div class="card tile"><dt>${name}</dt><dd>${value}</dd><dd class="note">${note}</dd></div>`;
}

function sensorStates({ total, states }) {
  const known = Object.entries(SENSOR_STATES).map(([name, [tone]]) => [name, tone, states[name] ?? 0]);
  return html`<section class="card section" aria-labelledby="states">
    <h2 id="states">Sensors by state</h2>
    ${bar(known.map(([, tone, value]) => [tone, value]))}
    <ul class="legend">${known.map(([name, tone, value]) => html`<li><a href=${link("/sensors", { state: name })}>
      <span class=${`swatch fill-${tone}`}></span><b>${count(value)}</b> ${stateName(name)}</a></li>`)}</ul>
    <p class="soft">${total ? nothing : "No sensor has sent a reading yet."}</p>
  </section>`;
}

function alertCounts({ states, severities }) {
  const open = SEVERITIES.reduce((sum, name) => sum + (severities[name] ?? 0), 0);
  return html`<section class="card section" aria-labelledby="severities">
    <h2 id="severities">Unresolved alerts by severity</h2>
    ${bar(SEVERITIES.map((name) => [name, severities[name] ?? 0]))}
    <ul class="legend">${SEVERITIES.map((name) => html`<li><a href=${link("/alerts", { state: "all", severity: name })}>
      <span class=${`swatch fill-${name}`}></span><b>${count(severities[name] ?? 0)}</b> ${name}</a></li>`)}</ul>
    <p class="soft">${counted(open, "unresolved alert")}: ${count(states.open ?? 0)} open, ${count(states.acknowledged ?? 0)} acknowledged, ${count(states.silenced ?? 0)} muted.</p>
  </section>`;
}

function mapSection(map, firstTag, query) {
  return html`<section class="section" aria-labelledby="map">
    <div class="section-head"><h2 id="map">Devices and tags</h2>${tagPager(map, firstTag, query)}</div>
    ${map.items.length ? html`${heatLegend()}${heatMap(map, firstTag)}${pager("/", query, map, "device")}` : empty("No devices yet", "Devices appear with their first reading.")}
  </section>`;
}
