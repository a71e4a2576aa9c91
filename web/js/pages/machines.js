/** List of machines by the risk that one of their components fails. */
import { get, url } from "../api.js";
import { number, time } from "../format.js";
import { html } from "../html.js";
import { empty, livePage } from "../page.js";
import { pager } from "../parts/pager.js";
import { noRisks, risk, warning } from "../parts/risks.js";
import { linkTo } from "../router.js";

export const title = "Machines";

/** Show the page. */
export function open({ root, query }) {
  const page = livePage({
    root,
    seconds: 15,
    load: async (signal) => ({ list: await get(url("/api/machines", { limit: 50, after: query.get("after") }), { signal }) }),
    template: ({ list }) => html`
      <div class="page-head"><div><h1>Machines</h1><p class="sub">Predictive maintenance: machines with the highest risk of a component failure within the prediction horizon first.</p></div></div>
      ${list.items.length ? html`${table(list.items)}${pager("/machines", query, list, "machine")}` : empty("No risks yet", noRisks())}`,
  });
  return { close: page.close };
}

function table(machines) {
  return html`<div class="table-box"><table>
    <caption class="hidden-visually">Machines, highest risk first</caption>
    <thead><tr><th scope="col">Machine</th><th scope="col">Risk</th><th scope="col">Component</th><th scope="col" class="wide">Reason</th><th scope="col" class="wide">Model</th><th scope="col" class="wide number">Age in years</th><th scope="col" class="wide">As of</th></tr></thead>
    <tbody>${machines.map((machine) => {
      const [highest] = machine.components;
      return html`<tr>
        <td><a class="name" href=${linkTo("machines", machine.machine_id)}>Machine ${machine.machine_id}</a></td>
        <td>${risk(highest)}</td>
        <td>${machine.components.filter((each) => each.warns || each === highest).map((each) => html`<div>${each.component} ${warning(each)}</div>`)}</td>
        <td class="wide soft">${highest.reasons[0]?.text ?? "–"}</td>
        <td class="wide">${machine.model}</td>
        <td class="wide number">${number(machine.age)}</td>
        <td class="wide">${time(machine.sampled_at)}</td>
      </tr>`;
    })}</tbody>
  </table></div>`;
}
