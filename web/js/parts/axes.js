/** Axes common to all charts. */
import { colour } from "../theme.js";

// For uPlot: the smallest tick step in seconds, the label, and what is added to it where a year, a day or a minute begins.
const YEAR = "\n{YYYY}";
const DAY = "\n{D} {MMM}";
const TIMES = [
  [31_536_000, "{YYYY}", null, null, null, null, null, null, 1],
  [2_419_200, "{MMM}", YEAR, null, null, null, null, null, 1],
  [86_400, "{D} {MMM}", YEAR, null, null, null, null, null, 1],
  [60, "{HH}:{mm}", `${DAY} {YYYY}`, null, DAY, null, null, null, 1],
  [1, "{HH}:{mm}:{ss}", `${DAY} {YYYY}`, null, DAY, null, null, null, 1],
];
const NARROW = 500;

/**
 * Return the axes of a chart over time.
 * @param {HTMLElement} root element that holds the chart
 * @param {(value: number) => string} format of the values
 */
export function timeAxes(root, format) {
  const grid = { stroke: colour("--chart-grid"), width: 1 };
  const axis = { stroke: colour("--text-soft"), grid, ticks: grid, font: "12px system-ui, sans-serif" };
  return [
    { ...axis, space: 90, values: TIMES },
    { ...axis, size: root.clientWidth < NARROW ? 46 : 64, values: (_, ticks) => ticks.map((tick) => format(tick)) },
  ];
}

/** Return bounds extended to include more values. */
export function including(low, high, values = []) {
  return [low, high].map((bound, i) => (bound === null ? null : [Math.min, Math.max][i](bound, ...values)));
}

/** Return bounds with some space above and below. */
export function padded(low, high) {
  if (low === null || high === null) return [0, 1];
  const space = (high - low) * 0.08 || Math.abs(high) * 0.05 || 1;
  return [low - space, high + space];
}
