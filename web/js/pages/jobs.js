/** List of training and scoring jobs. */
import { get, url } from "../api.js";
import { count, duration, time } from "../format.js";
import { html, nothing } from "../html.js";
import { empty, livePage } from "../page.js";
import { progress, standing } from "../parts/runs.js";
import { pager } from "../parts/pager.js";
import { link, linkTo } from "../router.js";

export const title = "Jobs";
const KINDS = [["", "all"], ["train", "training"], ["score", "scoring"]];

/** Show the page; the kind filter is in the URL. */
export function open({ root, query }) {
  const kind = query.get("kind") ?? "";
  const page = livePage({
    root,
    load: async (signal) => ({ list: await get(url("/api/jobs", { limit: 50, kind, after: query.get("after") }), { signal }) }),
    template: ({ list }) => html`
      <div class="page-head"><div><h1>Jobs</h1><p class="sub">A job trains models or scores windows. Each of its tasks handles one shard of sensors.</p></div></div>
      <nav class="tabs" aria-label="Kind">${KINDS.map(([value, text]) => html`<a href=${link("/jobs", { kind: value })} aria-current=${value === kind ? "true" : "false"}>${text}</a>`)}</nav>
      ${list.items.length ? html`${table(list.items)}${pager("/jobs", query, list, "job")}` : empty("No jobs yet", "Timers start a job when training or scoring is due.")}`,
  });
  return { close: page.close };
}

function table(runs) {
  return html`<div class="table-box"><table>
    <caption class="hidden-visually">Jobs, newest first</caption>
    <thead><tr><th scope="col">Job</th><th scope="col">State</th><th scope="col">Tasks</th><th scope="col" class="wide number">Failed</th><th scope="col" class="wide">Started</th><th scope="col" class="wide number">Duration</th></tr></thead>
    <tbody>${runs.map((run) => html`<tr>
      <td><a class="name" href=${linkTo("jobs", run.run_id)}>${run.run_id}</a></td>
      <td>${standing(run)}</td>
      <td>${progress(run.tasks)}</td>
      <td class="wide number">${run.tasks.failed ? html`<b>${count(run.tasks.failed)}</b>` : nothing}</td>
      <td class="wide">${time(run.created_at)}</td>
      <td class="wide number">${run.ended_at ? duration((Date.parse(run.ended_at) - Date.parse(run.created_at)) / 1000) : "–"}</td>
    </tr>`)}</tbody>
  </table></div>`;
}
