/** Page of one job: its tasks and their logs. */
import { get, getText, url } from "../api.js";
import { count, duration } from "../format.js";
import { html, nothing } from "../html.js";
import { empty, livePage } from "../page.js";
import { state } from "../parts/badges.js";
import { pager } from "../parts/pager.js";
import { linkTo, replaceQuery } from "../router.js";

export const title = "Job";
const STREAMS = ["stderr", "stdout"];

/** Show the page; the task and the stream of the open log are in the URL. */
export function open({ root, id, query }) {
  const path = `/api/jobs/${encodeURIComponent(id)}/tasks`;
  let log = null;
  let asked = 0;
  document.title = `${id} – Sensorwatch`;
  const page = livePage({
    root,
    load: async (signal) => ({ list: await get(url(path, { limit: 100, after: query.get("after") }), { signal }) }),
    template: ({ list }) => html`
      <div class="page-head"><div><p class="crumbs"><a href="#/jobs">Jobs</a></p><h1 tabindex="-1">${id}</h1></div></div>
      <section class="section" aria-labelledby="tasks"><h2 id="tasks">Tasks</h2>
        ${list.items.length ? html`${table(list.items, showLog)}${pager(`/jobs/${encodeURIComponent(id)}`, query, list, "task")}` : empty("No tasks")}
      </section>
      ${log ? logSection(log, showLog, closeLog) : nothing}`,
  });

  async function showLog(task, stream) {
    const mine = ++asked;
    log = { task, stream, text: null, problem: null };
    replaceQuery({ task, stream });
    page.draw();
    root.querySelector("#log")?.focus();
    try {
      log.text = await getText(url(`${path}/${encodeURIComponent(task)}/logs`, { stream }));
    } catch (error) {
      log.problem = error.status === 404 ? "No output is stored. A task's output is stored when the task ends." : error.message;
    }
    if (mine === asked) page.draw();
  }

  function closeLog() {
    asked += 1;
    log = null;
    replaceQuery({ task: null, stream: null });
    page.draw();
    root.querySelector("h1").focus();
  }

  if (query.get("task")) showLog(query.get("task"), query.get("stream") ?? STREAMS[0]);
  return { close: page.close };
}

function table(tasks, showLog) {
  return html`<div class="table-box"><table>
    <caption class="hidden-visually">Tasks of the job</caption>
    <thead><tr><th scope="col">Task</th><th scope="col">State</th><th scope="col" class="wide">Shard</th><th scope="col" class="wide number">Exit code</th><th scope="col" class="wide number">Retries</th><th scope="col" class="wide number">Duration</th><th scope="col">Log</th></tr></thead>
    <tbody>${tasks.map((task) => html`<tr>
      <th scope="row">${task.task_id}${task.detail ? html`<p class="soft">${task.detail}</p>` : nothing}</th>
      <td>${state(task.state)}</td>
      <td class="wide"><a href=${linkTo("models", task.shard)}>${task.shard}</a></td>
      <td class="wide number">${count(task.exit_code)}</td>
      <td class="wide number">${count(task.retries)}</td>
      <td class="wide number">${duration(task.seconds)}</td>
      <td><button type="button" class="small" aria-label=${`Log of ${task.task_id}`} @click=${() => showLog(task.task_id, STREAMS[0])}>Log</button></td>
    </tr>`)}</tbody>
  </table></div>`;
}

function logSection({ task, stream, text, problem }, showLog, closeLog) {
  return html`<section class="section" aria-labelledby="log">
    <div class="section-head"><h2 id="log" tabindex="-1">Log of ${task}</h2>
      <span class="actions">
        ${STREAMS.map((name) => html`<button type="button" class="small" aria-pressed=${String(name === stream)} @click=${() => showLog(task, name)}>${name}</button>`)}
        <button type="button" class="small" @click=${closeLog}>Close</button>
      </span>
    </div>
    ${problem ? empty("No log", problem) : html`<pre class="log" tabindex="0" aria-label=${`${stream} of ${task}`}>${text ?? "Loading…"}${text === "" ? "(no output)" : nothing}</pre>`}
  </section>`;
}
