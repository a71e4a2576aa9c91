/** List of shards with the model version in use. */
import { get, url } from "../api.js";
import { count, time } from "../format.js";
import { html } from "../html.js";
import { empty, livePage } from "../page.js";
import { pager } from "../parts/pager.js";
import { linkTo } from "../router.js";

export const title = "Models";

/** Show the page. */
export function open({ root, query }) {
  const page = livePage({
    root,
    seconds: 15,
    load: async (signal) => ({ list: await get(url("/api/models", { after: query.get("after") }), { signal }) }),
    template: ({ list }) => html`
      <div class="page-head"><div><h1>Models</h1><p class="sub">Each sensor has its own model. The models of a shard of sensors are trained, published and rolled back together.</p></div></div>
      ${list.items.length ? html`${table(list.items)}${pager("/models", query, list, "shard")}` : empty("No sensors yet", "Sensors are added to shards with their first reading.")}`,
  });
  return { close: page.close };
}

function table(shards) {
  return html`<div class="table-box"><table>
    <caption class="hidden-visually">Shards</caption>
    <thead><tr><th scope="col">Shard</th><th scope="col" class="number">Sensors</th><th scope="col">Trained</th><th scope="col" class="wide">Version in use</th><th scope="col" class="number">Versions</th></tr></thead>
    <tbody>${shards.map((shard) => html`<tr>
      <td><a class="name" href=${linkTo("models", shard.shard)}>Shard ${shard.shard}</a></td>
      <td class="number">${count(shard.sensors)}</td>
      <td>${time(shard.created_at)}</td>
      <td class="wide"><code>${shard.current_version ?? "none yet"}</code></td>
      <td class="number">${count(shard.versions)}</td>
    </tr>`)}</tbody>
  </table></div>`;
}
