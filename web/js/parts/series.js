/** Conversion of API responses to chart columns; pure functions. */

/**
 * Combine windows and anomalies into columns `[ts, value, low, high, expected, anomaly]`.
 *
 * A gap in the data is a null, so that no line is drawn across it.
 * @param {object} windows response of `/api/sensors/{id}/windows`
 * @param {{ts: string, value: number, expected_low: number | null}[]} anomalies with the range expected when they were found
 */
export function columns(windows, anomalies) {
  const marked = new Map(anomalies.map((each) => [Date.parse(each.ts) / 1000, each]));
  const rows = windows.ts.map((ts, i) => [ts, windows.value[i], windows.expected_low[i], windows.expected_high[i], windows.expected_value[i], marked.get(ts)?.value ?? null]);
  const shown = new Set(windows.ts);
  const first = windows.ts[0];
  const last = windows.ts.at(-1);
  const banded = windows.expected_low.some((low) => low !== null) || windows.expected_high.some((high) => high !== null);
  for (const [ts, each] of marked) {
    if (shown.has(ts) || ts < first || ts > last) continue;
    const band = banded ? [each.expected_low, each.expected_high, each.expected_value] : [null, null, null];
    rows.push([ts, each.value, ...band, each.value]);
  }
  rows.sort((a, b) => a[0] - b[0]);
  const longest = gap(windows);
  const data = [[], [], [], [], [], []];
  let before = null;
  for (const row of rows) {
    if (before !== null && row[0] - before > longest) add(data, [before + 1, null, null, null, null, null]);
    add(data, row);
    before = row[0];
  }
  return data;
}

/**
 * Append newer windows of the same sensor.
 *
 * An expected range that is constant is taken from the newer windows; one that varies is kept for each window.
 * @param {object} windows response of `/api/sensors/{id}/windows`
 * @param {object} newer response of the same endpoint, from the last window of the other on
 */
export function joined(windows, newer) {
  const both = { ...newer, windows_in_range: windows.windows_in_range + newer.windows_in_range, expected_left_out: windows.expected_left_out };
  for (const name of ["ts", "value", "readings"]) both[name] = [...windows[name], ...newer[name]];
  const eachItsOwn = [windows, newer].some((each) => each.expected_value.some((value) => value !== null));
  for (const name of ["expected_value", "expected_low", "expected_high"]) {
    if (windows.expected_left_out) both[name] = both.ts.map(() => null);
    else if (eachItsOwn) both[name] = [...windows[name], ...newer[name]];
    else both[name] = both.ts.map(() => (newer.ts.length ? newer : windows)[name][0]);
  }
  return both;
}

/** Return the longest step that is not a gap, in seconds; downsampled data has wider steps. */
export function gap(windows) {
  const { ts } = windows;
  if (ts.length < 3) return Infinity;
  const thinned = windows.windows_in_range / ts.length;
  const steps = ts.slice(1).map((end, i) => end - ts[i]).sort((a, b) => a - b);
  const usual = steps[steps.length >> 1];
  return Math.max(12 * windows.window_seconds, thinned > 1 ? 12 * usual : 6 * usual);
}

/**
 * Move a range into bounds, keeping its width if possible.
 * @returns {[number, number]}
 */
export function within(from, to, first, last, smallest) {
  const width = Math.min(Math.max(to - from, smallest), Math.max(last - first, smallest));
  const middle = (from + to) / 2;
  const start = Math.min(Math.max(middle - width / 2, first), Math.max(last - width, first));
  return [start, start + width];
}

function add(data, row) {
  row.forEach((value, i) => data[i].push(value));
}
