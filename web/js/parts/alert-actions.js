/** Actions on alerts: each asks for its input, applies to all given alerts, and reports the result. */
import { announce } from "../announce.js";
import { post } from "../api.js";
import { ask } from "../dialog.js";
import { counted } from "../format.js";
import { html } from "../html.js";

const MUTE_TIMES = [["1 hour", 3600], ["8 hours", 28_800], ["1 day", 86_400], ["1 week", 604_800]];
const VERDICTS = [
  ["confirmed", "Confirmed", "A real fault."],
  ["expected", "Expected", "Real but harmless. Similar windows will raise no alert."],
  ["false-alarm", "False alarm", "Nothing happened. Similar windows will raise no alert."],
  ["new-trend", "New trend", "The new normal. The next training uses only data from now on."],
];

/** Mark the alerts as being looked after. */
export function acknowledge(alerts) {
  return act(alerts, "acknowledge", {}, "Acknowledged");
}

/** Withdraw an acknowledgement. */
export function unacknowledge(alerts) {
  return act(alerts, "unacknowledge", {}, "Acknowledgement withdrawn");
}

/** Unmute the alerts. */
export function unmute(alerts) {
  return act(alerts, "unsilence", {}, "Unmuted");
}

/** Ask for a duration and a reason, then send no notifications for the alerts until then. */
export function mute(alerts) {
  return ask({
    title: `Mute ${named(alerts)}`,
    about: "No notifications are sent for these sensors until then. Detection continues.",
    content: html`
      <fieldset>
        <legend>Duration</legend>
        ${MUTE_TIMES.map(([text, seconds], i) => html`<label class="inline">
          <input type="radio" name="seconds" value=${seconds} ?checked=${i === 0} ?autofocus=${i === 0}>${text}</label>`)}
      </fieldset>
      <label>Reason <input name="reason" maxlength="1000" placeholder="planned work"></label>`,
    confirm: "Mute",
    act: ({ seconds, reason }) => act(alerts, "silence", { seconds: Number(seconds), reason }, "Muted"),
  });
}

/** Ask what caused the alerts. */
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
    act: ({ verdict, comment }) => act(alerts, "feedback", { verdict, comment }, "Feedback saved"),
  });
}

/** Ask for a comment, then resolve the alerts before their quiet period is over. */
export function resolve(alerts) {
  return ask({
    title: `Resolve ${named(alerts)}`,
    about: "A resolved alert never opens again. Further anomalous windows open a new alert.",
    content: html`<label>Comment <input name="comment" maxlength="1000" autofocus></label>`,
    confirm: "Resolve",
    act: ({ comment }) => act(alerts, "resolve", { comment }, "Resolved"),
  });
}

/** Add a comment to one alert. */
export function comment(alert, text) {
  return act([alert], "comments", { comment: text }, "Comment saved");
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
