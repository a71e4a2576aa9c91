/** The versions of a shard's models, and the way back to one of them. */
import { announce } from "../announce.js";
import { get, post, url } from "../api.js";
import { ask } from "../dialog.js";
import { count, time } from "../format.js";
import { html, nothing } from "../html.js";
import { empty, livePage } from "../page.js";
import { pager } from "../parts/pager.js";
import { mayAct } from "../viewer.js";

export const title = "Models of a shard";

/** Show them. */
export function open({ root, id, query }) {
  const path = `/api/models/${encodeURIComponent(id)}`;
  document.title = `Shard ${id} – Sensorwatch`;
  const page = livePage({
    root,
    load: async (signal) => ({ list: await get(url(`${path}/versions`, { after: query.get("after") }), { signal }) }),
    template: ({ list }) => html`
      <div class="page-head"><div><p class="crumbs"><a href="#/models">Models</a></p><h1>Shard ${id}</h1></div></div>
      ${list.items.length ? html`${table(list.items, rollBack)}${pager(`/models/${encodeURIComponent(id)}`, query, list, "version")}` : empty("No models yet", "They come with the first training.")}`,
  });

  async function rollBack(version) {
    const done = await ask({
      title: `Go back to this version of shard ${id}?`,
      about: html`The next scoring uses <code>${version.version}</code>, trained on data until ${time(version.training_end)}. No version is lost: this one can be put in use again.`,
      confirm: "Roll back",
      danger: true,
      act: () => post(`${path}/rollback`, { version: version.version }),
    });
    if (!done) return;
    announce(`Shard ${id} uses ${version.version} again.`);
    await page.refresh();
  }

  return { close: page.close };
}

function table(versions, rollBack) {
  return html`<div class="table-box"><table>
    <caption class="hidden-visually">Versions, newest first</caption>
    <thead><tr><th scope="col">Version</th><th scope="col" class="wide">Trained on</th><th scope="col" class="wide number">Sensors</th><th scope="col" class="wide number">Put in use</th><th scope="col" class="wide number">Refused</th><th scope="col"><span class="hidden-visually">Use</span></th></tr></thead>
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
