/** What people do with alerts: each action asks what it needs, does it for every alert given, and says so. */
import { announce } from "../announce.js";
import { post } from "../api.js";
import { ask } from "../dialog.js";
import { counted } from "../format.js";
import { html } from "../html.js";

const SILENCES = [["1 hour", 3600], ["8 hours", 28_800], ["1 day", 86_400], ["1 week", 604_800]];
const VERDICTS = [
  ["confirmed", "Confirmed", "It was a real fault."],
  ["expected", "Expected", "It happened, and it may: windows like these raise no alert."],
  ["false-alarm", "False alarm", "Nothing happened: windows like these raise no alert."],
  ["new-trend", "New trend", "The sensor behaves differently from now on: train it anew."],
];

/** Say that somebody looks after the alerts. */
export function acknowledge(alerts) {
  return act(alerts, "acknowledge", {}, "Acknowledged");
}

/** Take an acknowledgement back. */
export function unacknowledge(alerts) {
  return act(alerts, "unacknowledge", {}, "No longer acknowledged");
}

/** End a silence. */
export function unsilence(alerts) {
  return act(alerts, "unsilence", {}, "No longer silenced");
}

/** Ask how long and why, then tell nobody of the alerts until then. */
export function silence(alerts) {
  return ask({
    title: `Silence ${named(alerts)}`,
    about: "Nobody is told of these sensors' alerts until then; windows are still collected.",
    content: html`
      <fieldset>
        <legend>For</legend>
        ${SILENCES.map(([text, seconds], i) => html`<label class="inline">
          <input type="radio" name="seconds" value=${seconds} ?checked=${i === 0} ?autofocus=${i === 0}>${text}</label>`)}
      </fieldset>
      <label>Reason <input name="reason" maxlength="1000" placeholder="planned work"></label>`,
    confirm: "Silence",
    act: ({ seconds, reason }) => act(alerts, "silence", { seconds: Number(seconds), reason }, "Silenced"),
  });
}

/** Ask what the alerts were. */
export function feedback(alerts) {
  return ask({
    title: `Feedback on ${named(alerts)}`,
    content: html`
      <fieldset>
        <legend>What was it?</legend>
        ${VERDICTS.map(([verdict, text, meaning], i) => html`<label class="choice">
          <input type="radio" name="verdict" value=${verdict} required ?autofocus=${i === 0}>
          <span>${text}</span><small>${meaning}</small></label>`)}
      </fieldset>
      <label>Comment <input name="comment" maxlength="1000"></label>`,
    confirm: "Send feedback",
    act: ({ verdict, comment }) => act(alerts, "feedback", { verdict, comment }, "Feedback is kept"),
  });
}

/** Ask for a note, then close the alerts before their quiet period is over. */
export function resolve(alerts) {
  return ask({
    title: `Resolve ${named(alerts)}`,
    about: "A resolved alert never opens again; further anomalous windows become a new one.",
    content: html`<label>Comment <input name="comment" maxlength="1000" autofocus></label>`,
    confirm: "Resolve",
    act: ({ comment }) => act(alerts, "resolve", { comment }, "Resolved"),
  });
}

/** Add a comment to one alert. */
export function comment(alert, text) {
  return act([alert], "comments", { comment: text }, "Comment is kept");
}

async function act(alerts, action, body, done) {
  const results = await Promise.allSettled(
    alerts.map((alert) => post(`/api/alerts/${encodeURIComponent(alert.alert_id)}/${action}`, body)),
  );
  const failed = results.filter((result) => result.status === "rejected");
  if (failed.length) {
    throw new Error(alerts.length === 1 ? failed[0].reason.message : `${failed.length} of ${alerts.length} failed: ${failed[0].reason.message}`);
  }
  announce(`${done}: ${named(alerts)}.`);
}

function named(alerts) {
  return alerts.length === 1 ? `${alerts[0].device} / ${alerts[0].tag}` : counted(alerts.length, "alert");
}
