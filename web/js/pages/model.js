/** Versions of the models of a shard, with rollback. */
import { announce } from "../announce.js";
import { get, post, url } from "../api.js";
import { ask } from "../dialog.js";
import { count, time } from "../format.js";
import { html, nothing } from "../html.js";
import { empty, livePage } from "../page.js";
import { pager } from "../parts/pager.js";
import { mayAct } from "../viewer.js";

export const title = "Models of a shard";

/** Show the page. */
export function open({ root, id, query }) {
  const path = `/api/models/${encodeURIComponent(id)}`;
  document.title = `Shard ${id} – Sensorwatch`;
  const page = livePage({
    root,
    load: async (signal) => ({ list: await get(url(`${path}/versions`, { after: query.get("after") }), { signal }) }),
    template: ({ list }) => html`
      <div class="page-head"><div><p class="crumbs"><a href="#/models">Models</a></p><h1>Shard ${id}</h1></div></div>
      ${list.items.length ? html`${table(list.items, rollBack)}${pager(`/models/${encodeURIComponent(id)}`, query, list, "version")}` : empty("No models yet", "The first training creates them.")}`,
  });

  async function rollBack(version) {
    const done = await ask({
      title: `Roll back shard ${id} to this version?`,
      about: html`The next scoring uses <code>${version.version}</code>, trained on data until ${time(version.training_end)}. No version is deleted: you can return to the current one at any time.`,
      confirm: "Roll back",
      danger: true,
      act: () => post(`${path}/rollback`, { version: version.version }),
    });
    if (!done) return;
    announce(`Shard ${id} now uses version ${version.version} again.`);
    await page.refresh();
  }

  return { close: page.close };
}

function table(versions, rollBack) {
  return html`<div class="table-box"><table>
    <caption class="hidden-visually">Versions, newest first</caption>
    <thead><tr><th scope="col">Version</th><th scope="col" class="wide">Trained on</th><th scope="col" class="wide number">Sensors</th><th scope="col" class="wide number">Models accepted</th><th scope="col" class="wide number">Models rejected</th><th scope="col"><span class="hidden-visually">Actions</span></th></tr></thead>
    <tbody>${versions.map((version) => html`<tr>
      <td>${time(version.created_at)}<br><code class="soft">${version.version}</code></td>
      <td class="wide">${version.training_start ? html`${time(version.training_start)} to ${time(version.training_end)}` : "–"}</td>
      <td class="wide number">${count(version.rows)}</td>
      <td class="wide number">${count(version.promoted)}</td>
      <td class="wide number">${count(version.refused)}</td>
      <td>${version.current
        ? html`<span class="badge tone-good">in use</span>`
        : mayAct() ? html`<button type="button" class="small" aria-label=${`Roll back to ${version.version}`} @click=${() => rollBack(version)}>Roll back</button>` : nothing}</td>
    </tr>`)}</tbody>
  </table></div>`;
}
