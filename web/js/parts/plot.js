/** uPlot chart of one sensor in the colours of the theme; the caller provides the data. */
import uPlot from "../../node_modules/uplot/dist/uPlot.esm.js";
import { number, utc } from "../format.js";
import { colour } from "../theme.js";
import { including, padded, timeAxes } from "./axes.js";

const HEIGHT = 340;

/**
 * Create a chart. Its data is `[ts, value, low, high, expected, anomaly]`, each an array, with null for no value.
 * @param {HTMLElement} root
 * @param {object} options
 * @param {() => {alerts: [number, number][], models: number[], why: object | null}} options.marks time spans of alerts, times
 *   of new models, and the explained anomaly
 * @param {(from: number, to: number) => void} options.chosen called when a range is selected with the pointer
 * @param {(text: string) => void} options.pointed called with a description of the values under the pointer
 */
export function makePlot(root, { marks, chosen, pointed }) {
  const ink = Object.fromEntries(
    ["value", "band", "expected", "anomaly", "alert", "model", "pattern"].map((name) => [name, colour(`--chart-${name}`)]),
  );
  const plot = new uPlot(
    {
      width: root.clientWidth,
      height: HEIGHT,
      legend: { show: false },
      cursor: { drag: { x: true, y: false, setScale: false }, points: { size: 7 } },
      scales: { x: { time: true }, y: { range: (_, low, high) => padded(...including(low, high, marks().why?.pattern?.value)) } },
      axes: timeAxes(root, number),
      series: [
        {},
        { label: "Value", stroke: ink.value, width: 1.4, points: { show: false }, spanGaps: false },
        { label: "Expected at least", stroke: "transparent", points: { show: false } },
        { label: "Expected at most", stroke: "transparent", points: { show: false } },
        { label: "Expected", stroke: ink.expected, width: 1.2, dash: [6, 4], points: { show: false }, spanGaps: false },
        { label: "Anomaly", stroke: ink.anomaly, paths: () => null, points: { show: true, size: 6, fill: ink.anomaly, stroke: ink.anomaly } },
      ],
      bands: [{ series: [3, 2], fill: ink.band }],
      hooks: {
        drawClear: [(chart) => drawAlerts(chart, marks().alerts, ink.alert)],
        draw: [
          (chart) => drawModels(chart, marks().models, ink.model),
          (chart) => drawWhy(chart, marks().why, ink),
        ],
        setSelect: [(chart) => {
          if (chart.select.width < 4) return;
          const { left, width } = chart.select;
          chart.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
          chosen(chart.posToVal(left, "x"), chart.posToVal(left + width, "x"));
        }],
        setCursor: [(chart) => pointed(describe(chart))],
      },
    },
    [[], [], [], [], [], []],
    root,
  );
  return plot;
}

/** Resize the chart to the width of its element. */
export function fit(plot, root) {
  if (root.clientWidth && root.clientWidth !== plot.width) plot.setSize({ width: root.clientWidth, height: HEIGHT });
}

function drawAlerts(chart, spans, fill) {
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.fillStyle = fill;
  for (const [from, to] of spans) {
    const left = Math.max(chart.valToPos(from, "x", true), bbox.left);
    const right = Math.min(chart.valToPos(to, "x", true), bbox.left + bbox.width);
    if (right >= left) ctx.fillRect(left, bbox.top, Math.max(right - left, 2), bbox.height);
  }
  ctx.restore();
}

function drawModels(chart, moments, stroke) {
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.strokeStyle = stroke;
  ctx.lineWidth = 1.5 * devicePixelRatio;
  ctx.setLineDash([5, 4]);
  for (const moment of moments) {
    const x = chart.valToPos(moment, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

/** Draw the nearest usual pattern over the values and a ring around the explained anomaly. */
function drawWhy(chart, why, ink) {
  if (!why) return;
  const { ctx, bbox } = chart;
  const [x, y] = [(ts) => chart.valToPos(ts, "x", true), (value) => chart.valToPos(value, "y", true)];
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  ctx.lineWidth = 2 * devicePixelRatio;
  if (why.pattern) {
    ctx.strokeStyle = ink.pattern;
    ctx.beginPath();
    why.pattern.ts.forEach((ts, i) => ctx.lineTo(x(ts), y(why.pattern.value[i])));
    ctx.stroke();
  }
  if (why.value !== null) {
    ctx.strokeStyle = ink.anomaly;
    ctx.beginPath();
    ctx.arc(x(why.at), y(why.value), 8 * devicePixelRatio, 0, 2 * Math.PI);
    ctx.stroke();
  }
  ctx.restore();
}

function describe(chart) {
  const i = chart.cursor.idx;
  if (i === null || i === undefined || chart.data[1][i] === null || chart.data[1][i] === undefined) return "";
  const expected = chart.data[4][i] === null ? "" : `, expected ${number(chart.data[4][i])}`;
  const anomaly = chart.data[5][i] === null ? "" : ", anomalous; click for its explanation";
  return `${utc(chart.data[0][i])}: ${number(chart.data[1][i])}${expected}${anomaly}`;
}
