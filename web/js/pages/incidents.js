/** List of incidents. */
import { get, url } from "../api.js";
import { count, time } from "../format.js";
import { html } from "../html.js";
import { empty, livePage } from "../page.js";
import { severity, state } from "../parts/badges.js";
import { pager } from "../parts/pager.js";
import { link, linkTo } from "../router.js";

export const title = "Incidents";
const STATES = ["open", "closed", "all"];

/** Show the page; the state filter is in the URL. */
export function open({ root, query }) {
  const chosen = query.get("state") ?? "open";
  const filters = { state: chosen === "all" ? null : chosen, after: query.get("after") };
  const page = livePage({
    root,
    load: async (signal) => ({ list: await get(url("/api/incidents", filters), { signal }) }),
    template: ({ list }) => html`
      <div class="page-head"><div><h1>Incidents</h1><p class="sub">Alerts of one device or site that opened at about the same time, sent as one notification.</p></div></div>
      <nav class="tabs" aria-label="State">${STATES.map((name) => html`<a href=${link("/incidents", { state: name })} aria-current=${name === chosen ? "true" : "false"}>${name}</a>`)}</nav>
      ${list.items.length ? html`${table(list.items)}${pager("/incidents", query, list, "incident")}` : empty(chosen === "open" ? "No open incidents" : "No incidents found", "An incident is created when several sensors of one device or site alert within minutes.")}`,
  });
  return { close: page.close };
}

function table(incidents) {
  return html`<div class="table-box"><table>
    <caption class="hidden-visually">Incidents</caption>
    <thead><tr><th scope="col">Group</th><th scope="col">Severity</th><th scope="col">State</th><th scope="col" class="number">Alerts</th><th scope="col" class="wide">Opened</th><th scope="col" class="wide">Newest alert</th></tr></thead>
    <tbody>${incidents.map((incident) => html`<tr>
      <td><a class="name" href=${linkTo("incidents", incident.incident_id)}>${incident.group}</a></td>
      <td>${severity(incident.severity)}</td><td>${state(incident.state)}</td>
      <td class="number">${count(incident.alerts)}</td>
      <td class="wide">${time(incident.opened_at)}</td><td class="wide">${time(incident.last_alert_at)}</td>
    </tr>`)}</tbody>
  </table></div>`;
}
