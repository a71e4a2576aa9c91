/** Charts of a machine over the same time range: the risks of its components, then each signal. */
import { count, number, time } from "../format.js";
import { html, nothing, render } from "../html.js";
import { lineChart } from "./lines.js";
import { percent } from "./risks.js";

const INKS = ["value", "model", "second", "third"].map((name) => `--chart-${name}`);
const EVENTS = [["failures", "anomaly", "Failure"], ["replacements", "model", "Replacement"], ["errors", "error", "Error"]];
const TABLE_ROWS = 60;
const seconds = (iso) => Date.parse(iso) / 1000;

/**
 * Draw the charts in an element.
 * @param {HTMLElement} root
 * @param {string} name of the machine, for screen readers
 */
export function machineCharts(root, name) {
  const charts = new Map();
  const points = new Map();
  let data = null;

  function draw() {
    const { history, signals } = data;
    const components = Object.keys(history.risks);
    render(
      html`
        ${components.length ? html`<section class="card section" aria-labelledby="risk-chart">
          <div class="section-head"><h2 id="risk-chart">Risk</h2>
            <ul class="chart-legend">${components.map((component, i) => html`<li><i class=${`mark-line-${i}`}></i>${component}</li>`)}</ul></div>
          ${place("risk", `Risks of the components of ${name}: ${count(history.ts.length)} samples. A table follows.`)}
          <details><summary>Show as a table</summary>${table("Sample", history.ts, history.risks, percent)}</details>
        </section>` : nothing}
        ${signals.ts.length ? html`<section class="card section" aria-labelledby="signal-charts">
          <div class="section-head"><h2 id="signal-charts">Signals</h2>
            <ul class="chart-legend">${EVENTS.map(([, mark, text]) => html`<li><i class=${`mark-${mark}-moment`}></i>${text}</li>`)}</ul></div>
          ${Object.keys(signals.signals).map((signal) => html`<h3>${signal}</h3>${place(signal, `${signal} of ${name}: ${count(signals.readings_in_range)} readings. A table follows.`)}`)}
          <details><summary>Show as a table</summary>${table("Hour ending", signals.ts, signals.signals, number)}</details>
        </section>` : nothing}`,
      root,
    );
  }

  function place(chart, label) {
    return html`<div class="chart small" role="img" aria-label=${label} data-chart=${chart}></div>
      <p class="readout" aria-hidden="true">${points.get(chart) ?? ""}</p>`;
  }

  function chartOf(key, options) {
    if (!charts.has(key)) {
      const pointed = (text) => {
        if (text === (points.get(key) ?? "")) return;
        points.set(key, text);
        draw();
      };
      charts.set(key, lineChart(root.querySelector(`[data-chart="${key}"]`), { ...options, pointed }));
    }
    return charts.get(key);
  }

  return {
    /** Draw the risks and signals of a machine. */
    show(shown) {
      data = shown;
      const { history, signals } = data;
      draw();
      const times = [...history.ts, signals.ts[0], signals.ts.at(-1)].filter((each) => each !== undefined);
      const range = times.length ? [Math.min(...times), Math.max(...times)] : null;
      const moments = EVENTS.flatMap(([kind, mark]) => signals[kind].map((event) => ({ at: seconds(event.ts), ink: `--chart-${mark}` })));
      const failures = moments.slice(0, signals.failures.length);
      const components = Object.entries(history.risks);
      if (components.length) {
        const lines = components.map(([component], i) => ({ name: component, ink: INKS[i % INKS.length] }));
        chartOf("risk", { lines, height: 220, format: percent, least: 0 }).show([history.ts, ...components.map(([, values]) => values)], failures, range);
      }
      if (!signals.ts.length) return;
      for (const [signal, values] of Object.entries(signals.signals)) {
        chartOf(signal, { lines: [{ name: signal, ink: INKS[0] }], height: 130, format: number }).show([signals.ts, values], moments, range);
      }
    },
    close() {
      for (const chart of charts.values()) chart.close();
    },
  };
}

function table(first, times, columns, format) {
  const step = Math.max(1, Math.ceil(times.length / TABLE_ROWS));
  const rows = times.map((ts, i) => [ts, i]).filter(([, i]) => (times.length - 1 - i) % step === 0);
  const note = step > 1 ? `, ${rows.length} of ${count(times.length)} rows` : "";
  return html`<div class="table-box"><table>
    <caption class="hidden-visually">Values over time${note}</caption>
    <thead><tr><th scope="col">${first}</th>${Object.keys(columns).map((name) => html`<th scope="col" class="number">${name}</th>`)}</tr></thead>
    <tbody>${rows.map(([ts, i]) => html`<tr><td>${time(ts)}</td>${Object.values(columns).map((values) => html`<td class="number">${format(values[i])}</td>`)}</tr>`)}</tbody>
  </table></div>`;
}
