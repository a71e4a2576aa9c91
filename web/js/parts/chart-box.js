/** Chart of a sensor with its buttons, legend, readout, explanation and table. */
import { get, url } from "../api.js";
import { count, number, range, time } from "../format.js";
import { html, nothing, render } from "../html.js";
import { failure } from "../page.js";
import { explanation } from "./explanation.js";
import { sensorChart } from "./sensor-chart.js";

const TABLE_ROWS = 60;
const LEGEND = [["value", "Value"], ["expected", "Expected"], ["band", "Expected range"], ["anomaly", "Anomaly"], ["alert", "Alert"], ["model", "New model"]];

/**
 * Draw the chart of a sensor in an element.
 * @param {HTMLElement} root
 * @param {object} options
 * @param {number} options.sensor sensor id
 * @param {string} options.name for screen readers
 * @param {number | null} options.from start of the shown range, in seconds since 1970; null for the whole history
 * @param {number | null} options.to end of the shown range
 * @param {number | null} [options.why] end of the anomalous window to explain, in seconds since 1970
 * @param {(from: number | null, to: number | null) => void} [options.moved] the shown range changed
 * @param {(end: number | null) => void} [options.asked] another anomaly is explained; null for none
 */
export function chartBox(root, { sensor, name, from, to, why = null, moved = () => {}, asked = () => {} }) {
  let shown = null;
  let error = null;
  let point = "";
  let table = null;
  let chart = null;
  let explained = null;
  let asking = new AbortController();

  function draw() {
    render(
      html`<div class="section">
        <div class="section-head">
          <ul class="chart-legend">${legend().map(([mark, text]) => html`<li><i class=${`mark-${mark}`}></i>${text}</li>`)}</ul>
          <div class="chart-tools" role="group" aria-label="Chart range">
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
        <p class="hidden-visually" aria-live="polite">${explained?.explanation ?? ""}</p>
        ${explained ? explanation(explained, { step: (by) => chart.step(by), close: () => ask(null) }) : nothing}
        <details @toggle=${toggleTable}>
          <summary>Show as a table</summary>
          ${table ? valueTable(table, name) : nothing}
        </details>
      </div>`,
      root,
    );
  }

  function legend() {
    const expected = shown?.windows.expected_value.some((value) => value !== null) ?? false;
    const known = LEGEND.filter(([mark]) => mark !== "expected" || expected);
    return explained?.pattern ? [...known, ["pattern", "Nearest usual pattern"]] : known;
  }

  /** Explain the anomalous window that ends at `end`; null for none. */
  async function ask(end) {
    asking.abort();
    asking = new AbortController();
    const { signal } = asking;
    asked(end);
    let answer = null;
    try {
      if (end !== null) answer = await get(`/api/sensors/${encodeURIComponent(sensor)}/anomalies/${end}`, { signal });
    } catch (problem) {
      if (!signal.aborted) error = problem;
    }
    if (signal.aborted) return;
    explained = answer;
    chart.explain(answer && { at: end, value: answer.value, pattern: answer.pattern });
    draw();
  }

  function summary() {
    if (!shown) return "Loading…";
    if (!shown.windows.windows_in_range) return "No windows in this range.";
    const more = shown.windows.expected_left_out ? " Zoom in to see the expected values." : "";
    return `${count(shown.windows.windows_in_range)} windows in and near this range, ${count(shown.count)} anomalous. Drag to zoom, Shift and drag to move, double-click to show all; click an anomaly for its explanation.${more}`;
  }

  function label() {
    const keys = "Arrow keys move, plus and minus zoom, zero shows all, n and p explain the next and the previous anomaly. A table follows.";
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
    sensor, from, to, moved, asked: ask,
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
      // Only now are the anomalies known that the buttons step to.
      if (why !== null) ask(why);
      why = null;
      if (table) loadTable();
    },
  });
  return {
    ...chart,
    ask,
    close() {
      asking.abort();
      chart.close();
    },
  };
}

function valueTable(windows, name) {
  const note = windows.windows_in_range > windows.ts.length ? `, ${windows.ts.length} of ${count(windows.windows_in_range)} windows` : "";
  return html`<div class="table-box"><table>
    <caption class="hidden-visually">Values of ${name}${note}</caption>
    <thead><tr><th scope="col">End of window</th><th scope="col" class="number">Value</th><th scope="col" class="number wide">Readings</th><th scope="col" class="number">Expected</th><th scope="col" class="number wide">Expected range</th></tr></thead>
    <tbody>${windows.ts.map((ts, i) => html`<tr>
      <td>${time(ts)}</td><td class="number">${number(windows.value[i])}</td><td class="number wide">${count(windows.readings[i])}</td>
      <td class="number">${number(windows.expected_value[i])}</td><td class="number wide">${range(windows.expected_low[i], windows.expected_high[i])}</td>
    </tr>`)}</tbody>
  </table></div>`;
}
