/** Alert inbox, designed for the keyboard. Keys act on the selected rows, or else on the row in focus. */
import { announce } from "../announce.js";
import { get, url } from "../api.js";
import { html, nothing } from "../html.js";
import { setKeys } from "../keys.js";
import { empty, livePage } from "../page.js";
import { acknowledge, feedback, mute, resolve } from "../parts/alert-actions.js";
import { alertTable } from "../parts/alert-table.js";
import { SEVERITIES, kindOf, stateName } from "../parts/badges.js";
import { pager } from "../parts/pager.js";
import { link } from "../router.js";
import { mayAct } from "../viewer.js";

export const title = "Alerts";
const STATES = ["open", "acknowledged", "silenced", "resolved", "all"];
const KINDS = ["anomaly", "no-data", "flatline"];

/** Show the page; its filters are in the URL. */
export function open({ root, query }) {
  const state = query.get("state") ?? "open";
  const chosen = new Set();
  let place = -1;
  const filters = { ...Object.fromEntries(query), state: state === "all" ? null : state };

  const page = livePage({
    root,
    async load(signal) {
      const [list, overview] = await Promise.all([
        get(url("/api/alerts", { limit: 100, ...filters }), { signal }),
        get("/api/overview", { signal }),
      ]);
      return { list, overview };
    },
    template: ({ list, overview }) => html`
      <div class="page-head"><h1>Alerts</h1>
        ${mayAct() ? html`<div class="actions" role="group" aria-label="Actions on the selected alerts">${buttons()}</div>` : nothing}
      </div>
      <div class="section-head">${tabs(state, query, overview.alerts.states)}${selects(query)}</div>
      ${list.items.length
        ? html`${alertTable(list.items, { caption: `Alerts, ${stateName(state)}; press j and k to move, question mark for all keyboard shortcuts`, chosen, choose })}
            ${pager("/alerts", query, list, "alert")}`
        : empty(state === "open" ? "No open alerts" : "No alerts found", state === "open" ? "Nothing needs your attention." : "No alert matches these filters.")}`,
    drawn: keepPlace,
  });

  const buttons = () => [["Acknowledge", "a", acknowledge], ["Mute", "s", mute], ["Feedback", "f", feedback], ["Resolve", "r", resolve]].map(
    ([text, key, action]) => html`<button type="button" class="small" aria-keyshortcuts=${key} @click=${() => run(action)}>${text} <kbd>${key}</kbd></button>`,
  );

  const rows = () => [...root.querySelectorAll("tr[data-alert]")];
  const current = () => rows().findIndex((row) => row.contains(document.activeElement));

  function move(step) {
    const all = rows();
    if (!all.length) return;
    const at = current();
    focusRow(at < 0 ? (place < 0 ? 0 : place) : at + step);
  }

  function focusRow(at) {
    const all = rows();
    place = Math.min(Math.max(at, 0), all.length - 1);
    all[place]?.querySelector("a.name").focus();
  }

  function keepPlace() {
    const ids = new Set(page?.data?.list.items.map((alert) => alert.alert_id));
    for (const id of chosen) if (!ids.has(id)) chosen.delete(id);
  }

  function targets() {
    const items = page.data?.list.items ?? [];
    if (chosen.size) return items.filter((alert) => chosen.has(alert.alert_id));
    const at = current();
    const id = rows()[at < 0 ? place : at]?.dataset.alert;
    return items.filter((alert) => alert.alert_id === id);
  }

  function choose(id, selected) {
    if (selected) chosen.add(id);
    else chosen.delete(id);
    page.draw();
  }

  async function run(action) {
    if (!mayAct()) return announce("You have read-only access.", "error");
    const alerts = targets();
    if (!alerts.length) return announce("Select an alert first: j and k move, x selects.", "error");
    const at = Math.max(current(), place, 0);
    try {
      await action(alerts);
    } catch (error) {
      announce(error.message, "error");
    }
    chosen.clear();
    await page.refresh();
    page.draw();
    focusRow(at);
    return undefined;
  }

  setKeys([
    ["j", "Next alert", () => move(1)],
    ["k", "Previous alert", () => move(-1)],
    ["x", "Select or deselect the alert", () => {
      const id = rows()[current()]?.dataset.alert;
      if (id) choose(id, !chosen.has(id));
    }],
    ["a", "Acknowledge", () => run(acknowledge)],
    ["s", "Mute", () => run(mute)],
    ["f", "Give feedback", () => run(feedback)],
    ["r", "Resolve", () => run(resolve)],
    ["Enter", "Open the alert", null],
  ]);
  return { close: page.close };
}

function tabs(state, query, states) {
  const others = { severity: query.get("severity"), kind: query.get("kind") };
  return html`<nav class="tabs" aria-label="State">${STATES.map((name) => html`<a href=${link("/alerts", { ...others, state: name })} aria-current=${name === state ? "true" : "false"}>
    ${stateName(name)}${name === "all" ? nothing : html`<span class="count">${states[name] ?? 0}</span>`}</a>`)}</nav>`;
}

function selects(query) {
  const change = (name) => (event) => {
    const { after: _, ...others } = Object.fromEntries(query);
    location.hash = link("/alerts", { ...others, [name]: event.target.value });
  };
  const select = (name, text, values, say) => html`<label>${text} <select @change=${change(name)}>
    <option value="" ?selected=${!query.get(name)}>any</option>
    ${values.map((value) => html`<option value=${value} ?selected=${query.get(name) === value}>${say(value)}</option>`)}
  </select></label>`;
  return html`<div class="filters">${select("severity", "Severity", SEVERITIES, (name) => name)}${select("kind", "Reason", KINDS, kindOf)}</div>`;
}
