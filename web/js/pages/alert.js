/** Page of one alert: its chart, facts, history and actions. */
import { announce } from "../announce.js";
import { get } from "../api.js";
import { count, number, range, time } from "../format.js";
import { html, nothing } from "../html.js";
import { setKeys } from "../keys.js";
import { livePage } from "../page.js";
import * as actions from "../parts/alert-actions.js";
import { kindOf, severity, state } from "../parts/badges.js";
import { chartBox } from "../parts/chart-box.js";
import { link, linkTo } from "../router.js";
import { mayAct } from "../viewer.js";

export const title = "Alert";
const AROUND_SECONDS = 1800;
const seconds = (iso) => Date.parse(iso) / 1000;
const WORDS = {
  open: "opened the alert", join: "added it to an incident", acknowledge: "acknowledged", unacknowledge: "withdrew the acknowledgement",
  silence: "muted", unsilence: "unmuted", resolve: "resolved", comment: "commented", feedback: "gave feedback",
};

/** Show the page. */
export function open({ root, id }) {
  let chart = null;
  const page = livePage({
    root,
    load: async (signal) => ({ alert: await get(`/api/alerts/${encodeURIComponent(id)}`, { signal }) }),
    template: ({ alert }) => template(alert, run, note),
    drawn,
  });

  function drawn() {
    const place = root.querySelector("[data-chart]");
    if (!place || !page.data) return;
    const { alert } = page.data;
    const name = `${alert.device} / ${alert.tag}`;
    document.title = `${name} – Sensorwatch`;
    const [from, to] = [seconds(alert.opened_at), seconds(alert.last_anomaly_at)];
    chart ??= chartBox(place, { sensor: alert.sensor_id, name, from: from - AROUND_SECONDS, to: to + AROUND_SECONDS });
    chart.mark({ alerts: [[from, to]], models: [] });
  }

  async function run(action) {
    if (!page.data || !mayAct()) return;
    try {
      await action([page.data.alert]);
    } catch (error) {
      announce(error.message, "error");
    }
    await page.refresh();
  }

  async function note(event) {
    event.preventDefault();
    const form = event.target;
    try {
      await actions.comment(page.data.alert, new FormData(form).get("comment"));
      form.reset();
    } catch (error) {
      announce(error.message, "error");
    }
    await page.refresh();
  }

  setKeys([
    ["a", "Acknowledge", () => run(actions.acknowledge)],
    ["s", "Mute", () => run(actions.mute)],
    ["f", "Give feedback", () => run(actions.feedback)],
    ["r", "Resolve", () => run(actions.resolve)],
    ["n p", "Explain the next or the previous anomaly (with the chart in focus)", null],
    ["c", "Write a comment", () => root.querySelector("textarea")?.focus()],
  ]);
  return {
    close() {
      page.close();
      chart?.close();
    },
  };
}

function template(alert, run, note) {
  return html`
    <div class="page-head"><div>
        <p class="crumbs"><a href="#/alerts">Alerts</a>${alert.incident_id ? html` / <a href=${linkTo("incidents", alert.incident_id)}>Incident</a>` : nothing}</p>
        <h1>${alert.device} / ${alert.tag}</h1>
        <p class="sub">${severity(alert.severity)} ${state(alert.state)} ${kindOf(alert.kind)}, opened ${time(alert.opened_at)}</p>
      </div>
      ${mayAct() ? html`<div class="actions" role="group" aria-label="Actions">${buttons(alert, run)}</div>` : nothing}
    </div>
    <section class="card" aria-label="Values around the alert"><div data-chart></div></section>
    <div class="columns">
      <section class="card section" aria-labelledby="facts"><h2 id="facts">What happened</h2>${alert.explanation ? html`<p data-why>${alert.explanation}</p>` : nothing}${facts(alert)}</section>
      <section class="card section" aria-labelledby="history"><h2 id="history">History</h2>${history(alert.history)}
        ${mayAct() ? html`<form class="section" @submit=${note}>
          <label>Comment <textarea name="comment" required maxlength="1000" rows="2"></textarea></label>
          <div class="actions"><button>Add comment</button></div>
        </form>` : nothing}
      </section>
    </div>`;
}

function buttons(alert, run) {
  const button = (text, key, action, name = "") => html`<button type="button" class=${name} aria-keyshortcuts=${key || nothing} @click=${() => run(action)}>${text}${key ? html` <kbd>${key}</kbd>` : nothing}</button>`;
  if (alert.state === "resolved") return button("Feedback", "f", actions.feedback, "main");
  return html`
    ${alert.acknowledged_by ? button("Withdraw acknowledgement", "", actions.unacknowledge) : button("Acknowledge", "a", actions.acknowledge, "main")}
    ${alert.state === "silenced" ? button("Unmute", "", actions.unmute) : button("Mute", "s", actions.mute)}
    ${button("Feedback", "f", actions.feedback)}
    ${button("Resolve", "r", actions.resolve)}`;
}

function facts(alert) {
  const fact = (name, value) => html`<div><dt>${name}</dt><dd>${value}</dd></div>`;
  return html`<dl class="facts">
    ${fact("Sensor", html`<a href=${linkTo("sensors", alert.sensor_id)}>${alert.device} / ${alert.tag}</a>`)}
    ${alert.kind === "anomaly" ? html`${fact("Worst value", html`<b>${number(alert.value)}</b>`)}${fact("Expected", range(alert.expected_low, alert.expected_high))}` : nothing}
    ${fact("Score", `${number(Math.round(alert.score))} of 100`)}
    ${fact("Anomalous windows", count(alert.anomalies))}
    ${fact("Last anomalous window", time(alert.last_anomaly_at))}
    ${alert.cleared_at ? fact("Cleared", html`${time(alert.cleared_at)}${alert.resolved_by ? html`, resolved by ${alert.resolved_by}` : nothing}`) : nothing}
    ${alert.acknowledged_by ? fact("Acknowledged by", html`${alert.acknowledged_by}, ${time(alert.acknowledged_at)}`) : nothing}
    ${alert.silenced_until ? fact("Muted until", html`${time(alert.silenced_until)} by ${alert.silenced_by}${alert.silence_reason ? html`: ${alert.silence_reason}` : nothing}`) : nothing}
    ${alert.verdict ? fact("Feedback", html`${alert.verdict} by ${alert.verdict_by}`) : nothing}
    ${alert.training_end ? fact("Model trained on", html`${time(alert.training_start)} to ${time(alert.training_end)}`) : nothing}
    ${alert.incident_id ? fact("Incident", html`<a href=${linkTo("incidents", alert.incident_id)}>${alert.incident_id}</a>`) : nothing}
    ${fact("Other alerts", html`<a href=${link("/alerts", { state: "all", sensor_id: alert.sensor_id })}>Alerts of this sensor</a>`)}
  </dl>`;
}

function history(entries) {
  return html`<ol class="history">${entries.map((entry) => html`<li>
    <p><b>${entry.by}</b> ${WORDS[entry.action] ?? entry.action} <span class="soft">${time(entry.at)}</span></p>
    ${entry.comment ? html`<p>${comment(entry)}</p>` : nothing}
  </li>`)}</ol>`;
}

function comment({ action, comment: text }) {
  return action === "resolve" && text === "quiet" ? "The quiet period is over." : text;
}
