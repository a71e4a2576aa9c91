/** Table of alerts, as shown in the inbox, on the overview, and on the pages of sensors, machines and incidents. */
import { count, number, range, time } from "../format.js";
import { html, nothing, repeat } from "../html.js";
import { linkTo } from "../router.js";
import { kindOf, severity, state } from "./badges.js";

/**
 * Render a table of alerts.
 * @param {object[]} alerts
 * @param {object} options
 * @param {string} options.caption for screen readers
 * @param {Set<string>} [options.chosen] ids of selected alerts; without it there are no checkboxes
 * @param {(id: string, selected: boolean) => void} [options.choose]
 */
export function alertTable(alerts, { caption, chosen, choose }) {
  return html`<div class="table-box"><table>
    <caption class="hidden-visually">${caption}</caption>
    <thead><tr>
      ${chosen ? html`<th scope="col"><span class="hidden-visually">Select</span></th>` : nothing}
      <th scope="col">Sensor</th><th scope="col">Severity</th><th scope="col">State</th>
      <th scope="col" class="wide">Reason</th><th scope="col" class="wide number">Score</th>
      <th scope="col" class="wide number">Windows</th><th scope="col" class="wide">Opened</th>
    </tr></thead>
    <tbody>${repeat(alerts, (alert) => alert.alert_id, (alert) => html`<tr data-alert=${alert.alert_id}>
      ${chosen ? html`<td><input type="checkbox" tabindex="-1" .checked=${chosen.has(alert.alert_id)}
        aria-label=${`Select ${alert.device} / ${alert.tag}`}
        @change=${(event) => choose(alert.alert_id, event.target.checked)}></td>` : nothing}
      <td><a class="name" href=${linkTo("alerts", alert.alert_id)}>${alert.device} / ${alert.tag}</a></td>
      <td>${severity(alert.severity)}</td>
      <td>${state(alert.state)}</td>
      <td class="wide">${about(alert)}</td>
      <td class="wide number">${number(Math.round(alert.score))}</td>
      <td class="wide number">${count(alert.anomalies)}</td>
      <td class="wide">${time(alert.opened_at)}</td>
    </tr>`)}</tbody>
  </table></div>`;
}

/** Render the reason for an alert in a few words. */
export function about(alert) {
  if (alert.kind !== "anomaly") return kindOf(alert.kind);
  if (alert.value === null) return "anomaly";
  if (alert.expected_low === null && alert.expected_high === null) return html`<b>${number(alert.value)}</b>`;
  return html`<b>${number(alert.value)}</b> <span class="soft">expected ${range(alert.expected_low, alert.expected_high)}</span>`;
}
