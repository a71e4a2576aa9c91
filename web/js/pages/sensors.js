/** Catalogue of sensors with their states. */
import { get, url } from "../api.js";
import { count, time } from "../format.js";
import { html, nothing } from "../html.js";
import { setKeys } from "../keys.js";
import { empty, livePage } from "../page.js";
import { SENSOR_STATES, sensorState, stateName } from "../parts/badges.js";
import { pager } from "../parts/pager.js";
import { link, linkTo, replaceQuery } from "../router.js";

export const title = "Sensors";
const WAIT_MS = 200;

/** Show the page; its filters are in the URL. */
export function open({ root, query }) {
  let timer = 0;
  const page = livePage({
    root,
    load: async (signal) => ({ list: await get(url("/api/sensors", { limit: 100, ...Object.fromEntries(query) }), { signal }) }),
    template: ({ list }) => html`
      <div class="page-head"><div><h1>Sensors</h1>
        ${query.get("device") ? html`<p class="sub">of ${query.get("device")} – <a href="#/sensors">show all</a></p>` : nothing}</div></div>
      <div class="filters">
        <label class="grow">Search <input type="search" maxlength="64" .value=${query.get("search") ?? ""} placeholder="start of a device or tag name" @input=${search}></label>
      </div>
      ${tabs(list.states, query)}
      ${list.items.length ? html`${table(list.items)}${pager("/sensors", query, list, "sensor")}` : empty("No sensors found", query.size ? "No sensor matches these filters." : "Sensors appear with their first reading.")}`,
  });

  function search(event) {
    clearTimeout(timer);
    timer = setTimeout(() => {
      query.delete("after");
      if (event.target.value) query.set("search", event.target.value);
      else query.delete("search");
      replaceQuery({ search: event.target.value, after: null });
      page.refresh();
    }, WAIT_MS);
  }

  setKeys([["/", "Search", () => root.querySelector("input[type=search]")?.focus()]]);
  return {
    close() {
      clearTimeout(timer);
      page.close();
    },
  };
}

function tabs(states, query) {
  const chosen = query.get("state");
  const others = { search: query.get("search"), device: query.get("device"), tag: query.get("tag") };
  const total = Object.values(states).reduce((sum, value) => sum + value, 0);
  const tab = (state, text, value) => html`<a href=${link("/sensors", { ...others, state })} aria-current=${chosen === state ? "true" : "false"}>${text}<span class="count">${count(value)}</span></a>`;
  return html`<nav class="tabs" aria-label="State">
    ${tab(null, "All", total)}${Object.keys(SENSOR_STATES).map((state) => tab(state, stateName(state), states[state] ?? 0))}
  </nav>`;
}

function table(sensors) {
  return html`<div class="table-box"><table>
    <caption class="hidden-visually">Sensors</caption>
    <thead><tr><th scope="col">Sensor</th><th scope="col">State</th><th scope="col" class="number">Alerts</th><th scope="col" class="wide">Reason</th><th scope="col" class="wide">Newest window</th><th scope="col" class="wide">Trained until</th></tr></thead>
    <tbody>${sensors.map((sensor) => html`<tr>
      <td><a class="name" href=${linkTo("sensors", sensor.sensor_id)}>${sensor.device} / ${sensor.tag}</a></td>
      <td>${sensorState(sensor.state)}</td>
      <td class="number">${count(sensor.open_alerts)}</td>
      <td class="wide soft">${sensor.reason}</td>
      <td class="wide">${time(sensor.last_window)}</td>
      <td class="wide">${time(sensor.trained_until)}</td>
    </tr>`)}</tbody>
  </table></div>`;
}
