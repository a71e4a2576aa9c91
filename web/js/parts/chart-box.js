/** The chart with what stands around it: its buttons, its legend, what lies under the pointer, and its table. */
import { get, url } from "../api.js";
import { count, number, range, time } from "../format.js";
import { html, nothing, render } from "../html.js";
import { failure } from "../page.js";
import { explanation } from "./explanation.js";
import { sensorChart } from "./sensor-chart.js";

const TABLE_ROWS = 60;
const LEGEND = [["value", "Value"], ["expected", "Expected"], ["band", "Expected range"], ["anomaly", "Anomaly"], ["alert", "Alert"], ["model", "New model"]];

/**
 * Put the chart of a sensor into an element.
 * @param {HTMLElement} root
 * @param {object} options
 * @param {number} options.sensor its id
 * @param {string} options.name read out by screen readers
 * @param {number | null} options.from
 * @param {number | null} options.to
 * @param {number | null} [options.why] end of the anomalous window to explain, in seconds since 1970
 * @param {(from: number | null, to: number | null) => void} [options.moved]
 * @param {(end: number | null) => void} [options.asked] another anomaly is explained, or none
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
        <p class="hidden-visually" aria-live="polite">${explained?.explanation ?? ""}</p>
        ${explained ? explanation(explained, { step: (by) => chart.step(by), close: () => ask(null) }) : nothing}
        <details @toggle=${toggleTable}>
          <summary>The same as a table</summary>
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

  /** Explain the anomalous window that ends then; null: none. */
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
    const more = shown.windows.expected_left_out ? " Zoom in to see what was expected." : "";
    return `${count(shown.windows.windows_in_range)} windows here and close by, ${count(shown.count)} anomalous. Drag to zoom, shift and drag to move, double-click for all; click an anomaly to see why it is one.${more}`;
  }

  function label() {
    const keys = "Arrow keys move, plus and minus zoom, zero shows all, n and p explain the next anomaly and the one before; a table follows.";
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
      // The anomalies before and after it are known from here on.
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
  const what = windows.windows_in_range > windows.ts.length ? `, ${windows.ts.length} of ${count(windows.windows_in_range)} windows` : "";
  return html`<div class="table-box"><table>
    <caption class="hidden-visually">Values of ${name}${what}</caption>
    <thead><tr><th scope="col">End of window</th><th scope="col" class="number">Value</th><th scope="col" class="number wide">Readings</th><th scope="col" class="number">Expected</th><th scope="col" class="number wide">Expected range</th></tr></thead>
    <tbody>${windows.ts.map((ts, i) => html`<tr>
      <td>${time(ts)}</td><td class="number">${number(windows.value[i])}</td><td class="number wide">${count(windows.readings[i])}</td>
      <td class="number">${number(windows.expected_value[i])}</td><td class="number wide">${range(windows.expected_low[i], windows.expected_high[i])}</td>
    </tr>`)}</tbody>
  </table></div>`;
}
