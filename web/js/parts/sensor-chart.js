/** Zoomable chart of a sensor. It loads only the points of the shown range, so a million windows cost no more than a thousand. */
import { get, url } from "../api.js";
import { onTheme } from "../theme.js";
import { fit, makePlot } from "./plot.js";
import { columns, joined, within } from "./series.js";

const WAIT_MS = 120;
const SMALLEST_WINDOWS = 20;
const MARGIN = 0.5;
const MOST_ANOMALIES = 1000;
const MOST_JOINED = 60;
const REACH_PX = 16;
const iso = (seconds) => new Date(seconds * 1000).toISOString();

/**
 * Draw a chart in an element.
 * @param {HTMLElement} root receives the keys: arrows pan, + and - zoom, 0 shows all, n and p step through anomalies
 * @param {object} options
 * @param {number} options.sensor sensor id
 * @param {number | null} options.from start of the shown range, in seconds since 1970; null for the whole history
 * @param {number | null} options.to end of the shown range
 * @param {(from: number | null, to: number | null) => void} options.moved called when the shown range changes; null for the whole history
 * @param {(text: string) => void} options.pointed called with a description of the values under the pointer
 * @param {(end: number | null) => void} options.asked called with the end of the window of the selected anomaly; null when it is deselected
 * @param {(error: Error | null) => void} options.failed called with the error of a load, or null after a success
 * @param {(shown: {windows: object, data: unknown[][], count: number}) => void} options.loaded called after each load
 */
export function sensorChart(root, { sensor, from, to, moved, pointed, asked, failed, loaded }) {
  const path = `/api/sensors/${sensor}/windows`;
  let range = from === null || to === null ? null : [from, to];
  let bounds = null;
  let have = null;
  let kept = null;
  let marks = { alerts: [], models: [] };
  let why = null;
  let found = [];
  let timer = 0;
  let running = new AbortController();
  let plot = null;

  function build() {
    const data = plot?.data;
    plot?.destroy();
    plot = makePlot(root, { marks: () => ({ ...marks, why }), chosen: (a, b) => show(a, b), pointed });
    if (data) draw(data);
    plot.over.addEventListener("wheel", wheel, { passive: false });
    plot.over.addEventListener("pointerdown", drag);
    plot.over.addEventListener("dblclick", () => showAll());
    plot.over.addEventListener("click", clicked);
  }

  async function load(again = false) {
    running.abort();
    running = new AbortController();
    const { signal } = running;
    try {
      const wanted = range && widened();
      const bound = wanted ? { from: iso(wanted[0]), to: iso(wanted[1]) } : {};
      const [windows, anomalies] = await Promise.all([
        again ? newestWindows(bound, signal) : allWindows(bound, signal),
        get(url("/api/anomalies", { sensor_id: sensor, ...bound, limit: MOST_ANOMALIES }), { signal }),
      ]);
      if (signal.aborted) return;
      // A response for a later range does not include the beginning of the history.
      const first = Math.max(Date.parse(windows.first_ts) / 1000, bounds?.[0] ?? 0);
      bounds = windows.first_ts ? [first, Date.parse(windows.last_ts) / 1000] : null;
      have = wanted;
      if (range && bounds) range = [Math.max(range[0], bounds[0]), Math.min(range[1], bounds[1])];
      if (range && range[1] <= range[0]) range = null;
      found = anomalies.items.map(({ ts, value }) => [Date.parse(ts) / 1000, value]).reverse();
      const data = columns(windows, anomalies.items);
      draw(data);
      failed(null);
      loaded({ windows, data, count: anomalies.items.length });
    } catch (error) {
      if (!signal.aborted) failed(error);
    }
  }

  async function allWindows(bound, signal) {
    const points = Math.max(400, Math.round(root.clientWidth * 2));
    const windows = await get(url(path, { ...bound, points: bound.from ? points * (1 + 2 * MARGIN) : points }), { signal });
    kept = { windows, place: JSON.stringify(bound), times: 0 };
    return windows;
  }

  // Reading a long history takes seconds, so only newer windows are requested. A full load from time to time picks up late readings.
  async function newestWindows(bound, signal) {
    const last = kept?.windows.ts.at(-1);
    if (!last || kept.place !== JSON.stringify(bound) || kept.times >= MOST_JOINED) return allWindows(bound, signal);
    const newer = await get(url(path, { ...bound, from: iso(last) }), { signal });
    kept = { ...kept, windows: joined(kept.windows, newer), times: kept.times + 1 };
    return kept.windows;
  }

  function widened() {
    const margin = (range[1] - range[0]) * MARGIN;
    return [Math.floor(range[0] - margin), Math.ceil(range[1] + margin)];
  }

  function draw(data) {
    plot.setData(data, false);
    const shown = range ?? bounds;
    if (shown) plot.setScale("x", { min: shown[0], max: Math.max(shown[1], shown[0] + 1) });
    root.dataset.points = String(data[0].length);
  }

  function show(a, b) {
    if (!bounds || !have && !plot.data[0].length) return;
    const smallest = SMALLEST_WINDOWS * 5;
    range = within(a, b, bounds[0], bounds[1], smallest);
    if (range[0] <= bounds[0] && range[1] >= bounds[1]) range = null;
    const [low, high] = range ?? bounds;
    plot.setScale("x", { min: low, max: high });
    moved(range && Math.round(range[0]), range && Math.round(range[1]));
    clearTimeout(timer);
    timer = setTimeout(() => load(), WAIT_MS);
  }

  function showAll() {
    if (bounds) show(bounds[0], bounds[1]);
  }

  function zoom(factor, at = 0.5) {
    const [low, high] = range ?? bounds ?? [0, 0];
    const width = (high - low) * factor;
    const start = low + (high - low) * at - width * at;
    show(start, start + width);
  }

  function pan(share) {
    const [low, high] = range ?? bounds ?? [0, 0];
    const step = (high - low) * share;
    show(low + step, high + step);
  }

  function wheel(event) {
    if (!event.ctrlKey && Math.abs(event.deltaX) <= Math.abs(event.deltaY) && !event.shiftKey && document.activeElement !== root) return;
    event.preventDefault();
    if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) pan(Math.sign(event.deltaX || event.deltaY) * 0.08);
    else zoom(event.deltaY > 0 ? 1.25 : 0.8, event.offsetX / plot.over.clientWidth);
  }

  function drag(event) {
    if (!event.shiftKey) return;
    // Otherwise uPlot would start a selection.
    event.stopPropagation();
    const [low, high] = range ?? bounds ?? [0, 0];
    const perPixel = (high - low) / plot.over.clientWidth;
    const begin = event.clientX;
    const move = (now) => {
      const by = (begin - now.clientX) * perPixel;
      show(low + by, high + by);
    };
    const up = () => {
      removeEventListener("pointermove", move);
      removeEventListener("pointerup", up);
    };
    addEventListener("pointermove", move);
    addEventListener("pointerup", up);
  }

  /** Select the anomaly under the pointer, if there is one. */
  function clicked(event) {
    if (event.shiftKey) return;
    const off = ([end, value]) => Math.hypot(plot.valToPos(end, "x") - event.offsetX, plot.valToPos(value, "y") - event.offsetY);
    const [nearest] = found.filter((each) => off(each) < REACH_PX).sort((a, b) => off(a) - off(b));
    if (nearest) asked(nearest[0]);
  }

  /** Select the next or previous of the loaded anomalies, or the newest if none is selected. */
  function step(by) {
    if (!found.length) return;
    const i = why ? found.findIndex(([end]) => end >= why.at) : -1;
    const next = i < 0 ? found.length - 1 : Math.min(Math.max(i + by, 0), found.length - 1);
    const [end] = found[next];
    const [low, high] = range ?? bounds;
    if (end < low || end > high) show(end - (high - low) / 2, end + (high - low) / 2);
    asked(end);
  }

  function key(event) {
    const action = {
      ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2), "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), 0: showAll,
      n: () => step(1), p: () => step(-1), Escape: () => asked(null),
    }[event.key];
    if (!action || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    action();
  }

  build();
  root.addEventListener("keydown", key);
  const resized = new ResizeObserver(() => fit(plot, root));
  resized.observe(root);
  const endTheme = onTheme(build);
  load();
  return {
    zoom, pan, showAll,
    refresh: () => load(true),
    step,
    /** Show the surroundings of a moment at the current zoom. */
    showAround(moment) {
      const [low, high] = range ?? bounds ?? [0, 0];
      if (moment < low || moment > high) show(moment - (high - low) / 2, moment + (high - low) / 2);
    },
    /** Draw the explanation of an anomaly; null for none. */
    explain(explained) {
      why = explained;
      plot.redraw(false, true);
      if (plot.data[0].length) draw(plot.data);
    },
    mark(changed) {
      marks = changed;
      plot.redraw(false);
    },
    close() {
      clearTimeout(timer);
      running.abort();
      resized.disconnect();
      endTheme();
      plot.destroy();
    },
  };
}
