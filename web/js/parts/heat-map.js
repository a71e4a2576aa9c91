/** Map of devices and tags: each cell shows the state of a sensor by colour and letter, and links to it. */
import { html, nothing } from "../html.js";
import { link, linkTo } from "../router.js";
import { SENSOR_STATES, SEVERITIES, stateName } from "./badges.js";

const SIGNS = { critical: "C", high: "H", medium: "M", low: "L", failed: "×", stale: "s", warming: "w", "no-data": "·", ready: "" };
const TAGS_SHOWN = 40;

/**
 * Render one page of the map.
 * @param {{tags: string[], items: {device: string, cells: ({sensor_id: number, state: string, severity: string | null} | null)[]}[]}} map
 * @param {number} first position of the first tag shown
 */
export function heatMap(map, first) {
  const tags = map.tags.slice(first, first + TAGS_SHOWN);
  return html`<div class="table-box heat" tabindex="0" role="region" aria-label="Devices by tags"><table>
    <caption class="hidden-visually">State of each sensor, by device and tag. An unresolved alert is shown instead of the state.</caption>
    <thead><tr><td></td>${tags.map((tag) => html`<th scope="col" title=${tag}>${tag}</th>`)}</tr></thead>
    <tbody>${map.items.map((row) => html`<tr>
      <th scope="row" title=${row.device}><a href=${link("/sensors", { device: row.device })}>${row.device}</a></th>
      ${tags.map((tag, i) => cell(row.device, tag, row.cells[first + i]))}
    </tr>`)}</tbody>
  </table></div>`;
}

/** Render links to further tags, if there are more than fit. */
export function tagPager(map, first, query) {
  if (map.tags.length <= TAGS_SHOWN) return nothing;
  const others = Object.fromEntries(query);
  const to = (start, text) => html`<a class="button small" href=${link("/", { ...others, tags: start || null })}>${text}</a>`;
  return html`<span class="actions">
    ${first ? to(Math.max(first - TAGS_SHOWN, 0), "Previous tags") : nothing}
    ${first + TAGS_SHOWN < map.tags.length ? to(first + TAGS_SHOWN, "More tags") : nothing}
  </span>`;
}

/** Render the legend of the map. */
export function heatLegend() {
  const states = Object.keys(SENSOR_STATES).filter((state) => state !== "ready");
  return html`<ul class="legend" aria-label="Legend of the map">
    <li><span class="swatch cell-good"></span>ready</li>
    ${SEVERITIES.map((name) => html`<li><span class=${`badge none tone-${name}`}>${SIGNS[name]}</span>${name} alert</li>`)}
    ${states.map((name) => html`<li><span class=${`badge none tone-${SENSOR_STATES[name][0]}`}>${SIGNS[name]}</span>${stateName(name)}</li>`)}
  </ul>`;
}

function cell(device, tag, sensor) {
  if (!sensor) return html`<td><span class="gap"></span></td>`;
  const words = sensor.severity ? `${sensor.severity} alert, ${stateName(sensor.state)}` : stateName(sensor.state);
  const text = `${device} ${tag}: ${words}`;
  return html`<td><a class=${tone(sensor)} href=${linkTo("sensors", sensor.sensor_id)} title=${text} aria-label=${text}>${SIGNS[sensor.severity ?? sensor.state]}</a></td>`;
}

function tone({ severity, state }) {
  if (severity) return `tone-${severity}`;
  if (state === "ready") return "cell-good";
  return state === "no-data" ? "cell-quiet" : `tone-${SENSOR_STATES[state][0]}`;
}
