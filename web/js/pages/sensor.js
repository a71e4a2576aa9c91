/** Page of one sensor: its values, alerts, anomalies and models. */
import { get, url } from "../api.js";
import { count, moment, number, range, time } from "../format.js";
import { html, nothing } from "../html.js";
import { setKeys } from "../keys.js";
import { empty, livePage } from "../page.js";
import { alertTable } from "../parts/alert-table.js";
import { sensorState, severity } from "../parts/badges.js";
import { chartBox } from "../parts/chart-box.js";
import { link, linkTo, replaceQuery } from "../router.js";

export const title = "Sensor";
const ALERTS = 20;
const ANOMALIES = 20;
const seconds = (iso) => Date.parse(iso) / 1000;

/** Show the page; `from` and `to` in the URL are the range of the chart. */
export function open({ root, id, query }) {
  let chart = null;
  let newest = null;
  const page = livePage({
    root,
    async load(signal) {
      const path = `/api/sensors/${encodeURIComponent(id)}`;
      const [sensor, alerts, anomalies, models] = await Promise.all([
        get(path, { signal }),
        get(url("/api/alerts", { sensor_id: id, limit: ALERTS }), { signal }),
        get(url("/api/anomalies", { sensor_id: id, limit: ANOMALIES }), { signal }),
        get(`${path}/models`, { signal }),
      ]);
      return { sensor, alerts, anomalies, models };
    },
    template: (data) => template(data, explain),
    drawn,
  });

  function explain(anomaly) {
    chart.showAround(seconds(anomaly.ts));
    chart.ask(seconds(anomaly.ts));
    root.querySelector(".chart").focus();
    root.querySelector("[data-chart]").scrollIntoView({ block: "nearest" });
  }

  function drawn() {
    const place = root.querySelector("[data-chart]");
    if (!place || !page.data) return;
    const { sensor, alerts, models } = page.data;
    const name = `${sensor.device} / ${sensor.tag}`;
    document.title = `${name} – Sensorwatch`;
    if (!chart) {
      const [from, to, why] = ["from", "to", "why"].map((end) => Number(query.get(end)) || null);
      const [moved, asked] = [(a, b) => replaceQuery({ from: a, to: b }), (end) => replaceQuery({ why: end })];
      chart = chartBox(place, { sensor: id, name, from, to, why, moved, asked });
    } else if (newest !== sensor.last_window) {
      chart.refresh();
    }
    newest = sensor.last_window;
    chart.mark({
      alerts: alerts.items.map((alert) => [seconds(alert.opened_at), seconds(alert.last_anomaly_at)]),
      models: models.items.filter((model) => model.training_end).map((model) => seconds(model.training_end)),
    });
  }

  setKeys([
    ["← →", "Move the chart (with the chart in focus)", null],
    ["+ - 0", "Zoom the chart (with the chart in focus)", null],
    ["n p", "Explain the next or the previous anomaly (with the chart in focus)", null],
  ]);
  return {
    close() {
      page.close();
      chart?.close();
    },
  };
}

function template({ sensor, alerts, anomalies, models }, explain) {
  return html`
    <div class="page-head"><div>
      <p class="crumbs"><a href="#/sensors">Sensors</a> / <a href=${link("/sensors", { device: sensor.device })}>${sensor.device}</a></p>
      <h1>${sensor.device} / ${sensor.tag}</h1>
      <p class="sub">${sensorState(sensor.state)} ${sensor.reason}</p>
    </div></div>
    <section class="card" aria-label="Values"><div data-chart></div></section>
    <dl class="card facts">
      <div><dt>Newest window</dt><dd>${time(sensor.last_window)}</dd></div>
      <div><dt>First seen</dt><dd>${time(sensor.first_seen)}</dd></div>
      <div><dt>Trained until</dt><dd>${time(sensor.trained_until)}</dd></div>
      <div><dt>Shard</dt><dd><a href=${linkTo("models", sensor.shard)}>${sensor.shard}</a></dd></div>
      <div><dt>Unresolved alerts</dt><dd>${count(sensor.open_alerts)}</dd></div>
      <div><dt>Sensor ID</dt><dd>${sensor.sensor_id}</dd></div>
    </dl>
    <section class="section" aria-labelledby="alerts"><h2 id="alerts">Alerts</h2>
      ${alerts.items.length ? alertTable(alerts.items, { caption: "Alerts of this sensor" }) : empty("No alerts", "This sensor has raised no alerts.")}
    </section>
    <section class="section" aria-labelledby="anomalies"><h2 id="anomalies">Newest anomalous windows</h2>
      ${anomalies.items.length ? html`<p class="soft">Select an anomaly to see its explanation on the chart.</p>` : nothing}
      ${anomalies.items.length ? anomalyTable(anomalies.items, explain) : empty("No anomalous windows")}
    </section>
    <section class="section" aria-labelledby="models"><h2 id="models">Models</h2>
      ${models.items.length ? modelTable(models.items) : empty("No model yet", "The first training with enough data creates it.")}
    </section>`;
}

function anomalyTable(anomalies, explain) {
  return html`<div class="table-box"><table>
    <caption class="hidden-visually">Newest anomalous windows</caption>
    <thead><tr><th scope="col">End of window</th><th scope="col" class="number">Value</th><th scope="col" class="wide number">Expected</th><th scope="col">Severity</th><th scope="col" class="wide number">Score</th><th scope="col" class="wide">Suppressed by</th></tr></thead>
    <tbody>${anomalies.map((anomaly) => html`<tr>
      <td><button type="button" class="link" title=${anomaly.explanation ?? nothing} aria-label=${`Why ${moment(anomaly.ts)} is anomalous`} @click=${() => explain(anomaly)}>${time(anomaly.ts)}</button></td>
      <td class="number">${number(anomaly.value)}</td>
      <td class="wide number">${range(anomaly.expected_low, anomaly.expected_high)}</td>
      <td>${severity(anomaly.severity)}</td>
      <td class="wide number">${number(Math.round(anomaly.score))}</td>
      <td class="wide soft">${anomaly.suppressed_by ?? nothing}</td>
    </tr>`)}</tbody>
  </table></div>`;
}

function modelTable(models) {
  return html`<div class="table-box"><table>
    <caption class="hidden-visually">Versions of this sensor's model</caption>
    <thead><tr><th scope="col">Created</th><th scope="col">Detector</th><th scope="col" class="wide">Trained on</th><th scope="col" class="wide number">Windows</th><th scope="col">State</th></tr></thead>
    <tbody>${models.map((model) => html`<tr>
      <td>${time(model.created_at)} ${model.current ? html`<span class="badge tone-good">in use</span>` : nothing}</td>
      <td>${model.detector}</td>
      <td class="wide">${model.training_start ? html`${time(model.training_start)} to ${time(model.training_end)}` : "–"}</td>
      <td class="wide number">${count(model.windows)}</td>
      <td>${sensorState(model.state)} <span class="soft">${model.reason}</span></td>
    </tr>`)}</tbody>
  </table></div>`;
}
