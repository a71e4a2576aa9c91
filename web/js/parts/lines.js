/** Line chart over time with marked moments; the page shows the same data as a table. */
import uPlot from "../../node_modules/uplot/dist/uPlot.esm.js";
import { utc } from "../format.js";
import { colour, onTheme } from "../theme.js";
import { padded, timeAxes } from "./axes.js";

/**
 * Draw a chart in an element.
 * @param {HTMLElement} root
 * @param {object} options
 * @param {{name: string, ink: string}[]} options.lines in the order of the data columns; `ink` is the name of a colour variable
 * @param {number} options.height in pixels
 * @param {(value: number) => string} options.format formats a value
 * @param {number | null} [options.least] start of the value axis; null for just below the lowest value
 * @param {(text: string) => void} options.pointed called with a description of the values under the pointer
 */
export function lineChart(root, { lines, height, format, least = null, pointed }) {
  let data = [[], ...lines.map(() => [])];
  let marks = [];
  let range = null;
  let plot = null;

  function build() {
    plot?.destroy();
    plot = new uPlot(
      {
        width: root.clientWidth,
        height,
        legend: { show: false },
        cursor: { drag: { x: false, y: false }, points: { size: 7 } },
        scales: {
          x: { time: true, range: (_, low, high) => range ?? [low, high] },
          y: { range: (_, low, high) => (least === null ? padded(low, high) : [least, Math.max(padded(low, high)[1], least)]) },
        },
        axes: timeAxes(root, format),
        series: [{}, ...lines.map(({ name, ink }) => ({ label: name, stroke: colour(ink), width: 1.4, points: { show: false } }))],
        hooks: { drawClear: [(chart) => drawMarks(chart, marks)], setCursor: [(chart) => pointed(describe(chart, format))] },
      },
      data,
      root,
    );
  }

  build();
  const resized = new ResizeObserver(() => {
    if (root.clientWidth && root.clientWidth !== plot.width) plot.setSize({ width: root.clientWidth, height });
  });
  resized.observe(root);
  const endTheme = onTheme(build);
  return {
    /**
     * Show data.
     * @param {(number | null)[][]} columns times in seconds since 1970, then one column for each line
     * @param {{at: number, ink: string}[]} moments marked behind the lines
     * @param {[number, number] | null} shown time range; null for that of the data
     */
    show(columns, moments, shown = null) {
      [data, marks, range] = [columns, moments, shown];
      plot.setData(data);
      root.dataset.points = String(data[0].length);
    },
    close() {
      resized.disconnect();
      endTheme();
      plot.destroy();
    },
  };
}

function drawMarks(chart, marks) {
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.lineWidth = 1.5 * devicePixelRatio;
  ctx.setLineDash([5, 4]);
  for (const { at, ink } of marks) {
    const x = chart.valToPos(at, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.strokeStyle = colour(ink);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
  }
  ctx.restore();
}

function describe(chart, format) {
  const i = chart.cursor.idx;
  if (i === null || i === undefined || chart.data[0][i] === undefined) return "";
  const values = chart.series.slice(1).map((line, n) => `${line.label} ${format(chart.data[n + 1][i])}`);
  return `${utc(chart.data[0][i])}: ${values.join(", ")}`;
}
