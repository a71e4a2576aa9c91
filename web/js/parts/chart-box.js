/** The chart with what stands around it: its buttons, its legend, what lies under the pointer, and its table. */
import { get, url } from "../api.js";
import { count, number, range, time } from "../format.js";
import { html, nothing, render } from "../html.js";
import { failure } from "../page.js";
import { sensorChart } from "./sensor-chart.js";

const TABLE_ROWS = 60;
const LEGEND = [["value", "Value"], ["band", "Expected"], ["anomaly", "Anomaly"], ["alert", "Alert"], ["model", "New model"]];

/**
 * Put the chart of a sensor into an element.
 * @param {HTMLElement} root
 * @param {object} options
 * @param {number} options.sensor its id
 * @param {string} options.name read out by screen readers
 * @param {number | null} options.from
 * @param {number | null} options.to
 * @param {(from: number | null, to: number | null) => void} [options.moved]
 */
export function chartBox(root, { sensor, name, from, to, moved = () => {} }) {
  let shown = null;
  let error = null;
  let point = "";
  let table = null;
  let chart = null;

  function draw() {
    render(
      html`<div class="section">
        <div class="section-head">
          <ul class="chart-legend">${LEGEND.map(([mark, text]) => html`<li><i class=${`mark-${mark}`}></i>${text}</li>`)}</ul>
          <div class="chart-tools" role="group" aria-label="Range of the chart">
            <button type="button" class="small" @click=${() => chart.pan(-0.5)}>Earlier</button>
            <button type="button" class="small" @click=${() => chart.pan(0.5)}>Later</button>
            <button type="button" class="small" @click=${() => chart.zoom(0.5)}>Zoom in</button>
            <button type="button" class="small" @click=${() => chart.zoom(2)}>Zoom out</button>
            <button type="button" class="small" @click=${() => chart.showAll()}>All</button>
          </div>
        </div>
        ${error ? failure(error, () => chart.refresh()) : nothing}
        <div class="chart" tabindex="0" role="img" aria-label=${label()}></div>
        <p class="readout" aria-hidden="true">${point || summary()}</p>
        <details @toggle=${toggleTable}>
          <summary>The same as a table</summary>
          ${table ? valueTable(table, name) : nothing}
        </details>
      </div>`,
      root,
    );
  }

  function summary() {
    if (!shown) return "Loading…";
    if (!shown.windows.windows_in_range) return "No windows in this range.";
    return `${count(shown.windows.windows_in_range)} windows here and close by, ${count(shown.count)} anomalous. Drag to zoom, shift and drag to move, double-click for all.`;
  }

  function label() {
    const keys = "Arrow keys move, plus and minus zoom, zero shows all; a table follows.";
    return shown ? `Chart of ${name}: ${count(shown.windows.windows_in_range)} windows, ${count(shown.count)} anomalous. ${keys}` : `Chart of ${name}, loading.`;
  }

  async function toggleTable(event) {
    if (event.target.open) await loadTable();
    else table = null;
  }

  async function loadTable() {
    const ts = shown?.windows.ts ?? [];
    const bound = ts.length ? { from: new Date((ts[0] - 1) * 1000).toISOString(), to: new Date(ts.at(-1) * 1000).toISOString() } : {};
    try {
      table = await get(url(`/api/sensors/${sensor}/windows`, { ...bound, points: TABLE_ROWS, method: "lttb" }));
    } catch (problem) {
      error = problem;
    }
    draw();
  }

  draw();
  chart = sensorChart(root.querySelector(".chart"), {
    sensor, from, to, moved,
    pointed(text) {
      if (text === point) return;
      point = text;
      draw();
    },
    failed(problem) {
      error = problem;
      draw();
    },
    loaded(loaded) {
      shown = loaded;
      draw();
      if (table) loadTable();
    },
  });
  return chart;
}

function valueTable(windows, name) {
  const what = windows.windows_in_range > windows.ts.length ? `, ${windows.ts.length} of ${count(windows.windows_in_range)} windows` : "";
  return html`<div class="table-box"><table>
    <caption class="hidden-visually">Values of ${name}${what}</caption>
    <thead><tr><th scope="col">End of window</th><th scope="col" class="number">Value</th><th scope="col" class="number wide">Readings</th><th scope="col" class="number">Expected</th></tr></thead>
    <tbody>${windows.ts.map((ts, i) => html`<tr>
      <td>${time(ts)}</td><td class="number">${number(windows.value[i])}</td><td class="number wide">${count(windows.readings[i])}</td>
      <td class="number">${range(windows.expected_low[i], windows.expected_high[i])}</td>
    </tr>`)}</tbody>
  </table></div>`;
}
