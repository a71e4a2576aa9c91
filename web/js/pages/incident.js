/** Page of one incident: its worst sensors and its alerts. */
import { get } from "../api.js";
import { counted, number, time } from "../format.js";
import { html, nothing } from "../html.js";
import { livePage } from "../page.js";
import { alertTable } from "../parts/alert-table.js";
import { severity, state } from "../parts/badges.js";
import { link, linkTo } from "../router.js";

export const title = "Incident";

/** Show the page. */
export function open({ root, id }) {
  const page = livePage({
    root,
    load: async (signal) => ({ incident: await get(`/api/incidents/${encodeURIComponent(id)}`, { signal }) }),
    template: ({ incident }) => html`
      <div class="page-head"><div>
        <p class="crumbs"><a href="#/incidents">Incidents</a></p>
        <h1>${incident.group}</h1>
        <p class="sub">${severity(incident.severity)} ${state(incident.state)} ${counted(incident.alerts, "alert")} from ${time(incident.opened_at)} to ${time(incident.last_alert_at)}${incident.closed_at ? html`, closed ${time(incident.closed_at)}` : nothing}</p>
      </div></div>
      <section class="section" aria-labelledby="top"><h2 id="top">Worst sensors</h2>
        <div class="table-box"><table>
          <caption class="hidden-visually">Worst sensors of the incident</caption>
          <thead><tr><th scope="col">Sensor</th><th scope="col">Severity</th><th scope="col" class="number">Score</th></tr></thead>
          <tbody>${incident.top.map((alert) => html`<tr>
            <td><a class="name" href=${linkTo("sensors", alert.sensor_id)}>${alert.device} / ${alert.tag}</a></td>
            <td>${severity(alert.severity)}</td><td class="number">${number(Math.round(alert.score))}</td>
          </tr>`)}</tbody>
        </table></div>
      </section>
      <section class="section" aria-labelledby="alerts">
        <div class="section-head"><h2 id="alerts">Alerts</h2><a href=${link("/alerts", { state: "all", incident_id: incident.incident_id })}>Open in the inbox</a></div>
        ${alertTable(incident.items, { caption: "Alerts of the incident" })}
      </section>`,
  });
  return { close: page.close };
}
